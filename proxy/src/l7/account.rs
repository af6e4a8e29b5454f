//! What one request came to: its status, its bytes and its times, for the log and for metrics.
//!
//! The clock is asked once when the head is there and once when an endpoint has answered; where its
//! answer came whole with its head that is the end too.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::upgrade::Carried;
use crate::ledger::{CallStatus, Column, Settled, Verb};
use crate::view::Rule;

/// What is known of a request that goes on.
#[derive(Debug, Default)]
pub(crate) struct Account {
    /// The rule that was found for it.
    pub(crate) rule: Option<Arc<Rule>>,
    pub(crate) verb: Verb,
    /// When its head was there; none: it was no request.
    pub(crate) begun: Option<Instant>,
    /// Whether somebody had to be asked about it first.
    pub(crate) has_waited: bool,
    /// When it was sent to the endpoint that was asked last; none: to none of its rule.
    pub(crate) asked: Option<Instant>,
    /// How long that one took to the head of its answer.
    pub(crate) upstream: Option<Duration>,
    /// When all was over, where that is known.
    pub(crate) ended: Option<Instant>,
    /// How long all of it took.
    pub(crate) took: Duration,
    /// Of the response that the client was sent, or began to be; 0: none.
    pub(crate) status: u16,
    /// Bytes of the request's head.
    pub(crate) head_in: u64,
    /// Bytes of its body, without what frames it.
    pub(crate) body_in: u64,
    /// All bytes that the client was sent.
    pub(crate) sent: u64,
    /// How many of them came before the body.
    pub(crate) head_out: u64,
    /// How it ended, where it is a call of gRPC.
    pub(crate) call: Option<CallStatus>,
}

impl Account {
    /// Whether there is anything to tell.
    pub(crate) fn is_open(&self) -> bool {
        self.begun.is_some() || self.status != 0
    }

    /// Notes that an endpoint has answered; `at_once`: with all that it had to say.
    pub(crate) fn answered(&mut self, now: Instant, at_once: bool) {
        let asked = self.asked;
        self.upstream = asked.map(|asked| now.saturating_duration_since(asked));
        self.ended = at_once.then_some(now);
    }

    /// 499, as nginx has it, where the client left before anything was sent.
    pub(crate) fn shown_status(&self) -> u16 {
        if self.status == 0 { 499 } else { self.status }
    }

    /// Ends it, as far as `column` counts.
    pub(crate) fn settle(&mut self, column: Option<&Column>) {
        let took = self.begun.map(|begun| {
            let ended = self.ended.unwrap_or_else(Instant::now);
            ended.saturating_duration_since(begun)
        });
        self.took = took.unwrap_or_default();
        let Some(column) = column else { return };
        column.settle(&Settled {
            verb: self.verb,
            status: self.shown_status(),
            took,
            upstream: self.upstream,
            received_bytes: self.head_in + self.body_in,
            sent_bytes: self.sent,
            call: self.call,
        });
    }

    /// Ends that of a tunnel.
    pub(crate) fn carried(&mut self, carried: &Carried, column: Option<&Column>) {
        self.took = self.begun.map(|begun| begun.elapsed()).unwrap_or_default();
        self.body_in += carried.received_bytes;
        self.sent += carried.sent_bytes;
        if let Some(column) = column {
            column.carry(carried.received_bytes, carried.sent_bytes);
        }
    }

    /// Makes room for the next.
    pub(crate) fn close(&mut self) {
        (self.rule, self.begun, self.status) = (None, None, 0);
    }
}
