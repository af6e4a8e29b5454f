//! The endpoints of one flow in the order to try them: the one that the balance says, then the
//! others, last those that are out or have weight 0.
//!
//! ```text
//! Members::choose ─▶ first ─▶ those that are fit, from the first on ─▶ those that are not
//! ```
//!
//! Invariants: each endpoint comes once, and all of them come; no allocation; what fails while the
//! order is gone through does not change it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use portico_config::model::Balance;

use super::affinity::Remembered;
use super::balance::{Balancer, better_of_two, least, mix, place, ranked};
use super::endpoint::{EndpointState, Open};
use super::room::{Bounds, Waiting};
use super::tally::Tally;

/// One usable endpoint of a set.
#[derive(Clone, Debug)]
pub(crate) struct Upstream {
    /// Where to dial: the endpoint's identity.
    pub(crate) address: SocketAddr,
    /// What lives on between views.
    pub(crate) state: Arc<EndpointState>,
    /// What is counted of it for its ServicePort, where that is asked for.
    pub(crate) tally: Option<Arc<Tally>>,
    pub(super) weight: u16,
    /// When it came to its ServicePort; none: with the ServicePort itself.
    pub(super) came: Option<Instant>,
}

/// Who comes, and when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller {
    /// The client, as far as it is known.
    pub(crate) client: IpAddr,
    /// Now.
    pub(crate) now: Instant,
}

/// One set of endpoints and how it is balanced.
#[derive(Debug)]
pub(super) struct Members {
    pub(super) all: Box<[Upstream]>,
    balancer: Balancer,
}

impl Upstream {
    /// Counts what is opened there now, until it is dropped.
    pub(crate) fn open(&self) -> Open {
        self.state.open(self.tally.as_ref())
    }

    /// A place for one more request, until it is dropped; none: it is full.
    pub(crate) fn enter(&self, bounds: Bounds) -> Option<Open> {
        self.state.enter(bounds.requests, self.tally.as_ref())
    }

    /// A place among those who wait for one; none: it is full of them, too.
    pub(crate) fn wait(&self, bounds: Bounds) -> Option<Waiting> {
        self.state.wait(bounds, self.tally.as_ref())
    }

    /// Whether it is put out now.
    pub(crate) fn is_out(&self, now: Instant) -> bool {
        self.state.is_out(now)
    }

    pub(super) fn remembered(&self) -> Remembered {
        Remembered { address: self.address, came: self.came }
    }

    fn is_fit(&self, now: Instant) -> bool {
        self.weight > 0 && !self.state.is_out(now)
    }

    /// Its part of what its weight says, a tenth to 1, while it starts slowly.
    fn share(&self, now: Instant, slow_start: Duration) -> f64 {
        if slow_start.is_zero() {
            return 1.0;
        }
        let Some(since) = self.state.back_since(now).max(self.came) else { return 1.0 };
        let passed = now.saturating_duration_since(since);
        let part = passed.as_secs_f64() / slow_start.as_secs_f64();
        part.clamp(SMALLEST_SHARE, 1.0)
    }
}

impl Members {
    /// `all` is sorted by address.
    pub(super) fn new(all: Box<[Upstream]>, balance: Balance) -> Self {
        let members: Vec<_> = all.iter().map(|it| (it.address, it.weight)).collect();
        let balancer = Balancer::new(balance, &members);
        Self { all, balancer }
    }

    /// The place of an endpoint that a client was sent to before, if it may be sent there again.
    pub(super) fn find(&self, remembered: Remembered, now: Instant) -> Option<usize> {
        let found = self
            .all
            .binary_search_by(|it| it.address.cmp(&remembered.address));
        let at = found.ok()?;
        let same = self.all.get(at)?;
        (same.came == remembered.came && same.is_fit(now)).then_some(at)
    }

    /// The place of the endpoint that a number leads to, after so many better ones; none: no endpoint
    /// is fit.
    pub(super) fn place(&self, number: u64, rank: usize, now: Instant) -> Option<usize> {
        ranked(self.all.len(), number, rank, |at| {
            let it = self.all.get(at).filter(|it| it.is_fit(now))?;
            Some((it.address, it.weight))
        })
    }

    /// Any of the places that are a number's; `turn` says which.
    pub(super) fn among(
        &self,
        number: u64,
        (size, turn): (u16, u64),
        now: Instant,
    ) -> Option<usize> {
        let fit = self.all.iter().filter(|it| it.is_fit(now)).count();
        let size = usize::from(size).min(fit).max(1);
        self.place(number, place(mix(turn, number), size), now)
    }

    /// The better of two that a turn draws.
    pub(super) fn quickest(&self, turn: u64, now: Instant, slow_start: Duration) -> Option<usize> {
        better_of_two(self.all.len(), turn, |at| {
            let it = self.all.get(at).filter(|it| it.is_fit(now))?;
            Some(it.state.cost(now) / (f64::from(it.weight) * it.share(now, slow_start)))
        })
    }

    /// A place whose endpoint is fit.
    pub(super) fn fit(&self, at: usize, now: Instant) -> Option<usize> {
        self.all.get(at)?.is_fit(now).then_some(at)
    }

    /// How many are out.
    pub(super) fn out(&self, now: Instant) -> usize {
        self.all.iter().filter(|it| it.state.is_out(now)).count()
    }

    /// The place of the endpoint for a turn.
    pub(super) fn first(&self, turn: u64, caller: Caller, slow_start: Duration) -> usize {
        let (all, now) = (&*self.all, caller.now);
        let fit = |at: usize| all.get(at).filter(|it| it.is_fit(now));
        let burden = |at: usize, load: &dyn Fn(&EndpointState) -> f64| {
            let it = fit(at)?;
            Some(load(&it.state) / (f64::from(it.weight) * it.share(now, slow_start)))
        };
        let found = match &self.balancer {
            Balancer::LeastConnections => {
                least(all.len(), turn, |at| burden(at, &|state| f64::from(state.opened()) + 1.0))
            }
            Balancer::Ewma => self.quickest(turn, now, slow_start),
            balancer => {
                // A client's own endpoint is its own from the beginning.
                let slow_start = match balancer {
                    Balancer::Maglev(_) => Duration::ZERO,
                    _ => slow_start,
                };
                let mut picks = (0..ATTEMPTS).filter_map(|attempt| {
                    let at = balancer.pick(turn, caller.client, attempt)?;
                    let share = fit(at)?.share(now, slow_start);
                    (share >= 1.0 || unit(mix(turn, !attempt)) < share).then_some(at)
                });
                picks.next()
            }
        };
        let start = || self.balancer.pick(turn, caller.client, 0).unwrap_or(0);
        found.unwrap_or_else(|| {
            let start = start();
            let mut others = (0..all.len()).map(|step| (start + step) % all.len());
            others.find(|at| fit(*at).is_some()).unwrap_or(start)
        })
    }

    /// All of them, beginning with one.
    pub(super) fn from(&self, first: usize, now: Instant) -> Choice<'_> {
        Choice { all: &self.all, first, now, step: 0, is_last: false, taken: 0 }
    }
}

/// The endpoints of one flow in the order to try them, each once.
#[derive(Clone, Debug)]
pub(crate) struct Choice<'a> {
    all: &'a [Upstream],
    first: usize,
    now: Instant,
    step: usize,
    /// Whether those that are fit are through.
    is_last: bool,
    /// Of the first [`MASK`] steps, which are through. Beyond, fit or not is all the same.
    taken: u128,
}

impl Choice<'_> {
    /// How many endpoints the set has.
    pub(crate) fn set_len(&self) -> usize {
        self.all.len()
    }
}

impl<'a> Iterator for Choice<'a> {
    type Item = &'a Upstream;

    fn next(&mut self) -> Option<&'a Upstream> {
        let count = self.all.len();
        while self.step < count {
            let step = self.step;
            let upstream = self.all.get((self.first + step) % count)?;
            self.step += 1;
            if step >= MASK {
                return Some(upstream);
            }
            let is_next = self.is_last || step == 0 || upstream.is_fit(self.now);
            let bit = 1 << step;
            let is_new = self.taken & bit == 0;
            if self.step == count.min(MASK) && !self.is_last {
                (self.step, self.is_last) = (0, true);
            }
            if is_next && is_new {
                self.taken |= bit;
                return Some(upstream);
            }
        }
        None
    }
}

/// A number from 0 to 1 out of a random one.
fn unit(random: u64) -> f64 {
    (random >> 11) as f64 / (1_u64 << 53) as f64
}

const MASK: usize = 128;
/// Draws until one is fit; then the next in order is taken.
const ATTEMPTS: u64 = 8;
/// As Envoy's.
const SMALLEST_SHARE: f64 = 0.1;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::super::dial_error::DialError;
    use super::super::health::Fault;
    use super::*;

    fn upstream(number: usize, weight: u16, came: Option<Instant>, began: Instant) -> Upstream {
        let ip = [10, 0, u8::try_from(number / 256).unwrap(), u8::try_from(number % 256).unwrap()];
        let state = Arc::new(EndpointState::new(began));
        Upstream { address: (ip, 80).into(), state, tally: None, weight, came }
    }

    fn members(balance: Balance, weights: &[u16], began: Instant) -> Members {
        let all = weights.iter().enumerate();
        let all = all.map(|(number, weight)| upstream(number, *weight, None, began));
        Members::new(all.collect(), balance)
    }

    fn put_out(members: &Members, at: usize, now: Instant) {
        while members.all[at]
            .state
            .failed(Fault::Dial(DialError::Refused), now, || true)
            .is_none()
        {}
    }

    fn caller(now: Instant) -> Caller {
        Caller { client: [192, 0, 2, 1].into(), now }
    }

    /// The part of all turns that each endpoint has.
    fn parts(members: &Members, now: Instant, slow_start: Duration) -> Vec<f64> {
        let mut counts = vec![0.0; members.all.len()];
        for turn in 0..TURNS {
            counts[members.first(turn, caller(now), slow_start)] += 1.0 / TURNS as f64;
        }
        counts
    }

    fn is_about(got: &[f64], want: &[f64]) -> bool {
        got.iter()
            .zip(want)
            .all(|(got, want)| (got - want).abs() < 0.02)
    }

    const TURNS: u64 = 12_000;
    const NO_SLOW_START: Duration = Duration::ZERO;

    #[test]
    fn no_algorithm_begins_with_an_endpoint_that_is_out_or_has_no_weight() {
        let began = Instant::now();
        let now = began + Duration::from_secs(1);
        for (balance, want) in [
            (Balance::RoundRobin, Some([0.0, 0.0, 0.25, 0.75])),
            (Balance::Random, Some([0.0, 0.0, 0.25, 0.75])),
            (Balance::LeastConnections, None),
            (Balance::Ewma, None),
            (Balance::Maglev, None),
        ] {
            let members = members(balance, &[1, 0, 1, 3], began);
            put_out(&members, 0, now);
            let later = now + Duration::from_secs(1);
            let got = parts(&members, later, NO_SLOW_START);
            assert_eq!((got[0], got[1]), (0.0, 0.0), "{balance}: {got:?}");
            assert!(want.is_none_or(|want| is_about(&got, &want)), "{balance}: {got:?}");
            let back = now + Duration::from_secs(10);
            let at = members.first(0, caller(back), NO_SLOW_START);
            assert!(members.all[at].is_fit(back), "{balance}");
            for at in [2, 3] {
                put_out(&members, at, back);
            }
            let first = members.first(0, caller(later), NO_SLOW_START);
            assert_eq!(members.from(first, later).count(), 4, "{balance}: all are tried");
        }
    }

    #[test]
    fn load_and_weight_decide_where_load_counts() {
        let began = Instant::now();
        for (case, balance, weights, open, want) in [
            ("the fewest", Balance::LeastConnections, [1, 1, 1], [2, 1, 3], 1),
            ("for its weight", Balance::LeastConnections, [1, 1, 4], [2, 1, 5], 2),
            ("equal ones in turn", Balance::LeastConnections, [1, 1, 1], [1, 1, 1], 0),
        ] {
            let members = members(balance, &weights, began);
            let count = |(at, count): (usize, i32)| {
                let all = &members.all;
                (0..count).map(move |_| all[at].open()).collect::<Vec<_>>()
            };
            let held: Vec<_> = open.into_iter().enumerate().map(count).collect();
            assert_eq!(members.first(0, caller(began), NO_SLOW_START), want, "{case}");
            drop(held);
            assert!(members.all.iter().all(|it| it.state.opened() == 0), "{case}");
        }
        let members = members(Balance::Ewma, &[1, 1, 1], began);
        for (it, took_ms) in members.all.iter().zip([100, 1, 10]) {
            it.state.observe(Duration::from_millis(took_ms), began);
        }
        // The slowest wins no pair, the quickest two of three.
        let got = parts(&members, began, NO_SLOW_START);
        assert!(is_about(&got, &[0.0, 2.0 / 3.0, 1.0 / 3.0]), "{got:?}");
    }

    #[test]
    fn who_came_or_came_back_has_a_growing_part() {
        let began = Instant::now();
        let slow_start = Duration::from_secs(100);
        let at = |seconds| began + Duration::from_secs(seconds);
        for (case, balance, now, want) in [
            ("a tenth at first", Balance::RoundRobin, at(1_000), 0.05),
            ("half-way half", Balance::Random, at(1_050), 0.33),
            ("then its own part", Balance::RoundRobin, at(1_100), 0.5),
            ("a client's own is its own", Balance::Maglev, at(1_000), 1.0),
        ] {
            let all = [upstream(0, 1, None, began), upstream(1, 1, Some(at(1_000)), began)];
            let members = Members::new(Box::new(all), balance);
            let got = parts(&members, now, slow_start)[1];
            let is_any = balance == Balance::Maglev && got == 0.0;
            assert!(is_any || (got - want).abs() < 0.05, "{case}: {got}");
        }
        let members = members(Balance::RoundRobin, &[1, 1], began);
        put_out(&members, 1, at(10));
        for (seconds, want) in [(15, 0.0), (20, 0.05), (120, 0.5)] {
            let got = parts(&members, at(seconds), slow_start)[1];
            assert!((got - want).abs() < 0.05, "after {seconds}: {got}");
        }
        let all = [1, 2].map(|number| upstream(number, 1, Some(at(10)), began));
        let members = Members::new(Box::new(all), Balance::RoundRobin);
        let got = parts(&members, at(10), slow_start);
        assert!(is_about(&got, &[0.5, 0.5]), "all of them new: {got:?}");
    }

    proptest! {
        #[test]
        fn each_endpoint_comes_once_and_those_that_are_fit_before_others(
            weights in prop::collection::vec(0_u16..=1, 1..300), first in 0_usize..300,
        ) {
            let now = Instant::now();
            let members = members(Balance::RoundRobin, &weights, now);
            let first = first % weights.len();
            let order: Vec<&Upstream> = members.from(first, now).collect();
            let addresses: BTreeSet<_> = order.iter().map(|it| it.address).collect();
            prop_assert_eq!((order.len(), addresses.len()), (weights.len(), weights.len()));
            prop_assert_eq!(order[0].address, members.all[first].address);
            if weights.len() <= MASK {
                let rest = order[1..].iter().map(|it| it.is_fit(now));
                prop_assert!(rest.is_sorted_by(|a, b| a >= b));
            }
        }
    }
}
