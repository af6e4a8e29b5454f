//! A request on its way to a backend: its head and what there is of its body at first, then the body
//! as it comes.
//!
//! Invariants: no more is read from the client than the backend took; what is sent could be sent
//! again as long as it is kept whole; a body is never ended that did not end.

use std::ops::Range;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use http::{HeaderMap, StatusCode};

use super::body::Body;
use super::chunked::{ROOM_BEFORE, encode};
use super::framing::Length;
use super::server::Connection;
use crate::l7::Worker;
use crate::l7::calls;
use crate::l7::io::{Downstream, READ_BYTES, Scratch, poll_read, poll_send};
use crate::l7::mirror::Copied;
use crate::l7::pool::Stream;

/// A request that is being sent.
pub(super) struct Upload {
    /// What is to be sent now.
    out: Vec<u8>,
    sent: usize,
    body: Body,
    chunked: bool,
    /// What the body may have.
    most: u64,
    /// What it may still have.
    left: u64,
    /// Up to which length `out` is everything that was sent, to be sent again.
    keep: usize,
    /// Whether `out` is everything from the head on.
    whole: bool,
    /// Whether the body waits until the backend wants it (`http-proxy 1.24`).
    pub(super) held: bool,
    /// Whether the backend takes no more.
    broken: bool,
    /// Whether the next step is the client's.
    pub(super) awaits_client: bool,
    /// What takes a copy of it.
    copy: Option<Box<Copied>>,
    /// What follows the body, where both sides have room for that.
    trailers: Option<Box<HeaderMap>>,
}

/// Why the client's part cannot go on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Fault {
    /// It left.
    Gone,
    /// What it sends is no body, or too long.
    Refused(StatusCode),
}

impl Upload {
    /// A request whose head, as it goes to a backend, is `head`, and whose body may have `most` bytes.
    pub(super) fn new(head: Vec<u8>, length: Length, held: bool, most: u64) -> Self {
        Self {
            out: head,
            sent: 0,
            body: Body::new(length),
            chunked: length == Length::Chunked,
            most,
            left: most,
            keep: 0,
            whole: true,
            held,
            broken: false,
            awaits_client: false,
            copy: None,
            trailers: None,
        }
    }

    /// Has a copy made of it.
    pub(super) fn copied(self, copy: Option<Box<Copied>>) -> Self {
        Self { copy, ..self }
    }

    /// Sends the copy once all of the request has come.
    pub(super) fn mirror(&mut self, worker: &Rc<Worker>) {
        if self.body.is_done()
            && let Some(copy) = self.copy.take()
        {
            copy.send(worker);
        }
    }

    /// Keeps so many bytes of the body to send them again.
    pub(super) fn keep(&mut self, bytes: usize) {
        self.keep = self.out.len() + bytes;
    }

    /// Takes what has come of the body already, so that it goes with the head.
    pub(super) fn begin(&mut self, inbox: &mut Vec<u8>, scratch: &Scratch) -> Result<(), Fault> {
        while !self.held && !self.body.is_done() && !inbox.is_empty() {
            let mut bytes = scratch.bytes.borrow_mut();
            let count = unread(inbox, &mut bytes);
            let framed = self.frame(&mut bytes, count, inbox)?;
            self.out.extend_from_slice(&bytes[framed]);
        }
        Ok(())
    }

    /// Bytes of the body that came.
    pub(super) fn body_bytes(&self) -> u64 {
        self.most - self.left
    }

    /// Whether the backend has been sent everything.
    pub(super) fn is_done(&self) -> bool {
        self.body.is_done() && self.sent == self.out.len() && !self.broken
    }

    /// Whether the backend does not take what there is for it.
    pub(super) fn is_blocked(&self) -> bool {
        self.sent < self.out.len() && !self.broken
    }

    /// Whether the client has sent everything.
    pub(super) fn is_read(&self) -> bool {
        self.body.is_done()
    }

    /// Whether nothing at all was sent.
    pub(super) fn is_unsent(&self) -> bool {
        self.whole && self.sent == 0
    }

    /// Whether all of it is here to be sent again.
    pub(super) fn is_whole(&self) -> bool {
        self.whole && (self.body.is_done() || self.held)
    }

    /// Whether everything that was sent is here to be sent again; more may be to come.
    pub(super) fn is_kept(&self) -> bool {
        self.whole
    }

    /// Begins anew with another backend; only what is whole or unsent.
    pub(super) fn rewind(&mut self) {
        (self.sent, self.broken) = (0, false);
    }

    /// Has the backend hear how long the client of a call still waits (`http-proxy 6.9`); only where
    /// nothing was sent yet.
    pub(super) fn remain(&mut self, deadline: Option<Instant>) {
        let Some(deadline) = deadline else { return };
        let before = self.out.len();
        calls::remain(&mut self.out, deadline.saturating_duration_since(Instant::now()));
        self.keep = (self.keep + self.out.len()).saturating_sub(before);
    }

    /// The buffer, for another use, once all is over.
    pub(super) fn take_buffer(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    /// Sends what can be sent now; ready once there is nothing left to do, or where the backend
    /// takes no more.
    pub(super) fn poll<S: Downstream>(
        &mut self,
        cx: &mut Context<'_>,
        connection: &mut Connection<S>,
        backend: &mut Stream,
    ) -> Poll<Result<(), Fault>> {
        self.awaits_client = false;
        loop {
            if self.broken {
                return Poll::Ready(Ok(()));
            }
            self.trail(&mut connection.stream, backend);
            if self.sent < self.out.len() {
                let before = self.sent;
                let sent = poll_send(backend, cx, &self.out, &mut self.sent);
                if self.sent > before {
                    connection.watch.written();
                }
                if ready!(sent).is_err() {
                    self.broken = true;
                    continue;
                }
            }
            if self.body.is_done() || self.held {
                return Poll::Ready(Ok(()));
            }
            self.whole &= self.out.len() < self.keep;
            if !self.whole {
                self.out.clear();
                self.sent = 0;
            }
            ready!(self.pass(cx, connection, backend))?;
        }
    }

    /// One read from the client and, at once, its write.
    fn pass<S: Downstream>(
        &mut self,
        cx: &mut Context<'_>,
        connection: &mut Connection<S>,
        backend: &mut Stream,
    ) -> Poll<Result<(), Fault>> {
        let worker = &connection.worker;
        let mut bytes = worker.scratch.bytes.borrow_mut();
        let count = if connection.inbox.is_empty() {
            let room = &mut bytes[ROOM_BEFORE..ROOM_BEFORE + READ_BYTES];
            match poll_read(&mut connection.stream, cx, room) {
                Poll::Pending => {
                    self.awaits_client = true;
                    return Poll::Pending;
                }
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Err(Fault::Gone)),
                Poll::Ready(Ok(count)) => count,
            }
        } else {
            unread(&mut connection.inbox, &mut bytes)
        };
        connection.watch.read();
        let framed = self.frame(&mut bytes, count, &mut connection.inbox)?;
        let framed = &bytes[framed];
        self.mirror(worker);
        self.trail(&mut connection.stream, backend);
        if self.whole {
            self.out.extend_from_slice(framed);
            return Poll::Ready(Ok(()));
        }
        let mut sent = 0;
        match poll_send(backend, cx, framed, &mut sent) {
            Poll::Ready(Err(_)) => self.broken = true,
            Poll::Ready(Ok(())) => connection.watch.written(),
            Poll::Pending => self.out.extend_from_slice(&framed[sent..]),
        }
        Poll::Ready(Ok(()))
    }

    /// Hands over what follows the body before its end is written (`http-proxy 1.22`).
    fn trail(&mut self, client: &mut impl Downstream, backend: &mut Stream) {
        let ends = self.chunked && self.body.is_done();
        let Some(backend) = backend.http2().filter(|_| ends) else { return };
        if let Some(trailers) = client.take_trailers() {
            self.trailers = Some(trailers);
        }
        if let Some(trailers) = &self.trailers {
            backend.give_trailers(trailers.clone());
        }
    }

    /// Frames `count` bytes in the room of `bytes` where they lie; what is behind the body's end
    /// goes back.
    fn frame(
        &mut self,
        bytes: &mut [u8],
        count: usize,
        inbox: &mut Vec<u8>,
    ) -> Result<Range<usize>, Fault> {
        let room = &mut bytes[ROOM_BEFORE..ROOM_BEFORE + count];
        let decoded = self
            .body
            .take(room)
            .map_err(|fault| Fault::Refused(fault.status()))?;
        let rest = &room[decoded.taken..];
        if !rest.is_empty() {
            inbox.splice(..0, rest.iter().copied());
        }
        let length = decoded.data.len() as u64;
        if length > self.left {
            return Err(Fault::Refused(StatusCode::PAYLOAD_TOO_LARGE));
        }
        self.left -= length;
        let data = decoded.data.start + ROOM_BEFORE..decoded.data.end + ROOM_BEFORE;
        if let Some(copy) = &mut self.copy {
            copy.take(&bytes[data.clone()]);
        }
        Ok(match self.chunked {
            true => encode(bytes, data, self.body.is_done()),
            false => data,
        })
    }
}

/// Moves the begin of `inbox` into the room of `bytes`.
fn unread(inbox: &mut Vec<u8>, bytes: &mut [u8]) -> usize {
    let count = inbox.len().min(READ_BYTES);
    bytes[ROOM_BEFORE..ROOM_BEFORE + count].copy_from_slice(&inbox[..count]);
    inbox.drain(..count);
    count
}
