//! Series of single endpoints, for those who ask for them with `--metrics-endpoints`.
//!
//! Invariants: at most as many endpoints have series as were asked for, in the order of Service,
//! port and address, so that which ones they are does not depend on the scrape; the others are
//! counted; series leave with their endpoint.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use prometheus::{IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

use super::Labelled;
use crate::upstream::{Tally, Upstream};

/// One endpoint of one ServicePort.
struct Counted<'a> {
    port: &'a Labelled<'a>,
    upstream: &'a Upstream,
    tally: &'a Tally,
    address: String,
}

/// Registers the families and fills them, `most` endpoints at most. A scrape that leaves some out
/// is noted in `exceeded`.
pub(super) fn count(
    ports: &[Labelled<'_>],
    most: usize,
    exceeded: &AtomicU64,
    registry: &Registry,
) -> prometheus::Result<()> {
    if most == 0 {
        return Ok(());
    }
    let mut ports: Vec<&Labelled<'_>> = ports.iter().collect();
    ports.sort_unstable_by_key(|port| port.labels());
    let mut all = ports.iter().flat_map(|port| {
        let upstreams = port.port.all_upstreams().into_values();
        upstreams.filter_map(|upstream| {
            let tally = upstream.tally.as_deref()?;
            Some(Counted { port, upstream, tally, address: upstream.address.to_string() })
        })
    });
    let shown: Vec<Counted<'_>> = all.by_ref().take(most).collect();
    let omitted = all.count();
    if omitted > 0 {
        exceeded.fetch_add(1, Relaxed);
    }
    let gauge = IntGauge::new("portico_endpoint_series_omitted", OMITTED)?;
    gauge.set(i64::try_from(omitted).unwrap_or(i64::MAX));
    registry.register(Box::new(gauge))?;
    fill(&shown, registry)
}

fn fill(shown: &[Counted<'_>], registry: &Registry) -> prometheus::Result<()> {
    let flows = IntCounterVec::new(Opts::new("portico_endpoint_flows_total", FLOWS), LABELS)?;
    let active = IntGaugeVec::new(Opts::new("portico_endpoint_flows_active", ACTIVE), LABELS)?;
    let failures =
        IntCounterVec::new(Opts::new("portico_endpoint_failures_total", FAILURES), &REASON)?;
    let out = IntGaugeVec::new(Opts::new("portico_endpoint_out", OUT), LABELS)?;
    registry.register(Box::new(flows.clone()))?;
    registry.register(Box::new(active.clone()))?;
    registry.register(Box::new(failures.clone()))?;
    registry.register(Box::new(out.clone()))?;
    let now = Instant::now();
    for Counted { port, upstream, tally, address } in shown {
        let [service, name, protocol] = port.labels();
        let labels = [service, name, protocol, address];
        flows
            .with_label_values(&labels)
            .inc_by(tally.flows.load(Relaxed));
        let open = i64::try_from(tally.active.load(Relaxed)).unwrap_or(i64::MAX);
        active.with_label_values(&labels).set(open);
        out.with_label_values(&labels)
            .set(upstream.is_out(now).into());
        for (reason, value) in
            [("dial", &tally.dials), ("reset", &tally.breaks), ("unavailable", &tally.unavailable)]
        {
            failures
                .with_label_values(&[service, name, protocol, address, reason])
                .inc_by(value.load(Relaxed));
        }
    }
    Ok(())
}

const LABELS: &[&str] = &["service", "port", "protocol", "endpoint"];
const REASON: [&str; 5] = ["service", "port", "protocol", "endpoint", "reason"];
const FLOWS: &str = "Connections, UDP sessions and requests that went to an endpoint.";
const ACTIVE: &str = "Those that are open now.";
const FAILURES: &str = "Those that failed there.";
const OUT: &str = "1 while it is put out and tried last.";
const OMITTED: &str = "Endpoints without series of their own, since there are too many.";
