//! Answers of portico's own: refusals, redirects, errors, and what stands for a request that goes
//! nowhere.
//!
//! Each is written whole into one buffer and sent at once, so it needs no backend and no task; what it
//! says is `respond`'s, what may be said in its place by a page `stand_in`'s. It is counted and noted
//! like an answer that was passed on.

use std::task::Poll;
use std::time::Instant;

use http::StatusCode;

use super::Facts;
use super::framing::Length;
use super::persistence::After;
use super::server::Connection;
use crate::l7::access::Flag;
use crate::l7::calls;
use crate::l7::edits::Edits;
use crate::l7::forward::Ours;
use crate::l7::io::{Downstream, poll_send};
use crate::l7::policy::Declined;
use crate::l7::respond::{self, Content};
use crate::l7::watch::Phase;
use crate::ledger::CallStatus;

impl<S: Downstream> Connection<S> {
    /// Answers a request that goes nowhere.
    pub(super) async fn decline(
        &mut self,
        declined: Declined,
        length: Length,
        facts: &Facts,
    ) -> After {
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

    /// What every answer says on this connection.
    pub(super) fn ours<'a>(&'a self, date: &'a [u8]) -> Ours<'a> {
        let hsts = self.worker.hsts.as_deref();
        Ours { date, hsts: hsts.filter(|_| self.from.insists) }
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
