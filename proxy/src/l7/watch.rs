//! Deadlines without timers: a word per connection, looked at by one ticker per worker.
//!
//! ```text
//! Idle ─byte─▶ Head ─request─▶ Waiting ─response head─▶ Busy ─done─▶ Idle      Tunnel
//!  75 s         10 s            60 s since a byte        60 s                   1 h since a byte
//! ```
//!
//! Invariants: no timer is registered per request or per read; a deadline is at most one tick late.
//! Times are ticks of the worker's own clock, so that a jump of the wall clock ends nothing.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, OnceLock, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// What a connection is doing; decides how long it may take.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub(crate) enum Phase {
    /// Between requests.
    Idle,
    /// A head has begun.
    Head,
    /// A request waits for its response: expiry is answered with 504 by whoever waits.
    Waiting,
    /// A response is on its way.
    Busy,
    /// Bytes flow both ways.
    Tunnel,
}

impl Phase {
    fn ticks(self) -> u32 {
        match self {
            Self::Idle => 75,
            Self::Head => 10,
            Self::Waiting | Self::Busy => 60,
            Self::Tunnel => 3600,
        }
    }

    fn from_word(word: u8) -> Self {
        match word {
            0 => Self::Idle,
            1 => Self::Head,
            2 => Self::Waiting,
            3 => Self::Busy,
            _ => Self::Tunnel,
        }
    }
}

/// The deadline of one connection. Shared with the connection's I/O, which may be sent by type
/// though it never leaves its thread: hence words, not cells.
#[derive(Debug)]
pub(crate) struct Watch {
    now: Arc<AtomicU32>,
    phase: AtomicU8,
    deadline: AtomicU32,
    expired: AtomicBool,
    waker: OnceLock<Waker>,
}

impl Watch {
    /// Enters a phase; its time begins now.
    pub(crate) fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Relaxed);
        self.deadline
            .store(self.now.load(Relaxed) + phase.ticks(), Relaxed);
    }

    /// Whether the deadline has passed.
    pub(crate) fn is_expired(&self) -> bool {
        self.expired.load(Relaxed)
    }

    /// Goes on after an expiry that was answered.
    pub(crate) fn renew(&self, phase: Phase) {
        self.expired.store(false, Relaxed);
        self.enter(phase);
    }

    /// What the connection is doing.
    pub(crate) fn phase(&self) -> Phase {
        Phase::from_word(self.phase.load(Relaxed))
    }

    /// Bytes came: a head begins, or what goes on has its time anew.
    pub(crate) fn read(&self) {
        match self.phase() {
            Phase::Idle => self.enter(Phase::Head),
            Phase::Head => {}
            phase => self.enter(phase),
        }
    }

    /// Bytes went.
    pub(crate) fn written(&self) {
        let phase = self.phase();
        if matches!(phase, Phase::Waiting | Phase::Busy | Phase::Tunnel) {
            self.enter(phase);
        }
    }

    /// Resolves once the deadline has passed. Polled by one task only.
    pub(crate) fn poll_expired(&self, cx: &Context<'_>) -> Poll<()> {
        if self.expired.load(Relaxed) {
            return Poll::Ready(());
        }
        self.waker.get_or_init(|| cx.waker().clone());
        Poll::Pending
    }

    fn tick(&self, now: u32) {
        if self.deadline.load(Relaxed) < now
            && !self.expired.swap(true, Relaxed)
            && let Some(waker) = self.waker.get()
        {
            waker.wake_by_ref();
        }
    }
}

/// The worker's clock and every watch on it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ticker {
    now: Arc<AtomicU32>,
    watches: Rc<RefCell<Vec<Weak<Watch>>>>,
}

impl Ticker {
    /// A watch that begins in `phase`.
    pub(crate) fn watch(&self, phase: Phase) -> Arc<Watch> {
        let watch = Arc::new(Watch {
            now: Arc::clone(&self.now),
            phase: AtomicU8::new(phase as u8),
            deadline: AtomicU32::new(self.now() + phase.ticks()),
            expired: AtomicBool::new(false),
            waker: OnceLock::new(),
        });
        self.watches.borrow_mut().push(Arc::downgrade(&watch));
        watch
    }

    /// Ticks since the worker began; one is [`TICK`].
    pub(crate) fn now(&self) -> u32 {
        self.now.load(Relaxed)
    }

    /// Moves the clock on and wakes what has expired.
    pub(crate) fn tick(&self) {
        let now = self.now.fetch_add(1, Relaxed) + 1;
        self.watches
            .borrow_mut()
            .retain(|watch| match watch.upgrade() {
                Some(watch) => {
                    watch.tick(now);
                    true
                }
                None => false,
            });
    }
}

/// The grain of every deadline here.
pub(crate) const TICK: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    fn expired(watch: &Watch) -> bool {
        watch
            .poll_expired(&Context::from_waker(Waker::noop()))
            .is_ready()
    }

    #[test]
    fn each_phase_has_its_time_and_progress_renews_it() {
        for (phase, ticks) in [
            (Phase::Idle, 75),
            (Phase::Head, 10),
            (Phase::Waiting, 60),
            (Phase::Busy, 60),
            (Phase::Tunnel, 3600),
        ] {
            let ticker = Ticker::default();
            let watch = ticker.watch(phase);
            (0..ticks).for_each(|_| ticker.tick());
            assert!(!expired(&watch), "{phase:?} at its limit");
            ticker.tick();
            assert!(expired(&watch), "{phase:?} beyond its limit");
        }
        let ticker = Ticker::default();
        let slow = ticker.watch(Phase::Idle);
        slow.read();
        (0..9).for_each(|_| ticker.tick());
        slow.read();
        (0..2).for_each(|_| ticker.tick());
        assert!(expired(&slow), "bytes of a head do not renew its time (slowloris)");
    }
}
