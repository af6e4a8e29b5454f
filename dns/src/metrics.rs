//! What the resolver counts beside messages, which are `tally`'s: connections, names, generations.

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntCounter, IntGauge};

/// The resolver's metrics.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    /// TCP connections closed at once because a limit was reached.
    pub(crate) refused_connections: IntCounter,
    /// TLS handshakes that failed.
    pub(crate) tls_errors: IntCounter,
    /// Names in the table.
    pub(crate) names: IntGauge,
    /// Tables of before that a worker still holds.
    pub(crate) retired: IntGauge,
}

impl Metrics {
    /// All of them at zero.
    pub(crate) fn new() -> Self {
        let refused_connections = IntCounter::new(
            "portico_dns_tcp_refused_total",
            "Connections closed because all or one client's were too many.",
        )
        .expect("the name is valid");
        let tls_errors =
            IntCounter::new("portico_dns_tls_errors_total", "TLS handshakes that failed.")
                .expect("the name is valid");
        let names = IntGauge::new("portico_dns_table_names", "Names in the answer table.")
            .expect("the name is valid");
        let retired = IntGauge::new("portico_dns_tables_retired", RETIRED);
        let retired = retired.expect("the name is valid");
        Self { refused_connections, tls_errors, names, retired }
    }

    fn all(&self) -> [&dyn Collector; 4] {
        [&self.refused_connections, &self.tls_errors, &self.names, &self.retired]
    }
}

impl Collector for Metrics {
    fn desc(&self) -> Vec<&Desc> {
        self.all().into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.all()
            .into_iter()
            .flat_map(Collector::collect)
            .collect()
    }
}

const RETIRED: &str = "Tables that no longer answer and that somebody still holds.";
