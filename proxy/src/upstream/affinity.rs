//! Session affinity ClientIP: which endpoint a client returns to, and for how long (`services 4.5`).
//!
//! ```text
//! (ServicePort, client) ─choose─▶ the endpoint remembered, if the set in use has it ─┐ stored,
//!                          └────▶ another, picked anew ──────────────────────────────┘ refreshed
//! ```
//!
//! One table for all ServicePorts, fronts and workers, in shards so that workers rarely wait for
//! each other; only flows of Services with affinity come here. Invariants: no clock (`now` is an
//! argument); at most `most` entries, where a new one takes the place of one that is over or was
//! least recently refreshed, as a clock's hand finds it; only a new flow refreshes an entry, and
//! never for an endpoint outside of its set. An endpoint that left and came back is another one.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::balance::{hash, mix};

/// Whose entry it is: the number of a ServicePort, and the client.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) struct Key {
    pub(super) port: u64,
    pub(super) client: IpAddr,
}

/// An endpoint as it was when a client came: one that left and returned came at another time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Remembered {
    pub(super) address: SocketAddr,
    pub(super) came: Option<Instant>,
}

/// Every client that returns.
#[derive(Debug)]
pub(crate) struct AffinityTable {
    shards: Box<[Mutex<Shard>]>,
    most_per_shard: usize,
    evictions: AtomicU64,
}

#[derive(Debug, Default)]
struct Shard {
    places: HashMap<Key, usize, foldhash::fast::RandomState>,
    entries: Vec<Entry>,
    hand: usize,
}

#[derive(Debug)]
struct Entry {
    key: Key,
    endpoint: Remembered,
    over_at: Instant,
    /// Whether it was refreshed since the hand passed.
    is_used: bool,
}

impl AffinityTable {
    /// A table of at most `most` entries, in equal shards.
    pub(super) fn new(most: usize) -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Self { shards, most_per_shard: (most / SHARDS).max(1), evictions: AtomicU64::default() }
    }

    /// The place in its set of the endpoint that a client returns to, where `find` knows it; else
    /// that of the one that `pick` says. It is remembered for `timeout` from now.
    pub(super) fn choose(
        &self,
        key: Key,
        (now, timeout): (Instant, Duration),
        find: impl FnOnce(Remembered) -> Option<usize>,
        pick: impl FnOnce() -> Option<(usize, Remembered)>,
    ) -> Option<usize> {
        let mut shard = self.shard(key);
        let over_at = now + timeout;
        if let Some(entry) = shard.entry(key)
            && now < entry.over_at
            && let Some(at) = find(entry.endpoint)
        {
            (entry.over_at, entry.is_used) = (over_at, true);
            return Some(at);
        }
        let (at, endpoint) = pick()?;
        self.store(&mut shard, Entry { key, endpoint, over_at, is_used: false }, now);
        Some(at)
    }

    /// Remembers the endpoint that a client came to in the end.
    pub(super) fn settle(
        &self,
        key: Key,
        (now, timeout): (Instant, Duration),
        endpoint: Remembered,
    ) {
        let mut shard = self.shard(key);
        let entry = Entry { key, endpoint, over_at: now + timeout, is_used: false };
        self.store(&mut shard, entry, now);
    }

    /// Forgets where a client returned to, if it is this endpoint, which did not answer.
    pub(super) fn forget(&self, key: Key, endpoint: SocketAddr) {
        let mut shard = self.shard(key);
        if shard
            .entry(key)
            .is_some_and(|it| it.endpoint.address == endpoint)
        {
            shard.remove(key);
        }
    }

    /// How often an entry made room for another before its time.
    pub(crate) fn evictions(&self) -> u64 {
        self.evictions.load(Relaxed)
    }

    fn store(&self, shard: &mut Shard, entry: Entry, now: Instant) {
        if let Some(old) = shard.entry(entry.key) {
            *old = entry;
            return;
        }
        if shard.entries.len() < self.most_per_shard {
            shard.places.insert(entry.key, shard.entries.len());
            return shard.entries.push(entry);
        }
        let (place, is_early) = shard.advance(now);
        if let Some(old) = shard.entries.get_mut(place) {
            shard.places.remove(&old.key);
            shard.places.insert(entry.key, place);
            *old = entry;
        }
        self.evictions.fetch_add(u64::from(is_early), Relaxed);
    }

    fn shard(&self, key: Key) -> MutexGuard<'_, Shard> {
        // Nothing in here can panic half-way; if it did, the worst is a client that is forgotten.
        self.shards[number(key)]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shard {
    fn entry(&mut self, key: Key) -> Option<&mut Entry> {
        let place = *self.places.get(&key)?;
        self.entries.get_mut(place)
    }

    fn remove(&mut self, key: Key) {
        let Some(place) = self.places.remove(&key) else { return };
        self.entries.swap_remove(place);
        if let Some(moved) = self.entries.get(place) {
            self.places.insert(moved.key, place);
        }
    }

    /// The place of the entry that goes, and whether its time was not over.
    fn advance(&mut self, now: Instant) -> (usize, bool) {
        let count = self.entries.len();
        // After one round nothing is marked as used.
        for _ in 0..2 * count {
            let place = self.hand % count;
            self.hand = place + 1;
            let entry = &mut self.entries[place];
            if entry.over_at <= now {
                return (place, false);
            }
            if !std::mem::take(&mut entry.is_used) {
                return (place, true);
            }
        }
        (0, true)
    }
}

/// The shard of a key.
fn number(key: Key) -> usize {
    usize::try_from(mix(hash(key.client), key.port) % SHARDS as u64).unwrap_or(0)
}

/// Entries of all ServicePorts together (`reliability 4`); about 128 bytes each.
pub(super) const MOST_ENTRIES: usize = 262_144;
const SHARDS: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(10);

    fn key(port: u64, client: u8) -> Key {
        Key { port, client: [10, 0, 0, client].into() }
    }

    fn endpoint(number: u8) -> Remembered {
        Remembered { address: ([10, 1, 0, number], 80).into(), came: None }
    }

    /// Comes at `now` to a set of these endpoints, of which the last would be picked.
    fn come(table: &AffinityTable, key: Key, now: Instant, set: &[Remembered]) -> Remembered {
        let find = |old| set.iter().position(|it| *it == old);
        let pick = || Some((set.len() - 1, set[set.len() - 1]));
        set[table.choose(key, (now, TIMEOUT), find, pick).unwrap()]
    }

    #[test]
    fn a_client_returns_until_its_time_is_over() {
        let table = AffinityTable::new(1_000);
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let [a, b, c] = [1, 2, 3].map(endpoint);
        let again = Remembered { came: Some(start), ..a };
        for (case, key, now, set, want) in [
            ("the first time", key(1, 1), at(0), &[a][..], a),
            ("it returns", key(1, 1), at(9), &[a, b], a),
            ("each flow refreshes", key(1, 1), at(18), &[a, b], a),
            ("another client", key(1, 2), at(18), &[a, b], b),
            ("another ServicePort", key(2, 1), at(18), &[a, b], b),
            ("its time is over", key(1, 1), at(28), &[a, b], b),
            ("outside of the set", key(1, 1), at(29), &[a, c], c),
            ("and not back again", key(1, 1), at(30), &[b, c, a], c),
            ("another one of the same address", key(2, 1), at(18), &[b, a], b),
            ("left", key(3, 1), at(30), &[a], a),
            ("and came back", key(3, 1), at(31), &[again, b], b),
        ] {
            assert_eq!(come(&table, key, now, set), want, "services 4.5: {case}");
        }
    }

    #[test]
    fn an_endpoint_that_does_not_answer_is_forgotten_and_no_other() {
        let table = AffinityTable::new(1_000);
        let now = Instant::now();
        let [a, b] = [1, 2].map(endpoint);
        come(&table, key(1, 1), now, &[a]);
        table.forget(key(1, 1), b.address);
        assert_eq!(come(&table, key(1, 1), now, &[a, b]), a);
        table.forget(key(1, 1), a.address);
        assert_eq!(come(&table, key(1, 1), now, &[a, b]), b);
        table.settle(key(1, 1), (now, TIMEOUT), a);
        assert_eq!(come(&table, key(1, 1), now, &[a, b]), a);
    }

    #[test]
    fn a_full_table_gives_up_what_is_over_then_what_was_not_refreshed() {
        let table = AffinityTable::new(SHARDS * 4);
        let start = Instant::now();
        let (a, b) = (endpoint(1), endpoint(2));
        let keys = (0..10_000).map(|port| key(port, 1));
        let same_shard: Vec<Key> = keys.filter(|key| number(*key) == 0).take(6).collect();
        for key in &same_shard[..4] {
            come(&table, *key, start, &[a]);
        }
        let later = start + Duration::from_secs(5);
        for key in &same_shard[1..4] {
            come(&table, *key, later, &[a]);
        }
        come(&table, same_shard[4], later, &[a]);
        assert_eq!(table.evictions(), 1);
        for key in &same_shard[1..4] {
            assert_eq!(come(&table, *key, later, &[a, b]), a, "it was refreshed");
        }
        assert_eq!(come(&table, same_shard[4], later, &[a, b]), a);
        let over = later + TIMEOUT;
        come(&table, same_shard[5], over, &[a]);
        assert_eq!(table.evictions(), 1, "one whose time is over is no loss");
    }
}
