//! Which upstreams are asked about a name (`dns 4.1`): those of the longest suffix, in an order; for clients
//! of some networks others (`dns 4.7`).
//!
//! Invariants: immutable but for the state of upstreams and the turns of round robin; no I/O.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ipnet::IpNet;
use portico_config::model::{FailoverCode, ForwardPolicy, Forwarding, UpstreamAddress};

use super::metrics::Metrics;
use super::random::Random;
use super::upstream::Upstream;
use crate::cache::Keep;
use crate::wire::is_within;

/// Everything that settings and the host say of forwarding.
#[derive(Debug)]
pub(crate) struct Routes {
    /// Longest suffix first.
    routes: Vec<Arc<Route>>,
    /// The same for clients of a network, with those of everybody; narrower networks first.
    views: Vec<(IpNet, Vec<Arc<Route>>)>,
    pub(crate) keep: Keep,
}

/// One upstream for a name and all below it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Rule {
    /// For whom; none: for everybody.
    pub(crate) view: Option<IpNet>,
    /// On the wire.
    pub(crate) suffix: Vec<u8>,
    pub(crate) upstream: UpstreamAddress,
}

/// The upstreams of one suffix.
#[derive(Debug)]
pub(crate) struct Route {
    view: Option<IpNet>,
    /// What the answers of its upstreams are kept under: they are not everybody's.
    pub(crate) number: u16,
    suffix: Box<[u8]>,
    upstreams: Vec<Arc<Upstream>>,
    policy: ForwardPolicy,
    failover: Arc<[FailoverCode]>,
    /// Whether nobody is tried while all are down.
    pub(crate) is_failfast: bool,
    /// Whether addresses of private networks are not told: its upstreams are everybody's.
    pub(crate) filters_private: bool,
    turn: AtomicUsize,
}

impl Routes {
    /// Nobody is asked.
    pub(crate) fn off(keep: Keep) -> Self {
        Self { routes: Vec::new(), views: Vec::new(), keep }
    }

    /// Asks these; what `before` knows of one that stays is kept.
    pub(crate) fn new(
        rules: &[Rule],
        forwarding: &Forwarding,
        keep: Keep,
        before: &Self,
        metrics: &Metrics,
    ) -> Self {
        let Forwarding { policy, is_failfast, filters_rebinding, .. } = *forwarding;
        let failover: Arc<[FailoverCode]> = forwarding.failover.as_slice().into();
        let networks = networks(rules);
        let number = |view: Option<IpNet>| {
            let place = networks.iter().position(|it| Some(*it) == view);
            place.map_or(0, |place| u16::try_from(place + 1).unwrap_or(u16::MAX))
        };
        let mut routes: Vec<Route> = Vec::new();
        let mut known: Vec<Arc<Upstream>> = Vec::new();
        for Rule { view, suffix, upstream: address } in rules {
            let same = |it: &&Arc<Upstream>| it.address == *address;
            let upstream = known
                .iter()
                .find(same)
                .or_else(|| before.upstreams().find(same))
                .map_or_else(|| Upstream::new(address.clone(), suffix, metrics), Arc::clone);
            known.push(Arc::clone(&upstream));
            let is_same = |route: &&mut Route| route.view == *view && *route.suffix == **suffix;
            match routes.iter_mut().find(is_same) {
                Some(route) if route.upstreams.len() >= MOST_UPSTREAMS => {}
                Some(route) if route.upstreams.iter().any(|it| it.address == *address) => {}
                Some(route) => route.upstreams.push(upstream),
                None => routes.push(Route {
                    view: *view,
                    number: number(*view),
                    suffix: suffix.as_slice().into(),
                    upstreams: vec![upstream],
                    policy,
                    failover: Arc::clone(&failover),
                    is_failfast,
                    filters_private: filters_rebinding && suffix.len() == 1,
                    turn: AtomicUsize::new(0),
                }),
            }
        }
        // Of one suffix that of the narrowest network comes first.
        let width = |route: &Route| route.view.map(|network| network.prefix_len());
        routes.sort_by(|a, b| {
            let length = b.suffix.len().cmp(&a.suffix.len());
            let name = length.then_with(|| a.suffix.cmp(&b.suffix));
            name.then_with(|| width(b).cmp(&width(a)))
        });
        let routes: Vec<_> = routes.into_iter().map(Arc::new).collect();
        let seen = |network: Option<IpNet>| {
            let counts = |route: &&Arc<Route>| match (route.view, network) {
                (None, _) => true,
                (Some(view), Some(network)) => view.contains(&network),
                (Some(_), None) => false,
            };
            let mut seen: Vec<Arc<Route>> = routes.iter().filter(counts).map(Arc::clone).collect();
            seen.dedup_by(|later, first| later.suffix == first.suffix);
            seen
        };
        let views = networks
            .iter()
            .map(|network| (*network, seen(Some(*network))));
        Self { routes: seen(None), views: views.collect(), keep }
    }

    /// Whether nobody is asked about anything.
    pub(crate) fn is_off(&self) -> bool {
        self.routes.is_empty() && self.views.is_empty()
    }

    /// Whether that hangs on who asks.
    pub(crate) fn is_for_some(&self) -> bool {
        self.routes.is_empty() && !self.views.is_empty()
    }

    /// Those of `client`.
    fn of(&self, client: IpAddr) -> &[Arc<Route>] {
        if self.views.is_empty() {
            return &self.routes;
        }
        let client = client.to_canonical();
        let found = self
            .views
            .iter()
            .find(|(network, _)| network.contains(&client));
        found.map_or(&self.routes, |(_, routes)| routes)
    }

    /// Whether anybody is asked about anything for `client`.
    pub(crate) fn is_open_to(&self, client: IpAddr) -> bool {
        !self.of(client).is_empty()
    }

    /// Who is asked about `name`, a lower-case wire name, for `client`. Names below `test` are asked only
    /// of upstreams that were meant for them (RFC 6761).
    pub(crate) fn find(&self, name: &[u8], client: IpAddr) -> Option<&Arc<Route>> {
        let route = self
            .of(client)
            .iter()
            .find(|route| is_within(name, &route.suffix))?;
        (route.suffix.len() > 1 || !is_within(name, b"\x04test\0")).then_some(route)
    }

    /// Every upstream, some of them more than once.
    pub(crate) fn upstreams(&self) -> impl Iterator<Item = &Arc<Upstream>> {
        let views = self.views.iter().flat_map(|(_, routes)| routes);
        let all = self.routes.iter().chain(views);
        all.flat_map(|route| route.upstreams.iter())
    }
}

/// The networks that rules are for, the narrower first.
fn networks(rules: &[Rule]) -> Vec<IpNet> {
    let mut networks: Vec<IpNet> = rules.iter().filter_map(|rule| rule.view).collect();
    networks.sort_by(|a, b| b.prefix_len().cmp(&a.prefix_len()).then_with(|| a.cmp(b)));
    networks.dedup();
    networks
}

impl Route {
    /// All of its upstreams, in the order of settings.
    pub(crate) fn upstreams(&self) -> impl Iterator<Item = &Arc<Upstream>> {
        self.upstreams.iter()
    }

    /// Whether a reply with this code may be one upstream's fault alone.
    pub(crate) fn fails_over(&self, rcode: u16) -> bool {
        self.failover.iter().any(|code| *code as u16 == rcode)
    }

    /// The upstreams to try, one after the other. Those that are down are left out; where all are,
    /// one of them is tried all the same, unless it leads back to us.
    pub(crate) fn order(&self, random: &mut Random) -> Vec<Arc<Upstream>> {
        let mut order: Vec<_> = self.upstreams.iter().filter(|it| it.is_up()).collect();
        if order.is_empty() {
            let left: Vec<_> = self.upstreams.iter().filter(|it| !it.is_looped()).collect();
            order.extend(left.get(random.below(left.len())));
        }
        match self.policy {
            ForwardPolicy::Sequential => {}
            ForwardPolicy::RoundRobin => {
                let turn = self.turn.fetch_add(1, Ordering::Relaxed);
                let places = turn.checked_rem(order.len()).unwrap_or(0);
                order.rotate_left(places);
            }
            ForwardPolicy::Random => {
                for place in (1..order.len()).rev() {
                    order.swap(place, random.below(place + 1));
                }
            }
        }
        order.into_iter().map(Arc::clone).collect()
    }
}

/// Upstreams of one suffix.
const MOST_UPSTREAMS: usize = 15;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::wire;

    const KEEP: Keep = Keep { bytes: 0, stale: None, prefetch: false };

    fn routes(rules: &[(&str, &str)], policy: ForwardPolicy, before: &Routes) -> Routes {
        let rule = |(suffix, address): &(&str, &str)| {
            let (view, suffix) = match suffix.strip_prefix('@').and_then(|it| it.split_once(' ')) {
                Some((view, suffix)) => (Some(view.parse().unwrap()), suffix),
                None => (None, *suffix),
            };
            let suffix = wire(suffix).unwrap();
            Rule { view, suffix, upstream: address.parse().unwrap() }
        };
        let rules: Vec<_> = rules.iter().map(rule).collect();
        let forwarding = Forwarding { policy, ..Forwarding::off() };
        Routes::new(&rules, &forwarding, KEEP, before, &Metrics::new())
    }

    fn asked(routes: &Routes, name: &str) -> Vec<String> {
        asked_for(routes, name, "127.0.0.1")
    }

    fn asked_for(routes: &Routes, name: &str, client: &str) -> Vec<String> {
        let route = routes.find(&wire(name).unwrap(), client.parse().unwrap());
        let order = route.map_or_else(Vec::new, |route| route.order(&mut Random::new()));
        order
            .iter()
            .map(|it| it.address.address.ip().to_string())
            .collect()
    }

    #[test]
    fn the_longest_suffix_says_who_is_asked() {
        let rules = [
            ("", "192.0.2.1"),
            ("example", "192.0.2.2"),
            ("corp.example", "192.0.2.3"),
            ("lab.test", "192.0.2.4"),
        ];
        let routes = routes(&rules, ForwardPolicy::Sequential, &Routes::off(KEEP));
        for (name, want) in [
            ("", Some("192.0.2.1")),
            ("a.b.c", Some("192.0.2.1")),
            ("example", Some("192.0.2.2")),
            ("a.example", Some("192.0.2.2")),
            ("corp.example", Some("192.0.2.3")),
            ("a.b.corp.example", Some("192.0.2.3")),
            ("xcorp.example", Some("192.0.2.2")),
            ("xexample", Some("192.0.2.1")),
            ("a.lab.test", Some("192.0.2.4")),
            ("test", None),
            ("lib.test", None),
        ] {
            assert_eq!(asked(&routes, name), Vec::from_iter(want), "{name}");
        }
    }

    #[test]
    fn clients_of_some_networks_have_upstreams_of_their_own() {
        let rules = [
            ("", "192.0.2.1"),
            ("corp", "192.0.2.2"),
            ("@10.0.0.0/8 corp", "192.0.2.3"),
            ("@10.1.0.0/16 ", "192.0.2.4"),
            ("@10.1.0.0/16 a.corp", "192.0.2.2"),
        ];
        let views = routes(&rules, ForwardPolicy::Sequential, &Routes::off(KEEP));
        for (client, name, want) in [
            ("127.0.0.1", "x", "192.0.2.1"),
            ("127.0.0.1", "a.corp", "192.0.2.2"),
            ("10.2.0.1", "x", "192.0.2.1"),
            ("10.2.0.1", "a.corp", "192.0.2.3"),
            ("::ffff:10.2.0.1", "a.corp", "192.0.2.3"),
            ("10.1.0.1", "x", "192.0.2.4"),
            ("10.1.0.1", "b.corp", "192.0.2.3"),
            ("10.1.0.1", "a.corp", "192.0.2.2"),
        ] {
            assert_eq!(asked_for(&views, name, client), [want], "dns 4.7: {client} {name}");
        }
        let number = |client: &str, name: &str| {
            let client = client.parse().unwrap();
            views.find(&wire(name).unwrap(), client).unwrap().number
        };
        assert_eq!(
            number("10.2.0.1", "x"),
            number("127.0.0.1", "x"),
            "what is the same is kept once"
        );
        let all = ["127.0.0.1", "10.2.0.1", "10.1.0.1"].map(|client| number(client, "a.corp"));
        assert!(all[0] != all[1] && all[1] != all[2] && all[0] != all[2], "{all:?}");
        let some = routes(&rules[2..], ForwardPolicy::Sequential, &Routes::off(KEEP));
        assert!(some.is_for_some() && !some.is_off() && !views.is_for_some());
        assert!(!some.is_open_to([127, 0, 0, 1].into()) && some.is_open_to([10, 2, 0, 1].into()));
    }

    #[test]
    fn policies_order_those_that_are_up() {
        let rules = [("", "192.0.2.1"), ("", "192.0.2.2"), ("", "192.0.2.3"), ("", "192.0.2.1")];
        let off = Routes::off(KEEP);
        let sequential = routes(&rules, ForwardPolicy::Sequential, &off);
        assert_eq!(asked(&sequential, "a"), ["192.0.2.1", "192.0.2.2", "192.0.2.3"]);
        let robin = routes(&rules, ForwardPolicy::RoundRobin, &off);
        let firsts: Vec<_> = (0..4).map(|_| asked(&robin, "a").remove(0)).collect();
        assert_eq!(firsts, ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.1"]);
        let random = routes(&rules, ForwardPolicy::Random, &off);
        let firsts: std::collections::BTreeSet<_> =
            (0..200).map(|_| asked(&random, "a").remove(0)).collect();
        assert_eq!(firsts.len(), 3, "each comes first at times");

        for upstream in sequential.upstreams().take(2) {
            upstream.has_failed_probe();
            upstream.has_failed_probe();
        }
        assert_eq!(asked(&sequential, "a"), ["192.0.2.3"], "what is down is left out");
        sequential
            .upstreams()
            .for_each(|it| _ = it.set_looped(true));
        assert_eq!(asked(&sequential, "a"), Vec::<String>::new(), "loops are never asked");
        sequential
            .upstreams()
            .take(2)
            .for_each(|it| _ = it.set_looped(false));
        assert_eq!(asked(&sequential, "a").len(), 1, "all are down: one is tried");
    }

    #[test]
    fn what_stays_keeps_its_state() {
        let before = routes(&[("", "192.0.2.1")], ForwardPolicy::Random, &Routes::off(KEEP));
        before.upstreams().for_each(|it| _ = it.set_looped(true));
        let rules = [("", "192.0.2.1"), ("", "192.0.2.2"), ("a", "192.0.2.2")];
        let after = routes(&rules, ForwardPolicy::Random, &before);
        assert_eq!(asked(&after, "b"), ["192.0.2.2"]);
        let all: Vec<_> = after.upstreams().collect();
        assert!(Arc::ptr_eq(all[0], all[2]), "one upstream for two suffixes");
    }
}
