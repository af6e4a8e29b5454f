//! One upstream as all workers see it: whether it works, and what is known of its ways.
//!
//! Health is found in band (`dns 4.1`): an error begins probes, [`DOWN_AFTER`] of which make it down,
//! and any reply makes it up again. Invariants: atomics alone; no I/O and no clock. Probing is
//! `probe`'s work.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use portico_config::model::{UpstreamAddress, UpstreamTransport};
use tokio_util::sync::CancellationToken;

use super::metrics::{Metrics, UpstreamMetrics};

/// One upstream, for as long as the routes name it.
#[derive(Debug)]
pub(crate) struct Upstream {
    pub(crate) address: UpstreamAddress,
    /// The suffix whose names it is asked, on the wire: of several the first.
    pub(crate) suffix: Box<[u8]>,
    /// Probes that failed, one after the other.
    failed_probes: AtomicU32,
    is_probed: AtomicBool,
    /// It asks us what we ask it.
    is_looped: AtomicBool,
    /// Whether somebody has begun to find that out.
    is_checked: AtomicBool,
    /// It does not repeat the case of letters.
    forgets_case: AtomicBool,
    pub(crate) metrics: UpstreamMetrics,
    /// Cancelled when no route names it any more.
    pub(crate) gone: CancellationToken,
}

impl Upstream {
    /// One of which nothing is known.
    pub(crate) fn new(address: UpstreamAddress, suffix: &[u8], metrics: &Metrics) -> Arc<Self> {
        let metrics = metrics.upstream(&address.to_string(), protocol(&address));
        Arc::new(Self {
            address,
            suffix: suffix.into(),
            failed_probes: AtomicU32::new(0),
            is_probed: AtomicBool::new(false),
            is_looped: AtomicBool::new(false),
            is_checked: AtomicBool::new(false),
            forgets_case: AtomicBool::new(false),
            metrics,
            gone: CancellationToken::new(),
        })
    }

    /// Whether it works, as far as is known.
    pub(crate) fn is_up(&self) -> bool {
        self.failed_probes.load(Ordering::Relaxed) < DOWN_AFTER && !self.is_looped()
    }

    /// Whether it asks us what we ask it.
    pub(crate) fn is_looped(&self) -> bool {
        self.is_looped.load(Ordering::Relaxed)
    }

    /// It has replied, whatever it said.
    pub(crate) fn has_replied(&self) {
        // Most of the time nothing changes, and a line of memory that all workers share stays clean.
        if self.failed_probes.load(Ordering::Relaxed) > 0 {
            self.failed_probes.store(0, Ordering::Relaxed);
            self.show();
        }
    }

    /// A probe has failed; whether that put it down.
    pub(crate) fn has_failed_probe(&self) -> bool {
        self.metrics.probe_failures.inc();
        let failed = self.failed_probes.fetch_add(1, Ordering::Relaxed) + 1;
        self.show();
        failed == DOWN_AFTER
    }

    /// Whether the caller is to probe it: nobody does yet.
    pub(crate) fn begin_probes(&self) -> bool {
        !self.is_probed.swap(true, Ordering::AcqRel)
    }

    /// The probes have ended.
    pub(crate) fn end_probes(&self) {
        self.is_probed.store(false, Ordering::Release);
    }

    /// Whether the caller is to find out if it leads back to us: nobody has.
    pub(crate) fn begin_check(&self) -> bool {
        !self.is_checked.load(Ordering::Relaxed) && !self.is_checked.swap(true, Ordering::AcqRel)
    }

    /// Notes whether it leads back to us; whether that is news.
    pub(crate) fn set_looped(&self, looped: bool) -> bool {
        let is_news = self.is_looped.swap(looped, Ordering::Relaxed) != looped;
        self.show();
        is_news
    }

    /// The label of its series.
    pub(crate) fn label(&self) -> (String, &'static str) {
        (self.address.to_string(), protocol(&self.address))
    }

    fn show(&self) {
        self.metrics.up.set(self.is_up().into());
    }

    /// Whether the case of letters is no secret to it.
    pub(crate) fn forgets_case(&self) -> bool {
        self.forgets_case.load(Ordering::Relaxed)
    }

    /// It replied, over a stream that nobody can forge, in other letters.
    pub(crate) fn has_forgotten_case(&self) {
        self.forgets_case.store(true, Ordering::Relaxed);
    }
}

/// How it is spoken to, as the label of CoreDNS's series has it.
fn protocol(address: &UpstreamAddress) -> &'static str {
    match address.transport {
        UpstreamTransport::Udp => "udp",
        UpstreamTransport::Tcp => "tcp",
        UpstreamTransport::Tls => "tcp-tls",
    }
}

/// Failed probes that make an upstream down.
const DOWN_AFTER: u32 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    fn upstream() -> Arc<Upstream> {
        Upstream::new("192.0.2.1".parse().unwrap(), &[0], &Metrics::new())
    }

    #[test]
    fn two_failed_probes_put_it_down_and_any_reply_up() {
        let upstream = upstream();
        assert!(upstream.is_up());
        assert!(!upstream.has_failed_probe() && upstream.is_up());
        assert!(upstream.has_failed_probe() && !upstream.is_up());
        assert!(!upstream.has_failed_probe(), "it is down already");
        upstream.has_replied();
        assert!(upstream.is_up());
    }

    #[test]
    fn a_loop_is_down_whatever_it_replies() {
        let upstream = upstream();
        assert!(upstream.begin_check() && !upstream.begin_check());
        assert!(upstream.set_looped(true) && !upstream.set_looped(true));
        upstream.has_replied();
        assert!(!upstream.is_up() && upstream.is_looped());
        assert!(upstream.set_looped(false) && upstream.is_up());
    }

    #[test]
    fn one_at_a_time_probes() {
        let upstream = upstream();
        assert!(upstream.begin_probes() && !upstream.begin_probes());
        upstream.end_probes();
        assert!(upstream.begin_probes());
    }
}
