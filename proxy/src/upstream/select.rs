//! Which endpoint a flow goes to: exact round robin, and whom to try next if it does not answer.
//!
//! Pure but for the one shared cursor. The set itself (`services 4.1`) is decided when the view is
//! built, not per flow.

use std::net::SocketAddr;
use std::sync::Arc;

use portico_config::snapshot::ServicePort;

use super::registry::{PortState, Registry};

/// A ServicePort as one view serves it: its usable endpoints and its living state.
#[derive(Debug)]
pub(crate) struct Port {
    /// The endpoints that new flows may go to, sorted by address.
    pub(crate) upstreams: Box<[Upstream]>,
    /// What lives on between views.
    pub(crate) state: Arc<PortState>,
    /// What the snapshot says of it.
    service_port: Arc<ServicePort>,
}

/// One usable endpoint.
#[derive(Clone, Debug)]
pub(crate) struct Upstream {
    /// Where to dial: the endpoint's identity.
    pub(crate) address: SocketAddr,
}

impl Port {
    /// Joins the snapshot's ServicePort with its living state.
    pub(crate) fn new(service_port: &Arc<ServicePort>, registry: &mut Registry) -> Self {
        let upstreams = service_port
            .usable()
            .map(|endpoint| Upstream { address: endpoint.address })
            .collect();
        let state = registry.port(&service_port.id);
        Self { upstreams, state, service_port: Arc::clone(service_port) }
    }

    /// Whether an endpoint still serves, usable for new flows or not (`services 4.7`).
    pub(crate) fn serves(&self, endpoint: SocketAddr) -> bool {
        let endpoints = &self.service_port.endpoints;
        let found = endpoints.binary_search_by(|it| it.address.cmp(&endpoint));
        found
            .ok()
            .and_then(|index| endpoints.get(index))
            .is_some_and(|it| it.serving || it.ready)
    }

    /// Takes the next turn: every usable endpoint once, beginning with the one whose turn it is.
    /// Empty if none is usable.
    pub(crate) fn choose(&self) -> Choice<'_> {
        let count = self.upstreams.len();
        let first = match count {
            0 | 1 => 0,
            _ => usize::try_from(self.state.next_turn() % count as u64).unwrap_or(0),
        };
        Choice { upstreams: &self.upstreams, first, taken: 0 }
    }
}

/// The endpoints of one flow in the order to try them, each once.
#[derive(Clone, Debug)]
pub(crate) struct Choice<'a> {
    upstreams: &'a [Upstream],
    first: usize,
    taken: usize,
}

impl<'a> Iterator for Choice<'a> {
    type Item = &'a Upstream;

    fn next(&mut self) -> Option<&'a Upstream> {
        if self.taken == self.upstreams.len() {
            return None;
        }
        let index = (self.first + self.taken) % self.upstreams.len();
        self.taken += 1;
        self.upstreams.get(index)
    }
}
