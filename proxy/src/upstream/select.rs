//! Which endpoint a flow goes to: exact round robin, and whom to try next if it does not answer.
//!
//! ```text
//! front, source ─▶ Port::admit ─▶ Way ─▶ Port::choose_from ─▶ Choice
//!                      └─ Refusal                   HTTP ─▶ Port::choose ─┘
//! ```
//!
//! Pure but for the cursors, one for each set, so that turns are exact in each. The sets themselves
//! (`services 4.1`) are made when the view is built, and the rules are those of
//! [`portico_config::snapshot::decide`]: what `portico explain` says is what happens.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use portico_config::model::{IpFamily, TrafficPolicy};
use portico_config::snapshot::decide::{Source, admits, choose, verdict};
use portico_config::snapshot::{
    Cluster, FrontKind, Place, ServicePort, SetKind, Sets, Traffic, Verdict,
};

use super::registry::{OpenConnection, PortState, Registry};

/// A ServicePort as one view serves it: its sets of endpoints and its living state.
#[derive(Debug)]
pub(crate) struct Port {
    /// For fronts of IPv4 and of IPv6: one for both unless the Service has both families.
    sets: [Arc<Upstreams>; 2],
    /// What lives on between views.
    pub(crate) state: Arc<PortState>,
    /// What the snapshot says of it.
    service_port: Arc<ServicePort>,
}

/// The endpoints behind fronts of one family.
#[derive(Debug)]
struct Upstreams {
    cluster: Box<[Upstream]>,
    /// Empty also where no policy asks for it.
    local: Box<[Upstream]>,
    has_any: bool,
    /// The cursor of the cluster set; that of the local set is the next.
    first_cursor: usize,
}

/// One usable endpoint.
#[derive(Clone, Debug)]
pub(crate) struct Upstream {
    /// Where to dial: the endpoint's identity.
    pub(crate) address: SocketAddr,
}

/// Which set a flow chooses from, once it was let in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Way {
    family: IpFamily,
    set: SetKind,
}

/// Why a flow was not let in (`services 4.2`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Refusal {
    /// Refuse it at once: no node has an endpoint.
    Reject,
    /// Give no answer, as far as that can be: none here, or the source may not come in.
    Drop,
}

impl Port {
    /// Joins the snapshot's ServicePort, as it is seen from `here`, with its living state.
    pub(crate) fn new(
        service_port: &Arc<ServicePort>,
        here: &Place,
        registry: &mut Registry,
    ) -> Self {
        let traffic = &service_port.traffic;
        let first = Arc::new(Upstreams::new(service_port, IpFamily::V4, here));
        let second = match traffic.families.len() {
            0 | 1 => Arc::clone(&first),
            _ => Arc::new(Upstreams::new(service_port, IpFamily::V6, here)),
        };
        let state = registry.port(&service_port.id);
        let service_port = Arc::clone(service_port);
        Self { sets: [first, second], state, service_port }
    }

    /// How its traffic is treated.
    pub(crate) fn traffic(&self) -> &Traffic {
        &self.service_port.traffic
    }

    /// One more open connection of the Service; none where its limit is reached.
    pub(crate) fn open_connection(&self) -> Option<OpenConnection<'_>> {
        OpenConnection::take(&self.state, self.traffic().max_connections)
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

    /// Lets a flow in that comes to a front of this port, or says why not.
    pub(crate) fn admit(
        &self,
        kind: FrontKind,
        (front, source): (IpAddr, IpAddr),
        (cluster, here): (&Cluster, &Place),
    ) -> Result<Way, Refusal> {
        let traffic = &*self.service_port.traffic;
        let guarded = kind == FrontKind::LoadBalancer && !traffic.source_ranges.is_empty();
        if guarded && !admits(traffic, source, here) {
            return Err(Refusal::Drop);
        }
        // Only here does it matter who the source is.
        let by_source = !kind.is_internal() && traffic.external == TrafficPolicy::Local;
        let source = match by_source {
            true => Source::of(source, cluster, here),
            false => Source::Outside,
        };
        let way = Way { family: IpFamily::of(front), set: choose(kind, traffic, source).0 };
        let upstreams = self.upstreams_of(way.family);
        match verdict(upstreams.has_any, upstreams.of(way.set).is_empty()) {
            Verdict::Forward => Ok(way),
            Verdict::Reject => Err(Refusal::Reject),
            Verdict::Drop | Verdict::NotHandled => Err(Refusal::Drop),
        }
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

    /// Takes the next turn of a set: every endpoint once, beginning with the one whose turn it is.
    pub(crate) fn choose_from(&self, way: Way) -> Choice<'_> {
        let upstreams = self.upstreams_of(way.family);
        let cursor = upstreams.first_cursor + usize::from(way.set == SetKind::Local);
        self.turn(upstreams.of(way.set), cursor)
    }

    /// Takes the next turn of the cluster set, as Ingress does: it comes in by no front. Empty if no
    /// endpoint is usable.
    pub(crate) fn choose(&self) -> Choice<'_> {
        let upstreams = self.preferred();
        self.turn(&upstreams.cluster, upstreams.first_cursor)
    }

    /// The cluster set of [`Port::choose`], sorted by address.
    pub(crate) fn upstreams(&self) -> &[Upstream] {
        &self.preferred().cluster
    }

    /// The primary family's endpoints; the other's where it has none.
    fn preferred(&self) -> &Upstreams {
        let families = &self.service_port.traffic.families;
        let primary = families.first().copied().unwrap_or(IpFamily::V4);
        let first = self.upstreams_of(primary);
        if first.has_any { first } else { self.upstreams_of(primary.other()) }
    }

    fn upstreams_of(&self, family: IpFamily) -> &Upstreams {
        match family {
            IpFamily::V4 => &self.sets[0],
            IpFamily::V6 => &self.sets[1],
        }
    }

    fn turn<'a>(&self, upstreams: &'a [Upstream], cursor: usize) -> Choice<'a> {
        let count = upstreams.len();
        let first = match count {
            0 | 1 => 0,
            _ => usize::try_from(self.state.next_turn(cursor) % count as u64).unwrap_or(0),
        };
        Choice { upstreams, first, taken: 0 }
    }
}

impl Upstreams {
    fn new(port: &ServicePort, family: IpFamily, here: &Place) -> Self {
        let sets = port.sets(family, here);
        let Sets { cluster, local, has_any, .. } = &sets;
        let upstream = |at: &usize| {
            let address = port.endpoints.get(*at)?.address;
            Some(Upstream { address })
        };
        let Traffic { internal, external, .. } = *port.traffic;
        let uses_local = [internal, external].contains(&TrafficPolicy::Local);
        let local = if uses_local { &local[..] } else { &[] };
        Self {
            cluster: cluster.iter().filter_map(upstream).collect(),
            local: local.iter().filter_map(upstream).collect(),
            has_any: *has_any,
            first_cursor: if family == IpFamily::V4 { 0 } else { 2 },
        }
    }

    fn of(&self, set: SetKind) -> &[Upstream] {
        match set {
            SetKind::Cluster => &self.cluster,
            SetKind::Local => &self.local,
        }
    }
}

/// The endpoints of one flow in the order to try them, each once.
#[derive(Clone, Debug)]
pub(crate) struct Choice<'a> {
    upstreams: &'a [Upstream],
    first: usize,
    taken: usize,
}

impl Choice<'_> {
    /// How many endpoints the set has.
    pub(crate) fn set_len(&self) -> usize {
        self.upstreams.len()
    }
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use portico_config::model::{ObjectName, Protocol};
    use portico_config::snapshot::{Endpoint, PortId};

    use super::*;

    fn endpoint(address: &str, node: &str) -> Endpoint {
        Endpoint { node: Some(node.into()), ..Endpoint::at(address.parse().unwrap()) }
    }

    fn port(traffic: Traffic, endpoints: &[(&str, &str)]) -> Port {
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
        Port::new(&Arc::new(port), &here(), &mut Registry::default())
    }

    fn here() -> Place {
        Place { node: Some("n1".into()), ..Place::default() }
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn admit(port: &Port, kind: FrontKind, front: &str, source: &str) -> Result<Way, Refusal> {
        port.admit(kind, (ip(front), ip(source)), (&Cluster::default(), &here()))
    }

    #[test]
    fn front_policy_and_source_lead_to_the_set_that_was_made_for_them() {
        let local = || Traffic { external: TrafficPolicy::Local, ..Traffic::default() };
        let ranged = || Traffic {
            source_ranges: vec!["198.51.100.0/24".parse().unwrap()],
            ..Traffic::default()
        };
        let here = [("10.0.0.1:80", "n1"), ("10.0.0.2:80", "n2")];
        let elsewhere = [("10.0.0.2:80", "n2")];
        let (outside, node) = ("198.51.100.1", "127.0.0.1");
        for (case, traffic, endpoints, kind, source, want) in [
            ("inside", local(), &here[..], FrontKind::ClusterIp, outside, Ok(2)),
            ("outside, local", local(), &here, FrontKind::NodePort, outside, Ok(1)),
            ("the node", local(), &here, FrontKind::NodePort, node, Ok(2)),
            ("none here", local(), &elsewhere, FrontKind::NodePort, outside, Err(Refusal::Drop)),
            ("none here, the node", local(), &elsewhere, FrontKind::NodePort, node, Ok(1)),
            ("none", local(), &[], FrontKind::NodePort, outside, Err(Refusal::Reject)),
            ("ranges", ranged(), &here, FrontKind::LoadBalancer, outside, Ok(2)),
            ("not in", ranged(), &here, FrontKind::LoadBalancer, "9.9.9.9", Err(Refusal::Drop)),
            ("not asked", ranged(), &here, FrontKind::ExternalIp, "9.9.9.9", Ok(2)),
        ] {
            let port = port(traffic, endpoints);
            let got = admit(&port, kind, "192.0.2.1", source);
            assert_eq!(got.map(|way| port.choose_from(way).count()), want, "services 4.2 {case}");
        }
    }

    #[test]
    fn turns_are_exact_in_each_set_however_flows_mix() {
        let traffic = Traffic {
            families: vec![IpFamily::V4, IpFamily::V6],
            external: TrafficPolicy::Local,
            ..Traffic::default()
        };
        let all = [
            ("10.0.0.1:80", "n1"),
            ("10.0.0.2:80", "n1"),
            ("10.0.0.3:80", "n2"),
            ("[fd00::1]:80", "n1"),
            ("[fd00::2]:80", "n1"),
        ];
        let port = port(traffic, &all);
        let ways: Vec<Way> = [
            (FrontKind::ClusterIp, "192.0.2.1"),
            (FrontKind::NodePort, "192.0.2.1"),
            (FrontKind::ClusterIp, "2001:db8::1"),
            (FrontKind::NodePort, "2001:db8::1"),
        ]
        .into_iter()
        .map(|(kind, front)| admit(&port, kind, front, "198.51.100.1").unwrap())
        .collect();
        let mut counts: BTreeMap<(usize, SocketAddr), usize> = BTreeMap::new();
        for round in 0..12 {
            // Each set at another pace.
            for (number, way) in ways.iter().enumerate() {
                if round % (number + 1) == 0 {
                    let first = port.choose_from(*way).next().unwrap();
                    *counts.entry((number, first.address)).or_default() += 1;
                }
            }
        }
        let of = |number: usize| -> Vec<usize> {
            let mine = counts.iter().filter(|((other, _), _)| *other == number);
            mine.map(|(_, count)| *count).collect()
        };
        assert_eq!(
            [of(0), of(1), of(2), of(3)],
            [vec![4, 4, 4], vec![3, 3], vec![2, 2], vec![2, 1]]
        );
    }

    #[test]
    fn ingress_takes_the_primary_family_and_the_other_where_it_has_none() {
        let families = |families: &[IpFamily]| Traffic {
            families: families.to_vec(),
            internal: TrafficPolicy::Local,
            ..Traffic::default()
        };
        let (v4, v6) = (("10.0.0.1:80", "n2"), ("[fd00::1]:80", "n2"));
        for (case, order, endpoints, want) in [
            ("IPv4 first", &[IpFamily::V4, IpFamily::V6][..], &[v4, v6][..], v4.0),
            ("IPv6 first", &[IpFamily::V6, IpFamily::V4], &[v4, v6], v6.0),
            ("only the other", &[IpFamily::V6, IpFamily::V4], &[v4], v4.0),
            ("one family", &[IpFamily::V6], &[v4, v6], v6.0),
        ] {
            let port = port(families(order), endpoints);
            let got: Vec<_> = port.choose().map(|it| it.address.to_string()).collect();
            assert_eq!(got, [want], "{case}");
        }
    }
}
