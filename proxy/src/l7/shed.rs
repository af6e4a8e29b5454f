//! What a worker leaves undone where memory is short, or where it is late (`http-proxy 8.4`).
//!
//! Looked at when the worker's clock ticks, four times a second for lateness; a request asks one word
//! that nobody else writes. Whoever is in is served to the end: requests that come are turned away by
//! 503, and connections wait where the kernel holds them, before anything was read or agreed on.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use http::{HeaderValue, StatusCode};

use super::Worker;
use super::edits::Edits;
use super::policy::Declined;
use super::request::Refused;
use crate::pressure::Mark;

/// Why requests are turned away.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Reason {
    /// Memory is short.
    Memory,
    /// What is due is done too late.
    Lag,
}

/// How late the worker's loop is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lag {
    /// Since when everything was late; none: the last thing was not.
    since: Option<Instant>,
}

impl Lag {
    /// Notes that what was due at `due` is done at `now`; whether it has been later than `most` for so
    /// long that less must be done. One pause of the process, however long, is not that.
    fn note(&mut self, due: Instant, now: Instant, most: Duration) -> bool {
        if now.saturating_duration_since(due) <= most {
            self.since = None;
            return false;
        }
        let since = *self.since.get_or_insert(now);
        now.saturating_duration_since(since) >= SUSTAINED
    }
}

impl Worker {
    /// Does as the mark says that was reached.
    pub(super) fn heed_memory(&self) {
        let mark = self.metrics.pressure.mark();
        self.ticker.halve_rest(mark >= Mark::Thrifty);
        self.closing
            .set(self.draining.get() || mark >= Mark::Closing);
        let reason = match (mark >= Mark::Shedding, self.sheds.get()) {
            (true, _) => Some(Reason::Memory),
            (false, Some(Reason::Lag)) => Some(Reason::Lag),
            (false, _) => None,
        };
        self.shed(reason);
    }

    /// Does as lateness says: what was due at `due` is done now.
    pub(super) fn heed_lag(&self, due: Instant, most: Duration) {
        let mut lag = self.lag.get();
        let is_late = lag.note(due, Instant::now(), most);
        self.lag.set(lag);
        match (self.sheds.get(), is_late) {
            (Some(Reason::Memory), _) => {}
            (_, true) => self.shed(Some(Reason::Lag)),
            (_, false) => self.shed(None),
        }
    }

    fn shed(&self, reason: Option<Reason>) {
        if self.sheds.replace(reason).is_some() && reason.is_none() {
            self.relieved.notify_waiters();
        }
    }

    /// Resolves once connections may be accepted.
    pub(crate) async fn admits(&self) {
        // On one thread: nothing changes between the look and the wait.
        while self.sheds.get().is_some() {
            self.relieved.notified().await;
        }
    }

    /// The answer to a request that is turned away, if requests are.
    #[inline]
    pub(super) fn turns_away(&self) -> Option<Declined> {
        self.sheds.get().map(|reason| self.turn_away(reason))
    }

    #[cold]
    fn turn_away(&self, reason: Reason) -> Declined {
        let pressure = &self.metrics.pressure;
        match reason {
            Reason::Memory => pressure.shed_for_memory.fetch_add(1, Relaxed),
            Reason::Lag => pressure.shed_for_lag.fetch_add(1, Relaxed),
        };
        let refused = Refused { status: StatusCode::SERVICE_UNAVAILABLE, close: true };
        let mut edits = Edits::default();
        edits.set("Retry-After", RETRY_AFTER);
        Declined { edits: Some(Box::new(edits)), ..refused.into() }
    }
}

/// How often lateness is looked at.
pub(super) const LOOK: Duration = Duration::from_millis(250);
/// How long everything must be late.
const SUSTAINED: Duration = Duration::from_secs(1);
/// In seconds: a worker looks as often at what there is.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

#[cfg(test)]
mod tests;

#[cfg(test)]
mod lag {
    use super::*;

    #[test]
    fn lateness_counts_once_it_has_lasted_for_a_second() {
        let begin = Instant::now();
        let at = |millis: u64| begin + Duration::from_millis(millis);
        let most = Duration::from_millis(100);
        for (case, looks, want) in [
            ("in time", &[(0, 0), (250, 350), (500, 600)][..], false),
            ("late once, by a minute", &[(0, 60_000)], false),
            ("and in time again", &[(0, 60_000), (60_000, 60_010), (60_250, 62_000)], false),
            ("late for less", &[(0, 101), (250, 600), (500, 1_100)], false),
            ("late all the time", &[(0, 101), (250, 600), (500, 1_101)], true),
            ("until it is not", &[(0, 101), (250, 600), (500, 1_101), (1_250, 1_350)], false),
        ] {
            let mut lag = Lag::default();
            let mut is_late = false;
            for &(due, now) in looks {
                is_late = lag.note(at(due), at(now), most);
            }
            assert_eq!(is_late, want, "http-proxy 8.4: {case}");
        }
    }
}
