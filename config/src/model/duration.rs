//! Times as people write them: Go's form, `250ms`, `30s`, `1m30s`.

use std::time::Duration;

/// Reads Go's form, each part a number with its unit; a bare number is seconds. Fails, with the
/// way out in words, for anything else and beyond 24 hours.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let expected = || "expected a time such as 30s or 1m30s".to_owned();
    let mut rest = text;
    let mut total = 0_u64;
    while !rest.is_empty() {
        let end = |of: &str, is: fn(char) -> bool| of.find(|c| !is(c)).unwrap_or(of.len());
        let (number, after) = rest.split_at(end(rest, |c| c.is_ascii_digit()));
        let (unit, after) = after.split_at(end(after, |c| !c.is_ascii_digit()));
        let number: u64 = number.parse().map_err(|_| expected())?;
        let unit_ms = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "" if rest.len() == text.len() => 1_000,
            "" => return Err(expected()),
            _ => return Err(format!("{unit} is no unit of time: use ms, s, m or h")),
        };
        total = number
            .checked_mul(unit_ms)
            .and_then(|part| part.checked_add(total))
            .filter(|total| *total <= LONGEST_MS)
            .ok_or_else(|| "at most 24h".to_owned())?;
        rest = after;
    }
    if text.is_empty() { Err(expected()) } else { Ok(Duration::from_millis(total)) }
}

/// Writes what [`parse_duration`] reads, without what is below a millisecond.
pub fn format_duration(time: Duration) -> String {
    let mut left_ms = time.as_millis();
    let mut text = String::new();
    for (unit, unit_ms) in [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)] {
        if left_ms >= unit_ms {
            text.push_str(&format!("{}{unit}", left_ms / unit_ms));
            left_ms %= unit_ms;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

const LONGEST_MS: u64 = 24 * 3_600_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_written_in_gos_form() {
        for (text, ms, written) in [
            ("250ms", 250, "250ms"),
            ("30s", 30_000, "30s"),
            ("30", 30_000, "30s"),
            ("1m30s", 90_000, "1m30s"),
            ("90s", 90_000, "1m30s"),
            ("24h", 86_400_000, "24h"),
            ("1h0m1ms", 3_600_001, "1h1ms"),
            ("0", 0, "0s"),
        ] {
            let time = parse_duration(text).unwrap();
            assert_eq!((time.as_millis(), format_duration(time)), (ms, written.to_owned()));
        }
    }

    #[test]
    fn other_texts_are_refused_with_the_way_out() {
        for (text, want) in [
            ("", "such as 30s"),
            ("s", "such as 30s"),
            ("-1s", "such as 30s"),
            ("1m30", "such as 30s"),
            ("1y", "y is no unit"),
            ("1.5s", ". is no unit"),
            ("25h", "at most 24h"),
            ("23h61m", "at most 24h"),
            ("99999999999999999999s", "such as 30s"),
        ] {
            let error = parse_duration(text).unwrap_err();
            assert!(error.contains(want), "{text}: {error}");
        }
    }
}
