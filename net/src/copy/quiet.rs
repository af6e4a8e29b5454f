//! How long a relay may be quiet: no clock is read while bytes pass, a coarse timer looks now and
//! then whether any did.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

/// How long a relay may carry nothing before it is ended; none: for ever.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Patience {
    /// While both directions are open.
    pub idle: Option<Duration>,
    /// Once one direction has ended; the shorter of both counts then.
    pub half_closed: Option<Duration>,
}

impl Patience {
    fn limit(&self, is_half_closed: bool) -> Option<Duration> {
        match (self.idle, self.half_closed.filter(|_| is_half_closed)) {
            (Some(idle), Some(half_closed)) => Some(idle.min(half_closed)),
            (idle, half_closed) => idle.or(half_closed),
        }
    }
}

/// The timer of one relay; none runs where there is no limit.
#[derive(Debug, Default)]
pub(super) struct Quiet {
    timer: Option<Timer>,
}

#[derive(Debug)]
struct Timer {
    limit: Duration,
    sleep: Pin<Box<Sleep>>,
    /// Bytes carried when it looked last.
    seen: u64,
    /// Looks in a row that saw no byte.
    looks: u32,
}

impl Quiet {
    /// Ready once nothing was carried for the limit, and at most a [`LOOKS`]th of it longer.
    /// `carried` only grows.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        patience: &Patience,
        is_half_closed: bool,
        carried: u64,
    ) -> Poll<()> {
        let Some(limit) = patience.limit(is_half_closed) else { return Poll::Pending };
        let timer = match &mut self.timer {
            Some(timer) if timer.limit == limit => timer,
            timer => timer.insert(Timer {
                limit,
                sleep: Box::pin(tokio::time::sleep(limit / LOOKS)),
                seen: carried,
                looks: 0,
            }),
        };
        while timer.sleep.as_mut().poll(cx).is_ready() {
            timer.looks = if timer.seen == carried { timer.looks + 1 } else { 0 };
            timer.seen = carried;
            if timer.looks == LOOKS {
                return Poll::Ready(());
            }
            let next = Instant::now() + limit / LOOKS;
            timer.sleep.as_mut().reset(next);
        }
        Poll::Pending
    }
}

/// How often the timer looks within a limit.
const LOOKS: u32 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_follows_from_the_state() {
        let [hour, day] = [3600, 86_400].map(Duration::from_secs);
        for (idle, half_closed, open, half) in [
            (None, None, None, None),
            (None, Some(hour), None, Some(hour)),
            (Some(day), Some(hour), Some(day), Some(hour)),
            (Some(hour), Some(day), Some(hour), Some(hour)),
            (Some(day), None, Some(day), Some(day)),
        ] {
            let patience = Patience { idle, half_closed };
            assert_eq!([false, true].map(|it| patience.limit(it)), [open, half], "{patience:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn bytes_begin_the_time_anew_and_silence_ends_it() {
        let patience = Patience { idle: Some(Duration::from_secs(8)), half_closed: None };
        let (mut quiet, begun) = (Quiet::default(), Instant::now());
        // One byte each five seconds for half a minute, then none.
        std::future::poll_fn(|cx| {
            let carried = begun.elapsed().as_secs().min(30) / 5;
            quiet.poll(cx, &patience, false, carried)
        })
        .await;
        let lasted = begun.elapsed().as_secs();
        assert!((38..=40).contains(&lasted), "{lasted} s");
    }
}
