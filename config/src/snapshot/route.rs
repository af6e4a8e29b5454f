//! Ingress rules of all objects, merged per host and put in the order of precedence.
//!
//! Data only: matching a request is `proxy::l7::route`'s work. Host comes first (exact, then the
//! one-label wildcard, then host-less) and is final; within a host the first location that matches
//! wins, so `compile` has sorted them: longer path (without trailing `/`), Exact before Prefix,
//! longer raw text (`ingress 1.3`), or as ingress-nginx would (`ingress 2.2`).

use std::collections::HashMap;
use std::sync::Arc;

use crate::model::{
    Balancing, CanaryRule, ClientAuth, HostPattern, HostSuites, ObjectName, PathKind, Policy,
};
use crate::snapshot::service::{PortId, ServicePort};

/// All hosts.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RouteTable {
    /// Rules of exact hosts, by lower-case name.
    pub exact: HashMap<Arc<str>, Arc<Host>, foldhash::fast::RandomState>,
    /// Rules of `*.suffix`, by lower-case suffix.
    pub wildcard: HashMap<Arc<str>, Arc<Host>, foldhash::fast::RandomState>,
    /// Host-less rules, and the catch-all default backend of Ingresses without rules.
    pub any: Option<Arc<Host>>,
    /// Ports of hosts that are in no manifest, which backends name like those of Services; sorted.
    pub outside: Vec<OutsidePort>,
    /// Every Ingress in object order, those of others too: for lists, not for requests.
    pub claims: Vec<Claim>,
}

/// A port of a host that is in no manifest, to which an ExternalName Service leads (`ingress 1.5`).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OutsidePort {
    /// Its name, or its address.
    pub host: Arc<str>,
    /// The addresses where it was found, as far as they may be dialed, as endpoints. It is called by
    /// the ExternalName Service and the number of the port.
    pub port: Arc<ServicePort>,
}

/// Whose an Ingress is (`ingress 1.7`).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Claim {
    /// The Ingress.
    pub ingress: ObjectName,
    /// The class that it names.
    pub class: Option<Arc<str>>,
    /// Why portico does not serve it; none: it does.
    pub left: Option<Left>,
    /// Its paths that another Ingress serves.
    pub shadowed: Vec<Shadowed>,
}

impl Claim {
    /// Whether portico serves it.
    pub fn is_ours(&self) -> bool {
        self.left.is_none()
    }
}

/// Why an Ingress is left to another controller.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Left {
    /// The controller of its class; none: nobody's is known.
    pub to: Option<Arc<str>>,
    /// In words.
    pub why: Arc<str>,
}

/// A path that another Ingress serves, which comes first in object order (`ingress 1.4`).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Shadowed {
    /// Of which host.
    pub host: HostPattern,
    /// How it is compared.
    pub kind: PathKind,
    /// As written.
    pub path: Arc<str>,
    /// Who serves it.
    pub by: ObjectName,
}

impl RouteTable {
    /// Every host, exact ones first, each kind sorted by name: for lists, not for requests.
    pub fn hosts(&self) -> Vec<&Arc<Host>> {
        let mut hosts: Vec<_> = self.exact.values().chain(self.wildcard.values()).collect();
        hosts.sort_by(|a, b| b.pattern.cmp(&a.pattern));
        hosts.extend(&self.any);
        hosts
    }
}

/// The rules of one host.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Host {
    /// The host as written, lower case.
    pub pattern: HostPattern,
    /// Its locations in order of precedence: the first that matches is used.
    pub locations: Vec<Location>,
    /// What serves a path that no location matches, already resolved through the chain host
    /// default, catch-all Ingress; none: 404 (`ingress 1.5`).
    pub default_backend: Option<Backend>,
    /// What the Ingress of `default_backend` asks of requests that go there.
    pub default_policy: Arc<Policy>,
    /// What is asked of clients' certificates; none: nobody asks for any.
    pub clients: Option<Arc<ClientAuth>>,
    /// Which cipher suites are spoken; none: all, in the client's order.
    pub suites: Option<Arc<HostSuites>>,
    /// Where TLS goes as it comes; none: it ends here.
    pub passed_to: Option<Backend>,
    /// That Ingress; none: settings say it, or nothing.
    pub default_ingress: Option<ObjectName>,
    /// Whether its paths are compared as ingress-nginx compares them (`ingress 2.2`).
    pub is_nginx: bool,
}

/// One host + pathType + path.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Location {
    /// How `path` is compared.
    pub kind: PathKind,
    /// The path as written; begins with `/`.
    pub path: Arc<str>,
    /// Where the request goes.
    pub backend: Backend,
    /// The Ingress that wrote it.
    pub ingress: ObjectName,
    /// What its annotations ask of every request.
    pub policy: Arc<Policy>,
    /// Where some of its requests go instead.
    pub canary: Option<Arc<Canary>>,
}

/// The alternative of a location: another Ingress with the same host, type and path.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Canary {
    /// Who gets it.
    pub rule: CanaryRule,
    /// Where they go; where it has no endpoint, they go the usual way.
    pub backend: Backend,
    /// The Ingress that wrote it.
    pub ingress: ObjectName,
    /// How its endpoints are chosen.
    pub balancing: Balancing,
}

/// Where requests of a location go.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Backend {
    /// To the usable endpoints of a ServicePort, by name: rules stay the same when endpoints change.
    /// None usable: 503.
    Service(Arc<PortId>),
    /// Service or port does not exist (yet), with the reason in words: 503.
    Missing(Arc<str>),
    /// A `resource` backend: portico serves no resource kind: 404.
    Resource,
}
