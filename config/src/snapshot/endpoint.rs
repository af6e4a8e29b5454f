//! Where traffic of a ServicePort can go.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// One endpoint of one ServicePort (`discovery/v1 Endpoint` × `EndpointPort`).
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Endpoint {
    /// The pod's address and target port: the endpoint's identity.
    pub address: SocketAddr,
    /// `conditions.ready`, absent counts as true.
    pub ready: bool,
    /// `conditions.serving`, absent counts as true.
    pub serving: bool,
    /// `conditions.terminating`, absent counts as false.
    pub terminating: bool,
    /// `nodeName`.
    pub node: Option<Arc<str>>,
    /// `zone`.
    pub zone: Option<Arc<str>>,
    /// DNS label under the Service: `hostname`, else the dashed address (`dns 1.3`).
    pub label: Arc<str>,
    /// The Pod behind it, where the manifest says so: shown, never used to decide.
    pub pod: Option<Arc<str>>,
}

/// A ready address behind a Service with its DNS label, whatever ports it has.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct NamedAddress {
    /// The label under the Service's name.
    pub label: Arc<str>,
    /// The address.
    pub address: IpAddr,
}
