//! One stream of a client's HTTP/2 connection, as a connection of HTTP/1.1 that serves one request.
//!
//! ```text
//! read:   head ─▶ body ─▶ (nothing until the response has gone) ─▶ end
//! write:  head ─1xx─▶ head ─response─▶ Outgoing ─▶ done       dropped before that ─▶ RST_STREAM
//! both:   head, 101 ─▶ bytes as they are, each half ended by itself    (a WebSocket)
//! ```
//!
//! Invariants: no more is taken of a response than the client's window and the send buffer have room
//! for; a response that is not whole is never ended, but reset.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::header::SEC_WEBSOCKET_ACCEPT;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::connection::Live;
use super::incoming::Incoming;
use super::outgoing::{Outgoing, is_empty};
use super::socket::Key;
use super::{Fault, broken, odd, request, response, trailers};
use crate::l7::io::Downstream;

/// A request and the response to it.
pub(super) struct Stream {
    incoming: Incoming,
    /// That of the WebSocket that it asks for.
    key: Option<Box<Key>>,
    /// Whether that was agreed on.
    tunnel: bool,
    respond: SendResponse<Bytes>,
    out: Outgoing,
    /// Behind the body's end.
    trailers: Option<Box<HeaderMap>>,
    to_head: bool,
    /// The response's head as far as it has been written.
    inbox: Vec<u8>,
    /// Whether the client gave the stream up.
    reset: bool,
    /// Whether what still comes is read to be discarded (`http-proxy 8.8`).
    lingers: bool,
    live: Live,
}

impl Stream {
    /// A request that was just accepted; `random` is asked for what cannot be guessed.
    pub(super) fn new(
        request: Request<RecvStream>,
        respond: SendResponse<Bytes>,
        live: Live,
        random: impl Fn() -> u64,
    ) -> Self {
        let (parts, body) = request.into_parts();
        let key = Key::of(&parts, random);
        let (head, framing) = request::head(&parts, body.is_end_stream(), key.as_ref());
        let mut incoming = Incoming::awaited();
        incoming.begin(head, framing, body);
        Self {
            incoming,
            key: key.map(Box::new),
            tunnel: false,
            respond,
            out: Outgoing::default(),
            trailers: None,
            to_head: parts.method == Method::HEAD,
            inbox: Vec::new(),
            reset: false,
            lingers: false,
            live,
        }
    }

    /// Waits for the next DATA frame, or for the body's end.
    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Err(error) = ready!(self.incoming.poll_next(cx)) {
            self.reset = true;
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::ConnectionReset, error)));
        }
        if let Some(trailers) = self.incoming.take_trailers()
            && self.key.is_none()
        {
            let passed = trailers::of_request(trailers).ok_or_else(|| odd(Fault))?;
            self.trailers = Some(passed);
        }
        Poll::Ready(Ok(()))
    }

    /// Takes some of the head, and sends it once it is whole.
    fn take_head(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut inbox = std::mem::take(&mut self.inbox);
        let (taken, whole) = response::collect(&mut inbox, bytes);
        match whole {
            Some(head) => self.answer(head)?,
            None => self.inbox = inbox,
        }
        Ok(taken)
    }

    /// Sends a head.
    fn answer(&mut self, head: &[u8]) -> io::Result<()> {
        let head = response::read(head, &mut self.live.lines(), self.to_head).map_err(odd)?;
        match (&self.key, head.status) {
            (Some(_), StatusCode::SWITCHING_PROTOCOLS) => return self.open(head.fields),
            // Any success would open the tunnel, and there is none.
            (Some(_), status) if status.is_success() => return Err(broken()),
            _ => {}
        }
        let mut response = Response::new(());
        *response.status_mut() = head.status;
        *response.headers_mut() = head.fields;
        if head.status.is_informational() {
            let sent = self.respond.send_informational(response);
            return sent.map_err(|_| broken());
        }
        let sent = self.respond.send_response(response, is_empty(head.length));
        self.out.begin(sent.map_err(|_| broken())?, head.length)
    }

    /// Tells the client that its WebSocket was agreed on, which a 200 does here.
    fn open(&mut self, mut fields: HeaderMap) -> io::Result<()> {
        fields.remove(SEC_WEBSOCKET_ACCEPT);
        let mut response = Response::new(());
        *response.headers_mut() = fields;
        let sent = self.respond.send_response(response, false);
        self.out.open(sent.map_err(|_| broken())?);
        self.tunnel = true;
        Ok(())
    }
}

impl Downstream for Stream {
    fn is_http2(&self) -> bool {
        true
    }

    /// Dropping it says that already.
    fn reset(&self) {}

    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.out.is_done() {
            return Poll::Pending;
        }
        let polled = match self.out.stream() {
            Some(send) => send.poll_reset(cx),
            None => self.respond.poll_reset(cx),
        };
        ready!(polled).ok();
        self.reset = true;
        Poll::Ready(())
    }

    fn agrees(&self, status: StatusCode, accept: Option<&[u8]>) -> bool {
        match &self.key {
            None => true,
            Some(key) if status == StatusCode::SWITCHING_PROTOCOLS => {
                accept.is_some_and(|accept| key.is_accepted_by(accept))
            }
            Some(_) => !status.is_success(),
        }
    }

    fn take_trailers(&mut self) -> Option<Box<HeaderMap>> {
        self.trailers.take()
    }

    fn give_trailers(&mut self, trailers: Box<HeaderMap>) {
        self.out.trail(trailers);
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
            if !buffer.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            let is_over = match self.tunnel {
                true => self.incoming.has_ended(),
                false => self.out.is_done() && (self.incoming.has_ended() || !self.lingers),
            };
            if is_over {
                return Poll::Ready(Ok(()));
            }
            if self.incoming.has_ended() {
                // Who has said everything on a stream is still there (`http-proxy 1.30`).
                ready!(self.poll_gone(cx));
                return Poll::Ready(Err(broken()));
            }
            ready!(self.poll_body(cx))?;
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
            true => Poll::Ready(self.take_head(bytes)),
            false => self.out.poll_write(cx, bytes),
        }
    }

    /// What was taken is with the connection, which sends as the client's windows allow.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.out.close()?;
        self.lingers = true;
        Poll::Ready(Ok(()))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if self.out.is_done() {
            return;
        }
        let why = if self.tunnel { Reason::CANCEL } else { Reason::INTERNAL_ERROR };
        match self.out.stream() {
            Some(send) => send.send_reset(why),
            None => {
                if self.reset {
                    self.live.glitch();
                }
                self.respond.send_reset(why);
            }
        }
    }
}
