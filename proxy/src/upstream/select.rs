//! Which endpoint a flow goes to, and whom to try next if it does not answer.
//!
//! ```text
//! front, source ─▶ Port::admit ─▶ Way ─▶ Port::choose_from ─▶ Choice ─▶ connected, answered
//!                      └─ Refusal                   HTTP ─▶ Port::choose ─┘    └─▶ failed
//! ```
//!
//! Pure but for living state: cursors, one for each set, so that turns are exact in each, and the
//! states of endpoints. Time is an argument. The rules are those of
//! [`mod@portico_config::snapshot::decide`]: what `portico explain` says is what happens. What is
//! learnt by a flow is `outcome`'s.

use std::net::IpAddr;

use portico_config::model::{IpFamily, TrafficPolicy};
use portico_config::snapshot::decide::{Source, admits, choose, verdict};
use portico_config::snapshot::{Cluster, FrontKind, Place, SetKind, Verdict};

use super::affinity::Key;
use super::choice::{Caller, Choice, Members};
use super::port::Port;

/// Which set a flow chooses from, once it was let in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Way {
    family: IpFamily,
    set: SetKind,
}

/// What says which endpoint a request of Ingress goes to first.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Lead {
    /// The Service's own balance.
    #[default]
    Turn,
    /// The same endpoint for the same number, by weight.
    Number(u64),
    /// Any of so many endpoints, the same ones for the same number.
    Among(u64, u16),
    /// The one that answers soonest.
    Quickest,
    /// As at the ClusterIP of the Service: by its session affinity too.
    Front,
    /// The endpoint with this place, while it is fit; then it is as with [`Lead::Turn`].
    Place(usize),
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
    pub(crate) fn choose(&self, caller: Caller, lead: Lead) -> Choice<'_> {
        let upstreams = self.preferred();
        let members = &upstreams.cluster;
        let turn = || self.state.next_turn(upstreams.first_cursor);
        let led = match lead {
            Lead::Turn => None,
            Lead::Front => return self.choose_from(self.cluster_ip(), caller),
            Lead::Quickest => {
                members.quickest(turn(), caller.now, self.service_port.traffic.slow_start)
            }
            Lead::Number(number) => members.place(number, 0, caller.now),
            Lead::Among(number, size) => members.among(number, (size, turn()), caller.now),
            Lead::Place(at) => members.fit(at, caller.now),
        };
        let first = led.unwrap_or_else(|| self.first(members, upstreams.first_cursor, caller));
        members.from(first, caller.now)
    }

    /// The way of a flow that comes to the ClusterIP from anywhere.
    fn cluster_ip(&self) -> Way {
        let traffic = &*self.service_port.traffic;
        let family = traffic.families.first().copied().unwrap_or(IpFamily::V4);
        Way { family, set: choose(FrontKind::ClusterIp, traffic, Source::Outside).0 }
    }

    /// The endpoints of a way, and the number of their cursor.
    pub(super) fn members(&self, way: Way) -> (&Members, usize) {
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

    /// Under which a client is remembered.
    pub(super) fn key(&self, caller: Caller) -> Key {
        Key { port: self.state.number, client: caller.client }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeMap;
    use std::net::SocketAddr;

    use portico_config::snapshot::Traffic;

    use super::super::port::tests::{caller, here, ip, port};
    use super::*;

    pub(in crate::upstream) fn admit(
        port: &Port,
        kind: FrontKind,
        front: &str,
        source: &str,
    ) -> Result<Way, Refusal> {
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
                .choose(caller(), Lead::Turn)
                .map(|it| it.address.to_string())
                .collect();
            assert_eq!(got, [want], "{case}");
        }
    }
}
