//! How much one client has at once, over all workers.
//!
//! Invariants: who has no more places takes none from others. A client is an address of IPv4 or a
//! network of 64 bits, which one host may have all of; a program of this host, which may act for many
//! clients, is none, and has as many places as there are. Nothing is kept of who has no place.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A bound on what each client has. Cheap to clone.
#[derive(Clone, Debug)]
pub struct SourceLimit(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    most: usize,
    shards: Box<[Mutex<Counts>]>,
    hasher: RandomState,
    hits: AtomicU64,
}

type Counts = HashMap<Source, usize>;

/// One of a client's places, given back when it is dropped.
#[derive(Debug)]
pub struct Seat(Option<(Arc<Shared>, Source)>);

/// A client, as far as limits tell it from others: an address of IPv4, or the network of 64 bits that an
/// address of IPv6 is in.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Source(Network);

#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
enum Network {
    V4(u32),
    V6(u64),
}

impl Source {
    /// Who has this address.
    pub fn of(client: IpAddr) -> Self {
        Self(match client.to_canonical() {
            IpAddr::V4(v4) => Network::V4(v4.to_bits()),
            IpAddr::V6(v6) => Network::V6(u64::try_from(v6.to_bits() >> 64).unwrap_or(0)),
        })
    }
}

impl SourceLimit {
    /// At most `most` for each.
    pub fn new(most: usize) -> Self {
        Self(Arc::new(Shared {
            most,
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
            hits: AtomicU64::new(0),
        }))
    }

    /// One more place for a client; none where it has all that it may have.
    pub fn enter(&self, client: IpAddr) -> Option<Seat> {
        // A program of this host may act for many clients.
        if client.to_canonical().is_loopback() {
            return Some(Seat(None));
        }
        let source = Source::of(client);
        let mut counts = self.0.counts(source);
        let count = counts.entry(source).or_default();
        if *count >= self.0.most {
            if *count == 0 {
                counts.remove(&source);
            }
            return None;
        }
        *count += 1;
        drop(counts);
        Some(Seat(Some((Arc::clone(&self.0), source))))
    }

    /// Notes that a client was turned away for want of a place.
    pub fn hit(&self) {
        self.0.hits.fetch_add(1, Ordering::Relaxed);
    }

    /// How often that was.
    pub fn hits(&self) -> u64 {
        self.0.hits.load(Ordering::Relaxed)
    }
}

impl Shared {
    fn counts(&self, source: Source) -> MutexGuard<'_, Counts> {
        let hash = self.hasher.hash_one(source);
        let shard = usize::try_from(hash % SHARDS).unwrap_or(0);
        // A count is whole before and after each change.
        self.shards[shard]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let Some((shared, source)) = self.0.take() else { return };
        let mut counts = shared.counts(source);
        if let Some(count) = counts.get_mut(&source) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                counts.remove(&source);
            }
        }
    }
}

const SHARDS: u64 = 16;

#[cfg(test)]
mod tests {
    use super::*;

    /// The places that a client gets until there are none.
    fn taken(limit: &SourceLimit, client: &str) -> Vec<Seat> {
        let client = client.parse().unwrap();
        std::iter::from_fn(|| limit.enter(client))
            .take(99)
            .collect()
    }

    #[test]
    fn one_client_takes_no_place_from_others() {
        let limit = SourceLimit::new(3);
        let mut held = Vec::new();
        for (client, want) in [
            ("192.0.2.1", 3),
            ("192.0.2.1", 0),
            ("::ffff:192.0.2.1", 0),
            ("192.0.2.2", 3),
            ("2001:db8::1", 3),
            ("2001:db8::ffff:1", 0),
            ("2001:db8:0:1::1", 3),
            ("127.0.0.1", 99),
            ("::1", 99),
        ] {
            let seats = taken(&limit, client);
            assert_eq!(seats.len(), want, "http-proxy 8.2, reliability 4: {client}");
            held.push(seats);
        }
        held.clear();
        assert_eq!(taken(&limit, "192.0.2.1").len(), 3, "they came back");
        let kept: usize = limit
            .0
            .shards
            .iter()
            .map(|it| it.lock().unwrap().len())
            .sum();
        assert_eq!(kept, 0, "nothing is kept of who has none");
        assert!(taken(&SourceLimit::new(0), "192.0.2.1").is_empty());
    }
}
