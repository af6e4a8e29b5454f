//! What a long run means: errors, memory, descriptors, latency.
//!
//! Pure. A run is well when nothing failed but what a dying backend took with it, when memory and
//! descriptors do not grow once the server has warmed up, and when the last requests take no longer
//! than the first. Limits leave room for a shared machine: a leak grows with the run, noise does not.

use std::fmt;
use std::time::Duration;

use crate::figures::Spread;

/// What the server held at some time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sample {
    pub(crate) memory_bytes: f64,
    pub(crate) descriptors: f64,
}

/// One line of the verdict.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Line {
    pub(crate) good: bool,
    pub(crate) text: String,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", if self.good { "ok  " } else { "BAD " }, self.text)
    }
}

/// Errors at these times, where backends died at those.
pub(crate) fn errors(name: &str, done: u64, errors: &[Duration], deaths: &[Duration]) -> Line {
    let excused = |at: &&Duration| {
        deaths
            .iter()
            .any(|death| **at + BEFORE_DEATH >= *death && **at <= *death + AFTER_DEATH)
    };
    let unexcused = errors.len() - errors.iter().filter(excused).count();
    let text = format!(
        "{name}: {done} done, {} failed around the death of a backend, {unexcused} otherwise",
        errors.len() - unexcused
    );
    Line { good: unexcused == 0 && done > 0, text }
}

/// Memory and descriptors, sampled at an even pace.
pub(crate) fn growth(samples: &[Sample]) -> Vec<Line> {
    let memory = trend(samples, |sample| sample.memory_bytes / 1e6);
    let descriptors = trend(samples, |sample| sample.descriptors);
    let line = |name: &str, trend: Option<(f64, f64)>, allowed: fn(f64) -> f64| match trend {
        Some((early, late)) => Line {
            good: late - early <= allowed(early),
            text: format!("{name}: {early:.1} early, {late:.1} late"),
        },
        None => Line { good: false, text: format!("{name}: too short a run to tell") },
    };
    vec![
        line("memory, MB", memory, |early| early * 0.10 + 8.0),
        line("descriptors", descriptors, |early| early * 0.10 + 32.0),
    ]
}

/// The median of the second quarter of a run, and of its last.
fn trend(samples: &[Sample], figure: fn(&Sample) -> f64) -> Option<(f64, f64)> {
    let quarter = samples.len() / 4;
    if quarter == 0 {
        return None;
    }
    let median = |part: &[Sample]| Spread::of(part.iter().map(figure)).map(|one| one.median);
    let early = median(samples.get(quarter..2 * quarter)?)?;
    let late = median(samples.get(samples.len() - quarter..)?)?;
    Some((early, late))
}

/// Latencies in the order of their requests, in microseconds.
pub(crate) fn drift(name: &str, latencies_us: &[f64]) -> Line {
    let third = latencies_us.len() / 3;
    let median = |part: Option<&[f64]>| {
        Spread::of(part.unwrap_or_default().iter().copied()).map(|one| one.median)
    };
    let early = median(latencies_us.get(..third));
    let late = median(latencies_us.get(latencies_us.len() - third..));
    match (early, late) {
        (Some(early), Some(late)) => Line {
            good: late <= early * 3.0 + 20_000.0,
            text: format!("{name}: median {early:.0} µs in the first third, {late:.0} in the last"),
        },
        _ => Line { good: false, text: format!("{name}: nothing was answered") },
    }
}

/// A request that began so long before a death may have been under way at it.
const BEFORE_DEATH: Duration = Duration::from_secs(1);
/// Until every connection to a backend that died is known to be broken.
const AFTER_DEATH: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_around_a_death_is_excused_and_nothing_else() {
        let seconds = |all: &[u64]| -> Vec<Duration> {
            all.iter()
                .map(|second| Duration::from_secs(*second))
                .collect()
        };
        for (case, failed, deaths, good) in [
            ("none", &[][..], &[][..], true),
            ("with the death", &[10, 11], &[10], true),
            ("before and long after", &[5], &[10], false),
            ("without a death", &[5], &[], false),
            ("between deaths", &[10, 15], &[10, 20], false),
        ] {
            let line = errors("tcp", 100, &seconds(failed), &seconds(deaths));
            assert_eq!(line.good, good, "{case}: {line}");
        }
        assert!(!errors("tcp", 0, &[], &[]).good, "nothing done is not well");
    }

    #[test]
    fn growth_is_seen_and_a_high_start_is_not_growth() {
        let sample = |memory: f64, descriptors| Sample { memory_bytes: memory * 1e6, descriptors };
        let run = |memory: fn(f64) -> f64, descriptors: fn(f64) -> f64| -> Vec<bool> {
            let samples: Vec<Sample> = (0..100)
                .map(|n| sample(memory(n.into()), descriptors(n.into())))
                .collect();
            growth(&samples).iter().map(|line| line.good).collect()
        };
        assert_eq!(run(|_| 50.0, |_| 40.0), [true, true]);
        assert_eq!(run(|n| 50.0 + n, |_| 40.0), [false, true]);
        assert_eq!(run(|n| 90.0 - n / 2.0, |n| 40.0 + n), [true, false]);
        assert!(growth(&[sample(1.0, 1.0)]).iter().all(|line| !line.good));
    }

    #[test]
    fn a_drift_of_latency_is_seen() {
        assert!(drift("http", &[300.0; 30]).good);
        let rising: Vec<f64> = (0..30).map(|n| f64::from(n) * 3_000.0).collect();
        assert!(!drift("http", &rising).good);
        assert!(!drift("http", &[]).good);
    }
}
