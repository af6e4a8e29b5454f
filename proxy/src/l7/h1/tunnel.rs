//! A connection that became a tunnel: its bytes are carried, then its request is over.
//!
//! What is carried, and when it ends, is `upgrade`'s; here it is counted by the rule for as long as it
//! is open, and its end is told.

use std::rc::Rc;

use tokio::io::AsyncWriteExt;

use super::server::Connection;
use crate::l7::access::Flag;
use crate::l7::io::Downstream;
use crate::l7::pool::Backend;
use crate::l7::upgrade::{End, tunnel};
use crate::ledger::Column;
use crate::upstream::Open;

impl<S: Downstream> Connection<S> {
    /// Carries the bytes of a tunnel, and ends the account of its request.
    pub(super) async fn carry(&mut self, (backend, _open): (Backend, Open)) {
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
}
