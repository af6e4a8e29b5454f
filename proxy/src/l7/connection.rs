//! One client connection: its place among all, its handshake, then its codec.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;

use portico_net::limit::Place;
use tokio::net::TcpStream;
use tracing::debug;

use super::forward::ForwardedFor;
use super::h1::server::Connection;
use super::{HttpListener, Worker};

impl Worker {
    /// Serves a connection on a task of its own, which does all its work; `place` is its own
    /// among all connections.
    pub(crate) fn serve(
        self: &Rc<Self>,
        stream: TcpStream,
        peer: SocketAddr,
        listener: &Rc<HttpListener>,
        place: Place,
    ) {
        let (worker, listener) = (Rc::clone(self), Rc::clone(listener));
        self.connections.spawn_local(async move {
            let _ = stream.set_nodelay(true);
            worker.metrics.active.0.fetch_add(1, Relaxed);
            let mut from = ForwardedFor::new(peer.ip(), listener.address, listener.tls);
            // Only queries ask, which come over TLS.
            if from.local.is_unspecified() && listener.tls {
                from.local = stream.local_addr().map_or(from.local, |it| it.ip());
            }
            let from = Rc::new(from);
            match &worker.tls {
                Some(config) if listener.tls => {
                    match Box::pin(portico_net::tls_accept::accept(stream, config)).await {
                        // Boxed: the plain connections next to it shall not pay for its size.
                        Ok(stream) => Box::pin(Connection::new(stream, &worker, from).run()).await,
                        Err(error) => {
                            worker.metrics.tls_errors.fetch_add(1, Relaxed);
                            debug!(%peer, %error, "TLS handshake failed");
                        }
                    }
                }
                None if listener.tls => {}
                _ => Connection::new(stream, &worker, from).run().await,
            }
            worker.metrics.active.0.fetch_sub(1, Relaxed);
            drop(place);
        });
    }
}
