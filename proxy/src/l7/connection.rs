//! One client connection: handshake, requests one after the other, its deadline, its drain.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Poll;

use http::HeaderValue;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tracing::debug;

use super::exchange::Exchange;
use super::forward::ForwardedFor;
use super::io::DownstreamIo;
use super::watch::Phase;
use super::{HttpListener, Worker};

impl Worker {
    /// Serves a connection on a task of its own; `permit` is its place among all connections.
    pub(crate) fn serve(
        self: &Rc<Self>,
        stream: TcpStream,
        peer: SocketAddr,
        listener: &Rc<HttpListener>,
        permit: Option<OwnedSemaphorePermit>,
    ) {
        let (worker, listener) = (Rc::clone(self), Rc::clone(listener));
        self.connections.spawn_local(async move {
            let _ = stream.set_nodelay(true);
            worker.metrics.active.0.fetch_add(1, Relaxed);
            match &worker.tls {
                Some(config) if listener.tls => {
                    match portico_net::tls_accept::accept(stream, config).await {
                        Ok(stream) => worker.requests(stream, peer, &listener, permit).await,
                        Err(error) => {
                            worker.metrics.tls_errors.fetch_add(1, Relaxed);
                            debug!(%peer, %error, "TLS handshake failed");
                        }
                    }
                }
                None if listener.tls => {}
                _ => worker.requests(stream, peer, &listener, permit).await,
            }
            worker.metrics.active.0.fetch_sub(1, Relaxed);
        });
    }

    async fn requests<S>(
        self: &Rc<Self>,
        stream: S,
        peer: SocketAddr,
        listener: &Rc<HttpListener>,
        permit: Option<OwnedSemaphorePermit>,
    ) where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let watch = self.ticker.watch(Phase::Head);
        let exchange = Rc::new(Exchange {
            worker: Rc::clone(self),
            watch: Arc::clone(&watch),
            from: forwarded_for(peer, listener),
            listener: Rc::clone(listener),
            permit: Rc::new(permit),
        });
        let service = service_fn(move |request| {
            let exchange = Rc::clone(&exchange);
            async move { Ok::<_, Infallible>(exchange.answer(request).await) }
        });
        let io = DownstreamIo::new(stream, Arc::clone(&watch));
        let mut connection = pin!(
            http1::Builder::new()
                .max_header_size(MAX_HEAD_BYTES)
                .max_buf_size(MAX_BUFFER_BYTES)
                .serve_connection(io, service)
                .with_upgrades()
        );
        let mut drain = pin!(self.drain.cancelled());
        let mut draining = false;
        let ended = std::future::poll_fn(|cx| {
            if !draining && drain.as_mut().poll(cx).is_ready() {
                draining = true;
                connection.as_mut().graceful_shutdown();
            }
            let polled = connection.as_mut().poll(cx);
            // Whoever waits for a response answers its own expiry; all else ends here.
            if polled.is_pending()
                && watch.poll_expired(cx).is_ready()
                && !matches!(watch.phase(), Phase::Waiting | Phase::Tunnel)
            {
                return Poll::Ready(None);
            }
            polled.map(Some)
        });
        if let Some(Err(error)) = ended.await {
            debug!(%peer, %error, "connection ended");
        }
    }
}

fn forwarded_for(peer: SocketAddr, listener: &HttpListener) -> ForwardedFor {
    let (scheme, port) = if listener.tls { ("https", "443") } else { ("http", "80") };
    let address = HeaderValue::try_from(peer.ip().to_canonical().to_string());
    ForwardedFor {
        peer: address.unwrap_or_else(|_| HeaderValue::from_static("unknown")),
        scheme: HeaderValue::from_static(scheme),
        port: HeaderValue::from_static(port),
    }
}

/// A longer head gets 431 (`http-proxy 3`).
const MAX_HEAD_BYTES: usize = 64 * 1024;
const MAX_BUFFER_BYTES: usize = 64 * 1024;
