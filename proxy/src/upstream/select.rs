//! Which endpoint a flow goes to, whom to try next if it does not answer, and what is learnt by that.
//!
//! ```text
//! front, source ─▶ Port::admit ─▶ Way ─▶ Port::choose_from ─▶ Choice ─▶ connected, answered
//!                      └─ Refusal                   HTTP ─▶ Port::choose ─┘    └─▶ failed
//! ```
//!
//! Pure but for living state: cursors, one for each set, so that turns are exact in each, and the
//! states of endpoints. Time is an argument. The sets themselves
//! (`services 4.1`) are made when the view is built, and the rules are those of
//! [`mod@portico_config::snapshot::decide`]: what `portico explain` says is what happens.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use portico_config::model::{Balance, IpFamily, TrafficPolicy};
use portico_config::snapshot::decide::{Source, admits, choose, verdict};
use portico_config::snapshot::{
    Cluster, Endpoint, FrontKind, Place, ServicePort, SetKind, Sets, Traffic, Verdict,
};
use tracing::info;

use super::affinity::Key;
use super::choice::{Caller, Choice, Members, Upstream};
use super::health::{Fault, may_go};
use super::outs::Out;
use super::registry::{OpenConnection, PortState, Registry};
use super::tally::Tallies;

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
    cluster: Members,
    /// Empty also where no policy asks for it.
    local: Members,
    has_any: bool,
    /// The cursor of the cluster set; that of the local set is the next.
    first_cursor: usize,
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
        match verdict(upstreams.has_any, upstreams.of(way.set).all.is_empty()) {
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

    /// The endpoints of a set for a new connection or session, in the order to try them. With
    /// session affinity the one that the client returns to is the first (`services 4.5`).
    pub(crate) fn choose_from(&self, way: Way, caller: Caller) -> Choice<'_> {
        let (members, cursor) = self.members(way);
        let now = caller.now;
        let first = match self.service_port.traffic.affinity_timeout {
            None => self.first(members, cursor, caller),
            Some(timeout) => {
                let find = |old| members.find(old, now);
                let pick = || {
                    let at = self.first(members, cursor, caller);
                    Some((at, members.all.get(at)?.remembered()))
                };
                let table = &self.state.affinity;
                let found = table.choose(self.key(caller), (now, timeout), find, pick);
                found.unwrap_or(0)
            }
        };
        members.from(first, now)
    }

    /// The endpoints of the cluster set for a request of Ingress, which comes in by no front and
    /// past session affinity. Empty if no endpoint is usable.
    pub(crate) fn choose(&self, caller: Caller) -> Choice<'_> {
        let upstreams = self.preferred();
        let first = self.first(&upstreams.cluster, upstreams.first_cursor, caller);
        upstreams.cluster.from(first, caller.now)
    }

    /// Notes that an endpoint took a new connection, or a datagram, and how long it took.
    pub(crate) fn connected(&self, caller: Caller, upstream: &Upstream, took: Duration) {
        upstream.state.connected();
        if self.measures() {
            upstream.state.observe(took, caller.now + took);
        }
        if let Some(timeout) = self.service_port.traffic.affinity_timeout {
            let table = &self.state.affinity;
            table.settle(self.key(caller), (caller.now, timeout), upstream.remembered());
        }
    }

    /// Notes that an endpoint answered a request that it was sent at `sent`. The clock is asked
    /// where latency counts alone.
    pub(crate) fn answered(
        &self,
        upstream: &Upstream,
        sent: Instant,
        clock: impl FnOnce() -> Instant,
    ) {
        upstream.state.answered();
        if self.measures() {
            let now = clock();
            upstream
                .state
                .observe(now.saturating_duration_since(sent), now);
        }
    }

    /// Notes that an endpoint failed a flow: a client that would return to it does not, and one that
    /// fails again and again is put out, where its set can do without. `way`: of a flow that came in
    /// by a front and of which it is known.
    pub(crate) fn failed(
        &self,
        (way, caller): (Option<Way>, Caller),
        upstream: &Upstream,
        fault: Fault,
        now: Instant,
    ) {
        let counter = match fault {
            Fault::Dial => &self.state.connect_failures,
            Fault::Break => &self.state.breaks,
        };
        counter.fetch_add(1, Relaxed);
        if let Some(tally) = &upstream.tally {
            tally.fail(fault);
        }
        let members = match way {
            Some(way) => self.members(way).0,
            None => &self.preferred().cluster,
        };
        let may = || may_go(members.out(now), members.all.len());
        let ejected = upstream.state.failed(fault, now, may);
        if let Some(time) = ejected {
            self.state.ejections.fetch_add(1, Relaxed);
            let endpoint = (upstream.address, &upstream.state);
            self.state
                .outs
                .put(Out::new(endpoint, &self.state.id, now + time));
            info!(
                endpoint = %upstream.address, port = %self.state.id, ?fault, ?time,
                "an endpoint fails again and again and is tried last"
            );
        }
        if self.service_port.traffic.affinity_timeout.is_some() {
            self.state
                .affinity
                .forget(self.key(caller), upstream.address);
        }
    }

    /// The same for one that was chosen earlier, if it is still there.
    pub(crate) fn failed_later(&self, caller: Caller, endpoint: SocketAddr) {
        match self.upstream(endpoint) {
            Some(upstream) => self.failed((None, caller), upstream, Fault::Dial, caller.now),
            None => drop(self.state.connect_failures.fetch_add(1, Relaxed)),
        }
    }

    /// The cluster set of [`Port::choose`], sorted by address.
    pub(crate) fn upstreams(&self) -> &[Upstream] {
        &self.preferred().cluster.all
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

    fn members(&self, way: Way) -> (&Members, usize) {
        let upstreams = self.upstreams_of(way.family);
        let cursor = upstreams.first_cursor + usize::from(way.set == SetKind::Local);
        (upstreams.of(way.set), cursor)
    }

    fn first(&self, members: &Members, cursor: usize, caller: Caller) -> usize {
        match members.all.len() {
            0 | 1 => 0,
            _ => {
                let turn = self.state.next_turn(cursor);
                members.first(turn, caller, self.service_port.traffic.slow_start)
            }
        }
    }

    fn key(&self, caller: Caller) -> Key {
        Key { port: self.state.number, client: caller.client }
    }

    /// Whether latency counts.
    fn measures(&self) -> bool {
        self.service_port.traffic.balance == Balance::Ewma
    }

    /// An endpoint of any of its sets.
    fn upstream(&self, address: SocketAddr) -> Option<&Upstream> {
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

    fn of(&self, set: SetKind) -> &Members {
        match set {
            SetKind::Cluster => &self.cluster,
            SetKind::Local => &self.local,
        }
    }
}

#[cfg(test)]
mod tests {
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
        Port::new(&Arc::new(port), &here(), &mut Registry::default(), None)
    }

    fn here() -> Place {
        Place { node: Some("n1".into()), ..Place::default() }
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn caller() -> Caller {
        Caller { client: ip("198.51.100.1"), now: Instant::now() }
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
            assert_eq!(
                got.map(|way| port.choose_from(way, caller()).count()),
                want,
                "services 4.2 {case}"
            );
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
                    let first = port.choose_from(*way, caller()).next().unwrap();
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
    fn affinity_is_shared_by_fronts_and_keeps_to_the_set_in_use() {
        let traffic = || Traffic {
            external: TrafficPolicy::Local,
            affinity_timeout: Some(Duration::from_secs(10)),
            ..Traffic::default()
        };
        let port = port(traffic(), &[("10.0.0.1:80", "n1"), ("10.0.0.2:80", "n2")]);
        let way = |kind| admit(&port, kind, "192.0.2.1", "198.51.100.1").unwrap();
        let (inside, outside) = (way(FrontKind::ClusterIp), way(FrontKind::NodePort));
        let start = Instant::now();
        let come = |way, client, seconds| {
            let now = start + Duration::from_secs(seconds);
            let caller = Caller { client: ip(client), now };
            port.choose_from(way, caller).next().unwrap()
        };
        let number = |way, client, seconds| come(way, client, seconds).address.to_string();
        for (case, way, client, seconds, want) in [
            ("in turn", inside, "9.9.9.1", 0, "10.0.0.1:80"),
            ("in turn", inside, "9.9.9.2", 0, "10.0.0.2:80"),
            ("it returns", inside, "9.9.9.2", 9, "10.0.0.2:80"),
            ("it is still remembered", inside, "9.9.9.2", 18, "10.0.0.2:80"),
            ("not in this set", outside, "9.9.9.2", 19, "10.0.0.1:80"),
            ("one entry for all fronts", inside, "9.9.9.2", 20, "10.0.0.1:80"),
            ("forgotten", inside, "9.9.9.2", 30, "10.0.0.1:80"),
            ("in turn", inside, "9.9.9.3", 30, "10.0.0.2:80"),
        ] {
            assert_eq!(number(way, client, seconds), want, "services 4.5: {case}");
        }
        let failed = come(inside, "9.9.9.3", 31);
        let caller = Caller { client: ip("9.9.9.3"), now: start };
        port.failed((Some(inside), caller), failed, Fault::Dial, start);
        let other = port
            .upstreams()
            .iter()
            .find(|it| it.address != failed.address)
            .unwrap();
        port.connected(Caller { now: start + Duration::from_secs(31), ..caller }, other, NO_TIME);
        assert_eq!(come(inside, "9.9.9.3", 32).address, other.address, "it did not answer");
    }

    const NO_TIME: Duration = Duration::ZERO;

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

    #[test]
    fn half_of_a_set_at_most_is_put_out_and_counted() {
        let all = [("10.0.0.1:80", "n1"), ("10.0.0.2:80", "n1"), ("10.0.0.3:80", "n1")];
        let port = port(Traffic::default(), &all);
        let now = Instant::now();
        for _ in 0..10 {
            for upstream in &port.upstreams()[..2] {
                port.failed((None, caller()), upstream, Fault::Dial, now);
            }
        }
        let out: Vec<_> = port.out(now).collect();
        assert_eq!(out, ["10.0.0.1:80".parse().unwrap()]);
        let counts = [&port.state.ejections, &port.state.connect_failures];
        assert_eq!(counts.map(|it| it.load(Relaxed)), [1, 20]);
        let caller = Caller { now: now + Duration::from_secs(1), ..caller() };
        let order: Vec<_> = port.choose(caller).map(|it| it.address).collect();
        assert_eq!(order.last(), out.first(), "it is tried last");
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
            let got: Vec<_> = port
                .choose(caller())
                .map(|it| it.address.to_string())
                .collect();
            assert_eq!(got, [want], "{case}");
        }
    }
}
