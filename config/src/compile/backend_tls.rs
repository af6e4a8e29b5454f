//! How the backends of one Ingress are spoken to: what its annotations ask, with the Secret that they
//! name (`ingress 2.4`).
//!
//! What cannot be obeyed closes: an Ingress that says "verify" is never served unverified.

use std::sync::Arc;

use super::Objects;
use super::ingress::Owned;
use crate::model::{BackendTls, ObjectName, Policy, Same};
use crate::snapshot::PortId;
use crate::validate::{BackendAsk, BackendProtocol, Kind, Secret};

/// How the backends of one Ingress are spoken to.
pub(super) struct BackendUse {
    tls: Arc<BackendTls>,
    /// The same with HTTP/2.
    tls_http2: Arc<BackendTls>,
    /// Why nothing is served.
    pub(super) closed: Option<Closed>,
}

/// A guard that cannot be obeyed.
pub(super) struct Closed {
    /// Without its prefix.
    pub(super) annotation: &'static str,
    pub(super) why: String,
}

impl BackendUse {
    /// What the annotations of an Ingress come to.
    pub(super) fn of((object, ingress): Owned<'_>, objects: &Objects) -> Self {
        let ask = &ingress.annotations.backend;
        match tls(ask, &object.valid.name.namespace, objects) {
            Ok(tls) => {
                let http2 = BackendTls { http2: true, ..tls.clone() };
                Self { tls: Arc::new(tls), tls_http2: Arc::new(http2), closed: None }
            }
            Err(closed) => {
                Self { tls: Arc::default(), tls_http2: Arc::default(), closed: Some(closed) }
            }
        }
    }

    /// Writes into a policy of the Ingress how its backends are spoken to; `said`: by their Service.
    pub(super) fn apply(&self, ask: &BackendAsk, said: BackendProtocol, policy: &mut Policy) {
        let protocol = ask.protocol.unwrap_or(said);
        policy.backend_http2 = protocol.is_http2();
        let tls = if policy.backend_http2 { &self.tls_http2 } else { &self.tls };
        let secured = protocol.is_secured();
        policy.backend_tls = secured.then(|| Arc::clone(tls));
        policy.backend_as_client = protocol == BackendProtocol::Auto;
        policy.backend_name = ask.name.clone().filter(|_| secured);
    }
}

fn tls(ask: &BackendAsk, namespace: &Arc<str>, objects: &Objects) -> Result<BackendTls, Closed> {
    let secret = match &ask.secret {
        Some((other, name)) => Some(secret(other.as_ref(), name, namespace, objects)?),
        None => None,
    };
    let authorities = secret.and_then(|secret| secret.authorities.as_ref());
    if ask.verify && authorities.is_none() {
        let why = "there is no `ca.crt` in a `proxy-ssl-secret` to verify with";
        return Err(Closed { annotation: "proxy-ssl-verify", why: why.to_owned() });
    }
    let identity = secret.and_then(|secret| secret.certificate.as_ref());
    Ok(BackendTls {
        authorities: authorities
            .filter(|_| ask.verify)
            .map(|it| Same(Arc::clone(it))),
        depth: ask.depth,
        identity: identity.map(|it| Same(Arc::clone(it))),
        sends_name: ask.sends_name,
        versions: ask.versions,
        suites: ask.suites.iter().map(|suite| u16::from(*suite)).collect(),
        http2: false,
    })
}

/// A Secret of the Ingress's own namespace that holds something to use.
fn secret<'a>(
    other: Option<&Arc<str>>,
    name: &Arc<str>,
    namespace: &Arc<str>,
    objects: &'a Objects,
) -> Result<&'a Secret, Closed> {
    let closed = |why| Closed { annotation: "proxy-ssl-secret", why };
    if other.is_some_and(|other| other != namespace) {
        return Err(closed("names a Secret of another namespace".to_owned()));
    }
    let key = ObjectName { namespace: Arc::clone(namespace), name: Arc::clone(name) };
    match objects.secret(&key) {
        Some((_, secret)) if secret.certificate.is_some() || secret.authorities.is_some() => {
            Ok(secret)
        }
        Some(_) => Err(closed(format!("Secret `{name}` holds neither a pair nor a `ca.crt`"))),
        None => Err(closed(objects.lacks_secret(&key))),
    }
}

/// What the port of a Service says that it speaks (`appProtocol`); another word says HTTP.
pub(super) fn said(port: &PortId, objects: &Objects) -> BackendProtocol {
    let object = objects.services.get(&port.service);
    let Some(Kind::Service(service)) = object.map(|object| &object.valid.kind) else {
        return BackendProtocol::Http;
    };
    let mut ports = service.ports.iter();
    let found = ports.find(|it| it.name == port.name && it.protocol == port.protocol);
    let said = found.and_then(|port| port.app_protocol.as_deref());
    match said.unwrap_or_default() {
        "https" | "kubernetes.io/https" | "kubernetes.io/wss" => BackendProtocol::Https,
        "kubernetes.io/h2c" | "h2c" | "http2" | "grpc" => BackendProtocol::Grpc,
        "grpcs" => BackendProtocol::Grpcs,
        _ => BackendProtocol::Http,
    }
}
