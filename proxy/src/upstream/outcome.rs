//! What is learnt of an endpoint by a flow that was sent there: that it took it, that it answered, or
//! that it failed, and what follows for who comes next.
//!
//! Living state alone changes: health and latency of the endpoint, where the client returns to,
//! counters. Time is an argument.

use std::net::SocketAddr;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use portico_config::model::Balance;
use tracing::info;

use super::budget::Allowance;
use super::choice::{Caller, Upstream};
use super::dial_error::DialError;
use super::health::{Fault, may_go};
use super::outs::Out;
use super::port::Port;
use super::select::{Lead, Way};

impl Port {
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
        (upstream, lead): (&Upstream, Lead),
        sent: Instant,
        clock: impl FnOnce() -> Instant,
    ) {
        upstream.state.answered();
        if self.measures() || lead == Lead::Quickest {
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
            Fault::Dial(why) => &self.state.connect_failures[why as usize],
            Fault::Break => &self.state.breaks,
            Fault::Unavailable => &self.state.unavailable,
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

    /// Whether one more request may be sent again.
    pub(crate) fn may_repeat(&self, now: Instant, allowed: Allowance) -> bool {
        self.state.retries.has_room(now, self.requests(), allowed)
    }

    /// Counts a request that is sent again; false: too many were.
    pub(crate) fn repeat(&self, now: Instant, allowed: Allowance) -> bool {
        self.state.retries.take(now, self.requests(), allowed)
    }

    fn requests(&self) -> u64 {
        self.state.requests.load(Relaxed)
    }

    /// Counts a dial that failed for no fault of its endpoint.
    pub(crate) fn undialed(&self, why: DialError) {
        self.state.connect_failures[why as usize].fetch_add(1, Relaxed);
    }

    /// Notes that an endpoint failed which was chosen earlier, if it is still there.
    pub(crate) fn failed_later(&self, caller: Caller, endpoint: SocketAddr, why: DialError) {
        match self.upstream(endpoint) {
            Some(upstream) => self.failed((None, caller), upstream, Fault::Dial(why), caller.now),
            None => self.undialed(why),
        }
    }

    /// Whether latency counts.
    fn measures(&self) -> bool {
        self.service_port.traffic.balance == Balance::Ewma
    }
}

#[cfg(test)]
mod tests {
    use portico_config::model::TrafficPolicy;
    use portico_config::snapshot::{FrontKind, Traffic};

    use super::super::port::tests::{caller, ip, port};
    use super::super::select::tests::admit;
    use super::*;

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
        port.failed((Some(inside), caller), failed, Fault::Dial(DialError::Refused), start);
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
    fn half_of_a_set_at_most_is_put_out_and_counted() {
        let all = [("10.0.0.1:80", "n1"), ("10.0.0.2:80", "n1"), ("10.0.0.3:80", "n1")];
        let port = port(Traffic::default(), &all);
        let now = Instant::now();
        for _ in 0..10 {
            for upstream in &port.upstreams()[..2] {
                port.failed((None, caller()), upstream, Fault::Dial(DialError::Refused), now);
            }
        }
        let out: Vec<_> = port.out(now).collect();
        assert_eq!(out, ["10.0.0.1:80".parse().unwrap()]);
        let refused = &port.state.connect_failures[DialError::Refused as usize];
        let counts = [&port.state.ejections, refused];
        assert_eq!(counts.map(|it| it.load(Relaxed)), [1, 20]);
        let caller = Caller { now: now + Duration::from_secs(1), ..caller() };
        let order: Vec<_> = port
            .choose(caller, Lead::Turn)
            .map(|it| it.address)
            .collect();
        assert_eq!(order.last(), out.first(), "it is tried last");
    }
}
