//! The endpoint that costs least; of equal ones, the one whose turn it is. Pure: what each costs is an
//! argument.

use super::{mix, place};

/// The cheapest of `count` endpoints; those without a cost are left out. Of more than [`MOST_LOOKS`]
/// only that many are looked at, others at each turn.
pub(in crate::upstream) fn least(
    count: usize,
    turn: u64,
    cost: impl Fn(usize) -> Option<f64>,
) -> Option<usize> {
    let start = match count {
        0 => return None,
        1..=MOST_LOOKS => usize::try_from(turn % count as u64).unwrap_or(0),
        _ => place(mix(turn, 0), count),
    };
    let mut best: Option<(usize, f64)> = None;
    for step in 0..count.min(MOST_LOOKS) {
        let at = (start + step) % count;
        let Some(cost) = cost(at) else { continue };
        if best.is_none_or(|(_, least)| cost < least) {
            best = Some((at, cost));
        }
    }
    best.map(|(at, _)| at)
}

/// Each is a line of the cache.
const MOST_LOOKS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cheapest_is_taken_and_equal_ones_in_turn() {
        let some = |costs: &'static [i32]| move |at: usize| costs.get(at).map(|it| f64::from(*it));
        for (case, costs, want) in [
            ("nobody", &[][..], [None, None, None]),
            ("one", &[5], [Some(0), Some(0), Some(0)]),
            ("the cheapest", &[3, 1, 2], [Some(1), Some(1), Some(1)]),
            ("equal ones", &[1, 1, 1], [Some(0), Some(1), Some(2)]),
            ("two equal ones", &[9, 1, 1], [Some(1), Some(1), Some(2)]),
        ] {
            let got = [0, 1, 2].map(|turn| least(costs.len(), turn, some(costs)));
            assert_eq!(got, want, "{case}");
        }
        assert_eq!(least(3, 0, |at| (at == 2).then_some(1.0)), Some(2), "others are left out");
        assert_eq!(least(3, 0, |_| None), None, "all are left out");
    }

    #[test]
    fn of_many_endpoints_each_is_looked_at_in_the_end() {
        let mut seen = std::collections::BTreeSet::new();
        for turn in 0..10_000 {
            seen.extend(least(1_000, turn, |at| Some(f64::from(u32::try_from(at % 7).unwrap()))));
        }
        assert!(seen.len() > 100 && seen.iter().all(|at| at % 7 == 0), "{}", seen.len());
    }
}
