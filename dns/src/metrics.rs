//! What the resolver counts. Every counter is found once, at start: a query adds, it looks up no
//! label. Labels are bounded whatever clients send.

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts};

use crate::answer::{Outcome, Transport};

/// The resolver's metrics.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    requests: IntCounterVec,
    responses: IntCounterVec,
    /// TCP connections closed at once because a limit was reached.
    pub(crate) refused_connections: IntCounter,
    /// TLS handshakes that failed.
    pub(crate) tls_errors: IntCounter,
    /// Names in the table.
    pub(crate) names: IntGauge,
    /// Tables of before that a worker still holds.
    pub(crate) retired: IntGauge,
    by_type: Vec<[IntCounter; TYPES.len()]>,
    by_rcode: Vec<IntCounter>,
}

impl Metrics {
    /// All of them at zero.
    pub(crate) fn new() -> Self {
        let requests = IntCounterVec::new(
            Opts::new("portico_dns_requests_total", "Messages that were answered or ignored."),
            &["proto", "family", "type"],
        )
        .expect("the name and labels are valid");
        let responses = IntCounterVec::new(
            Opts::new("portico_dns_responses_total", "Replies by response code."),
            &["rcode"],
        )
        .expect("the name and labels are valid");
        let by_type = [("udp", "1"), ("udp", "2"), ("tcp", "1"), ("tcp", "2")]
            .map(|(proto, family)| {
                TYPES.map(|(_, kind)| requests.with_label_values(&[proto, family, kind]))
            })
            .into();
        let by_rcode = RCODES
            .iter()
            .map(|rcode| responses.with_label_values(&[rcode]))
            .collect();
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
        Self {
            requests,
            responses,
            refused_connections,
            tls_errors,
            names,
            retired,
            by_type,
            by_rcode,
        }
    }

    /// Counts one message.
    pub(crate) fn count(&self, transport: Transport, is_ipv6: bool, outcome: Outcome) {
        let kind = match outcome {
            Outcome::Ignored => 0,
            Outcome::Reply { rcode, kind } | Outcome::Elsewhere { rcode, kind } => {
                let last = self.by_rcode.len() - 1;
                if let Some(counter) = self.by_rcode.get(usize::from(rcode).min(last)) {
                    counter.inc();
                }
                kind
            }
        };
        let row = usize::from(transport != Transport::Udp) * 2 + usize::from(is_ipv6);
        let column = TYPES
            .iter()
            .position(|(code, _)| *code == kind)
            .unwrap_or(TYPES.len() - 1);
        if let Some(counter) = self.by_type.get(row).and_then(|row| row.get(column)) {
            counter.inc();
        }
    }
}

impl Collector for Metrics {
    fn desc(&self) -> Vec<&Desc> {
        let vectors = self
            .requests
            .desc()
            .into_iter()
            .chain(self.responses.desc());
        let single = self
            .refused_connections
            .desc()
            .into_iter()
            .chain(self.tls_errors.desc())
            .chain(self.names.desc())
            .chain(self.retired.desc());
        vectors.chain(single).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let vectors = self
            .requests
            .collect()
            .into_iter()
            .chain(self.responses.collect());
        let single = self
            .refused_connections
            .collect()
            .into_iter()
            .chain(self.tls_errors.collect())
            .chain(self.names.collect())
            .chain(self.retired.collect());
        vectors.chain(single).collect()
    }
}

const RETIRED: &str = "Tables that no longer answer and that somebody still holds.";
/// Types that have a label of their own; the last stands for all others.
const TYPES: [(u16, &str); 9] = [
    (1, "A"),
    (28, "AAAA"),
    (33, "SRV"),
    (12, "PTR"),
    (5, "CNAME"),
    (6, "SOA"),
    (65, "HTTPS"),
    (255, "ANY"),
    (u16::MAX, "other"),
];
/// By code; the last stands for all others.
const RCODES: [&str; 7] =
    ["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "other"];
