//! Numbers that one thread adds to and any may read, and how long things took in buckets of them.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// A number that one thread adds to.
#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

/// How long things took: how many by bucket, the last without bound, and the sum of all.
#[derive(Debug, Default)]
pub(crate) struct Spread {
    buckets: [Count; BUCKETS],
    micros: Count,
}

impl Count {
    /// Nobody else writes, so this needs no more than a load and a store.
    pub(super) fn add(&self, more: u64) {
        self.0.store(self.get().wrapping_add(more), Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

impl Spread {
    /// Counts one.
    pub(super) fn add(&self, took: Duration) {
        let micros = u64::from(took.subsec_micros())
            .saturating_add(took.as_secs().saturating_mul(1_000_000));
        if let Some(bucket) = self.buckets.get(bucket(micros)) {
            bucket.add(1);
        }
        self.micros.add(micros);
    }

    pub(super) fn add_to(&self, buckets: &mut [u64; BUCKETS], micros: &mut u64) {
        for (sum, count) in buckets.iter_mut().zip(&self.buckets) {
            *sum += count.get();
        }
        *micros = micros.wrapping_add(self.micros.get());
    }
}

/// The first bucket whose bound is not below: a power of two has at most two bounds beside it.
fn bucket(micros: u64) -> usize {
    let bits = usize::try_from(u64::BITS - micros.leading_zeros()).unwrap_or(0);
    let mut bucket = FIRST
        .get(bits)
        .map_or(BUCKETS - 1, |&first| usize::from(first));
    while BOUNDS_MICROS
        .get(bucket)
        .is_some_and(|&bound| bound < micros)
    {
        bucket += 1;
    }
    bucket
}

/// By how many bits a number has: the first bucket that one of them may be in.
const FIRST: [u8; 28] = {
    let mut first = [0; 28];
    let mut bits = 1;
    while bits < first.len() {
        let least = 1_u64 << (bits - 1);
        let mut bucket = first[bits - 1];
        while (bucket as usize) < BOUNDS_MICROS.len() && BOUNDS_MICROS[bucket as usize] < least {
            bucket += 1;
        }
        first[bits] = bucket;
        bits += 1;
    }
    first
};

/// Upper bounds, included: log-linear from 0.1 ms to 60 s (`http-proxy 9.4`).
pub(crate) const BOUNDS_MICROS: [u64; BUCKETS - 1] = [
    100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000,
    1_000_000, 2_000_000, 5_000_000, 10_000_000, 20_000_000, 60_000_000,
];
/// With the one that has no bound.
pub(crate) const BUCKETS: usize = 19;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_the_first_whose_bound_is_not_below() {
        let edges = BOUNDS_MICROS
            .iter()
            .flat_map(|&bound| [bound - 1, bound, bound + 1]);
        let powers = (0..64).map(|bits| 1_u64 << bits);
        for micros in edges.chain(powers).chain([0, u64::MAX]) {
            let want = BOUNDS_MICROS.partition_point(|&bound| bound < micros);
            assert_eq!(bucket(micros), want, "http-proxy 9.4: {micros}");
        }
    }

    #[test]
    fn no_time_is_too_long() {
        let spread = Spread::default();
        spread.add(Duration::MAX);
        let (mut buckets, mut micros) = ([0; BUCKETS], 0);
        spread.add_to(&mut buckets, &mut micros);
        assert_eq!(buckets[BUCKETS - 1], 1);
    }
}
