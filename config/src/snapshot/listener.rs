//! Fronts: the addresses on which L4 serves a ServicePort; and health checks of Services.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::model::{ObjectName, Protocol};
use crate::snapshot::service::PortId;

/// One (address, protocol, port) on which a ServicePort is reachable.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Front {
    /// Where it listens.
    pub address: SocketAddr,
    /// TCP or UDP; SCTP has no front that listens.
    pub protocol: Protocol,
    /// Why it exists.
    pub kind: FrontKind,
    /// What stands behind it, by name: a front stays the same when its endpoints change.
    pub port: Arc<PortId>,
}

/// A `healthCheckNodePort` on a node address: tells a load balancer whether this node has endpoints.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HealthCheck {
    /// Where it listens.
    pub address: SocketAddr,
    /// Whose it is.
    pub service: ObjectName,
    /// The ports whose local endpoints count.
    pub ports: Vec<Arc<PortId>>,
}

/// Why a front exists (`services 4.4`).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum FrontKind {
    /// The Service's own address: the only internal one.
    ClusterIp,
    /// `nodePort` on a node address.
    NodePort,
    /// An address of `spec.externalIPs`.
    ExternalIp,
    /// An address of `status.loadBalancer.ingress` that nodes accept themselves.
    LoadBalancer,
}

impl FrontKind {
    /// As users read it: `ClusterIP`, `NodePort`, `ExternalIP`, `LoadBalancer`.
    pub fn label(self) -> &'static str {
        match self {
            Self::ClusterIp => "ClusterIP",
            Self::NodePort => "NodePort",
            Self::ExternalIp => "ExternalIP",
            Self::LoadBalancer => "LoadBalancer",
        }
    }

    /// Whether clients inside come to it: `internalTrafficPolicy` is about it, and all others are
    /// `externalTrafficPolicy`'s.
    pub fn is_internal(self) -> bool {
        self == Self::ClusterIp
    }
}
