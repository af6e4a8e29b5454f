//! Rendezvous hashing (Thaler and Ravishankar, 1996), with weights: the same number leads to the same
//! endpoint on every machine and after every start.
//!
//! Each endpoint has a mark for each number, and the best mark wins. So one that comes takes its share
//! of all numbers and moves no other, and one that leaves moves its own alone. Nothing is kept: a
//! choice looks at every endpoint once.

use std::net::SocketAddr;

use super::{hash, mix};

/// The endpoint that is next after so many better ones, of `count`; `weigh` says which may be chosen,
/// and with which weight.
pub(in crate::upstream) fn ranked(
    count: usize,
    number: u64,
    rank: usize,
    weigh: impl Fn(usize) -> Option<(SocketAddr, u16)>,
) -> Option<usize> {
    let mut better: Option<(f64, usize)> = None;
    for _ in 0..=rank {
        let behind = |mark: (f64, usize)| better.is_none_or(|better| better < mark);
        let marks = (0..count).filter_map(|at| {
            let (address, weight) = weigh(at)?;
            Some((mark(number, address, weight), at))
        });
        let next = marks
            .filter(|mark| behind(*mark))
            .min_by(|one, other| one.0.total_cmp(&other.0));
        match next {
            Some(next) => better = Some(next),
            // There are fewer: the last of them.
            None => break,
        }
    }
    better.map(|(_, at)| at)
}

/// The less, the better: the time until an event that comes as often as the weight says.
fn mark(number: u64, address: SocketAddr, weight: u16) -> f64 {
    let name = mix(hash(address.ip()), u64::from(address.port()));
    let random = mix(number, name) >> 11;
    let unit = (random as f64 + 0.5) / (1_u64 << 53) as f64;
    -unit.ln() / f64::from(weight.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(at: usize) -> SocketAddr {
        ([10, 0, 0, u8::try_from(at).unwrap()], 80).into()
    }

    fn best(weights: &[u16], number: u64) -> usize {
        let weigh = |at: usize| Some((address(at), weights[at])).filter(|it| it.1 > 0);
        ranked(weights.len(), number, 0, weigh).unwrap()
    }

    #[test]
    fn an_endpoint_that_comes_takes_its_share_and_moves_nobody_else() {
        for count in [1, 3, 9] {
            let (before, after) = (vec![1; count], vec![1; count + 1]);
            let mut moved = 0;
            for number in 0..NUMBERS {
                let (old, new) = (best(&before, number), best(&after, number));
                assert!(old == new || new == count, "{number}: {old} to {new}");
                moved += u64::from(old != new);
            }
            let want = NUMBERS / (count as u64 + 1);
            assert!(moved.abs_diff(want) < NUMBERS / 50, "ingress 2.4: {moved} of {want}");
        }
    }

    #[test]
    fn shares_follow_weights_and_who_has_none_is_left_out() {
        let mut counts = [0_u64; 4];
        for number in 0..NUMBERS {
            counts[best(&[1, 0, 1, 3], number)] += 1;
        }
        for (at, want) in [(0, 0.2), (1, 0.0), (2, 0.2), (3, 0.6)] {
            let got = counts[at] as f64 / NUMBERS as f64;
            assert!((got - want).abs() < 0.02, "{counts:?}");
        }
        assert_eq!(ranked(3, 7, 0, |_| None), None);
    }

    #[test]
    fn ranks_are_an_order_of_all() {
        let weigh = |at: usize| Some((address(at), 1));
        for number in 0..100 {
            let mut order: Vec<_> = (0..5)
                .map(|rank| ranked(5, number, rank, weigh).unwrap())
                .collect();
            assert_eq!(ranked(5, number, 9, weigh), order.last().copied(), "there is no tenth");
            order.sort_unstable();
            assert_eq!(order, [0, 1, 2, 3, 4]);
        }
    }

    const NUMBERS: u64 = 10_000;
}
