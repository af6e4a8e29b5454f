//! What whole hosts ask of TLS with their clients: certificates, and that it is passed through
//! (`ingress 2.4`: auth-tls-*, ssl-passthrough).
//!
//! The first Ingress in object order that asks counts for a host (`ingress 1.4`). A Secret that is
//! missing lets nobody in: the host is never served without what it asks for.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::ingress::Owned;
use super::{Objects, finding};
use crate::diagnostic::{Code, Diagnostic};
use crate::location::FieldPath;
use crate::model::annotation::PREFIX;
use crate::model::{ClientAuth, HostPattern, ObjectName, PathKind, Same};
use crate::snapshot::{Backend, Location};
use crate::validate::{ClientAsk, InUse, Kind, Revoked};

/// What hosts ask.
#[derive(Default)]
pub(super) struct HostTls<'a> {
    clients: BTreeMap<&'a HostPattern, (Arc<ClientAuth>, &'a InUse)>,
    /// Who wants TLS to be passed through.
    passed: BTreeMap<&'a HostPattern, &'a InUse>,
}

impl<'a> HostTls<'a> {
    pub(super) fn new(
        owned: &[Owned<'a>],
        objects: &Objects,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Self {
        let mut asked = Self::default();
        for (object, ingress) in owned {
            let annotations = &ingress.annotations;
            if annotations.canary.is_some() {
                continue;
            }
            if annotations.passes_through {
                for host in ingress.rules.iter().map(|rule| &rule.host) {
                    asked.passed.entry(host).or_insert(object);
                }
            }
            let Some(ask) = &annotations.clients else { continue };
            let auth = Arc::new(auth(ask, object, objects, diagnostics));
            let hosts = ingress.rules.iter().map(|rule| &rule.host);
            // One without rules stands for all hosts that no rule has (`ingress 1.5`).
            let any = ingress.rules.is_empty().then_some(&HostPattern::Any);
            for host in hosts.chain(any) {
                let (first, owner) = asked
                    .clients
                    .entry(host)
                    .or_insert_with(|| (Arc::clone(&auth), object));
                if *first != auth {
                    let text = format!(
                        "client certificates of {host} are asked for as {} says, which comes first",
                        owner.object
                    );
                    diagnostics.push(told(Code::HostWideTaken, object, SECRET, text));
                }
            }
        }
        asked
    }

    /// What a host asks of its clients' certificates.
    pub(super) fn clients(&self, host: &HostPattern) -> Option<Arc<ClientAuth>> {
        self.clients.get(host).map(|(auth, _)| Arc::clone(auth))
    }

    /// Where TLS to a host goes as it comes; none: it ends here.
    pub(super) fn passed(
        &self,
        host: &HostPattern,
        locations: &[Location],
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Option<Backend> {
        let object = self.passed.get(host)?;
        let why = match host {
            HostPattern::Any => "a rule without a host has no server name",
            _ => {
                let root = |location: &&Location| {
                    &*location.path == "/" && location.policy.pattern.is_none()
                };
                let mut roots = locations.iter().filter(root);
                let prefix = roots.clone().find(|root| root.kind == PathKind::Prefix);
                match prefix.or_else(|| roots.next()) {
                    Some(root) => return Some(root.backend.clone()),
                    None => "there is no path `/`, whose backend would get it",
                }
            }
        };
        let text = format!("TLS to {host} is not passed through: {why}");
        diagnostics.push(told(Code::AnnotationWithoutEffect, object, "ssl-passthrough", text));
        None
    }
}

fn auth(
    ask: &ClientAsk,
    object: &InUse,
    objects: &Objects,
    diagnostics: &mut Vec<Diagnostic>,
) -> ClientAuth {
    let namespace = &object.valid.name.namespace;
    let (other, name) = &ask.secret;
    let key = ObjectName { namespace: Arc::clone(namespace), name: Arc::clone(name) };
    let found = objects.secrets.get(&key).map(|found| &found.valid.kind);
    let abroad = other.as_ref().is_some_and(|other| other != namespace);
    let authorities = match found {
        _ if abroad => Err("names a Secret of another namespace".to_owned()),
        Some(Kind::Secret(secret)) => match (&secret.authorities, &secret.revoked) {
            (_, Revoked::Unreadable) => {
                Err(format!("Secret `{name}` holds a `ca.crl` that cannot be read"))
            }
            (Some(authorities), Revoked::Nothing) => Ok((Same(Arc::clone(authorities)), None)),
            (Some(authorities), Revoked::Lists(lists)) => {
                Ok((Same(Arc::clone(authorities)), Some(Same(Arc::clone(lists)))))
            }
            (None, _) => Err(format!("Secret `{name}` holds no `ca.crt` that can be read")),
        },
        _ => Err(format!("no Secret `{name}` in namespace {namespace}")),
    };
    if let Err(why) = &authorities {
        let text = format!("{why}: its hosts are closed, every request gets 403");
        diagnostics.push(told(Code::AnnotationCloses, object, SECRET, text));
    }
    let (authorities, revoked) = authorities.ok().unzip();
    ClientAuth {
        authorities,
        revoked: revoked.flatten(),
        wants: ask.wants,
        depth: ask.depth,
        subject: ask.subject.clone(),
        error_page: ask.error_page.clone(),
        passes_on: ask.passes_on,
    }
}

fn told(code: Code, object: &InUse, annotation: &str, text: String) -> Diagnostic {
    let key = format!("{PREFIX}{annotation}");
    finding(code, object, FieldPath::from("metadata.annotations").key(&key), text)
}

const SECRET: &str = "auth-tls-secret";
