//! New connections to endpoints: TCP, and TLS where the location asks for it, within one time.
//!
//! What is said over them is a codec's work; who keeps them afterwards `pool`'s, or `h2::backend`'s.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::net::TcpStream;
use tracing::debug;

use super::Worker;
use super::failure::Failure;
use super::pool::{Backend, Stream};
use super::secured::Secured;

/// No connection to an endpoint.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Undialed {
    pub(crate) failure: Failure,
    /// Whether it is the endpoint's fault: a name that a client chose must put none of them out.
    pub(crate) blames: bool,
}

impl Worker {
    /// Opens a connection to an endpoint, through TLS where `secured` says how. The handshake is part
    /// of the time to connect (`http-proxy 5`).
    pub(crate) async fn dial(
        &self,
        endpoint: SocketAddr,
        secured: Option<&Rc<Secured>>,
        timeout: Duration,
    ) -> Result<Backend, Undialed> {
        let dialed = tokio::time::timeout(timeout, self.connect(endpoint, secured)).await;
        let why = match dialed {
            Ok(Ok(stream)) => {
                self.metrics.opened.0.fetch_add(1, Relaxed);
                let secured = secured.map(Rc::clone);
                return Ok(Backend::new(stream, endpoint, secured));
            }
            Ok(Err((why, error))) => {
                debug!(%endpoint, %error, "dial failed");
                why
            }
            Err(_) => Undialed { failure: Failure::TimedOut, blames: true },
        };
        Err(why)
    }

    async fn connect(
        &self,
        endpoint: SocketAddr,
        secured: Option<&Rc<Secured>>,
    ) -> Result<Stream, (Undialed, io::Error)> {
        let failed = |blames| move |error| (Undialed { failure: Failure::Bad, blames }, error);
        let stream = TcpStream::connect(endpoint).await.map_err(failed(true))?;
        let _ = stream.set_nodelay(true);
        let Some(secured) = secured else { return Ok(Stream::Plain(stream)) };
        let handshake = self
            .handshakes
            .dial(stream, endpoint, secured, &self.ticker);
        let stream = Box::pin(handshake)
            .await
            .map_err(failed(!secured.depends_on_name()))?;
        Ok(Stream::Tls(Box::new(stream)))
    }
}
