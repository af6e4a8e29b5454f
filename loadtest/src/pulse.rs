//! A client that does one thing again and again, at a steady pace, and notes what came of it.
//!
//! Invariants: one thing at a time; when it takes longer than the pace allows, the beats that were
//! missed are left out. Notes are bounded by the length of the run and the pace.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

use crate::process::pause;

/// One thing that was done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Beat {
    /// When it began, from the start of the run.
    pub(crate) at: Duration,
    /// How long it took.
    pub(crate) took: Duration,
    pub(crate) good: bool,
}

/// A client at work.
#[derive(Debug)]
pub(crate) struct Pulse {
    name: &'static str,
    thread: JoinHandle<(Vec<Beat>, Option<String>)>,
}

/// What a client has done.
#[derive(Debug)]
pub(crate) struct Beats {
    pub(crate) name: &'static str,
    pub(crate) all: Vec<Beat>,
    /// The last error in words.
    pub(crate) last_error: Option<String>,
}

impl Pulse {
    /// Does `work` every `pace` until `over`; times count from `start`.
    pub(crate) fn start(
        name: &'static str,
        (start, pace): (Instant, Duration),
        over: &Arc<AtomicBool>,
        mut work: impl FnMut() -> io::Result<()> + Send + 'static,
    ) -> Self {
        let over = Arc::clone(over);
        let thread = thread::spawn(move || {
            let (mut beats, mut last_error) = (Vec::new(), None);
            let mut next = Instant::now();
            while !over.load(Ordering::Relaxed) {
                pause(next.saturating_duration_since(Instant::now()));
                let begun = Instant::now();
                let result = work();
                beats.push(Beat {
                    at: begun.saturating_duration_since(start),
                    took: begun.elapsed(),
                    good: result.is_ok(),
                });
                if let Err(error) = result {
                    last_error = Some(error.to_string());
                }
                next = (next + pace).max(Instant::now());
            }
            (beats, last_error)
        });
        Self { name, thread }
    }

    /// Waits for its last beat, once the run is over.
    pub(crate) fn finish(self) -> Result<Beats> {
        let (all, last_error) = self
            .thread
            .join()
            .map_err(|_| anyhow!("the client {} panicked", self.name))?;
        Ok(Beats { name: self.name, all, last_error })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_notes_what_came_of_each_beat() {
        let over = Arc::new(AtomicBool::new(false));
        let (ends, mut left) = (Arc::clone(&over), 3);
        let pace = (Instant::now(), Duration::from_millis(1));
        let pulse = Pulse::start("x", pace, &over, move || {
            left -= 1;
            ends.store(left == 0, Ordering::Relaxed);
            if left == 1 { Err(io::Error::other("a reason")) } else { Ok(()) }
        });
        let beats = pulse.finish().unwrap();
        let good: Vec<bool> = beats.all.iter().map(|beat| beat.good).collect();
        assert_eq!(good, [true, false, true]);
        assert_eq!(beats.last_error.as_deref(), Some("a reason"));
    }
}
