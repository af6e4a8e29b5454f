//! One stream of a client's HTTP/2 connection, as a connection of HTTP/1.1 that serves one request.
//!
//! ```text
//! read:   head ─▶ body ─▶ (nothing until the response has gone) ─▶ end
//! write:  Head ─1xx─▶ Head ─response─▶ Sized │ Chunked ─▶ Done       dropped before Done ─▶ RST_STREAM
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
use h2::{Reason, RecvStream, SendStream};
use http::{Method, Request, Response};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::connection::Streams;
use super::request::{self, Framing};
use super::response::{self, Chunks, Fault, Step};
use crate::l7::fields::Line;
use crate::l7::h1::framing::Length;
use crate::l7::io::Downstream;

/// A request and the response to it.
pub(super) struct Stream {
    /// What the reader gets next, one behind the other: the head, or a frame's data and what makes it
    /// a chunk.
    given: [Bytes; 3],
    framing: Framing,
    /// Whether the body has been given to its end.
    ended: bool,
    body: RecvStream,
    respond: SendResponse<Bytes>,
    send: Option<SendStream<Bytes>>,
    state: State,
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

enum State {
    Head,
    /// So many bytes are to come.
    Sized(u64),
    Chunked(Chunks),
    Done,
}

impl Stream {
    /// A request that was just accepted.
    pub(super) fn new(
        request: Request<RecvStream>,
        respond: SendResponse<Bytes>,
        streams: Rc<Streams>,
    ) -> Self {
        let (parts, body) = request.into_parts();
        let (head, framing) = request::head(&parts, body.is_end_stream());
        Self {
            given: [head.into(), Bytes::new(), Bytes::new()],
            framing,
            ended: framing == Framing::None,
            body,
            respond,
            send: None,
            state: State::Head,
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
                self.ended = true;
                if self.framing == Framing::Chunked {
                    self.given[0] = Bytes::from_static(b"0\r\n\r\n");
                }
                Poll::Ready(Ok(()))
            }
        }
    }

    /// Room in the client's window and the send buffer for some of `wanted` bytes, at least for one.
    fn poll_room(&mut self, cx: &mut Context<'_>, wanted: usize) -> Poll<io::Result<usize>> {
        let send = self.send.as_mut().ok_or_else(broken)?;
        send.reserve_capacity(wanted);
        loop {
            match send.capacity() {
                0 => {}
                room => return Poll::Ready(Ok(room.min(wanted))),
            }
            match ready!(send.poll_capacity(cx)) {
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Poll::Ready(Err(broken())),
            }
        }
    }

    /// Sends one piece of the body.
    fn send(&mut self, data: &[u8], last: bool) -> io::Result<()> {
        let send = self.send.as_mut().ok_or_else(broken)?;
        send.send_data(Bytes::copy_from_slice(data), last)
            .map_err(|_| broken())?;
        if last {
            self.state = State::Done;
        }
        Ok(())
    }

    /// Takes some of the head, and sends it once it is whole.
    fn take_head(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let (taken, whole) = response::collect(&mut self.inbox, bytes);
        if !whole {
            return Ok(taken);
        }
        let head = response::read(&self.inbox, &mut self.lines, self.to_head).map_err(odd)?;
        self.inbox.clear();
        let mut response = Response::new(());
        *response.status_mut() = head.status;
        *response.headers_mut() = head.fields;
        if head.status.is_informational() {
            self.respond
                .send_informational(response)
                .map_err(|_| broken())?;
            return Ok(taken);
        }
        let empty = matches!(head.length, Length::Absent | Length::Exact(0));
        let send = self
            .respond
            .send_response(response, empty)
            .map_err(|_| broken())?;
        self.send = Some(send);
        self.state = match head.length {
            _ if empty => State::Done,
            Length::Chunked => State::Chunked(Chunks::default()),
            Length::Exact(bytes) => State::Sized(bytes),
            // The state machine frames all that it sends to HTTP/1.1.
            Length::Absent | Length::UntilClose => return Err(broken()),
        };
        Ok(taken)
    }

    /// Takes some of a chunked body.
    fn poll_chunks(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let State::Chunked(chunks) = &mut self.state else { return Poll::Ready(Err(broken())) };
        match chunks.step(bytes).map_err(odd)? {
            Step::Frame(taken) => Poll::Ready(Ok(taken)),
            Step::Data(wanted) => {
                let room = ready!(self.poll_room(cx, wanted))?;
                self.send(&bytes[..room], false)?;
                if let State::Chunked(chunks) = &mut self.state {
                    chunks.sent(room);
                }
                Poll::Ready(Ok(room))
            }
            Step::End(taken, trailers) if trailers.is_empty() => {
                self.send(&[], true)?;
                Poll::Ready(Ok(taken))
            }
            Step::End(taken, trailers) => {
                let send = self.send.as_mut().ok_or_else(broken)?;
                send.send_trailers(trailers).map_err(|_| broken())?;
                self.state = State::Done;
                Poll::Ready(Ok(taken))
            }
        }
    }
}

impl Downstream for Stream {
    /// Dropping it says that already.
    fn reset(&self) {}

    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let polled = match &mut self.send {
            _ if matches!(self.state, State::Done) => return Poll::Pending,
            Some(send) => send.poll_reset(cx),
            None => self.respond.poll_reset(cx),
        };
        ready!(polled).ok();
        self.reset = true;
        Poll::Ready(())
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
            if matches!(self.state, State::Done) && (self.ended || !self.lingers) {
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
        match self.state {
            State::Head => Poll::Ready(self.take_head(bytes)),
            State::Sized(left) => {
                let wanted =
                    usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
                let room = ready!(self.poll_room(cx, wanted))?;
                let left = left - room as u64;
                self.state = State::Sized(left);
                self.send(&bytes[..room], left == 0)?;
                Poll::Ready(Ok(room))
            }
            State::Chunked(_) => self.poll_chunks(cx, bytes),
            State::Done => Poll::Ready(Err(broken())),
        }
    }

    /// What was taken is with the connection, which sends as the client's windows allow.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.lingers = true;
        Poll::Ready(Ok(()))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if matches!(self.state, State::Done) {
            return;
        }
        if self.reset && self.send.is_none() {
            self.streams.glitch();
        }
        match &mut self.send {
            Some(send) => send.send_reset(Reason::INTERNAL_ERROR),
            None => self.respond.send_reset(Reason::INTERNAL_ERROR),
        }
    }
}

/// The stream or its connection is no more.
fn broken() -> io::Error {
    io::ErrorKind::BrokenPipe.into()
}

/// What was written is no response.
fn odd(_: Fault) -> io::Error {
    io::ErrorKind::InvalidData.into()
}
