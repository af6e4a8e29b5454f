//! Names that are not ours: asked of upstreams, and what they say told as it came (`dns 4`).
//!
//! ```text
//! answer: not ours ─begin─▶ routes ─▶ cache ─▶ told at once
//!                                       └────▶ Waiting ◀─land─ resolve ─▶ upstream, upstream, …
//! ```
//!
//! [`Control`] stays on the control side, a [`Forwarder`] lives on each worker. Invariants: local
//! answers never come here; nobody waits in the loop that answers, but in tasks of their own, of
//! which there are bounded many over all workers and of one client; a client hears something within
//! [`TOTAL`], about.

pub(crate) mod message;
mod rebind;
pub(crate) mod response;
pub(crate) mod random;
pub(crate) mod metrics;
mod upstream;
mod routes;
mod streams;
mod exchange;
mod probe;
pub(crate) mod chase;
mod host;
mod waits;
mod control;

use std::cell::RefCell;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use portico_net::limit::Seat;
use portico_net::tls_dial::ClientTls;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::debug;

pub(crate) use control::Control;

use self::exchange::Exchange;
use self::message::Ask;
use self::metrics::{Everything, Metrics};
use self::probe::Traps;
use self::random::Random;
use self::response::{Age, Client, Response};
use self::routes::{Route, Routes};
use self::streams::Streams;
use self::waits::Waits;
use crate::answer::{ANY, HINFO, Heard, Outcome, Transport, limit};
use crate::cache::{Cache, Flight, Keep, Looked};
use crate::options::Extras;
use crate::question::{Edns, NXDOMAIN, Query, REFUSED, Read, read};
use crate::reply::Reply;
use crate::rewrite::Restore;
use crate::zones::Zone;

/// What all workers share.
#[derive(Debug)]
pub(crate) struct Shared {
    routes: ArcSwap<Routes>,
    cache: Arc<Cache>,
    metrics: Metrics,
    traps: Traps,
    /// There as soon as some upstream is spoken to over TLS.
    tls: Arc<OnceLock<ClientTls>>,
    waits: Waits,
}

/// Forwards for one worker.
#[derive(Debug)]
pub(crate) struct Forwarder {
    shared: Arc<Shared>,
    exchange: Exchange,
    random: Rc<RefCell<Random>>,
    /// Clients that wait.
    clients: TaskTracker,
    /// What is done beside: questions under way, connections, probes.
    tasks: TaskTracker,
    end: CancellationToken,
}

/// For whom others are asked, by whom they are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum OpenTo {
    Nobody,
    /// Clients of some networks.
    Few,
    All,
}

/// What became of a question at once.
pub(crate) enum Begun {
    /// The reply is written.
    Said(Outcome),
    /// It comes later.
    Waits(Box<Waiting>),
}

/// One client that waits for upstreams.
pub(crate) struct Waiting {
    client: Asked,
    ask: Ask,
    told: oneshot::Receiver<Arc<Response>>,
    /// What stands in if they are slow or fail.
    stale: Option<Arc<Response>>,
    place: Place,
    /// What turns the reply back to the name that was asked.
    restore: Option<Restore>,
    /// What its options want of the reply.
    extras: Option<Extras>,
    /// What is done where upstreams deny the name.
    further: Option<Further>,
}

/// Begins anew, with another name; writes the reply if it is there.
type Further = Box<dyn FnOnce(&mut Vec<u8>) -> Begun>;

impl Begun {
    /// With the reply, which stands in `reply` if it is there, under the name that was asked.
    pub(crate) fn under(self, restore: Restore, reply: &mut Vec<u8>) -> Self {
        match self {
            Self::Said(outcome) => {
                restore.restore(reply);
                Self::Said(outcome)
            }
            Self::Waits(mut waiting) => {
                waiting.restore = Some(restore);
                Self::Waits(waiting)
            }
        }
    }

    /// With what the client's options want of the reply, which stands in `reply` if it is there.
    pub(crate) fn with(self, extras: Extras, reply: &mut Vec<u8>) -> Self {
        match self {
            Self::Said(outcome) => {
                extras.add(reply, now_seconds());
                Self::Said(outcome)
            }
            Self::Waits(mut waiting) => {
                waiting.extras = Some(extras);
                Self::Waits(waiting)
            }
        }
    }
}

/// A client's question, kept while it waits.
#[derive(Debug)]
struct Asked {
    id: u16,
    flags: u16,
    question: Box<[u8]>,
    heard: Heard,
    edns: Option<Edns>,
    limit: usize,
    /// Our own CNAMEs that lead to what is asked, as a reply (`dns 1.7`).
    chain: Option<Vec<u8>>,
}

/// One of the places of those who wait, until dropped.
#[derive(Debug)]
struct Place {
    shared: Arc<Shared>,
    _seat: Seat,
}

impl Shared {
    /// Nobody is asked yet.
    pub(crate) fn new() -> Arc<Self> {
        let metrics = Metrics::new();
        let keep = Keep { bytes: 0, stale: None, prefetch: false };
        Arc::new(Self {
            routes: ArcSwap::from_pointee(Routes::off(keep)),
            cache: Arc::new(Cache::new(metrics.cache_counts())),
            metrics,
            traps: Traps::default(),
            tls: Arc::default(),
            waits: Waits::default(),
        })
    }

    /// For whom somebody is asked about some names: RA says so.
    pub(crate) fn open(&self) -> OpenTo {
        let routes = self.routes.load();
        match routes.is_off() {
            true => OpenTo::Nobody,
            false if routes.is_for_some() => OpenTo::Few,
            false => OpenTo::All,
        }
    }

    /// Whether `client` is one of those.
    pub(crate) fn is_open_to(&self, client: IpAddr) -> bool {
        self.routes.load().is_open_to(client)
    }

    /// Who is asked about `name` now for `client`, a lower-case wire name, and whether each works.
    pub(crate) fn upstreams(&self, name: &[u8], client: IpAddr) -> Vec<(String, bool)> {
        let routes = self.routes.load();
        let route = routes.find(name, client).into_iter();
        let upstreams = route.flat_map(|route| route.upstreams());
        upstreams
            .map(|it| (it.address.to_string(), it.is_up()))
            .collect()
    }

    /// Takes whom upstreams over TLS have to be certified by; false where that is settled.
    pub(crate) fn trust(&self, tls: ClientTls) -> bool {
        self.tls.set(tls).is_ok()
    }

    /// The metrics of forwarding and its cache, for the process's registry.
    pub(crate) fn collector(&self) -> Everything {
        Everything { metrics: self.metrics.clone(), cache: Arc::clone(&self.cache) }
    }

    fn enter(self: &Arc<Self>, client: IpAddr) -> Option<Place> {
        let seat = self.waits.enter(client)?;
        self.metrics.waiting.inc();
        Some(Place { shared: Arc::clone(self), _seat: seat })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shared.waits.leave();
        self.shared.metrics.waiting.dec();
    }
}

impl Forwarder {
    /// One for a worker, on whose local runtime it runs; what it has begun ends with `stop`.
    pub(crate) fn new(shared: &Arc<Shared>, stop: &CancellationToken) -> Rc<Self> {
        let (tasks, end) = (TaskTracker::new(), stop.child_token());
        let random = Rc::new(RefCell::new(Random::new()));
        let streams = Streams::new(Arc::clone(&shared.tls), tasks.clone(), end.clone());
        let metrics = shared.metrics.clone();
        let exchange = Exchange { random: Rc::clone(&random), streams, metrics };
        let (shared, clients) = (Arc::clone(shared), TaskTracker::new());
        Rc::new(Self { shared, exchange, random, clients, tasks, end })
    }

    /// Takes a question of `client` that is not ours to answer. `out` holds what is said where nobody else is
    /// asked: a refusal, or a CNAME that leads outside.
    pub(crate) fn begin(
        self: &Rc<Self>,
        message: &[u8],
        (client, transport, own_size): (IpAddr, Transport, u16),
        outcome: Outcome,
        out: &mut Vec<u8>,
    ) -> Begun {
        let Read::Query(query) = read(message, own_size) else { return Begun::Said(outcome) };
        let target = chase::target(out);
        let heard = match (outcome, &target) {
            // The name is ours, and leads elsewhere.
            (Outcome::Elsewhere { heard, .. }, Some(_)) => heard,
            _ => Heard::dropped(query.kind, query.edns).within(Zone::FORWARD),
        };
        let name = target.as_deref().unwrap_or_else(|| query.key.wire());
        if let Some(upstream) = self.shared.traps.spring(name, query.kind) {
            self.found_loop(&upstream);
            return Begun::Said(outcome);
        }
        let routes = self.shared.routes.load();
        let route = match routes.find(name, client) {
            Some(route) => Arc::clone(route),
            // One that is denied by us is so where nobody else is asked.
            None if target.is_some() && !chase::is_denied(out) => {
                return Begun::Said(chase::fail(out, heard));
            }
            None => return Begun::Said(outcome),
        };
        if query.kind == ANY {
            return Begun::Said(any(message, &query, heard, out));
        }
        let chain = target.is_some().then(|| out.clone());
        let asked = Asked::new(message, &query, transport, chain, heard);
        let flags = asked.flags & ASKED_FLAGS;
        let dnssec_ok = query.edns.is_some_and(|edns| edns.dnssec_ok);
        let (name, route_number) = (name.into(), route.number);
        let ask = Ask { name, kind: query.kind, flags, dnssec_ok, route: route_number };
        self.look(ask, (asked, client), &route, routes.keep, out)
    }

    fn look(
        self: &Rc<Self>,
        ask: Ask,
        (asked, client): (Asked, IpAddr),
        route: &Arc<Route>,
        keep: Keep,
        out: &mut Vec<u8>,
    ) -> Begun {
        let now = Instant::now().into_std();
        let looked = self
            .shared
            .cache
            .look(&ask.key(), now, keep, || self.shared.enter(client));
        match looked {
            Looked::Found(response, age, flight) => {
                if let Some(flight) = flight {
                    self.fly(flight, ask.clone(), route, keep);
                }
                out.clear();
                let rcode = asked.write(&ask, &response, age, out);
                let heard = match asked.heard.zone {
                    Zone::FORWARD => asked.heard.within(Zone::CACHE),
                    _ => asked.heard,
                };
                Begun::Said(Outcome::Reply { rcode, heard })
            }
            Looked::Full => {
                self.shared.metrics.rejected.inc();
                out.clear();
                let response = Response::bare(REFUSED);
                let rcode = asked.write(&ask, &response, Age::New, out);
                Begun::Said(Outcome::Reply { rcode, heard: asked.heard })
            }
            Looked::Waits { told, stale, flight, place } => {
                if let Some(flight) = flight {
                    self.fly(flight, ask.clone(), route, keep);
                }
                let (client, restore, extras, further) = (asked, None, None, None);
                let waiting = Waiting { client, ask, told, stale, place, restore, extras, further };
                Begun::Waits(Box::new(waiting))
            }
        }
    }

    /// Asks upstreams for all who wait for it.
    fn fly(self: &Rc<Self>, flight: Flight, ask: Ask, route: &Arc<Route>, keep: Keep) {
        let (this, route) = (Rc::clone(self), Arc::clone(route));
        self.background(async move {
            let response = Arc::new(this.resolve(&ask, &route).await);
            flight.land(&response, Instant::now().into_std(), keep);
        });
    }

    /// Asks one upstream after the other until one says something; what settings take for its own fault
    /// counts where no other says anything else.
    async fn resolve(self: &Rc<Self>, ask: &Ask, route: &Route) -> Response {
        let order = route.order(&mut self.random.borrow_mut());
        if order.first().is_none_or(|first| !first.is_up()) {
            self.shared.metrics.all_down.inc();
            // Probes go on, and the first reply to one makes it asked again.
            if route.is_failfast {
                return Response::failure(NO_REACHABLE_AUTHORITY);
            }
        }
        let deadline = Instant::now() + TOTAL;
        let mut failed = Response::failure(NO_REACHABLE_AUTHORITY);
        let mut has_said = vec![false; order.len()];
        // A datagram may be lost: even a single upstream is asked again.
        let tries = order.iter().zip(0..).cycle();
        for (upstream, place) in tries.take(order.len().max(LEAST_TRIES)) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            // Who has said something would say it again.
            let said: Option<&mut bool> = has_said.get_mut(place);
            if upstream.is_looped() || said.as_deref() == Some(&true) {
                continue;
            }
            self.check_loop(upstream);
            match timeout(TRY.min(left), self.exchange.run(upstream, ask)).await {
                Ok(Ok(response)) => {
                    upstream.has_replied();
                    if route.filters_private && response.holds_private() {
                        self.shared.metrics.rebindings.inc();
                        return Response::blocked();
                    }
                    if !route.fails_over(response.rcode()) {
                        return response;
                    }
                    failed = response;
                    said.into_iter().for_each(|said| *said = true);
                    continue;
                }
                Ok(Err(fault)) => {
                    debug!(upstream = %upstream.address, %fault, "an upstream failed");
                    if !has_said.contains(&true) {
                        failed = Response::failure(NETWORK_ERROR);
                    }
                }
                Err(_) => upstream
                    .metrics
                    .exchanged(None, TRY.min(left).as_secs_f64()),
            }
            self.probe(upstream);
        }
        failed
    }

    /// Runs `work` beside what answers, until the worker ends.
    fn background(&self, work: impl Future<Output = ()> + 'static) {
        let end = self.end.clone();
        self.tasks.spawn_local(async move {
            end.run_until_cancelled(work).await;
        });
    }

    /// Runs what waits for a reply, until `gone` or the worker ends.
    pub(crate) fn wait(&self, gone: CancellationToken, work: impl Future<Output = ()> + 'static) {
        let end = self.end.clone();
        self.clients.spawn_local(async move {
            end.run_until_cancelled(gone.run_until_cancelled(work))
                .await;
        });
    }

    /// Waits for the clients that wait; nobody comes to them any more.
    pub(crate) async fn drain(&self) {
        self.clients.close();
        self.clients.wait().await;
    }

    /// Ends what is still under way.
    pub(crate) async fn finish(&self) {
        self.end.cancel();
        self.drain().await;
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl Waiting {
    /// Where upstreams deny the name, `further` says what is answered.
    pub(crate) fn go_on(&mut self, further: impl FnOnce(&mut Vec<u8>) -> Begun + 'static) {
        self.further = Some(Box::new(further));
    }

    /// The reply, with the low four bits of its code and the type that was asked for.
    pub(crate) async fn reply(mut self) -> (Vec<u8>, Outcome) {
        let patience = if self.stale.is_some() { STALE_AFTER } else { TOTAL + GRACE };
        let told = timeout(patience, &mut self.told).await;
        let (response, age) = match (told, self.stale) {
            (Ok(Ok(response)), Some(stale)) if response.is_failure() => (stale, Age::Stale),
            (Ok(Ok(response)), _) => (response, Age::New),
            (_, Some(stale)) => (stale, Age::Stale),
            (_, None) => (Arc::new(Response::failure(NO_REACHABLE_AUTHORITY)), Age::New),
        };
        if age == Age::Stale {
            self.place.shared.cache.counts().served_stale.inc();
        }
        let mut out = Vec::new();
        let rcode = self.client.write(&self.ask, &response, age, &mut out);
        let mut outcome = Outcome::Reply { rcode, heard: self.client.heard };
        if let Some(further) = self.further.filter(|_| rcode == NXDOMAIN) {
            match further(&mut out) {
                Begun::Said(said) => outcome = said,
                Begun::Waits(next) => {
                    let next = Self { restore: self.restore, extras: self.extras, ..*next };
                    // As often as a search path has names.
                    return Box::pin(next.reply()).await;
                }
            }
        }
        if let Some(restore) = self.restore {
            restore.restore(&mut out);
        }
        if let Some(extras) = self.extras {
            extras.add(&mut out, now_seconds());
        }
        (out, outcome)
    }
}

impl Asked {
    fn new(
        message: &[u8],
        query: &Query<'_>,
        transport: Transport,
        chain: Option<Vec<u8>>,
        heard: Heard,
    ) -> Self {
        let word = |at| crate::wire::u16_at(message, at).unwrap_or(0);
        Self {
            id: word(0),
            flags: word(2),
            question: query.question.into(),
            heard,
            edns: query.edns,
            limit: limit(transport, query.edns),
            chain,
        }
    }

    fn write(&self, ask: &Ask, response: &Response, age: Age, out: &mut Vec<u8>) -> u8 {
        let client = Client {
            id: self.id,
            flags: self.flags,
            question: &self.question,
            kind: self.heard.kind,
            edns: self.edns,
            limit: self.limit,
        };
        match &self.chain {
            Some(chain) => chase::write(chain, &client, ask, response, age, out),
            None => response.write(&client, age, out),
        }
    }
}

/// Seconds since 1970, as cookies count them.
fn now_seconds() -> u32 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    // RFC 9018 counts modulo 2^32.
    since.map_or(0, |since| u32::try_from(since.as_secs() & 0xffff_ffff).unwrap_or(0))
}

/// ANY is never forwarded (`dns 3.6`).
fn any(message: &[u8], query: &Query<'_>, heard: Heard, out: &mut Vec<u8>) -> Outcome {
    out.clear();
    let mut reply = Reply::begin(message, query.question, query.edns, out);
    reply.out.extend_from_slice(HINFO);
    reply.answers = 1;
    Outcome::Reply { rcode: reply.finish(), heard }
}

/// RD, AD and CD: what a client's flags mean to upstreams.
const ASKED_FLAGS: u16 = 0x0130;
/// EDE: no upstream said anything, or the network said that it cannot be reached (RFC 8914).
const NO_REACHABLE_AUTHORITY: u16 = 22;
const NETWORK_ERROR: u16 = 23;
/// For one try, and for all of them: less than the five seconds after which clients give up.
const TRY: Duration = Duration::from_secs(2);
const TOTAL: Duration = Duration::from_millis(4500);
/// For the reply to reach who waits for it.
const GRACE: Duration = Duration::from_millis(200);
/// How long upstreams may take before what has expired stands in (RFC 8767 §5).
const STALE_AFTER: Duration = Duration::from_millis(1800);
const LEAST_TRIES: usize = 3;
