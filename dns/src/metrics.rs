//! What the resolver counts beside messages, which are `tally`'s: connections, names, generations,
//! requests over HTTPS, entries of hosts files.

use std::collections::BTreeMap;
use std::sync::Arc;

use portico_config::model::{RecordData, StaticRecord};
use portico_net::line_log::Counts;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts};

use crate::places;

/// The resolver's metrics.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    /// Connections over TCP and TLS.
    pub(crate) connections: places::Metrics,
    /// TLS handshakes that failed.
    pub(crate) tls_errors: IntCounter,
    /// Names in the table.
    pub(crate) names: IntGauge,
    /// Tables of before that a worker still holds.
    pub(crate) retired: IntGauge,
    /// Requests over HTTPS.
    pub(crate) https: Statuses,
    /// Entries of hosts files.
    hosts: IntGaugeVec,
    /// Lines of the log of questions, which it counts itself.
    pub(crate) log: Counts,
    log_lines: IntCounter,
    log_dropped: IntCounter,
}

/// Requests over HTTPS by the status that they were answered with.
#[derive(Clone, Debug)]
pub(crate) struct Statuses {
    family: IntCounterVec,
    /// In the order of [`STATUSES`].
    each: Arc<[IntCounter]>,
}

impl Metrics {
    /// All of them at zero.
    pub(crate) fn new() -> Self {
        let connections = places::Metrics::new();
        let tls_errors =
            IntCounter::new("portico_dns_tls_errors_total", "TLS handshakes that failed.")
                .expect("the name is valid");
        let names = IntGauge::new("portico_dns_table_names", "Names in the answer table.")
            .expect("the name is valid");
        let retired = IntGauge::new("portico_dns_tables_retired", RETIRED);
        let retired = retired.expect("the name is valid");
        let log_lines =
            IntCounter::new("portico_dns_log_lines_total", "Questions that were logged.")
                .expect("the name is valid");
        let log_dropped = IntCounter::new("portico_dns_log_dropped_total", DROPPED);
        let log_dropped = log_dropped.expect("the name is valid");
        let log = Counts::default();
        let hosts = Opts::new("coredns_hosts_entries", "Entries of hosts files.");
        let hosts = IntGaugeVec::new(hosts, &["hostsfile"]).expect("the name is valid");
        let https = Statuses::new();
        Self { connections, tls_errors, names, retired, https, hosts, log, log_lines, log_dropped }
    }

    /// Takes what static records there are now: as CoreDNS, an entry is an address of a name, or a name
    /// of an address.
    pub(crate) fn records(&self, records: &[StaticRecord]) {
        let mut entries: BTreeMap<String, i64> = BTreeMap::new();
        for record in records {
            let RecordData::Address(address) = record.data else { continue };
            let has_reverse = record.wildcard().is_none() && !address.is_loopback();
            let file = record.file.as_ref().map(|file| file.display().to_string());
            *entries.entry(file.unwrap_or_default()).or_default() += 1 + i64::from(has_reverse);
        }
        self.hosts.reset();
        for (file, count) in entries {
            self.hosts.with_label_values(&[&file]).set(count);
        }
    }

    fn all(&self) -> [&dyn Collector; 8] {
        [
            &self.connections,
            &self.tls_errors,
            &self.names,
            &self.retired,
            &self.https.family,
            &self.hosts,
            &self.log_lines,
            &self.log_dropped,
        ]
    }
}

impl Statuses {
    fn new() -> Self {
        let opts = Opts::new("coredns_dns_https_responses_total", "Requests over HTTPS by status.");
        let family = IntCounterVec::new(opts, &["server", "status"]).expect("the name is valid");
        let status = |status: &u16| family.with_label_values(&["https://", &status.to_string()]);
        let each = STATUSES.iter().map(status).collect();
        Self { family, each }
    }

    /// One more was answered; one of another kind is a fault of ours.
    pub(crate) fn told(&self, status: u16) {
        let place = STATUSES.iter().position(|it| *it == status);
        if let Some(count) = self.each.get(place.unwrap_or(STATUSES.len() - 1)) {
            count.inc();
        }
    }
}

impl Collector for Metrics {
    fn desc(&self) -> Vec<&Desc> {
        self.all().into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let pairs =
            [(&self.log_lines, self.log.written()), (&self.log_dropped, self.log.dropped())];
        for (counter, now) in pairs {
            // Both only grow, and reads come one after the other.
            counter.inc_by(now.saturating_sub(counter.get()));
        }
        self.all()
            .into_iter()
            .flat_map(Collector::collect)
            .collect()
    }
}

/// What a request that asks for a name is answered with (RFC 8484 §4.2.1); the last stands for all others.
const STATUSES: [u16; 7] = [200, 400, 405, 408, 413, 415, 500];
const DROPPED: &str = "Questions that should have been logged and were not.";
const RETIRED: &str = "Tables that no longer answer and that somebody still holds.";
