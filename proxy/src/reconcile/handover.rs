//! Bound sockets on their way to the workers.
//!
//! They go in parts, so that a worker that takes ten thousand of them serves its connections in
//! between, and the queue of each worker stays bounded. Sending waits while a queue is full; a
//! worker that is gone takes nothing, and what was meant for it closes.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::net::SocketAddr;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::plan::{Key, Role};
use crate::worker::{Bound, Command, Serve, Socket};

/// What each worker will be given.
#[derive(Debug)]
pub(crate) struct Handover {
    by_worker: Vec<Vec<Socket>>,
}

impl Handover {
    pub(crate) fn new(workers: usize) -> Self {
        Self { by_worker: (0..workers).map(|_| Vec::new()).collect() }
    }

    /// Adds the sockets of one listener that is bound to `address`: one for each worker, or one in
    /// all, for a worker that the address chooses, the same at every start.
    pub(crate) fn add(
        &mut self,
        key: Key,
        address: SocketAddr,
        sockets: Vec<Bound>,
        stop: &CancellationToken,
    ) {
        let serve = match key.role {
            Role::Http => Serve::Http { address, tls: false },
            Role::Https => Serve::Http { address, tls: true },
            Role::HealthCheck => Serve::HealthCheck { address },
            Role::Front(_) => Serve::Front { address: key.address },
        };
        let first = match sockets.len() {
            1 => {
                let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(key.address);
                usize::try_from(hash % self.by_worker.len() as u64).unwrap_or(0)
            }
            _ => 0,
        };
        for (socket, worker) in sockets
            .into_iter()
            .zip(self.by_worker.iter_mut().skip(first))
        {
            worker.push(Socket { socket, serve, stop: stop.clone() });
        }
    }

    /// Sends everything; on a thread without a runtime.
    pub(crate) fn send(self, workers: &[mpsc::Sender<Command>]) {
        for (mut sockets, worker) in self.by_worker.into_iter().zip(workers) {
            while !sockets.is_empty() {
                let rest = sockets.split_off(sockets.len().min(PART));
                let part = std::mem::replace(&mut sockets, rest);
                if worker.blocking_send(Command::Open(part)).is_err() {
                    break; // the process is ending
                }
            }
        }
    }
}

/// Sockets per command.
const PART: usize = 256;
