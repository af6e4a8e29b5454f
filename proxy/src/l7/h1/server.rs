//! A client's connection: heads one after the other, and what becomes of each.

use std::net::IpAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use http::StatusCode;
use tokio::io::AsyncWriteExt;
use tracing::error;

use super::Facts;
use super::body::Body;
use super::chunked::ROOM_BEFORE;
use super::framing::{self, Length};
use super::head::{self, RequestLine, Scan};
use super::linger::linger;
use super::upload::Upload;
use crate::l7::Worker;
use crate::l7::access::{Entry, Flag};
use crate::l7::account::Account;
use crate::l7::asks::Pending;
use crate::l7::calls;
use crate::l7::edits::Edits;
use crate::l7::exchange::{Decided, Incoming, Noted, Order};
use crate::l7::fields::{Fields, Name};
use crate::l7::forward::{ForwardedFor, Ours};
use crate::l7::io::{Downstream, READ_BYTES, poll_read, poll_send};
#[cfg(test)]
use crate::l7::panics::provoked;
use crate::l7::panics::{Kept, caught};
use crate::l7::policy::Declined;
use crate::l7::pool::Backend;
use crate::l7::preface;
use crate::l7::queries::Query;
use crate::l7::request::{Asked, Refused, is_idempotent, is_of_connection, is_websocket, refuse};
use crate::l7::respond::{self, Content};
use crate::l7::upgrade::{End, tunnel};
use crate::l7::watch::{Phase, Watch};
use crate::ledger::{CallStatus, Column, Verb};
use crate::limiter::Permit;
use crate::upstream::{Open, Port};

/// A client's connection.
pub(crate) struct Connection<S> {
    pub(super) stream: S,
    pub(super) worker: Rc<Worker>,
    pub(super) watch: Rc<Watch>,
    /// What was read and not used; empty at rest.
    pub(super) inbox: Vec<u8>,
    pub(super) from: Rc<ForwardedFor>,
    /// A backend's connection that may know the client, at rest (`http-proxy 5.4`).
    pub(super) kept: Option<Box<Backend>>,
    scan: Scan,
    /// Whether the inbox may hold a head that nobody looked for yet.
    ahead: bool,
    served: usize,
    /// The tick after which the next response is the last.
    last_tick: u32,
    /// What the request that is served came to so far.
    pub(super) account: Account,
    /// What the log says of it, where there is one.
    pub(super) entry: Option<Box<Entry>>,
    /// Its place among those that its client may have in progress.
    held: Option<Permit>,
}

/// A head that was read.
struct Request {
    facts: Facts,
    length: Length,
    action: Action,
    noted: Noted,
    head_bytes: usize,
    kept: Kept,
}

enum Action {
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
    fn none(action: Action) -> Self {
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
enum Next {
    Request(Request),
    /// No request: this answer, and the end; and what the log says of it.
    Refused(Refused, Option<Box<Entry>>),
    End,
}

/// What becomes of a connection after a response.
pub(super) enum After {
    Next,
    Close,
    /// It ends, but the client may be sending.
    Linger,
    /// It ends in the middle.
    Cut,
    /// It is one with a backend's, and keeps its place there.
    Tunnel(Box<(Backend, Open)>),
}

impl<S: Downstream> Connection<S> {
    /// A connection that was just accepted.
    pub(crate) fn new(stream: S, worker: &Rc<Worker>, from: Rc<ForwardedFor>) -> Self {
        Self {
            stream,
            worker: Rc::clone(worker),
            // The first byte has the time of a head, not that of a rest.
            watch: worker.ticker.watch(Phase::Head),
            ahead: false,
            inbox: Vec::new(),
            from,
            kept: None,
            scan: Scan::default(),
            served: 0,
            last_tick: worker.last_tick(),
            account: Account::default(),
            entry: None,
            held: None,
        }
    }

    /// The stream, what was read of it, and from whom it is.
    pub(crate) fn into_parts(self) -> (S, Vec<u8>, Rc<ForwardedFor>) {
        (self.stream, self.inbox, self.from)
    }

    /// Whether a client without TLS begins as one of HTTP/2 does (`http-proxy 1.27`); what it sent is
    /// in the inbox.
    pub(crate) async fn begins_http2(&mut self) -> bool {
        let (stream, inbox) = (&mut self.stream, &mut self.inbox);
        std::future::poll_fn(|cx| {
            preface::poll_begin((&mut *stream, &mut *inbox), &self.worker, &self.watch, cx)
        })
        .await;
        self.ahead = !self.inbox.is_empty();
        preface::is_http2(&self.inbox)
    }

    /// Serves requests until the connection ends; a panic ends one of them and the connection. Borrows
    /// it: a future holds twice what it is given.
    pub(crate) async fn run(&mut self) {
        loop {
            let served = {
                // What came has no room here, only in the future that it is moved to.
                let begun = {
                    let next = std::future::poll_fn(|cx| caught(|| self.poll_head(cx))).await;
                    next.map(|next| self.serve(next))
                };
                match begun {
                    Ok(mut serving) => {
                        std::future::poll_fn(|cx| caught(|| serving.as_mut().poll(cx))).await
                    }
                    Err(said) => Err(said),
                }
            };
            let after = match served {
                Ok(after) => after,
                Err(said) => Box::pin(self.recover(said)).await,
            };
            self.settle(&after);
            match after {
                // A stream of HTTP/2 has one request, whatever else comes on it.
                After::Next if self.stream.is_http2() => return,
                After::Next => {
                    self.held = None;
                    self.watch.enter(Phase::Idle);
                    self.ahead = !self.inbox.is_empty();
                    if !self.ahead {
                        self.worker.scratch.put(std::mem::take(&mut self.inbox));
                    }
                }
                After::Close if self.inbox.is_empty() => {
                    if !S::ENDS_BY_CLOSE {
                        let _ = self.stream.shutdown().await;
                    }
                    return;
                }
                After::Close | After::Linger => return Box::pin(linger(&mut self.stream)).await,
                After::Cut => return,
                After::Tunnel(tunnel) => return Box::pin(self.carry(*tunnel)).await,
            }
        }
    }

    /// What becomes of what came. A future of its own, so that a connection at rest has no room for it.
    fn serve(&mut self, next: Next) -> Pin<Box<impl Future<Output = After> + use<'_, S>>> {
        let Request { mut facts, length, action, noted, head_bytes, kept } = match next {
            Next::Request(request) => request,
            Next::Refused(refused, entry) => {
                let mut none = Request::none(Action::Refuse(refused));
                none.noted.entry = entry;
                none
            }
            Next::End => Request::none(Action::End),
        };
        if !matches!(action, Action::Refuse(_) | Action::End) {
            self.served += 1;
            self.open(noted, head_bytes, facts.is_call);
            self.watch.enter(Phase::Waiting);
        } else {
            self.entry = noted.entry;
        }
        Box::pin(async move {
            let _kept = kept;
            let action = match action {
                Action::Ask(pending) => {
                    self.account.has_waited = true;
                    self.granted(pending).await
                }
                known => known,
            };
            match action {
                // Nothing is asked twice.
                Action::Ask(_) => After::Cut,
                Action::Own(declined) => self.decline(declined, length, &facts).await,
                Action::Query(query, client) => {
                    Box::pin(self.resolve((query, client), length, &facts)).await
                }
                Action::Forward(order) => {
                    let (port, mut upload) = self.ordered(order, length, &mut facts);
                    let after = self.forward(&port, &mut upload, &facts).await;
                    // Through a tunnel too: it is the exchange's for as long as that lasts.
                    self.held = facts.terms.and_then(|terms| terms.permit);
                    after
                }
                Action::Refuse(refused) => {
                    self.worker.metrics.refused(refused.status);
                    self.account = Account::default();
                    self.own(refused.status, true, &facts).await
                }
                Action::End => After::Close,
            }
        })
    }

    /// Answers a request that a panic ended, where its client has nothing of an answer yet
    /// (`http-proxy 8.9`).
    async fn recover(&mut self, said: Box<str>) -> After {
        let untouched = matches!(self.watch.phase(), Phase::Head | Phase::Waiting);
        let kept = Kept::lost().unwrap_or_default();
        let id = kept.id();
        error!(request_id = id, client = %self.from.client, "a panic ended a request: {said}");
        self.worker.metrics.panicked(self.worker.number);
        if untouched && self.account.begun.is_none() {
            // What was noted of it so far went with it.
            self.account = Account::default();
            let access = self.worker.access.as_ref();
            self.entry = access.map(|access| access.begin_bare(Flag::Panic));
        }
        self.note(|entry| entry.flag(Flag::Panic));
        if untouched {
            let (to_head, old, is_call) = kept.shape;
            let facts = Facts { to_head, old, is_call, ..Facts::default() };
            let status = StatusCode::INTERNAL_SERVER_ERROR;
            return self.own(status, true, &facts).await;
        }
        // Where a body lasts until the end, an end in order would say that it is whole.
        self.stream.reset();
        After::Cut
    }

    /// Whose endpoints get a request, and what they are sent.
    fn ordered(&self, order: Order, length: Length, facts: &mut Facts) -> (Arc<Port>, Upload) {
        let most = order.max_body_bytes(self.worker.door.max_body_bytes);
        let Order { port, head, client, mut terms } = order;
        let copy = terms.as_mut().and_then(|terms| terms.copy.take());
        facts.terms = terms;
        facts.client = Some(client);
        (port, Upload::new(head, length, facts.expects, most).copied(copy))
    }

    /// Begins the account of a request.
    fn open(&mut self, noted: Noted, head_bytes: usize, is_call: bool) {
        let Noted { entry, rule, verb, .. } = noted;
        let (head_in, begun) = (head_bytes as u64, Some(Instant::now()));
        if let Some(column) = self.worker.column(rule.as_ref()) {
            column.begin();
        }
        let call = is_call.then_some(CallStatus::UNTOLD);
        self.account = Account { rule, verb, begun, head_in, call, ..Account::default() };
        self.entry = entry;
    }

    /// Ends and counts it, and has the log hear of it; that of a tunnel goes on.
    fn settle(&mut self, after: &After) {
        if !self.account.is_open() {
            return;
        }
        let rule = self.account.rule.take();
        self.account.settle(self.worker.column(rule.as_ref()));
        self.account.rule = rule;
        match after {
            After::Tunnel(_) => return,
            After::Cut => self.note(|entry| entry.flag(Flag::Cut)),
            After::Next | After::Close | After::Linger => {}
        }
        self.tell_log();
    }

    /// Has the log hear of a request that is over.
    fn tell_log(&mut self) {
        match (self.entry.take(), &self.worker.access) {
            (Some(entry), Some(access)) => {
                access.end(entry, std::mem::take(&mut self.account), &self.from);
            }
            _ => self.account.close(),
        }
    }

    /// Carries the bytes of a tunnel, and ends the account of its request.
    async fn carry(&mut self, (backend, _open): (Backend, Open)) {
        let early = std::mem::take(&mut self.inbox);
        let worker = Rc::clone(&self.worker);
        let rule = self.account.rule.clone();
        let column = worker.column(rule.as_ref());
        let open = column.map(Column::open_tunnel);
        let carried = tunnel(&mut self.stream, backend, early, &self.watch).await;
        drop(open);
        self.account.carried(&carried, column);
        match carried.end {
            End::Both => {}
            End::Broken => self.note(|entry| entry.flag(Flag::Cut)),
            End::Idle => self.note(|entry| entry.flag(Flag::Idle)),
        }
        self.tell_log();
        // The end of one that carried nothing is no break (`http-proxy 7.11`).
        let says_goodbye = !S::ENDS_BY_CLOSE && !self.stream.is_http2();
        if carried.end == End::Idle && says_goodbye {
            let _ = self.stream.shutdown().await;
        }
    }

    /// Notes for the log what happened.
    pub(super) fn note(&mut self, note: impl FnOnce(&mut Entry)) {
        if let Some(entry) = &mut self.entry {
            note(entry);
        }
    }

    /// Waits for a head.
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Next> {
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
            match self.plan(bytes) {
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
        Some(match self.plan(&self.inbox) {
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

    /// What becomes of the request whose head is at the begin of `bytes`, and where its head ends;
    /// `None`: it has not come whole.
    fn plan(&self, bytes: &[u8]) -> Result<Option<(Request, usize)>, Refused> {
        let mut lines = self.worker.scratch.lines.borrow_mut();
        let line = head::request(bytes, &mut lines).map_err(|fault| refuse(fault.status()))?;
        let Some(RequestLine { method, target, minor, end }) = line else { return Ok(None) };
        let fields = Fields::new(&bytes[..end], &lines);
        let asked = Asked { method, target, old: minor == 0, fields };
        let length = framing::of_request(fields, minor).map_err(|fault| refuse(fault.status()))?;
        let has_body = !matches!(length, Length::Absent | Length::Exact(0));
        let websocket = is_websocket(&asked);
        let mut facts = Facts {
            to_head: method == "HEAD",
            old: asked.old,
            keep: match asked.old {
                true => fields.lists(Name::Connection, "keep-alive"),
                // What follows may be of the tunnel that there is not (`http-proxy 1.28`).
                false => !websocket && !fields.lists(Name::Connection, "close"),
            },
            expects: has_body && !asked.old && fields.has(Name::Expect),
            websocket,
            idempotent: is_idempotent(method),
            binds: fields.has(Name::Protected)
                && fields.every("authorization").any(is_of_connection),
            is_call: calls::is_call(method, fields),
            ..Facts::default()
        };
        let waits = facts.is_call.then(|| calls::timeout(fields)).flatten();
        facts.deadline = waits.and_then(|it| Instant::now().checked_add(it));
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

    /// Whether the connection ends with the response to this request.
    pub(super) fn is_last(&self, facts: &Facts) -> bool {
        !facts.keep
            || self.worker.is_closing()
            || self.served >= self.worker.door.max_requests_per_connection
            || self.worker.ticker.now() > self.last_tick
    }

    /// What becomes of a request once somebody has been asked about it.
    async fn granted(&self, pending: Box<Pending>) -> Action {
        let granted = Box::pin(self.worker.grant(*pending)).await;
        self.watch.renew(Phase::Waiting);
        match granted {
            Ok(order) => Action::Forward(order),
            Err(declined) => Action::Own(declined),
        }
    }

    /// Answers a request that goes nowhere.
    async fn decline(&mut self, declined: Declined, length: Length, facts: &Facts) -> After {
        let Declined { refused, edits, page } = declined;
        let close = refused.close || !self.skip(length, facts);
        if let Some(page) = page {
            let edits = edits.map(|edits| *edits).unwrap_or_default();
            let stands_in = self.stand_in(&page, (refused.status, close), edits, facts);
            return Box::pin(stands_in).await;
        }
        self.note(|entry| entry.flag(Flag::Own));
        let content = Content::Words;
        self.own_with((refused.status, content), edits.as_deref(), close, facts)
            .await
    }

    /// What every answer says on this connection.
    pub(super) fn ours<'a>(&'a self, date: &'a [u8]) -> Ours<'a> {
        let hsts = self.worker.hsts.as_deref();
        Ours { date, hsts: hsts.filter(|_| self.from.insists) }
    }

    /// Gives an answer of our own; `close`: what the client sends on cannot be understood.
    pub(super) async fn own(&mut self, status: StatusCode, close: bool, facts: &Facts) -> After {
        self.own_with((status, Content::Words), facts.edits(), close, facts)
            .await
    }

    /// The same, with `edits` done to its fields.
    pub(super) async fn own_with(
        &mut self,
        what: (StatusCode, Content<'_>),
        edits: Option<&Edits>,
        close: bool,
        facts: &Facts,
    ) -> After {
        let last = close || self.is_last(facts);
        let mut out = self.worker.scratch.take();
        let date = self.worker.date.get();
        let connection = facts.connection(last);
        match what {
            (status, Content::Words) if facts.is_call => {
                let code = calls::code(status, facts.is_late(Instant::now()));
                let ours = self.ours(&date);
                respond::refuse_call(&mut out, (status, code), edits, connection, ours);
                self.account.call = Some(CallStatus::of(code));
            }
            _ => {
                let (to_head, ours) = (facts.to_head, self.ours(&date));
                respond::answer(&mut out, what, edits, to_head, connection, ours);
            }
        }
        self.watch.renew(Phase::Busy);
        let written = self.send(&out).await;
        self.account.status = what.0.as_u16();
        self.worker.metrics.answered_own(what.0);
        self.account.sent = if written { out.len() as u64 } else { 0 };
        if self.entry.is_some() {
            let end = out.windows(4).position(|four| four == b"\r\n\r\n");
            self.account.head_out = end.map_or(0, |end| end as u64 + 4);
        }
        self.worker.scratch.put(out);
        match (written, close, last) {
            (false, ..) => After::Cut,
            (true, true, _) => After::Linger,
            (true, false, true) => After::Close,
            (true, false, false) => After::Next,
        }
    }

    /// Sends bytes of our own; false where the client does not take them.
    pub(super) async fn send(&mut self, bytes: &[u8]) -> bool {
        let mut sent = 0;
        let (stream, watch) = (&mut self.stream, &self.watch);
        let written = std::future::poll_fn(|cx| match poll_send(stream, cx, bytes, &mut sent) {
            Poll::Pending => watch.poll_expired(cx).map(|()| false),
            Poll::Ready(written) => Poll::Ready(written.is_ok()),
        });
        written.await
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpStream;

    use super::*;
    use crate::l7::sizes;

    #[test]
    fn a_request_in_progress_has_room_for_what_most_need() {
        type Given = (&'static mut Connection<TcpStream>, Next);
        let request = sizes::boxed(|(connection, next): Given| connection.serve(next));
        assert!(request <= 1_472, "{request}");
        let rest = sizes::of(|connection: &'static mut Connection<TcpStream>| connection.run());
        assert!(rest <= 96, "{rest}");
    }
}
