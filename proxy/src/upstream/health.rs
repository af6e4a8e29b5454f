//! Passive health: an endpoint that fails again and again is tried last for a while.
//!
//! ```text
//! In ─5 failures in a row─▶ Out for 10 s × n, 300 s at most ─time─▶ In, where one failure is enough
//!  ▲──────────────────────── an answer: all is forgotten ◀──────────────────────────┘
//! ```
//!
//! One state for each endpoint, whoever sends traffic there (`reliability 4`, `http-proxy 5.12`).
//! Invariants: no clock (time is an argument, since the process began); an endpoint that is out is
//! still tried where no other answers; whether a set can do without one more is asked by whoever saw
//! the failure, since an endpoint knows no sets. Success costs a few loads, a choice one.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU32, AtomicU64};
use std::time::Duration;

use super::dial_error::DialError;

/// The health of one endpoint, shared by all workers.
#[derive(Debug, Default)]
pub(super) struct Health {
    /// Dials that failed in a row.
    dials: AtomicU32,
    /// Connections in a row that broke before the endpoint had said anything, or gave nothing of use.
    breaks: AtomicU32,
    /// Times that it was put out since it last answered.
    ejections: AtomicU32,
    /// When it was put out, in microseconds.
    out_from: AtomicU64,
    /// Until when; 0: never yet.
    out_until: AtomicU64,
}

/// What went wrong.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fault {
    /// No connection came to be, for this reason.
    Dial(DialError),
    /// It ended in a reset before the endpoint had said anything.
    Break,
    /// All that it had to say to a call of gRPC is that it does no work (`http-proxy 6.9`).
    Unavailable,
}

impl Health {
    /// Whether a choice that was made at `chosen` passes it over.
    pub(super) fn is_out(&self, chosen: Duration) -> bool {
        match self.out_until.load(Relaxed) {
            0 => false,
            // What failed since the choice was made is in its order already.
            until => micros(chosen) < until && self.out_from.load(Relaxed) <= micros(chosen),
        }
    }

    /// When it came back from being out; none: it never was, or still is.
    pub(super) fn back_since(&self, now: Duration) -> Option<Duration> {
        let until = self.out_until.load(Relaxed);
        (until != 0 && until <= micros(now)).then(|| Duration::from_micros(until))
    }

    /// Notes a failure; says for how long the endpoint is out from now on, if it is. `may_go` says
    /// whether others are left, and is asked only if it matters.
    pub(super) fn failed(
        &self,
        fault: Fault,
        now: Duration,
        may_go: impl FnOnce() -> bool,
    ) -> Option<Duration> {
        let counter = match fault {
            Fault::Dial(_) => &self.dials,
            Fault::Break | Fault::Unavailable => &self.breaks,
        };
        let count = counter.load(Relaxed).saturating_add(1).min(MOST_FAILURES);
        counter.store(count, Relaxed);
        let until = self.out_until.load(Relaxed);
        if count < MOST_FAILURES || micros(now) < until || !may_go() {
            return None;
        }
        let time = time_out(self.ejections.load(Relaxed).saturating_add(1));
        let next = micros(now + time);
        // Of workers that see the last failure at once, one puts it out.
        let won = self
            .out_until
            .compare_exchange(until, next, Relaxed, Relaxed);
        won.ok()?;
        self.out_from.store(micros(now), Relaxed);
        self.ejections.fetch_add(1, Relaxed);
        // When it is back, one failure is enough.
        counter.store(MOST_FAILURES - 1, Relaxed);
        Some(time)
    }

    /// Notes that a dial succeeded.
    pub(super) fn connected(&self) {
        clear(&self.dials);
    }

    /// Notes that it said something.
    pub(super) fn answered(&self) {
        clear(&self.dials);
        clear(&self.breaks);
        clear(&self.ejections);
    }
}

/// Whether one more endpoint of a set may be put out: never more than half, and never the last.
pub(super) fn may_go(out: usize, all: usize) -> bool {
    2 * (out + 1) <= all
}

/// For how long an endpoint is out for the n-th time.
fn time_out(times: u32) -> Duration {
    (SHORTEST * times).min(LONGEST)
}

/// A load where there is nothing to clear: the line of the cache stays shared.
fn clear(counter: &AtomicU32) {
    if counter.load(Relaxed) != 0 {
        counter.store(0, Relaxed);
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX).max(1)
}

const MOST_FAILURES: u32 = 5;
const SHORTEST: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests {
    use super::*;

    const DIAL: Fault = Fault::Dial(DialError::Refused);

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// As many failures as put it out, at most; for how long it then is.
    fn fail(health: &Health, now: Duration) -> (u32, Option<Duration>) {
        for count in 1..=10 {
            if let Some(time) = health.failed(DIAL, now, || true) {
                return (count, Some(time));
            }
        }
        (10, None)
    }

    #[test]
    fn each_time_out_is_longer_and_an_answer_forgets_them() {
        let health = Health::default();
        let mut now = at(1);
        for (case, want) in [
            ("five failures", (5, at(10))),
            ("when it is back, one", (1, at(20))),
            ("and again", (1, at(30))),
        ] {
            let (count, time) = fail(&health, now);
            let time = time.unwrap();
            assert_eq!((count, time), want, "http-proxy 5.12: {case}");
            let later = now + at(1);
            assert!(health.is_out(later) && health.back_since(later).is_none(), "{case}");
            assert_eq!(fail(&health, later).1, None, "{case}: it is out already");
            now += time;
            assert!(!health.is_out(now), "{case}");
            assert_eq!(health.back_since(now), Some(now), "{case}");
        }
        health.answered();
        assert_eq!(fail(&health, now), (5, Some(at(10))));
        assert_eq!(time_out(31), at(300), "300 s at most");
    }

    #[test]
    fn failures_count_in_a_row_and_each_kind_by_itself() {
        for (case, after_four, want) in [
            ("nothing else", (|_| {}) as fn(&Health), true),
            ("a dial that succeeds", |health| health.connected(), false),
            ("an answer", |health| health.answered(), false),
            (
                "a break is another kind",
                |health| {
                    health.failed(Fault::Break, at(1), || true);
                },
                true,
            ),
        ] {
            let health = Health::default();
            for _ in 0..4 {
                assert_eq!(health.failed(DIAL, at(1), || true), None, "{case}");
            }
            after_four(&health);
            let out = health.failed(DIAL, at(1), || true);
            assert_eq!(out.is_some(), want, "{case}");
        }
        let health = Health::default();
        for _ in 0..4 {
            health.failed(Fault::Break, at(1), || true);
            health.connected();
        }
        assert!(health.failed(Fault::Break, at(1), || true).is_some(), "a dial says nothing of it");
        let health = Health::default();
        for fault in [Fault::Unavailable, Fault::Break, Fault::Unavailable, Fault::Unavailable] {
            health.connected();
            health.failed(fault, at(1), || true);
        }
        let out = health.failed(Fault::Unavailable, at(1), || true);
        assert!(out.is_some(), "http-proxy 6.9: it is no answer, whatever came before");
    }

    #[test]
    fn what_failed_after_a_choice_was_made_is_not_passed_over_by_it() {
        let health = Health::default();
        fail(&health, at(2));
        assert!(!health.is_out(at(1)) && health.is_out(at(3)));
    }

    #[test]
    fn half_of_a_set_may_go_and_never_the_last() {
        for (all, want) in [(1, 0), (2, 1), (3, 1), (4, 2), (5, 2), (10, 5)] {
            let out = (0..all).take_while(|out| may_go(*out, all)).count();
            assert_eq!(out, want, "http-proxy 5.12: {all}");
        }
        let health = Health::default();
        for _ in 0..20 {
            assert_eq!(health.failed(DIAL, at(1), || false), None);
        }
        assert!(!health.is_out(at(2)));
    }
}
