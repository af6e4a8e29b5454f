//! Where traffic of a ServicePort can go.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::model::IpFamily;
use crate::snapshot::Place;

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
    /// `hints`: for whom it is meant; none: for anybody, which switches hints off for all.
    pub hints: Option<Arc<Hints>>,
    /// Its part of new traffic beside the others', `0..=256`; annotation `portico.dev/weight`, 1 if
    /// absent. 0: none while another takes it.
    pub weight: u16,
}

impl Endpoint {
    /// A ready endpoint of which nothing but its address is known.
    pub fn at(address: SocketAddr) -> Self {
        Self {
            address,
            ready: true,
            serving: true,
            terminating: false,
            node: None,
            zone: None,
            label: dashed(address.ip()),
            pod: None,
            hints: None,
            weight: 1,
        }
    }

    /// Whether new traffic may go to it at all: ready, or serving while it terminates.
    pub fn is_usable(&self) -> bool {
        self.ready || self.is_last_resort()
    }

    /// Whether it is used where none is ready.
    pub fn is_last_resort(&self) -> bool {
        self.serving && self.terminating
    }

    /// The family of its address.
    pub fn family(&self) -> IpFamily {
        IpFamily::of(self.address.ip())
    }

    /// Whether it is local to a node; a place without a name has nothing (`services 2.2`).
    pub fn is_on(&self, place: &Place) -> bool {
        place.node.is_some() && self.node == place.node
    }

    /// Nodes that it is meant for.
    pub fn hinted_nodes(&self) -> &[Arc<str>] {
        self.hints.as_ref().map_or(&[], |hints| &hints.nodes)
    }

    /// Zones that it is meant for.
    pub fn hinted_zones(&self) -> &[Arc<str>] {
        self.hints.as_ref().map_or(&[], |hints| &hints.zones)
    }
}

/// The DNS label of an address (`dns 1.3.4`): `2001:db8::` is `2001-db8--0`.
pub(crate) fn dashed(address: IpAddr) -> Arc<str> {
    let mut label = address.to_string().replace(['.', ':'], "-");
    if label.ends_with('-') {
        label.push('0');
    }
    label.into()
}

/// `discovery/v1 EndpointHints`.
#[derive(Clone, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Hints {
    /// `forZones`; empty: no hint.
    pub zones: Vec<Arc<str>>,
    /// `forNodes`; empty: no hint.
    pub nodes: Vec<Arc<str>>,
}

/// A ready address behind a Service with its DNS label, whatever ports it has.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct NamedAddress {
    /// The label under the Service's name.
    pub label: Arc<str>,
    /// The address.
    pub address: IpAddr,
}
