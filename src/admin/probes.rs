//! `/api/v1/probes`: what the probes of Pods say, as JSON.

use std::collections::BTreeMap;
use std::time::{Instant, SystemTime};

use portico_config::model::ObjectName;
use serde_json::{Value, json};

use crate::prober::{PodReport, Report};

/// The whole answer; `now` in both clocks tells when something began.
pub(super) fn render(
    pods: &BTreeMap<ObjectName, PodReport>,
    now: Instant,
    clock: SystemTime,
) -> Value {
    let seconds = clock.duration_since(SystemTime::UNIX_EPOCH);
    let seconds = seconds.map_or(0, |since| since.as_secs());
    let pods = pods.iter().map(|(name, pod)| {
        let probes = pod.probes.iter().map(|it| probe(it, now, seconds));
        json!({
            "namespace": &*name.namespace,
            "pod": &*name.name,
            "ready": pod.reason.is_none(),
            "reason": pod.reason,
            "message": pod.message,
            "probes": probes.collect::<Vec<_>>(),
        })
    });
    json!({ "pods": pods.collect::<Vec<_>>() })
}

fn probe(report: &Report, now: Instant, seconds: u64) -> Value {
    let ago = now.saturating_duration_since(report.since).as_secs();
    let last = report.last.as_ref();
    json!({
        "container": &*report.container,
        "kind": report.purpose.to_string(),
        "state": report.verdict.to_string(),
        "sinceSeconds": seconds.saturating_sub(ago),
        "lastResult": last.map(|it| it.outcome.to_string()),
        "message": last.map_or("", |it| &it.message),
    })
}
