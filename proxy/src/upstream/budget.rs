//! How many requests of a ServicePort may be sent again, so that repeats do not finish off a Service
//! that struggles (`http-proxy 5.11`).
//!
//! A fifth of the requests of a window of ten seconds, and a hundred. Pure but for its counters; the
//! clock and the count of requests are arguments, so that a request that is not repeated costs nothing
//! here. Two workers that open a window at once may let a few more through.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

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
    pub(super) fn has_room(&self, now: Instant, requests: u64) -> bool {
        let window = now.saturating_duration_since(self.began).as_secs() / WINDOW_SECONDS;
        if self.window.swap(window, Relaxed) != window {
            self.before.store(requests, Relaxed);
            self.spent.store(0, Relaxed);
        }
        let in_window = requests.saturating_sub(self.before.load(Relaxed));
        self.spent.load(Relaxed) < in_window / SHARE + FLOOR
    }

    /// Counts a repeat; false, where there is no room for it.
    pub(super) fn take(&self, now: Instant, requests: u64) -> bool {
        let has_room = self.has_room(now, requests);
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
/// One repeat for so many requests.
const SHARE: u64 = 5;
/// Beside those, in each window.
const FLOOR: u64 = 100;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn repeats_are_a_fifth_of_the_requests_and_a_hundred() {
        let began = Instant::now();
        let budget = RetryBudget::new(began);
        let many = |now, requests| (0..5_000).filter(|_| budget.take(now, requests)).count();
        assert_eq!(many(began, 0), 100, "http-proxy 5.11: the floor");
        assert_eq!(many(began, 1_000), 200, "a fifth of 1,000 more");
        assert_eq!(many(began, 1_000), 0);
        let later = began + Duration::from_secs(10);
        assert_eq!(many(later, 1_000), 100, "a new window counts anew");
        assert_eq!(many(later, 2_000), 200);
        assert_eq!(budget.taken.load(Relaxed), 600);
        assert_eq!(budget.refused.load(Relaxed), 5 * 5_000 - 600);
    }
}
