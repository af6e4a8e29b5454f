//! How many requests an endpoint may have at once, and who waits for a place there (`http-proxy 5.12`).
//!
//! ```text
//! enter ─place free─▶ Place            leave ─somebody waits─▶ the first gets the place
//!   └─full─▶ queue ─room in it─▶ Waiting ─▶ Place
//!                └─full too─▶ nothing
//! ```
//!
//! Shared by all workers. Invariants: places are given in the order in which requests came, and nobody
//! who comes later passes those who wait; whoever stops waiting leaves its place in the queue at once,
//! and a place that comes too late for it goes to the next. While there is room, a request costs the one
//! addition that counts it; the lock is taken where an endpoint is full, and nowhere else. For how long
//! somebody waits is left to whoever waits.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicU32, AtomicU64};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use tokio::sync::oneshot;

use super::endpoint::{EndpointState, Open};
use super::tally::Tally;

/// What is open at one endpoint, and who waits.
#[derive(Debug, Default)]
pub(super) struct Room {
    /// In the lower half all that is open, in the upper one the requests among it.
    open: AtomicU64,
    /// How many stand in the queue.
    waiting: AtomicU32,
    queue: Mutex<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    /// The number of whoever came last.
    last: u64,
    waiters: VecDeque<Waiter>,
}

/// One request that waits.
#[derive(Debug)]
struct Waiter {
    number: u64,
    /// How many may be in progress for it to go.
    most: usize,
    tally: Option<Arc<Tally>>,
    place: oneshot::Sender<Open>,
}

/// How many requests one endpoint may have.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Bounds {
    /// In progress.
    pub(crate) requests: usize,
    /// Waiting for a place.
    pub(crate) pending: usize,
}

/// A place in the queue of an endpoint; left when it is dropped. It ends in a place at the endpoint.
#[derive(Debug)]
pub(crate) struct Waiting {
    state: Arc<EndpointState>,
    number: u64,
    place: oneshot::Receiver<Open>,
}

impl Room {
    /// Counts a connection or a session, for which there is always room.
    pub(super) fn add(&self) {
        self.open.fetch_add(ONE, Relaxed);
    }

    /// Takes it off.
    pub(super) fn take_off(&self) {
        self.open.fetch_sub(ONE, Relaxed);
    }

    /// How many are open.
    pub(super) fn opened(&self) -> u32 {
        let [_, _, _, _, all @ ..] = self.open.load(Relaxed).to_be_bytes();
        u32::from_be_bytes(all)
    }

    /// How many wait.
    pub(super) fn waiting(&self) -> u32 {
        self.waiting.load(Relaxed)
    }

    /// Counts a request where fewer than `most` are in progress; false: there is no room.
    fn admit(&self, most: usize) -> bool {
        let before = requests(self.open.fetch_add(REQUEST, SeqCst));
        let fits = usize::try_from(before).is_ok_and(|before| before < most);
        if !fits {
            self.open.fetch_sub(REQUEST, SeqCst);
        }
        fits
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, queue: &Queue) {
        let count = u32::try_from(queue.waiters.len()).unwrap_or(u32::MAX);
        self.waiting.store(count, SeqCst);
    }
}

impl EndpointState {
    /// A place for one more request; none: all are taken, or somebody waits already.
    pub(super) fn enter(self: &Arc<Self>, most: usize, tally: Option<&Arc<Tally>>) -> Option<Open> {
        let room = self.room();
        if room.waiting.load(SeqCst) > 0 {
            return None;
        }
        if room.admit(most) {
            return Some(Open::request(self, tally));
        }
        // A place that was taken for a moment may have been what somebody waited for.
        self.serve();
        None
    }

    /// A place in the queue; none: as many as may wait do.
    pub(super) fn wait(
        self: &Arc<Self>,
        bounds: Bounds,
        tally: Option<&Arc<Tally>>,
    ) -> Option<Waiting> {
        let (sender, place) = oneshot::channel();
        let mut queue = self.room().queue();
        if queue.waiters.len() >= bounds.pending {
            return None;
        }
        queue.last += 1;
        let number = queue.last;
        let tally = tally.map(Arc::clone);
        let waiter = Waiter { number, most: bounds.requests, tally, place: sender };
        queue.waiters.push_back(waiter);
        self.room().note(&queue);
        drop(queue);
        // Who left before this was noted gave its place to nobody.
        self.serve();
        Some(Waiting { state: Arc::clone(self), number, place })
    }

    /// A request is over.
    pub(super) fn leave(self: &Arc<Self>) {
        self.room().open.fetch_sub(REQUEST, SeqCst);
        self.serve();
    }

    /// Gives what places there are to those who wait.
    fn serve(self: &Arc<Self>) {
        let room = self.room();
        if room.waiting.load(SeqCst) == 0 {
            return;
        }
        let mut queue = room.queue();
        while let Some(first) = queue.waiters.front()
            && room.admit(first.most)
        {
            let Some(Waiter { tally, place, .. }) = queue.waiters.pop_front() else { break };
            let open = Open::request(self, tally.as_ref());
            if let Err(unwanted) = place.send(open) {
                // Whoever waited has just gone. Not by `leave`: the lock is ours.
                unwanted.forget();
                room.open.fetch_sub(REQUEST, SeqCst);
            }
        }
        room.note(&queue);
    }
}

impl Future for Waiting {
    /// None does not come: a waiter leaves the queue with its place, or with this.
    type Output = Option<Open>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Open>> {
        Pin::new(&mut self.place).poll(cx).map(Result::ok)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let room = self.state.room();
        let mut queue = room.queue();
        let before = queue.waiters.len();
        queue.waiters.retain(|waiter| waiter.number != self.number);
        if queue.waiters.len() < before {
            room.note(&queue);
            drop(queue);
            // It may have been the one for whom there was no room.
            self.state.serve();
        }
    }
}

/// How many requests a count holds.
fn requests(open: u64) -> u64 {
    open >> 32
}

const ONE: u64 = 1;
/// A request is one of those that are open.
const REQUEST: u64 = (1 << 32) | ONE;

#[cfg(test)]
mod tests {
    use std::task::Waker;
    use std::time::Instant;

    use super::*;

    fn state() -> Arc<EndpointState> {
        Arc::new(EndpointState::new(Instant::now()))
    }

    fn bounds(requests: usize, pending: usize) -> Bounds {
        Bounds { requests, pending }
    }

    fn poll(waiting: &mut Waiting) -> Option<Open> {
        match Pin::new(waiting).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(open) => open,
            Poll::Pending => None,
        }
    }

    #[test]
    fn as_many_as_may_are_in_progress_and_as_many_as_may_wait() {
        let state = state();
        let (first, second) = (state.enter(2, None).unwrap(), state.enter(2, None).unwrap());
        assert!(state.enter(2, None).is_none(), "http-proxy 5.12: two are all");
        assert_eq!(state.opened(), 2, "who found no place is not counted");
        let mut one = state.wait(bounds(2, 2), None).unwrap();
        let mut two = state.wait(bounds(2, 2), None).unwrap();
        assert!(state.wait(bounds(2, 2), None).is_none(), "two wait");
        assert!(poll(&mut one).is_none() && poll(&mut two).is_none());
        drop(first);
        assert!(state.enter(2, None).is_none(), "nobody passes those who wait");
        let place = poll(&mut one).unwrap();
        assert!(poll(&mut two).is_none(), "who came first is first");
        drop(second);
        drop((one, place));
        let place = poll(&mut two).unwrap();
        assert_eq!((state.opened(), state.waiting()), (1, 0));
        assert!(state.enter(2, None).is_some(), "there is room again");
        drop(place);
        assert_eq!(state.opened(), 0);
    }

    #[test]
    fn who_leaves_the_queue_keeps_no_place_in_it_and_no_place_at_the_endpoint() {
        let state = state();
        let held = state.enter(1, None).unwrap();
        let gone = state.wait(bounds(1, 1), None).unwrap();
        drop(gone);
        assert_eq!(state.waiting(), 0, "the queue has room again");
        let served = state.wait(bounds(1, 1), None).unwrap();
        drop(held);
        // Its place came, and nobody took it.
        drop(served);
        assert_eq!((state.opened(), state.waiting()), (0, 0));
        let place = state.enter(1, None);
        assert!(place.is_some(), "http-proxy 5.12");
    }

    #[test]
    fn connections_count_as_load_and_take_no_place() {
        let state = state();
        let held: Vec<_> = (0..5).map(|_| state.open(None)).collect();
        assert!(state.enter(1, None).is_some(), "no request is in progress");
        assert_eq!(state.opened(), 5);
        drop(held);
        assert_eq!(state.opened(), 0);
        assert!(state.enter(0, None).is_none() && state.wait(bounds(0, 0), None).is_none());
    }

    #[test]
    fn places_are_kept_count_of_however_many_come_at_once() {
        let state = state();
        let most = bounds(3, 64);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..2_000 {
                        let place = state.enter(most.requests, None).or_else(|| {
                            let mut waiting = state.wait(most, None)?;
                            poll(&mut waiting)
                        });
                        let open = requests(state.room().open.load(SeqCst));
                        // Who looks whether there is room counts for that moment.
                        assert!(open <= 3 + 4, "{open}");
                        drop(place);
                    }
                });
            }
        });
        assert_eq!((state.opened(), state.waiting()), (0, 0), "http-proxy 5.12: none is lost");
    }
}
