//! How fast an answer may go to its client (`ingress 2.5`: `limit-rate`, `limit-rate-after`).
//!
//! As in nginx: so much at once, then so many bytes a second from the first one on; what was not used
//! of a second is not lost. Time is an argument where something is decided.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use portico_config::model::DownloadRate;
use tokio::time::Sleep;

/// The pace of one answer.
#[derive(Debug)]
pub(super) struct Pace {
    rate: DownloadRate,
    began: Instant,
    sent: u64,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Pace {
    /// Of an answer that begins now.
    pub(super) fn new(rate: DownloadRate, now: Instant) -> Self {
        Self { rate, began: now, sent: 0, sleep: None }
    }

    /// Notes what was sent.
    pub(super) fn sent(&mut self, bytes: usize) {
        self.sent = self.sent.saturating_add(bytes as u64);
    }

    /// Whether it was last found that nothing may go.
    pub(super) fn is_waiting(&self) -> bool {
        self.sleep.is_some()
    }

    /// How many bytes may go now; waits until there are any.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<usize> {
        loop {
            if let Some(sleep) = &mut self.sleep {
                ready!(sleep.as_mut().poll(cx));
                self.sleep = None;
            }
            match self.room(Instant::now()) {
                Ok(room) => return Poll::Ready(room),
                Err(wait) => self.sleep = Some(Box::pin(tokio::time::sleep(wait))),
            }
        }
    }

    /// How many bytes may go at `now`, at least one; else how long it takes until there are any.
    fn room(&self, now: Instant) -> Result<usize, Duration> {
        let DownloadRate { bytes_per_second, free_bytes } = self.rate;
        let elapsed = now.saturating_duration_since(self.began);
        let millis = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        // A second's worth ahead, as in nginx.
        let earned = millis
            .saturating_add(1_000)
            .saturating_mul(bytes_per_second)
            / 1_000;
        let allowed = earned.saturating_add(free_bytes);
        // A tenth of a second's worth, so that it does not go by the byte.
        let least = (bytes_per_second / 10).max(1);
        let wanted = self.sent.saturating_add(least);
        match wanted.saturating_sub(allowed) {
            0 => Ok(usize::try_from(allowed - self.sent).unwrap_or(usize::MAX)),
            lacks => {
                let wait = lacks
                    .saturating_mul(1_000)
                    .div_ceil(bytes_per_second.max(1));
                Err(Duration::from_millis(wait.min(MOST_MILLIS)))
            }
        }
    }
}

/// One wait.
const MOST_MILLIS: u64 = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_much_at_once_then_so_much_a_second() {
        let began = Instant::now();
        let mut pace = Pace::new(DownloadRate { bytes_per_second: 100, free_bytes: 50 }, began);
        let at = |millis| began + Duration::from_millis(millis);
        assert_eq!(pace.room(at(0)), Ok(150), "ingress 2.5");
        pace.sent(150);
        assert_eq!(
            pace.room(at(0)),
            Err(Duration::from_millis(100)),
            "a tenth of a second's worth"
        );
        assert_eq!(pace.room(at(100)), Ok(10));
        assert_eq!(pace.room(at(2_000)), Ok(200), "what was not used is not lost");
        pace.sent(500);
        assert_eq!(pace.room(at(2_000)), Err(Duration::from_secs(1)), "one wait has an end");
    }
}
