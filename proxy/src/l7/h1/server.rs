//! A client's connection: one request after the other, and what becomes of each.
//!
//! ```text
//! receive ─▶ Request ─▶ serve: answer │ forward │ query ─▶ settle ─▶ persistence: next, or the end
//!     ▲                                                                   │
//!     └───────────────────────────────────────────────────────────────────┘
//! ```
//!
//! Invariants: one request at a time; a panic ends it and the connection, and nothing else; at rest
//! the connection holds no buffer. Reading heads is `receive`'s work, our own answers are `answer`'s,
//! endpoints `exchange`'s.

use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

use tokio::io::AsyncWriteExt;

use super::Facts;
use super::framing::Length;
use super::head::Scan;
use super::linger::linger;
use super::persistence::After;
use super::receive::{Action, Next, Request};
use super::upload::Upload;
use crate::l7::Worker;
use crate::l7::access::Entry;
use crate::l7::account::Account;
use crate::l7::asks::Pending;
use crate::l7::forward::Peer;
use crate::l7::io::Downstream;
use crate::l7::order::Order;
use crate::l7::panics::caught;
use crate::l7::pool::Backend;
use crate::l7::preface;
use crate::l7::watch::{Phase, Watch};
use crate::limiter::Permit;
use crate::upstream::Port;

/// A client's connection.
pub(crate) struct Connection<S> {
    pub(super) stream: S,
    pub(super) worker: Rc<Worker>,
    pub(super) watch: Rc<Watch>,
    /// What was read and not used; empty at rest.
    pub(super) inbox: Vec<u8>,
    pub(super) from: Rc<Peer>,
    /// A backend's connection that may know the client, at rest (`http-proxy 5.4`).
    pub(super) kept: Option<Box<Backend>>,
    pub(super) scan: Scan,
    /// Whether the inbox may hold a head that nobody looked for yet.
    pub(super) ahead: bool,
    pub(super) served: usize,
    /// The tick after which the next response is the last.
    pub(super) last_tick: u32,
    /// What the request that is served came to so far.
    pub(super) account: Account,
    /// What the log says of it, where there is one.
    pub(super) entry: Option<Box<Entry>>,
    /// Its place among those that its client may have in progress.
    pub(super) held: Option<Permit>,
}

impl<S: Downstream> Connection<S> {
    /// A connection that was just accepted.
    pub(crate) fn new(stream: S, worker: &Rc<Worker>, from: Rc<Peer>) -> Self {
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
    pub(crate) fn into_parts(self) -> (S, Vec<u8>, Rc<Peer>) {
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
                Err(said) => Box::pin(self.recover(&said)).await,
            };
            self.settle(&after);
            match after {
                // A stream of HTTP/2 has one request, whatever else comes on it.
                After::Next if self.stream.is_http2() => return,
                After::Next => self.rest(),
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
            let kept = kept;
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
                    let mut after = self.forward(&port, &mut upload, &facts).await;
                    if let After::Tunnel(tunnel) = &mut after {
                        tunnel.kept = Some(kept);
                    }
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

    /// What becomes of a request once somebody has been asked about it.
    async fn granted(&self, pending: Box<Pending>) -> Action {
        let granted = Box::pin(self.worker.grant(*pending)).await;
        self.watch.renew(Phase::Waiting);
        match granted {
            Ok(order) => Action::Forward(order),
            Err(declined) => Action::Own(declined),
        }
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
