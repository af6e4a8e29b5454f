//! A connection that became a tunnel: its bytes are carried, then its request is over.
//!
//! What is carried, and when it ends, is `upgrade`'s; here it is counted by the rule for as long as it
//! is open, and its end is told. A panic ends the tunnel as it ends a request (`http-proxy 8.9`).

use std::pin::pin;
use std::rc::Rc;

use tokio::io::AsyncWriteExt;

use super::server::Connection;
use crate::l7::access::Flag;
use crate::l7::io::Downstream;
use crate::l7::panics::{Kept, caught};
use crate::l7::pool::Backend;
use crate::l7::upgrade::{End, tunnel};
use crate::ledger::Column;
use crate::upstream::Open;

/// The backend's side of a tunnel, with its place at the endpoint.
pub(super) struct Tunnel {
    backend: Backend,
    open: Open,
    /// What of its request must be known though a panic took the rest.
    pub(super) kept: Option<Kept>,
}

impl Tunnel {
    /// Over a connection whose backend has agreed.
    pub(super) fn new(backend: Backend, open: Open) -> Self {
        Self { backend, open, kept: None }
    }
}

impl<S: Downstream> Connection<S> {
    /// Carries the bytes of a tunnel, and ends the account of its request.
    pub(super) async fn carry(&mut self, tunnel: Tunnel) {
        let carried = {
            let mut carried = pin!(self.carry_bytes(tunnel));
            std::future::poll_fn(|cx| caught(|| carried.as_mut().poll(cx))).await
        };
        match carried {
            Ok(End::Both) => {}
            Ok(End::Broken) => self.note(|entry| entry.flag(Flag::Cut)),
            Ok(End::Idle) => self.note(|entry| entry.flag(Flag::Idle)),
            // The connection ends after it, whatever else.
            Err(ref said) => drop(self.recover(said).await),
        }
        self.tell_log();
        // The end of one that carried nothing is no break (`http-proxy 7.11`).
        let says_goodbye = !S::ENDS_BY_CLOSE && !self.stream.is_http2();
        if carried == Ok(End::Idle) && says_goodbye {
            let _ = self.stream.shutdown().await;
        }
    }

    /// Carries them, counted by the rule.
    async fn carry_bytes(&mut self, Tunnel { backend, open, kept }: Tunnel) -> End {
        let _held = (open, kept);
        let early = std::mem::take(&mut self.inbox);
        let worker = Rc::clone(&self.worker);
        let rule = self.account.rule.clone();
        let column = worker.column(rule.as_ref());
        let counted = column.map(Column::open_tunnel);
        let carried = tunnel(&mut self.stream, backend, early, &self.watch).await;
        drop(counted);
        self.account.carried(&carried, column);
        carried.end
    }
}
