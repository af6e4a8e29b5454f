//! One after the other, by weight: a schedule made beforehand, of which each turn is one place.
//!
//! Whoever takes turn `n` takes place `n` of the schedule, so one counter makes it exact over all
//! workers. Invariant: in each period every endpoint comes as often as its weight says, spread out.

use super::counting;

/// Whose turn it is.
#[derive(Debug)]
pub(in crate::upstream) enum Schedule {
    /// All weigh the same: this many.
    Even(u64),
    /// One period, endpoints by index.
    Weighted(Box<[u32]>),
}

impl Schedule {
    pub(super) fn new(weights: &[u16]) -> Self {
        let weights = counting(weights);
        if weights.windows(2).all(|pair| pair[0] == pair[1]) {
            return Self::Even(weights.len() as u64);
        }
        let parts = reduced(&weights);
        // The k-th of an endpoint's turns stands in the middle of the k-th part of the period.
        let mut places: Vec<(u64, u32)> = Vec::new();
        for (index, part) in (0_u32..).zip(&parts) {
            let middle = |k: u64| ((2 * k + 1) << 32) / (2 * part);
            places.extend((0..*part).map(|k| (middle(k), index)));
        }
        places.sort_unstable();
        Self::Weighted(places.into_iter().map(|(_, index)| index).collect())
    }

    pub(super) fn at(&self, turn: u64) -> usize {
        let place = |count: u64| usize::try_from(turn % count.max(1)).unwrap_or(0);
        match self {
            Self::Even(count) => place(*count),
            Self::Weighted(period) => {
                let index = period.get(place(period.len() as u64));
                index.map_or(0, |index| *index as usize)
            }
        }
    }
}

/// Weights in lowest terms; made coarser where a period would be longer than [`MOST_PLACES`], but
/// never 0 for one that counts.
fn reduced(weights: &[u16]) -> Vec<u64> {
    let divisor = weights.iter().fold(0, |a, b| gcd(a, u64::from(*b))).max(1);
    let sum: u64 = weights
        .iter()
        .map(|weight| u64::from(*weight) / divisor)
        .sum();
    let coarse = divisor * sum.div_ceil(MOST_PLACES).max(1);
    let part = |weight: &u16| match u64::from(*weight) {
        0 => 0,
        weight => ((weight + coarse / 2) / coarse).max(1),
    };
    weights.iter().map(part).collect()
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Of a period: 64 KiB.
const MOST_PLACES: u64 = 16_384;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn turns(weights: &[u16], count: u64) -> Vec<usize> {
        let schedule = Schedule::new(weights);
        (0..count).map(|turn| schedule.at(turn)).collect()
    }

    #[test]
    fn turns_follow_weights_and_are_spread_out() {
        for (case, weights, want) in [
            ("even", &[1, 1, 1][..], &[0, 1, 2, 0, 1, 2][..]),
            ("the same", &[7, 7], &[0, 1, 0, 1]),
            ("two to one", &[2, 1], &[0, 1, 0, 0, 1, 0]),
            ("lowest terms", &[200, 100], &[0, 1, 0]),
            ("three and two", &[3, 2], &[0, 1, 0, 1, 0]),
            ("none for 0", &[0, 1, 1], &[1, 2, 1, 2]),
            ("all 0 are 1", &[0, 0], &[0, 1]),
        ] {
            assert_eq!(turns(weights, want.len() as u64), want, "{case}");
        }
    }

    proptest! {
        #[test]
        fn a_period_is_exact(weights in prop::collection::vec(0_u16..=16, 1..20)) {
            let counted = counting(&weights);
            let sum: u64 = counted.iter().map(|it| u64::from(*it)).sum();
            let all = turns(&weights, sum);
            for (index, weight) in counted.iter().enumerate() {
                let count = all.iter().filter(|it| **it == index).count();
                prop_assert_eq!(count, usize::from(*weight));
            }
        }

        #[test]
        fn a_long_period_is_coarser(weights in prop::collection::vec(1_u16..=256, 100..900)) {
            if let Schedule::Weighted(period) = Schedule::new(&weights) {
                prop_assert!(period.len() as u64 <= MOST_PLACES + weights.len() as u64);
                for index in 0..u32::try_from(weights.len()).unwrap() {
                    prop_assert!(period.contains(&index));
                }
            }
        }
    }
}
