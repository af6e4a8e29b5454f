//! L7 on one worker thread: what all of its connections share, without a lock.
//!
//! Settings as they were at start, the view that serves now, pools and buffers, and a clock. Other
//! files of `l7` add what a worker does: `decide`, `locate`, `obey`, `dial`, `shed`, `clock`.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use arc_swap::{ArcSwap, Cache};
use portico_config::model::FrontDoor;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::access::{Access, AccessLog};
use super::clock::{self, DATE_BYTES, date};
use super::forward::Via;
use super::h1::coder::Coders;
use super::h1::floor::Least;
use super::h2::backend::Backends;
use super::io::Scratch;
use super::metrics::Metrics;
use super::mirror::Copies;
use super::outside::Outside;
use super::passwords::Proofs;
use super::pool::Pool;
use super::queries::Queries;
use super::random::Random;
use super::secured::Handshakes;
use super::shed::{Lag, Reason};
use super::tls::Tls;
use super::watch::Ticker;
use crate::ledger::Column;
use crate::upstream::{Allowance, Bounds};
use crate::view::{Rule, View};

/// L7 on one worker thread.
pub(crate) struct Worker {
    /// Which of the workers it is, from 0.
    pub(super) number: usize,
    pub(super) view: RefCell<Cache<Arc<ArcSwap<View>>, Arc<View>>>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) connections: TaskTracker,
    pub(super) draining: Cell<bool>,
    /// Whether connections end with their next response.
    pub(super) closing: Cell<bool>,
    /// Why requests are turned away, if they are.
    pub(super) sheds: Cell<Option<Reason>>,
    /// Told when they are not any more.
    pub(super) relieved: Notify,
    pub(super) lag: Cell<Lag>,
    /// How fast clients must be.
    pub(super) least: Least,
    pub(super) ticker: Ticker,
    pub(super) pool: Pool,
    pub(super) backends: Backends,
    pub(super) handshakes: Handshakes,
    pub(super) scratch: Scratch,
    pub(super) coders: Coders,
    pub(super) copies: Copies,
    pub(super) via: Via,
    pub(super) proofs: Proofs,
    /// Where hosts are that are in no manifest.
    pub(super) outside: Outside,
    /// The line `Strict-Transport-Security`, where settings want it.
    pub(super) hsts: Option<Box<[u8]>>,
    /// The line `Date`, as of the last tick.
    pub(super) date: Cell<[u8; DATE_BYTES]>,
    pub(super) random: Random,
    /// What chance has for canaries; none: it is drawn.
    pub(super) drawn: Cell<Option<u64>>,
    /// Limits and timeouts.
    pub(super) door: FrontDoor,
    /// How many requests an endpoint may have, where its Service does not say it.
    pub(super) bounds: Bounds,
    /// How many requests may be sent again.
    pub(super) allowance: Allowance,
    pub(super) tls: Option<Arc<Tls>>,
    pub(super) queries: Queries,
    /// The log of requests, where there is one.
    pub(super) access: Option<AccessLog>,
}

impl Worker {
    /// L7 over the views in `view`; its connections belong to `connections` and end by `drain`.
    pub(crate) fn new(
        view: Arc<ArcSwap<View>>,
        counts: (Arc<Metrics>, usize),
        connections: TaskTracker,
        drain: CancellationToken,
        queries: Queries,
        told: (&FrontDoor, Option<Access>),
    ) -> Rc<Self> {
        let worker = Self { connections, ..Self::at_rest(view, counts, queries, told) };
        let worker = Rc::new(worker);
        // Ends with the worker; belongs to no tracker, since nobody waits for a clock.
        tokio::task::spawn_local(clock::keep(Rc::downgrade(&worker), drain));
        worker
    }

    /// The same without a clock: it decides, and serves nobody.
    pub(super) fn at_rest(
        view: Arc<ArcSwap<View>>,
        (metrics, number): (Arc<Metrics>, usize),
        queries: Queries,
        (door, access): (&FrontDoor, Option<Access>),
    ) -> Self {
        let ticker = Ticker::new(&door.timeouts);
        let tls = metrics
            .tls
            .get_or_init(|| Tls::new(&view, metrics.dev_ca.get()).ok().map(Arc::new))
            .clone();
        Self {
            number,
            view: RefCell::new(Cache::new(view)),
            metrics,
            connections: TaskTracker::new(),
            draining: Cell::new(false),
            closing: Cell::new(false),
            sheds: Cell::new(None),
            relieved: Notify::new(),
            lag: Cell::default(),
            least: Least {
                bytes_per_second: door.min_rate,
                window: u32::try_from(door.min_rate_time.as_secs()).unwrap_or(u32::MAX),
            },
            pool: Pool::new(ticker.clone()),
            backends: Backends::default(),
            handshakes: Handshakes::default(),
            ticker,
            scratch: Scratch::default(),
            coders: Coders::default(),
            copies: Copies::default(),
            via: Via::of_process(),
            proofs: Proofs::default(),
            outside: Outside::default(),
            hsts: hsts(door),
            date: Cell::new(date()),
            random: Random::new(),
            drawn: Cell::new(None),
            door: door.clone(),
            bounds: Bounds {
                requests: door.max_endpoint_requests,
                pending: door.max_endpoint_pending,
            },
            allowance: Allowance {
                percent: door.retry_percent,
                per_second: door.retries_per_second,
            },
            tls,
            queries,
            access: access.map(AccessLog::new),
        }
    }

    /// Where requests of a rule are counted, or those that no rule was found for.
    pub(super) fn column<'a>(&'a self, rule: Option<&'a Arc<Rule>>) -> Option<&'a Column> {
        let ledger = rule.map_or(&self.metrics.unrouted, |rule| &rule.ledger);
        ledger.column(self.number)
    }

    /// Whether connections end, those at rest at once.
    pub(super) fn is_draining(&self) -> bool {
        self.draining.get()
    }

    /// Whether connections end with their next response.
    pub(super) fn is_closing(&self) -> bool {
        self.closing.get()
    }

    /// What a request is called that its client calls nothing: unique, not secret.
    pub(super) fn request_id(&self) -> [u8; 32] {
        self.random.digits()
    }

    /// The next random number.
    pub(super) fn next_random(&self) -> u64 {
        self.random.next()
    }

    /// What chance has for a canary: what was set for somebody who only thinks of a request.
    pub(super) fn draw(&self) -> u64 {
        self.drawn.get().unwrap_or_else(|| self.next_random())
    }
}

/// The line `Strict-Transport-Security`.
fn hsts(door: &FrontDoor) -> Option<Box<[u8]>> {
    let value = door.hsts.value()?;
    Some(
        format!("Strict-Transport-Security: {value}\r\n")
            .into_bytes()
            .into(),
    )
}
