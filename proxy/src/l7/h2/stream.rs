//! One stream of a client's HTTP/2 connection, as a connection of HTTP/1.1 that serves one request.
//!
//! ```text
//! read:   head ─▶ body ─▶ (nothing until the response has gone) ─▶ end
//! write:  head ─1xx─▶ head ─response─▶ Outgoing ─▶ done       dropped before that ─▶ RST_STREAM
//! both:   head, 101 ─▶ bytes as they are, each half ended by itself    (a WebSocket)
//! ```
//!
//! Invariants: no more is kept of a body than one DATA frame; no more is taken of a response than the
//! client's window and the send buffer have room for; a response that is not whole is never ended, but
//! reset.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::header::SEC_WEBSOCKET_ACCEPT;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::connection::Streams;
use super::outgoing::{Outgoing, is_empty};
use super::request::{self, Framing};
use super::socket::Key;
use super::{Fault, broken, odd, response, trailers};
use crate::l7::fields::Line;
use crate::l7::io::Downstream;

/// A request and the response to it.
pub(super) struct Stream {
    /// What the reader gets next, one behind the other: the head, or a frame's data and what makes it
    /// a chunk.
    given: [Bytes; 3],
    framing: Framing,
    /// That of the WebSocket that it asks for.
    key: Option<Key>,
    /// Whether that was agreed on.
    tunnel: bool,
    /// Whether the body has been given to its end.
    ended: bool,
    body: RecvStream,
    respond: SendResponse<Bytes>,
    out: Outgoing,
    /// Behind the body's end.
    trailers: Option<HeaderMap>,
    to_head: bool,
    /// The response's head as far as it has been written.
    inbox: Vec<u8>,
    lines: Vec<Line>,
    /// Whether the client gave the stream up.
    reset: bool,
    /// Whether what still comes is read to be discarded (`http-proxy 8.8`).
    lingers: bool,
    streams: Rc<Streams>,
}

impl Stream {
    /// A request that was just accepted; `random` is asked for what cannot be guessed.
    pub(super) fn new(
        request: Request<RecvStream>,
        respond: SendResponse<Bytes>,
        streams: Rc<Streams>,
        random: impl Fn() -> u64,
    ) -> Self {
        let (parts, body) = request.into_parts();
        let key = Key::of(&parts, random);
        let (head, framing) = request::head(&parts, body.is_end_stream(), key.as_ref());
        Self {
            given: [head.into(), Bytes::new(), Bytes::new()],
            framing,
            key,
            tunnel: false,
            ended: framing == Framing::None,
            body,
            respond,
            out: Outgoing::default(),
            trailers: None,
            to_head: parts.method == Method::HEAD,
            inbox: Vec::new(),
            lines: Vec::new(),
            reset: false,
            lingers: false,
            streams,
        }
    }

    /// Waits for the next DATA frame, or for the body's end.
    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match ready!(self.body.poll_data(cx)) {
            Some(Ok(data)) => {
                // One frame is held here, beside what the window lets come.
                let _ = self.body.flow_control().release_capacity(data.len());
                if self.framing == Framing::Chunked && !data.is_empty() {
                    self.given[0] = format!("{:x}\r\n", data.len()).into();
                    self.given[2] = Bytes::from_static(b"\r\n");
                }
                self.given[1] = data;
                Poll::Ready(Ok(()))
            }
            Some(Err(error)) => {
                self.reset = true;
                Poll::Ready(Err(io::Error::new(io::ErrorKind::ConnectionReset, error)))
            }
            None => {
                let trailers = ready!(self.body.poll_trailers(cx)).map_err(io::Error::other)?;
                if let Some(trailers) = trailers.filter(|_| self.key.is_none()) {
                    let passed = trailers::of_request(trailers).ok_or_else(|| odd(Fault))?;
                    self.trailers = Some(passed);
                }
                self.ended = true;
                if self.framing == Framing::Chunked {
                    self.given[0] = Bytes::from_static(b"0\r\n\r\n");
                }
                Poll::Ready(Ok(()))
            }
        }
    }

    /// Takes some of the head, and sends it once it is whole.
    fn take_head(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let (taken, whole) = response::collect(&mut self.inbox, bytes);
        if !whole {
            return Ok(taken);
        }
        let head = response::read(&self.inbox, &mut self.lines, self.to_head).map_err(odd)?;
        self.inbox.clear();
        match (&self.key, head.status) {
            (Some(_), StatusCode::SWITCHING_PROTOCOLS) => {
                self.open(head.fields)?;
                return Ok(taken);
            }
            // Any success would open the tunnel, and there is none.
            (Some(_), status) if status.is_success() => return Err(broken()),
            _ => {}
        }
        let mut response = Response::new(());
        *response.status_mut() = head.status;
        *response.headers_mut() = head.fields;
        if head.status.is_informational() {
            self.respond
                .send_informational(response)
                .map_err(|_| broken())?;
            return Ok(taken);
        }
        let send = self
            .respond
            .send_response(response, is_empty(head.length))
            .map_err(|_| broken())?;
        self.out.begin(send, head.length)?;
        Ok(taken)
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

    fn take_trailers(&mut self) -> Option<HeaderMap> {
        self.trailers.take()
    }

    fn give_trailers(&mut self, trailers: HeaderMap) {
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
            for given in &mut self.given {
                let count = given.len().min(buffer.remaining());
                buffer.put_slice(&given[..count]);
                given.advance(count);
            }
            if !buffer.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            let is_over = match self.tunnel {
                true => self.ended,
                false => self.out.is_done() && (self.ended || !self.lingers),
            };
            if is_over {
                return Poll::Ready(Ok(()));
            }
            if self.ended {
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
                    self.streams.glitch();
                }
                self.respond.send_reset(why);
            }
        }
    }
}
