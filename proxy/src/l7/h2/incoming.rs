//! A message on its way in: its head, then DATA and trailers, given to the state machine with HTTP/1.1's
//! framing. The same for requests of clients and for responses of backends.
//!
//! ```text
//! head ─▶ data, or a chunk for each DATA frame ─▶ last chunk ─▶ ended        Tunnel: bytes as they are
//! ```
//!
//! Invariants: no more is kept of a body than one DATA frame; a body that did not end is never ended.

use std::io::Write;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use h2::RecvStream;
use http::HeaderMap;
use tokio::io::ReadBuf;

/// What comes on a stream.
pub(super) struct Incoming {
    /// Behind the head; none: that has not come.
    body: Option<RecvStream>,
    framing: Framing,
    /// What the reader gets next: the head, or what a chunk begins with; from `given` on.
    lead: Vec<u8>,
    given: usize,
    /// Then the data of a frame, and what ends it.
    data: Bytes,
    tail: &'static [u8],
    /// Whether the data waits until it is known what follows.
    holds: bool,
    ended: bool,
    trailers: Option<Box<HeaderMap>>,
}

/// How a body is framed for the state machine.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Framing {
    /// There is none.
    None,
    /// `Content-Length` says how long it is; the bytes come as they are.
    Sized,
    /// It says that so many are to come. The last of them are held back until it is known what follows:
    /// the reader stops there.
    Held(u64),
    /// Each DATA frame becomes a chunk.
    Chunked,
    /// There is none, but what a WebSocket sends once it is agreed on.
    Tunnel,
}

impl Incoming {
    /// One of which nothing has come.
    pub(super) fn awaited() -> Self {
        Self {
            body: None,
            framing: Framing::None,
            lead: Vec::new(),
            given: 0,
            data: Bytes::new(),
            tail: b"",
            holds: false,
            ended: false,
            trailers: None,
        }
    }

    /// The head has come, and is this one as HTTP/1.1.
    pub(super) fn begin(&mut self, head: Vec<u8>, framing: Framing, body: RecvStream) {
        self.put(head);
        self.framing = framing;
        self.ended = framing == Framing::None;
        self.body = Some(body);
    }

    /// Puts a head before what comes.
    pub(super) fn put(&mut self, head: Vec<u8>) {
        (self.lead, self.given) = (head, 0);
    }

    /// Whether its end has come.
    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// What follows the body, once that has ended.
    pub(super) fn take_trailers(&mut self) -> Option<Box<HeaderMap>> {
        self.trailers.take()
    }

    /// Gives what has come, as far as there is room.
    pub(super) fn give(&mut self, buffer: &mut ReadBuf<'_>) {
        self.given += some(&self.lead[self.given..], buffer);
        if self.holds {
            return;
        }
        self.data.advance(some(&self.data, buffer));
        self.tail = &self.tail[some(self.tail, buffer)..];
    }

    /// Waits for the next DATA frame, or for the body's end; only where all that came was given.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), h2::Error>> {
        let Some(body) = &mut self.body else { return Poll::Pending };
        let Some(data) = ready!(body.poll_data(cx)) else {
            self.trailers = ready!(body.poll_trailers(cx))?.map(Box::new);
            self.end();
            return Poll::Ready(Ok(()));
        };
        let data = data?;
        // One frame is held here, beside what the window lets come.
        let _ = body.flow_control().release_capacity(data.len());
        // Nothing follows a frame that ends the stream.
        let is_last = body.is_end_stream();
        match &mut self.framing {
            _ if data.is_empty() => {}
            Framing::Chunked => {
                self.lead.clear();
                self.given = 0;
                // A Vec takes what is written.
                let _ = write!(self.lead, "{:x}\r\n", data.len());
                (self.data, self.tail) = (data, b"\r\n");
            }
            Framing::Held(left) => {
                *left = left.saturating_sub(data.len() as u64);
                (self.data, self.holds) = (data, *left == 0);
            }
            Framing::Sized | Framing::Tunnel => self.data = data,
            Framing::None => {}
        }
        if is_last {
            self.end();
        }
        Poll::Ready(Ok(()))
    }

    /// Nothing more comes.
    fn end(&mut self) {
        (self.ended, self.holds) = (true, false);
        if self.framing == Framing::Chunked {
            self.tail = if self.tail.is_empty() { b"0\r\n\r\n" } else { b"\r\n0\r\n\r\n" };
        }
    }
}

/// Gives of `bytes` what there is room for.
fn some(bytes: &[u8], buffer: &mut ReadBuf<'_>) -> usize {
    let count = bytes.len().min(buffer.remaining());
    buffer.put_slice(&bytes[..count]);
    count
}
