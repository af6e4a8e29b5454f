//! What a client hears of a request that a panic ended (`http-proxy 8.9`).
//!
//! What the panic left half done is dropped; what was noted of the request for this case, [`Kept`], is
//! not. Who has nothing of an answer yet gets a 500, everybody else a cut that cannot be taken for the
//! end of a body. The connection ends in either case.

use http::StatusCode;
use tracing::error;

use super::Facts;
use super::persistence::After;
use super::server::Connection;
use crate::l7::access::Flag;
use crate::l7::account::Account;
use crate::l7::io::Downstream;
use crate::l7::panics::Kept;
use crate::l7::watch::Phase;

impl<S: Downstream> Connection<S> {
    /// Answers a request that a panic ended, where its client has nothing of an answer yet, and counts it
    /// (`http-proxy 8.9`).
    pub(super) async fn recover(&mut self, said: &str) -> After {
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
}
