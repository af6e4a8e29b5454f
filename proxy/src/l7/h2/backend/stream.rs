//! One stream to a backend, as a connection of HTTP/1.1 that carries one request.
//!
//! ```text
//! write:  head ─request─▶ Outgoing ─▶ done
//! read:   Unasked ─▶ Waiting ─1xx─▶ Waiting ─response─▶ Body ─▶ end      Lost: what never will be
//! ```
//!
//! Invariants: the head is written before anything is read; no more is kept of a response than one
//! DATA frame; what is dropped before both sides have ended is reset.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use h2::client::ResponseFuture;
use h2::{Reason, RecvStream};
use http::{HeaderMap, Method};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tracing::debug;

use super::connection::Connection;
use super::head::{self, Framing};
use crate::l7::fields::Line;
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
    /// What the reader gets next, one behind the other.
    given: [Bytes; 3],
    framing: Framing,
    /// What of a sized body has not come.
    left: u64,
    /// The end of a sized body, until it is known what follows.
    last: Bytes,
    /// Whether the response has been given to its end.
    ended: bool,
    trailers: Option<HeaderMap>,
    unprocessed: Option<Unprocessed>,
}

enum Reply {
    /// The request was not sent yet.
    Unasked,
    Waiting(ResponseFuture),
    Body(RecvStream),
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
            given: Default::default(),
            framing: Framing::None,
            left: 0,
            last: Bytes::new(),
            ended: false,
            trailers: None,
            unprocessed: None,
        }
    }

    /// Whether the backend surely did nothing with the request.
    pub(crate) fn unprocessed(&self) -> Option<Unprocessed> {
        self.unprocessed
    }

    /// What follows the response's body, once that has ended.
    pub(crate) fn take_trailers(&mut self) -> Option<HeaderMap> {
        self.trailers.take()
    }

    /// What follows the request's body, before its end is written.
    pub(crate) fn give_trailers(&mut self, trailers: HeaderMap) {
        self.out.trail(trailers);
    }

    /// Takes some of the head, and sends it once it is whole.
    fn take_head(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let (taken, whole) = response::collect(&mut self.inbox, bytes);
        if !whole {
            return Ok(taken);
        }
        let mut lines: Vec<Line> = Vec::new();
        let secure = self.connection.is_secure();
        let head = head::read(&self.inbox, &mut lines, secure).map_err(odd)?;
        self.inbox = Vec::new();
        self.to_head = head.request.method() == Method::HEAD;
        match self.connection.send(head.request, is_empty(head.length)) {
            Ok((response, send)) => {
                self.reply = Reply::Waiting(response);
                self.out.begin(send, head.length)?;
                Ok(taken)
            }
            Err(error) => {
                debug!(%error, "a connection of HTTP/2 took no request");
                self.unprocessed = Some(Unprocessed::Left);
                self.reply = Reply::Lost;
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
            Reply::Body(_) => ready!(self.poll_body(cx)),
        };
        self.connection.heard();
        Poll::Ready(polled.map_err(|error| self.lost(error)))
    }

    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), h2::Error>> {
        let Reply::Waiting(waiting) = &mut self.reply else { return Poll::Pending };
        if let Poll::Ready(Some(interim)) = waiting.poll_informational(cx) {
            let interim = interim?;
            self.given[0] = head::interim(interim.status(), interim.headers()).into();
            return Poll::Ready(Ok(()));
        }
        let (parts, body) = ready!(Pin::new(waiting).poll(cx))?.into_parts();
        let fields = (parts.status, &parts.headers);
        let (out, framing) = head::write(fields, body.is_end_stream(), self.to_head);
        self.given[0] = out.into();
        self.framing = framing;
        match framing {
            Framing::None => self.ended = true,
            Framing::Sized(bytes) => self.left = bytes,
            Framing::Chunked => {}
        }
        self.reply = Reply::Body(body);
        Poll::Ready(Ok(()))
    }

    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), h2::Error>> {
        let Reply::Body(body) = &mut self.reply else { return Poll::Pending };
        let Some(data) = ready!(body.poll_data(cx)) else {
            self.trailers = ready!(body.poll_trailers(cx))?;
            self.ended = true;
            match self.framing {
                Framing::Chunked => self.given[0] = Bytes::from_static(b"0\r\n\r\n"),
                _ => self.given[0] = std::mem::take(&mut self.last),
            }
            return Poll::Ready(Ok(()));
        };
        let data = data?;
        // One frame is held here, beside what the window lets come.
        let _ = body.flow_control().release_capacity(data.len());
        match self.framing {
            Framing::Chunked if !data.is_empty() => {
                self.given[0] = format!("{:x}\r\n", data.len()).into();
                self.given[2] = Bytes::from_static(b"\r\n");
                self.given[1] = data;
            }
            Framing::Sized(_) => {
                self.left = self.left.saturating_sub(data.len() as u64);
                // The reader stops at the last byte: what follows it must be known by then.
                match self.left {
                    0 => self.last = data,
                    _ => self.given[1] = data,
                }
            }
            Framing::Chunked | Framing::None => {}
        }
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
    pub(crate) fn checked(trailers: HeaderMap) -> io::Result<HeaderMap> {
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
            for given in &mut self.given {
                let count = given.len().min(buffer.remaining());
                buffer.put_slice(&given[..count]);
                given.advance(count);
            }
            if !buffer.filled().is_empty() || self.ended {
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
        if !(self.out.is_done() && self.ended) {
            self.out.reset(Reason::CANCEL);
        }
        self.connection.leave();
    }
}
