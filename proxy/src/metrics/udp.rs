//! UDP's counters: only ServicePorts that speak it have series.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use portico_config::model::Protocol;
use prometheus::{IntCounterVec, IntGaugeVec, Opts, Registry};

use super::Labelled;
use crate::upstream::{Loss, PortState, SessionEnd};

/// Registers the families and fills them.
pub(super) fn count(ports: &[Labelled<'_>], registry: &Registry) -> prometheus::Result<()> {
    let is_udp = |port: &&Labelled<'_>| port.port.state.id.protocol == Protocol::Udp;
    let ports: Vec<&Labelled<'_>> = ports.iter().filter(is_udp).collect();
    for (name, help, value) in COUNTERS {
        let counter = IntCounterVec::new(Opts::new(*name, *help), LABELS)?;
        registry.register(Box::new(counter.clone()))?;
        for port in &ports {
            let count = value(&port.port.state).load(Relaxed);
            counter.with_label_values(&port.names()).inc_by(count);
        }
    }
    let active = IntGaugeVec::new(
        Opts::new("portico_l4_udp_sessions_active", "UDP sessions that are open now."),
        LABELS,
    )?;
    registry.register(Box::new(active.clone()))?;
    for port in &ports {
        let open = port.port.state.datagrams.active.load(Relaxed);
        let open = i64::try_from(open).unwrap_or(i64::MAX);
        active.with_label_values(&port.names()).set(open);
    }
    let by_reason = |name, help| -> prometheus::Result<IntCounterVec> {
        let counter = IntCounterVec::new(Opts::new(name, help), LABELS_AND_REASON)?;
        registry.register(Box::new(counter.clone()))?;
        Ok(counter)
    };
    let ended = by_reason("portico_l4_udp_sessions_ended_total", "UDP sessions that ended.")?;
    let lost = by_reason("portico_l4_udp_lost_datagrams_total", "Datagrams that went nowhere.")?;
    for port in ports {
        let [service, name] = port.names();
        let counters = &port.port.state.datagrams;
        for (why, count) in SessionEnd::ALL.iter().zip(&counters.ended) {
            ended
                .with_label_values(&[service, name, why.label()])
                .inc_by(count.load(Relaxed));
        }
        for (why, count) in Loss::ALL.iter().zip(&counters.lost) {
            lost.with_label_values(&[service, name, why.label()])
                .inc_by(count.load(Relaxed));
        }
    }
    Ok(())
}

impl Labelled<'_> {
    fn names(&self) -> [&str; 2] {
        [&self.service, &self.name]
    }
}

type Counter = (&'static str, &'static str, fn(&PortState) -> &AtomicU64);

const COUNTERS: &[Counter] = &[
    ("portico_l4_udp_sessions_total", "UDP sessions opened.", |s| &s.datagrams.sessions),
    ("portico_l4_udp_received_datagrams_total", "Datagrams sent on to endpoints.", |s| {
        &s.datagrams.received
    }),
    ("portico_l4_udp_sent_datagrams_total", "Datagrams sent on to clients.", |s| &s.datagrams.sent),
];

const LABELS: &[&str] = &["service", "port"];
const LABELS_AND_REASON: &[&str] = &["service", "port", "reason"];
