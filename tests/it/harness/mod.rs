//! Everything a scenario needs to read as a sentence.
//!
//! `Portico::with(manifests).start()` runs the whole program in this process on free ports, each
//! instance with its own service CIDR and node address inside 127/8; [`Pod`] is a backend that says
//! its name, [`udp`] has one that does so over UDP; [`http`], [`dns`] and plain sockets are the clients. Nothing here sleeps to guess:
//! [`eventually`] asks again until the answer is right or the test's patience ends.

pub(crate) mod dns;
pub(crate) mod frames;
pub(crate) mod h2;
pub(crate) mod http;
pub(crate) mod pod;
pub(crate) mod portico;
pub(crate) mod process;
pub(crate) mod secure;
pub(crate) mod udp;
pub(crate) mod upstream;

use std::time::{Duration, Instant};

/// Asks `question` until it answers something; fails the test with `what` after [`PATIENCE`].
///
/// The pause between two questions only saves processor time, no result depends on it.
#[track_caller]
pub(crate) fn eventually<T>(what: &str, mut question: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = question() {
            return answer;
        }
        assert!(start.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        std::thread::park_timeout(Duration::from_millis(2));
    }
}

/// How long a loaded machine may take for anything that should happen at once.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
