//! What one try came to, told to everybody who keeps count: the account and the log of the request,
//! the health of the endpoint, the counters of its ServicePort.
//!
//! What follows from it for the request is `exchange`'s to decide, with `repeat`.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use http::StatusCode;
use tracing::debug;

use super::Facts;
use super::download::{Download, Ended};
use super::repeat::{Lost, Repeats};
use super::server::Connection;
use super::upload::Upload;
use crate::l7::access::Tried;
use crate::l7::dial::Undialed;
use crate::l7::failure::Failure;
use crate::l7::io::Downstream;
use crate::l7::metrics::class;
use crate::l7::pool::Backend;
use crate::upstream::{Allowance, Caller, Fault as Breakdown, Port, Upstream};

impl<S: Downstream> Connection<S> {
    /// Notes what came of one try.
    pub(super) fn tell(&mut self, upload: &Upload, download: &Download, ended: Ended) {
        self.account.body_in = upload.body_bytes();
        (self.account.sent, self.account.head_out) = download.bytes();
        let answered = download.answered();
        if let Some(status) = answered {
            self.account.status = status.as_u16();
        }
        if let Some(status) = download.told.status() {
            self.account.call = Some(status);
        }
        if let Some(now) = download.answered_at {
            self.account.answered(now, download.at_once);
        }
        let status = match ended {
            Ended::Rejected(status) | Ended::Replaced(status) => Some(status),
            Ended::Failed { failure, .. } => Some(failure.status()),
            _ => answered,
        };
        self.note(|entry| {
            let (sent, head) = download.bytes();
            entry.tried(&Tried {
                status: status.map(|status| status.as_u16()),
                answered_at: download.answered_at,
                at_once: download.at_once,
                body_bytes: sent.saturating_sub(head),
            });
        });
    }

    /// What becomes of a request whose connection was lost, which may have been no more good for any.
    pub(super) fn lose(
        &self,
        upload: &Upload,
        why: Failure,
        (silent, reused): (bool, bool),
        backend: &mut Backend,
    ) -> Lost {
        let stale = &self.worker.metrics.stale;
        stale.fetch_add((silent && reused).into(), Relaxed);
        Lost::new(upload, why, (silent, reused), &mut backend.stream)
    }
}

/// Notes that an endpoint could not be reached; whether another one is asked.
pub(super) fn undialed(
    (port, upstream): (&Port, &Upstream),
    why: Undialed,
    (caller, repeats): (&mut Caller, &Repeats),
) -> bool {
    caller.now = Instant::now();
    why.tell(port, upstream, *caller);
    repeats.after_dial(why.failure, caller.now)
}

/// Notes that an endpoint's answer is not passed on, since another one is asked.
pub(super) fn rejected(
    (port, upstream): (&Port, &Upstream),
    status: StatusCode,
    (caller, allowed): (&mut Caller, Allowance),
) {
    caller.now = Instant::now();
    debug!(endpoint = %upstream.address, %status, "another endpoint is asked");
    port.repeat(caller.now, allowed);
}

/// Notes that an endpoint answered, with this status and as `download` has it.
pub(super) fn settle(
    port: &Port,
    (upstream, status): (&Upstream, StatusCode),
    (caller, download): (Caller, &Download),
    facts: &Facts,
) {
    if download.unrepeated {
        port.state.retries.refused.fetch_add(1, Relaxed);
    }
    match download.told.is_unavailable() {
        // It says itself that it does no work (`http-proxy 6.9`).
        true => port.failed((None, caller), upstream, Breakdown::Unavailable, Instant::now()),
        false => port.answered((upstream, facts.lead()), caller.now, Instant::now),
    }
    if facts.is_aside() {
        port.state.inquiries[class(status)].fetch_add(1, Relaxed);
    }
}
