//! What lives on between generations, keyed by identity: of ServicePorts cursors and counters, of
//! Services open connections, of endpoints what is open there and how healthy they are, of clients
//! where they return to.
//!
//! Control side only: workers hold the `Arc`s that a view gave them and never come here.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Instant;

use portico_config::model::ObjectName;
use portico_config::snapshot::PortId;

use super::affinity::{AffinityTable, MOST_ENTRIES};
use super::budget::RetryBudget;
use super::datagrams::DatagramCounters;
use super::dial_error::DialError;
use super::endpoint::EndpointState;
use super::outs::Outs;
use super::sessions::SessionKey;

/// All living state of the process.
#[derive(Debug)]
pub(crate) struct Registry {
    ports: HashMap<Arc<PortId>, Arc<PortState>>,
    /// Connections that are open through the fronts of a Service, whichever port they are for.
    services: HashMap<ObjectName, Arc<AtomicU64>>,
    last_port: u64,
    /// Endpoints that some view names, and a few that none does any more.
    endpoints: HashMap<SocketAddr, Weak<EndpointState>, foldhash::fast::RandomState>,
    /// How many were there when they were last looked through.
    endpoints_kept: usize,
    /// Of all ServicePorts.
    affinity: Arc<AffinityTable>,
    /// Endpoints that are out.
    outs: Arc<Outs>,
    /// Whether endpoints are counted one by one.
    counts_endpoints: bool,
    /// What cookies of sessions are made with.
    session_key: SessionKey,
    /// What living state counts time from.
    began: Instant,
}

impl Default for Registry {
    fn default() -> Self {
        Self {
            ports: HashMap::new(),
            services: HashMap::new(),
            last_port: 0,
            endpoints: HashMap::default(),
            endpoints_kept: 0,
            affinity: Arc::new(AffinityTable::new(MOST_ENTRIES)),
            outs: Arc::default(),
            counts_endpoints: false,
            session_key: SessionKey::default(),
            began: Instant::now(),
        }
    }
}

impl Registry {
    /// Nothing yet; `counts_endpoints`: whether each endpoint is to have counters of its own.
    pub(crate) fn new(counts_endpoints: bool, session_key: SessionKey) -> Self {
        Self { counts_endpoints, session_key, ..Self::default() }
    }

    /// What cookies of sessions are made with.
    pub(super) fn session_key(&self) -> &SessionKey {
        &self.session_key
    }

    /// Whether endpoints are counted one by one.
    pub(super) fn counts_endpoints(&self) -> bool {
        self.counts_endpoints
    }

    /// The state of a ServicePort, made at its first mention.
    pub(crate) fn port(&mut self, id: &Arc<PortId>) -> Arc<PortState> {
        if let Some(state) = self.ports.get(id) {
            return Arc::clone(state);
        }
        let open = Arc::clone(self.services.entry(id.service.clone()).or_default());
        self.last_port += 1;
        let state = PortState::new(id, open, self.last_port, (&self.affinity, &self.outs));
        let state = Arc::new(state);
        self.ports.insert(Arc::clone(id), Arc::clone(&state));
        state
    }

    /// The state of an endpoint: one for each address, whoever names it, for as long as anybody does.
    pub(super) fn endpoint(&mut self, address: SocketAddr) -> Arc<EndpointState> {
        if let Some(state) = self.endpoints.get(&address).and_then(Weak::upgrade) {
            return state;
        }
        // Twice as many as were kept: looking through them costs each of them once.
        if self.endpoints.len() >= 2 * self.endpoints_kept.max(FEW_ENDPOINTS) {
            self.endpoints.retain(|_, state| state.strong_count() > 0);
            self.endpoints_kept = self.endpoints.len();
        }
        let state = Arc::new(EndpointState::new(self.began));
        self.endpoints.insert(address, Arc::downgrade(&state));
        state
    }

    /// The table of clients that return.
    pub(crate) fn affinity(&self) -> &Arc<AffinityTable> {
        &self.affinity
    }

    /// The list of endpoints that are out.
    pub(crate) fn outs(&self) -> &Arc<Outs> {
        &self.outs
    }

    /// Forgets every ServicePort that `keep` does not name: counters leave with their Service.
    pub(crate) fn retain(&mut self, keep: impl Fn(&PortId) -> bool) {
        self.ports.retain(|id, _| keep(id));
        // The states of its ports hold it too, those that a connection still holds among them.
        self.services.retain(|_, open| Arc::strong_count(open) > 1);
    }
}

/// Living state of one ServicePort, shared by all workers.
#[derive(Debug)]
pub(crate) struct PortState {
    /// Whose it is.
    pub(crate) id: Arc<PortId>,
    /// No other ever has the same.
    pub(super) number: u64,
    /// Where its clients return to, if they do.
    pub(super) affinity: Arc<AffinityTable>,
    /// Where its endpoints are noted that are put out.
    pub(super) outs: Arc<Outs>,
    /// Exact round robin over all workers, in the set that most flows choose from.
    cursor: Padded<AtomicU64>,
    /// The same for the three other sets: local ones, and those of a second family.
    other_cursors: Padded<[AtomicU64; 3]>,
    /// Downstream connections accepted (L4).
    pub(crate) connections: Padded<AtomicU64>,
    /// Connections that are open now (L4).
    pub(crate) active: Padded<AtomicU64>,
    /// Connections that are open through any front of the Service (L4).
    service_open: Arc<AtomicU64>,
    /// Connections beyond the Service's limit (L4).
    pub(crate) over_limit: AtomicU64,
    /// Connections without the PROXY header that is required (L4).
    pub(crate) unproxied: AtomicU64,
    /// Connections that found no endpoint to go to (L4).
    pub(crate) rejected: AtomicU64,
    /// Connections that would get no answer from a kernel, and were reset here (L4).
    pub(crate) dropped: AtomicU64,
    /// Dials that failed, by [`DialError`], each before its connection went to the next endpoint; of
    /// UDP, endpoints that refused.
    pub(crate) connect_failures: [AtomicU64; DialError::ALL.len()],
    /// Connections that an endpoint reset before it had said anything.
    pub(crate) breaks: AtomicU64,
    /// Calls of gRPC to which an endpoint said that it does no work, and nothing else (L7).
    pub(crate) unavailable: AtomicU64,
    /// Times that one of its endpoints was put out for having failed again and again.
    pub(crate) ejections: AtomicU64,
    /// Requests that its endpoints were asked for, whatever came of them (L7).
    pub(crate) requests: AtomicU64,
    /// What its endpoints answered to requests of ours, by class of the status (L7).
    pub(crate) inquiries: [AtomicU64; STATUS_CLASSES],
    /// Requests for which its endpoints had no place, not even to wait (L7).
    pub(crate) overflows: AtomicU64,
    /// How many of them may be sent again (L7).
    pub(crate) retries: RetryBudget,
    /// What is counted of UDP.
    pub(crate) datagrams: DatagramCounters,
    /// Bytes from clients to endpoints (L4).
    pub(crate) bytes_received: Padded<AtomicU64>,
    /// Bytes from endpoints to clients (L4).
    pub(crate) bytes_sent: Padded<AtomicU64>,
}

impl PortState {
    fn new(
        id: &Arc<PortId>,
        service_open: Arc<AtomicU64>,
        number: u64,
        (affinity, outs): (&Arc<AffinityTable>, &Arc<Outs>),
    ) -> Self {
        Self {
            id: Arc::clone(id),
            number,
            affinity: Arc::clone(affinity),
            outs: Arc::clone(outs),
            cursor: Padded::default(),
            other_cursors: Padded::default(),
            connections: Padded::default(),
            active: Padded::default(),
            service_open,
            over_limit: AtomicU64::default(),
            unproxied: AtomicU64::default(),
            rejected: AtomicU64::default(),
            dropped: AtomicU64::default(),
            connect_failures: Default::default(),
            breaks: AtomicU64::default(),
            unavailable: AtomicU64::default(),
            ejections: AtomicU64::default(),
            requests: AtomicU64::default(),
            inquiries: Default::default(),
            overflows: AtomicU64::default(),
            retries: RetryBudget::new(Instant::now()),
            datagrams: DatagramCounters::default(),
            bytes_received: Padded::default(),
            bytes_sent: Padded::default(),
        }
    }

    /// The next turn of a set, by the number of its cursor: each value is given out once, whichever
    /// worker asks.
    pub(crate) fn next_turn(&self, cursor: usize) -> u64 {
        let others = cursor
            .checked_sub(1)
            .and_then(|at| self.other_cursors.0.get(at));
        others
            .unwrap_or(&self.cursor.0)
            .fetch_add(1, Ordering::Relaxed)
    }
}

/// One of the open connections of a Service; given back with this value.
#[derive(Debug)]
pub(crate) struct OpenConnection<'a>(&'a AtomicU64);

impl<'a> OpenConnection<'a> {
    /// One more; none where `most` are open. All are counted, so that a limit which comes
    /// later knows of those that were there before.
    pub(crate) fn take(state: &'a PortState, most: Option<u32>) -> Option<Self> {
        let open = &*state.service_open;
        // Given back at once where it was one too many.
        let this = Self(open);
        let before = open.fetch_add(1, Ordering::Relaxed);
        most.is_none_or(|most| before < most.into()).then_some(this)
    }
}

impl Drop for OpenConnection<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A value alone on its cache line, so that workers that write it do not slow its neighbours.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Padded<T>(pub(crate) T);

/// Classes of HTTP status codes: 1xx to 5xx.
pub(crate) const STATUS_CLASSES: usize = 5;
/// Endpoints that are kept without a look.
const FEW_ENDPOINTS: usize = 64;
