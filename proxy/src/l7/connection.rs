//! One client connection: its place among all, its handshake, then its codec.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;

use portico_net::limit::Place;
use tokio::net::TcpStream;

use super::forward::ForwardedFor;
use super::h1::server::Connection;
use super::h2;
use super::preface::{self, Begun};
use super::watch::Phase;
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
            worker.metrics.active.0.fetch_add(1, Relaxed);
            let mut from = ForwardedFor::new(peer.ip(), listener.address, listener.tls);
            from.peer_port = peer.port();
            // Only queries ask, which come over TLS.
            if from.local.is_unspecified() && listener.tls {
                from.local = stream.local_addr().map_or(from.local, |it| it.ip());
            }
            let from = match worker.trusts(from.client) {
                true => from.trusted(worker.door.full_forwarded_for),
                false => from,
            };
            match &worker.tls {
                // Boxed: the plain connections next to it shall not pay for its size.
                Some(tls) if listener.tls => Box::pin(worker.secured(stream, tls, from)).await,
                None if listener.tls => {}
                _ => plain(stream, &worker, Rc::new(from)).await,
            }
            worker.metrics.active.0.fetch_sub(1, Relaxed);
            drop(place);
        });
    }
}

/// Serves a client without TLS in the HTTP that it speaks.
async fn plain(mut stream: TcpStream, worker: &Rc<Worker>, from: Rc<ForwardedFor>) {
    // The first byte has the time of a head, not that of a rest.
    let watch = worker.ticker.watch(Phase::Head);
    let begin = preface::begin(&mut stream, worker, &watch).await;
    if preface::is_http2(&begin) {
        drop(watch);
        let stream = Begun::new(begin, stream);
        return Box::pin(h2::connection::serve(stream, worker, from)).await;
    }
    Connection::begun(stream, begin, worker, (watch, from))
        .run()
        .await;
}
