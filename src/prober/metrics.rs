//! What the prober counts, in the kubelet's words where it has some; labels are closed sets.

use std::time::Duration;

use portico_config::model::Purpose;
use prometheus::core::Collector;
use prometheus::{
    HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
};

use super::worker::Outcome;

/// The prober's metrics. Cheap to clone: all clones are one.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    runs: IntCounterVec,
    seconds: HistogramVec,
    pods: IntGaugeVec,
    active: IntGauge,
    delayed: IntCounter,
}

impl Metrics {
    /// Fails only if a name or label were malformed.
    pub(crate) fn new() -> prometheus::Result<Self> {
        let runs = Opts::new("portico_prober_probe_total", "Runs of probes, by what they came to.");
        let seconds = HistogramOpts::new(
            "portico_prober_probe_duration_seconds",
            "How long runs of probes took that came to something.",
        );
        let seconds = seconds.buckets(vec![0.001, 0.005, 0.025, 0.1, 0.25, 1.0, 5.0]);
        let pods =
            Opts::new("portico_prober_pods", "Pods that are probed, by whether they are ready.");
        let metrics = Self {
            runs: IntCounterVec::new(runs, &["probe_type", "result"])?,
            seconds: HistogramVec::new(seconds, &["probe_type"])?,
            pods: IntGaugeVec::new(pods, &["ready"])?,
            active: IntGauge::new("portico_prober_probes_active", "Probes that are out now.")?,
            delayed: IntCounter::new(
                "portico_prober_delayed_total",
                "Runs of probes that had to wait, since too many were out.",
            )?,
        };
        for purpose in [Purpose::Readiness, Purpose::Liveness, Purpose::Startup] {
            for outcome in [Outcome::Success, Outcome::Failure, Outcome::Error] {
                metrics
                    .runs
                    .with_label_values(&[kind(purpose), result(outcome)]);
            }
        }
        metrics.pods(0, 0);
        Ok(metrics)
    }

    /// Everything that is to be registered.
    pub(crate) fn collectors(&self) -> Vec<Box<dyn Collector>> {
        vec![
            Box::new(self.runs.clone()),
            Box::new(self.seconds.clone()),
            Box::new(self.pods.clone()),
            Box::new(self.active.clone()),
            Box::new(self.delayed.clone()),
        ]
    }

    pub(super) fn ran(&self, purpose: Purpose, outcome: Outcome, took: Duration) {
        self.runs
            .with_label_values(&[kind(purpose), result(outcome)])
            .inc();
        if outcome != Outcome::Error {
            self.seconds
                .with_label_values(&[kind(purpose)])
                .observe(took.as_secs_f64());
        }
    }

    pub(super) fn pods(&self, ready: usize, unready: usize) {
        for (label, count) in [("true", ready), ("false", unready)] {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            self.pods.with_label_values(&[label]).set(count);
        }
    }

    pub(super) fn active(&self, count: usize) {
        self.active.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    pub(super) fn delayed(&self) {
        self.delayed.inc();
    }
}

fn kind(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Readiness => "Readiness",
        Purpose::Liveness => "Liveness",
        Purpose::Startup => "Startup",
    }
}

fn result(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Success => "successful",
        Outcome::Failure => "failed",
        Outcome::Error => "unknown",
    }
}
