//! What whole hosts ask of TLS with their clients: certificates, cipher suites, and that it is passed through
//! (`ingress 2.4`: auth-tls-*, ssl-passthrough; `ingress 2.5`: ssl-ciphers).
//!
//! The first Ingress in object order that asks counts for a host (`ingress 1.4`). A Secret that is
//! missing lets nobody in: the host is never served without what it asks for.

use std::collections::BTreeMap;
use std::sync::Arc;

use rustls::CipherSuite;

use super::ingress::Owned;
use super::{Objects, finding};
use crate::diagnostic::{Code, Diagnostic};
use crate::location::FieldPath;
use crate::model::annotation::PREFIX;
use crate::model::{ClientAuth, HostPattern, HostSuites, ObjectName, PathKind, Same};
use crate::snapshot::{Backend, Location};
use crate::validate::{ClientAsk, InUse, Ingress, Revoked};

/// What hosts ask.
#[derive(Default)]
pub(super) struct HostTls<'a> {
    clients: BTreeMap<&'a HostPattern, (Arc<ClientAuth>, &'a InUse)>,
    suites: BTreeMap<&'a HostPattern, (&'a [CipherSuite], &'a InUse)>,
    /// Whether the order of the server counts.
    orders: BTreeMap<&'a HostPattern, (bool, &'a InUse)>,
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
            if let Some(suites) = &annotations.suites {
                let claim = (&**suites, *object, "ssl-ciphers");
                claimed(&mut asked.suites, hosts(ingress), claim, diagnostics);
            }
            if let Some(own) = annotations.own_order {
                let claim = (own, *object, "ssl-prefer-server-ciphers");
                claimed(&mut asked.orders, hosts(ingress), claim, diagnostics);
            }
            let Some(ask) = &annotations.clients else { continue };
            let auth = Arc::new(auth(ask, object, objects, diagnostics));
            for host in hosts(ingress) {
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

    /// Which suites a host speaks, and in whose order; none: it does not say.
    pub(super) fn suites(&self, host: &HostPattern) -> Option<Arc<HostSuites>> {
        let suites = self.suites.get(host).map(|(suites, _)| *suites);
        let own_order = self.orders.get(host).is_some_and(|(own, _)| *own);
        let numbers = suites.unwrap_or_default().iter().copied().map(u16::from);
        let is_asked = suites.is_some() || own_order;
        is_asked.then(|| Arc::new(HostSuites { suites: numbers.collect(), own_order }))
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

/// The hosts that an Ingress is about: one without rules stands for all that no rule has (`ingress 1.5`).
fn hosts(ingress: &Ingress) -> impl Iterator<Item = &HostPattern> {
    let any = ingress.rules.is_empty().then_some(&HostPattern::Any);
    ingress.rules.iter().map(|rule| &rule.host).chain(any)
}

/// Gives hosts what an annotation asks; who comes later and asks something else is told.
fn claimed<'a, T: Copy + PartialEq>(
    all: &mut BTreeMap<&'a HostPattern, (T, &'a InUse)>,
    hosts: impl Iterator<Item = &'a HostPattern>,
    (asked, object, annotation): (T, &'a InUse, &str),
    diagnostics: &mut Vec<Diagnostic>,
) {
    for host in hosts {
        let (first, owner) = *all.entry(host).or_insert((asked, object));
        if first != asked {
            let text =
                format!("`{annotation}` of {host} is that of {}, which comes first", owner.object);
            diagnostics.push(told(Code::HostWideTaken, object, annotation, text));
        }
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
    let abroad = other.as_ref().is_some_and(|other| other != namespace);
    let authorities = match objects.secret(&key) {
        _ if abroad => Err("names a Secret of another namespace".to_owned()),
        Some((_, secret)) => match (&secret.authorities, &secret.revoked) {
            (_, Revoked::Unreadable) => {
                Err(format!("Secret `{name}` holds a `ca.crl` that cannot be read"))
            }
            (Some(authorities), Revoked::Nothing) => Ok((Same(Arc::clone(authorities)), None)),
            (Some(authorities), Revoked::Lists(lists)) => {
                Ok((Same(Arc::clone(authorities)), Some(Same(Arc::clone(lists)))))
            }
            (None, _) => Err(format!("Secret `{name}` holds no `ca.crt` that can be read")),
        },
        None => Err(objects.lacks_secret(&key)),
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
