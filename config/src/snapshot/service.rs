//! A Service as the planes see it: how it is reached, its ports and who stands behind them.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use crate::model::{Balance, IpFamily, ObjectName, Protocol, ProxyProtocol, TrafficPolicy};
use crate::snapshot::endpoint::{Endpoint, NamedAddress};
use crate::snapshot::listener::FrontKind;

/// One Service.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Service {
    /// Namespace and name.
    pub name: ObjectName,
    /// How clients come to it.
    pub reach: Reach,
    /// Whether its endpoints are those Pods that a selector finds.
    pub has_selector: bool,
    /// Whether settings leave it without names, by its labels.
    pub is_nameless: bool,
    /// Its ports in the manifest's order; empty for a headless Service without ports.
    pub ports: Vec<Arc<ServicePort>>,
    /// Every ready address behind it with its DNS label, also where no port is named; sorted.
    pub addresses: Vec<NamedAddress>,
    /// How its traffic is treated.
    pub traffic: Arc<Traffic>,
}

/// How a Service is reached.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Reach {
    /// Through these addresses, one per family: those on which portico really listens.
    ClusterIp(Vec<IpAddr>),
    /// By name only; the name answers the endpoints (`clusterIP: None`).
    Headless,
    /// By name only; the name is an alias of this one (`spec.externalName`, no trailing dot).
    ExternalName(Arc<str>),
}

/// One port of a Service: what L4 fronts and Ingress backends lead to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServicePort {
    /// The key of living state: it survives generations.
    pub id: Arc<PortId>,
    /// `ServicePort.port`, `1..=65535`.
    pub port: u16,
    /// `ServicePort.nodePort`, given or allocated.
    pub node_port: Option<u16>,
    /// Every known endpoint of the port, ready or not, sorted by address, each once.
    pub endpoints: Vec<Endpoint>,
    /// How its traffic is treated: the Service's own.
    pub traffic: Arc<Traffic>,
}

impl ServicePort {
    /// The endpoints that new traffic may be sent to, wherever it comes from and goes in: the ready
    /// ones; where none is ready, those that still serve while they terminate. [`Sets`] says which of
    /// them a flow may choose.
    ///
    /// [`Sets`]: crate::snapshot::Sets
    pub fn usable(&self) -> impl Iterator<Item = &Endpoint> {
        let any_ready = self.endpoints.iter().any(|endpoint| endpoint.ready);
        self.endpoints.iter().filter(move |endpoint| {
            if any_ready { endpoint.ready } else { endpoint.is_last_resort() }
        })
    }
}

/// How a Service's traffic is treated: the same for each of its ports.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Traffic {
    /// Families in which it has endpoints, the primary one first; empty: whatever there is.
    pub families: Vec<IpFamily>,
    /// `internalTrafficPolicy`: of the ClusterIP.
    pub internal: TrafficPolicy,
    /// `externalTrafficPolicy`: of every other front.
    pub external: TrafficPolicy,
    /// `externalIPs`.
    pub external_ips: Vec<IpAddr>,
    /// Addresses of `status.loadBalancer.ingress` that nodes accept themselves (`ipMode: VIP`),
    /// where the status counts at all.
    pub load_balancer_ips: Vec<IpAddr>,
    /// `loadBalancerSourceRanges`: who may come in by a load balancer's address; empty: everybody.
    pub source_ranges: Vec<IpNet>,
    /// `sessionAffinity: ClientIP`: how long a client keeps its endpoint after its last new
    /// connection; none: it has none.
    pub affinity_timeout: Option<Duration>,
    /// Annotation `portico.dev/balance`: who is next among the endpoints of a set.
    pub balance: Balance,
    /// Annotation `portico.dev/slow-start`: how long an endpoint that came has less than its part;
    /// zero: at once all of it.
    pub slow_start: Duration,
    /// `healthCheckNodePort`, given or allocated: with type LoadBalancer and external policy Local.
    pub health_check_node_port: Option<u16>,
    /// `portico.dev/max-connections`: connections that may be open at once through the Service's
    /// fronts, `1..=1_000_000`; none: no limit.
    pub max_connections: Option<u32>,
    /// `portico.dev/max-endpoint-requests`: requests of Ingress that one endpoint may have at once,
    /// `1..=1_000_000`; none: what settings say.
    pub max_endpoint_requests: Option<u32>,
    /// `portico.dev/max-endpoint-pending`: requests that may wait for a place there, `0..=1_000_000`;
    /// none: what settings say.
    pub max_endpoint_pending: Option<u32>,
    /// `portico.dev/proxy-protocol`.
    pub proxy_protocol: ProxyProtocol,
    /// Label `service-proxy-name`: another proxy serves it, and it has no fronts here.
    pub other_proxy: Option<Arc<str>>,
}

impl Traffic {
    /// The family of the endpoints behind fronts of a family: their own where the Service has it,
    /// else the Service's primary one, since a userspace proxy may cross; none: any.
    pub fn endpoint_family(&self, front: IpFamily) -> Option<IpFamily> {
        let own = self.families.iter().find(|family| **family == front);
        own.or_else(|| self.families.first()).copied()
    }

    /// The policy of a front.
    pub fn policy(&self, kind: FrontKind) -> TrafficPolicy {
        if kind.is_internal() { self.internal } else { self.external }
    }
}

/// `namespace/name:port/protocol`: what round-robin cursors, health and metrics are keyed by.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct PortId {
    /// The Service.
    pub service: ObjectName,
    /// `ServicePort.name`, empty for the unnamed port.
    pub name: Arc<str>,
    /// `ServicePort.protocol`.
    pub protocol: Protocol,
}

impl fmt::Display for PortId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}/{}", self.service, self.name, self.protocol)
    }
}

/// What was allocated because manifests were silent: kept over generations and, with a state
/// folder, over restarts.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Assignments {
    /// ClusterIPs by Service, in the order of its families.
    pub cluster_ips: BTreeMap<ObjectName, Vec<IpAddr>>,
    /// NodePorts by Service and port number; 0 is its healthCheckNodePort.
    pub node_ports: BTreeMap<(ObjectName, u16), u16>,
}
