//! The process's own metrics, and the registry that joins them with those of the planes.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Once};
use std::time::Duration;

use portico_config::diagnostic::Severity;
use portico_config::publish::Published;
use portico_config::snapshot::diff::{self, Change};
use portico_config::snapshot::{Reach, Service, Snapshot};
use portico_net::listeners::{ListenerState, ListenerStatus};
use prometheus::core::Collector;
use prometheus::proto::MetricFamily;
use prometheus::{
    Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts,
};
use prometheus::{Registry, TextEncoder};

/// What the control side counts.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    valid: IntGauge,
    generation: IntGauge,
    loads: IntCounterVec,
    load_seconds: Histogram,
    diagnostics: IntGaugeVec,
    last_publication: Gauge,
    refused: IntCounter,
    programming: HistogramVec,
}

impl Metrics {
    /// Registers everything; fails only if two collectors claim one name.
    pub(crate) fn new(planes: Vec<Box<dyn Collector>>) -> prometheus::Result<Self> {
        let registry = Registry::new();
        let metrics = Self {
            valid: IntGauge::new("portico_config_valid", "1 while no object is refused.")?,
            generation: IntGauge::new("portico_config_generation", "The snapshot that serves.")?,
            loads: IntCounterVec::new(
                Opts::new("portico_config_reloads_total", "Batches of changes, by result."),
                &["result"],
            )?,
            load_seconds: Histogram::with_opts(
                HistogramOpts::new(
                    "portico_config_reload_duration_seconds",
                    "From a batch of changes to the commit of both planes.",
                )
                .buckets(vec![0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0]),
            )?,
            diagnostics: IntGaugeVec::new(
                Opts::new("portico_config_diagnostics", "Findings in the manifests as they are."),
                &["severity"],
            )?,
            last_publication: Gauge::new(
                "portico_config_last_publication_timestamp_seconds",
                "When the snapshot that serves was published, in seconds since 1970.",
            )?,
            refused: IntCounter::new(
                "coredns_reload_failed_total",
                "Edits of settings that were refused, and changes that could not be applied.",
            )?,
            programming: HistogramVec::new(
                HistogramOpts::new(
                    "coredns_kubernetes_dns_programming_duration_seconds",
                    "From a batch of changes to names that tell of them, by changed Service.",
                )
                .buckets(prometheus::exponential_buckets(0.001, 2.0, 20)?),
                &["service_kind"],
            )?,
            registry,
        };
        let build = IntGaugeVec::new(Opts::new("portico_build_info", "Always 1."), &["version"])?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        let own: [Box<dyn Collector>; 10] = [
            Box::new(panics()),
            Box::new(metrics.valid.clone()),
            Box::new(metrics.generation.clone()),
            Box::new(metrics.loads.clone()),
            Box::new(metrics.load_seconds.clone()),
            Box::new(metrics.diagnostics.clone()),
            Box::new(metrics.last_publication.clone()),
            Box::new(metrics.refused.clone()),
            Box::new(metrics.programming.clone()),
            Box::new(build),
        ];
        for collector in own.into_iter().chain(planes) {
            metrics.registry.register(collector)?;
        }
        for result in RESULTS {
            metrics.loads.with_label_values(&[result]);
        }
        for kind in SERVICE_KINDS {
            metrics.programming.with_label_values(&[kind]);
        }
        Ok(metrics)
    }

    /// One batch went through the pipeline.
    pub(crate) fn loaded(&self, published: &Published, changed: bool, took: Duration, now: u64) {
        let result = if changed { RESULTS[0] } else { RESULTS[1] };
        self.loads.with_label_values(&[result]).inc();
        self.load_seconds.observe(took.as_secs_f64());
        let mut counts = [0; SEVERITIES.len()];
        for diagnostic in published.diagnostics.iter() {
            let place = SEVERITIES
                .iter()
                .position(|it| *it == diagnostic.severity());
            if let Some(count) = place.and_then(|place| counts.get_mut(place)) {
                *count += 1;
            }
        }
        self.valid.set((counts[0] == 0).into());
        self.generation
            .set(i64::try_from(published.snapshot.generation).unwrap_or(i64::MAX));
        if changed {
            self.last_publication
                .set(Duration::from_secs(now).as_secs_f64());
        }
        for (severity, count) in SEVERITIES.iter().zip(counts) {
            self.diagnostics
                .with_label_values(&[&severity.to_string()])
                .set(count);
        }
    }

    /// A batch that portico itself could not digest; the last snapshot serves.
    pub(crate) fn load_failed(&self) {
        self.loads.with_label_values(&[RESULTS[2]]).inc();
        self.refused.inc();
    }

    /// An edit of the settings file that cannot be taken.
    pub(crate) fn settings_refused(&self) {
        self.refused.inc();
    }

    /// The names of every Service that came or changed tell of it since `took` after the batch.
    pub(crate) fn programmed(&self, before: &Snapshot, after: &Snapshot, took: Duration) {
        for change in diff::services(before, after) {
            let (Change::Added(service) | Change::Changed(_, service)) = change else { continue };
            if let Some(kind) = service_kind(service) {
                let durations = self.programming.with_label_values(&[kind]);
                durations.observe(took.as_secs_f64());
            }
        }
    }

    /// Everything, in Prometheus' text form, with how these listeners are.
    pub(crate) fn encode(&self, listeners: &[Arc<ListenerStatus>]) -> String {
        let counted = counted(listeners).map(|counted| {
            let mut families = self.registry.gather();
            families.extend(counted);
            families.sort_by(|one, other| one.name().cmp(other.name()));
            families
        });
        counted
            .and_then(|families| TextEncoder::new().encode_to_string(&families))
            .unwrap_or_else(|error| format!("# {error}\n"))
    }
}

/// `portico_listeners`, by what they are for and how they are.
fn counted(listeners: &[Arc<ListenerStatus>]) -> prometheus::Result<Vec<MetricFamily>> {
    let gauge = IntGaugeVec::new(
        Opts::new("portico_listeners", "Listeners of the process, by role and state."),
        &["role", "state"],
    )?;
    let mut counts: BTreeMap<(&str, &str), i64> = BTreeMap::new();
    for status in listeners {
        let state = match status.state {
            ListenerState::Serving => "serving",
            ListenerState::Degraded(_) => "degraded",
            ListenerState::Draining => "draining",
        };
        *counts.entry((status.role, state)).or_default() += 1;
    }
    for ((role, state), count) in counts {
        gauge.with_label_values(&[role, state]).set(count);
    }
    // One without series is no family.
    let families = gauge.collect().into_iter();
    Ok(families
        .filter(|family| !family.get_metric().is_empty())
        .collect())
}

/// What CoreDNS calls it; nothing for a name that leads elsewhere.
fn service_kind(service: &Service) -> Option<&'static str> {
    match (&service.reach, service.has_selector) {
        (Reach::ClusterIp(_), _) => Some(SERVICE_KINDS[0]),
        (Reach::Headless, true) => Some(SERVICE_KINDS[1]),
        (Reach::Headless, false) => Some(SERVICE_KINDS[2]),
        (Reach::ExternalName(_), _) => None,
    }
}

/// The panics of this process, counted from the first call on.
fn panics() -> IntCounter {
    static PANICS: LazyLock<IntCounter> = LazyLock::new(|| {
        IntCounter::new("coredns_panics_total", "Panics of this process.")
            .expect("the name is valid")
    });
    static HOOK: Once = Once::new();
    let counter = PANICS.clone();
    HOOK.call_once(|| {
        let (counter, before) = (PANICS.clone(), std::panic::take_hook());
        std::panic::set_hook(Box::new(move |panic| {
            counter.inc();
            before(panic);
        }));
    });
    counter
}

/// Errors first.
const SEVERITIES: [Severity; 3] = [Severity::Error, Severity::Warning, Severity::Note];
const SERVICE_KINDS: [&str; 3] =
    ["cluster_ip", "headless_with_selector", "headless_without_selector"];
const RESULTS: [&str; 3] = ["published", "unchanged", "failed"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_config_metrics_follow_what_is_published() {
        let metrics = Metrics::new(Vec::new()).unwrap();
        metrics.loaded(&Published::default(), true, Duration::from_millis(3), 1_000);
        let dns = ListenerStatus {
            role: "dns",
            address: "127.0.0.1:53".parse().unwrap(),
            protocol: "udp",
            serves: None,
            state: ListenerState::Degraded("taken".to_owned()),
        };
        let text = metrics.encode(&[Arc::new(dns)]);
        for line in [
            "portico_listeners{role=\"dns\",state=\"degraded\"} 1",
            "portico_config_valid 1",
            "portico_config_reloads_total{result=\"published\"} 1",
            "portico_config_reloads_total{result=\"failed\"} 0",
            "portico_config_diagnostics{severity=\"error\"} 0",
            concat!("portico_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1"),
        ] {
            assert!(text.lines().any(|got| got == line), "{line} in\n{text}");
        }
    }
}
