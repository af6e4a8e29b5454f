//! How many connections may be open at once, over all workers and listeners.
//!
//! ```text
//! acquire ─ room, nobody waits ─▶ Place ─drop─▶ room ─▶ whoever waits longest looks again
//!    └───── none ─▶ waits, so that whoever asks stops accepting
//! ```
//!
//! Invariants: no lock while there is room; at most as many places are given out as the limit said
//! when they were; a lower limit cuts nobody, it is reached as connections end. A place that becomes
//! free wakes one who waits, a higher limit all: who waits is counted first and looks again after
//! that, so that neither is missed.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use tokio::sync::Notify;

/// A bound on open connections that all workers share. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ConnectionLimit(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    most: AtomicUsize,
    open: AtomicUsize,
    /// How many wait for a place, or have one in sight.
    waiting: AtomicUsize,
    freed: Notify,
    hits: AtomicU64,
}

/// A place for one connection, given back when it is dropped.
#[derive(Debug)]
pub struct Place(Arc<Shared>);

impl ConnectionLimit {
    /// At most `most` at once.
    pub fn new(most: usize) -> Self {
        Self(Arc::new(Shared {
            most: AtomicUsize::new(most),
            open: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            freed: Notify::new(),
            hits: AtomicU64::new(0),
        }))
    }

    /// At most `most` from now on.
    pub fn set(&self, most: usize) {
        if self.0.most.swap(most, Ordering::SeqCst) != most {
            self.0.freed.notify_waiters();
        }
    }

    /// A place for one connection; waits while there is none, so that whoever asks stops accepting.
    pub async fn acquire(&self) -> Place {
        if self.0.waiting.load(Ordering::Relaxed) == 0
            && let Some(place) = self.try_acquire()
        {
            return place;
        }
        self.0.hits.fetch_add(1, Ordering::Relaxed);
        self.0.waiting.fetch_add(1, Ordering::SeqCst);
        let _waiting = Waiting(&self.0);
        loop {
            let mut freed = pin!(self.0.freed.notified());
            freed.as_mut().enable();
            if let Some(place) = self.try_acquire() {
                return place;
            }
            freed.await;
        }
    }

    /// How many may be open at once.
    pub fn most(&self) -> usize {
        self.0.most.load(Ordering::Relaxed)
    }

    /// How many are open now.
    pub fn open(&self) -> usize {
        self.0.open.load(Ordering::Relaxed)
    }

    /// How often somebody had to wait.
    pub fn hits(&self) -> u64 {
        self.0.hits.load(Ordering::Relaxed)
    }

    fn try_acquire(&self) -> Option<Place> {
        let most = self.0.most.load(Ordering::SeqCst);
        let one_more = |open: usize| (open < most).then_some(open + 1);
        let taken = self
            .0
            .open
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_more);
        taken.ok().map(|_| Place(Arc::clone(&self.0)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
        if self.0.waiting.load(Ordering::SeqCst) > 0 {
            self.0.freed.notify_one();
        }
    }
}

/// One who waits, until it does no more.
struct Waiting<'a>(&'a Shared);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Whether it is ready at once.
    async fn is_ready<T>(future: impl Future<Output = T>) -> bool {
        tokio::time::timeout(Duration::ZERO, future).await.is_ok()
    }

    #[tokio::test]
    async fn a_full_limit_waits_for_the_first_that_leaves() {
        let limit = ConnectionLimit::new(1);
        assert_eq!((limit.most(), limit.open()), (1, 0));
        let first = limit.acquire().await;
        assert_eq!(limit.open(), 1);
        let mut second = pin!(limit.acquire());
        assert!(!is_ready(&mut second).await);
        drop(first);
        let second = second.await;
        assert_eq!((limit.hits(), limit.open()), (1, 1));
        drop(second);
        assert!(is_ready(limit.acquire()).await, "nobody waits any more");
        assert_eq!((limit.hits(), limit.open()), (1, 0));
    }

    #[tokio::test]
    async fn a_limit_that_changes_lets_more_in_and_cuts_nobody() {
        let limit = ConnectionLimit::new(1);
        let first = limit.acquire().await;
        let mut second = pin!(limit.acquire());
        assert!(!is_ready(&mut second).await);
        limit.set(2);
        let second = second.await;
        limit.set(1);
        assert_eq!((limit.most(), limit.open()), (1, 2), "both stay");
        let mut third = pin!(limit.acquire());
        assert!(!is_ready(&mut third).await);
        drop(first);
        assert!(!is_ready(&mut third).await, "one is open, and one may be");
        drop(second);
        third.await;
    }

    #[tokio::test]
    async fn who_stops_waiting_leaves_its_turn_to_the_next() {
        let limit = ConnectionLimit::new(1);
        let first = limit.acquire().await;
        let mut second = Box::pin(limit.acquire());
        let mut third = pin!(limit.acquire());
        assert!(!is_ready(&mut second).await && !is_ready(&mut third).await);
        drop(first);
        drop(second);
        third.await;
    }

    #[test]
    fn no_place_is_lost_or_given_twice_however_many_threads_ask() {
        let (limit, over) = (ConnectionLimit::new(3), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let runtime = tokio::runtime::Builder::new_current_thread();
                    let runtime = { runtime }.build().unwrap();
                    let work = async || {
                        for _ in 0..500 {
                            let place = limit.acquire().await;
                            over.fetch_max(limit.open(), Ordering::SeqCst);
                            tokio::task::yield_now().await;
                            drop(place);
                        }
                    };
                    runtime
                        .block_on(async { tokio::join!(work(), work(), work(), work(), work()) });
                });
            }
        });
        assert_eq!((limit.open(), over.load(Ordering::SeqCst)), (0, 3));
        assert!(limit.hits() > 0, "somebody waited");
    }
}
