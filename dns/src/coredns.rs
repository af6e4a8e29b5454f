//! What all workers counted, as CoreDNS would show it, so that its dashboards work.
//!
//! Invariants: everything is summed when it is read, nothing when it is counted; a series appears
//! with its first message. `portico_dns_requests_total` and `portico_dns_responses_total` are sums of the same cells.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use prometheus::core::{Collector, Desc};
use prometheus::proto::{
    Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType,
};

use crate::tally::{Cells, Count, RCODES, SIZES, Spread, TIMES, TYPES, Tally, TallyEnds};
use crate::zones::{Zone, ZoneNames};

/// The tallies of all workers.
#[derive(Clone, Debug)]
pub(crate) struct Tallies {
    all: Arc<Mutex<Vec<Arc<Tally>>>>,
    /// The labels of their zones.
    pub(crate) zones: ZoneNames,
    /// What CoreDNS would call that which is in use.
    pub(crate) plugins: Arc<ArcSwap<Vec<&'static str>>>,
    descriptions: Arc<[Desc]>,
}

/// Series of one family by the values of their labels.
type Series<V> = BTreeMap<Vec<String>, V>;

/// Buckets, not cumulative, and the sum.
#[derive(Clone, Debug, Default)]
struct Sum {
    buckets: Vec<u64>,
    total: u64,
}

#[derive(Default)]
struct Sums {
    requests: Series<u64>,
    responses: Series<u64>,
    dnssec_ok: Series<u64>,
    /// What became of messages at the list of clients.
    allowed: Series<u64>,
    blocked: Series<u64>,
    filtered: Series<u64>,
    dropped: Series<u64>,
    shed: Series<u64>,
    plugins: Series<u64>,
    durations: Series<Sum>,
    request_bytes: Series<Sum>,
    response_bytes: Series<Sum>,
    own_requests: Series<u64>,
    own_responses: Series<u64>,
}

impl Tallies {
    /// None yet.
    pub(crate) fn new() -> Self {
        let description = |(name, help, labels): &(&str, &str, &[&str])| {
            let labels = labels.iter().map(|&label| label.into()).collect();
            Desc::new((*name).into(), (*help).into(), labels, HashMap::new())
                .expect("the name and labels are valid")
        };
        let descriptions = FAMILIES.iter().map(description).collect();
        let zones = ZoneNames::default();
        Self { all: Arc::default(), zones, plugins: Arc::default(), descriptions }
    }

    /// A new one, for a loop that begins.
    pub(crate) fn begin(&self, ends: TallyEnds) -> Arc<Tally> {
        let tally = Arc::new(Tally::new(ends));
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(Arc::clone(&tally));
        tally
    }

    fn sums(&self) -> Sums {
        let zones = self.zones.labels();
        let mut sums = Sums::default();
        for rcode in RCODES {
            sums.own_responses.insert(vec![rcode.into()], 0);
        }
        let all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let plugins = self.plugins.load();
        for tally in all.iter() {
            let mut is_asked = false;
            for (number, cells) in tally.counted() {
                is_asked = true;
                // A zone has its number before anything is counted in it.
                let Some(labels) = zones.get(number) else { continue };
                sums.add(&tally.ends, number, labels, cells);
            }
            // Ingress' own listeners answer questions where a host of theirs is named for it.
            if is_asked || !tally.ends.is_https() {
                sums.add_server(tally, &plugins);
            }
        }
        sums
    }
}

impl Sums {
    fn add(
        &mut self,
        ends: &TallyEnds,
        number: usize,
        (zone, plugin, view): &(String, &'static str, String),
        cells: &Cells,
    ) {
        let TallyEnds { server, proto, family } = ends;
        let server = server.as_str();
        for (kind, count) in TYPES.iter().zip(&cells.requests) {
            let count = count.get();
            add(&mut self.requests, &[server, zone, view, proto, family, kind], count);
            add(&mut self.own_requests, &[proto, family, kind], count);
        }
        for (rcode, count) in RCODES.iter().zip(&cells.responses) {
            let count = count.get();
            add(&mut self.responses, &[server, zone, view, rcode, plugin], count);
            add(&mut self.own_responses, &[rcode], count);
            if number == Zone::ACL.index() {
                add(&mut self.blocked, &[server, zone, view], count);
            }
        }
        let asked = cells.requests.iter().map(Count::get).sum();
        if number == Zone::SILENCED.index() {
            add(&mut self.dropped, &[server, zone, view], asked);
        } else if number != Zone::ACL.index() {
            add(&mut self.allowed, &[server, view], asked);
        }
        // Shown while it is 0 too: a dashboard divides by the requests of the same zone.
        let labels = owned(&[server, zone, view]);
        *self.dnssec_ok.entry(labels).or_default() += cells.dnssec_ok.get();
        spread(&mut self.durations, &[server, zone, view], &cells.durations);
        let labels = [server, zone, view, proto];
        spread(&mut self.request_bytes, &labels, &cells.request_bytes);
        spread(&mut self.response_bytes, &labels, &cells.response_bytes);
    }

    /// What is shown of a listener before anything is asked there, too.
    fn add_server(&mut self, tally: &Tally, plugins: &[&str]) {
        let server = tally.ends.server.as_str();
        self.allowed.entry(owned(&[server, ""])).or_default();
        for series in [&mut self.blocked, &mut self.filtered, &mut self.dropped] {
            let labels = owned(&[server, "dropped", ""]);
            series.entry(labels).or_default();
        }
        let plugins = plugins
            .iter()
            .map(|plugin| (owned(&[server, ".", "", plugin]), 1));
        self.plugins.extend(plugins);
        if tally.ends.proto == "udp" {
            // What is not wanted is answered: a question is never dropped for want of room.
            self.shed.entry(owned(&[server, "query"])).or_default();
            let labels = owned(&[server, "response"]);
            *self.shed.entry(labels).or_default() += tally.shed.get();
        }
    }

    /// In the order of [`FAMILIES`].
    fn families(self) -> Vec<MetricFamily> {
        let sizes: Vec<f64> = SIZES.iter().map(|bound| f64::from(*bound)).collect();
        let times: Vec<f64> = std::iter::successors(Some(0.000_25), |bound| Some(bound * 2.0))
            .take(TIMES)
            .collect();
        let mut families = FAMILIES.iter();
        let mut next = |metrics: Series<Metric>, kind| {
            let (name, help, labels) = families.next().copied().unwrap_or_default();
            family(name, help, labels, kind, metrics)
        };
        let version = format!("portico-{}", env!("CARGO_PKG_VERSION"));
        let build = Series::from([(vec![String::new(), String::new(), version], 1)]);
        vec![
            next(counters(self.requests), MetricType::COUNTER),
            next(counters(self.responses), MetricType::COUNTER),
            next(counters(self.dnssec_ok), MetricType::COUNTER),
            next(counters(self.allowed), MetricType::COUNTER),
            next(counters(self.blocked), MetricType::COUNTER),
            next(counters(self.filtered), MetricType::COUNTER),
            next(counters(self.dropped), MetricType::COUNTER),
            next(counters(self.shed), MetricType::COUNTER),
            next(gauges(self.plugins), MetricType::GAUGE),
            next(histograms(self.durations, &times, MICROSECONDS), MetricType::HISTOGRAM),
            next(histograms(self.request_bytes, &sizes, 1.0), MetricType::HISTOGRAM),
            next(histograms(self.response_bytes, &sizes, 1.0), MetricType::HISTOGRAM),
            next(gauges(build), MetricType::GAUGE),
            next(counters(self.own_requests), MetricType::COUNTER),
            next(counters(self.own_responses), MetricType::COUNTER),
        ]
    }
}

impl Collector for Tallies {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let mut families = self.sums().families();
        families.retain(|family| !family.get_metric().is_empty());
        families
    }
}

/// Adds to a series, which is begun by its first message.
fn add(series: &mut Series<u64>, labels: &[&str], count: u64) {
    if count > 0 {
        *series.entry(owned(labels)).or_default() += count;
    }
}

fn spread<const N: usize>(series: &mut Series<Sum>, labels: &[&str], more: &Spread<N>) {
    let sum = series.entry(owned(labels)).or_default();
    sum.buckets.resize(N, 0);
    for (bucket, count) in sum.buckets.iter_mut().zip(&more.buckets) {
        *bucket += count.get();
    }
    sum.total += more.sum.get();
}

fn owned(labels: &[&str]) -> Vec<String> {
    labels.iter().map(|&label| label.to_owned()).collect()
}

fn counters(series: Series<u64>) -> Series<Metric> {
    let metric = |count| {
        let (mut metric, mut counter) = (Metric::default(), Counter::default());
        counter.set_value(float(count));
        metric.set_counter(counter);
        metric
    };
    series
        .into_iter()
        .map(|(labels, count)| (labels, metric(count)))
        .collect()
}

fn gauges(series: Series<u64>) -> Series<Metric> {
    let metric = |value| {
        let mut gauge = Gauge::default();
        gauge.set_value(float(value));
        Metric::from_gauge(gauge)
    };
    series
        .into_iter()
        .map(|(labels, value)| (labels, metric(value)))
        .collect()
}

fn histograms(series: Series<Sum>, bounds: &[f64], unit: f64) -> Series<Metric> {
    let metric = |sum: Sum| {
        let mut cumulative = 0;
        let bucket = |(count, bound): (&u64, &f64)| {
            cumulative += count;
            let mut bucket = Bucket::default();
            bucket.set_cumulative_count(cumulative);
            bucket.set_upper_bound(*bound);
            bucket
        };
        let buckets = sum.buckets.iter().zip(bounds).map(bucket).collect();
        let mut histogram = Histogram::default();
        histogram.set_bucket(buckets);
        histogram.set_sample_count(sum.buckets.iter().sum());
        histogram.set_sample_sum(float(sum.total) * unit);
        let mut metric = Metric::default();
        metric.set_histogram(histogram);
        metric
    };
    series
        .into_iter()
        .map(|(labels, sum)| (labels, metric(sum)))
        .collect()
}

fn family(
    name: &str,
    help: &str,
    labels: &[&str],
    kind: MetricType,
    series: Series<Metric>,
) -> MetricFamily {
    let metric = |(values, mut metric): (Vec<String>, Metric)| {
        let pairs = labels.iter().zip(values).map(|(&label, value)| {
            let mut pair = LabelPair::default();
            pair.set_name(label.into());
            pair.set_value(value);
            pair
        });
        let mut pairs: Vec<_> = pairs.collect();
        pairs.sort_by(|a, b| a.name().cmp(b.name()));
        metric.set_label(pairs);
        metric
    };
    let mut family = MetricFamily::default();
    family.set_name(name.into());
    family.set_help(help.into());
    family.set_field_type(kind);
    family.set_metric(series.into_iter().map(metric).collect());
    family
}

#[allow(clippy::cast_precision_loss, reason = "the text form has floats; exact up to 2^53")]
fn float(count: u64) -> f64 {
    count as f64
}

const MICROSECONDS: f64 = 0.000_001;
const ZONE: &[&str] = &["server", "zone", "view"];
const SIZE: &[&str] = &["server", "zone", "view", "proto"];
/// Name, help and labels, in the order of [`Sums::families`].
const FAMILIES: [(&str, &str, &[&str]); 15] = [
    (
        "coredns_dns_requests_total",
        "Messages by zone, transport and type.",
        &["server", "zone", "view", "proto", "family", "type"],
    ),
    (
        "coredns_dns_responses_total",
        "Replies by zone, code and what gave them.",
        &["server", "zone", "view", "rcode", "plugin"],
    ),
    ("coredns_dns_do_requests_total", "Messages with DNSSEC OK.", ZONE),
    (
        "coredns_acl_allowed_requests_total",
        "Messages of clients that may ask.",
        &["server", "view"],
    ),
    ("coredns_acl_blocked_requests_total", "Messages that were refused.", ZONE),
    ("coredns_acl_filtered_requests_total", "Always 0: no client hears less.", ZONE),
    ("coredns_acl_dropped_requests_total", "Messages to which nothing was said.", ZONE),
    ("coredns_shed_dropped_total", "Replies in datagrams that were lost.", &["server", "reason"]),
    ("coredns_plugin_enabled", "Always 1.", &["server", "zone", "view", "name"]),
    ("coredns_dns_request_duration_seconds", "From message to reply.", ZONE),
    ("coredns_dns_request_size_bytes", "Sizes of messages.", SIZE),
    ("coredns_dns_response_size_bytes", "Sizes of replies.", SIZE),
    ("coredns_build_info", "Always 1.", &["goversion", "revision", "version"]),
    (
        "portico_dns_requests_total",
        "Messages that were answered or ignored.",
        &["proto", "family", "type"],
    ),
    ("portico_dns_responses_total", "Replies by response code.", &["rcode"]),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    use prometheus::{Registry, TextEncoder};

    use crate::answer::{Heard, Outcome};
    use crate::wire::wire;

    #[test]
    fn workers_are_summed_under_the_names_of_coredns() {
        let tallies = Tallies::new();
        let zone = tallies
            .zones
            .number("", &[wire("cluster.local").unwrap().into()])[0];
        let ends = TallyEnds { server: "dns://127.0.0.1:53".into(), proto: "udp", family: "1" };
        let heard = Heard { kind: 28, zone, dnssec_ok: true };
        for worker in [tallies.begin(ends.clone()), tallies.begin(ends)] {
            worker.count(Outcome::Reply { rcode: 3, heard }, 40, 120);
            worker.took(zone, Duration::from_micros(300));
            let heard = Heard { kind: 1, zone: Zone::ACL, dnssec_ok: false };
            worker.count(Outcome::Reply { rcode: 5, heard }, 40, 40);
            worker.count(Outcome::Ignored(Zone::SILENCED), 40, 0);
            worker.count(Outcome::Ignored(Zone::DROPPED), 4, 0);
            worker.shed.add(1);
        }
        tallies.plugins.store(Arc::new(vec!["kubernetes"]));
        let registry = Registry::new();
        registry.register(Box::new(tallies)).unwrap();
        let text = TextEncoder::new()
            .encode_to_string(&registry.gather())
            .unwrap();
        let at = r#"server="dns://127.0.0.1:53""#;
        let zone = r#"view="",zone="cluster.local.""#;
        for line in [
            format!(
                r#"coredns_dns_requests_total{{family="1",proto="udp",{at},type="AAAA",{zone}}} 2"#
            ),
            format!(
                r#"coredns_dns_responses_total{{plugin="kubernetes",rcode="NXDOMAIN",{at},{zone}}} 2"#
            ),
            format!(r#"coredns_dns_do_requests_total{{{at},{zone}}} 2"#),
            format!(r#"coredns_dns_request_duration_seconds_bucket{{{at},{zone},le="0.00025"}} 0"#),
            format!(r#"coredns_dns_request_duration_seconds_bucket{{{at},{zone},le="0.0005"}} 2"#),
            format!(r#"coredns_dns_request_duration_seconds_count{{{at},{zone}}} 2"#),
            format!(
                r#"coredns_dns_request_size_bytes_bucket{{proto="udp",{at},{zone},le="100"}} 2"#
            ),
            format!(r#"coredns_dns_response_size_bytes_sum{{proto="udp",{at},{zone}}} 240"#),
            format!(r#"coredns_acl_allowed_requests_total{{{at},view=""}} 4"#),
            format!(r#"coredns_acl_blocked_requests_total{{{at},view="",zone="dropped"}} 2"#),
            format!(r#"coredns_acl_filtered_requests_total{{{at},view="",zone="dropped"}} 0"#),
            format!(r#"coredns_acl_dropped_requests_total{{{at},view="",zone="dropped"}} 2"#),
            format!(r#"coredns_shed_dropped_total{{reason="response",{at}}} 2"#),
            format!(r#"coredns_shed_dropped_total{{reason="query",{at}}} 0"#),
            format!(r#"coredns_plugin_enabled{{name="kubernetes",{at},view="",zone="."}} 1"#),
            r#"portico_dns_requests_total{family="1",proto="udp",type="AAAA"} 2"#.to_owned(),
            r#"portico_dns_responses_total{rcode="NXDOMAIN"} 2"#.to_owned(),
        ] {
            assert!(text.lines().any(|it| it == line), "no {line} in:\n{text}");
        }
    }
}
