//! What the resolver counts beside messages, which are `tally`'s: connections, names, generations.

use portico_net::line_log::Counts;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntCounter, IntGauge};

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
    /// Lines of the log of questions, which it counts itself.
    pub(crate) log: Counts,
    log_lines: IntCounter,
    log_dropped: IntCounter,
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
        Self { connections, tls_errors, names, retired, log, log_lines, log_dropped }
    }

    fn all(&self) -> [&dyn Collector; 6] {
        [
            &self.connections,
            &self.tls_errors,
            &self.names,
            &self.retired,
            &self.log_lines,
            &self.log_dropped,
        ]
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

const DROPPED: &str = "Questions that should have been logged and were not.";
const RETIRED: &str = "Tables that no longer answer and that somebody still holds.";
