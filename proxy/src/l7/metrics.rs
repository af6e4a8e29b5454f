//! What the front door counts beside what requests come to, which is `ledger`'s: connections by kind,
//! and what backends were asked for its own sake.
//!
//! Labels are closed sets and names of configuration; a client cannot make a series.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use http::StatusCode;
use portico_config::model::Coding;
use portico_net::dev_ca::DevCa;
use prometheus::proto::MetricFamily;
use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry};
use rustls::{HandshakeKind, ProtocolVersion, ServerConnection};

use super::mirror::Counts;
use super::outside::Forbidden;
use super::tls::Tls;
use super::verify::Verifier;
use crate::ledger::{Ledger, Subject};
use crate::pressure::Pressure;
use crate::upstream::{Padded, STATUS_CLASSES as CLASSES};

/// Counters of all workers.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    /// Requests that no rule was found for.
    pub(crate) unrouted: Ledger,
    /// Client connections that are open now.
    pub(crate) active: Padded<AtomicI64>,
    /// All that ever were, plain and over TLS.
    pub(crate) accepted: [Padded<AtomicU64>; LISTENERS.len()],
    /// Heads that were no request, by [`MALFORMED`].
    malformed: [AtomicU64; MALFORMED.len()],
    /// Requests that were larger than they may be, by [`LIMITS`].
    over_limit: [AtomicU64; LIMITS.len()],
    /// Connections to endpoints opened anew.
    pub(crate) opened: Padded<AtomicU64>,
    /// Requests over a connection that was there already.
    pub(crate) reused: Padded<AtomicU64>,
    /// Requests that such a connection was no more good for.
    pub(crate) stale: AtomicU64,
    /// Responses brought into a coding, and those that none was left for.
    coded: [AtomicU64; CODED.len()],
    /// What became of copies of requests.
    pub(crate) copies: Counts,
    /// Connections that came to no request, by listener and [`Refusal`].
    refused: [[AtomicU64; Refusal::ALL.len()]; LISTENERS.len()],
    /// How short of memory the process is, and what that came to.
    pub(crate) pressure: Pressure,
    /// Panics that ended a request or a connection, by worker.
    panics: Box<[AtomicU64]>,
    /// TLS handshakes that came to something, by [`VERSIONS`], full ones and resumed ones.
    handshakes: [[AtomicU64; 2]; VERSIONS.len()],
    /// Streams of HTTP/2 that their clients gave up before they were answered.
    pub(crate) h2_glitches: AtomicU64,
    /// HTTP/2 connections whose clients were told that no new stream is taken.
    pub(crate) h2_left: AtomicU64,
    /// HTTP/2 connections ended for giving up what they asked for (`http-proxy 6.4`).
    pub(crate) h2_expelled: AtomicU64,
    /// Who computes the hashes of passwords, for all workers, once there is one.
    pub(crate) verifier: OnceLock<Verifier>,
    /// Who signs certificates of hosts that have none.
    pub(crate) dev_ca: OnceLock<Arc<DevCa>>,
    /// What is never dialed for an annotation.
    pub(crate) forbidden: OnceLock<Forbidden>,
    /// The TLS configurations that all workers share, so that they share their tickets.
    pub(crate) tls: OnceLock<Option<Arc<Tls>>>,
}

impl Metrics {
    /// None yet, for so many workers.
    pub(crate) fn new(workers: usize) -> Self {
        Self {
            unrouted: Ledger::new(Subject::default(), workers),
            panics: (0..workers).map(|_| AtomicU64::default()).collect(),
            ..Self::default()
        }
    }

    /// Counts a panic that ended a request or a connection of this worker.
    pub(crate) fn panicked(&self, worker: usize) {
        if let Some(panics) = self.panics.get(worker) {
            panics.fetch_add(1, Relaxed);
        }
    }

    /// Counts a connection that ends before its client can ask for anything.
    pub(crate) fn refuse(&self, tls: bool, why: Refusal) {
        self.refused[usize::from(tls)][why as usize].fetch_add(1, Relaxed);
    }

    /// How many did for this reason.
    fn refusals(&self, why: Refusal) -> u64 {
        let counts = self.refused.iter().map(|of| of[why as usize].load(Relaxed));
        counts.sum()
    }

    /// Counts a head that is answered with this status, since it is no request.
    pub(crate) fn refused(&self, status: StatusCode) {
        let code = status.as_u16();
        if let Some(at) = MALFORMED.iter().position(|&(it, _)| it == code) {
            self.malformed[at].fetch_add(1, Relaxed);
        }
    }

    /// Counts an answer of our own, where it says that a limit was passed.
    pub(crate) fn answered_own(&self, status: StatusCode) {
        let code = status.as_u16();
        if let Some(at) = LIMITS.iter().position(|&(it, _)| it == code) {
            self.over_limit[at].fetch_add(1, Relaxed);
        }
    }

    /// Counts a TLS handshake that came to something.
    pub(crate) fn agreed(&self, session: &ServerConnection) {
        let version = match session.protocol_version() {
            Some(ProtocolVersion::TLSv1_3) => 1,
            _ => 0,
        };
        let is_resumed = session.handshake_kind() == Some(HandshakeKind::Resumed);
        self.handshakes[version][usize::from(is_resumed)].fetch_add(1, Relaxed);
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
        for (how, count) in
            [("opened", &self.opened.0), ("reused", &self.reused.0), ("stale", &self.stale)]
        {
            upstream
                .with_label_values(&[how])
                .inc_by(count.load(Relaxed));
        }
        self.put_downstream(&registry)?;
        let coded = CODED.into_iter().zip(&self.coded);
        let about = ("portico_l7_compressed_total", "Responses that were compressed, by coding.");
        by_kind(&registry, about, "coding", coded)?;
        let Counts { sent, failed, dropped } = &self.copies;
        let copies = [("sent", sent), ("failed", failed), ("dropped", dropped)];
        let about = ("portico_l7_mirrored_total", "Copies of requests, by what became of them.");
        by_kind(&registry, about, "outcome", copies)?;
        let Pressure { shed_for_memory, shed_for_lag, .. } = &self.pressure;
        let shed = [("memory", shed_for_memory), ("lag", shed_for_lag)];
        let about =
            ("portico_l7_shed_total", "Requests turned away, by what there was too little of.");
        by_kind(&registry, about, "reason", shed)?;
        let active =
            IntGauge::new("portico_l7_connections_active", "Client connections open now.")?;
        active.set(self.active.0.load(Relaxed));
        registry.register(Box::new(active))?;
        let panics = IntCounterVec::new(
            Opts::new("portico_l7_panics_total", "Panics that ended a request or a connection."),
            &["worker"],
        )?;
        registry.register(Box::new(panics.clone()))?;
        for (worker, count) in self.panics.iter().enumerate() {
            panics
                .with_label_values(&[worker.to_string()])
                .inc_by(count.load(Relaxed));
        }
        Ok(registry.gather())
    }

    /// Connections that came to no request, by listener and reason, as far as there was any.
    fn put_refused(&self, registry: &Registry) -> prometheus::Result<()> {
        let refused = IntCounterVec::new(
            Opts::new(
                "portico_l7_connections_refused_total",
                "Client connections that ended before a request, by kind of listener.",
            ),
            &["listener", "reason"],
        )?;
        registry.register(Box::new(refused.clone()))?;
        for (listener, counts) in LISTENERS.iter().zip(&self.refused) {
            for (why, count) in Refusal::ALL.iter().zip(counts) {
                let count = count.load(Relaxed);
                if count > 0 {
                    refused
                        .with_label_values(&[*listener, why.label()])
                        .inc_by(count);
                }
            }
        }
        Ok(())
    }

    /// What is known of clients' connections and of what they send.
    fn put_downstream(&self, registry: &Registry) -> prometheus::Result<()> {
        let accepted = LISTENERS
            .into_iter()
            .zip(self.accepted.iter().map(|it| &it.0));
        let about = ("portico_l7_connections_total", "Client connections, by kind of listener.");
        by_kind(registry, about, "listener", accepted)?;
        self.put_refused(registry)?;
        let malformed = MALFORMED.iter().map(|it| it.1).zip(&self.malformed);
        let about = ("portico_l7_malformed_requests_total", "Heads that were no request, by how.");
        by_kind(registry, about, "reason", malformed)?;
        let limits = LIMITS.iter().map(|it| it.1).zip(&self.over_limit);
        let about =
            ("portico_l7_limit_exceeded_total", "Requests that were larger than they may be.");
        by_kind(registry, about, "reason", limits)?;
        let goaway = [("graceful", &self.h2_left), ("calm", &self.h2_expelled)];
        let about = ("portico_l7_h2_goaway_total", "HTTP/2 connections that were ended, by how.");
        by_kind(registry, about, "reason", goaway)?;
        let handshakes = IntCounterVec::new(
            Opts::new("portico_l7_tls_handshakes_total", "TLS handshakes, by what they came to."),
            &["version", "result"],
        )?;
        registry.register(Box::new(handshakes.clone()))?;
        let agreed =
            VERSIONS
                .iter()
                .zip(&self.handshakes)
                .flat_map(|(version, [full, resumed])| {
                    [(*version, "full", full), (*version, "resumed", resumed)]
                });
        let agreed = agreed.map(|(version, result, count)| (version, result, count.load(Relaxed)));
        let failed = self.refusals(Refusal::Tls);
        for (version, result, count) in agreed.chain([("", "failed", failed)]) {
            if count > 0 {
                handshakes
                    .with_label_values(&[version, result])
                    .inc_by(count);
            }
        }
        for (name, help, count) in [
            ("portico_l7_tls_errors_total", "TLS handshakes that failed.", failed),
            (
                "portico_l7_proxy_protocol_errors_total",
                "Clients without the PROXY header that is required.",
                self.refusals(Refusal::ProxyProtocol),
            ),
            (
                "portico_l7_h2_glitches_total",
                "Streams of HTTP/2 that were given up.",
                self.h2_glitches.load(Relaxed),
            ),
            (
                "portico_l7_h2_expelled_total",
                "HTTP/2 connections ended because their clients gave up most of what they asked for.",
                self.h2_expelled.load(Relaxed),
            ),
        ] {
            let counter = IntCounter::new(name, help)?;
            counter.inc_by(count);
            registry.register(Box::new(counter))?;
        }
        Ok(())
    }
}

/// Why a connection ends before its client can ask for anything.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Refusal {
    /// The PROXY header that is required was missing, wrong, late or of nobody who is trusted.
    ProxyProtocol,
    /// Its client has as many as one may have.
    Limit,
    /// Its handshake of TLS failed.
    Tls,
}

impl Refusal {
    /// In the order of their numbers.
    const ALL: [Self; 3] = [Self::ProxyProtocol, Self::Limit, Self::Tls];

    fn label(self) -> &'static str {
        match self {
            Self::ProxyProtocol => "proxy_protocol",
            Self::Limit => "limit",
            Self::Tls => "tls",
        }
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
pub(crate) fn class(status: StatusCode) -> usize {
    usize::from(status.as_u16() / 100)
        .saturating_sub(1)
        .min(CLASSES - 1)
}

/// `none`: as it was, since there were too many coders.
const CODED: [&str; 4] = ["gzip", "br", "zstd", "none"];
/// Listeners without TLS and with it.
const LISTENERS: [&str; 2] = ["http", "https"];
/// By which status a head is refused that is no request, and what that is called.
const MALFORMED: [(u16, &str); 4] =
    [(400, "syntax"), (408, "late"), (501, "coding"), (505, "version")];
/// By which status something is refused that is too long, and what that is called.
const LIMITS: [(u16, &str); 3] = [(413, "body"), (414, "target"), (431, "fields")];
const VERSIONS: [&str; 2] = ["1.2", "1.3"];
const CODES: [&str; CLASSES] = ["1xx", "2xx", "3xx", "4xx", "5xx"];
