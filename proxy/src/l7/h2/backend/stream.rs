//! One stream to a backend, as a connection of HTTP/1.1 that carries one request.
//!
//! ```text
//! write:  head ─request─▶ Outgoing ─▶ done
//! read:   Unasked ─▶ Waiting ─1xx─▶ Waiting ─response─▶ Body ─▶ end      Lost: what never will be
//! ```
//!
//! Invariants: the head is written before anything is read; what is dropped before both sides have
//! ended is reset.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use h2::Reason;
use h2::client::ResponseFuture;
use http::{HeaderMap, Method};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tracing::debug;

use super::connection::Connection;
use super::head;
use crate::l7::h2::incoming::Incoming;
use crate::l7::h2::outgoing::{Outgoing, is_empty};
use crate::l7::h2::{Fault, broken, odd, response, trailers};

/// A request to a backend, and its response.
pub(crate) struct Stream {
    connection: Rc<Connection>,
    out: Outgoing,
    /// The request's head as far as it has been written.
    inbox: Vec<u8>,
    to_head: bool,
    reply: Reply,
    incoming: Incoming,
    unprocessed: Option<Unprocessed>,
}

enum Reply {
    /// The request was not sent yet.
    Unasked,
    Waiting(ResponseFuture),
    /// Its head has come.
    Body,
    /// There will be none.
    Lost,
}

/// Why a backend surely did nothing with a request (`http-proxy 5.5`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Unprocessed {
    /// It said so of this request alone.
    Refused,
    /// It was leaving, or had left.
    Left,
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream").finish_non_exhaustive()
    }
}

impl Stream {
    /// A stream that is not open yet; its place on the connection was taken already.
    pub(super) fn new(connection: Rc<Connection>) -> Self {
        Self {
            connection,
            out: Outgoing::default(),
            inbox: Vec::new(),
            to_head: false,
            reply: Reply::Unasked,
            incoming: Incoming::awaited(),
            unprocessed: None,
        }
    }

    /// Whether the backend surely did nothing with the request.
    pub(crate) fn unprocessed(&self) -> Option<Unprocessed> {
        self.unprocessed
    }

    /// Has its connection take no other request.
    pub(crate) fn retire(&self) {
        self.connection.retire();
    }

    /// What follows the response's body, once that has ended.
    pub(crate) fn take_trailers(&mut self) -> Option<Box<HeaderMap>> {
        self.incoming.take_trailers()
    }

    /// What follows the request's body, before its end is written.
    pub(crate) fn give_trailers(&mut self, trailers: Box<HeaderMap>) {
        self.out.trail(trailers);
    }

    /// Takes some of the head, and sends it once it is whole.
    fn take_head(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut inbox = std::mem::take(&mut self.inbox);
        let (taken, whole) = response::collect(&mut inbox, bytes);
        match whole {
            Some(head) => self.ask(head)?,
            None => self.inbox = inbox,
        }
        Ok(taken)
    }

    /// Sends a head.
    fn ask(&mut self, head: &[u8]) -> io::Result<()> {
        let secure = self.connection.is_secure();
        let head = head::read(head, &mut self.connection.lines(), secure).map_err(odd)?;
        self.to_head = head.request.method() == Method::HEAD;
        match self.connection.send(head.request, is_empty(head.length)) {
            Ok((response, send)) => {
                self.reply = Reply::Waiting(response);
                self.out.begin(send, head.length)
            }
            Err(error) => {
                debug!(%error, "a connection of HTTP/2 took no request");
                self.unprocessed = Some(Unprocessed::Left);
                Err(broken())
            }
        }
    }

    /// Waits for the next piece of the response.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = match &mut self.reply {
            // Whoever reads has written the head before, or could not.
            Reply::Unasked => return Poll::Pending,
            Reply::Lost => return Poll::Ready(Err(broken())),
            Reply::Waiting(_) => ready!(self.poll_head(cx)),
            Reply::Body => ready!(self.incoming.poll_next(cx)),
        };
        self.connection.heard();
        Poll::Ready(polled.map_err(|error| self.lost(error)))
    }

    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), h2::Error>> {
        let Reply::Waiting(waiting) = &mut self.reply else { return Poll::Pending };
        if let Poll::Ready(Some(interim)) = waiting.poll_informational(cx) {
            let interim = interim?;
            let head = head::interim(interim.status(), interim.headers());
            self.incoming.put(head);
            return Poll::Ready(Ok(()));
        }
        let (parts, body) = ready!(Pin::new(waiting).poll(cx))?.into_parts();
        let fields = (parts.status, &parts.headers);
        let (head, framing) = head::write(fields, body.is_end_stream(), self.to_head);
        self.incoming.begin(head, framing, body);
        self.reply = Reply::Body;
        Poll::Ready(Ok(()))
    }

    /// There is no more of the response.
    fn lost(&mut self, error: h2::Error) -> io::Error {
        debug!(%error, "a stream to a backend ended");
        if error.is_remote() && error.is_go_away() {
            self.unprocessed = Some(Unprocessed::Left);
        } else if error.is_remote() && error.reason() == Some(Reason::REFUSED_STREAM) {
            self.unprocessed = Some(Unprocessed::Refused);
        }
        self.reply = Reply::Lost;
        io::Error::new(io::ErrorKind::ConnectionReset, error)
    }

    /// What of the trailers the client may see; none where there are too many.
    pub(crate) fn checked(trailers: Box<HeaderMap>) -> io::Result<Box<HeaderMap>> {
        trailers::of_response(trailers).ok_or_else(|| odd(Fault))
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            self.incoming.give(buffer);
            if !buffer.filled().is_empty() || self.incoming.has_ended() {
                return Poll::Ready(Ok(()));
            }
            ready!(self.poll_next(cx))?;
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        match self.out.awaits_head() {
            true => {
                let taken = self.take_head(bytes);
                if taken.is_err() {
                    self.reply = Reply::Lost;
                }
                Poll::Ready(taken)
            }
            false => self.out.poll_write(cx, bytes),
        }
    }

    /// What was taken is with the connection, which sends as the backend's windows allow.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if !(self.out.is_done() && self.incoming.has_ended()) {
            self.out.reset(Reason::CANCEL);
        }
        self.connection.leave();
    }
}
