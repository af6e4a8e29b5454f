//! Fronts: the addresses on which L4 serves a ServicePort.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::model::Protocol;
use crate::snapshot::service::PortId;

/// One (address, protocol, port) on which a ServicePort is reachable.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Front {
    /// Where it listens.
    pub address: SocketAddr,
    /// TCP or UDP; SCTP has no front.
    pub protocol: Protocol,
    /// Why it exists.
    pub kind: FrontKind,
    /// What stands behind it, by name: a front stays the same when its endpoints change.
    pub port: Arc<PortId>,
}

/// Why a front exists.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum FrontKind {
    /// The Service's own address.
    ClusterIp,
    /// `nodePort` on a node address.
    NodePort,
}

impl FrontKind {
    /// As users read it: `ClusterIP`, `NodePort`.
    pub fn label(self) -> &'static str {
        match self {
            Self::ClusterIp => "ClusterIP",
            Self::NodePort => "NodePort",
        }
    }
}
