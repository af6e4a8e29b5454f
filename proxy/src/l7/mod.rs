//! L7: the Ingress front door.
//!
//! ```text
//! connection ─▶ codec ─▶ fields ─▶ request ─▶ route ─▶ forward ─▶ pool │ dial ─▶ codec
//!   preface     h2 ─▶ h1            checks                                                 └▶ upgrade
//! ```
//!
//! A connection and the backends' connections that serve it live and die on one worker, and one
//! task does all the work of a client's connection: nothing here is locked. The view is looked at
//! once per request.

mod fields;
mod edits;
mod coding;
mod h1;
mod h2;
mod io;
mod request;
mod route;
mod policy;
mod verify;
mod passwords;
mod outside;
mod errand;
mod external;
mod mirror;
mod asks;
mod queries;
mod forward;
mod forwarded;
mod calls;
mod trust;
mod respond;
mod watch;
mod secured;
mod session;
mod pages;
mod pool;
mod metrics;
mod tls;
mod clients;
mod agreed;
mod access;
mod account;
mod panics;
mod shed;
mod exchange;
mod upgrade;
mod preface;
mod passed;
mod server_name;
mod connection;
pub(crate) mod explain;
#[cfg(test)]
mod one_worker;
#[cfg(test)]
mod sizes;

#[cfg(feature = "bench")]
pub(crate) use self::access::bench::Logger;
#[cfg(feature = "bench")]
pub(crate) use self::h1::coder::bench as coded;
#[cfg(feature = "bench")]
pub(crate) use self::h1::one_form;
#[cfg(feature = "bench")]
pub(crate) use self::h2::one_meaning;
#[cfg(feature = "bench")]
pub(crate) use self::route::route as way_of;

use std::cell::{Cell, RefCell};
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use arc_swap::{ArcSwap, Cache};
use http::StatusCode;
use portico_config::model::{Balancing, ClientAuth, FrontDoor, Policy, ServiceAddress};
use portico_config::snapshot::Canary;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::ledger::Column;
use crate::limiter::Limiter;
use crate::upstream::{Allowance, Bounds, Port};
use crate::view::{Rule, Target, View};

use self::access::AccessLog;
use self::fields::Fields;
use self::forward::{ForwardedFor, Via};
use self::h1::coder::Coders;
use self::h1::floor::Least;
use self::h2::backend::Backends;
use self::io::Scratch;
use self::mirror::Copies;
use self::outside::Outside;
use self::passwords::Proofs;
use self::policy::Declined;
use self::pool::Pool;
use self::request::{Checked, Refused};
use self::secured::Handshakes;
use self::shed::{Lag, Reason};
use self::tls::Tls;
use self::watch::{TICK, Ticker};

pub(crate) use self::access::Access;
pub(crate) use self::metrics::Metrics;
pub(crate) use self::outside::Forbidden;
pub use self::queries::{Answered, Answering, Resolver};
pub(crate) use self::queries::{Queries, QueryHosts};

/// Where a request goes, and what is asked of it before.
struct Routed {
    target: Target<Arc<Port>>,
    policy: Option<Arc<Policy>>,
    /// Whether that is the alternative of its location.
    canary: Option<Arc<Canary>>,
    /// What its host asks of clients' certificates, where it came without TLS.
    unproven: Option<Arc<ClientAuth>>,
    /// What it is called where the client calls it nothing.
    request_id: [u8; 32],
    rule: Option<Arc<Rule>>,
}

impl Routed {
    /// How its endpoint is chosen.
    fn balancing(&self) -> Option<&Balancing> {
        let of_canary = self.canary.as_ref().map(|canary| &canary.balancing);
        of_canary.or_else(|| self.policy.as_ref().map(|policy| &policy.balancing))
    }
}

/// One Ingress listener.
#[derive(Debug)]
pub(crate) struct HttpListener {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// Whether it speaks TLS.
    pub(crate) tls: bool,
}

/// L7 on one worker thread.
pub(crate) struct Worker {
    /// Which of the workers it is, from 0.
    number: usize,
    view: RefCell<Cache<Arc<ArcSwap<View>>, Arc<View>>>,
    metrics: Arc<Metrics>,
    connections: TaskTracker,
    draining: Cell<bool>,
    /// Whether connections end with their next response.
    closing: Cell<bool>,
    /// Why requests are turned away, if they are.
    sheds: Cell<Option<Reason>>,
    /// Told when they are not any more.
    relieved: Notify,
    lag: Cell<Lag>,
    /// How fast clients must be.
    least: Least,
    ticker: Ticker,
    pool: Pool,
    backends: Backends,
    handshakes: Handshakes,
    scratch: Scratch,
    coders: Coders,
    copies: Copies,
    via: Via,
    proofs: Proofs,
    /// Where hosts are that are in no manifest.
    outside: Outside,
    /// The line `Strict-Transport-Security`, where settings want it.
    hsts: Option<Box<[u8]>>,
    /// The line `Date`, as of the last tick.
    date: Cell<[u8; DATE_BYTES]>,
    random: Cell<u64>,
    /// What chance has for canaries; none: it is drawn.
    drawn: Cell<Option<u64>>,
    /// Limits and timeouts.
    door: FrontDoor,
    /// How many requests an endpoint may have, where its Service does not say it.
    bounds: Bounds,
    /// How many requests may be sent again.
    allowance: Allowance,
    tls: Option<Arc<Tls>>,
    queries: Queries,
    /// The log of requests, where there is one.
    access: Option<AccessLog>,
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
        let clock = Rc::downgrade(&worker);
        let most_lag = worker.door.max_loop_lag;
        // Ends with the worker; belongs to no tracker, since nobody waits for a clock.
        tokio::task::spawn_local(async move {
            let mut interval = tokio::time::interval(TICK);
            interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
            let mut looks = tokio::time::interval(shed::LOOK);
            looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
            let mut told = false;
            loop {
                let due = tokio::select! {
                    _ = interval.tick() => Due::Tick,
                    due = looks.tick(), if most_lag.is_some() => Due::Look(due.into_std()),
                    () = drain.cancelled(), if !told => Due::Drain,
                };
                told |= matches!(due, Due::Drain);
                let Some(worker) = clock.upgrade() else { return };
                match (due, most_lag) {
                    (Due::Tick, _) => worker.tick(),
                    (Due::Look(due), Some(most)) => worker.heed_lag(due, most),
                    (Due::Look(_), None) => {}
                    (Due::Drain, _) => worker.drain(),
                }
            }
        });
        worker
    }

    /// The same without a clock: it decides, and serves nobody.
    fn at_rest(
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
            via: Via::new(instance_id()),
            proofs: Proofs::default(),
            outside: Outside::default(),
            hsts: hsts(door),
            date: Cell::new(date()),
            random: Cell::new(RandomState::new().hash_one(0_u8) | 1),
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

    /// Tells all connections to end.
    fn drain(&self) {
        self.draining.set(true);
        self.closing.set(true);
        self.ticker.wake_all();
    }

    /// Moves the worker's clock on.
    fn tick(&self) {
        self.date.set(date());
        self.heed_memory();
        self.ticker.tick();
        if let Some(access) = &self.access {
            access.flush();
        }
        self.pool.sweep();
        self.backends.sweep();
        self.handshakes.sweep(self.ticker.now());
    }

    /// Where requests of a rule are counted, or those that no rule was found for.
    fn column<'a>(&'a self, rule: Option<&'a Arc<Rule>>) -> Option<&'a Column> {
        let ledger = rule.map_or(&self.metrics.unrouted, |rule| &rule.ledger);
        ledger.column(self.number)
    }

    /// Whether connections end, those at rest at once.
    fn is_draining(&self) -> bool {
        self.draining.get()
    }

    /// Whether connections end with their next response.
    fn is_closing(&self) -> bool {
        self.closing.get()
    }

    /// Where a request goes now, and what is asked of it before.
    fn target(
        &self,
        checked: &Checked<'_>,
        fields: Fields<'_>,
        from: &ForwardedFor,
    ) -> Result<Routed, Declined> {
        let none = || Refused { status: StatusCode::NOT_FOUND, close: false };
        let mut view = self.view.borrow_mut();
        let view = view.load();
        let host = route::find_host(&view.routes, &checked.host).ok_or_else(none)?;
        let unproven = clients::admit(host, from)?;
        let (target, policy, canary, rule) = route::within(host, &checked.path).ok_or_else(none)?;
        let (policy, rule) = (policy.map(Arc::clone), rule.map(Arc::clone));
        let target = view.resolve(target);
        let request_id = self.request_id();
        if let Some(canary) = canary
            && let Target::Port(port) = view.resolve(&canary.target)
            && !port.upstreams().is_empty()
            && self.takes(&canary.of, (policy.as_deref(), &target), &port, fields)
        {
            let rule = Some(Arc::clone(&canary.rule));
            let canary = Some(Arc::clone(&canary.of));
            return Ok(Routed {
                target: Target::Port(port),
                policy,
                canary,
                unproven,
                request_id,
                rule,
            });
        }
        Ok(Routed { target, policy, canary: None, unproven, request_id, rule })
    }

    /// Whether a request is for the alternative of its location, whose port is `port`: who was served
    /// by one of both stays there.
    fn takes(
        &self,
        canary: &Canary,
        main: (Option<&Policy>, &Target<Arc<Port>>),
        port: &Port,
        fields: Fields<'_>,
    ) -> bool {
        stays(canary, main, port, fields)
            .unwrap_or_else(|| policy::takes_canary(&canary.rule, fields, || self.draw()))
    }
    /// What chance has for a canary: what was set for somebody who only thinks of a request.
    fn draw(&self) -> u64 {
        self.drawn.get().unwrap_or_else(|| self.next_random())
    }

    /// Whether the rules name a host.
    fn has_host(&self, host: &str) -> bool {
        let mut view = self.view.borrow_mut();
        route::has_host(&view.load().routes, host)
    }

    /// The port of a Service that a policy names.
    fn service(&self, address: &ServiceAddress) -> Option<Arc<Port>> {
        let mut view = self.view.borrow_mut();
        view.load().service(address).map(Arc::clone)
    }

    /// What clients asked of the Ingress of a policy with limits.
    fn limiter(&self, policy: &Policy) -> Option<Arc<Limiter>> {
        let limits = policy.limits.as_ref()?;
        let mut view = self.view.borrow_mut();
        view.load().limiter(&limits.ingress).map(Arc::clone)
    }

    /// Whether a peer is a trusted proxy now.
    fn trusts(&self, peer: IpAddr) -> bool {
        self.view.borrow_mut().load().trusts(peer)
    }

    /// Until which tick a connection that begins now may be used: its age, give or take a tenth, so
    /// that those of one moment do not end in one.
    fn last_tick(&self) -> u32 {
        let Some(age) = self.door.max_connection_age else { return u32::MAX };
        self.ticker
            .now()
            .saturating_add(spread(age, self.next_random()))
    }

    /// Takes the view that serves now and lets the one before go.
    pub(crate) fn renew_view(&self) {
        self.view.borrow_mut().load();
    }

    /// 32 random hex digits; unique, not secret.
    fn request_id(&self) -> [u8; 32] {
        let mut digits = [0; 32];
        for half in digits.chunks_mut(16) {
            let mut word = self.next_random();
            for digit in half {
                *digit = HEX[usize::from(word.to_le_bytes()[0] & 15)];
                word >>= 4;
            }
        }
        digits
    }

    /// xorshift64*: fast, seeded by the operating system.
    fn next_random(&self) -> u64 {
        let mut word = self.random.get();
        word ^= word >> 12;
        word ^= word << 25;
        word ^= word >> 27;
        self.random.set(word);
        word.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}

/// Whether who was served before by the alternative of a location, or by its main backend, stays there;
/// none: nobody knows of that.
fn stays(
    canary: &Canary,
    (policy, target): (Option<&Policy>, &Target<Arc<Port>>),
    port: &Port,
    fields: Fields<'_>,
) -> Option<bool> {
    let affinity = policy.and_then(|policy| policy.balancing.affinity.as_ref());
    let affinity = affinity.filter(|_| !canary.rule.forgets);
    let main = match target {
        Target::Port(main) => Some(&**main),
        Target::Missing | Target::Resource => None,
    };
    affinity.and_then(|affinity| session::stays(affinity, fields, (main, port)))
}

/// What a worker's clock wakes it for.
enum Due {
    /// A tick.
    Tick,
    /// A look at how late it is: it was due then.
    Look(Instant),
    /// The end.
    Drain,
}

/// The seconds of `age`, give or take a tenth.
fn spread(age: Duration, random: u64) -> u32 {
    let seconds = u32::try_from(age.as_secs()).unwrap_or(u32::MAX / 2);
    let more = u32::try_from(random % u64::from(seconds / 5 + 1)).unwrap_or(0);
    (seconds - seconds / 10).saturating_add(more)
}

/// What this process calls itself in `Via`: the same on all workers.
fn instance_id() -> u64 {
    static ID: OnceLock<u64> = OnceLock::new();
    *ID.get_or_init(|| RandomState::new().hash_one(0_u8))
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

/// The line `Date` for now.
fn date() -> [u8; DATE_BYTES] {
    let mut line = *b"Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n";
    let now = httpdate::fmt_http_date(SystemTime::now());
    if let Some(place) = line.get_mut(6..6 + now.len()) {
        place.copy_from_slice(now.as_bytes());
    }
    line
}

const DATE_BYTES: usize = "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n".len();
const HEX: &[u8; 16] = b"0123456789abcdef";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_grow_old_within_a_tenth_of_their_time() {
        let hour = Duration::from_secs(3600);
        for random in [0, 1, 719, 720, u64::MAX] {
            let got = spread(hour, random);
            assert!((3240..=3960).contains(&got), "http-proxy 3: {got}");
        }
        assert_eq!(spread(Duration::from_secs(1), 7), 1);
        assert!(spread(Duration::MAX, u64::MAX) > u32::MAX / 3, "no time overflows");
    }
}
