//! Who asked how much of an Ingress: a leaky bucket for each rate and a count of what is in progress,
//! by client (`ingress 2.4`: `limit-rps`, `limit-connections`). One of IPv6 is a network of 64 bits: one host
//! has all of that, and would have as many buckets.
//!
//! ```text
//! client ─▶ shard ─▶ Entry ─▶ Permit ─▶ (end of the exchange) one less in progress
//! ```
//!
//! One for each Ingress, shared by all workers, kept from view to view. Invariants: `now` is an
//! argument; a shard's lock is held for one look-up, but for the rare sweep of a full one; there are never more
//! than [`MOST_CLIENTS`] entries. In a full shard the half of the idle that were idle longest leaves; where nobody is
//! idle, new clients are refused (`ingress 6.9`).

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use portico_config::model::{ClientLimits, Rate};
use portico_net::limit::Source;

/// What all clients of one Ingress asked of late.
#[derive(Debug)]
pub(crate) struct Limiter {
    shards: Box<[Mutex<Shard>]>,
    /// Seeded, so that nobody can fill one shard with chosen addresses.
    hasher: RandomState,
    most_in_shard: usize,
}

type Shard = HashMap<Source, Entry>;

/// What one client asked.
#[derive(Clone, Copy, Debug)]
struct Entry {
    /// When it asked last.
    last: Instant,
    second: Bucket,
    minute: Bucket,
    /// Its requests in progress.
    open: u32,
}

/// The excess over a rate, in thousandths of a request; none: nothing has come yet.
#[derive(Clone, Copy, Debug, Default)]
struct Bucket(Option<(u64, Instant)>);

/// A request in progress; when dropped, it is over.
#[derive(Debug)]
pub(crate) struct Permit {
    limiter: Arc<Limiter>,
    client: Source,
}

impl Default for Limiter {
    fn default() -> Self {
        Self::new(MOST_CLIENTS)
    }
}

impl Limiter {
    fn new(most_clients: usize) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
            most_in_shard: most_clients.div_ceil(SHARDS),
        }
    }

    /// Asks for a request of `client` at `now`; none: it is over one of the limits, and is not
    /// counted.
    pub(crate) fn admit(
        self: &Arc<Self>,
        limits: &ClientLimits,
        client: IpAddr,
        now: Instant,
    ) -> Option<Permit> {
        let client = Source::of(client);
        let mut shard = self.shard(client);
        if !shard.contains_key(&client) && shard.len() >= self.most_in_shard {
            sweep(&mut shard, limits, now);
            if shard.len() >= self.most_in_shard {
                return None;
            }
        }
        let fresh = Entry { last: now, second: Bucket(None), minute: Bucket(None), open: 0 };
        let entry = shard.entry(client).or_insert(fresh);
        let next = entry.after(limits, now)?;
        *entry = next;
        drop(shard);
        Some(Permit { limiter: Arc::clone(self), client })
    }

    fn shard(&self, client: Source) -> MutexGuard<'_, Shard> {
        let hash = self.hasher.hash_one(client);
        let place = usize::try_from(hash % SHARDS as u64).unwrap_or(0);
        // Entries are changed whole, so one is right whatever happened to who held the lock.
        self.shards[place]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(entry) = self.limiter.shard(self.client).get_mut(&self.client) {
            entry.open = entry.open.saturating_sub(1);
        }
    }
}

impl Entry {
    /// What it is with one more request; none: that is over a limit.
    fn after(&self, limits: &ClientLimits, now: Instant) -> Option<Self> {
        if limits.connections > 0 && self.open >= limits.connections {
            return None;
        }
        let bucket = |bucket: Bucket, rate: Option<Rate>, time| match rate {
            Some(rate) => bucket.after(rate, time, now).ok_or(()),
            None => Ok(Bucket(None)),
        };
        // Both must let it pass before either counts it.
        let minute = bucket(self.minute, limits.rates.per_minute, MINUTE).ok()?;
        let second = bucket(self.second, limits.rates.per_second, SECOND).ok()?;
        Some(Self { last: now, second, minute, open: self.open.saturating_add(1) })
    }

    /// Whether it says nothing that a new entry would not.
    fn is_idle(&self, limits: &ClientLimits, now: Instant) -> bool {
        let empty = |bucket: Bucket, rate: Option<Rate>, time| {
            rate.is_none_or(|rate| bucket.excess(rate, time, now).unwrap_or(0) == 0)
        };
        self.open == 0
            && empty(self.minute, limits.rates.per_minute, MINUTE)
            && empty(self.second, limits.rates.per_second, SECOND)
    }
}

impl Bucket {
    /// What is left of the excess at `now`; none: nothing has come yet.
    fn excess(self, rate: Rate, time: Duration, now: Instant) -> Option<u64> {
        let (excess, last) = self.0?;
        let elapsed = now.saturating_duration_since(last).as_micros();
        let leaked = elapsed * u128::from(rate.requests) * u128::from(ONE) / time.as_micros();
        Some(excess.saturating_sub(u64::try_from(leaked).unwrap_or(u64::MAX)))
    }

    /// With one more request; none: it holds no more (nginx's `limit_req`).
    fn after(self, rate: Rate, time: Duration, now: Instant) -> Option<Self> {
        let Some((before, last)) = self.0 else { return Some(Self(Some((0, now)))) };
        let elapsed = now.saturating_duration_since(last).as_micros();
        let leaked = elapsed * u128::from(rate.requests) * u128::from(ONE) / time.as_micros();
        let leaked = u64::try_from(leaked).unwrap_or(u64::MAX);
        let excess = before.saturating_add(ONE).saturating_sub(leaked);
        (excess <= rate.burst.saturating_mul(ONE)).then_some(Self(Some((excess, now))))
    }
}

/// Makes room: half of the idle leave, those that were idle longest.
fn sweep(shard: &mut Shard, limits: &ClientLimits, now: Instant) {
    let idle = shard.iter().filter(|(_, entry)| entry.is_idle(limits, now));
    let mut idle: Vec<(Instant, Source)> =
        idle.map(|(client, entry)| (entry.last, *client)).collect();
    if idle.is_empty() {
        return;
    }
    let half = idle.len() / 2;
    idle.select_nth_unstable(half);
    for (_, client) in &idle[..=half] {
        shard.remove(client);
    }
}

/// Clients of one Ingress that are remembered.
const MOST_CLIENTS: usize = 1 << 16;
const SHARDS: usize = 64;
/// A request in thousandths of one.
const ONE: u64 = 1_000;
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use portico_config::model::{ObjectName, Rates};

    use super::*;

    fn limits(second: u32, minute: u32, burst: u64, connections: u32) -> ClientLimits {
        let rate = |requests| (requests > 0).then_some(Rate { requests, burst });
        ClientLimits {
            ingress: ObjectName::new("default", "web"),
            rates: Rates { per_second: rate(second), per_minute: rate(minute) },
            connections,
            status: 429,
            exempt: Box::default(),
        }
    }

    fn client(number: u8) -> IpAddr {
        [192, 0, 2, number].into()
    }

    #[test]
    fn a_burst_and_one_at_once_and_then_the_rate() {
        let begin = Instant::now();
        for (case, limits, step) in [
            ("rps", limits(5, 0, 25, 0), Duration::from_millis(200)),
            ("rpm", limits(0, 30, 25, 0), Duration::from_secs(2)),
            ("both: the smaller rate counts", limits(5, 30, 25, 0), Duration::from_secs(2)),
        ] {
            let limiter = Arc::new(Limiter::default());
            let passes = |count: u32, at: Duration| {
                (0..count)
                    .filter(|_| limiter.admit(&limits, client(1), begin + at).is_some())
                    .count()
            };
            assert_eq!(passes(100, Duration::ZERO), 26, "ingress 2.4: {case}: burst + 1");
            assert_eq!(passes(3, step), 1, "ingress 2.4: {case}: then the rate");
            assert_eq!(passes(3, step * 3), 2, "ingress 2.4: {case}");
            assert_eq!(passes(100, step * 100), 26, "ingress 2.4: {case}: it leaks out");
            let other = limiter.admit(&limits, client(2), begin);
            assert!(other.is_some(), "ingress 2.4: {case}: each client by itself");
        }
    }

    #[test]
    fn a_network_of_ipv6_is_one_client() {
        let (limiter, limits, now) =
            (Arc::new(Limiter::default()), limits(0, 0, 0, 1), Instant::now());
        let mut held = Vec::new();
        for (client, want) in [
            ("2001:db8::1", true),
            ("2001:db8::ffff:2", false),
            ("2001:db8:0:1::1", true),
            ("192.0.2.1", true),
            ("::ffff:192.0.2.1", false),
        ] {
            let permit = limiter.admit(&limits, client.parse().unwrap(), now);
            assert_eq!(permit.is_some(), want, "ingress 2.4: {client}");
            held.push(permit);
        }
    }

    #[test]
    fn what_is_in_progress_is_given_back_at_its_end() {
        let (limiter, limits, now) =
            (Arc::new(Limiter::default()), limits(0, 0, 0, 2), Instant::now());
        let admit = |number| limiter.admit(&limits, client(number), now);
        let (first, second) = (admit(1), admit(1));
        assert!(first.is_some() && second.is_some() && admit(1).is_none(), "ingress 2.4");
        assert!(admit(2).is_some(), "another client");
        drop(first);
        assert!(admit(1).is_some(), "ingress 2.4: given back");
    }

    #[test]
    fn a_full_table_lets_the_idle_go_and_refuses_where_none_is() {
        let (now, limits) = (Instant::now(), limits(1, 0, 1, 0));
        // One client in each shard.
        let limiter = Arc::new(Limiter::new(SHARDS));
        let address = |number: u32| IpAddr::from(std::net::Ipv4Addr::from(number));
        let held: Vec<_> = (0..10_000)
            .filter_map(|number| limiter.admit(&limits, address(number), now))
            .collect();
        assert_eq!(held.len(), SHARDS, "ingress 6.9: full of active ones: refuse");
        drop(held);
        assert!(limiter.admit(&limits, address(77_777), now).is_some(), "idle ones leave");
        let entries = limiter
            .shards
            .iter()
            .map(|shard| shard.lock().unwrap().len());
        assert!(entries.sum::<usize>() <= SHARDS);
    }
}
