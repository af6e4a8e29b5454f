//! The process's own metrics, and the registry that joins them with those of the planes.

use std::sync::{LazyLock, Once};
use std::time::Duration;

use portico_config::diagnostic::Severity;
use portico_config::publish::Published;
use prometheus::core::Collector;
use prometheus::{
    Gauge, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
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
            registry,
        };
        let build = IntGaugeVec::new(Opts::new("portico_build_info", "Always 1."), &["version"])?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        let own: [Box<dyn Collector>; 8] = [
            Box::new(panics()),
            Box::new(metrics.valid.clone()),
            Box::new(metrics.generation.clone()),
            Box::new(metrics.loads.clone()),
            Box::new(metrics.load_seconds.clone()),
            Box::new(metrics.diagnostics.clone()),
            Box::new(metrics.last_publication.clone()),
            Box::new(build),
        ];
        for collector in own.into_iter().chain(planes) {
            metrics.registry.register(collector)?;
        }
        for result in RESULTS {
            metrics.loads.with_label_values(&[result]);
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
    }

    /// Everything, in Prometheus' text form.
    pub(crate) fn encode(&self) -> String {
        TextEncoder::new()
            .encode_to_string(&self.registry.gather())
            .unwrap_or_else(|error| format!("# {error}\n"))
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
const RESULTS: [&str; 3] = ["published", "unchanged", "failed"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_config_metrics_follow_what_is_published() {
        let metrics = Metrics::new(Vec::new()).unwrap();
        metrics.loaded(&Published::default(), true, Duration::from_millis(3), 1_000);
        let text = metrics.encode();
        for line in [
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
