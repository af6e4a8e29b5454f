//! A ServicePort as one view serves it: its sets of endpoints, joined with its living state.
//!
//! The sets (`services 4.1`) are made once, when the view is built. Which of them a flow chooses from
//! is `select`'s, what is learnt of an endpoint by a flow `outcome`'s.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use portico_config::model::{IpFamily, TrafficPolicy};
use portico_config::snapshot::{Endpoint, Place, ServicePort, SetKind, Sets, Traffic};

use super::choice::{Members, Upstream};
use super::registry::{OpenConnection, PortState, Registry};
use super::room::Bounds;
use super::sessions::Sessions;
use super::tally::Tallies;

/// A ServicePort as one view serves it: its sets of endpoints and its living state.
#[derive(Debug)]
pub(crate) struct Port {
    /// For fronts of IPv4 and of IPv6: one for both unless the Service has both families.
    sets: [Arc<Upstreams>; 2],
    /// What lives on between views.
    pub(crate) state: Arc<PortState>,
    /// What the snapshot says of it.
    pub(super) service_port: Arc<ServicePort>,
    /// Clients of Ingress that return.
    pub(super) sessions: Sessions,
}

/// The endpoints behind fronts of one family.
#[derive(Debug)]
pub(super) struct Upstreams {
    /// Those that are not tied to a node.
    pub(super) cluster: Members,
    /// Empty also where no policy asks for it.
    pub(super) local: Members,
    /// Whether any node has an endpoint that could be used.
    pub(super) has_any: bool,
    /// The cursor of the cluster set; that of the local set is the next.
    pub(super) first_cursor: usize,
}

impl Port {
    /// Joins the snapshot's ServicePort, as it is seen from `here`, with its living state. Endpoints
    /// that were not in `before` come now; without one, none is newer than the others.
    pub(crate) fn new(
        service_port: &Arc<ServicePort>,
        here: &Place,
        registry: &mut Registry,
        before: Option<&Self>,
    ) -> Self {
        let traffic = &service_port.traffic;
        let state = registry.port(&service_port.id);
        let now = Instant::now();
        let mut tallies = Tallies::new(registry.counts_endpoints());
        let mut join = |endpoint: &Endpoint| {
            let address = endpoint.address;
            let same = before.map(|before| before.upstream(address));
            let came = same.and_then(|same| same.map_or(Some(now), |same| same.came));
            let tally = tallies.of(address, same.flatten().and_then(|same| same.tally.as_ref()));
            let state = registry.endpoint(address);
            Upstream { address, state, tally, weight: endpoint.weight, came }
        };
        let first = Arc::new(Upstreams::new(service_port, IpFamily::V4, here, &mut join));
        let second = match traffic.families.len() {
            0 | 1 => Arc::clone(&first),
            _ => Arc::new(Upstreams::new(service_port, IpFamily::V6, here, &mut join)),
        };
        let service_port = Arc::clone(service_port);
        let sessions = Sessions::new(registry.session_key());
        Self { sets: [first, second], state, service_port, sessions }
    }

    /// The number of the Service's port.
    pub(crate) fn number(&self) -> u16 {
        self.service_port.port
    }

    /// How its traffic is treated.
    pub(crate) fn traffic(&self) -> &Traffic {
        &self.service_port.traffic
    }

    /// One more open connection of the Service; none where its limit is reached.
    pub(crate) fn open_connection(&self) -> Option<OpenConnection<'_>> {
        OpenConnection::take(&self.state, self.traffic().max_connections)
    }

    /// How many requests each endpoint may have, where `usual` is what settings say.
    pub(crate) fn bounds(&self, usual: Bounds) -> Bounds {
        let Traffic { max_endpoint_requests, max_endpoint_pending, .. } = *self.traffic();
        let or = |own: Option<u32>, usual| own.map_or(usual, |own| own.try_into().unwrap_or(usual));
        Bounds {
            requests: or(max_endpoint_requests, usual.requests),
            pending: or(max_endpoint_pending, usual.pending),
        }
    }

    /// How many requests wait for a place at its endpoints.
    pub(crate) fn waiting(&self) -> u64 {
        self.upstreams()
            .iter()
            .map(|upstream| u64::from(upstream.state.waiting()))
            .sum()
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

    /// The addresses of ready endpoints on this node.
    pub(crate) fn local_ready<'a>(&'a self, here: &'a Place) -> impl Iterator<Item = IpAddr> + 'a {
        let endpoints = self.service_port.endpoints.iter();
        let local = endpoints.filter(|endpoint| endpoint.ready && endpoint.is_on(here));
        local.map(|endpoint| endpoint.address.ip())
    }

    /// Whether any node has an endpoint for fronts of a family: without one, all flows are rejected.
    pub(crate) fn has_any(&self, front: IpAddr) -> bool {
        self.upstreams_of(IpFamily::of(front)).has_any
    }

    /// The cluster set of [`Port::choose`], sorted by address.
    pub(crate) fn upstreams(&self) -> &[Upstream] {
        &self.preferred().cluster.all
    }

    /// Whether an endpoint has this place among [`Port::upstreams`].
    pub(crate) fn is_at(&self, at: usize, upstream: &Upstream) -> bool {
        let found = self.upstreams().get(at);
        found.is_some_and(|it| it.address == upstream.address)
    }

    /// The endpoints of all sets, by address.
    pub(crate) fn all_upstreams(&self) -> BTreeMap<SocketAddr, &Upstream> {
        let sets = self.sets.iter().flat_map(|set| [&set.cluster, &set.local]);
        let all = sets.flat_map(|members| members.all.iter());
        all.map(|upstream| (upstream.address, upstream)).collect()
    }

    /// Those of [`Port::upstreams`] that are put out now.
    pub(crate) fn out(&self, now: Instant) -> impl Iterator<Item = SocketAddr> {
        let all = self.upstreams().iter();
        all.filter(move |it| it.state.is_out(now))
            .map(|it| it.address)
    }

    /// The primary family's endpoints; the other's where it has none.
    pub(super) fn preferred(&self) -> &Upstreams {
        let families = &self.service_port.traffic.families;
        let primary = families.first().copied().unwrap_or(IpFamily::V4);
        let first = self.upstreams_of(primary);
        if first.has_any { first } else { self.upstreams_of(primary.other()) }
    }

    /// The endpoints behind fronts of a family.
    pub(super) fn upstreams_of(&self, family: IpFamily) -> &Upstreams {
        match family {
            IpFamily::V4 => &self.sets[0],
            IpFamily::V6 => &self.sets[1],
        }
    }

    /// An endpoint of any of its sets.
    pub(crate) fn upstream(&self, address: SocketAddr) -> Option<&Upstream> {
        let sets = self.sets.iter().flat_map(|set| [&set.cluster, &set.local]);
        let mut found = sets.filter_map(|members| {
            let at = members.all.binary_search_by(|it| it.address.cmp(&address));
            members.all.get(at.ok()?)
        });
        found.next()
    }
}

impl Upstreams {
    fn new(
        port: &ServicePort,
        family: IpFamily,
        here: &Place,
        join: &mut impl FnMut(&Endpoint) -> Upstream,
    ) -> Self {
        let sets = port.sets(family, here);
        let Sets { cluster, local, has_any, .. } = &sets;
        let Traffic { internal, external, balance, .. } = *port.traffic;
        let mut members = |set: &[usize]| {
            let endpoints = set.iter().filter_map(|at| port.endpoints.get(*at));
            Members::new(endpoints.map(&mut *join).collect(), balance)
        };
        let uses_local = [internal, external].contains(&TrafficPolicy::Local);
        let local = if uses_local { &local[..] } else { &[] };
        Self {
            cluster: members(cluster),
            local: members(local),
            has_any: *has_any,
            first_cursor: if family == IpFamily::V4 { 0 } else { 2 },
        }
    }

    /// One of both sets.
    pub(super) fn of(&self, set: SetKind) -> &Members {
        match set {
            SetKind::Cluster => &self.cluster,
            SetKind::Local => &self.local,
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use portico_config::model::{ObjectName, Protocol};
    use portico_config::snapshot::PortId;

    use super::super::choice::Caller;
    use super::*;

    fn endpoint(address: &str, node: &str) -> Endpoint {
        Endpoint { node: Some(node.into()), ..Endpoint::at(address.parse().unwrap()) }
    }

    pub(in crate::upstream) fn port(traffic: Traffic, endpoints: &[(&str, &str)]) -> Port {
        let name = ObjectName::new("default", "web");
        let id = PortId { service: name, name: "".into(), protocol: Protocol::Tcp };
        let port = ServicePort {
            id: Arc::new(id),
            port: 80,
            node_port: Some(30_080),
            endpoints: endpoints
                .iter()
                .map(|(at, node)| endpoint(at, node))
                .collect(),
            traffic: Arc::new(traffic),
        };
        Port::new(&Arc::new(port), &here(), &mut Registry::default(), None)
    }

    pub(in crate::upstream) fn here() -> Place {
        Place { node: Some("n1".into()), ..Place::default() }
    }

    pub(in crate::upstream) fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    pub(in crate::upstream) fn caller() -> Caller {
        Caller { client: ip("198.51.100.1"), now: Instant::now() }
    }

    #[test]
    fn an_endpoint_that_left_and_came_back_is_another_and_others_are_not() {
        let traffic =
            Traffic { affinity_timeout: Some(Duration::from_secs(10)), ..Traffic::default() };
        let service_port = |count| {
            let all = [("10.0.0.1:80", "n1"), ("10.0.0.2:80", "n1")];
            Arc::clone(&port(traffic.clone(), &all[..count]).service_port)
        };
        let mut registry = Registry::default();
        let mut next = |count, before: Option<&Port>| {
            Port::new(&service_port(count), &here(), &mut registry, before)
        };
        let first = next(2, None);
        let second = next(1, Some(&first));
        let third = next(2, Some(&second));
        let came = |port: &Port| -> Vec<bool> {
            port.upstreams()
                .iter()
                .map(|it| it.came.is_some())
                .collect()
        };
        assert_eq!(came(&first), [false, false], "with their Service");
        assert_eq!(came(&second), [false], "it stayed");
        assert_eq!(came(&third), [false, true], "it came");
        let state = |port: &Port, at: usize| Arc::as_ptr(&port.upstreams()[at].state);
        assert_eq!(state(&first, 0), state(&third, 0), "one state for each endpoint");
    }
}
