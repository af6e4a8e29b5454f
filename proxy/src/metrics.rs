//! The plane's metrics, read from living state when somebody asks.
//!
//! Labels are Ingresses and their rules, Services, ports, endpoints, roles and reasons of configuration, never anything that a
//! client sent; series leave with their Service, those of endpoints with their endpoint.

mod certificates;
mod endpoints;
mod rules;
mod udp;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use prometheus::core::Desc;
use prometheus::proto::MetricFamily;
use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

use crate::Shared;
use crate::upstream::{DialError, Port, PortState};

/// Reads [`Shared`] at each scrape.
pub(crate) struct Collector {
    shared: Arc<Shared>,
}

impl Collector {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Holds the view of the moment and no lock, so that no reload waits for a scrape.
    fn families(&self) -> prometheus::Result<Vec<MetricFamily>> {
        let registry = Registry::new();
        let view = self.shared.view.load_full();
        let ports: Vec<Labelled<'_>> = view.ports().map(|port| Labelled::new(port)).collect();
        count_ports(&ports, &registry)?;
        udp::count(&ports, &registry)?;
        let exceeded = &self.shared.endpoint_series_exceeded;
        endpoints::count(&ports, self.shared.endpoint_series, exceeded, &registry)?;
        certificates::count(&view.certificates, &registry)?;
        self.count_hits(&registry)?;
        let gauge = |name, help, value: usize| -> prometheus::Result<()> {
            let gauge = IntGauge::new(name, help)?;
            gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
            registry.register(Box::new(gauge))
        };
        let connections = &self.shared.connections;
        gauge("portico_proxy_connections_active", ACTIVE, connections.open())?;
        gauge("portico_proxy_connections_limit", LIMIT, connections.most())?;
        let pressure = &self.shared.l7.pressure;
        let bytes = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
        gauge("portico_proxy_memory_bytes", MEMORY, bytes(pressure.used_bytes()))?;
        gauge("portico_proxy_memory_limit_bytes", MEMORY_LIMIT, bytes(pressure.limit_bytes()))?;
        gauge("portico_proxy_memory_mark_percent", MARK, bytes(pressure.mark().percent()))?;
        gauge("portico_l7_tls_handshakes_active", HANDSHAKES, self.shared.handshakes.open())?;
        gauge("portico_proxy_views_retired", RETIRED, self.shared.views_retired.load(Relaxed))?;
        let counter = |name, help, count: u64| -> prometheus::Result<()> {
            let counter = IntCounter::new(name, help)?;
            counter.inc_by(count);
            registry.register(Box::new(counter))
        };
        let access = &self.shared.access;
        counter("portico_l7_access_log_lines_total", LOGGED, access.written())?;
        counter("portico_l7_access_log_dropped_total", UNLOGGED, access.dropped())?;
        let shared = &self.shared.shared_ledger;
        let omitted = view
            .ledgers()
            .filter(|it| Arc::ptr_eq(it, &shared.ledger))
            .count();
        gauge("portico_l7_rule_series_omitted", OMITTED, omitted)?;
        let mut families = registry.gather();
        let others = [&*shared.ledger, &self.shared.l7.unrouted];
        families.extend(rules::families(view.ledgers().map(|it| &**it).chain(others)));
        let answers = ports
            .iter()
            .map(|port| (&*port.service, &*port.name, &port.port.state.inquiries));
        families.extend(self.shared.l7.families(answers)?);
        Ok(families)
    }

    /// How often limits held something up.
    fn count_hits(&self, registry: &Registry) -> prometheus::Result<()> {
        let hits = IntCounterVec::new(
            Opts::new("portico_proxy_limit_exceeded_total", "How often a limit held something up."),
            &["reason"],
        )?;
        registry.register(Box::new(hits.clone()))?;
        let shared = &self.shared;
        for (reason, count) in [
            ("connections", shared.connections.hits()),
            ("client_connections", shared.sources.hits()),
            ("tls_handshakes", shared.handshakes.hits()),
            ("client_tls_handshakes", shared.handshake_sources.hits()),
            ("descriptors", portico_net::accept::pauses()),
            ("sessions", shared.sessions_evicted.load(Relaxed)),
            ("affinity", shared.affinity.evictions()),
            ("endpoint_series", shared.endpoint_series_exceeded.load(Relaxed)),
            ("listeners", shared.listeners_refused.load(Relaxed)),
            ("rule_series", shared.shared_ledger.hits.load(Relaxed)),
        ] {
            hits.with_label_values(&[reason]).inc_by(count);
        }
        Ok(())
    }
}

/// A port with its labels as text, made once per scrape.
struct Labelled<'a> {
    port: &'a Port,
    service: String,
    name: String,
}

impl<'a> Labelled<'a> {
    fn new(port: &'a Port) -> Self {
        let id = &port.state.id;
        Self { port, service: id.service.to_string(), name: id.name.to_string() }
    }

    fn labels(&self) -> [&str; 3] {
        [&self.service, &self.name, self.port.state.id.protocol.label()]
    }
}

fn count_ports(ports: &[Labelled<'_>], registry: &Registry) -> prometheus::Result<()> {
    for (name, help, value) in COUNTERS {
        let counter = IntCounterVec::new(Opts::new(*name, *help), LABELS)?;
        registry.register(Box::new(counter.clone()))?;
        for port in ports {
            counter
                .with_label_values(&port.labels())
                .inc_by(value(&port.port.state).load(Relaxed));
        }
    }
    count_by_reason(ports, registry)?;
    let active = IntGaugeVec::new(
        Opts::new("portico_l4_connections_active", "Connections that are open now."),
        LABELS,
    )?;
    let endpoints = IntGaugeVec::new(
        Opts::new("portico_endpoints", "Endpoints that new traffic may go to."),
        LABELS,
    )?;
    let ejected = IntGaugeVec::new(
        Opts::new("portico_endpoints_ejected", "Endpoints that are put out now, and tried last."),
        LABELS,
    )?;
    let pending = IntGaugeVec::new(
        Opts::new("portico_l7_requests_pending", "Requests that wait for a place at an endpoint."),
        LABELS,
    )?;
    registry.register(Box::new(pending.clone()))?;
    registry.register(Box::new(active.clone()))?;
    registry.register(Box::new(ejected.clone()))?;
    registry.register(Box::new(endpoints.clone()))?;
    let now = Instant::now();
    for port in ports {
        let (labels, port) = (port.labels(), port.port);
        let open = i64::try_from(port.state.active.0.load(Relaxed)).unwrap_or(i64::MAX);
        active.with_label_values(&labels).set(open);
        pending
            .with_label_values(&labels)
            .set(i64::try_from(port.waiting()).unwrap_or(i64::MAX));
        ejected
            .with_label_values(&labels)
            .set(i64::try_from(port.out(now).count()).unwrap_or(i64::MAX));
        endpoints
            .with_label_values(&labels)
            .set(i64::try_from(port.upstreams().len()).unwrap_or(i64::MAX));
    }
    Ok(())
}

/// What is counted of a port by reason, as far as there was any.
fn count_by_reason(ports: &[Labelled<'_>], registry: &Registry) -> prometheus::Result<()> {
    let family = |name, help| -> prometheus::Result<IntCounterVec> {
        let labels = &["service", "port", "protocol", "reason"];
        let family = IntCounterVec::new(Opts::new(name, help), labels)?;
        registry.register(Box::new(family.clone()))?;
        Ok(family)
    };
    let refused =
        family("portico_l4_refused_total", "Connections reset before a choice, by reason.")?;
    let undialed =
        family("portico_l4_connect_failures_total", "Dials to endpoints that failed, by reason.")?;
    for port in ports {
        let [service, name, protocol] = port.labels();
        let state = &port.port.state;
        let refusals = REFUSALS.map(|(reason, value)| (&refused, reason, value(state)));
        let dials = DialError::ALL.iter().zip(&state.connect_failures);
        let dials = dials.map(|(why, count)| (&undialed, why.label(), count));
        for (family, reason, count) in refusals.into_iter().chain(dials) {
            let count = count.load(Relaxed);
            if count > 0 {
                family
                    .with_label_values(&[service, name, protocol, reason])
                    .inc_by(count);
            }
        }
    }
    Ok(())
}

impl prometheus::core::Collector for Collector {
    fn desc(&self) -> Vec<&Desc> {
        Vec::new()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.families().unwrap_or_default()
    }
}

type Counter = (&'static str, &'static str, Value);

const COUNTERS: &[Counter] = &[
    ("portico_l4_connections_total", "Downstream connections accepted.", |s| &s.connections.0),
    ("portico_l4_rejected_total", "Connections reset for want of an endpoint.", |s| &s.rejected),
    ("portico_l4_dropped_total", "Connections reset that policy would leave unanswered.", |s| {
        &s.dropped
    }),
    ("portico_endpoint_breaks_total", "Connections reset by an endpoint before a byte.", |s| {
        &s.breaks
    }),
    ("portico_endpoint_unavailable_total", "Calls of gRPC that an endpoint would not take.", |s| {
        &s.unavailable
    }),
    ("portico_endpoint_ejections_total", "Times that a failing endpoint was put out.", |s| {
        &s.ejections
    }),
    ("portico_l7_retries_total", "Requests sent again, to another endpoint.", |s| &s.retries.taken),
    ("portico_l7_retries_refused_total", "Requests not sent again: too many were.", |s| {
        &s.retries.refused
    }),
    ("portico_l7_overflows_total", "Requests that endpoints had no place for.", |s| &s.overflows),
    ("portico_l4_received_bytes_total", "Bytes from clients to endpoints.", |s| {
        &s.bytes_received.0
    }),
    ("portico_l4_sent_bytes_total", "Bytes from endpoints to clients.", |s| &s.bytes_sent.0),
];

/// Where a counter of a ServicePort is.
type Value = fn(&PortState) -> &AtomicU64;

/// Reasons to refuse a connection that no policy is about; shown once there was one.
const REFUSALS: [(&str, Value); 2] =
    [("limit", |s| &s.over_limit), ("proxy_protocol", |s| &s.unproxied)];

const LABELS: &[&str] = &["service", "port", "protocol"];
const LOGGED: &str = "Requests that were logged.";
const UNLOGGED: &str = "Requests that should have been logged and were not.";
const ACTIVE: &str = "Client connections of all listeners that are open now.";
const LIMIT: &str = "How many client connections may be open at once.";
const HANDSHAKES: &str = "TLS handshakes of clients of Ingress that go on.";
const MEMORY: &str = "Memory that counts against the limit, at the last look.";
const MEMORY_LIMIT: &str = "The limit of memory; 0 where there is none.";
const MARK: &str = "The share of the limit from which on less is done, where it is reached.";
const OMITTED: &str = "Rules of Ingress without series of their own, since there are more.";
const RETIRED: &str = "Views that no longer serve and that somebody still holds.";
