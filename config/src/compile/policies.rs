//! What the annotations of all Ingresses ask, host by host.
//!
//! Some of it depends on what other Ingresses say of the same host: whether it has a certificate, and
//! where its root leads. The first in object order counts (`ingress 1.4`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::backend_tls::{BackendUse, said};
use super::error_pages;
use super::guards::Guards;
use super::ingress::Owned;
use super::{Objects, finding};
use crate::diagnostic::{Code, Diagnostic};
use crate::location::FieldPath;
use crate::model::annotation::PREFIX;
use crate::model::{ErrorPages, HostPattern, ObjectName, Policy, Settings, Template, ToHttps};
use crate::snapshot::Backend;
use crate::validate::{BackendProtocol, InUse};

/// What annotations ask, host by host.
pub(super) struct Policies<'a> {
    /// Hosts with an entry in the `tls` of any Ingress (`ingress 2.4`: ssl-redirect).
    tls: BTreeSet<&'a HostPattern>,
    /// `app-root` of a host: of the first Ingress that has one.
    app_roots: BTreeMap<&'a HostPattern, (&'a Template, &'a InUse)>,
    /// The port of the HTTPS listener if it must be told; none where there is no such listener.
    https: Option<Option<u16>>,
    /// How the backends of each Ingress are spoken to.
    backends: BTreeMap<&'a ObjectName, BackendUse>,
    /// What guards the locations of each Ingress and stands elsewhere.
    guards: BTreeMap<&'a ObjectName, Guards>,
    /// Who answers in the place of errors of each.
    pages: BTreeMap<&'a ObjectName, ErrorPages>,
    objects: &'a Objects,
    /// Whether hosts with a certificate are redirected where an Ingress does not say it.
    ssl_redirect: bool,
    /// What who is over a limit gets.
    limit_status: u16,
}

impl<'a> Policies<'a> {
    pub(super) fn new(
        owned: &[Owned<'a>],
        objects: &'a Objects,
        settings: &Settings,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Self {
        let mut policies = Self {
            tls: owned
                .iter()
                .flat_map(|(_, ingress)| ingress.tls.iter().flat_map(|entry| &entry.hosts))
                .collect(),
            app_roots: BTreeMap::new(),
            backends: BTreeMap::new(),
            guards: BTreeMap::new(),
            pages: BTreeMap::new(),
            objects,
            ssl_redirect: settings.front_door.ssl_redirect,
            limit_status: settings.front_door.limit_status,
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
                if let (Some((line, word)), Some(first)) = (&found.line, told.position) {
                    told.position = object.origin.line_of(first, *line, word).or(told.position);
                }
                diagnostics.push(told);
            }
            let backends = BackendUse::of((object, ingress), objects);
            if let Some(closed) = &backends.closed {
                let key = format!("{PREFIX}{}", closed.annotation);
                let field = FieldPath::from("metadata.annotations").key(&key);
                let text =
                    format!("{}: its locations are closed, every request gets 503", closed.why);
                diagnostics.push(finding(Code::AnnotationCloses, object, field, text));
            }
            policies.backends.insert(&object.valid.name, backends);
            let guards = Guards::of((object, ingress), (objects, owned), settings, diagnostics);
            policies.guards.insert(&object.valid.name, guards);
            if let Some(pages) =
                error_pages::find((object, ingress), objects, settings, diagnostics)
            {
                policies.pages.insert(&object.valid.name, pages);
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

    /// How what stands behind a path of an Ingress is spoken to, as far as it says so itself and may.
    pub(super) fn said(&self, (_, ingress): Owned<'_>, backend: &Backend) -> BackendProtocol {
        match backend {
            Backend::Service(port) if ingress.annotations.backend.protocol.is_none() => {
                said(port, self.objects)
            }
            _ => BackendProtocol::Http,
        }
    }

    /// What is asked of requests for one host; `said`: by their backend.
    pub(super) fn of(
        &self,
        (object, ingress): Owned<'_>,
        host: &HostPattern,
        said: BackendProtocol,
    ) -> Policy {
        let annotations = &ingress.annotations;
        let asked = annotations.force_ssl_redirect
            || (annotations.ssl_redirect.unwrap_or(self.ssl_redirect)
                && self.has_certificate(host));
        let to_https = self.https.filter(|_| asked);
        let (keeps_slash, names_port) = (annotations.keeps_slash, annotations.names_port);
        let to_https = to_https.map(|port| ToHttps { port, names_port, keeps_slash });
        let app_root = self.app_roots.get(host).map(|(root, _)| (*root).clone());
        Policy { to_https, app_root, ..self.of_any_host((object, ingress), said) }
    }

    /// The same without what depends on the host.
    pub(super) fn of_any_host(
        &self,
        (object, ingress): Owned<'_>,
        said: BackendProtocol,
    ) -> Policy {
        let annotations = &ingress.annotations;
        let mut policy = annotations.policy.clone();
        if let Some(backends) = self.backends.get(&object.valid.name) {
            backends.apply(&annotations.backend, said, &mut policy);
            if let Some(closed) = &backends.closed {
                let why = format!("annotation {PREFIX}{}: {}", closed.annotation, closed.why);
                policy.closed.get_or_insert_with(|| why.into());
            }
        }
        if let Some(guards) = self.guards.get(&object.valid.name) {
            guards.apply(&mut policy);
        }
        if let Some(limits) = &mut policy.limits {
            Arc::make_mut(limits).status = self.limit_status;
        }
        if let Some(pages) = self.pages.get(&object.valid.name) {
            error_pages::apply(pages, &mut policy);
        }
        policy
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
