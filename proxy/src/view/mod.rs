//! The snapshot joined with living state: what workers read, once per connection or request.
//!
//! ```text
//! front ─▶ Slot ─┐
//!                ├─▶ ports of this view ─▶ Arc<Port>
//! route ─▶ Slot ─┘
//! ```
//!
//! Built on the control side by [`Builder`]; immutable. Fronts and routes name their port by its
//! place in the view's own list, so a reload that moves endpoints makes one new [`Port`] and shares
//! all else, and whoever loads a view still sees all of it at one moment. A worker loads it with
//! one atomic load, and after the choice holds only the `Arc` of its port. Workers never free a
//! view: [`Retired`] does, on the control side.

mod build;
mod rule;
mod retired;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use portico_config::model::{
    ClientAuth, HostSuites, ObjectName, PathKind, Policy, Protocol, ServiceAddress,
};
use portico_config::snapshot::{self, CertificateTable, Cluster, FrontKind, Place, Tcp};
use portico_net::copy::Patience;

use crate::ledger::Ledger;
use crate::limiter::Limiter;
use crate::upstream::{Port, Refusal, Way};

pub(crate) use build::Builder;
pub(crate) use retired::Retired;
pub(crate) use rule::Rule;

type FastMap<K, V> = HashMap<K, V, foldhash::fast::RandomState>;

/// Everything that a worker needs to serve.
#[derive(Debug, Default)]
pub(crate) struct View {
    /// Every ServicePort; a slot without one waits for the next that comes.
    ports: Box<[Option<Arc<Port>>]>,
    /// What stands behind each L4 front.
    fronts: Arc<Fronts>,
    /// What each health check counts.
    checks: Arc<Checks>,
    /// Who is a Pod, and where this host is.
    cluster: Arc<Cluster>,
    /// This host's place, out of `cluster`.
    here: Arc<Place>,
    /// What settings say about connections.
    tcp: Arc<Tcp>,
    /// Ingress rules.
    pub(crate) routes: Arc<Routes>,
    /// What clients asked of Ingresses with limits.
    limiters: Arc<Limiters>,
    /// Ports of Services that policies name.
    services: Arc<Services>,
    /// Certificates.
    pub(crate) certificates: Arc<CertificateTable>,
}

type Checks = FastMap<SocketAddr, (ObjectName, Box<[Slot]>)>;
type Services = FastMap<ServiceAddress, Slot>;
type Limiters = FastMap<ObjectName, Arc<Limiter>>;
type Fronts = FastMap<(SocketAddr, Protocol), (Slot, FrontKind)>;

/// A new flow at a front, and whether it is let in.
#[derive(Debug)]
pub(crate) struct Admission {
    /// What stands behind the front.
    pub(crate) port: Arc<Port>,
    /// From which of its sets the flow may choose, or why not.
    pub(crate) way: Result<Way, Refusal>,
}

/// The place of a ServicePort in the list of its view; the same in the next one while it exists.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Slot(usize);

/// The snapshot's route table with its backends resolved to slots.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    /// By exact host.
    pub(crate) exact: FastMap<Arc<str>, Arc<Host>>,
    /// By suffix of a wildcard host.
    pub(crate) wildcard: FastMap<Arc<str>, Arc<Host>>,
    /// Host-less rules.
    pub(crate) any: Option<Arc<Host>>,
    /// Whether any host asks something of TLS before the handshake.
    pub(crate) asks_of_tls: bool,
}

/// One host: the first location that matches is used.
#[derive(Debug)]
pub(crate) struct Host {
    /// In order of precedence.
    pub(crate) locations: Box<[Location]>,
    /// Where no location matches; none: 404.
    pub(crate) default_target: Option<Target<Slot>>,
    /// What is asked of requests that go there; none: nothing.
    pub(crate) default_policy: Option<Arc<Policy>>,
    /// What is asked of clients' certificates.
    pub(crate) clients: Option<Arc<ClientAuth>>,
    /// Which cipher suites are spoken.
    pub(crate) suites: Option<Arc<HostSuites>>,
    /// Where TLS goes as it comes.
    pub(crate) passed_to: Option<Target<Slot>>,
    /// What they are called.
    pub(crate) default_rule: Option<Arc<Rule>>,
}

/// One location.
#[derive(Debug)]
pub(crate) struct Location {
    /// How `path` is compared.
    pub(crate) kind: PathKind,
    /// As written.
    pub(crate) path: Arc<str>,
    /// Where it goes.
    pub(crate) target: Target<Slot>,
    /// What is asked of its requests; none: nothing.
    pub(crate) policy: Option<Arc<Policy>>,
    /// Where some of them go instead.
    pub(crate) canary: Option<Box<Canary>>,
    /// What they are called.
    pub(crate) rule: Arc<Rule>,
}

/// The alternative of a location.
#[derive(Debug)]
pub(crate) struct Canary {
    /// Who gets it.
    pub(crate) of: Arc<snapshot::Canary>,
    /// Where they go.
    pub(crate) target: Target<Slot>,
    /// What they are called.
    pub(crate) rule: Arc<Rule>,
}

/// Where requests go: by `Slot` in routes, by `Arc<Port>` once a view was asked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Target<P> {
    /// To an endpoint of this port.
    Port(P),
    /// 503: Service or port does not exist.
    Missing,
    /// 404: portico serves no resource backend.
    Resource,
}

impl View {
    /// What becomes of a new flow from `source` at a front; none: the front is gone.
    pub(crate) fn admit(
        &self,
        (front, protocol): (SocketAddr, Protocol),
        source: IpAddr,
    ) -> Option<Admission> {
        let (port, kind) = self.front(front, protocol)?;
        let way = port.admit(kind, (front.ip(), source), (&self.cluster, &self.here));
        Some(Admission { port: Arc::clone(port), way })
    }

    /// What stands behind a front, and why the front exists.
    pub(crate) fn front(
        &self,
        address: SocketAddr,
        protocol: Protocol,
    ) -> Option<(&Arc<Port>, FrontKind)> {
        let (slot, kind) = self.fronts.get(&(address, protocol))?;
        Some((self.port(*slot)?, *kind))
    }

    /// Whose health check listens at an address, and how many local endpoints the Service has: ready
    /// ones by their IP address, over all ports (`services 4.8`).
    pub(crate) fn health(&self, address: SocketAddr) -> Option<(&ObjectName, usize)> {
        let (service, slots) = self.checks.get(&address)?;
        let ports = slots.iter().filter_map(|slot| self.port(*slot));
        let local: HashSet<IpAddr> = ports
            .flat_map(|port| port.local_ready(&self.here))
            .collect();
        Some((service, local.len()))
    }

    /// The port that a route of this very view names.
    pub(crate) fn resolve(&self, target: &Target<Slot>) -> Target<Arc<Port>> {
        match target {
            Target::Port(slot) => match self.port(*slot) {
                Some(port) => Target::Port(Arc::clone(port)),
                None => Target::Missing,
            },
            Target::Missing => Target::Missing,
            Target::Resource => Target::Resource,
        }
    }

    /// What clients asked of an Ingress; none: it has no limits.
    pub(crate) fn limiter(&self, ingress: &ObjectName) -> Option<&Arc<Limiter>> {
        self.limiters.get(ingress)
    }

    /// The port of a Service that a policy of this very view names.
    pub(crate) fn service(&self, address: &ServiceAddress) -> Option<&Arc<Port>> {
        self.port(*self.services.get(address)?)
    }

    /// How long connections through fronts may carry nothing.
    pub(crate) fn patience(&self) -> Patience {
        let Tcp { idle_timeout, half_closed_timeout, .. } = *self.tcp;
        Patience { idle: idle_timeout, half_closed: half_closed_timeout }
    }

    /// Whether a peer may say for whom its connections stand.
    pub(crate) fn trusts(&self, peer: IpAddr) -> bool {
        self.tcp.trusts(peer)
    }

    /// Every ServicePort.
    pub(crate) fn ports(&self) -> impl Iterator<Item = &Arc<Port>> {
        self.ports.iter().flatten()
    }

    /// What the requests of every rule came to; some have one for several.
    pub(crate) fn ledgers(&self) -> impl Iterator<Item = &Arc<Ledger>> {
        let Routes { exact, wildcard, any, .. } = &*self.routes;
        let hosts = exact.values().chain(wildcard.values()).chain(any);
        let rules = hosts.flat_map(|host| {
            let locations = host.locations.iter().flat_map(|location| {
                let canary = location.canary.as_ref().map(|canary| &canary.rule);
                [Some(&location.rule), canary].into_iter().flatten()
            });
            locations.chain(&host.default_rule)
        });
        rules.map(|rule| &rule.ledger)
    }

    fn port(&self, slot: Slot) -> Option<&Arc<Port>> {
        self.ports.get(slot.0)?.as_ref()
    }
}
