//! The L4 and L7 data plane.
//!
//! ```text
//! control:  Snapshot ─prepare─▶ Prepared ─commit─▶ View          workers: accept ─▶ l4 │ l7
//!                    binds sockets        swaps, hands over               one View load each
//! ```
//!
//! [`Proxy`] stays on the control side, one [`Worker`] moves to each worker thread. Nothing is
//! closed before its successor is open; nothing in flight is cut by a reload.

mod upstream;
mod view;
mod l4;
mod l7;

use std::net::SocketAddr;
use std::sync::Arc;

use portico_config::snapshot::Snapshot;
use portico_net::listeners::ListenerStatus;
use tokio_util::sync::CancellationToken;

/// What the plane is told by settings.
#[derive(Clone, Debug)]
pub struct Options {
    /// Worker threads, at least 1.
    pub workers: usize,
    /// Plain Ingress listeners.
    pub http: Vec<SocketAddr>,
    /// TLS Ingress listeners.
    pub https: Vec<SocketAddr>,
}

/// The control side of the plane.
#[derive(Debug)]
pub struct Proxy {}

/// New sockets and the new view, bound and built, not yet serving.
#[derive(Debug)]
pub struct Prepared {}

/// The part of the plane that lives on one worker thread.
#[derive(Debug)]
pub struct Worker {}

impl Proxy {
    /// The plane and one [`Worker`] for each worker thread.
    pub fn new(options: Options) -> (Self, Vec<Worker>) {
        (Self {}, (0..options.workers.max(1)).map(|_| Worker {}).collect())
    }

    /// Builds the next view and opens every socket that it needs; changes nothing that serves.
    pub fn prepare(&mut self, _snapshot: &Arc<Snapshot>) -> Prepared {
        Prepared {}
    }

    /// Swaps the view, hands the new sockets to the workers, then drains what left.
    pub fn commit(&mut self, _prepared: Prepared) {}

    /// Tries to open what could not be opened before; cheap when nothing is due.
    pub fn retry(&mut self, _now: std::time::Instant) {}

    /// Every listener of the plane and how it is.
    pub fn listeners(&self) -> Vec<ListenerStatus> {
        Vec::new()
    }

    /// The plane's metrics, for the process's registry.
    pub fn collector(&self) -> Box<dyn prometheus::core::Collector> {
        todo!()
    }
}

impl Worker {
    /// Serves until `stop` is cancelled: then stops accepting, lets open connections finish until
    /// `deadline` after that, and returns. Runs on a worker's local runtime.
    pub async fn run(self, stop: CancellationToken, _drain_timeout: std::time::Duration) {
        stop.cancelled().await;
    }
}
