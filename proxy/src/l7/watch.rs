//! Deadlines without timers: a word per connection, looked at by one ticker per worker.
//!
//! ```text
//! Idle ─byte─▶ Head ─request─▶ Waiting ─response head─▶ Busy ─done─▶ Idle      Tunnel
//!  75 s         10 s            60 s since a byte        60 s                   1 h since a byte
//! ```
//!
//! Those are the defaults of the settings that [`DoorTimeouts`] holds.
//!
//! Invariants: no timer is registered per request or per read; a deadline is at most one tick late; a
//! watch that is dropped leaves nothing behind, since each stream of HTTP/2 has one. Times are ticks of
//! the worker's own clock, so that a jump of the wall clock ends nothing.

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use portico_config::model::DoorTimeouts;

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
    /// A connection of HTTP/2 between two pings of ours (`http-proxy 6.1`).
    Quiet,
    /// A ping of ours is out.
    Pong,
}

impl Phase {
    fn time(self, timeouts: &DoorTimeouts) -> Duration {
        match self {
            Self::Idle => timeouts.keep_alive,
            Self::Head => timeouts.request_header,
            Self::Waiting => timeouts.upstream_read,
            Self::Busy => timeouts.downstream_send,
            Self::Tunnel => timeouts.tunnel_idle,
            Self::Quiet => Duration::from_secs(30),
            Self::Pong => Duration::from_secs(20),
        }
    }

    /// In the order of their numbers.
    const ALL: [Self; 7] =
        [Self::Idle, Self::Head, Self::Waiting, Self::Busy, Self::Tunnel, Self::Quiet, Self::Pong];
}

/// Ticks since the worker began, how many of them each phase may take, and every watch.
#[derive(Debug)]
struct Clock {
    now: Cell<u32>,
    ticks: [Cell<u32>; Phase::ALL.len()],
    /// How many a connection usually rests.
    rest: u32,
    /// Whether what rests is kept half as long.
    halves: Cell<bool>,
    /// Each at the place that it knows.
    watches: RefCell<Vec<Weak<Watch>>>,
}

impl Clock {
    /// Where a phase that begins now ends.
    fn end(&self, phase: Phase) -> u32 {
        self.now.get().saturating_add(self.ticks(phase))
    }

    fn ticks(&self, phase: Phase) -> u32 {
        self.ticks[phase as usize].get()
    }

    /// What becomes of a usual time of rest.
    fn at_rest(&self, ticks: u32) -> u32 {
        if self.halves.get() { (ticks / 2).max(1) } else { ticks }
    }
}

/// The deadline of one connection.
#[derive(Debug)]
pub(crate) struct Watch {
    clock: Rc<Clock>,
    /// Its place among all watches.
    place: Cell<usize>,
    phase: Cell<Phase>,
    deadline: Cell<u32>,
    /// When its time began.
    since: Cell<u32>,
    /// How long a tunnel may carry nothing.
    tunnel: Cell<u32>,
    expired: Cell<bool>,
    waker: OnceCell<Waker>,
}

impl Watch {
    /// Enters a phase; its time begins now.
    pub(crate) fn enter(&self, phase: Phase) {
        self.phase.set(phase);
        let ticks = match phase {
            Phase::Tunnel => self.tunnel.get(),
            phase => self.clock.ticks(phase),
        };
        self.since.set(self.clock.now.get());
        self.allow(ticks);
    }

    /// What the connection is doing.
    pub(crate) fn phase(&self) -> Phase {
        self.phase.get()
    }

    /// Another time than the phase's, from the last progress on; lasts until the next.
    pub(crate) fn allow(&self, ticks: u32) {
        self.deadline.set(self.since.get().saturating_add(ticks));
    }

    /// Another time than is usual for a tunnel.
    pub(crate) fn allow_tunnel(&self, ticks: u32) {
        self.tunnel.set(ticks);
    }

    /// Goes on after an expiry that was answered.
    pub(crate) fn renew(&self, phase: Phase) {
        self.expired.set(false);
        self.enter(phase);
    }

    /// Bytes came: a head begins, or what goes on has its time anew.
    pub(crate) fn read(&self) {
        match self.phase.get() {
            Phase::Idle => self.enter(Phase::Head),
            Phase::Head => {}
            phase => self.enter(phase),
        }
    }

    /// Bytes went.
    pub(crate) fn written(&self) {
        let phase = self.phase.get();
        if matches!(phase, Phase::Waiting | Phase::Busy | Phase::Tunnel) {
            self.enter(phase);
        }
    }

    /// Resolves once the deadline has passed. Polled by one task only, which is also woken when the
    /// ticker says [`Ticker::wake_all`].
    pub(crate) fn poll_expired(&self, cx: &Context<'_>) -> Poll<()> {
        if self.expired.get() {
            return Poll::Ready(());
        }
        self.waker.get_or_init(|| cx.waker().clone());
        Poll::Pending
    }

    fn tick(&self, now: u32) {
        if self.deadline.get() < now && !self.expired.replace(true) {
            self.wake();
        }
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.get() {
            waker.wake_by_ref();
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let (place, mut watches) = (self.place.get(), self.clock.watches.borrow_mut());
        watches.swap_remove(place);
        // The last one has its place now.
        if let Some(moved) = watches.get(place).and_then(Weak::upgrade) {
            moved.place.set(place);
        }
    }
}

/// The worker's clock and every watch on it.
#[derive(Clone, Debug)]
pub(crate) struct Ticker {
    clock: Rc<Clock>,
}

impl Ticker {
    /// A clock that stands at 0; each phase takes what `timeouts` say, in whole ticks.
    pub(crate) fn new(timeouts: &DoorTimeouts) -> Self {
        let seconds = |phase: Phase| u32::try_from(phase.time(timeouts).as_secs());
        let ticks = |phase| seconds(phase).unwrap_or(u32::MAX).max(1);
        let clock = Clock {
            now: Cell::new(0),
            ticks: Phase::ALL.map(|phase| Cell::new(ticks(phase))),
            rest: ticks(Phase::Idle),
            halves: Cell::new(false),
            watches: RefCell::default(),
        };
        Self { clock: Rc::new(clock) }
    }

    /// A watch that begins in `phase`.
    pub(crate) fn watch(&self, phase: Phase) -> Rc<Watch> {
        let mut watches = self.clock.watches.borrow_mut();
        let watch = Rc::new(Watch {
            clock: Rc::clone(&self.clock),
            place: Cell::new(watches.len()),
            phase: Cell::new(phase),
            deadline: Cell::new(self.clock.end(phase)),
            since: Cell::new(self.now()),
            tunnel: Cell::new(self.clock.ticks(Phase::Tunnel)),
            expired: Cell::new(false),
            waker: OnceCell::new(),
        });
        watches.push(Rc::downgrade(&watch));
        watch
    }

    /// How many ticks a phase may take.
    pub(crate) fn ticks(&self, phase: Phase) -> u32 {
        self.clock.ticks(phase)
    }

    /// How many ticks something is kept that rests, where `ticks` are usual.
    pub(crate) fn at_rest(&self, ticks: u32) -> u32 {
        self.clock.at_rest(ticks)
    }

    /// Keeps what rests half as long, or as long as usual again; what rests now too
    /// (`http-proxy 8.4`).
    pub(crate) fn halve_rest(&self, halves: bool) {
        if self.clock.halves.replace(halves) == halves {
            return;
        }
        let ticks = self.clock.at_rest(self.clock.rest);
        self.clock.ticks[Phase::Idle as usize].set(ticks);
        self.each(|watch| {
            if watch.phase.get() == Phase::Idle {
                watch.allow(ticks);
            }
        });
    }

    /// Ticks since the worker began; one is [`TICK`].
    pub(crate) fn now(&self) -> u32 {
        self.clock.now.get()
    }

    /// Moves the clock on and wakes what has expired.
    pub(crate) fn tick(&self) {
        let now = self.now() + 1;
        self.clock.now.set(now);
        self.each(|watch| watch.tick(now));
    }

    /// Wakes every connection: something else than time has changed for all.
    pub(crate) fn wake_all(&self) {
        self.each(Watch::wake);
    }

    fn each(&self, act: impl Fn(&Watch)) {
        // To be woken ends nothing at once: the list stays as it is meanwhile.
        let watches = self.clock.watches.borrow();
        watches
            .iter()
            .filter_map(Weak::upgrade)
            .for_each(|watch| act(&watch));
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
            (Phase::Quiet, 30),
            (Phase::Pong, 20),
        ] {
            let ticker = Ticker::new(&DoorTimeouts::default());
            let watch = ticker.watch(phase);
            (0..ticks).for_each(|_| ticker.tick());
            assert!(!expired(&watch), "{phase:?} at its limit");
            ticker.tick();
            assert!(expired(&watch), "{phase:?} beyond its limit");
        }
        let ticker = Ticker::new(&DoorTimeouts::default());
        let slow = ticker.watch(Phase::Idle);
        slow.read();
        (0..9).for_each(|_| ticker.tick());
        slow.read();
        (0..2).for_each(|_| ticker.tick());
        let other = ticker.watch(Phase::Waiting);
        other.allow(2);
        (0..2).for_each(|_| ticker.tick());
        assert!(!expired(&other), "at the time that an annotation gave");
        ticker.tick();
        assert!(expired(&other), "beyond it");
        let (resting, waiting) = (ticker.watch(Phase::Idle), ticker.watch(Phase::Waiting));
        ticker.halve_rest(true);
        (0..37).for_each(|_| ticker.tick());
        assert!(!expired(&resting) && ticker.at_rest(30) == 15);
        ticker.tick();
        assert!(expired(&resting), "half of its time, also of what rested before");
        ticker.halve_rest(false);
        assert!(!expired(&waiting) && ticker.ticks(Phase::Idle) == 75 && ticker.at_rest(30) == 30);
        let tunnel = ticker.watch(Phase::Busy);
        tunnel.allow_tunnel(u32::MAX);
        tunnel.enter(Phase::Tunnel);
        (0..4_000).for_each(|_| ticker.tick());
        assert!(!expired(&tunnel), "any time");
        assert!(expired(&slow), "bytes of a head do not renew its time (slowloris)");
    }

    #[test]
    fn a_watch_that_is_dropped_leaves_nothing_behind() {
        let ticker = Ticker::new(&DoorTimeouts::default());
        let mut watches: Vec<_> = (0..8).map(|_| ticker.watch(Phase::Pong)).collect();
        for at in [7, 0, 3, 0] {
            drop(watches.swap_remove(at));
            assert_eq!(ticker.clock.watches.borrow().len(), watches.len());
        }
        (0..=20).for_each(|_| ticker.tick());
        assert!(watches.iter().all(|watch| expired(watch)), "the others are still looked at");
        watches.clear();
        assert!(ticker.clock.watches.borrow().is_empty());
    }
}
