//! New connections to endpoints: TCP, and TLS where the location asks for it, within one time.
//!
//! What is said over them is a codec's work; who keeps them afterwards `pool`'s, or `h2::backend`'s.
//! Invariant: an endpoint is blamed for what it did alone, and neither for what this host lacks nor for
//! a name or a time that a client chose.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use portico_net::limit::is_exhausted;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tracing::debug;

use super::Worker;
use super::failure::Failure;
use super::pool::{Backend, Stream};
use super::secured::Secured;
use crate::upstream::{Caller, DialError, Fault, Port, Upstream};

/// No connection to an endpoint.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Undialed {
    pub(crate) failure: Failure,
    /// What the dial failed with; none: there was none, or another request's failed.
    error: Option<DialError>,
    /// Whether it is the endpoint's fault.
    pub(crate) blames: bool,
}

impl Undialed {
    /// A dial that failed.
    pub(crate) fn new(error: DialError, blames: bool) -> Self {
        let failure = match error {
            DialError::Timeout => Failure::TimedOut,
            _ => Failure::Bad,
        };
        Self { failure, error: Some(error), blames }
    }

    /// No connection, though nothing was dialled for it.
    pub(crate) fn without_dial(failure: Failure) -> Self {
        Self { failure, error: None, blames: false }
    }

    /// The same where the client's own time was over (`http-proxy 6.9`).
    pub(crate) fn past_deadline(self) -> Self {
        Self { failure: Failure::Deadline, blames: false, ..self }
    }

    /// Has it counted, and the endpoint blamed where that is due.
    pub(crate) fn tell(self, port: &Port, upstream: &Upstream, caller: Caller) {
        match self.error {
            Some(error) if self.blames => {
                port.failed((None, caller), upstream, Fault::Dial(error), caller.now);
            }
            Some(error) => port.undialed(error),
            None => {}
        }
    }
}

impl Worker {
    /// Opens a connection to an endpoint, through TLS where `secured` says how. The handshake is part
    /// of the `patience` for the connection (`http-proxy 5`).
    pub(crate) async fn dial(
        &self,
        endpoint: SocketAddr,
        secured: Option<&Rc<Secured>>,
        patience: Duration,
    ) -> Result<Backend, Undialed> {
        let dialed = timeout(patience, self.connect(endpoint, secured)).await;
        let stream = dialed.unwrap_or_else(|_| {
            debug!(%endpoint, "dial timed out");
            Err(Undialed::new(DialError::Timeout, true))
        })?;
        self.metrics.opened.0.fetch_add(1, Relaxed);
        Ok(Backend::new(stream, endpoint, secured.map(Rc::clone)))
    }

    async fn connect(
        &self,
        endpoint: SocketAddr,
        secured: Option<&Rc<Secured>>,
    ) -> Result<Stream, Undialed> {
        let stream = TcpStream::connect(endpoint).await.map_err(|error| {
            debug!(%endpoint, %error, "dial failed");
            Undialed::new(DialError::of(&error), !is_exhausted(&error))
        })?;
        let _ = stream.set_nodelay(true);
        let Some(secured) = secured else { return Ok(Stream::Plain(stream)) };
        let handshake = self
            .handshakes
            .dial(stream, endpoint, secured, &self.ticker);
        let stream = Box::pin(handshake).await.map_err(|error| {
            debug!(%endpoint, %error, "no TLS");
            Undialed::new(DialError::Tls, !secured.depends_on_name())
        })?;
        Ok(Stream::Tls(Box::new(stream)))
    }
}
