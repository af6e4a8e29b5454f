//! What the front door counts beside what requests come to, which is `ledger`'s: connections by kind,
//! and what backends were asked for its own sake.
//!
//! Labels are closed sets and names of configuration; a client cannot make a series.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use portico_config::model::Coding;
use portico_net::dev_ca::DevCa;
use prometheus::proto::MetricFamily;
use prometheus::{IntCounterVec, IntGauge, Opts, Registry};

use super::mirror::Counts;
use super::tls::Tls;
use super::verify::Verifier;
use crate::ledger::{Ledger, Subject};
use crate::upstream::{Padded, STATUS_CLASSES as CLASSES};

/// Counters of all workers.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    /// Requests that no rule was found for.
    pub(crate) unrouted: Ledger,
    /// Client connections that are open now.
    pub(crate) active: Padded<AtomicI64>,
    /// Connections to endpoints opened anew.
    pub(crate) opened: Padded<AtomicU64>,
    /// Requests over a connection that was there already.
    pub(crate) reused: Padded<AtomicU64>,
    /// Responses brought into a coding, and those that none was left for.
    coded: [AtomicU64; CODED.len()],
    /// What became of copies of requests.
    pub(crate) copies: Counts,
    /// TLS handshakes that failed.
    pub(crate) tls_errors: AtomicU64,
    /// HTTP/2 connections ended for giving up what they asked for (`http-proxy 6.4`).
    pub(crate) h2_expelled: AtomicU64,
    /// Who computes the hashes of passwords, for all workers, once there is one.
    pub(crate) verifier: OnceLock<Verifier>,
    /// Who signs certificates of hosts that have none.
    pub(crate) dev_ca: OnceLock<Arc<DevCa>>,
    /// The TLS configurations that all workers share, so that they share their tickets.
    pub(crate) tls: OnceLock<Option<Arc<Tls>>>,
}

impl Metrics {
    /// None yet, for so many workers.
    pub(crate) fn new(workers: usize) -> Self {
        Self { unrouted: Ledger::new(Subject::default(), workers), ..Self::default() }
    }

    /// Counts a response that is brought into a coding; none: it goes as it is, since there are too many.
    pub(crate) fn coded(&self, coding: Option<Coding>) {
        let at = match coding {
            Some(Coding::Gzip) => 0,
            Some(Coding::Brotli) => 1,
            Some(Coding::Zstd) => 2,
            None => 3,
        };
        self.coded[at].fetch_add(1, Relaxed);
    }

    /// Everything, as a scrape wants it; `ports` gives what each ServicePort answered by class.
    pub(crate) fn families<'a>(
        &'a self,
        ports: impl Iterator<Item = (&'a str, &'a str, &'a [AtomicU64; CLASSES])>,
    ) -> prometheus::Result<Vec<MetricFamily>> {
        let registry = Registry::new();
        let inquiries = IntCounterVec::new(
            Opts::new("portico_l7_inquiries_total", "What backends answered to requests of ours."),
            &["service", "port", "code"],
        )?;
        registry.register(Box::new(inquiries.clone()))?;
        for (service, port, counts) in ports {
            for (code, count) in CODES.iter().zip(counts) {
                let count = count.load(Relaxed);
                if count > 0 {
                    inquiries
                        .with_label_values(&[service, port, *code])
                        .inc_by(count);
                }
            }
        }
        let upstream = IntCounterVec::new(
            Opts::new("portico_l7_upstream_connections_total", "Connections to endpoints, by how."),
            &["how"],
        )?;
        registry.register(Box::new(upstream.clone()))?;
        upstream
            .with_label_values(&["opened"])
            .inc_by(self.opened.0.load(Relaxed));
        upstream
            .with_label_values(&["reused"])
            .inc_by(self.reused.0.load(Relaxed));
        let coded = CODED.into_iter().zip(&self.coded);
        let about = ("portico_l7_compressed_total", "Responses that were compressed, by coding.");
        by_kind(&registry, about, "coding", coded)?;
        let Counts { sent, failed, dropped } = &self.copies;
        let copies = [("sent", sent), ("failed", failed), ("dropped", dropped)];
        let about = ("portico_l7_mirrored_total", "Copies of requests, by what became of them.");
        by_kind(&registry, about, "outcome", copies)?;
        let active =
            IntGauge::new("portico_l7_connections_active", "Client connections open now.")?;
        active.set(self.active.0.load(Relaxed));
        registry.register(Box::new(active))?;
        let tls = prometheus::IntCounter::new(
            "portico_l7_tls_errors_total",
            "TLS handshakes that failed.",
        )?;
        tls.inc_by(self.tls_errors.load(Relaxed));
        registry.register(Box::new(tls))?;
        let expelled = prometheus::IntCounter::new(
            "portico_l7_h2_expelled_total",
            "HTTP/2 connections ended because their clients gave up most of what they asked for.",
        )?;
        expelled.inc_by(self.h2_expelled.load(Relaxed));
        registry.register(Box::new(expelled))?;
        Ok(registry.gather())
    }
}

/// Registers a counter with one label, and of its series those that have begun.
fn by_kind<'a>(
    registry: &Registry,
    (name, help): (&str, &str),
    label: &str,
    counts: impl IntoIterator<Item = (&'a str, &'a AtomicU64)>,
) -> prometheus::Result<()> {
    let family = IntCounterVec::new(Opts::new(name, help), &[label])?;
    registry.register(Box::new(family.clone()))?;
    for (kind, count) in counts {
        let count = count.load(Relaxed);
        if count > 0 {
            family.with_label_values(&[kind]).inc_by(count);
        }
    }
    Ok(())
}

/// Which counter a status belongs to.
pub(crate) fn class(status: http::StatusCode) -> usize {
    usize::from(status.as_u16() / 100)
        .saturating_sub(1)
        .min(CLASSES - 1)
}

/// `none`: as it was, since there were too many coders.
const CODED: [&str; 4] = ["gzip", "br", "zstd", "none"];
const CODES: [&str; CLASSES] = ["1xx", "2xx", "3xx", "4xx", "5xx"];
