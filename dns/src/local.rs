//! The resolver on one worker thread: takes sockets as they are opened and starts a loop for each.
//!
//! Invariants: everything runs on the thread's own local runtime; the drain ends open messages first and
//! what waits for upstreams last, within its time. The loops themselves are `serve`'s.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

use crate::forward::Forwarder;
use crate::https::Resolver;
use crate::listener::Sockets;
use crate::serve::{self, Shared};
use crate::tally::TallyEnds;

/// The part of the resolver that lives on one worker thread.
#[derive(Debug)]
pub struct Worker {
    pub(crate) sockets: mpsc::Receiver<Sockets>,
    pub(crate) shared: Shared,
}

/// A [`Worker`] on its thread.
#[derive(Debug)]
pub struct Local {
    worker: Worker,
    forwarder: Rc<Forwarder>,
    /// Cancelled with the drain's end: what is still open then is dropped with its task.
    end: CancellationToken,
}

impl Worker {
    /// To be called on the thread and in the local runtime that it serves from then on.
    pub fn on_thread(self) -> Local {
        let end = CancellationToken::new();
        let forwarder = Forwarder::new(&self.shared.forward, &end);
        Local { worker: self, forwarder, end }
    }
}

impl Local {
    /// What answers messages that come by other ways, as long as this runs.
    pub fn resolver(&self) -> Resolver {
        Resolver::new(self.worker.shared.clone(), Rc::clone(&self.forwarder))
    }

    /// Answers until `stop` is cancelled, then finishes open TCP queries within `drain_timeout`.
    pub async fn run(self, stop: CancellationToken, drain_timeout: Duration) {
        let Self { worker: Worker { mut sockets, shared }, forwarder, end } = self;
        let loops = TaskTracker::new();
        loop {
            let sockets = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(sockets) = sockets.recv() => sockets,
                else => {
                    stop.cancelled().await;
                    break;
                }
            };
            let (stop, end) = (stop.clone(), end.clone());
            let ears = Ears { shared: shared.clone(), forwarder: Rc::clone(&forwarder) };
            if let Err(error) = ears.listen(sockets, &loops, stop, end) {
                warn!(%error, "a dns socket could not join the worker");
            }
        }
        loops.close();
        let drained = async {
            loops.wait().await;
            forwarder.drain().await;
        };
        if tokio::time::timeout(drain_timeout, drained).await.is_err() {
            end.cancel();
            loops.wait().await;
        }
        forwarder.finish().await;
    }
}

/// What the loops of a worker share.
struct Ears {
    shared: Shared,
    forwarder: Rc<Forwarder>,
}

impl Ears {
    /// Gives the next loop counters of its own.
    fn count_at(&mut self, scheme: &str, address: SocketAddr, proto: &'static str) {
        let family = if address.is_ipv4() { "1" } else { "2" };
        let ends = TallyEnds { server: format!("{scheme}://{address}"), proto, family };
        self.shared.tally = self.shared.tallies.begin(ends);
    }

    fn listen(
        mut self,
        sockets: Sockets,
        loops: &TaskTracker,
        stop: CancellationToken,
        end: CancellationToken,
    ) -> io::Result<()> {
        let (tcp, tls) = match sockets {
            Sockets::Plain { udp, tcp } => {
                let udp = tokio::net::UdpSocket::from_std(udp)?;
                self.count_at("dns", udp.local_addr()?, "udp");
                let (shared, forwarder) = (self.shared.clone(), Rc::clone(&self.forwarder));
                loops.spawn_local(serve::datagrams(udp, shared, forwarder, stop.clone()));
                (tcp, None)
            }
            Sockets::Tls(tcp, config) => (tcp, Some(config)),
        };
        let tcp = tokio::net::TcpListener::from_std(tcp)?;
        let scheme = if tls.is_some() { "tls" } else { "dns" };
        self.count_at(scheme, tcp.local_addr()?, "tcp");
        loops.spawn_local(serve::streams(tcp, tls, self.shared, self.forwarder, stop, end));
        Ok(())
    }
}
