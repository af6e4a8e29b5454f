//! One client connection: its place among all, its handshake, then its codec.
//!
//! ```text
//! accepted ─▶ Held ─▶ TLS? `server_name` ─▶ ALPN h2? ─▶ `h2` ─▶ `h1`
//!                  └▶ plain ─▶ preface of HTTP/2? ───────▶ │ `h1`
//! ```
//!
//! All of it is one task, and the place is given back when that ends, by a panic too. Whether a
//! connection may be accepted is asked before, by the worker's accept loop.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use portico_net::limit::{Place, Seat};
use tokio::net::TcpStream;
use tracing::error;

use super::Worker;
use super::forward::Peer;
use super::h1::server::Connection;
use super::h2;
use super::metrics::Refusal;
use super::preface::Begun;

/// One Ingress listener.
#[derive(Debug)]
pub(crate) struct HttpListener {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// Whether it speaks TLS.
    pub(crate) tls: bool,
}

/// The places of a handshake: among all that go on, and among those of its client.
pub(crate) struct Shaking {
    _place: Place,
    _seat: Option<Seat>,
}

impl Shaking {
    /// With both.
    pub(crate) fn new(place: Place, seat: Option<Seat>) -> Self {
        Self { _place: place, _seat: seat }
    }
}

impl Worker {
    /// Serves a connection on a task of its own, which does all its work; `place` is its own
    /// among all connections, `handshake` those among handshakes, where it speaks TLS, and `seat`
    /// one among those of its client.
    pub(crate) fn serve(
        self: &Rc<Self>,
        stream: TcpStream,
        peer: SocketAddr,
        listener: &HttpListener,
        (place, handshake, seat): (Place, Option<Shaking>, Option<Seat>),
    ) {
        let from = self.seen(&stream, peer, listener).seated(seat);
        let held = Held::new(self, place);
        let accepted = &self.metrics.accepted[usize::from(listener.tls)];
        accepted.0.fetch_add(1, Relaxed);
        match &self.tls {
            Some(tls) if listener.tls => {
                // Boxed and dropped: what a handshake needs is not kept for what comes after it.
                let handshake = Rc::clone(self).secured(stream, Arc::clone(tls), from, handshake);
                let handshake = Box::pin(handshake);
                self.connections.spawn_local(async move {
                    if let Some(served) = handshake.await {
                        served.await;
                    }
                    drop(held);
                });
            }
            None if listener.tls => self.metrics.refuse(true, Refusal::Tls),
            _ => {
                let connection = Connection::new(stream, self, Rc::new(from));
                self.connections.spawn_local(plain(connection, held));
            }
        }
    }

    /// What is known of a client before it has said anything.
    fn seen(&self, stream: &TcpStream, peer: SocketAddr, listener: &HttpListener) -> Peer {
        let mut from = Peer::new(peer.ip(), listener.address, listener.tls);
        from.peer_port = peer.port();
        from.tells_forwarded = self.door.forwarded;
        // Only queries ask, which come over TLS.
        if from.local.is_unspecified() && listener.tls {
            from.local = stream.local_addr().map_or(from.local, |it| it.ip());
        }
        match self.trusts(from.client) {
            true => from.trusted(self.door.full_forwarded_for),
            false => from,
        }
    }
}

/// A connection's place among all, and among those that are counted.
struct Held {
    worker: Rc<Worker>,
    _place: Place,
}

impl Held {
    fn new(worker: &Rc<Worker>, place: Place) -> Self {
        worker.metrics.active.0.fetch_add(1, Relaxed);
        Self { worker: Rc::clone(worker), _place: place }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.worker.metrics.active.0.fetch_sub(1, Relaxed);
        // Of no request: whoever serves one catches it.
        if std::thread::panicking() {
            self.worker.metrics.panicked(self.worker.number);
            error!("a panic ended a connection");
        }
    }
}

/// Serves a client without TLS in the HTTP that it speaks.
#[expect(clippy::manual_async_fn, reason = "an async fn has room for what it is given twice")]
fn plain(mut connection: Connection<TcpStream>, held: Held) -> impl Future<Output = ()> {
    async move {
        if !connection.begins_http2().await {
            connection.run().await;
            drop(connection);
            return drop(held);
        }
        let (stream, begin, from) = connection.into_parts();
        let stream = Begun::new(begin, stream);
        h2::connection::serve(stream, Rc::clone(&held.worker), from).await;
        drop(held);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::l7::sizes;

    #[test]
    fn a_connection_at_rest_has_no_room_for_a_request() {
        let task = sizes::of(|(connection, held)| plain(connection, held));
        assert!(task <= 432, "{task}");
    }
}
