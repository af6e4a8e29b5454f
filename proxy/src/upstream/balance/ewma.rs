//! Peak-EWMA: of two endpoints drawn at random, the one that promises the sooner answer.
//!
//! The promise is latency × what is open. Latency rises at once to a worse one and sinks over
//! [`MEMORY`]; so it does while nothing is heard, so that a slow endpoint is tried again.

use std::time::Duration;

use super::{mix, place};

/// What was seen of an endpoint's latency, small enough for one atomic: microseconds, and when.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(in crate::upstream) struct Latency {
    /// 0: nothing was seen yet.
    micros: u32,
    /// Milliseconds since the process began, which wrap after 49 days.
    at_ms: u32,
}

impl Latency {
    pub(in crate::upstream) fn from_bits(bits: u64) -> Self {
        let [a, b, c, d, e, f, g, h] = bits.to_be_bytes();
        Self { micros: u32::from_be_bytes([a, b, c, d]), at_ms: u32::from_be_bytes([e, f, g, h]) }
    }

    pub(in crate::upstream) fn to_bits(self) -> u64 {
        u64::from(self.micros) << 32 | u64::from(self.at_ms)
    }

    /// After one more answer took this long.
    pub(in crate::upstream) fn after(self, took: Duration, now: Duration) -> Self {
        let took = u32::try_from(took.as_micros()).unwrap_or(u32::MAX).max(1);
        let kept = self.kept(now);
        let sunk = f64::from(self.micros) * kept + f64::from(took) * (1.0 - kept);
        let micros = if took >= self.micros { took } else { whole(sunk).max(1) };
        Self { micros, at_ms: millis(now) }
    }

    /// What a new flow may expect at an endpoint with this many open.
    pub(in crate::upstream) fn cost(self, open: u32, now: Duration) -> f64 {
        let micros = match (self.micros, open) {
            // Try it once, and no more until it has answered.
            (0, 0) => return 0.0,
            (0, _) => UNKNOWN_MICROS,
            (micros, _) => f64::from(micros) * self.kept(now),
        };
        (micros + 1.0) * (f64::from(open) + 1.0)
    }

    /// The part of what was seen that still counts.
    fn kept(self, now: Duration) -> f64 {
        let passed_ms = millis(now).wrapping_sub(self.at_ms);
        (-f64::from(passed_ms) / MEMORY.as_millis() as f64).exp()
    }
}

/// The cheaper of two endpoints drawn by the turn; those without a cost are left out. None: both
/// were, in every one of a few draws.
pub(in crate::upstream) fn better_of_two(
    count: usize,
    turn: u64,
    cost: impl Fn(usize) -> Option<f64>,
) -> Option<usize> {
    if count == 0 {
        return None;
    }
    for attempt in 0..DRAWS {
        let one = place(mix(turn, 2 * attempt), count);
        let step = 1 + place(mix(turn, 2 * attempt + 1), count.max(2) - 1);
        let other = (one + step) % count;
        match (cost(one), cost(other)) {
            (Some(a), Some(b)) => return Some(if b < a { other } else { one }),
            (Some(_), None) => return Some(one),
            (None, Some(_)) => return Some(other),
            (None, None) => {}
        }
    }
    None
}

fn millis(time: Duration) -> u32 {
    let wrapped = time.as_millis() & u128::from(u32::MAX);
    u32::try_from(wrapped).unwrap_or(0)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "casts saturate")]
fn whole(value: f64) -> u32 {
    value as u32
}

/// As linkerd's.
const MEMORY: Duration = Duration::from_secs(10);
/// Of an endpoint that has open flows and has not answered yet.
const UNKNOWN_MICROS: f64 = 1_000_000.0;
const DRAWS: u64 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn latency_rises_at_once_and_sinks_slowly() {
        let mut latency = Latency::default();
        for (case, took_ms, at_ms, want) in [
            ("the first", 10, 0, 10_000..=10_000),
            ("a worse one counts at once", 100, 1, 100_000..=100_000),
            ("a better one hardly", 10, 2, 99_900..=100_000),
            ("after a while it does", 10, 10_000, 40_000..=45_000),
            ("in the end it is forgotten", 10, 200_000, 10_000..=10_001),
        ] {
            latency = latency.after(ms(took_ms), ms(at_ms));
            assert!(want.contains(&latency.micros), "{case}: {latency:?}");
            assert_eq!(Latency::from_bits(latency.to_bits()), latency, "{case}");
        }
    }

    #[test]
    fn cost_grows_with_what_is_open_and_sinks_with_silence() {
        let slow = Latency::default().after(ms(100), ms(0));
        let quick = Latency::default().after(ms(1), ms(0));
        let new = Latency::default();
        for (case, cheaper, dearer) in [
            ("quick before slow", quick.cost(0, ms(0)), slow.cost(0, ms(0))),
            ("less before more", quick.cost(1, ms(0)), quick.cost(2, ms(0))),
            ("a load too much", slow.cost(0, ms(0)), quick.cost(200, ms(0))),
            ("a new one is tried", new.cost(0, ms(0)), quick.cost(0, ms(0))),
            ("once", quick.cost(0, ms(0)), new.cost(1, ms(0))),
            ("long ago", slow.cost(0, ms(100_000)), quick.cost(0, ms(0))),
        ] {
            assert!(cheaper < dearer, "{case}: {cheaper} {dearer}");
        }
    }

    #[test]
    fn of_two_the_better_is_taken() {
        let mut counts = [0; 4];
        for turn in 0..6_000 {
            counts[better_of_two(4, turn, |at| Some([4.0, 3.0, 2.0, 1.0][at])).unwrap()] += 1;
        }
        // The worst never, the best in half of all pairs.
        assert_eq!(counts[0], 0);
        assert!(counts[3] > 2_800 && counts[3] < 3_200, "{counts:?}");
        assert_eq!(better_of_two(0, 1, |_| Some(1.0)), None);
        assert_eq!(better_of_two(1, 1, |_| Some(1.0)), Some(0));
        assert_eq!(better_of_two(3, 1, |_| None), None);
    }
}
