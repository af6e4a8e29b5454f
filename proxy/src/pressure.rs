//! How short of memory the process is, and what of the front door's work is left undone for it
//! (`http-proxy 8.4`).
//!
//! ```text
//! control side, each second: look ─▶ Mark ─▶ one atomic        workers: read it at each of their ticks
//! ```
//!
//! | of the limit | then |
//! |---|---|
//! | 85 % | connections at rest are kept half as long |
//! | 92 % | and end with their next response |
//! | 95 % | and requests get 503, and no connection is accepted |
//!
//! Invariants: nothing here is looked at for a request; a mark that was reached is left only two
//! percent below it. Health checks, the admin listener and what goes on already are not touched.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU8, AtomicU64};
use std::sync::{Mutex, PoisonError};

use portico_net::limit::{Memory, MemoryLimit};
use tracing::{info, warn};

/// How much is left undone; each includes those before.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Mark {
    /// Nothing.
    #[default]
    Ample,
    /// Connections are kept at rest half as long.
    Thrifty,
    /// Connections end with their next response.
    Closing,
    /// New requests and connections wait outside.
    Shedding,
}

impl Mark {
    /// In the order of their numbers, and where each begins, in percent.
    const ALL: [(Self, u64); 4] =
        [(Self::Ample, 0), (Self::Thrifty, 85), (Self::Closing, 92), (Self::Shedding, 95)];

    /// The mark at so many percent, where this one was reached before.
    fn after(self, percent: u64) -> Self {
        let is_reached = |&&(mark, begin): &&(Self, u64)| {
            percent >= begin || (mark <= self && percent + SLACK >= begin)
        };
        let reached = Self::ALL.iter().filter(is_reached).map(|&(mark, _)| mark);
        reached.max().unwrap_or_default()
    }

    /// Where it begins, in percent.
    pub(crate) fn percent(self) -> u64 {
        Self::ALL[self as usize].1
    }
}

/// What all workers know of memory, and how many requests they turned away.
#[derive(Debug, Default)]
pub(crate) struct Pressure {
    limit: Mutex<MemoryLimit>,
    mark: AtomicU8,
    used_bytes: AtomicU64,
    /// 0: there is none.
    limit_bytes: AtomicU64,
    /// Requests turned away for want of memory.
    pub(crate) shed_for_memory: AtomicU64,
    /// Requests turned away by workers that were late for too long.
    pub(crate) shed_for_lag: AtomicU64,
}

impl Pressure {
    /// Holds the process to this from the next look on.
    pub(crate) fn limit(&self, limit: MemoryLimit) {
        *self.limit.lock().unwrap_or_else(PoisonError::into_inner) = limit;
    }

    /// Looks how much memory is taken; to be called every second or so, by nobody who serves.
    pub(crate) fn look(&self) {
        let limit = *self.limit.lock().unwrap_or_else(PoisonError::into_inner);
        self.found(limit.look());
    }

    fn found(&self, memory: Option<Memory>) {
        let (used, limit) = memory.map_or((0, 0), |it| (it.used_bytes, it.limit_bytes));
        self.used_bytes.store(used, Relaxed);
        self.limit_bytes.store(limit, Relaxed);
        let before = self.mark();
        let percent = memory.map_or(0, Memory::percent);
        let mark = match memory {
            Some(_) => before.after(percent),
            None => Mark::Ample,
        };
        self.mark.store(mark as u8, Relaxed);
        match mark.cmp(&before) {
            std::cmp::Ordering::Greater => {
                warn!(percent, limit_bytes = limit, "memory is short: {}", words(mark));
            }
            std::cmp::Ordering::Less => {
                info!(percent, limit_bytes = limit, "memory is less short: {}", words(mark));
            }
            std::cmp::Ordering::Equal => {}
        }
    }

    /// The mark of the last look.
    pub(crate) fn mark(&self) -> Mark {
        let found = Mark::ALL.get(usize::from(self.mark.load(Relaxed)));
        found.map_or(Mark::Ample, |&(mark, _)| mark)
    }

    /// What counted against the limit at the last look.
    pub(crate) fn used_bytes(&self) -> u64 {
        self.used_bytes.load(Relaxed)
    }

    /// The limit; 0: there is none.
    pub(crate) fn limit_bytes(&self) -> u64 {
        self.limit_bytes.load(Relaxed)
    }

    /// Has reached this mark.
    #[cfg(test)]
    pub(crate) fn reach(&self, mark: Mark) {
        self.mark.store(mark as u8, Relaxed);
    }
}

fn words(mark: Mark) -> &'static str {
    match mark {
        Mark::Ample => "all is as usual",
        Mark::Thrifty => "connections at rest are kept half as long",
        Mark::Closing => "connections end with their next response",
        Mark::Shedding => "requests get 503 and no connection of Ingress is accepted",
    }
}

/// How far below a mark it is left, in percent.
const SLACK: u64 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mark_is_reached_at_its_percent_and_left_below_it() {
        for (percent, from_ample, from_shedding) in [
            (0, Mark::Ample, Mark::Ample),
            (82, Mark::Ample, Mark::Ample),
            (83, Mark::Ample, Mark::Thrifty),
            (84, Mark::Ample, Mark::Thrifty),
            (85, Mark::Thrifty, Mark::Thrifty),
            (89, Mark::Thrifty, Mark::Thrifty),
            (90, Mark::Thrifty, Mark::Closing),
            (91, Mark::Thrifty, Mark::Closing),
            (92, Mark::Closing, Mark::Closing),
            (93, Mark::Closing, Mark::Shedding),
            (94, Mark::Closing, Mark::Shedding),
            (95, Mark::Shedding, Mark::Shedding),
            (u64::MAX - SLACK, Mark::Shedding, Mark::Shedding),
        ] {
            assert_eq!(Mark::Ample.after(percent), from_ample, "http-proxy 8.4: {percent}");
            assert_eq!(Mark::Shedding.after(percent), from_shedding, "http-proxy 8.4: {percent}");
        }
    }

    #[test]
    fn a_look_says_what_was_found_and_no_limit_is_no_pressure() {
        let pressure = Pressure::default();
        pressure.found(Some(Memory { used_bytes: 96, limit_bytes: 100 }));
        assert_eq!(pressure.mark(), Mark::Shedding);
        assert_eq!((pressure.used_bytes(), pressure.limit_bytes()), (96, 100));
        pressure.found(None);
        assert_eq!((pressure.mark(), pressure.limit_bytes()), (Mark::Ample, 0));
        pressure.limit(MemoryLimit::Bytes(1));
        pressure.look();
        assert_eq!(pressure.mark(), Mark::Shedding, "this test is larger than a byte");
    }
}
