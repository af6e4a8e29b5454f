//! Any endpoint, by weight, as kube-proxy chooses.

use super::{counting, place};

/// Sums of weights up to and with each endpoint.
#[derive(Debug)]
pub(in crate::upstream) struct Shares(Box<[u32]>);

impl Shares {
    pub(super) fn new(weights: &[u16]) -> Self {
        let mut sum = 0_u32;
        let weights = counting(weights);
        let sums = weights.iter().map(|weight| {
            sum = sum.saturating_add(u32::from(*weight));
            sum
        });
        Self(sums.collect())
    }

    /// The endpoint that a random number falls to.
    pub(super) fn at(&self, random: u64) -> usize {
        let all = self.0.last().map_or(0, |sum| *sum as usize);
        let place = place(random, all);
        self.0.partition_point(|sum| *sum as usize <= place)
    }
}

#[cfg(test)]
mod tests {
    use super::super::mix;
    use super::*;

    #[test]
    fn shares_are_those_of_the_weights() {
        for (case, weights, want) in [
            ("even", &[1, 1][..], &[0.5, 0.5][..]),
            ("by weight", &[1, 0, 3], &[0.25, 0.0, 0.75]),
            ("all 0 are 1", &[0, 0, 0, 0], &[0.25; 4]),
        ] {
            let shares = Shares::new(weights);
            let mut counts = vec![0_f64; weights.len()];
            for turn in 0..40_000 {
                counts[shares.at(mix(turn, 0))] += 1.0;
            }
            for (count, want) in counts.iter().zip(want) {
                assert!((count / 40_000.0 - want).abs() < 0.01, "{case}: {counts:?}");
            }
        }
    }
}
