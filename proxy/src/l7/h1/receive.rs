//! Waiting for a request: from bytes as they come to what is to be done about them.
//!
//! ```text
//! poll_head ─bytes─▶ read: fields, framing, Facts ─▶ act: decided ─▶ Request
//!      │               ├ not whole: the inbox keeps them
//!      │               └ no head: refused
//!      └ nothing came: the drain, or the phase's time is over
//! ```
//!
//! Invariants: a head that comes whole is read where the worker's scratch holds it, without a copy;
//! what follows it stays in the inbox. Nothing is answered here and nothing awaited but bytes: what
//! becomes of a [`Request`] is `server`'s, where it goes `Worker::decide`'s.

use std::net::IpAddr;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use http::StatusCode;

use super::Facts;
use super::chunked::ROOM_BEFORE;
use super::framing::{self, Length};
use super::head::{self, RequestLine, Scan};
use super::server::Connection;
use crate::l7::access::{Entry, Flag};
use crate::l7::asks::Pending;
use crate::l7::fields::Fields;
use crate::l7::io::{Downstream, READ_BYTES, poll_read};
use crate::l7::order::{Decided, Incoming, Noted, Order};
use crate::l7::panics::Kept;
#[cfg(test)]
use crate::l7::panics::provoked;
use crate::l7::policy::Declined;
use crate::l7::queries::Query;
use crate::l7::request::{Asked, Refused, refuse};
use crate::l7::watch::Phase;
use crate::ledger::Verb;

/// A head that was read.
pub(super) struct Request {
    pub(super) facts: Facts,
    /// Of its body.
    pub(super) length: Length,
    pub(super) action: Action,
    pub(super) noted: Noted,
    pub(super) head_bytes: usize,
    pub(super) kept: Kept,
}

/// What is to be done about it.
pub(super) enum Action {
    /// There is no request: this answer, and the end.
    Refuse(Refused),
    /// There is none to come.
    End,
    /// Answered here.
    Own(Declined),
    /// Sent to a backend.
    Forward(Order),
    /// One of the two, once somebody has been asked about it.
    Ask(Box<Pending>),
    /// Asks for a name, for this client.
    Query(Query, IpAddr),
}

impl Request {
    /// What comes in the place of one.
    pub(super) fn none(action: Action) -> Self {
        let (facts, length) = (Facts::default(), Length::Absent);
        let (noted, kept) = <_>::default();
        Self { facts, length, action, noted, head_bytes: 0, kept }
    }
}

/// What comes next on a connection.
#[expect(
    clippy::large_enum_variant,
    reason = "it is moved once; a box would cost each request more"
)]
pub(super) enum Next {
    /// A request.
    Request(Request),
    /// No request: this answer, and the end; and what the log says of it.
    Refused(Refused, Option<Box<Entry>>),
    /// The client has ended, or is not waited for any more.
    End,
}

impl<S: Downstream> Connection<S> {
    /// Waits for a head.
    pub(super) fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Next> {
        let worker = Rc::clone(&self.worker);
        loop {
            if std::mem::take(&mut self.ahead) {
                self.watch.read();
                if let Some(next) = self.next_in_inbox() {
                    return Poll::Ready(next);
                }
            }
            let mut bytes = worker.scratch.bytes.borrow_mut();
            let room = &mut bytes[ROOM_BEFORE..ROOM_BEFORE + READ_BYTES];
            let count = match poll_read(&mut self.stream, cx, room) {
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Next::End),
                Poll::Ready(Ok(count)) => count,
                Poll::Pending => return self.poll_rest(cx),
            };
            self.watch.read();
            let bytes = &room[..count];
            if !self.inbox.is_empty() {
                self.inbox.extend_from_slice(bytes);
                self.ahead = true;
                continue;
            }
            match self.read(bytes) {
                Ok(Some((request, end))) => {
                    self.inbox.extend_from_slice(&bytes[end..]);
                    return Poll::Ready(Next::Request(request));
                }
                Ok(None) => {
                    self.inbox = worker.scratch.take();
                    self.inbox.extend_from_slice(bytes);
                    self.scan = Scan::default();
                    self.ahead = true;
                }
                Err(refused) => {
                    let entry = self.begin_refused(bytes);
                    return Poll::Ready(Next::Refused(refused, entry));
                }
            }
        }
    }

    /// Nothing came: whether to wait on.
    fn poll_rest(&self, cx: &mut Context<'_>) -> Poll<Next> {
        // An empty line is not the begin of a head.
        let begun = !matches!(*self.inbox, [] | [b'\r'] | [b'\r', b'\n']);
        if self.worker.is_draining() && !begun {
            return Poll::Ready(Next::End);
        }
        ready!(self.watch.poll_expired(cx));
        self.watch.renew(Phase::Busy);
        Poll::Ready(match begun {
            true => self.refused(refuse(StatusCode::REQUEST_TIMEOUT)),
            false => Next::End,
        })
    }

    /// The head in the inbox, where it has come whole.
    fn next_in_inbox(&mut self) -> Option<Next> {
        match self.scan.has_end(&self.inbox, true) {
            Ok(false) => return None,
            Ok(true) => {}
            Err(fault) => return Some(self.refused(refuse(fault.status()))),
        }
        self.scan = Scan::default();
        Some(match self.read(&self.inbox) {
            Ok(Some((request, end))) => {
                self.inbox.drain(..end);
                Next::Request(request)
            }
            Ok(None) => self.refused(refuse(StatusCode::BAD_REQUEST)),
            Err(refused) => self.refused(refused),
        })
    }

    /// What is in the inbox is refused.
    fn refused(&self, refused: Refused) -> Next {
        Next::Refused(refused, self.begin_refused(&self.inbox))
    }

    /// What the log says of a head that is no request (`http-proxy 2.6`).
    fn begin_refused(&self, bytes: &[u8]) -> Option<Box<Entry>> {
        let access = self.worker.access.as_ref();
        access.map(|access| access.begin_refused(bytes, self.stream.is_http2()))
    }

    /// The request whose head is at the begin of `bytes`, with what is to be done about it, and where
    /// its head ends; `None`: it has not come whole.
    fn read(&self, bytes: &[u8]) -> Result<Option<(Request, usize)>, Refused> {
        let mut lines = self.worker.scratch.lines.borrow_mut();
        let line = head::request(bytes, &mut lines).map_err(|fault| refuse(fault.status()))?;
        let Some(RequestLine { method, target, minor, end }) = line else { return Ok(None) };
        let fields = Fields::new(&bytes[..end], &lines);
        let asked = Asked { method, target, old: minor == 0, fields };
        let length = framing::of_request(fields, minor).map_err(|fault| refuse(fault.status()))?;
        let facts = Facts::of(&asked, length);
        let shape = (facts.to_head, facts.old, facts.is_call);
        let mut kept = Kept::of(fields, shape);
        #[cfg(test)]
        provoked::note(fields);
        let incoming = Incoming {
            asked,
            from: &self.from,
            body: length.announced(),
            expects: facts.expects,
            websocket: facts.websocket,
        };
        let mut noted = Noted { verb: Verb::of(method), ..Noted::default() };
        if let Some(access) = &self.worker.access {
            let protocol = match (self.stream.is_http2(), asked.old) {
                (true, _) => "HTTP/2.0",
                (false, true) => "HTTP/1.0",
                (false, false) => "HTTP/1.1",
            };
            noted.entry = Some(access.begin(&incoming, protocol, || self.worker.request_id()));
        }
        let action = self.act(&incoming, &mut noted);
        kept.name(&noted.id);
        let request = Request { facts, length, action, noted, head_bytes: end, kept };
        Ok(Some((request, end)))
    }

    /// What is to be done about a request.
    fn act(&self, incoming: &Incoming<'_>, noted: &mut Noted) -> Action {
        if let Some(declined) = self.worker.turns_away() {
            if let Some(entry) = &mut noted.entry {
                entry.flag(Flag::Shed);
            }
            return Action::Own(declined);
        }
        match self.worker.decide(incoming, noted) {
            Err(declined) => Action::Own(declined),
            Ok(Decided::Order(order)) => Action::Forward(order),
            Ok(Decided::Pending(pending)) => Action::Ask(pending),
            Ok(Decided::Query(query, client)) => Action::Query(query, client),
        }
    }
}
