//! UDP through a front: the sockets around [`SessionTable`].
//!
//! ```text
//! front ─batch─▶ session ─▶ its own connected socket ─▶ endpoint
//!   ▲──────────── one send for the answers of many sessions ◀─┘
//! ```
//!
//! One task carries all fronts and sessions of a worker, by one set of sockets and one arena: a
//! session costs no task and no timer. A new view is noticed before any datagram is looked at, so
//! none goes to an endpoint that the view no longer has; what an endpoint was asked before, it may
//! still answer for a sweep more. A front without an endpoint refuses as a closed port does
//! (`services 4.2`). Answers go to clients that asked, and nowhere else. Fronts are bound by the
//! control side.

mod carry;

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use portico_config::model::Protocol;
use portico_net::datagram::{self, Arena};
use portico_net::ready::ReadySet;
use tokio::sync::Notify;
use tracing::{debug, warn};

use self::carry::Round;
use super::session::{Ended, FrontId, Key, SessionId, SessionTable};
use crate::upstream::{Loss, Open, Port, PortState, SessionEnd};
use crate::view::View;

/// UDP on one worker thread.
pub(crate) struct Udp {
    ready: ReadySet,
    state: RefCell<State>,
    /// Told of the first session.
    opened: Notify,
}

struct State {
    view: Arc<ArcSwap<View>>,
    /// The view that fronts were last compared with.
    seen: Arc<View>,
    fronts: Fronts,
    last_front: u64,
    sessions: SessionTable<Upstream>,
    arena: Arena,
    /// Times that a session had to make room for another.
    evictions: Arc<AtomicU64>,
}

type Fronts = HashMap<FrontId, Front, foldhash::fast::RandomState>;

/// One front, as this worker serves it.
struct Front {
    socket: UdpSocket,
    address: SocketAddr,
    port: Option<Arc<Port>>,
    /// Another number whenever `port` is another.
    stamp: u64,
    is_refusing: bool,
    /// Whether it takes nothing any more, whatever a view says.
    is_over: bool,
}

/// The endpoint's side of a session.
#[derive(Debug)]
struct Upstream {
    socket: UdpSocket,
    state: Arc<PortState>,
    endpoint: Open,
}

impl Udp {
    /// UDP over the views in `view`, with at most `most` sessions. Called on the worker's runtime;
    /// fails without a descriptor.
    pub(crate) fn new(
        view: &Arc<ArcSwap<View>>,
        most: usize,
        evictions: &Arc<AtomicU64>,
    ) -> io::Result<Self> {
        let state = State {
            view: Arc::clone(view),
            seen: view.load_full(),
            fronts: Fronts::default(),
            last_front: 0,
            sessions: SessionTable::new(most),
            arena: Arena::default(),
            evictions: Arc::clone(evictions),
        };
        Ok(Self { ready: ReadySet::new()?, state: RefCell::new(state), opened: Notify::new() })
    }

    /// Serves a bound socket from now on, as the front of `address`.
    pub(crate) fn open(&self, socket: UdpSocket, address: SocketAddr) -> io::Result<FrontId> {
        let mut state = self.state.borrow_mut();
        state.renew_view();
        if address.ip().is_unspecified() {
            datagram::tell_local_address(&socket)?;
        }
        state.last_front += 1;
        let id = FrontId(state.last_front);
        self.ready.add(&socket, front_token(id))?;
        let mut front =
            Front { socket, address, port: None, stamp: 0, is_refusing: false, is_over: false };
        front.compare(&state.seen);
        state.fronts.insert(id, front);
        Ok(id)
    }

    /// Closes a front at once; its sessions end with the next sweep.
    pub(crate) fn close(&self, id: FrontId) {
        self.state.borrow_mut().fronts.remove(&id);
    }

    /// Takes nothing new at a front; answers still leave by it.
    pub(crate) fn refuse(&self, id: FrontId) {
        if let Some(front) = self.state.borrow_mut().fronts.get_mut(&id) {
            (front.port, front.is_over) = (None, true);
            front.refuse(true);
        }
    }

    /// Compares fronts with the view that serves now and lets the one before go.
    pub(crate) fn renew_view(&self) {
        self.state.borrow_mut().renew_view();
    }

    /// Carries datagrams, and ends sessions whose time is over, until dropped.
    pub(crate) async fn run(&self) {
        tokio::join!(self.carry(), self.sweep());
    }

    /// Waits until no client waits for an answer.
    pub(crate) async fn answered(&self) {
        while self.state.borrow().sessions.waiting() > 0 {
            tokio::time::sleep(DRAIN_LOOK).await;
        }
    }

    async fn carry(&self) {
        let mut tokens = Vec::new();
        loop {
            if let Err(error) = self.ready.wait(&mut tokens).await {
                warn!(%error, "waiting for datagrams paused");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
            let is_first = {
                let mut state = self.state.borrow_mut();
                let before = state.sessions.len();
                state.renew_view();
                state.carry(&tokens, Round { ready: &self.ready, now: Instant::now() });
                before == 0 && state.sessions.len() > 0
            };
            if is_first {
                self.opened.notify_one();
            }
            tokio::task::yield_now().await;
        }
    }

    async fn sweep(&self) {
        loop {
            if self.state.borrow().sessions.len() == 0 {
                self.opened.notified().await;
            }
            tokio::time::sleep(SWEEP).await;
            while !self.state.borrow_mut().sweep(Instant::now()) {
                tokio::task::yield_now().await;
            }
        }
    }
}

impl State {
    /// One atomic load where the view is the same.
    fn renew_view(&mut self) {
        let view = self.view.load();
        if Arc::ptr_eq(&view, &self.seen) {
            return;
        }
        for front in self.fronts.values_mut() {
            front.compare(&view);
        }
        self.seen = Arc::clone(&view);
    }

    /// A part of a sweep; true after the last.
    fn sweep(&mut self, now: Instant) -> bool {
        self.renew_view();
        let fronts = &self.fronts;
        let judge = |key: &Key, stamp: u64, endpoint: SocketAddr| {
            let front = fronts.get(&key.front).ok_or(SessionEnd::Front)?;
            match &front.port {
                _ if front.stamp == stamp => Ok(stamp),
                Some(port) if port.serves(endpoint) => Ok(front.stamp),
                _ => Err(SessionEnd::Endpoint),
            }
        };
        self.sessions.sweep(SWEEP_PART, now, judge, ended)
    }
}

impl Front {
    /// Brings the front to what `view` has behind it.
    fn compare(&mut self, view: &View) {
        if self.is_over {
            return;
        }
        let port = view
            .front(self.address, Protocol::Udp)
            .map(|(port, _)| port);
        let is_same = match (port, &self.port) {
            (Some(new), Some(old)) => Arc::ptr_eq(new, old),
            (None, None) => self.stamp > 0,
            _ => false,
        };
        if is_same {
            return;
        }
        self.port = port.cloned();
        self.stamp += 1;
        // Where all are rejected, the kernel says so; also to a source that should get no answer.
        self.refuse(port.is_none_or(|port| !port.has_any(self.address.ip())));
    }

    fn refuse(&mut self, refuse: bool) {
        if refuse == self.is_refusing {
            return;
        }
        let change = if refuse { datagram::refuse } else { datagram::take };
        match change(&self.socket) {
            Ok(()) => self.is_refusing = refuse,
            // Datagrams are dropped instead, or come a view later.
            Err(error) => warn!(front = %self.address, %error, "refusing datagrams failed"),
        }
    }

    fn lose(&self, why: Loss, count: usize) {
        if let Some(port) = &self.port {
            lose(&port.state, why, count);
        }
    }
}

fn lose(state: &PortState, why: Loss, count: usize) {
    if let Some(lost) = state.datagrams.lost.get(why as usize) {
        lost.fetch_add(count as u64, Relaxed);
    }
}

/// Counts a session that is no more.
fn ended(Ended { session, why }: Ended<Upstream>) {
    let counters = &session.value.state.datagrams;
    counters.active.fetch_sub(1, Relaxed);
    if let Some(ended) = counters.ended.get(why as usize) {
        ended.fetch_add(1, Relaxed);
    }
    debug!(client = %session.key.client, endpoint = %session.endpoint, why = why.label(),
        "session ended");
}

fn front_token(id: FrontId) -> u64 {
    id.0 | FRONT
}

fn session_token(id: SessionId) -> u64 {
    u64::from(id.0)
}

/// What a token of the set names.
enum Named {
    Front(FrontId),
    Session(SessionId),
}

impl Named {
    fn by(token: u64) -> Self {
        match u32::try_from(token) {
            Ok(id) => Self::Session(SessionId(id)),
            Err(_) => Self::Front(FrontId(token & !FRONT)),
        }
    }
}

/// The bit that tells tokens of fronts from tokens of sessions.
const FRONT: u64 = 1 << 63;
/// How long a session may stay after its time; twice as long after its endpoint left, which may
/// answer what it was asked before.
const SWEEP: Duration = Duration::from_millis(400);
/// Places looked at before others have their turn.
const SWEEP_PART: usize = 1024;
const PAUSE: Duration = Duration::from_millis(100);
const DRAIN_LOOK: Duration = Duration::from_millis(10);
