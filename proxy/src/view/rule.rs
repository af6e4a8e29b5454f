//! What a location is called where requests are logged and counted: the Ingress and the rule that it
//! was written as.

use std::sync::Arc;

use portico_config::model::ObjectName;
use portico_config::snapshot::{self, Backend, RouteTable};

use crate::ledger::{Ledger, Ledgers, Subject};

/// One rule of an Ingress.
#[derive(Debug, Default)]
pub(crate) struct Rule {
    /// The Ingress; none: its host is another name of one, or settings say where it goes.
    pub(crate) ingress: Option<ObjectName>,
    /// Its path as written; empty: the default backend.
    pub(crate) path: Arc<str>,
    /// Whether the log hears of its requests.
    pub(crate) is_logged: bool,
    /// Whether they are those of an alternative.
    pub(crate) is_canary: bool,
    /// What they come to.
    pub(crate) ledger: Arc<Ledger>,
}

impl Rule {
    /// Of a location.
    pub(super) fn of(
        host: &snapshot::Host,
        location: &snapshot::Location,
        ledgers: &Ledgers,
    ) -> Arc<Self> {
        Arc::new(Self {
            ingress: Some(location.ingress.clone()),
            path: Arc::clone(&location.path),
            is_logged: !location.policy.unlogged,
            is_canary: false,
            ledger: ledgers.of(&subject(&host.pattern.to_string().into(), location)),
        })
    }

    /// Of a location's alternative: the log calls it as the location.
    pub(super) fn of_canary(
        host: &snapshot::Host,
        location: &snapshot::Location,
        canary: &snapshot::Canary,
        ledgers: &Ledgers,
    ) -> Arc<Self> {
        let subject = subject(&host.pattern.to_string().into(), location);
        Arc::new(Self {
            ingress: Some(location.ingress.clone()),
            path: Arc::clone(&location.path),
            is_logged: !location.policy.unlogged,
            is_canary: true,
            ledger: ledgers.of(&of_canary(subject, canary)),
        })
    }

    /// Of what serves a path of a host that no location is about.
    pub(super) fn rest(host: &snapshot::Host, ledgers: &Ledgers) -> Option<Arc<Self>> {
        let backend = host.default_backend.as_ref()?;
        Some(Arc::new(Self {
            ingress: host.default_ingress.clone(),
            path: Arc::default(),
            is_logged: !host.default_policy.unlogged,
            is_canary: false,
            ledger: ledgers.of(&of_rest(host, backend)),
        }))
    }
}

/// Whose requests there may be.
pub(super) fn subjects(table: &RouteTable) -> impl Iterator<Item = Subject> {
    let hosts = table.exact.values().chain(table.wildcard.values());
    hosts.chain(&table.any).flat_map(|host| {
        let name: Arc<str> = host.pattern.to_string().into();
        let locations = host.locations.iter().flat_map(move |location| {
            let subject = subject(&name, location);
            let canary = location.canary.as_ref();
            let canary = canary.map(|canary| of_canary(subject.clone(), canary));
            [Some(subject), canary].into_iter().flatten()
        });
        let rest = host.default_backend.as_ref();
        locations.chain(rest.map(|backend| of_rest(host, backend)))
    })
}

fn subject(host: &Arc<str>, location: &snapshot::Location) -> Subject {
    Subject {
        ingress: Some(location.ingress.clone()),
        host: Arc::clone(host),
        path: Arc::clone(&location.path),
        service: service(&location.backend),
        canary: None,
    }
}

fn of_canary(subject: Subject, canary: &snapshot::Canary) -> Subject {
    let (service, canary) = (service(&canary.backend), Some(canary.ingress.clone()));
    Subject { service, canary, ..subject }
}

fn of_rest(host: &snapshot::Host, backend: &Backend) -> Subject {
    Subject {
        ingress: host.default_ingress.clone(),
        host: host.pattern.to_string().into(),
        path: Arc::default(),
        service: service(backend),
        canary: None,
    }
}

fn service(backend: &Backend) -> Option<Arc<snapshot::PortId>> {
    match backend {
        Backend::Service(port) => Some(Arc::clone(port)),
        Backend::Missing(_) | Backend::Resource => None,
    }
}
