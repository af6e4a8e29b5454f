//! What a location is called where requests are logged and counted: the Ingress and the rule that it
//! was written as.

use std::sync::Arc;

use portico_config::model::ObjectName;
use portico_config::snapshot;

/// One rule of an Ingress.
#[derive(Debug, Default)]
pub(crate) struct Rule {
    /// The Ingress; none: its host is another name of one, or settings say where it goes.
    pub(crate) ingress: Option<ObjectName>,
    /// Its path as written; empty: the default backend.
    pub(crate) path: Arc<str>,
    /// Whether the log hears of its requests.
    pub(crate) is_logged: bool,
}

impl Rule {
    /// Of a location.
    pub(super) fn of(location: &snapshot::Location) -> Arc<Self> {
        Arc::new(Self {
            ingress: Some(location.ingress.clone()),
            path: Arc::clone(&location.path),
            is_logged: !location.policy.unlogged,
        })
    }

    /// Of what serves a path of a host that no location is about.
    pub(super) fn rest(host: &snapshot::Host) -> Option<Arc<Self>> {
        host.default_backend.as_ref()?;
        Some(Arc::new(Self {
            ingress: host.default_ingress.clone(),
            path: Arc::default(),
            is_logged: !host.default_policy.unlogged,
        }))
    }
}
