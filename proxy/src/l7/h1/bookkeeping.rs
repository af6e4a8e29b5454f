//! What is kept of the request that is served, and told once it is over: its rule's column counts it,
//! the log has its line.
//!
//! ```text
//! open ─▶ noted as it goes ─▶ settle: counted, logged        a tunnel: counted, ─carried─▶ logged
//! ```
//!
//! Invariant: what was opened is settled once, whoever answered and however it ended.

use std::time::Instant;

use super::persistence::After;
use super::server::Connection;
use crate::l7::access::{Entry, Flag};
use crate::l7::account::Account;
use crate::l7::io::Downstream;
use crate::l7::order::Noted;
use crate::ledger::CallStatus;

impl<S: Downstream> Connection<S> {
    /// Begins the account of a request.
    pub(super) fn open(&mut self, noted: Noted, head_bytes: usize, is_call: bool) {
        let Noted { entry, rule, verb, .. } = noted;
        let (head_in, begun) = (head_bytes as u64, Some(Instant::now()));
        if let Some(column) = self.worker.column(rule.as_ref()) {
            column.begin();
        }
        let call = is_call.then_some(CallStatus::UNTOLD);
        self.account = Account { rule, verb, begun, head_in, call, ..Account::default() };
        self.entry = entry;
    }

    /// Notes for the log what happened.
    pub(super) fn note(&mut self, note: impl FnOnce(&mut Entry)) {
        if let Some(entry) = &mut self.entry {
            note(entry);
        }
    }

    /// Ends and counts it, and has the log hear of it; that of a tunnel goes on.
    pub(super) fn settle(&mut self, after: &After) {
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
    pub(super) fn tell_log(&mut self) {
        match (self.entry.take(), &self.worker.access) {
            (Some(entry), Some(access)) => {
                access.end(entry, std::mem::take(&mut self.account), &self.from);
            }
            _ => self.account.close(),
        }
    }
}
