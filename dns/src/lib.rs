//! The resolver: own UDP and TCP loops over a table of encoded answers.
//!
//! ```text
//! control:  Snapshot ─▶ AnswerTable ─commit─▶        workers: datagram or message ─▶ answer
//! ```
//!
//! [`Dns`] stays on the control side, one [`Worker`] moves to each worker thread.

use std::net::SocketAddr;
use std::sync::Arc;

use portico_config::snapshot::Snapshot;
use portico_net::listeners::ListenerStatus;
use tokio_util::sync::CancellationToken;

/// What the resolver is told by settings.
#[derive(Clone, Debug)]
pub struct Options {
    /// Worker threads, at least 1.
    pub workers: usize,
    /// Listeners, UDP and TCP each.
    pub listen: Vec<SocketAddr>,
}

/// The control side of the resolver.
#[derive(Debug)]
pub struct Dns {}

/// The answers of the next snapshot, encoded, not yet given.
#[derive(Debug)]
pub struct Prepared {}

/// The part of the resolver that lives on one worker thread.
#[derive(Debug)]
pub struct Worker {}

impl Dns {
    /// The resolver and one [`Worker`] for each worker thread.
    pub fn new(options: Options) -> (Self, Vec<Worker>) {
        (Self {}, (0..options.workers.max(1)).map(|_| Worker {}).collect())
    }

    /// Encodes the answers of `snapshot`; at the first call opens the sockets too, since before
    /// there is nothing to answer.
    pub fn prepare(&mut self, _snapshot: &Arc<Snapshot>) -> Prepared {
        Prepared {}
    }

    /// Answers from now on what `prepared` says.
    pub fn commit(&mut self, _prepared: Prepared) {}

    /// Tries to open what could not be opened before; cheap when nothing is due.
    pub fn retry(&mut self, _now: std::time::Instant) {}

    /// Every listener of the resolver and how it is.
    pub fn listeners(&self) -> Vec<ListenerStatus> {
        Vec::new()
    }

    /// The resolver's metrics, for the process's registry.
    pub fn collector(&self) -> Box<dyn prometheus::core::Collector> {
        todo!()
    }
}

impl Worker {
    /// Answers until `stop` is cancelled, then finishes open TCP queries within `drain_timeout`.
    /// Runs on a worker's local runtime.
    pub async fn run(self, stop: CancellationToken, _drain_timeout: std::time::Duration) {
        stop.cancelled().await;
    }
}
