//! The plane's metrics, read from living state when somebody asks.
//!
//! Labels are Services, ports, roles and reasons of configuration, never anything that a client
//! sent; series leave with their Service.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use portico_net::listeners::ListenerState;
use prometheus::core::Desc;
use prometheus::proto::MetricFamily;
use prometheus::{IntCounterVec, IntGaugeVec, Opts, Registry};

use crate::Shared;
use crate::upstream::PortState;

/// Reads [`Shared`] at each scrape.
pub(crate) struct Collector {
    shared: Arc<Shared>,
}

impl Collector {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    fn families(&self) -> prometheus::Result<Vec<MetricFamily>> {
        let registry = Registry::new();
        self.ports(&registry)?;
        let listeners = IntGaugeVec::new(
            Opts::new("portico_listeners", "Listeners of the proxy, by role and state."),
            &["role", "state"],
        )?;
        registry.register(Box::new(listeners.clone()))?;
        for status in self
            .shared
            .listeners
            .lock()
            .unwrap_or_else(|e| e.into_inner())
            .iter()
        {
            let state = match status.state {
                ListenerState::Serving => "serving",
                ListenerState::Degraded(_) => "degraded",
                ListenerState::Draining => "draining",
            };
            listeners.with_label_values(&[status.role, state]).inc();
        }
        let hits = IntCounterVec::new(
            Opts::new("portico_proxy_limit_exceeded_total", "How often a limit held something up."),
            &["reason"],
        )?;
        registry.register(Box::new(hits.clone()))?;
        hits.with_label_values(&["connections"])
            .inc_by(self.shared.connections.hits());
        let mut families = registry.gather();
        let states = self
            .shared
            .registry
            .lock()
            .unwrap_or_else(|e| e.into_inner());
        let ports = states
            .ports()
            .map(|state| (state.id.service.to_string(), state.id.name.to_string(), &state.answers));
        families.extend(self.shared.l7.families(ports)?);
        Ok(families)
    }

    fn ports(&self, registry: &Registry) -> prometheus::Result<()> {
        let states = self
            .shared
            .registry
            .lock()
            .unwrap_or_else(|e| e.into_inner());
        for (name, help, value) in COUNTERS {
            let counter = IntCounterVec::new(Opts::new(*name, *help), LABELS)?;
            registry.register(Box::new(counter.clone()))?;
            for state in states.ports() {
                let labels = labels(state);
                counter
                    .with_label_values(&[&*labels.0, &labels.1, labels.2])
                    .inc_by(value(state).load(Relaxed));
            }
        }
        let active = IntGaugeVec::new(
            Opts::new("portico_l4_connections_active", "Connections that are open now."),
            LABELS,
        )?;
        let endpoints = IntGaugeVec::new(
            Opts::new("portico_endpoints", "Endpoints that new traffic may go to."),
            LABELS,
        )?;
        registry.register(Box::new(active.clone()))?;
        registry.register(Box::new(endpoints.clone()))?;
        let mut usable = BTreeMap::new();
        for port in self.shared.view.load().ports.iter() {
            usable.insert(Arc::clone(&port.state.id), port.upstreams.len());
        }
        for state in states.ports() {
            let labels = labels(state);
            let labels = [&*labels.0, &labels.1, labels.2];
            let open = i64::try_from(state.active.0.load(Relaxed)).unwrap_or(i64::MAX);
            active.with_label_values(&labels).set(open);
            let count = usable.get(&state.id).copied().unwrap_or(0);
            endpoints
                .with_label_values(&labels)
                .set(i64::try_from(count).unwrap_or(i64::MAX));
        }
        Ok(())
    }
}

impl prometheus::core::Collector for Collector {
    fn desc(&self) -> Vec<&Desc> {
        Vec::new()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.families().unwrap_or_default()
    }
}

fn labels(state: &PortState) -> (String, String, &'static str) {
    (state.id.service.to_string(), state.id.name.to_string(), state.id.protocol.label())
}

type Counter = (&'static str, &'static str, fn(&PortState) -> &AtomicU64);

const COUNTERS: &[Counter] = &[
    ("portico_l4_connections_total", "Downstream connections accepted.", |s| &s.connections.0),
    ("portico_l4_rejected_total", "Connections reset for want of an endpoint.", |s| &s.rejected),
    ("portico_l4_connect_failures_total", "Dials to endpoints that failed.", |s| {
        &s.connect_failures
    }),
    ("portico_l4_received_bytes_total", "Bytes from clients to endpoints.", |s| {
        &s.bytes_received.0
    }),
    ("portico_l4_sent_bytes_total", "Bytes from endpoints to clients.", |s| &s.bytes_sent.0),
];

const LABELS: &[&str] = &["service", "port", "protocol"];
