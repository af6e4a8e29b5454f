//! What upstreams said, kept for as long as it holds (`dns 4.2`), and who waits for what is asked.
//!
//! ```text
//! look ─▶ Found                         told at once
//!      └▶ Waits, the first with a Flight ─ask─▶ land: all who wait are told, and it is kept
//! ```
//!
//! All workers share it, in shards behind mutexes that are held for a look or an entry, never while
//! somebody waits. Invariants: no I/O, no clock (`now` is an argument); at most [`Keep::bytes`],
//! about; a question is asked once at a time, however many clients have it. Local names are never here.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use foldhash::quality::RandomState;
use tokio::sync::oneshot;

use crate::forward::metrics::CacheCounts;
use crate::forward::response::{Age, Response};

/// How much is kept, and how long.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Keep {
    /// Memory for all shards together; 0: nothing is kept.
    pub(crate) bytes: usize,
    /// How long after its end a response may stand in for one that does not come.
    pub(crate) stale: Option<Duration>,
    /// Whether what is asked for often is fetched again before it ends.
    pub(crate) prefetch: bool,
}

/// The responses of all upstreams.
#[derive(Debug)]
pub(crate) struct Cache {
    shards: Box<[Mutex<Shard>]>,
    hasher: RandomState,
    /// Counts how often everything was forgotten: what was asked before then is not kept.
    epoch: AtomicU64,
    counts: CacheCounts,
}

#[derive(Debug, Default)]
struct Shard {
    entries: HashMap<Arc<[u8]>, Entry, RandomState>,
    /// Every key of `entries` once, the one to go first in front.
    order: VecDeque<Arc<[u8]>>,
    bytes: usize,
    /// Who waits for what is being asked.
    flights: HashMap<Arc<[u8]>, Vec<Told>, RandomState>,
}

/// Where one who waits is told.
type Told = oneshot::Sender<Arc<Response>>;

#[derive(Debug)]
struct Entry {
    response: Arc<Response>,
    stored: Instant,
    life: Duration,
    is_denial: bool,
    /// Asked for since it was last looked at for its place.
    was_used: bool,
    hits: u32,
    /// Upstreams failed: until then they are not asked again.
    rests_until: Option<Instant>,
}

/// What there is to a question.
#[derive(Debug)]
pub(crate) enum Looked<P> {
    /// A response, and the duty to fetch it again where it should be.
    Found(Arc<Response>, Age, Option<Flight>),
    /// None that holds.
    Waits {
        /// What will be said; an error where the flight was given up.
        told: oneshot::Receiver<Arc<Response>>,
        /// One that has expired and may stand in.
        stale: Option<Arc<Response>>,
        /// The duty to ask, for the first.
        flight: Option<Flight>,
        /// Its place among those who wait.
        place: P,
    },
    /// None, and no place to wait for one.
    Full,
}

/// The duty to ask upstreams; dropped, whoever waits is told of it.
#[derive(Debug)]
pub(crate) struct Flight {
    cache: Arc<Cache>,
    shard: usize,
    key: Arc<[u8]>,
    epoch: u64,
    is_over: bool,
}

impl Cache {
    /// An empty one.
    pub(crate) fn new(counts: CacheCounts) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::default(),
            epoch: AtomicU64::new(0),
            counts,
        }
    }

    /// What there is to `key`; who finds nothing waits, where `enter` gives it a place.
    pub(crate) fn look<P>(
        self: &Arc<Self>,
        key: &[u8],
        now: Instant,
        keep: Keep,
        enter: impl FnOnce() -> Option<P>,
    ) -> Looked<P> {
        let hash = std::hash::BuildHasher::hash_one(&self.hasher, key);
        let shard = usize::try_from(hash >> 32).unwrap_or(0) % SHARDS;
        let epoch = self.epoch.load(Ordering::Acquire);
        let flight = |key| Flight { cache: Arc::clone(self), shard, key, epoch, is_over: false };
        let Some(mut inner) = self.shard(shard) else { return Looked::Full };
        let inner = &mut *inner;
        self.counts.requests.inc();
        let mut stale = None;
        if let Some(entry) = inner.entries.get_mut(key) {
            let age = now.saturating_duration_since(entry.stored);
            let over = age.checked_sub(entry.life);
            entry.was_used = true;
            match over {
                None => {
                    entry.hits = entry.hits.saturating_add(1);
                    let is_due = keep.prefetch && entry.is_due(age);
                    let response = Arc::clone(&entry.response);
                    self.counts.hit(entry.is_denial);
                    let refresh = is_due && !inner.flights.contains_key(key);
                    let refresh = refresh.then(|| inner.begin(key));
                    if refresh.is_some() {
                        self.counts.prefetches.inc();
                    }
                    let seconds = u32::try_from(age.as_secs()).unwrap_or(u32::MAX);
                    return Looked::Found(response, Age::Kept(seconds), refresh.map(flight));
                }
                Some(over) if keep.stale.is_some_and(|most| over < most) => {
                    if entry.rests_until.is_some_and(|until| now < until) {
                        self.counts.served_stale.inc();
                        return Looked::Found(Arc::clone(&entry.response), Age::Stale, None);
                    }
                    stale = Some(Arc::clone(&entry.response));
                }
                Some(_) => {}
            }
        }
        self.counts.misses.inc();
        let Some(place) = enter() else { return Looked::Full };
        let (sender, told) = oneshot::channel();
        let begun = (!inner.flights.contains_key(key)).then(|| inner.begin(key));
        if let Some(waiting) = inner.flights.get_mut(key) {
            waiting.push(sender);
        }
        Looked::Waits { told, stale, flight: begun.map(flight), place }
    }

    /// Forgets every response; who waits goes on to wait.
    pub(crate) fn clear(&self) {
        self.epoch.fetch_add(1, Ordering::AcqRel);
        for index in 0..SHARDS {
            if let Some(mut shard) = self.shard(index) {
                shard.entries.clear();
                shard.order.clear();
                shard.bytes = 0;
            }
        }
    }

    /// What it counts.
    pub(crate) fn counts(&self) -> &CacheCounts {
        &self.counts
    }

    /// How many responses are kept: of what is there, and of what is not.
    pub(crate) fn entries(&self) -> (usize, usize) {
        let shards = (0..SHARDS).filter_map(|index| self.shard(index));
        shards.fold((0, 0), |(all, denials), shard| {
            let denied = shard
                .entries
                .values()
                .filter(|entry| entry.is_denial)
                .count();
            (all + shard.entries.len() - denied, denials + denied)
        })
    }

    /// Octets of all that is kept, about.
    pub(crate) fn bytes(&self) -> usize {
        let shards = (0..SHARDS).filter_map(|index| self.shard(index));
        shards.map(|shard| shard.bytes).sum()
    }

    fn shard(&self, index: usize) -> Option<MutexGuard<'_, Shard>> {
        // A panic under the lock, which nothing there makes, leaves whole entries.
        self.shards
            .get(index)
            .map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Shard {
    /// Notes that `key` is being asked.
    fn begin(&mut self, key: &[u8]) -> Arc<[u8]> {
        let key: Arc<[u8]> = key.into();
        self.flights.insert(Arc::clone(&key), Vec::new());
        key
    }

    fn keep(&mut self, key: &Arc<[u8]>, entry: Entry, most: usize, counts: &CacheCounts) {
        let size = size_of_entry(key, &entry.response);
        if size > most {
            return;
        }
        self.bytes += size;
        match self.entries.insert(Arc::clone(key), entry) {
            // It keeps its place.
            Some(before) => self.bytes -= size_of_entry(key, &before.response),
            None => self.order.push_back(Arc::clone(key)),
        }
        self.shrink(most, counts);
    }

    /// Lets go of what came first and was not asked for since, until `most` octets are left.
    fn shrink(&mut self, most: usize, counts: &CacheCounts) {
        while self.bytes > most {
            let Some(key) = self.order.pop_front() else { return };
            match self.entries.get_mut(&key) {
                // Each turn makes one unused, so that the walk ends.
                Some(entry) if entry.was_used => {
                    entry.was_used = false;
                    self.order.push_back(key);
                }
                Some(entry) => {
                    self.bytes -= size_of_entry(&key, &entry.response);
                    counts.eviction(entry.is_denial);
                    self.entries.remove(&key);
                }
                None => {}
            }
        }
    }
}

impl Entry {
    /// Whether little of its life is left and it was asked for often.
    fn is_due(&self, age: Duration) -> bool {
        self.hits >= OFTEN && self.life.saturating_sub(age) * 10 < self.life
    }
}

impl Flight {
    /// Tells all who wait what was said, and keeps it as long as it holds.
    pub(crate) fn land(mut self, response: &Arc<Response>, now: Instant, keep: Keep) {
        self.is_over = true;
        let Some(mut shard) = self.cache.shard(self.shard) else { return };
        let waiting = shard.flights.remove(&self.key).unwrap_or_default();
        let is_current = self.epoch == self.cache.epoch.load(Ordering::Acquire);
        if let Some(life) = response.lifetime().filter(|_| is_current) {
            let is_failure = response.is_failure();
            let stands_in = shard.entries.get_mut(&self.key).filter(|entry| {
                let over = now
                    .saturating_duration_since(entry.stored)
                    .checked_sub(entry.life);
                let is_in = |most| over.is_none_or(|over| over < most);
                is_failure && !entry.response.is_failure() && keep.stale.is_some_and(is_in)
            });
            match stands_in {
                Some(entry) => entry.rests_until = Some(now + REST),
                None => {
                    let entry = Entry {
                        response: Arc::clone(response),
                        stored: now,
                        life: life.time,
                        is_denial: life.is_denial,
                        was_used: false,
                        hits: 0,
                        rests_until: None,
                    };
                    let most = keep.bytes / SHARDS;
                    shard.keep(&self.key, entry, most, &self.cache.counts);
                }
            }
        }
        drop(shard);
        for waits in waiting {
            // Who gave up needs nothing.
            let _ = waits.send(Arc::clone(response));
        }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if !self.is_over
            && let Some(mut shard) = self.cache.shard(self.shard)
        {
            shard.flights.remove(&self.key);
        }
    }
}

fn size_of_entry(key: &[u8], response: &Response) -> usize {
    response.size() + key.len() + ENTRY
}

/// Shards, so that workers seldom meet.
const SHARDS: usize = 16;
/// Octets of an entry beside its key and response, about.
const ENTRY: usize = size_of::<Entry>() + 4 * size_of::<Arc<[u8]>>() + 32;
/// Times that a response is asked for before it is fetched ahead.
const OFTEN: u32 = 3;
/// How long upstreams rest once they failed and what they said before stands in (RFC 8767 §5).
const REST: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests;
