//! What forwarding and its cache count, under CoreDNS's names where it has them.
//!
//! Labels are bounded: upstreams come from settings or the host's file, and their series leave with
//! them. Every counter is found once, when its upstream is made.

use std::sync::Arc;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
};

use crate::cache::Cache;

/// The metrics of forwarding.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    durations: HistogramVec,
    probe_failures: IntCounterVec,
    reused: IntCounterVec,
    opened: IntCounterVec,
    up: IntGaugeVec,
    /// Queries that found all places taken.
    pub(crate) rejected: IntCounter,
    /// Queries for which every upstream was down.
    pub(crate) all_down: IntCounter,
    /// Replies that belonged to no query.
    pub(crate) mismatches: IntCounter,
    /// Replies that belonged to their query and were malformed.
    pub(crate) malformed: IntCounter,
    /// Replies that were not told since they lead to private addresses.
    pub(crate) rebindings: IntCounter,
    /// Times that an upstream was found to lead back to us.
    pub(crate) loops: IntCounter,
    /// Queries that wait for upstreams now.
    pub(crate) waiting: IntGauge,
    cache: CacheMetrics,
}

/// The counters of one upstream.
#[derive(Clone, Debug)]
pub(crate) struct UpstreamMetrics {
    /// Times of exchanges, in the order of [`RCODES`].
    durations: Vec<Histogram>,
    /// Probes that failed.
    pub(crate) probe_failures: IntCounter,
    /// Exchanges over a connection that was open.
    pub(crate) reused: IntCounter,
    /// Exchanges over a new connection.
    pub(crate) opened: IntCounter,
    /// 1 while it works.
    pub(crate) up: IntGauge,
}

/// What the cache counts.
#[derive(Clone, Debug)]
pub(crate) struct CacheCounts {
    pub(crate) requests: IntCounter,
    pub(crate) misses: IntCounter,
    pub(crate) prefetches: IntCounter,
    pub(crate) served_stale: IntCounter,
    hits: [IntCounter; 2],
    evictions: [IntCounter; 2],
}

#[derive(Clone, Debug)]
struct CacheMetrics {
    requests: IntCounterVec,
    misses: IntCounterVec,
    prefetches: IntCounterVec,
    drops: IntCounterVec,
    served_stale: IntCounterVec,
    hits: IntCounterVec,
    evictions: IntCounterVec,
    entries: IntGaugeVec,
    bytes: IntGauge,
}

/// Everything, for the process's registry.
#[derive(Clone, Debug)]
pub(crate) struct Everything {
    pub(crate) metrics: Metrics,
    pub(crate) cache: Arc<Cache>,
}

impl Metrics {
    /// All of them at zero.
    pub(crate) fn new() -> Self {
        let opts = HistogramOpts::new(
            "coredns_proxy_request_duration_seconds",
            "Exchanges with upstreams, by response code.",
        );
        let buckets = prometheus::exponential_buckets(0.000_25, 2.0, 16)
            .expect("the first bucket and the factor are positive");
        let durations = HistogramVec::new(opts.buckets(buckets), &["proxy_name", "to", "rcode"])
            .expect("the name and labels are valid");
        let cache = CacheMetrics::new();
        Self {
            durations,
            malformed: cache.drops.with_label_values(&CACHE),
            probe_failures: counters(
                "coredns_proxy_healthcheck_failures_total",
                "Probes of upstreams that failed.",
                &["proxy_name", "to"],
            ),
            reused: counters("coredns_proxy_conn_cache_hits_total", REUSED, CONNECTION),
            opened: counters("coredns_proxy_conn_cache_misses_total", OPENED, CONNECTION),
            up: gauges("portico_dns_forward_up", "1 for an upstream that works.", &["to"]),
            rejected: counter(
                "coredns_forward_max_concurrent_rejects_total",
                "Queries refused since too many waited.",
            ),
            all_down: counter(
                "coredns_forward_healthcheck_broken_total",
                "Queries for which every upstream was down.",
            ),
            mismatches: counter(
                "portico_dns_forward_mismatches_total",
                "Replies of upstreams that belonged to no query.",
            ),
            rebindings: counter(
                "portico_dns_forward_rebindings_total",
                "Replies of upstreams that lead to private addresses.",
            ),
            loops: counter(
                "portico_dns_forward_loops_total",
                "Times that an upstream was found to lead back here.",
            ),
            waiting: gauge("portico_dns_forward_waiting", "Queries that wait for upstreams."),
            cache,
        }
    }

    /// The counters of the upstream at `to`.
    pub(crate) fn upstream(&self, to: &str, protocol: &str) -> UpstreamMetrics {
        let duration = |rcode: &&str| self.durations.with_label_values(&[NAME, to, rcode]);
        let up = self.up.with_label_values(&[to]);
        up.set(1);
        UpstreamMetrics {
            durations: RCODES.iter().map(duration).collect(),
            probe_failures: self.probe_failures.with_label_values(&[NAME, to]),
            reused: self.reused.with_label_values(&[NAME, to, protocol]),
            opened: self.opened.with_label_values(&[NAME, to, protocol]),
            up,
        }
    }

    /// Lets the series of an upstream go.
    pub(crate) fn forget(&self, to: &str, protocol: &str) {
        // Each fails where there is none.
        for rcode in RCODES {
            let _ = self.durations.remove_label_values(&[NAME, to, rcode]);
        }
        let _ = self.probe_failures.remove_label_values(&[NAME, to]);
        let _ = self.reused.remove_label_values(&[NAME, to, protocol]);
        let _ = self.opened.remove_label_values(&[NAME, to, protocol]);
        let _ = self.up.remove_label_values(&[to]);
    }

    /// The counters of the cache.
    pub(crate) fn cache_counts(&self) -> CacheCounts {
        let of = |vector: &IntCounterVec| vector.with_label_values(&CACHE);
        let both = |vector: &IntCounterVec| {
            KINDS.map(|kind| vector.with_label_values(&[CACHE[0], kind, CACHE[1], CACHE[2]]))
        };
        let cache = &self.cache;
        CacheCounts {
            requests: of(&cache.requests),
            misses: of(&cache.misses),
            prefetches: of(&cache.prefetches),
            served_stale: of(&cache.served_stale),
            hits: both(&cache.hits),
            evictions: both(&cache.evictions),
        }
    }
}

impl UpstreamMetrics {
    /// An exchange that ended with this code, or with none.
    pub(crate) fn exchanged(&self, rcode: Option<u16>, seconds: f64) {
        let error = RCODES.len() - 1;
        let place = rcode.map_or(error, |rcode| usize::from(rcode).min(error - 1));
        if let Some(duration) = self.durations.get(place) {
            duration.observe(seconds);
        }
    }
}

impl CacheCounts {
    /// A response that was found.
    pub(crate) fn hit(&self, is_denial: bool) {
        self.hits[usize::from(is_denial)].inc();
    }

    /// A response that had to go.
    pub(crate) fn eviction(&self, is_denial: bool) {
        self.evictions[usize::from(is_denial)].inc();
    }
}

impl CacheMetrics {
    fn new() -> Self {
        let of = |name: &str, help: &str| counters(name, help, &["server", "zones", "view"]);
        let typed = &["server", "type", "zones", "view"];
        Self {
            requests: of("coredns_cache_requests_total", "Questions that the cache was asked."),
            misses: of("coredns_cache_misses_total", "Questions that it had no answer to."),
            prefetches: of("coredns_cache_prefetch_total", "Answers fetched before their end."),
            drops: of("coredns_cache_drops_total", "Answers not kept since they were malformed."),
            served_stale: of("coredns_cache_served_stale_total", "Answers told after their end."),
            hits: counters("coredns_cache_hits_total", "Answers found.", typed),
            evictions: counters("coredns_cache_evictions_total", "Answers that had to go.", typed),
            entries: gauges("coredns_cache_entries", "Answers that are kept.", typed),
            bytes: gauge("portico_dns_cache_bytes", "Memory of answers that are kept, about."),
        }
    }

    fn all(&self) -> [&dyn Collector; 9] {
        [
            &self.requests,
            &self.misses,
            &self.prefetches,
            &self.drops,
            &self.served_stale,
            &self.hits,
            &self.evictions,
            &self.entries,
            &self.bytes,
        ]
    }
}

impl Everything {
    fn all(&self) -> impl Iterator<Item = &dyn Collector> {
        let metrics = &self.metrics;
        let own: [&dyn Collector; 11] = [
            &metrics.durations,
            &metrics.probe_failures,
            &metrics.reused,
            &metrics.opened,
            &metrics.up,
            &metrics.rejected,
            &metrics.all_down,
            &metrics.mismatches,
            &metrics.rebindings,
            &metrics.loops,
            &metrics.waiting,
        ];
        own.into_iter().chain(metrics.cache.all())
    }
}

impl Collector for Everything {
    fn desc(&self) -> Vec<&Desc> {
        self.all().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let (found, denials) = self.cache.entries();
        for (kind, count) in KINDS.iter().zip([found, denials]) {
            let labels = [CACHE[0], kind, CACHE[1], CACHE[2]];
            let entries = &self.metrics.cache.entries;
            entries.with_label_values(&labels).set(number(count));
        }
        self.metrics.cache.bytes.set(number(self.cache.bytes()));
        self.all().flat_map(Collector::collect).collect()
    }
}

fn counter(name: &str, help: &str) -> IntCounter {
    IntCounter::new(name, help).expect("the name is valid")
}

fn gauge(name: &str, help: &str) -> IntGauge {
    IntGauge::new(name, help).expect("the name is valid")
}

fn counters(name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
    IntCounterVec::new(Opts::new(name, help), labels).expect("the name and labels are valid")
}

fn gauges(name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
    IntGaugeVec::new(Opts::new(name, help), labels).expect("the name and labels are valid")
}

const NAME: &str = "forward";
const CONNECTION: &[&str] = &["proxy_name", "to", "proto"];
const REUSED: &str = "Exchanges over a connection that was open.";
const OPENED: &str = "Exchanges over a new connection.";
/// `server`, `zones` and `view`: one cache for all.
const CACHE: [&str; 3] = ["dns://", ".", ""];
const KINDS: [&str; 2] = ["success", "denial"];
/// By code; then all others, and exchanges without a reply.
const RCODES: [&str; 8] =
    ["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "other", "error"];
