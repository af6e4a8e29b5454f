//! Each object by itself: raw manifest values become typed ones, once.
//!
//! Everything that is wrong is collected, never only the first. An *error* refuses the object; a
//! warning does not. Messages follow the API server's where it has one. What needs a second object
//! (selectors, references, conflicts) is `compile`'s work.

mod cluster;
mod endpoints;
mod ingress;
mod names;
mod pod;
mod secret;
mod service;

use std::net::IpAddr;
use std::sync::Arc;

use crate::api::Object;
use crate::api::meta::ObjectMeta;
use crate::diagnostic::{Code, Diagnostic, Severity};
use crate::location::{FieldPath, Origin};
use crate::model::{ObjectName, ObjectRef, Protocol};

pub(crate) use cluster::{Class, Node};
pub(crate) use endpoints::{EndpointSet, SetPort};
pub(crate) use ingress::{BackendPort, BackendRef, Ingress};
pub(crate) use pod::Pod;
pub(crate) use secret::Secret;
pub(crate) use service::{Exposure, Service, ShortPort, TargetPort};

/// An object that is right by itself. Made by [`validate`] alone.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Valid {
    /// Namespace (empty for cluster-scoped kinds) and name.
    pub(crate) name: ObjectName,
    /// `metadata.creationTimestamp`: RFC 3339 in UTC, so its text sorts by time.
    pub(crate) created: Option<Arc<str>>,
    /// What it says.
    pub(crate) kind: Kind,
}

/// What an object says, by kind.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    /// Service.
    Service(Service),
    /// EndpointSlice or Endpoints: both say which addresses stand behind a Service.
    EndpointSet(EndpointSet),
    /// Pod.
    Pod(Pod),
    /// Node.
    Node(Node),
    /// Namespace: its name says it all.
    Namespace,
    /// Secret.
    Secret(Secret),
    /// ConfigMap: read so that it is known; nothing uses one yet.
    ConfigMap,
    /// Ingress.
    Ingress(Ingress),
    /// IngressClass.
    Class(Class),
}

/// A checked object, and where it was written.
pub(crate) type InUse = crate::store::InUse<Valid>;

/// Checks one object: the typed value unless an error refuses it, and everything found.
pub(crate) fn validate(object: &Object, origin: &Origin) -> (Option<Valid>, Vec<Diagnostic>) {
    let mut check = Check::new(object.reference(), origin);
    check.metadata(object);
    let kind = match object {
        Object::Service(service) => Kind::Service(service::service(service, &mut check)),
        Object::EndpointSlice(slice) => Kind::EndpointSet(endpoints::slice(slice, &mut check)),
        Object::Endpoints(object) => Kind::EndpointSet(endpoints::endpoints(object, &mut check)),
        Object::Pod(pod) => Kind::Pod(pod::pod(pod, &mut check)),
        Object::Node(node) => Kind::Node(cluster::node(node)),
        Object::Namespace(_) => Kind::Namespace,
        Object::Secret(secret) => Kind::Secret(secret::secret(secret, &mut check)),
        Object::ConfigMap(_) => Kind::ConfigMap,
        Object::Ingress(ingress) => Kind::Ingress(ingress::ingress(ingress, &mut check)),
        Object::IngressClass(class) => Kind::Class(cluster::class(class, &mut check)),
    };
    let created = object
        .metadata()
        .creation_timestamp
        .as_deref()
        .map(Into::into);
    let valid = Valid { name: object.name(), created, kind };
    (check.is_good().then_some(valid), check.diagnostics)
}

/// Collects what is wrong with one object.
struct Check<'a> {
    object: ObjectRef,
    origin: &'a Origin,
    diagnostics: Vec<Diagnostic>,
}

impl<'a> Check<'a> {
    fn new(object: ObjectRef, origin: &'a Origin) -> Self {
        Self { object, origin, diagnostics: Vec::new() }
    }

    /// Notes what is wrong with `field`; an error refuses the object.
    fn report(&mut self, code: Code, field: &FieldPath, message: impl Into<String>) {
        let found = Diagnostic::new(code, message)
            .object(self.object.clone())
            .at(self.origin, field.clone());
        self.diagnostics.push(found);
    }

    fn is_good(&self) -> bool {
        !self
            .diagnostics
            .iter()
            .any(|found| found.severity() == Severity::Error)
    }

    fn metadata(&mut self, object: &Object) {
        let ObjectMeta { name, namespace, .. } = object.metadata();
        let field = FieldPath::from("metadata.name");
        let fault = match object {
            // `services 3`: since Kubernetes 1.36 a Service name may begin with a digit.
            Object::Service(_) | Object::Namespace(_) => names::label(name),
            _ => names::subdomain(name),
        };
        if let Err(fault) = fault {
            self.report(Code::InvalidName, &field, fault);
        }
        if let Some(namespace) = namespace
            .as_deref()
            .filter(|namespace| !namespace.is_empty())
        {
            if object.is_cluster_scoped() {
                let field = FieldPath::from("metadata.namespace");
                self.report(
                    Code::NamespaceIgnored,
                    &field,
                    "is ignored: this kind lives outside namespaces",
                );
            } else if let Err(fault) = names::label(namespace) {
                self.report(Code::InvalidName, &FieldPath::from("metadata.namespace"), fault);
            }
        }
    }

    /// A port number in `1..=65535`; 0 with an error for anything else.
    fn port(&mut self, field: &FieldPath, value: i64) -> u16 {
        match u16::try_from(value) {
            Ok(port @ 1..) => port,
            _ => {
                let text = format!("{value} is not valid: must be between 1 and 65535, inclusive");
                self.report(Code::InvalidPort, field, text);
                0
            }
        }
    }

    /// `TCP`, `UDP` or `SCTP`, case-sensitive; absent: TCP.
    fn protocol(&mut self, field: &FieldPath, value: Option<&str>) -> Protocol {
        match value {
            None | Some("" | "TCP") => Protocol::Tcp,
            Some("UDP") => Protocol::Udp,
            Some("SCTP") => Protocol::Sctp,
            Some(other) => {
                let supported = ["TCP", "UDP", "SCTP"];
                self.report(Code::Unsupported, field, unsupported(other, &supported));
                Protocol::Tcp
            }
        }
    }

    /// An IP address; leading zeros are decimal, as stored objects have them (`services 1.6`).
    fn address(&mut self, field: &FieldPath, value: &str) -> Option<IpAddr> {
        let address = parse_address(value);
        if address.is_none() {
            self.report(
                Code::InvalidAddress,
                field,
                format!("{value:?} must be a valid IP address"),
            );
        }
        address
    }
}

/// `Unsupported value: "x": supported values: …`, as the API server says it.
fn unsupported(value: &str, supported: &[&str]) -> String {
    let quoted: Vec<_> = supported.iter().map(|value| format!("{value:?}")).collect();
    format!("unsupported value {value:?}: supported values: {}", quoted.join(", "))
}

fn parse_address(value: &str) -> Option<IpAddr> {
    if let Ok(address) = value.parse() {
        return Some(address);
    }
    let octets: Vec<u8> = value
        .split('.')
        .map(|octet| {
            octet
                .bytes()
                .all(|b| b.is_ascii_digit())
                .then(|| octet.parse().ok())?
        })
        .collect::<Option<_>>()?;
    <[u8; 4]>::try_from(octets).ok().map(IpAddr::from)
}
