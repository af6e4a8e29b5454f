//! A response on its way to the client: its head written anew, its body as it comes.
//!
//! ```text
//! Head ─1xx─▶ Head ─response─▶ Body ─end─▶ Done        Head ─101, asked for─▶ Tunnel
//! ```
//!
//! Invariants: no more is read from the backend than the client took; a body that broke off is never
//! ended; bytes beyond a message end the backend's connection.

mod ended;
mod heads;

use std::task::{Context, Poll, ready};
use std::time::Instant;

use http::{HeaderValue, StatusCode};
use tracing::debug;

pub(super) use self::ended::Ended;
use super::Facts;
use super::body::Body;
use super::chunked::{ROOM_BEFORE, append, encode};
use super::coder::{self, Coder};
use super::head::{self, Scan};
use super::pace::Pace;
use super::repeat::Rejects;
use super::server::Connection;
use super::upload::Upload;
use crate::l7::calls::Told;
use crate::l7::failure::Failure;
use crate::l7::h2::backend;
use crate::l7::io::{Downstream, READ_BYTES, poll_read, poll_send};
use crate::l7::pool::Stream;

/// A response that is being passed on.
pub(super) struct Download {
    state: State,
    /// A head that has not come whole.
    inbox: Vec<u8>,
    scan: Scan,
    /// What the client did not take yet.
    out: Vec<u8>,
    sent: usize,
    /// Bytes that the client took, without those of `out`.
    written: u64,
    /// How many came before the body.
    head_bytes: u64,
    /// Whether the transport still holds something back.
    flushing: bool,
    body: Body,
    chunked: bool,
    interims: u8,
    /// What brings the body into another coding.
    coder: Option<Box<Coder>>,
    /// How fast the body may go.
    pace: Option<Box<Pace>>,
    /// What is not passed on, since another endpoint can be asked.
    rejects: Option<Rejects>,
    /// A cookie beside those of the backend.
    cookie: Option<HeaderValue>,
    /// Whether the backend said anything.
    begun: bool,
    /// Whether the backend's connection may carry another request.
    pub(super) reusable: bool,
    /// Whether it asks for what its connection will know the client by (`http-proxy 5.4`).
    pub(super) binds: bool,
    /// Whether the client was told that this is the last response.
    pub(super) close: bool,
    /// Of the response whose head was passed on.
    pub(super) status: StatusCode,
    /// When that was there.
    pub(super) answered_at: Option<Instant>,
    /// Whether all of the response came with it.
    pub(super) at_once: bool,
    /// Whether another endpoint would have been asked, were there room for that.
    pub(super) unrepeated: bool,
    /// What came of a call of gRPC.
    pub(super) told: Told,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    Head,
    Body,
    Done,
    Tunnel,
}

impl Download {
    /// One that passes nothing on that `rejects` has, and puts `cookie` in; `out` is a buffer.
    pub(super) fn new(out: Vec<u8>, rejects: Option<Rejects>, cookie: Option<HeaderValue>) -> Self {
        Self {
            state: State::Head,
            inbox: Vec::new(),
            scan: Scan::default(),
            out,
            sent: 0,
            written: 0,
            head_bytes: 0,
            flushing: false,
            body: Body::Exact(0),
            chunked: false,
            interims: 0,
            coder: None,
            pace: None,
            rejects,
            cookie,
            begun: false,
            reusable: false,
            binds: false,
            close: false,
            status: StatusCode::OK,
            answered_at: None,
            at_once: false,
            unrepeated: false,
            told: Told::Nothing,
        }
    }

    /// The same, for a response whose head may have so much.
    pub(super) fn within(self, limits: head::Limits) -> Self {
        Self { scan: Scan::within(limits), ..self }
    }

    /// Whether the client does not take what there is for it.
    pub(super) fn is_blocked(&self) -> bool {
        self.flushing || !self.out.is_empty()
    }

    /// Whether the body waits for its own pace.
    pub(super) fn is_paced(&self) -> bool {
        self.pace.as_ref().is_some_and(|pace| pace.is_waiting())
    }

    /// Whether no response was passed on yet.
    pub(super) fn is_awaited(&self) -> bool {
        self.state == State::Head
    }

    /// Whether the client has part of something that an answer may not follow.
    pub(super) fn is_midway(&self) -> bool {
        self.state != State::Head || self.sent > 0
    }

    /// The status of the response, once its head is passed on.
    pub(super) fn answered(&self) -> Option<StatusCode> {
        (self.state != State::Head).then_some(self.status)
    }

    /// Bytes that the client was sent, and how many of them come before the body.
    pub(super) fn bytes(&self) -> (u64, u64) {
        (self.written + self.sent as u64, self.head_bytes)
    }

    /// The buffer, for another use.
    pub(super) fn into_buffer(self) -> Vec<u8> {
        self.out
    }

    /// Queues a 100 for the client.
    pub(super) fn invite(&mut self) {
        self.out.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
    }

    /// Passes on what can be passed on now.
    pub(super) fn poll<S: Downstream>(
        &mut self,
        cx: &mut Context<'_>,
        connection: &mut Connection<S>,
        (backend, upload): (&mut Stream, &mut Upload),
        facts: &Facts,
    ) -> Poll<Ended> {
        let awaited = self.is_awaited();
        loop {
            if self.flushing || !self.out.is_empty() {
                let before = self.sent;
                let sent = poll_send(&mut connection.stream, cx, &self.out, &mut self.sent);
                if self.sent > before {
                    connection.watch.written();
                }
                if ready!(sent).is_err() {
                    return Poll::Ready(Ended::Cut);
                }
                self.written += self.out.len() as u64;
                self.out.clear();
                (self.sent, self.flushing) = (0, false);
            }
            match self.state {
                State::Done => {
                    self.at_once = awaited;
                    return Poll::Ready(Ended::Sent);
                }
                State::Tunnel => return Poll::Ready(Ended::Upgraded),
                State::Head | State::Body => {}
            }
            if let Err(ended) = ready!(self.pass(cx, connection, (backend, upload), facts)) {
                return Poll::Ready(ended);
            }
        }
    }

    /// One read from the backend and, where it is of the body, at once its write.
    fn pass<S: Downstream>(
        &mut self,
        cx: &mut Context<'_>,
        connection: &mut Connection<S>,
        (backend, upload): (&mut Stream, &mut Upload),
        facts: &Facts,
    ) -> Poll<Result<(), Ended>> {
        let most = match &mut self.pace {
            None => READ_BYTES,
            Some(pace) => {
                let most = ready!(pace.poll(cx)).min(READ_BYTES);
                // What was waited for is nobody's fault.
                connection.watch.read();
                most
            }
        };
        let worker = std::rc::Rc::clone(&connection.worker);
        let mut bytes = worker.scratch.bytes.borrow_mut();
        let room = &mut bytes[ROOM_BEFORE..ROOM_BEFORE + most];
        let read = poll_read(backend, cx, room);
        if read.is_pending() && self.gives_up() {
            return Poll::Ready(Ok(()));
        }
        let count = match ready!(read) {
            Ok(0) => return Poll::Ready(self.end(connection)),
            Ok(count) => count,
            Err(error) => {
                debug!(%error, "endpoint broke off");
                return Poll::Ready(Err(self.broken(connection)));
            }
        };
        self.begun = true;
        connection.watch.read();
        if self.state == State::Head {
            let room = &mut room[..count];
            return Poll::Ready(self.heads(connection, upload, facts, room));
        }
        let Ok(decoded) = self.body.take(&mut room[..count]) else {
            return Poll::Ready(Err(self.broken(connection)));
        };
        let data = decoded.data.start + ROOM_BEFORE..decoded.data.end + ROOM_BEFORE;
        let done = self.took(decoded.taken == count);
        if done && let Some(trailers) = backend.http2().and_then(|it| it.take_trailers()) {
            match backend::Stream::checked(trailers) {
                Ok(trailers) => {
                    self.told = Told::behind(facts.is_call, &trailers);
                    connection.stream.give_trailers(trailers);
                }
                Err(_) => return Poll::Ready(Err(self.broken(connection))),
            }
        }
        if self.coder.is_some() {
            coder::pay(cx, data.len());
            return Poll::Ready(self.put(connection, &bytes[data], done));
        }
        if let Some(pace) = &mut self.pace {
            pace.sent(data.len());
        }
        let framed = if self.chunked { encode(&mut bytes, data, done) } else { data };
        let framed = &bytes[framed];
        let mut sent = 0;
        let polled = poll_send(&mut connection.stream, cx, framed, &mut sent);
        self.written += sent as u64;
        match polled {
            Poll::Ready(Err(_)) => return Poll::Ready(Err(Ended::Cut)),
            Poll::Ready(Ok(())) => connection.watch.written(),
            Poll::Pending => {
                self.out.extend_from_slice(&framed[sent..]);
                self.flushing = true;
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Notes the end of the body; `all`: nothing was behind it.
    fn took(&mut self, all: bool) -> bool {
        let done = self.body.is_done();
        if done {
            self.state = State::Done;
            self.reusable &= all;
        }
        done
    }

    /// The backend has ended its half.
    fn end<S: Downstream>(&mut self, connection: &Connection<S>) -> Result<(), Ended> {
        if self.state == State::Body && matches!(self.body, Body::UntilClose) {
            self.state = State::Done;
            return self.put(connection, &[], true);
        }
        Err(self.broken(connection))
    }

    /// The backend broke off, or what it sends is no body.
    fn broken<S: Downstream>(&self, connection: &Connection<S>) -> Ended {
        if self.state == State::Head {
            return Ended::Failed { failure: Failure::Bad, silent: !self.begun };
        }
        self.cut(connection)
    }

    /// Leaves the client with a response that it can see is not whole.
    pub(super) fn cut<S: Downstream>(&self, connection: &Connection<S>) -> Ended {
        if !self.chunked && !matches!(self.body, Body::Exact(_)) {
            // Nothing but the end of the connection says where it ends.
            connection.stream.reset();
        }
        Ended::Cut
    }

    /// Puts data of the body behind what the client did not take yet; `last`: and the body's end.
    fn put<S: Downstream>(
        &mut self,
        connection: &Connection<S>,
        data: &[u8],
        last: bool,
    ) -> Result<(), Ended> {
        let mut count = data.len();
        match (&mut self.coder, self.chunked) {
            (Some(coder), _) => match coder.code(&mut self.out, data, last) {
                Ok(coded) => count = coded,
                Err(_) => return Err(self.cut(connection)),
            },
            (None, true) => append(&mut self.out, data, last),
            (None, false) => self.out.extend_from_slice(data),
        }
        if let Some(pace) = &mut self.pace {
            pace.sent(count);
        }
        Ok(())
    }

    /// Has the client get what a coder holds back; whether that is anything. A coder that fails does
    /// so again with the next data.
    fn gives_up(&mut self) -> bool {
        let Some(coder) = &mut self.coder else { return false };
        coder.give_up(&mut self.out).unwrap_or(false)
    }
}
