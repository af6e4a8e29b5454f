//! A Service as the planes see it: how it is reached, its ports and who stands behind them.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use crate::model::{ObjectName, Protocol};
use crate::snapshot::endpoint::{Endpoint, NamedAddress};

/// One Service.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Service {
    /// Namespace and name.
    pub name: ObjectName,
    /// How clients come to it.
    pub reach: Reach,
    /// Its ports in the manifest's order; empty for a headless Service without ports.
    pub ports: Vec<Arc<ServicePort>>,
    /// Every ready address behind it with its DNS label, also where no port is named; sorted.
    pub addresses: Vec<NamedAddress>,
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
}

impl ServicePort {
    /// The endpoints that new traffic may be sent to (`services 4.1`): the ready ones; where none
    /// is ready, those that still serve while they terminate.
    pub fn usable(&self) -> impl Iterator<Item = &Endpoint> {
        let any_ready = self.endpoints.iter().any(|endpoint| endpoint.ready);
        self.endpoints.iter().filter(move |endpoint| {
            if any_ready { endpoint.ready } else { endpoint.serving && endpoint.terminating }
        })
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
    /// NodePorts by Service and port number.
    pub node_ports: BTreeMap<(ObjectName, u16), u16>,
}
