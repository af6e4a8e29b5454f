//! What requests came to, by rule of an Ingress (`http-proxy 9.4`).
//!
//! A series begins with the first request that it is about.

use std::collections::BTreeMap;

use prometheus::proto::{
    Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType,
};

use crate::ledger::{BOUNDS_MICROS, BUCKETS, LABELS, Ledger, Subject, Sums};

/// The families of these ledgers; the same one may come more than once.
pub(super) fn families<'a>(ledgers: impl Iterator<Item = &'a Ledger>) -> Vec<MetricFamily> {
    let ledgers: BTreeMap<&Subject, &Ledger> = ledgers.map(|it| (&it.subject, it)).collect();
    let sums = ledgers
        .into_iter()
        .map(|(subject, ledger)| (Labels::of(subject), ledger.sums()));
    let sums: Vec<(Labels, Sums)> = sums.filter(|(_, sums)| sums.is_used).collect();
    let each = |metric: fn(&Sums) -> Option<Metric>| {
        let series = sums.iter().filter_map(|(labels, sums)| {
            let mut metric = metric(sums)?;
            metric.set_label(labels.pairs(&[]));
            Some(metric)
        });
        series.collect::<Vec<_>>()
    };
    let requests = sums.iter().flat_map(|(labels, sums)| {
        sums.answers.iter().map(|((method, code), count)| {
            let mut metric = counter(*count);
            metric.set_label(labels.pairs(&[("method", method), ("code", code)]));
            metric
        })
    });
    let calls = sums.iter().flat_map(|(labels, sums)| {
        let counts = LABELS.iter().zip(&sums.calls);
        counts
            .filter(|(_, count)| **count > 0)
            .map(|(status, count)| {
                let mut metric = counter(*count);
                metric.set_label(labels.pairs(&[("grpc_status", status)]));
                metric
            })
    });
    let all = [
        (REQUESTS, MetricType::COUNTER, requests.collect()),
        (TOOK, MetricType::HISTOGRAM, each(|it| histogram(&it.took, it.took_micros))),
        (UPSTREAM, MetricType::HISTOGRAM, each(|it| histogram(&it.upstream, it.upstream_micros))),
        (RECEIVED, MetricType::COUNTER, each(|it| Some(counter(it.received_bytes)))),
        (SENT, MetricType::COUNTER, each(|it| Some(counter(it.sent_bytes)))),
        (ACTIVE, MetricType::GAUGE, each(|it| Some(gauge(it.active)))),
        (TUNNELS, MetricType::GAUGE, each(|it| it.tunnels.map(gauge))),
        (CALLS, MetricType::COUNTER, calls.collect()),
    ];
    let families = all
        .into_iter()
        .map(|((name, help), kind, metrics): (_, _, Vec<Metric>)| {
            let mut family = MetricFamily::default();
            family.set_name(name.into());
            family.set_help(help.into());
            family.set_field_type(kind);
            family.set_metric(metrics);
            family
        });
    families
        .filter(|family| !family.get_metric().is_empty())
        .collect()
}

/// What all series of one rule are called.
struct Labels(Vec<(&'static str, String)>);

impl Labels {
    fn of(subject: &Subject) -> Self {
        let ingress = subject.ingress.as_ref();
        let service = subject.service.as_ref();
        let canary = subject.canary.as_ref();
        Self(vec![
            (
                "namespace",
                ingress
                    .map(|it| it.namespace.to_string())
                    .unwrap_or_default(),
            ),
            ("ingress", ingress.map(|it| it.name.to_string()).unwrap_or_default()),
            ("host", subject.host.to_string()),
            ("path", subject.path.to_string()),
            ("canary", canary.map(ToString::to_string).unwrap_or_default()),
            ("service", service.map(|it| it.service.to_string()).unwrap_or_default()),
            ("port", service.map(|it| it.name.to_string()).unwrap_or_default()),
        ])
    }

    /// With these beside.
    fn pairs(&self, more: &[(&'static str, &str)]) -> Vec<LabelPair> {
        let own = self.0.iter().map(|(name, value)| (*name, &**value));
        let mut pairs: Vec<_> = own
            .chain(more.iter().copied())
            .map(|(name, value)| {
                let mut pair = LabelPair::default();
                pair.set_name(name.into());
                pair.set_value(value.into());
                pair
            })
            .collect();
        pairs.sort_by(|a, b| a.name().cmp(b.name()));
        pairs
    }
}

fn counter(count: u64) -> Metric {
    let (mut metric, mut counter) = (Metric::default(), Counter::default());
    counter.set_value(float(count));
    metric.set_counter(counter);
    metric
}

fn gauge(count: u64) -> Metric {
    let (mut metric, mut gauge) = (Metric::default(), Gauge::default());
    gauge.set_value(float(count));
    metric.set_gauge(gauge);
    metric
}

/// None where nothing was timed.
fn histogram(counts: &[u64; BUCKETS], micros: u64) -> Option<Metric> {
    let total: u64 = counts.iter().sum();
    if total == 0 {
        return None;
    }
    let mut cumulative = 0;
    let bucket = |(count, bound): (&u64, &u64)| {
        cumulative += count;
        let mut bucket = Bucket::default();
        bucket.set_cumulative_count(cumulative);
        bucket.set_upper_bound(seconds(*bound));
        bucket
    };
    let (mut metric, mut histogram) = (Metric::default(), Histogram::default());
    histogram.set_bucket(counts.iter().zip(&BOUNDS_MICROS).map(bucket).collect());
    histogram.set_sample_count(total);
    histogram.set_sample_sum(seconds(micros));
    metric.set_histogram(histogram);
    Some(metric)
}

fn seconds(micros: u64) -> f64 {
    float(micros) / 1_000_000.0
}

#[allow(clippy::cast_precision_loss, reason = "the text form has floats; exact up to 2^53")]
fn float(count: u64) -> f64 {
    count as f64
}

const REQUESTS: (&str, &str) =
    ("portico_l7_requests_total", "Requests that ended, by rule, method and status.");
const TOOK: (&str, &str) =
    ("portico_l7_request_duration_seconds", "From a request's head to the end of its response.");
const UPSTREAM: (&str, &str) = (
    "portico_l7_upstream_duration_seconds",
    "From a request's being sent to an endpoint to the head of the answer.",
);
const RECEIVED: (&str, &str) =
    ("portico_l7_request_bytes_total", "Bytes of requests, heads and bodies, and from tunnels.");
const SENT: (&str, &str) =
    ("portico_l7_response_bytes_total", "Bytes of responses, heads and bodies, and to tunnels.");
const ACTIVE: (&str, &str) =
    ("portico_l7_requests_active", "Requests that go on now, WebSockets not among them.");
const TUNNELS: (&str, &str) = ("portico_l7_tunnels_active", "WebSockets that are open now.");
const CALLS: (&str, &str) =
    ("portico_l7_grpc_calls_total", "Calls of gRPC that ended, by rule and status of gRPC.");

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use portico_config::model::{ObjectName, Protocol};
    use portico_config::snapshot::PortId;
    use prometheus::TextEncoder;

    use super::*;
    use crate::ledger::{Settled, Verb};

    #[test]
    fn series_are_called_as_the_rule_is() {
        let service = PortId {
            service: ObjectName::new("default", "web"),
            name: "http".into(),
            protocol: Protocol::Tcp,
        };
        let subject = Subject {
            ingress: Some(ObjectName::new("default", "shop")),
            host: "*.shop.test".into(),
            path: "/a\"b".into(),
            service: Some(Arc::new(service)),
            canary: None,
        };
        let (ledger, idle) = (Ledger::new(subject, 1), Ledger::new(Subject::default(), 1));
        ledger.column(0).unwrap().begin();
        ledger.column(0).unwrap().begin();
        ledger.column(0).unwrap().settle(&Settled {
            verb: Verb::of("GET"),
            status: 200,
            took: Some(Duration::from_millis(3)),
            upstream: None,
            received_bytes: 10,
            sent_bytes: 100,
            call: None,
        });
        let families = families([&ledger, &idle, &ledger].into_iter());
        let text = TextEncoder::new().encode_to_string(&families).unwrap();
        let (begin, end) = (r#"canary="""#, r#"namespace="default",path="/a\"b",port="http""#);
        let place = r#"host="*.shop.test",ingress="shop""#;
        let service = r#"service="default/web""#;
        let labels = format!("{begin},{place},{end},{service}");
        for line in [
            format!(
                r#"portico_l7_requests_total{{{begin},code="200",{place},method="GET",{end},{service}}} 1"#
            ),
            format!(r#"portico_l7_request_duration_seconds_bucket{{{labels},le="0.002"}} 0"#),
            format!(r#"portico_l7_request_duration_seconds_bucket{{{labels},le="0.005"}} 1"#),
            format!(r#"portico_l7_request_duration_seconds_bucket{{{labels},le="+Inf"}} 1"#),
            format!(r#"portico_l7_request_duration_seconds_sum{{{labels}}} 0.003"#),
            format!(r#"portico_l7_requests_active{{{labels}}} 1"#),
            format!(r#"portico_l7_request_bytes_total{{{labels}}} 10"#),
            format!(r#"portico_l7_response_bytes_total{{{labels}}} 100"#),
        ] {
            assert!(text.lines().any(|it| it == line), "http-proxy 9.4: no {line} in:\n{text}");
        }
        for name in ["upstream_duration", "tunnels_active", "grpc_calls"] {
            assert!(!text.contains(name), "http-proxy 9.5: {name} without a request of its kind");
        }
    }
}
