//! What the loops of one worker count of one listener, under CoreDNS's names when it is read.
//!
//! ```text
//! worker: message ─▶ its zone's cells        scrape: cells of all workers ─sum─▶ families
//! ```
//!
//! Invariants: one thread writes a [`Tally`], so that counting is a few plain additions at small indices:
//! no lock, no label, no clock (times come with the batch); series are bounded by the zones that
//! settings name, whatever clients send. How sums are shown is `coredns`'s work.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::answer::Outcome;
use crate::zones::{MOST_ZONES, Zone};

/// The counters of one listener and transport on one worker.
#[derive(Debug)]
pub(crate) struct Tally {
    /// Labels of all its series.
    pub(crate) ends: TallyEnds,
    /// Replies that never left.
    pub(crate) shed: Count,
    zones: [OnceLock<Box<Cells>>; MOST_ZONES],
}

/// Where its messages come to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct TallyEnds {
    /// `dns://127.0.0.1:1053`, or `tls://…`.
    pub(crate) server: String,
    /// `udp` or `tcp`.
    pub(crate) proto: &'static str,
    /// `1` for IPv4, `2` for IPv6.
    pub(crate) family: &'static str,
}

/// The counters of one zone.
#[derive(Debug, Default)]
pub(crate) struct Cells {
    pub(crate) requests: [Count; TYPES.len()],
    pub(crate) responses: [Count; RCODES.len()],
    pub(crate) dnssec_ok: Count,
    pub(crate) request_bytes: Spread<{ SIZES.len() + 1 }>,
    pub(crate) response_bytes: Spread<{ SIZES.len() + 1 }>,
    /// The sum is in microseconds.
    pub(crate) durations: Spread<{ TIMES + 1 }>,
}

/// A number that one thread adds to and any may read.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

/// Counts by bucket, the last has no bound; and the sum of all.
#[derive(Debug)]
pub(crate) struct Spread<const N: usize> {
    pub(crate) buckets: [Count; N],
    pub(crate) sum: Count,
}

/// Replies of a batch whose time is not known yet.
#[derive(Debug, Default)]
pub(crate) struct Batched(Vec<Zone>);

impl TallyEnds {
    /// Those of what is not shown.
    pub(crate) fn nowhere() -> Self {
        Self { server: String::new(), proto: "udp", family: "1" }
    }

    /// Whether they are those of listeners of Ingress.
    pub(crate) fn is_https(&self) -> bool {
        self.server.starts_with("https:")
    }
}

impl Tally {
    pub(crate) fn new(ends: TallyEnds) -> Self {
        Self { ends, shed: Count::default(), zones: [const { OnceLock::new() }; MOST_ZONES] }
    }

    /// Counts one message of `request` octets and its reply of `reply`.
    pub(crate) fn count(&self, outcome: Outcome, request: usize, reply: usize) {
        let (rcode, heard) = match outcome {
            Outcome::Reply { rcode, heard } | Outcome::Elsewhere { rcode, heard, .. } => {
                (rcode, heard)
            }
            Outcome::Ignored(zone) => {
                let cells = self.cells(zone);
                add(&cells.requests, TYPES.len() - 1);
                cells
                    .request_bytes
                    .add(size_bucket(request), request as u64);
                return;
            }
        };
        let cells = self.cells(heard.zone);
        add(&cells.requests, column(heard.kind));
        add(&cells.responses, usize::from(rcode).min(RCODES.len() - 1));
        if heard.dnssec_ok {
            cells.dnssec_ok.add(1);
        }
        cells
            .request_bytes
            .add(size_bucket(request), request as u64);
        cells.response_bytes.add(size_bucket(reply), reply as u64);
    }

    /// Counts one message that has been answered by itself, begun at `began`.
    pub(crate) fn count_late(
        &self,
        outcome: Outcome,
        request: usize,
        reply: usize,
        began: Instant,
    ) {
        self.count(outcome, request, reply);
        if let Outcome::Reply { heard, .. } | Outcome::Elsewhere { heard, .. } = outcome {
            self.took(heard.zone, began.elapsed());
        }
    }

    /// Counts how long a reply took.
    pub(crate) fn took(&self, zone: Zone, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.cells(zone).durations.add(time_bucket(time), micros);
    }

    /// The cells that were ever counted in, by the number of their zone.
    pub(crate) fn counted(&self) -> impl Iterator<Item = (usize, &Cells)> {
        let cells = self.zones.iter().enumerate();
        cells.filter_map(|(number, cells)| Some((number, &**cells.get()?)))
    }

    fn cells(&self, zone: Zone) -> &Cells {
        // `Zone` stays below the number of places.
        self.zones[zone.index()].get_or_init(Box::default)
    }
}

impl Batched {
    /// One more, of this outcome.
    pub(crate) fn push(&mut self, outcome: Outcome) {
        if let Outcome::Reply { heard, .. } | Outcome::Elsewhere { heard, .. } = outcome {
            self.0.push(heard.zone);
        }
    }

    /// All of them began at `began` and end now; the clock is read where there are any.
    pub(crate) fn took(&mut self, tally: &Tally, began: Instant) {
        if self.0.is_empty() {
            return;
        }
        let time = began.elapsed();
        for zone in self.0.drain(..) {
            tally.took(zone, time);
        }
    }
}

impl Count {
    /// Not one indivisible step, and need not be: nobody else writes.
    pub(crate) fn add(&self, more: u64) {
        let before = self.0.load(Ordering::Relaxed);
        self.0.store(before.wrapping_add(more), Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl<const N: usize> Default for Spread<N> {
    fn default() -> Self {
        Self { buckets: std::array::from_fn(|_| Count::default()), sum: Count::default() }
    }
}

impl<const N: usize> Spread<N> {
    fn add(&self, bucket: usize, value: u64) {
        add(&self.buckets, bucket);
        self.sum.add(value);
    }
}

fn add(counts: &[Count], place: usize) {
    if let Some(count) = counts.get(place) {
        count.add(1);
    }
}

/// The place of a type in [`TYPES`].
fn column(kind: u16) -> usize {
    match kind {
        1 => 0,
        28 => 1,
        15 => 2,
        6 => 3,
        5 => 4,
        12 => 5,
        16 => 6,
        2 => 7,
        33 => 8,
        43 => 9,
        48 => 10,
        46 => 11,
        47 => 12,
        50 => 13,
        65 => 14,
        251 => 15,
        252 => 16,
        255 => 17,
        _ => 18,
    }
}

/// How many of [`SIZES`] are less than `octets`.
fn size_bucket(octets: usize) -> usize {
    let octets = u16::try_from(octets).unwrap_or(u16::MAX);
    SIZES.iter().map(|bound| usize::from(octets > *bound)).sum()
}

/// The first bucket whose bound, 250 µs · 2^i, is not below `time`.
fn time_bucket(time: Duration) -> usize {
    let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    let whole = nanoseconds.saturating_sub(1) / SHORTEST_NANOSECONDS;
    let bucket = u64::BITS - whole.leading_zeros();
    TIMES.min(bucket as usize)
}

/// The labels `type`, in the order of [`column()`].
pub(crate) const TYPES: [&str; 19] = [
    "A", "AAAA", "MX", "SOA", "CNAME", "PTR", "TXT", "NS", "SRV", "DS", "DNSKEY", "RRSIG", "NSEC",
    "NSEC3", "HTTPS", "IXFR", "AXFR", "ANY", "other",
];
/// By code; the last stands for all others.
pub(crate) const RCODES: [&str; 7] =
    ["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "other"];
/// Bounds of sizes, in octets: CoreDNS's.
pub(crate) const SIZES: [u16; 14] =
    [0, 100, 200, 300, 400, 511, 1023, 2047, 4095, 8291, 16_000, 32_000, 48_000, 64_000];
/// Bounds of times: 250 µs and each time twice as long.
pub(crate) const TIMES: usize = 16;
const SHORTEST_NANOSECONDS: u64 = 250_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_in_the_first_bucket_that_holds_it() {
        for (octets, want) in
            [(0, 0), (1, 1), (100, 1), (101, 2), (511, 5), (512, 6), (64_000, 13), (65_535, 14)]
        {
            assert_eq!(size_bucket(octets), want, "{octets} octets");
        }
        for (nanoseconds, want) in [
            (0, 0),
            (250_000, 0),
            (250_001, 1),
            (500_000, 1),
            (500_001, 2),
            (1_000_000, 2),
            (8_192_000_000, 15),
            (8_192_000_001, 16),
            (60_000_000_000, 16),
        ] {
            assert_eq!(time_bucket(Duration::from_nanos(nanoseconds)), want, "{nanoseconds} ns");
        }
    }

    #[test]
    fn every_type_has_the_column_of_its_label() {
        for (kind, label) in [
            (1, "A"),
            (28, "AAAA"),
            (15, "MX"),
            (6, "SOA"),
            (5, "CNAME"),
            (12, "PTR"),
            (16, "TXT"),
            (2, "NS"),
            (33, "SRV"),
            (43, "DS"),
            (48, "DNSKEY"),
            (46, "RRSIG"),
            (47, "NSEC"),
            (50, "NSEC3"),
            (65, "HTTPS"),
            (251, "IXFR"),
            (252, "AXFR"),
            (255, "ANY"),
            (99, "other"),
        ] {
            assert_eq!(TYPES[column(kind)], label);
        }
    }
}
