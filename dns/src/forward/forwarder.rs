//! Forwarding on one worker: what becomes of a question that is not ours, at once or later.
//!
//! ```text
//! begin: a trap of our own? ─▶ route ─▶ look: cache ─▶ told │ too many wait │ Waits ─▶ fly ─▶ resolve
//! ```
//!
//! Whoever waits, and whatever is under way for them, is a task here, counted and ended with the
//! worker; several who ask the same wait for one flight.

use std::cell::RefCell;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::client::Asked;
use super::exchange::Exchange;
use super::message::Ask;
use super::random::Random;
use super::response::{Age, Response};
use super::routes::Route;
use super::streams::Streams;
use super::waiting::{Begun, Waiting};
use super::{Shared, chase};
use crate::answer::{ANY, HINFO, Heard, Outcome, Transport};
use crate::cache::{Flight, Keep, Looked};
use crate::question::{Query, REFUSED, Read, read};
use crate::reply::Reply;
use crate::zones::Zone;

/// Forwards for one worker.
#[derive(Debug)]
pub(crate) struct Forwarder {
    pub(super) shared: Arc<Shared>,
    pub(super) exchange: Exchange,
    pub(super) random: Rc<RefCell<Random>>,
    /// Clients that wait.
    pub(super) clients: TaskTracker,
    /// What is done beside: questions under way, connections, probes.
    pub(super) tasks: TaskTracker,
    pub(super) end: CancellationToken,
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

    /// Tells what the cache has, or has the client wait for upstreams.
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
                Begun::Waits(Box::new(Waiting::new((asked, ask), told, stale, place)))
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

    /// Runs `work` beside what answers, until the worker ends.
    pub(super) fn background(&self, work: impl Future<Output = ()> + 'static) {
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
