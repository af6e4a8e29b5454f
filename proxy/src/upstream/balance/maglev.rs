//! Maglev (Eisenbud et al., NSDI 2016): the same client comes to the same endpoint, on every
//! machine, and an endpoint that leaves moves hardly anybody but its own clients.
//!
//! Each endpoint fills places of a table in an order of its own, in turns that follow weights.
//! A table is built with the view, and only for a Service that asks for one.

use std::net::SocketAddr;

use super::{counting, hash, mix, place};

/// Which endpoint has which place; 65,535 endpoints at most, more share nothing.
#[derive(Debug)]
pub(in crate::upstream) struct Table(Box<[u16]>);

impl Table {
    pub(super) fn new(members: &[(SocketAddr, u16)]) -> Self {
        let members = &members[..members.len().min(usize::from(u16::MAX))];
        if members.is_empty() {
            return Self(Box::default());
        }
        let size = if members.len() <= FEW { SMALL } else { LARGE };
        let weights: Vec<u16> = members.iter().map(|(_, weight)| *weight).collect();
        let weights = counting(&weights);
        let heaviest = weights.iter().copied().max().unwrap_or(1);
        let mut orders: Vec<Order> = members.iter().map(|it| Order::new(it.0, size)).collect();
        let mut table = vec![EMPTY; size];
        let (mut filled, mut credits) = (0, vec![0_u32; members.len()]);
        while filled < size {
            for (index, order) in (0_u16..).zip(&mut orders) {
                let at = usize::from(index);
                // The heaviest fills one place a round, others as much less as they weigh less.
                credits[at] += u32::from(weights[at]);
                if credits[at] < u32::from(heaviest) || filled == size {
                    continue;
                }
                credits[at] -= u32::from(heaviest);
                let free = std::iter::from_fn(|| Some(order.next())).find(|it| table[*it] == EMPTY);
                // An order goes through every place, and one is free.
                if let Some(free) = free {
                    table[free] = index;
                    filled += 1;
                }
            }
        }
        Self(table.into())
    }

    /// The endpoint that a hash leads to.
    pub(super) fn at(&self, hash: u64) -> usize {
        let found = self.0.get(place(hash, self.0.len()));
        found.map_or(0, |index| usize::from(*index))
    }
}

/// The order in which an endpoint wants places: all of them, since the size is a prime.
struct Order {
    at: usize,
    step: usize,
    size: usize,
}

impl Order {
    fn new(endpoint: SocketAddr, size: usize) -> Self {
        let name = mix(hash(endpoint.ip()), u64::from(endpoint.port()));
        Self { at: place(name, size), step: 1 + place(mix(name, 1), size - 1), size }
    }

    fn next(&mut self) -> usize {
        let at = self.at;
        self.at = (at + self.step) % self.size;
        at
    }
}

const EMPTY: u16 = u16::MAX;
/// Endpoints for which the small table is fair to a hundredth.
const FEW: usize = 40;
/// A prime; 8 KiB.
const SMALL: usize = 4_093;
/// A prime; 128 KiB.
const LARGE: usize = 65_537;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn members(weights: &[u16]) -> Vec<(SocketAddr, u16)> {
        let address = |at: usize| SocketAddr::from(([10, 0, 0, u8::try_from(at).unwrap()], 80));
        let all = weights.iter().enumerate();
        all.map(|(at, weight)| (address(at), *weight)).collect()
    }

    fn places(table: &Table, index: usize) -> usize {
        table
            .0
            .iter()
            .filter(|it| usize::from(**it) == index)
            .count()
    }

    #[test]
    fn an_endpoint_that_leaves_moves_hardly_anybody_else() {
        for count in [3, 10, 40, 100] {
            let all = members(&vec![1; count]);
            let without: Vec<_> = all.iter().copied().filter(|it| it.0 != all[1].0).collect();
            let (before, after) = (Table::new(&all), Table::new(&without));
            if before.0.len() != after.0.len() {
                continue;
            }
            let moved = before.0.iter().zip(&after.0).filter(|(old, new)| {
                let old = all[usize::from(**old)];
                old.0 != all[1].0 && old != without[usize::from(**new)]
            });
            let moved = moved.count();
            assert!(moved * 10 < before.0.len(), "{count}: {moved} of {}", before.0.len());
        }
    }

    #[test]
    fn a_client_keeps_its_endpoint_and_clients_are_spread() {
        let table = Table::new(&members(&[1; 4]));
        let mut counts = [0; 4];
        for client in 0..10_000_u64 {
            let index = table.at(mix(client, 0));
            assert_eq!(index, table.at(mix(client, 0)));
            counts[index] += 1;
        }
        assert!(counts.iter().all(|count| (2_300..2_700).contains(count)), "{counts:?}");
        assert_eq!(Table::new(&[]).at(7), 0);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn places_follow_weights(weights in prop::collection::vec(0_u16..=256, 1..40)) {
            let table = Table::new(&members(&weights));
            let counted = counting(&weights);
            let sum: f64 = counted.iter().map(|it| f64::from(*it)).sum();
            for (index, weight) in counted.iter().enumerate() {
                let want = f64::from(*weight) / sum * table.0.len() as f64;
                let got = places(&table, index) as f64;
                prop_assert!((want - got).abs() <= 3.0, "{} {}", want, got);
            }
        }
    }
}
