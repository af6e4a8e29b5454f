//! Which sockets are open, and which should be: the control side of every listener.
//!
//! ```text
//! wanted ─plan─▶ open, close     open ─bind─▶ Serving │ Degraded ─retry─▶ Serving
//! ```
//!
//! Invariants: a listener that stays is never reopened; a new one listens before the view that
//! needs it is swapped in; one that leaves is closed only after that. Listeners take at most half
//! of the descriptors: where one socket per worker and front is more than that, each further front
//! is opened by one worker, and what is beyond even so is degraded. Where no front changed, none is
//! looked at.

mod handover;
mod plan;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use portico_config::model::Protocol;
use portico_config::snapshot::{Front, HealthCheck};
use portico_net::bind::{Batch, BindError};
use portico_net::listeners::{ListenerList, ListenerState, ListenerStatus};
use portico_net::stream::StreamOptions;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::Options;
use crate::view::View;
use crate::worker::{Bound, Command};

use self::handover::Handover;
use self::plan::{Key, Plan, Role, Wanted, add_checks, plan};

/// New sockets and the new view, bound and built, not yet serving.
#[derive(Debug)]
pub struct Prepared {
    pub(crate) view: Arc<View>,
    pub(crate) changes: Changes,
}

/// What a commit does to listeners.
#[derive(Debug)]
pub(crate) struct Changes {
    fronts: Arc<Vec<Front>>,
    checks: Arc<Vec<HealthCheck>>,
    front_count: usize,
    opened: Vec<(Wanted, Result<Vec<Bound>, BindError>)>,
    close: Vec<Key>,
    hand_over: Vec<Wanted>,
}

#[derive(Debug)]
struct Listener {
    wanted: Wanted,
    state: State,
    /// What users are shown; made anew only when it changes.
    status: Arc<ListenerStatus>,
}

#[derive(Debug)]
enum State {
    Serving { stop: CancellationToken, sockets: usize },
    Degraded { next_try: Instant, pause: Duration },
}

/// Every listener of the plane.
#[derive(Debug)]
pub(crate) struct Listeners {
    workers: Vec<mpsc::Sender<Command>>,
    ingress: Vec<Wanted>,
    /// Half of the descriptors.
    most_sockets: usize,
    /// What every connection that is accepted has.
    stream: StreamOptions,
    /// The fronts that `open` was brought to.
    fronts: Arc<Vec<Front>>,
    /// The health checks that `open` was brought to.
    checks: Arc<Vec<HealthCheck>>,
    /// Those of `fronts` that are listened on.
    front_count: usize,
    open: BTreeMap<Key, Listener>,
    degraded: BTreeSet<Key>,
    sockets: usize,
    refused: u64,
    list: ListenerList,
}

impl Listeners {
    pub(crate) fn new(options: &Options, workers: Vec<mpsc::Sender<Command>>) -> Self {
        let all = |addresses: &[SocketAddr], role: Role, label| -> Vec<Wanted> {
            let wanted = |&address| Wanted { key: Key { role, address }, label, serves: None };
            addresses.iter().map(wanted).collect()
        };
        let mut ingress = all(&options.http, Role::Http, "http");
        ingress.extend(all(&options.https, Role::Https, "https"));
        let mut seen = BTreeSet::new();
        ingress.retain(|wanted| seen.insert(wanted.key));
        Self {
            workers,
            ingress,
            stream: options.stream,
            most_sockets: usize::try_from(options.descriptors / 2).unwrap_or(usize::MAX),
            fronts: Arc::default(),
            checks: Arc::default(),
            front_count: 0,
            open: BTreeMap::new(),
            degraded: BTreeSet::new(),
            sockets: 0,
            refused: 0,
            list: ListenerList::default(),
        }
    }

    /// Opens what `fronts` and `checks` need beyond what is open.
    pub(crate) fn prepare(
        &self,
        view: Arc<View>,
        fronts: &Arc<Vec<Front>>,
        checks: &Arc<Vec<HealthCheck>>,
    ) -> Prepared {
        let (mut wanted, mut front_count) = (Plan::default(), self.front_count);
        if !Arc::ptr_eq(fronts, &self.fronts) {
            wanted = plan(&self.fronts, fronts);
            front_count = fronts.len();
        }
        if !Arc::ptr_eq(checks, &self.checks) {
            add_checks(&mut wanted, &self.checks, checks);
        }
        let missing = |wanted: &&Wanted| !self.open.contains_key(&wanted.key);
        let ingress = self.ingress.iter().filter(missing).cloned();
        let mut batch = Batch::new(self.stream);
        let closing = wanted.close.iter().map(|key| self.sockets_of(key)).sum();
        let mut used = self.sockets.saturating_sub(closing);
        let opened = ingress
            .chain(wanted.open)
            .map(|wanted| {
                let result = self.bind(&mut batch, wanted.key, front_count, used);
                used += result.as_ref().map_or(0, Vec::len);
                (wanted, result)
            })
            .collect();
        let Plan { close, hand_over, .. } = wanted;
        let (fronts, checks) = (Arc::clone(fronts), Arc::clone(checks));
        Prepared {
            view,
            changes: Changes { fronts, checks, front_count, opened, close, hand_over },
        }
    }

    /// Opens one listener: a socket per worker, or one in all where `fronts` of them would take
    /// more than half of the descriptors.
    fn bind(
        &self,
        batch: &mut Batch,
        key: Key,
        fronts: usize,
        used: usize,
    ) -> Result<Vec<Bound>, BindError> {
        let workers = self.workers.len();
        let sockets = match key.role {
            Role::Http | Role::Https => workers,
            Role::HealthCheck => 1,
            Role::Front(_) if fronts.saturating_mul(workers) <= self.most_sockets => workers,
            Role::Front(_) => 1,
        };
        if matches!(key.role, Role::Front(_)) && used + sockets > self.most_sockets {
            return Err(BindError {
                reason: format!("{} is one listener too many", key.address),
                remedy: format!(
                    "listeners take at most half of the limit of open descriptors, {} now: raise it",
                    self.most_sockets.saturating_mul(2)
                ),
                kind: io::ErrorKind::QuotaExceeded,
            });
        }
        if key.protocol() == Protocol::Udp {
            let opened = batch.udp(key.address, sockets)?;
            return Ok(opened.into_iter().map(Bound::Datagrams).collect());
        }
        let opened = batch.tcp(key.address, sockets)?;
        Ok(opened.into_iter().map(Bound::Streams).collect())
    }

    /// Lets the workers serve what was opened, then closes what left.
    pub(crate) fn commit(&mut self, changes: Changes) {
        let Changes { fronts, checks, front_count, opened, close, hand_over } = changes;
        let is_changed = !(opened.is_empty() && close.is_empty() && hand_over.is_empty());
        let mut handover = Handover::new(self.workers.len());
        let mut untold = MAX_TOLD;
        for (wanted, result) in opened {
            self.start(wanted, result, FIRST_PAUSE, &mut handover, &mut untold);
        }
        handover.send(&self.workers);
        for wanted in hand_over {
            if let Some(listener) = self.open.get_mut(&wanted.key) {
                let mut status = (*listener.status).clone();
                status.role = wanted.label;
                status.serves = wanted.serves.as_deref().map(str::to_owned);
                listener.status = Arc::new(status);
                listener.wanted = wanted;
            }
        }
        for key in close {
            self.sockets -= self.sockets_of(&key);
            self.degraded.remove(&key);
            if let Some(Listener { state: State::Serving { stop, .. }, .. }) =
                self.open.remove(&key)
            {
                stop.cancel();
            }
        }
        (self.fronts, self.checks, self.front_count) = (fronts, checks, front_count);
        if is_changed {
            self.list_anew();
        }
    }

    /// Tells workers that there is a new view, so that an idle one lets the old one go. One whose
    /// queue is full is busy and will look by itself.
    pub(crate) fn announce_view(&self) {
        for worker in &self.workers {
            let _ = worker.try_send(Command::Renew);
        }
    }

    /// Tries what is degraded and due; says whether anything changed.
    pub(crate) fn retry(&mut self, now: Instant) -> bool {
        let due = |key: &&Key| match self.open.get(key).map(|it| &it.state) {
            Some(State::Degraded { next_try, .. }) => *next_try <= now,
            Some(State::Serving { .. }) | None => false,
        };
        let due: Vec<Key> = self
            .degraded
            .iter()
            .filter(due)
            .take(RETRY_BATCH)
            .copied()
            .collect();
        let mut batch = Batch::new(self.stream);
        let mut handover = Handover::new(self.workers.len());
        let mut untold = MAX_TOLD;
        for key in &due {
            let Some(Listener { wanted, state: State::Degraded { pause, .. }, .. }) =
                self.open.get(key)
            else {
                continue;
            };
            let (wanted, pause) = (wanted.clone(), (*pause * 2).min(LONGEST_PAUSE));
            let result = self.bind(&mut batch, *key, self.front_count, self.sockets);
            self.start(wanted, result, pause, &mut handover, &mut untold);
        }
        handover.send(&self.workers);
        if !due.is_empty() {
            self.list_anew();
        }
        !due.is_empty()
    }

    /// Takes bound sockets to be handed over, or notes why there are none.
    fn start(
        &mut self,
        wanted: Wanted,
        result: Result<Vec<Bound>, BindError>,
        pause: Duration,
        handover: &mut Handover,
        untold: &mut usize,
    ) {
        let key = wanted.key;
        let (address, state, shown) = match result {
            Ok(sockets) => {
                let address = sockets.first().and_then(|socket| socket.local_addr().ok());
                let address = address.unwrap_or(key.address);
                let (stop, count) = (CancellationToken::new(), sockets.len());
                handover.add(key, address, sockets, &stop);
                self.sockets += count;
                self.degraded.remove(&key);
                (address, State::Serving { stop, sockets: count }, ListenerState::Serving)
            }
            Err(error) => {
                self.refused += u64::from(error.kind == io::ErrorKind::QuotaExceeded);
                self.degraded.insert(key);
                let state = State::Degraded { next_try: Instant::now() + pause, pause };
                (key.address, state, ListenerState::Degraded(error.to_string()))
            }
        };
        let serves = wanted.serves.as_deref().map(str::to_owned);
        let role = wanted.label;
        let protocol = key.protocol().label();
        let status = ListenerStatus { role, address, protocol, serves, state: shown };
        let listener = Listener { wanted, state, status: Arc::new(status) };
        let before = self.open.get(&key).map(|before| &before.status.state);
        tell(before, &listener.status, untold);
        self.open.insert(key, listener);
    }

    fn sockets_of(&self, key: &Key) -> usize {
        match self.open.get(key).map(|listener| &listener.state) {
            Some(State::Serving { sockets, .. }) => *sockets,
            Some(State::Degraded { .. }) | None => 0,
        }
    }

    fn list_anew(&mut self) {
        let all = self
            .open
            .values()
            .map(|listener| Arc::clone(&listener.status));
        self.list = ListenerList::new(all.collect());
    }

    /// How every listener is; the same list while none changes.
    pub(crate) fn list(&self) -> &ListenerList {
        &self.list
    }

    /// How often a listener found the limit of descriptors reached.
    pub(crate) fn refused(&self) -> u64 {
        self.refused
    }
}

/// Logs a listener that became degraded or serves again.
fn tell(before: Option<&ListenerState>, now: &ListenerStatus, untold: &mut usize) {
    let was_degraded = matches!(before, Some(ListenerState::Degraded(_)));
    let is_degraded = matches!(now.state, ListenerState::Degraded(_));
    if was_degraded == is_degraded {
        return;
    }
    match (untold.checked_sub(1), &now.state) {
        (None, _) => return,
        (Some(0), _) => warn!("more listeners changed than are told here: see /readyz"),
        (_, ListenerState::Degraded(reason)) => warn!("{now} is degraded: {reason}"),
        (_, _) => info!("{now} serves again"),
    }
    *untold -= 1;
}

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Listeners tried again at one time, so that a commit does not wait long for a retry.
const RETRY_BATCH: usize = 1_024;
/// Listeners logged one by one at one time.
const MAX_TOLD: usize = 100;

#[cfg(test)]
mod tests;
