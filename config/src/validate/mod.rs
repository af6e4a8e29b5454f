//! Each object by itself: raw manifest values become typed ones, once.
//!
//! Everything that is wrong is collected, never only the first. An *error* refuses the object; a
//! warning does not. Messages and field paths follow the API server's where it has one, and values
//! that a manifest leaves out are filled in as it would. What needs a second object, a setting or a
//! clock (selectors, references, conflicts, allocation, expiry) is `compile`'s work. Where portico
//! is milder or stricter than an API server, decision 0011 says why.

mod address;
mod names;
mod check;
mod metadata;
mod service;
mod endpoints;
mod pod;
mod node;
mod ingress;
mod class;
mod secret;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use self::check::Check;
use crate::api::Object;
use crate::api::meta::ObjectMeta;
use crate::diagnostic::Diagnostic;
use crate::location::Origin;
use crate::model::ObjectName;

pub(crate) use class::Class;
pub(crate) use endpoints::{EndpointSet, SetEndpoint, SetPort};
pub(crate) use ingress::{
    BackendAsk, BackendPort, BackendProtocol, BackendRef, BasicAsk, ClientAsk, ExternalAsk,
    Ingress, PathRule,
};
pub(crate) use ingress::{QUIRKS, is_field_name, is_field_value, snippet_lines};
pub(crate) use node::Node;
pub(crate) use pod::Pod;
pub(crate) use secret::{ConfigMap, Revoked, Secret, UnreadSecret};
pub(crate) use service::{
    Distribution, Exposure, FamilyPolicy, Hosts, LoadBalancerIngress, Service, ShortPort, Target,
    TargetPort, Weight,
};

/// An object that is right by itself. Made by [`validate`] alone.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Valid {
    /// Namespace (empty for cluster-scoped kinds) and name.
    pub(crate) name: ObjectName,
    /// `metadata.creationTimestamp` in UTC and whole seconds, so that its text sorts by time.
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
    /// Namespace: its labels.
    Namespace(Labels),
    /// Secret, as it is written.
    Secret(UnreadSecret),
    /// ConfigMap.
    ConfigMap(ConfigMap),
    /// Ingress.
    Ingress(Box<Ingress>),
    /// IngressClass.
    Class(Class),
}

/// A checked object, and where it was written.
pub(crate) type InUse = crate::store::InUse<Valid>;

/// Labels by their keys.
pub(crate) type Labels = BTreeMap<Arc<str>, Arc<str>>;

/// The labels of an object.
fn labels(metadata: &ObjectMeta) -> Labels {
    let labels = metadata.labels.iter();
    labels
        .map(|(key, value)| (key.as_str().into(), value.as_str().into()))
        .collect()
}

/// Whether the label `k8s-gateway.dns/ignore` keeps an object's hosts out of DNS (`dns 2`).
fn names_are_ignored(metadata: &ObjectMeta) -> bool {
    metadata
        .labels
        .get("k8s-gateway.dns/ignore")
        .is_some_and(|value| value == "true")
}

/// Checks one object: the typed value unless an error refuses it, and everything found.
pub(crate) fn validate(object: &Object, origin: &Origin) -> (Option<Valid>, Vec<Diagnostic>) {
    let mut check = Check::new(object.reference(), origin);
    let created = metadata::metadata(object, &mut check);
    let kind = match object {
        Object::Service(service) => Kind::Service(service::service(service, &mut check)),
        Object::EndpointSlice(slice) => Kind::EndpointSet(endpoints::slice(slice, &mut check)),
        Object::Endpoints(object) => Kind::EndpointSet(endpoints::endpoints(object, &mut check)),
        Object::Pod(pod) => Kind::Pod(pod::pod(pod, &mut check)),
        Object::Node(node) => Kind::Node(node::node(node, &mut check)),
        Object::Namespace(namespace) => Kind::Namespace(labels(&namespace.metadata)),
        Object::Secret(secret) => Kind::Secret(secret::unread(secret, &mut check)),
        Object::ConfigMap(map) => Kind::ConfigMap(secret::config_map(map, &mut check)),
        Object::Ingress(ingress) => Kind::Ingress(Box::new(ingress::ingress(ingress, &mut check))),
        Object::IngressClass(class) => Kind::Class(class::class(class, &mut check)),
    };
    let (good, diagnostics) = check.finish();
    let valid = Valid { name: object.name(), created, kind };
    (good.then_some(valid), diagnostics)
}
