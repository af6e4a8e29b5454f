//! A worker's clock: once a second it moves deadlines on and sweeps what is too old, now and then it
//! looks how late it is, and once it tells all connections to end.
//!
//! One task for all connections of a worker, so that none of them registers a timer. The date is
//! written here too, once for all answers of a second.

use std::rc::Weak;
use std::time::{Duration, Instant, SystemTime};

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::Worker;
use super::shed;
use super::watch::TICK;

/// What a worker's clock wakes it for.
enum Due {
    /// A tick.
    Tick,
    /// A look at how late it is: it was due then.
    Look(Instant),
    /// The end.
    Drain,
}

/// Keeps the time of `worker` for as long as that lives; `drain`: its connections end.
pub(super) async fn keep(worker: Weak<Worker>, drain: CancellationToken) {
    let Some(most_lag) = worker.upgrade().map(|worker| worker.door.max_loop_lag) else { return };
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut looks = interval(shed::LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut told = false;
    loop {
        let due = tokio::select! {
            _ = ticks.tick() => Due::Tick,
            due = looks.tick(), if most_lag.is_some() => Due::Look(due.into_std()),
            () = drain.cancelled(), if !told => Due::Drain,
        };
        told |= matches!(due, Due::Drain);
        let Some(worker) = worker.upgrade() else { return };
        match (due, most_lag) {
            (Due::Tick, _) => worker.tick(),
            (Due::Look(due), Some(most)) => worker.heed_lag(due, most),
            (Due::Look(_), None) => {}
            (Due::Drain, _) => worker.drain(),
        }
    }
}

impl Worker {
    /// Moves the worker's clock on.
    fn tick(&self) {
        self.date.set(date());
        self.heed_memory();
        self.ticker.tick();
        if let Some(access) = &self.access {
            access.flush();
        }
        self.pool.sweep();
        self.backends.sweep();
        self.handshakes.sweep(self.ticker.now());
    }

    /// Tells all connections to end.
    fn drain(&self) {
        self.draining.set(true);
        self.closing.set(true);
        self.ticker.wake_all();
    }

    /// Until which tick a connection that begins now may be used: its age, give or take a tenth, so
    /// that those of one moment do not end in one.
    pub(super) fn last_tick(&self) -> u32 {
        let Some(age) = self.door.max_connection_age else { return u32::MAX };
        self.ticker
            .now()
            .saturating_add(spread(age, self.next_random()))
    }
}

/// The seconds of `age`, give or take a tenth.
fn spread(age: Duration, random: u64) -> u32 {
    let seconds = u32::try_from(age.as_secs()).unwrap_or(u32::MAX / 2);
    let more = u32::try_from(random % u64::from(seconds / 5 + 1)).unwrap_or(0);
    (seconds - seconds / 10).saturating_add(more)
}

/// The line `Date` for now.
pub(super) fn date() -> [u8; DATE_BYTES] {
    let mut line = *b"Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n";
    let now = httpdate::fmt_http_date(SystemTime::now());
    if let Some(place) = line.get_mut(6..6 + now.len()) {
        place.copy_from_slice(now.as_bytes());
    }
    line
}

/// Of that line, which is always as long.
pub(super) const DATE_BYTES: usize = "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n".len();

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_grow_old_within_a_tenth_of_their_time() {
        let hour = Duration::from_secs(3600);
        for random in [0, 1, 719, 720, u64::MAX] {
            let got = spread(hour, random);
            assert!((3240..=3960).contains(&got), "http-proxy 3: {got}");
        }
        assert_eq!(spread(Duration::from_secs(1), 7), 1);
        assert!(spread(Duration::MAX, u64::MAX) > u32::MAX / 3, "no time overflows");
    }
}
