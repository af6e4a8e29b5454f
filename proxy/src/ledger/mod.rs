//! What the requests of a rule came to: each worker counts for itself, and who reads adds up.
//!
//! ```text
//! rule ─▶ Ledger ─▶ Column of a worker ─▶ plain additions        scrape: columns ─sum─▶ series
//! ```
//!
//! Invariants: one thread writes a [`Column`], so that counting needs no lock, looks no label up and
//! allocates nothing; what a series is called says a manifest ([`Subject`]) or a closed set, never a
//! client; at most [`PAIRS`] pairs of method and status are told apart in a column. Which rules have
//! ledgers is `ledgers`' work, how they are shown that of `metrics`.

mod count;
mod call;
mod ledgers;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use portico_config::model::ObjectName;
use portico_config::snapshot::PortId;

pub(crate) use self::call::{CallStatus, LABELS, STATUSES as CALL_STATUSES};
pub(crate) use self::count::{BOUNDS_MICROS, BUCKETS, Spread};
pub(crate) use self::ledgers::{Ledgers, Shared};

use self::call::Calls;
use self::count::Count;

/// Whose requests a ledger is about.
#[derive(Clone, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Subject {
    /// The Ingress; none: settings say where they go.
    pub(crate) ingress: Option<ObjectName>,
    /// The host as written, `*` where a rule names none.
    pub(crate) host: Arc<str>,
    /// The path as written; empty: the default backend.
    pub(crate) path: Arc<str>,
    /// Where they go; none: nowhere.
    pub(crate) service: Option<Arc<PortId>>,
    /// The Ingress that is the alternative, where they are those of the alternative.
    pub(crate) canary: Option<ObjectName>,
}

/// What the requests of one rule came to.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Whose they are.
    pub(crate) subject: Subject,
    columns: Box<[Column]>,
}

/// What one worker counted. Columns of two workers share no line of memory.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Column {
    answers: [Answers; PAIRS],
    /// Those of further pairs.
    rest: Count,
    begun: Count,
    took: Spread,
    upstream: Spread,
    received_bytes: Count,
    sent_bytes: Count,
    opened: Count,
    closed: Count,
    calls: Calls,
}

/// A tunnel that is open.
#[derive(Debug)]
pub(crate) struct OpenTunnel<'a>(&'a Column);

impl Drop for OpenTunnel<'_> {
    fn drop(&mut self) {
        self.0.closed.add(1);
    }
}

/// Requests of one method that were answered with one status.
#[derive(Debug, Default)]
struct Answers {
    /// 0: of none yet.
    pair: AtomicU32,
    count: Count,
}

/// One of the methods that are told apart (`http-proxy 9.5`).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Verb(u8);

/// What one request came to.
#[derive(Debug)]
pub(crate) struct Settled {
    /// Its method.
    pub(crate) verb: Verb,
    /// Of the response that the client had, or began to have; 499: it left before.
    pub(crate) status: u16,
    /// From its head to the end of the response; none: it was no request.
    pub(crate) took: Option<Duration>,
    /// From its being sent to an endpoint to the head of the answer; none: none answered.
    pub(crate) upstream: Option<Duration>,
    /// Bytes of the request.
    pub(crate) received_bytes: u64,
    /// Bytes of the response.
    pub(crate) sent_bytes: u64,
    /// How it ended, where it was a call of gRPC.
    pub(crate) call: Option<CallStatus>,
}

/// The columns of a ledger, added up.
#[derive(Debug, Default)]
pub(crate) struct Sums {
    /// By method and status, as labels.
    pub(crate) answers: BTreeMap<(&'static str, String), u64>,
    pub(crate) took: [u64; BUCKETS],
    pub(crate) took_micros: u64,
    pub(crate) upstream: [u64; BUCKETS],
    pub(crate) upstream_micros: u64,
    pub(crate) received_bytes: u64,
    pub(crate) sent_bytes: u64,
    /// Tunnels that are open now; none: there never was any.
    pub(crate) tunnels: Option<u64>,
    /// Calls of gRPC, by their status.
    pub(crate) calls: [u64; CALL_STATUSES],
    /// Requests that began and did not end yet.
    pub(crate) active: u64,
    /// Whether there was any request.
    pub(crate) is_used: bool,
}

impl Verb {
    /// The method of a request.
    pub(crate) fn of(method: &str) -> Self {
        Self(match method {
            "GET" => 1,
            "POST" => 2,
            "HEAD" => 3,
            "PUT" => 4,
            "DELETE" => 5,
            "OPTIONS" => 6,
            "PATCH" => 7,
            "CONNECT" => 8,
            "TRACE" => 9,
            _ => 0,
        })
    }
}

impl Ledger {
    /// An empty one that so many workers write.
    pub(crate) fn new(subject: Subject, workers: usize) -> Self {
        Self { subject, columns: (0..workers).map(|_| Column::default()).collect() }
    }

    /// Where the worker of this number counts.
    pub(crate) fn column(&self, worker: usize) -> Option<&Column> {
        self.columns.get(worker)
    }

    /// What all workers counted.
    pub(crate) fn sums(&self) -> Sums {
        let mut sums = Sums::default();
        for column in &self.columns {
            column.add_to(&mut sums);
        }
        sums
    }
}

impl Column {
    /// Counts a request that begins; it is one of those that go on until it is settled.
    #[inline]
    pub(crate) fn begin(&self) {
        self.begun.add(1);
    }

    /// Counts a request.
    pub(crate) fn settle(&self, settled: &Settled) {
        self.answers(settled.verb, settled.status).add(1);
        if let Some(took) = settled.took {
            self.took.add(took);
        }
        if let Some(upstream) = settled.upstream {
            self.upstream.add(upstream);
        }
        self.carry(settled.received_bytes, settled.sent_bytes);
        if let Some(status) = settled.call {
            self.calls.add(status);
        }
    }

    /// Counts bytes of a request, or of the tunnel that it became.
    pub(crate) fn carry(&self, received_bytes: u64, sent_bytes: u64) {
        self.received_bytes.add(received_bytes);
        self.sent_bytes.add(sent_bytes);
    }

    /// Counts a request that became a tunnel, which is open until the result is dropped.
    pub(crate) fn open_tunnel(&self) -> OpenTunnel<'_> {
        self.opened.add(1);
        OpenTunnel(self)
    }

    /// Pairs stand in the order in which they came, and few rules have many.
    fn answers(&self, verb: Verb, status: u16) -> &Count {
        let pair = u32::from(verb.0) * STATUSES + u32::from(status);
        for answers in &self.answers {
            match answers.pair.load(Relaxed) {
                known if known == pair => return &answers.count,
                0 => {
                    answers.pair.store(pair, Relaxed);
                    return &answers.count;
                }
                _ => {}
            }
        }
        &self.rest
    }

    fn add_to(&self, sums: &mut Sums) {
        let mut add = |labels, count: &Count| {
            if count.get() > 0 {
                *sums.answers.entry(labels).or_default() += count.get();
            }
        };
        for answers in &self.answers {
            let pair = answers.pair.load(Relaxed);
            let verb = usize::try_from(pair / STATUSES).unwrap_or(0);
            let verb = VERBS.get(verb).copied().unwrap_or(OTHER);
            add((verb, (pair % STATUSES).to_string()), &answers.count);
        }
        add((OTHER, OTHER.to_owned()), &self.rest);
        // Before those that ended, which another thread counts meanwhile: there are never too few.
        let begun = self.begun.get();
        let ended = |took: &[u64; BUCKETS]| took.iter().sum::<u64>();
        let before = ended(&sums.took);
        self.took.add_to(&mut sums.took, &mut sums.took_micros);
        sums.active += begun.saturating_sub(ended(&sums.took) - before);
        sums.is_used |= begun > 0 || !sums.answers.is_empty();
        self.upstream
            .add_to(&mut sums.upstream, &mut sums.upstream_micros);
        sums.received_bytes += self.received_bytes.get();
        sums.sent_bytes += self.sent_bytes.get();
        self.calls.add_to(&mut sums.calls);
        if self.opened.get() > 0 {
            let open = self.opened.get().saturating_sub(self.closed.get());
            *sums.tunnels.get_or_insert(0) += open;
        }
    }
}

/// Pairs of method and status that one worker tells apart for one rule.
const PAIRS: usize = 15;
/// More than there are.
const STATUSES: u32 = 1_000;
/// What is not told apart.
const OTHER: &str = "other";
/// By the number of a [`Verb`].
const VERBS: [&str; 10] =
    [OTHER, "GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "CONNECT", "TRACE"];

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(method: &str, status: u16) -> Settled {
        Settled {
            verb: Verb::of(method),
            status,
            took: Some(Duration::from_micros(150)),
            upstream: Some(Duration::from_micros(90)),
            received_bytes: 10,
            sent_bytes: 100,
            call: None,
        }
    }

    #[test]
    fn methods_are_told_apart_by_their_own_names() {
        for name in VERBS {
            let verb = Verb::of(name);
            let shown = VERBS[usize::from(verb.0)];
            assert_eq!(shown, name, "http-proxy 9.5");
        }
        assert_eq!(Verb::of("get"), Verb::of("BREW"), "http-proxy 9.5: methods have one case");
    }

    #[test]
    fn columns_of_all_workers_are_added_up() {
        let ledger = Ledger::new(Subject::default(), 2);
        for (worker, method, status) in
            [(0, "GET", 200), (1, "GET", 200), (1, "BREW", 418), (0, "GET", 499)]
        {
            ledger
                .column(worker)
                .unwrap()
                .settle(&settled(method, status));
        }
        assert!(ledger.column(2).is_none());
        let sums = ledger.sums();
        let answers: Vec<_> = sums.answers.into_iter().collect();
        let want = [(("GET", "200"), 2), (("GET", "499"), 1), (("other", "418"), 1)];
        let want = want.map(|((verb, status), count)| ((verb, status.to_owned()), count));
        assert_eq!(answers, want, "http-proxy 9.4");
        assert_eq!((sums.received_bytes, sums.sent_bytes), (40, 400));
        assert_eq!((sums.took_micros, sums.upstream_micros), (600, 360));
        assert_eq!((sums.took[1], sums.upstream[0]), (4, 4), "0.1 ms is the first bound");
    }

    #[test]
    fn calls_are_counted_by_their_status_beside_what_http_says() {
        let ledger = Ledger::new(Subject::default(), 2);
        for (worker, status) in
            [(0, CallStatus::of(0)), (1, CallStatus::of(5)), (1, CallStatus::of(0))]
        {
            let column = ledger.column(worker).unwrap();
            column.settle(&Settled { call: Some(status), ..settled("POST", 200) });
        }
        let sums = ledger.sums();
        assert_eq!((sums.calls[0], sums.calls[5]), (2, 1), "http-proxy 6.9");
        assert_eq!(sums.calls.iter().sum::<u64>(), 3);
        assert_eq!(sums.answers[&("POST", "200".to_owned())], 3);
    }

    #[test]
    fn further_pairs_of_method_and_status_count_as_other() {
        let ledger = Ledger::new(Subject::default(), 1);
        let column = ledger.column(0).unwrap();
        for status in 100..600 {
            column.settle(&settled("GET", status));
        }
        let sums = ledger.sums();
        assert_eq!(sums.answers.len(), PAIRS + 1, "http-proxy 9.5");
        let rest = sums.answers[&("other", "other".to_owned())];
        assert_eq!(rest, 500 - PAIRS as u64);
    }

    #[test]
    fn requests_go_on_until_they_are_settled() {
        let ledger = Ledger::new(Subject::default(), 2);
        assert!(!ledger.sums().is_used);
        for _ in 0..3 {
            ledger.column(1).unwrap().begin();
        }
        let sums = ledger.sums();
        assert_eq!((sums.active, sums.is_used), (3, true), "http-proxy 9.4");
        let column = ledger.column(1).unwrap();
        column.settle(&settled("GET", 200));
        // A head that could not be read never began.
        column.settle(&Settled { took: None, ..settled("", 400) });
        assert_eq!(ledger.sums().active, 2);
    }

    #[test]
    fn open_tunnels_are_those_that_did_not_end() {
        let ledger = Ledger::new(Subject::default(), 1);
        let column = ledger.column(0).unwrap();
        let first = column.open_tunnel();
        let _second = column.open_tunnel();
        drop(first);
        assert_eq!(ledger.sums().tunnels, Some(1), "http-proxy 9.4");
    }
}
