//! Which upstreams are asked about a name (`dns 4.1`): those of the longest suffix, in an order.
//!
//! Invariants: immutable but for the state of upstreams and the turns of round robin; no I/O.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use portico_config::model::{FailoverCode, ForwardPolicy, UpstreamAddress};

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
    pub(crate) keep: Keep,
}

/// The upstreams of one suffix.
#[derive(Debug)]
pub(crate) struct Route {
    suffix: Box<[u8]>,
    upstreams: Vec<Arc<Upstream>>,
    policy: ForwardPolicy,
    failover: Arc<[FailoverCode]>,
    turn: AtomicUsize,
}

impl Routes {
    /// Nobody is asked.
    pub(crate) fn off(keep: Keep) -> Self {
        Self { routes: Vec::new(), keep }
    }

    /// Asks these, each for a suffix on the wire; what `before` knows of one that stays is kept.
    pub(crate) fn new(
        rules: &[(Vec<u8>, UpstreamAddress)],
        (policy, failover): (ForwardPolicy, &[FailoverCode]),
        keep: Keep,
        before: &Self,
        metrics: &Metrics,
    ) -> Self {
        let failover: Arc<[FailoverCode]> = failover.into();
        let mut routes: Vec<Route> = Vec::new();
        let mut known: Vec<Arc<Upstream>> = Vec::new();
        for (suffix, address) in rules {
            let same = |it: &&Arc<Upstream>| it.address == *address;
            let upstream = known
                .iter()
                .find(same)
                .or_else(|| before.upstreams().find(same))
                .map_or_else(|| Upstream::new(address.clone(), suffix, metrics), Arc::clone);
            known.push(Arc::clone(&upstream));
            match routes.iter_mut().find(|route| *route.suffix == **suffix) {
                Some(route) if route.upstreams.len() >= MOST_UPSTREAMS => {}
                Some(route) if route.upstreams.iter().any(|it| it.address == *address) => {}
                Some(route) => route.upstreams.push(upstream),
                None => routes.push(Route {
                    suffix: suffix.as_slice().into(),
                    upstreams: vec![upstream],
                    policy,
                    failover: Arc::clone(&failover),
                    turn: AtomicUsize::new(0),
                }),
            }
        }
        routes.sort_by_key(|route| std::cmp::Reverse(route.suffix.len()));
        Self { routes: routes.into_iter().map(Arc::new).collect(), keep }
    }

    /// Whether nobody is asked about anything.
    pub(crate) fn is_off(&self) -> bool {
        self.routes.is_empty()
    }

    /// Who is asked about `name`, a lower-case wire name. Names below `test` are asked only of
    /// upstreams that were meant for them (RFC 6761).
    pub(crate) fn find(&self, name: &[u8]) -> Option<&Arc<Route>> {
        let route = self
            .routes
            .iter()
            .find(|route| is_within(name, &route.suffix))?;
        (route.suffix.len() > 1 || !is_within(name, b"\x04test\0")).then_some(route)
    }

    /// Every upstream, some of them more than once.
    pub(crate) fn upstreams(&self) -> impl Iterator<Item = &Arc<Upstream>> {
        self.routes.iter().flat_map(|route| route.upstreams.iter())
    }
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
        let rule =
            |(suffix, address): &(&str, &str)| (wire(suffix).unwrap(), address.parse().unwrap());
        let rules: Vec<_> = rules.iter().map(rule).collect();
        Routes::new(&rules, (policy, &[]), KEEP, before, &Metrics::new())
    }

    fn asked(routes: &Routes, name: &str) -> Vec<String> {
        let route = routes.find(&wire(name).unwrap());
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
