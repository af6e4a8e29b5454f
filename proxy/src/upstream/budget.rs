//! How many requests of a ServicePort may be sent again, so that repeats do not finish off a Service
//! that struggles (`http-proxy 5.11`).
//!
//! A share of the requests of a window of ten seconds, and some a second. Pure but for its counters; the
//! clock, the count of requests and what settings allow are arguments, so that a request that is not
//! repeated costs nothing here. Two workers that open a window at once may let a few more through.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

/// What settings allow (`ingress.retryPercent`, `ingress.retriesPerSecond`).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allowance {
    /// Repeats for a hundred requests.
    pub(crate) percent: usize,
    /// Beside those, so many a second.
    pub(crate) per_second: usize,
}

impl Allowance {
    /// How many repeats there may be in a window that has had so many requests.
    fn of(self, requests: u64) -> u64 {
        let [percent, floor] = [self.percent, self.per_second].map(|it| it as u64);
        let share = u128::from(requests) * u128::from(percent) / 100;
        let share = u64::try_from(share).unwrap_or(u64::MAX);
        share.saturating_add(floor.saturating_mul(WINDOW_SECONDS))
    }
}

/// The repeats of one ServicePort.
#[derive(Debug)]
pub(crate) struct RetryBudget {
    began: Instant,
    /// Number of the window that is open.
    window: AtomicU64,
    /// Requests before it.
    before: AtomicU64,
    /// Repeats in it.
    spent: AtomicU64,
    /// Repeats in all.
    pub(crate) taken: AtomicU64,
    /// Repeats that the budget had no room for.
    pub(crate) refused: AtomicU64,
}

impl RetryBudget {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            began: now,
            window: AtomicU64::default(),
            before: AtomicU64::default(),
            spent: AtomicU64::default(),
            taken: AtomicU64::default(),
            refused: AtomicU64::default(),
        }
    }

    /// Whether there is room for a repeat, of `requests` up to now.
    pub(super) fn has_room(&self, now: Instant, requests: u64, allowed: Allowance) -> bool {
        let window = now.saturating_duration_since(self.began).as_secs() / WINDOW_SECONDS;
        if self.window.swap(window, Relaxed) != window {
            // The one that is asked about is the first of the window.
            self.before.store(requests.saturating_sub(1), Relaxed);
            self.spent.store(0, Relaxed);
        }
        let in_window = requests.saturating_sub(self.before.load(Relaxed));
        self.spent.load(Relaxed) < allowed.of(in_window)
    }

    /// Counts a repeat; false, where there is no room for it.
    pub(super) fn take(&self, now: Instant, requests: u64, allowed: Allowance) -> bool {
        let has_room = self.has_room(now, requests, allowed);
        if has_room {
            self.spent.fetch_add(1, Relaxed);
            self.taken.fetch_add(1, Relaxed);
        } else {
            self.refused.fetch_add(1, Relaxed);
        }
        has_room
    }
}

const WINDOW_SECONDS: u64 = 10;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn repeats_are_a_fifth_of_the_requests_and_a_hundred() {
        let began = Instant::now();
        let budget = RetryBudget::new(began);
        let usual = Allowance { percent: 20, per_second: 10 };
        let many = |now, requests| {
            (0..5_000)
                .filter(|_| budget.take(now, requests, usual))
                .count()
        };
        assert_eq!(many(began, 0), 100, "http-proxy 5.11: the floor");
        assert_eq!(many(began, 1_000), 200, "a fifth of 1,000 more");
        assert_eq!(many(began, 1_000), 0);
        let later = began + Duration::from_secs(10);
        assert_eq!(many(later, 1_000), 100, "a new window counts anew");
        assert_eq!(many(later, 2_000), 200);
        assert_eq!(budget.taken.load(Relaxed), 600);
        assert_eq!(budget.refused.load(Relaxed), 5 * 5_000 - 600);
    }

    #[test]
    fn settings_say_how_many_they_may_be() {
        for (percent, per_second, requests, want) in [
            (0, 0, 1_000, 0),
            (0, 1, 1_000, 10),
            (100, 0, 1_000, 1_000),
            (33, 0, 10, 3),
            (20, 10, 0, 100),
            (100, usize::MAX, u64::MAX, u64::MAX),
        ] {
            let allowed = Allowance { percent, per_second };
            assert_eq!(allowed.of(requests), want, "http-proxy 5.11: {allowed:?} of {requests}");
        }
    }
}
