//! How long answers took: a histogram, and the curve of percentiles that is printed and drawn.
//!
//! Invariant: a [`Curve`] holds the same percentiles whatever was recorded, so that those of several
//! runs can be laid over each other.

use std::fmt;
use std::time::Duration;

use anyhow::{Context, Result};
use hdrhistogram::Histogram;
use serde_json::Value;

/// Durations to three digits, up to a minute; what is longer counts as a minute.
#[derive(Clone, Debug)]
pub(crate) struct Latency {
    nanoseconds: Histogram<u64>,
}

/// Percentiles in microseconds; printed as `50:812.2,99:1230.5`, and read back from it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Curve(pub(crate) Vec<(f64, f64)>);

impl Latency {
    pub(crate) fn new() -> Result<Self> {
        let nanoseconds =
            Histogram::new_with_bounds(1, LONGEST_NS, DIGITS).context("making a histogram")?;
        Ok(Self { nanoseconds })
    }

    /// Counts `times` answers that took so long.
    pub(crate) fn record(&mut self, took: Duration, times: u64) {
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.nanoseconds
            .saturating_record_n(nanoseconds.max(1), times);
    }

    /// How many answers were counted.
    pub(crate) fn count(&self) -> u64 {
        self.nanoseconds.len()
    }

    /// What the percentiles of [`PERCENTILES`] took; nothing where nothing was recorded.
    pub(crate) fn curve(&self) -> Curve {
        if self.nanoseconds.is_empty() {
            return Curve::default();
        }
        let at = |percentile: f64| self.nanoseconds.value_at_percentile(percentile);
        Curve(PERCENTILES.map(|one| (one, at(one) as f64 / 1e3)).to_vec())
    }
}

impl fmt::Display for Curve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (percentile, microseconds)) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{percentile}:{microseconds:.1}")?;
        }
        Ok(())
    }
}

impl Curve {
    /// Reads what `Display` writes.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let point = |text: &str| {
            let (percentile, microseconds) = text.split_once(':')?;
            Some((percentile.parse().ok()?, microseconds.parse().ok()?))
        };
        match text {
            "" => Some(Self::default()),
            _ => text.split(',').map(point).collect::<Option<_>>().map(Self),
        }
    }

    /// Microseconds at one of [`PERCENTILES`].
    pub(crate) fn at(&self, percentile: f64) -> Option<f64> {
        let mut points = self.0.iter();
        points
            .find(|(one, _)| (one - percentile).abs() < 1e-9)
            .map(|(_, microseconds)| *microseconds)
    }

    /// `{"50":812.2,"99":1230.5}`, or null where nothing was recorded.
    pub(crate) fn json(&self) -> Value {
        if self.0.is_empty() {
            return Value::Null;
        }
        let points = self.0.iter();
        points
            .map(|(percentile, microseconds)| (percentile.to_string(), *microseconds))
            .collect()
    }
}

/// Closer together towards the end, as the tail is what a mean hides.
pub(crate) const PERCENTILES: [f64; 12] =
    [0.0, 25.0, 50.0, 75.0, 90.0, 95.0, 99.0, 99.5, 99.9, 99.95, 99.99, 100.0];
const LONGEST_NS: u64 = 60_000_000_000;
const DIGITS: u8 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_is_read_back() {
        let mut latency = Latency::new().unwrap();
        assert_eq!(Curve::parse(&latency.curve().to_string()), Some(Curve::default()));
        latency.record(Duration::from_micros(100), 99);
        latency.record(Duration::from_micros(2_000), 1);
        let curve = Curve::parse(&latency.curve().to_string()).unwrap();
        for (percentile, want) in [(0.0, 100.0), (99.0, 100.0), (99.5, 2_000.0), (100.0, 2_000.0)] {
            let found = curve.at(percentile).unwrap();
            assert!((found - want).abs() < want * 0.002, "{percentile}: {found}");
        }
        for text in ["50", "50:x", "50:1,", ":"] {
            assert_eq!(Curve::parse(text), None, "{text}");
        }
    }

    #[test]
    fn what_takes_longer_than_a_minute_is_a_minute() {
        let mut latency = Latency::new().unwrap();
        latency.record(Duration::from_secs(3_600), 1);
        assert!((latency.curve().at(100.0).unwrap() / 60e6 - 1.0).abs() < 0.002);
    }
}
