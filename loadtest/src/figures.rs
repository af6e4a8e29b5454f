//! What the runs mean: cost per unit of work, medians, ratios, and whether a target holds.
//!
//! Pure. Invariants: a ratio is taken within a round, between runs that are seconds apart at most,
//! and only where that cannot flatter portico; the median of those ratios is judged.

use serde_json::{Value, json};

use crate::latency::Curve;
use crate::scenario::Target;

/// One run of one server.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sample {
    /// Units of work that were carried out.
    pub(crate) units: f64,
    pub(crate) units_per_second: f64,
    pub(crate) errors: u64,
    /// CPU time of the server's processes in their own code, in microseconds.
    pub(crate) user_us: f64,
    /// CPU time of the kernel for the server's processes, in microseconds.
    pub(crate) system_us: f64,
    /// How much of the time the server's core was not idle, 0 to 1.
    pub(crate) busy: f64,
    /// How much of the time other programs had the server's core, 0 to 1.
    pub(crate) others: f64,
    /// How long the units took, where the generator says it.
    pub(crate) latency: Curve,
}

impl Sample {
    /// CPU microseconds per unit of work.
    pub(crate) fn cost_us(&self) -> f64 {
        (self.user_us + self.system_us) / self.units
    }

    /// Why this run may not be compared, if it may not.
    pub(crate) fn objection(&self) -> Option<&'static str> {
        if self.units <= 0.0 {
            Some("nothing was carried")
        } else if self.errors > 0 {
            Some("errors")
        } else if self.others > MOST_OTHERS {
            Some("core shared")
        } else {
            None
        }
    }
}

/// Whether a ratio of these two tells something: an idle core makes a unit look dearer, never cheaper, so
/// the peer's has to be full, or at least as busy as ours.
fn comparable(our: &Sample, peer: &Sample) -> bool {
    let sound = our.objection().is_none() && peer.objection().is_none();
    sound && (peer.busy >= LEAST_BUSY || peer.busy >= our.busy)
}

/// The middle of some values, with the smallest and the largest, and the ends of the middle half.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
    /// The first quartile,
    pub(crate) low: f64,
    /// and the third.
    pub(crate) high: f64,
}

impl Spread {
    /// None for no values; one that is no number, as the cost of nothing, is none. The median is the mean of the two middle ones for an even number.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values
            .into_iter()
            .filter(|value| value.is_finite())
            .collect();
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let last = values.len() - 1;
        // The value at `quarters` of the way, or between the two that are next to it.
        let at = |quarters: usize| {
            let (index, part) = (last * quarters / 4, (last * quarters % 4) as f64 / 4.0);
            let lower = *values.get(index)?;
            let upper = values.get(index + 1).copied().unwrap_or(lower);
            Some(lower + (upper - lower) * part)
        };
        Some(Self { median: at(2)?, min, max, low: at(1)?, high: at(3)? })
    }

    /// For programs.
    pub(crate) fn json(self) -> Value {
        let Self { median, min, max, low, high } = self;
        json!({"median": median, "min": min, "max": max, "quartiles": [low, high]})
    }
}

/// portico's cost as a multiple of a peer's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Ratio {
    /// Over the rounds in which both runs may be compared; None without such a round.
    pub(crate) spread: Option<Spread>,
    /// How many rounds those are.
    pub(crate) compared: usize,
    /// How many rounds there were.
    pub(crate) rounds: usize,
}

impl Ratio {
    /// Compares the runs of the same rounds, in order.
    pub(crate) fn between(ours: &[Sample], peers: &[Sample]) -> Self {
        let ratios: Vec<f64> = ours
            .iter()
            .zip(peers)
            .filter(|(our, peer)| comparable(our, peer))
            .map(|(our, peer)| our.cost_us() / peer.cost_us())
            .collect();
        let compared = ratios.len();
        Self { spread: Spread::of(ratios), compared, rounds: ours.len().min(peers.len()) }
    }

    /// Whether the target holds; more than half of the rounds must count for a verdict.
    pub(crate) fn verdict(&self, target: Target) -> Verdict {
        match self.spread {
            Some(spread) if self.compared * 2 > self.rounds => {
                if spread.median <= target.ratio {
                    Verdict::Met
                } else if spread.median <= target.ratio + MARGIN {
                    Verdict::MetWithinMargin
                } else {
                    Verdict::Missed
                }
            }
            _ => Verdict::Open,
        }
    }
}

/// What is said of a target.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Verdict {
    Met,
    /// Above the target by no more than what two runs of the same program differ.
    MetWithinMargin,
    Missed,
    /// Too few rounds may be compared.
    Open,
}

impl Verdict {
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::MetWithinMargin => "met within the margin of 0.03",
            Self::Missed => "missed",
            Self::Open => "open: too few rounds may be compared",
        }
    }
}

/// Below this share, a core's caches and clock are not those of a full core. The start and the end of
/// a load generator are part of a run, and of a second some 5 %.
pub(crate) const LEAST_BUSY: f64 = 0.90;
/// Above this share, another program has disturbed the run.
pub(crate) const MOST_OTHERS: f64 = 0.05;
/// How far a median may lie above its target.
pub(crate) const MARGIN: f64 = 0.03;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::Kind;

    fn sample(cost_us: f64) -> Sample {
        Sample {
            units: 1_000.0,
            units_per_second: 200.0,
            errors: 0,
            user_us: cost_us * 250.0,
            system_us: cost_us * 750.0,
            busy: 1.0,
            others: 0.0,
            latency: Curve::default(),
        }
    }

    fn samples(costs: &[f64]) -> Vec<Sample> {
        costs.iter().copied().map(sample).collect()
    }

    #[test]
    fn the_median_is_the_middle_value() {
        for (case, values, want) in [
            ("one", &[3.0][..], Some([3.0, 3.0, 3.0, 3.0, 3.0])),
            ("odd, unsorted", &[9.0, 1.0, 2.0], Some([1.0, 1.5, 2.0, 5.5, 9.0])),
            ("even", &[4.0, 1.0, 2.0, 9.0], Some([1.0, 1.75, 3.0, 5.25, 9.0])),
            ("none", &[], None),
            ("one of nothing", &[f64::NAN, 3.0, f64::INFINITY], Some([3.0, 3.0, 3.0, 3.0, 3.0])),
            ("all of nothing", &[f64::NAN], None),
        ] {
            let want =
                want.map(|[min, low, median, high, max]| Spread { median, min, max, low, high });
            assert_eq!(Spread::of(values.iter().copied()), want, "{case}");
        }
    }

    #[test]
    fn the_cost_of_a_unit_is_all_cpu_time_by_all_units() {
        assert!((sample(12.5).cost_us() - 12.5).abs() < 1e-9);
    }

    #[test]
    fn a_ratio_is_taken_within_each_round() {
        // The machine gets slower; portico stays at half the peer's cost, or close to it.
        let ratio = Ratio::between(&samples(&[10.0, 20.0, 41.0]), &samples(&[20.0, 40.0, 80.0]));
        let spread = ratio.spread.unwrap();
        assert!((spread.median - 0.5).abs() < 1e-9 && (spread.max - 0.5125).abs() < 1e-9);
        assert_eq!((ratio.compared, ratio.rounds), (3, 3));
    }

    #[test]
    fn a_run_that_may_not_be_compared_takes_its_round_out() {
        let good = sample(10.0);
        for (objection, bad) in [
            ("core shared", Sample { others: 0.051, ..good.clone() }),
            ("errors", Sample { errors: 1, ..good.clone() }),
            ("nothing was carried", Sample { units: 0.0, ..good.clone() }),
        ] {
            assert_eq!(bad.objection(), Some(objection));
            for (ours, peers) in [([&good, &bad], [&good, &good]), ([&good, &good], [&bad, &good])]
            {
                let ratio = Ratio::between(&ours.map(Clone::clone), &peers.map(Clone::clone));
                assert_eq!((ratio.compared, ratio.rounds), (1, 2), "{objection}");
            }
        }
        assert_eq!(Sample { others: 0.05, ..good.clone() }.objection(), None);
    }

    #[test]
    fn a_core_that_is_not_full_may_only_flatter_the_peer() {
        for (ours, peers, want) in
            [(1.0, 0.90, 1), (1.0, 0.89, 0), (0.70, 0.95, 1), (0.70, 0.70, 1), (0.71, 0.70, 0)]
        {
            let run = |busy| [Sample { busy, ..sample(10.0) }];
            let ratio = Ratio::between(&run(ours), &run(peers));
            assert_eq!(ratio.compared, want, "{ours} beside {peers}");
        }
    }

    #[test]
    fn a_verdict_needs_most_rounds_and_allows_the_margin() {
        let target = Target { peer: Kind::Nginx, ratio: 1.10 };
        let spread = |median| Spread::of([median]);
        for (median, compared, want) in [
            (1.10, 5, Verdict::Met),
            (1.13, 5, Verdict::MetWithinMargin),
            (1.131, 5, Verdict::Missed),
            (1.10, 3, Verdict::Met),
            (1.10, 2, Verdict::Open),
        ] {
            let ratio = Ratio { spread: spread(median), compared, rounds: 5 };
            assert_eq!(ratio.verdict(target), want, "{median} of {compared}");
        }
        let none = Ratio { spread: None, compared: 0, rounds: 0 };
        assert_eq!(none.verdict(target), Verdict::Open);
    }
}
