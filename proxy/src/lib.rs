//! The L4 and L7 data plane.
//!
//! ```text
//! control:  Snapshot ─prepare─▶ Prepared ─commit─▶ View          workers: accept ─▶ l4 │ l7
//!                    binds sockets        swaps, hands over               one View load each
//! ```
//!
//! [`Proxy`] stays on the control side, one [`Worker`] moves to each worker thread. Nothing is
//! closed before its successor is open; nothing in flight is cut by a reload.

mod metrics;
mod upstream;
mod view;
mod l4;
mod l7;
mod reconcile;
mod worker;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use arc_swap::ArcSwap;
use portico_config::snapshot::Snapshot;
use portico_net::limit::ConnectionLimit;
use portico_net::listeners::ListenerStatus;
use tokio::sync::mpsc;

use crate::reconcile::Listeners;
use crate::upstream::Registry;
use crate::view::View;

pub use crate::reconcile::Prepared;
pub use crate::worker::Worker;

/// What the plane is told by settings.
#[derive(Clone, Debug)]
pub struct Options {
    /// Worker threads, at least 1.
    pub workers: usize,
    /// Plain Ingress listeners; port 0 lets the kernel choose.
    pub http: Vec<SocketAddr>,
    /// TLS Ingress listeners; port 0 lets the kernel choose.
    pub https: Vec<SocketAddr>,
    /// The limit of open descriptors: bounds listeners and connections.
    pub descriptors: u64,
}

/// The control side of the plane.
#[derive(Debug)]
pub struct Proxy {
    shared: Arc<Shared>,
    listeners: Listeners,
    /// The view before: workers may hold it until they next look, so it is freed here, one commit
    /// later, and not on a worker.
    retired: Option<Arc<View>>,
}

/// What control side, workers and metrics share.
#[derive(Debug)]
struct Shared {
    view: Arc<ArcSwap<View>>,
    registry: Mutex<Registry>,
    connections: ConnectionLimit,
    l7: Arc<l7::Metrics>,
    listeners: Mutex<Vec<ListenerStatus>>,
}

impl Proxy {
    /// The plane and one [`Worker`] for each worker thread.
    pub fn new(options: Options) -> (Self, Vec<Worker>) {
        let most = portico_net::limit::connections_for(options.descriptors);
        let shared = Arc::new(Shared {
            view: Arc::new(ArcSwap::from_pointee(View::default())),
            registry: Mutex::default(),
            connections: ConnectionLimit::new(most),
            l7: Arc::default(),
            listeners: Mutex::default(),
        });
        let (senders, workers) = (0..options.workers.max(1))
            .map(|_| {
                let (sender, commands) = mpsc::channel(COMMAND_QUEUE);
                (sender, Worker::new(Arc::clone(&shared), commands))
            })
            .unzip();
        let listeners = Listeners::new(&options, senders);
        (Self { shared, listeners, retired: None }, workers)
    }

    /// Builds the next view and opens every socket that it needs; changes nothing that serves.
    pub fn prepare(&mut self, snapshot: &Arc<Snapshot>) -> Prepared {
        let mut registry = self
            .shared
            .registry
            .lock()
            .unwrap_or_else(|e| e.into_inner());
        let view = View::new(snapshot, &mut registry);
        self.listeners.prepare(view, &snapshot.fronts)
    }

    /// Swaps the view, hands the new sockets to the workers, then drains what left.
    ///
    /// Connections that come in between wait in the backlog of sockets that already listen. Called
    /// on a thread without a runtime: it waits for room in the workers' queues.
    pub fn commit(&mut self, prepared: Prepared) {
        let Prepared { view, changes } = prepared;
        self.retired = Some(self.shared.view.swap(Arc::new(view)));
        self.listeners.commit(changes);
        self.publish_status();
    }

    /// Tries to open what could not be opened before; cheap when nothing is due.
    pub fn retry(&mut self, now: Instant) {
        if self.listeners.retry(now) {
            self.publish_status();
        }
    }

    /// Every listener of the plane and how it is.
    pub fn listeners(&self) -> Vec<ListenerStatus> {
        self.listeners.status()
    }

    /// The plane's metrics, for the process's registry.
    pub fn collector(&self) -> Box<dyn prometheus::core::Collector> {
        Box::new(metrics::Collector::new(Arc::clone(&self.shared)))
    }

    fn publish_status(&self) {
        let mut status = self
            .shared
            .listeners
            .lock()
            .unwrap_or_else(|e| e.into_inner());
        *status = self.listeners.status();
    }
}

/// Commands that may wait for a worker; a whole snapshot's listeners pass through it in parts.
const COMMAND_QUEUE: usize = 256;
