//! What the annotations of all Ingresses ask, host by host.
//!
//! Some of it depends on what other Ingresses say of the same host: whether it has a certificate, and
//! where its root leads. The first in object order counts (`ingress 1.4`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::finding;
use super::ingress::Owned;
use crate::diagnostic::{Code, Diagnostic};
use crate::location::FieldPath;
use crate::model::{HostPattern, Policy, Settings, Template, ToHttps};
use crate::validate::{InUse, Ingress};

/// What annotations ask, host by host.
pub(super) struct Policies<'a> {
    /// Hosts with an entry in the `tls` of any Ingress (`ingress 2.4`: ssl-redirect).
    tls: BTreeSet<&'a HostPattern>,
    /// `app-root` of a host: of the first Ingress that has one.
    app_roots: BTreeMap<&'a HostPattern, (&'a Template, &'a InUse)>,
    /// The port of the HTTPS listener if it must be told; none where there is no such listener.
    https: Option<Option<u16>>,
}

impl<'a> Policies<'a> {
    pub(super) fn new(
        owned: &[Owned<'a>],
        settings: &Settings,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Self {
        let mut policies = Self {
            tls: owned
                .iter()
                .flat_map(|(_, ingress)| ingress.tls.iter().flat_map(|entry| &entry.hosts))
                .collect(),
            app_roots: BTreeMap::new(),
            https: settings
                .https
                .first()
                .map(|listener| Some(listener.port()).filter(|port| ![0, 443].contains(port))),
        };
        for (object, ingress) in owned {
            for found in &ingress.annotations.findings {
                let field = FieldPath::from("metadata.annotations").key(&found.key);
                let mut told = finding(found.code, object, field, found.text.clone());
                told.help.clone_from(&found.help);
                diagnostics.push(told);
            }
            let Some(root) = &ingress.annotations.app_root else { continue };
            for rule in &ingress.rules {
                let (first, owner) = policies
                    .app_roots
                    .entry(&rule.host)
                    .or_insert((root, object));
                if *first != root {
                    let field = FieldPath::from("metadata.annotations").key(APP_ROOT);
                    let text = format!(
                        "`app-root` of {} is that of {}, which comes first",
                        rule.host, owner.object
                    );
                    diagnostics.push(finding(Code::HostWideTaken, object, field, text));
                }
            }
        }
        policies
    }

    /// What is asked of requests for one host.
    pub(super) fn of(&self, ingress: &Ingress, host: &HostPattern) -> Arc<Policy> {
        let annotations = &ingress.annotations;
        let asked = annotations.force_ssl_redirect
            || (annotations.ssl_redirect && self.has_certificate(host));
        let to_https = self.https.filter(|_| asked);
        let to_https = to_https.map(|port| ToHttps { port, keeps_slash: annotations.keeps_slash });
        let app_root = self.app_roots.get(host).map(|(root, _)| (*root).clone());
        Arc::new(Policy { to_https, app_root, ..annotations.policy.clone() })
    }

    /// Whether any `tls` names a host, or the wildcard that covers it.
    fn has_certificate(&self, host: &HostPattern) -> bool {
        let wildcard = match host {
            HostPattern::Exact(name) => name.split_once('.'),
            _ => None,
        };
        let wildcard = wildcard.map(|(_, suffix)| HostPattern::Wildcard(suffix.into()));
        self.tls.contains(host) || wildcard.is_some_and(|wildcard| self.tls.contains(&wildcard))
    }
}

const APP_ROOT: &str = "nginx.ingress.kubernetes.io/app-root";
