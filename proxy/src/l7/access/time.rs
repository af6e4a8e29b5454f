//! The time of lines, in the forms that logs have; always UTC.
//!
//! A second's texts are made once for all of its lines.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The wall clock as of the last look.
#[derive(Debug)]
pub(super) struct Clock {
    now: Duration,
    local: String,
    iso: String,
}

impl Default for Clock {
    fn default() -> Self {
        Self { now: Duration::MAX, local: String::new(), iso: String::new() }
    }
}

impl Clock {
    /// Looks at the clock.
    pub(super) fn look(&mut self) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        self.set(now.unwrap_or_default());
    }

    fn set(&mut self, now: Duration) {
        if now.as_secs() != self.now.as_secs() {
            let (year, month, day) = date(now.as_secs() / 86_400);
            let second = now.as_secs() % 86_400;
            let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
            let name = usize::try_from(month - 1)
                .ok()
                .and_then(|it| MONTHS.get(it));
            let name = name.copied().unwrap_or("Jan");
            self.local = format!("{day:02}/{name}/{year}:{hour:02}:{minute:02}:{second:02} +0000");
            self.iso = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
        }
        self.now = now;
    }

    /// `26/Nov/2026:09:35:27 +0000`.
    pub(super) fn local(&self) -> &str {
        &self.local
    }

    /// `2026-11-26T09:35:27`.
    pub(super) fn iso(&self) -> &str {
        &self.iso
    }

    /// Since 1970.
    pub(super) fn now(&self) -> Duration {
        self.now
    }
}

/// Year, month and day of a day since 1970, in the calendar of Gregory.
fn date(days: u64) -> (u64, u64, u64) {
    // Years begin in March here, so that a leap day is their last; eras have 400 years.
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + u64::from(month <= 2), month, day)
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        let mut clock = Clock::default();
        for (seconds, local, iso) in [
            (0, "01/Jan/1970:00:00:00 +0000", "1970-01-01T00:00:00"),
            (951_782_399, "28/Feb/2000:23:59:59 +0000", "2000-02-28T23:59:59"),
            (951_782_400, "29/Feb/2000:00:00:00 +0000", "2000-02-29T00:00:00"),
            (1_795_685_727, "26/Nov/2026:09:35:27 +0000", "2026-11-26T09:35:27"),
            (4_107_542_400, "01/Mar/2100:00:00:00 +0000", "2100-03-01T00:00:00"),
        ] {
            clock.set(Duration::from_secs(seconds));
            assert_eq!((clock.local(), clock.iso()), (local, iso));
        }
    }
}
