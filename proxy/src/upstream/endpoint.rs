//! What lives of one endpoint: what is open there, how soon it answers, how healthy it is.
//!
//! One state for each address, shared by all workers, all Services, L4 and L7; it is kept while any
//! view names the endpoint. Times are those since the process began, so that each fits an atomic.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::balance::Latency;
use super::health::{Fault, Health};
use super::room::Room;
use super::tally::Tally;

/// Living state of one endpoint.
#[derive(Debug)]
pub(crate) struct EndpointState {
    began: Instant,
    room: Room,
    latency: AtomicU64,
    health: Health,
}

/// A connection, a session or a request at an endpoint; it counts until this is dropped.
#[derive(Debug)]
pub(crate) struct Open {
    state: Arc<EndpointState>,
    kind: OpenKind,
    /// Where it is counted for its ServicePort, if anywhere.
    tally: Option<Arc<Tally>>,
}

/// How something that is open counts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum OpenKind {
    /// As load.
    Flow,
    /// As load, and among the requests that there may be.
    Request,
    /// Not any more.
    Forgotten,
}

impl EndpointState {
    pub(super) fn new(began: Instant) -> Self {
        Self {
            began,
            room: Room::default(),
            latency: AtomicU64::default(),
            health: Health::default(),
        }
    }

    /// Counts one more that is open.
    pub(super) fn open(self: &Arc<Self>, tally: Option<&Arc<Tally>>) -> Open {
        self.room.add();
        Open::new(self, OpenKind::Flow, tally)
    }

    /// Who is in, and who waits.
    pub(super) fn room(&self) -> &Room {
        &self.room
    }

    /// How many requests wait for a place.
    pub(crate) fn waiting(&self) -> u32 {
        self.room.waiting()
    }

    /// How many are open.
    pub(super) fn opened(&self) -> u32 {
        self.room.opened()
    }

    /// Notes how long an answer took. Of two workers at once, one may be lost.
    pub(super) fn observe(&self, took: Duration, now: Instant) {
        let seen = Latency::from_bits(self.latency.load(Relaxed));
        let seen = seen.after(took, self.since_began(now));
        self.latency.store(seen.to_bits(), Relaxed);
    }

    /// What a new flow may expect.
    pub(super) fn cost(&self, now: Instant) -> f64 {
        let latency = Latency::from_bits(self.latency.load(Relaxed));
        latency.cost(self.opened(), self.since_began(now))
    }

    /// Whether a choice that was made at `chosen` tries it last.
    pub(super) fn is_out(&self, chosen: Instant) -> bool {
        self.health.is_out(self.since_began(chosen))
    }

    /// When it came back from being out.
    pub(super) fn back_since(&self, now: Instant) -> Option<Instant> {
        let back = self.health.back_since(self.since_began(now))?;
        self.began.checked_add(back)
    }

    /// Notes a failure; says for how long it is out, if it is now.
    pub(super) fn failed(
        &self,
        fault: Fault,
        now: Instant,
        may_go: impl FnOnce() -> bool,
    ) -> Option<Duration> {
        self.health.failed(fault, self.since_began(now), may_go)
    }

    /// Notes that a dial succeeded.
    pub(crate) fn connected(&self) {
        self.health.connected();
    }

    /// Notes that it said something.
    pub(crate) fn answered(&self) {
        self.health.answered();
    }

    fn since_began(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.began)
    }
}

impl Open {
    /// A request that its endpoint's room has counted.
    pub(super) fn request(state: &Arc<EndpointState>, tally: Option<&Arc<Tally>>) -> Self {
        Self::new(state, OpenKind::Request, tally)
    }

    /// Drops it without telling the room, which knows.
    pub(super) fn forget(mut self) {
        self.kind = OpenKind::Forgotten;
    }

    fn new(state: &Arc<EndpointState>, kind: OpenKind, tally: Option<&Arc<Tally>>) -> Self {
        let tally = tally.map(Arc::clone);
        if let Some(tally) = &tally {
            tally.open();
        }
        Self { state: Arc::clone(state), kind, tally }
    }
}

impl std::ops::Deref for Open {
    type Target = EndpointState;

    fn deref(&self) -> &EndpointState {
        &self.state
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        match self.kind {
            OpenKind::Flow => self.state.room.take_off(),
            OpenKind::Request => self.state.leave(),
            OpenKind::Forgotten => {}
        }
        if let Some(tally) = &self.tally {
            tally.close();
        }
    }
}
