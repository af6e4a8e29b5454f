//! What a run of `rate-load` did: printed as lines, and read back from them.

use std::fmt;

use serde_json::{Value, json};

use crate::latency::Curve;

/// A run at a constant rate.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Paced {
    /// Requests answered with success.
    pub(crate) done: u64,
    /// All others that were due.
    pub(crate) errors: u64,
    /// Requests sent once more, since the server had closed their connection.
    pub(crate) repeats: u64,
    pub(crate) seconds: f64,
    /// From when a request was due.
    pub(crate) latency: Curve,
    /// Tenths of a second in order; none unless asked for.
    pub(crate) slots: Vec<Slot>,
}

/// The requests that were due within one tenth of a second.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Slot {
    pub(crate) done: u64,
    pub(crate) errors: u64,
    pub(crate) median_us: u32,
    pub(crate) worst_us: u32,
}

impl fmt::Display for Paced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { done, errors, repeats, seconds, latency, slots } = self;
        write!(
            f,
            "paced {done} errors {errors} repeats {repeats} seconds {seconds:.6} latency_us {latency}"
        )?;
        for Slot { done, errors, median_us, worst_us } in slots {
            write!(f, "\nslot {done} errors {errors} median_us {median_us} worst_us {worst_us}")?;
        }
        Ok(())
    }
}

impl Paced {
    /// Reads what `Display` writes.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let words: Vec<&str> = lines.next()?.split_ascii_whitespace().collect();
        let [
            "paced",
            done,
            "errors",
            errors,
            "repeats",
            repeats,
            "seconds",
            seconds,
            "latency_us",
            rest @ ..,
        ] = words.as_slice()
        else {
            return None;
        };
        Some(Self {
            done: done.parse().ok()?,
            errors: errors.parse().ok()?,
            repeats: repeats.parse().ok()?,
            seconds: seconds.parse().ok()?,
            latency: Curve::parse(rest.first().copied().unwrap_or_default())?,
            slots: lines.map(Slot::parse).collect::<Option<_>>()?,
        })
    }

    /// For programs; slots as `[done,errors,median_us,worst_us]`.
    pub(crate) fn json(&self) -> Value {
        let Self { done, errors, repeats, seconds, latency, slots } = self;
        let slot = |slot: &Slot| json!([slot.done, slot.errors, slot.median_us, slot.worst_us]);
        json!({
            "done": done,
            "errors": errors,
            "repeats": repeats,
            "seconds": seconds,
            "latency_us": latency.json(),
            "slots": slots.iter().map(slot).collect::<Vec<_>>(),
        })
    }
}

impl Slot {
    fn parse(line: &str) -> Option<Self> {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        match words.as_slice() {
            ["slot", done, "errors", errors, "median_us", median, "worst_us", worst] => {
                Some(Self {
                    done: done.parse().ok()?,
                    errors: errors.parse().ok()?,
                    median_us: median.parse().ok()?,
                    worst_us: worst.parse().ok()?,
                })
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_read_back() {
        let slot = Slot { done: 99, errors: 1, median_us: 120, worst_us: 4_500 };
        for (curve, slots) in [
            (Curve(vec![(50.0, 120.5), (99.9, 4_500.0)]), vec![slot, Slot::default()]),
            (Curve::default(), Vec::new()),
        ] {
            let run =
                Paced { done: 99, errors: 1, repeats: 2, seconds: 1.5, latency: curve, slots };
            assert_eq!(Paced::parse(&run.to_string()), Some(run));
        }
        for text in
            ["", "paced 1 errors 0", "paced 1 errors 0 repeats 0 seconds 1 latency_us 50:1\nslot 1"]
        {
            assert_eq!(Paced::parse(text), None, "{text}");
        }
    }
}
