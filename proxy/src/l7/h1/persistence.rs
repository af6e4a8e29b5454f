//! Whether a connection goes on after a response (RFC 9112 9.3), and how it ends where it does not.
//!
//! ```text
//! response ─▶ Next │ Close │ Linger: the client may be sending │ Cut: amid it │ Tunnel
//! ```
//!
//! A client hears `Connection: close` with the last response, never after it: so [`is_last`] is asked
//! when a head is written, and what it said is kept. What the client sent of a body that nobody read
//! would be taken for the next request: it is skipped where all of it is here, else the connection
//! lingers and ends.
//!
//! [`is_last`]: Connection::is_last

use super::Facts;
use super::body::Body;
use super::framing::Length;
use super::server::Connection;
use super::tunnel::Tunnel;
use crate::l7::io::Downstream;
use crate::l7::watch::Phase;

/// What becomes of a connection after a response.
pub(super) enum After {
    /// The next request.
    Next,
    /// It ends.
    Close,
    /// It ends, but the client may be sending.
    Linger,
    /// It ends in the middle.
    Cut,
    /// It is one with a backend's, and keeps its place there.
    Tunnel(Box<Tunnel>),
}

impl<S: Downstream> Connection<S> {
    /// Whether the connection ends with the response to this request.
    pub(super) fn is_last(&self, facts: &Facts) -> bool {
        !facts.keep
            || self.worker.is_closing()
            || self.served >= self.worker.door.max_requests_per_connection
            || self.worker.ticker.now() > self.last_tick
    }

    /// Waits for the next request: nothing of the last one is kept.
    pub(super) fn rest(&mut self) {
        self.held = None;
        self.watch.enter(Phase::Idle);
        self.ahead = !self.inbox.is_empty();
        if !self.ahead {
            self.worker.scratch.put(std::mem::take(&mut self.inbox));
        }
    }

    /// Discards a body that nobody wants, if all of it is here (`http-proxy 8.8`).
    pub(super) fn skip(&mut self, length: Length, facts: &Facts) -> bool {
        let mut body = Body::new(length);
        if body.is_done() {
            return true;
        }
        let taken = match facts.expects {
            true => return false,
            false => body.take(&mut self.inbox),
        };
        let taken = taken.ok().filter(|_| body.is_done());
        if let Some(decoded) = &taken {
            self.inbox.drain(..decoded.taken);
        }
        taken.is_some()
    }
}
