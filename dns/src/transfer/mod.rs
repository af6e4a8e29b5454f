//! Whole zones for secondaries (`dns 1.10`): AXFR, and IXFR as if it were one (RFC 5936, RFC 1995).
//!
//! ```text
//! question ─begin─▶ allowed, an apex, a free place ─▶ Transfer ─next─▶ message, message, …
//! ```
//!
//! Invariants: only over streams, and only to networks that settings name; a transfer is of one generation
//! from its first SOA to its last; it holds what questions are answered with, name by name, in messages
//! of at most [`MOST_OCTETS`], each of which is made when the one before has left; at most [`MOST_AT_ONCE`]
//! run over all workers. What records there are is `plan`'s to say.

mod plan;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arc_swap::ArcSwap;
use ipnet::IpNet;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntCounter, IntGauge};

use self::plan::Plan;
use crate::acl::Acl;
use crate::answer::{AUTHORITATIVE, Heard, NOT_READY, Outcome};
use crate::forward::message::record;
use crate::question::{Edns, HEADER, Query, REFUSED, Read, SERVFAIL, read, skip_name};
use crate::reply::Reply;
use crate::serve::Ends;
use crate::table::AnswerTable;
use crate::wire::{SOA, is_within, u32_at};

/// Who may have zones, and who has one now; shared by all workers.
#[derive(Debug)]
pub(crate) struct Transfers {
    to: ArcSwap<Acl>,
    running: Arc<AtomicUsize>,
    metrics: Metrics,
}

/// What is counted of them.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    running: IntGauge,
    begun: IntCounter,
    crowded: IntCounter,
}

/// One zone on its way to one client.
#[derive(Debug)]
pub(crate) struct Transfer {
    head: Head,
    plan: Plan,
    is_first: bool,
    _place: Place,
}

/// What every message of it repeats.
#[derive(Debug)]
struct Head {
    /// Id and flags of the question.
    start: [u8; 4],
    question: Box<[u8]>,
    edns: Option<Edns>,
    heard: Heard,
}

/// One of the places, until dropped.
#[derive(Debug)]
struct Place {
    running: Arc<AtomicUsize>,
    gauge: IntGauge,
}

impl Transfers {
    /// To clients of these networks alone.
    pub(crate) fn new(to: &[IpNet]) -> Self {
        let to = ArcSwap::from_pointee(Acl::new(to));
        Self { to, running: Arc::default(), metrics: Metrics::new() }
    }

    /// From now on to clients of these.
    pub(crate) fn follow(&self, to: &[IpNet]) {
        let acl = Acl::new(to);
        if **self.to.load() != acl {
            self.to.store(Arc::new(acl));
        }
    }

    /// What it counts.
    pub(crate) fn metrics(&self) -> Metrics {
        self.metrics.clone()
    }

    /// Begins what `message` asks for; else the refusal, which `reply` holds already or from now on.
    pub(crate) fn begin(
        &self,
        message: &[u8],
        ends: Ends,
        table: &ArcSwap<AnswerTable>,
        refused: Outcome,
        reply: &mut Vec<u8>,
    ) -> Result<Transfer, Outcome> {
        if !self.to.load().allows(ends.peer.ip()) {
            return Err(refused);
        }
        let table = table.load_full();
        let Read::Query(query) = read(message, table.udp_size) else { return Err(refused) };
        let table = table
            .views
            .of(ends.peer.ip())
            .map_or_else(|| Arc::clone(&table), Arc::clone);
        if !table.is_loaded {
            return Err(fail(message, &query, reply));
        }
        let zone = query.key.wire();
        if !table.zones.iter().any(|known| **known == *zone) || is_reverse(zone) {
            return Err(refused);
        }
        let Some(place) = self.enter() else {
            self.metrics.crowded.inc();
            return Err(fail(message, &query, reply));
        };
        self.metrics.begun.inc();
        let is_current = query.kind == IXFR && serial(message) == Some(table.serial);
        let zone_number = table.counted_as(zone, zone.len());
        let head = Head {
            start: message.first_chunk().copied().unwrap_or_default(),
            question: query.question.into(),
            edns: query.edns,
            heard: Heard::dropped(query.kind, query.edns).within(zone_number),
        };
        let plan = Plan::new(table, zone, ends.local, is_current);
        Ok(Transfer { head, plan, is_first: true, _place: place })
    }

    fn enter(&self) -> Option<Place> {
        let before = self.running.fetch_add(1, Ordering::Relaxed);
        let gauge = self.metrics.running.clone();
        gauge.inc();
        let place = Place { running: Arc::clone(&self.running), gauge };
        (before < MOST_AT_ONCE).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.running.fetch_sub(1, Ordering::Relaxed);
        self.gauge.dec();
    }
}

impl Transfer {
    /// Finds out what the zone holds; others run meanwhile.
    pub(crate) async fn prepare(&mut self) {
        self.plan.prepare().await;
    }

    /// Writes the next message into `out`, which is emptied first; false where there is none.
    pub(crate) fn next(&mut self, out: &mut Vec<u8>) -> bool {
        out.clear();
        let edns = self.head.edns.filter(|_| self.is_first);
        self.is_first = false;
        let mut reply = Reply::begin(&self.head.start, &self.head.question, edns, out);
        reply.flags |= AUTHORITATIVE;
        while let Some(record) = self.plan.peek() {
            if reply.answers > 0 && reply.out.len() + record.len() > MOST_OCTETS {
                break;
            }
            reply.out.extend_from_slice(record);
            reply.answers += 1;
            self.plan.advance();
        }
        let is_some = reply.answers > 0;
        reply.finish();
        is_some
    }

    /// How it is counted.
    pub(crate) fn outcome(&self) -> Outcome {
        Outcome::Reply { rcode: 0, heard: self.head.heard }
    }
}

/// Whether `outcome` is what is said to a transfer where nobody allows it.
pub(crate) fn is_asked(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Reply { rcode: REFUSED, heard } if matches!(heard.kind, IXFR | AXFR))
}

/// Says that it cannot be now.
fn fail(message: &[u8], query: &Query<'_>, out: &mut Vec<u8>) -> Outcome {
    out.clear();
    let mut reply = Reply::begin(message, query.question, query.edns, out);
    reply.rcode = SERVFAIL;
    reply.error = Some(NOT_READY);
    let heard = Heard::dropped(query.kind, query.edns);
    Outcome::Reply { rcode: reply.finish(), heard }
}

fn is_reverse(zone: &[u8]) -> bool {
    is_within(zone, b"\x04arpa\0")
}

/// The serial that a client has, from the SOA of its IXFR.
fn serial(message: &[u8]) -> Option<u32> {
    let (end, _) = skip_name(message, HEADER)?;
    let soa = record(message, end + 4).filter(|it| it.kind == SOA)?;
    let (end, _) = skip_name(message, soa.data)?;
    let (end, _) = skip_name(message, end)?;
    u32_at(message, end).filter(|_| end + 20 == soa.end)
}

impl Metrics {
    fn new() -> Self {
        let counter =
            |name: &str, help: &str| IntCounter::new(name, help).expect("the name is valid");
        let running = IntGauge::new("portico_dns_transfers_running", "Zones on their way.");
        Self {
            running: running.expect("the name is valid"),
            begun: counter("portico_dns_transfers_total", "Zones that were transferred."),
            crowded: counter(
                "portico_dns_transfers_rejected_total",
                "Transfers that found all places taken.",
            ),
        }
    }

    fn all(&self) -> [&dyn Collector; 3] {
        [&self.running, &self.begun, &self.crowded]
    }
}

impl Collector for Metrics {
    fn desc(&self) -> Vec<&Desc> {
        self.all().into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let all = self.all().into_iter();
        all.flat_map(Collector::collect).collect()
    }
}

const IXFR: u16 = 251;
const AXFR: u16 = 252;
/// Of one message; CoreDNS has as many (`plugin/transfer`).
const MOST_OCTETS: usize = 63_000;
/// Transfers of all workers.
const MOST_AT_ONCE: usize = 8;
