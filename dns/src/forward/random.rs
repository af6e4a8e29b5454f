//! Numbers that nobody can guess (RFC 5452): ids, letter case, the order of upstreams.
//!
//! One for each worker, which asks the system's generator for many octets at a time.

use std::fmt;

use rustls::crypto::{SecureRandom, aws_lc_rs};

/// A source of random numbers.
pub(crate) struct Random {
    source: &'static dyn SecureRandom,
    pool: [u8; POOL],
    used: usize,
}

/// The generator has failed: nothing may be asked that has to be unguessable.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Exhausted;

impl Random {
    /// An empty pool.
    pub(crate) fn new() -> Self {
        let source = aws_lc_rs::default_provider().secure_random;
        Self { source, pool: [0; POOL], used: POOL }
    }

    /// `N` octets.
    pub(crate) fn octets<const N: usize>(&mut self) -> Result<[u8; N], Exhausted> {
        if self.used + N > POOL {
            self.source.fill(&mut self.pool).map_err(|_| Exhausted)?;
            self.used = 0;
        }
        let octets = self.pool.get(self.used..self.used + N);
        self.used += N;
        octets
            .and_then(|octets| octets.try_into().ok())
            .ok_or(Exhausted)
    }

    /// Two octets, such as an id.
    pub(crate) fn id(&mut self) -> Result<u16, Exhausted> {
        self.octets().map(u16::from_be_bytes)
    }

    /// A number below `count`; 0 where the generator has failed: it decides nothing but an order.
    pub(crate) fn below(&mut self, count: usize) -> usize {
        let number = self.octets().map_or(0, usize::from_be_bytes);
        number.checked_rem(count).unwrap_or(0)
    }
}

impl fmt::Debug for Random {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What is in the pool will be used.
        f.debug_struct("Random").finish_non_exhaustive()
    }
}

const POOL: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn numbers_differ_and_stay_below() {
        let mut random = Random::new();
        let ids: HashSet<_> = (0..1000).map(|_| random.octets::<8>().unwrap()).collect();
        assert_eq!(ids.len(), 1000);
        assert!((0..1000).all(|_| random.below(3) < 3));
        assert_eq!(random.below(0), 0);
    }
}
