//! Which sockets are open, and which should be: the control side of every listener.
//!
//! ```text
//! wanted ─plan─▶ open, close     open ─bind─▶ Serving │ Degraded ─retry─▶ Serving
//! ```
//!
//! Invariants: a listener that stays is never reopened; a new one listens before the view that
//! needs it is swapped in; one that leaves is closed only after that. UDP fronts are left to a UDP
//! plane: nothing listens on them here.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use portico_config::model::Protocol;
use portico_config::snapshot::{Front, FrontKind};
use portico_net::bind::{self, BindError};
use portico_net::listeners::{ListenerState, ListenerStatus};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::Options;
use crate::view::View;
use crate::worker::{Command, Serve};

/// New sockets and the new view, bound and built, not yet serving.
#[derive(Debug)]
pub struct Prepared {
    pub(crate) view: View,
    pub(crate) changes: Changes,
}

/// What a commit does to listeners.
#[derive(Debug)]
pub(crate) struct Changes {
    opened: Vec<(Key, Result<Vec<TcpListener>, BindError>)>,
    close: Vec<Key>,
    serves: BTreeMap<Key, String>,
}

/// What is listened on and for what.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Key {
    role: Role,
    address: SocketAddr,
}

/// What a listener is for.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Role {
    Http,
    Https,
    Front(FrontKind),
}

#[derive(Debug)]
struct Listener {
    serves: Option<String>,
    state: State,
}

#[derive(Debug)]
enum State {
    /// On this address, the same as wanted but for port 0.
    Serving {
        address: SocketAddr,
        stop: CancellationToken,
    },
    Degraded {
        reason: String,
        next_try: Instant,
        pause: Duration,
    },
}

/// Every listener of the plane.
#[derive(Debug)]
pub(crate) struct Listeners {
    workers: Vec<mpsc::Sender<Command>>,
    ingress: Vec<Key>,
    most_sockets: usize,
    open: BTreeMap<Key, Listener>,
}

impl Listeners {
    pub(crate) fn new(options: &Options, workers: Vec<mpsc::Sender<Command>>) -> Self {
        let keys = |addresses: &[SocketAddr], role: Role| -> Vec<Key> {
            addresses
                .iter()
                .map(|&address| Key { role, address })
                .collect()
        };
        let mut ingress = keys(&options.http, Role::Http);
        ingress.extend(keys(&options.https, Role::Https));
        let most_sockets = usize::try_from(options.descriptors / 2).unwrap_or(usize::MAX);
        Self { workers, ingress, most_sockets, open: BTreeMap::new() }
    }

    /// Opens what `fronts` need beyond what is open.
    pub(crate) fn prepare(&self, view: View, fronts: &[Front]) -> Prepared {
        let mut serves = BTreeMap::new();
        for front in fronts
            .iter()
            .filter(|front| front.protocol == Protocol::Tcp)
        {
            let key = Key { role: Role::Front(front.kind), address: front.address };
            serves.insert(key, front.port.to_string());
        }
        let wanted: BTreeSet<Key> = self.ingress.iter().chain(serves.keys()).copied().collect();
        let have: BTreeSet<Key> = self.open.keys().copied().collect();
        let (open, close) = plan(&have, &wanted);
        let sockets = self.sockets_for(serves.len());
        let opened = open
            .into_iter()
            .map(|key| {
                let count =
                    if matches!(key.role, Role::Front(_)) { sockets } else { self.workers.len() };
                (key, bind::tcp(key.address, count))
            })
            .collect();
        Prepared { view, changes: Changes { opened, close, serves } }
    }

    /// Sockets per L4 front: one per worker, or one in all where descriptors would not suffice.
    fn sockets_for(&self, fronts: usize) -> usize {
        let workers = self.workers.len();
        if fronts.saturating_mul(workers) > self.most_sockets { 1 } else { workers }
    }

    /// Lets the workers serve what was opened, then close what left.
    pub(crate) fn commit(&mut self, changes: Changes) {
        for (key, result) in changes.opened {
            let serves = changes.serves.get(&key).cloned();
            let state = self.start(key, result, FIRST_PAUSE);
            self.open.insert(key, Listener { serves, state });
        }
        for (key, serves) in changes.serves {
            if let Some(listener) = self.open.get_mut(&key) {
                listener.serves = Some(serves);
            }
        }
        for key in changes.close {
            if let Some(Listener { state: State::Serving { stop, .. }, .. }) =
                self.open.remove(&key)
            {
                stop.cancel();
            }
        }
    }

    /// Tries what is degraded and due; says whether anything changed.
    pub(crate) fn retry(&mut self, now: Instant) -> bool {
        let due: Vec<(Key, Duration)> = self
            .open
            .iter()
            .filter_map(|(key, listener)| match listener.state {
                State::Degraded { next_try, pause, .. } if next_try <= now => Some((*key, pause)),
                _ => None,
            })
            .collect();
        let sockets = self.sockets_for(self.open.len());
        for (key, pause) in &due {
            let result = bind::tcp(key.address, sockets);
            let healed = result.is_ok();
            let state = self.start(*key, result, (*pause * 2).min(LONGEST_PAUSE));
            if let Some(listener) = self.open.get_mut(key) {
                listener.state = state;
            }
            if healed {
                info!(address = %key.address, role = key.role.label(), "listener is up again");
            }
        }
        !due.is_empty()
    }

    /// Hands bound sockets to the workers, or notes why there are none.
    fn start(
        &self,
        key: Key,
        result: Result<Vec<TcpListener>, BindError>,
        pause: Duration,
    ) -> State {
        let sockets = match result {
            Ok(sockets) => sockets,
            Err(error) => {
                if pause == FIRST_PAUSE {
                    warn!(address = %key.address, role = key.role.label(), %error, "listener is degraded");
                }
                let next_try = Instant::now() + pause;
                return State::Degraded { reason: error.to_string(), next_try, pause };
            }
        };
        let address = sockets.first().and_then(|socket| socket.local_addr().ok());
        let address = address.unwrap_or(key.address);
        let stop = CancellationToken::new();
        // One socket in all: its worker is chosen by the address, the same at every start.
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(key.address);
        let first = match sockets.len() {
            1 => usize::try_from(hash % self.workers.len() as u64).unwrap_or(0),
            _ => 0,
        };
        let workers = self.workers.iter().cycle().skip(first);
        for (socket, worker) in sockets.into_iter().zip(workers) {
            let serve = match key.role {
                Role::Http => Serve::Http { address, tls: false },
                Role::Https => Serve::Http { address, tls: true },
                Role::Front(_) => Serve::Front { address: key.address },
            };
            // A worker that is gone takes no more work; the process is ending then.
            let _ = worker.blocking_send(Command { socket, serve, stop: stop.clone() });
        }
        State::Serving { address, stop }
    }

    /// How every listener is.
    pub(crate) fn status(&self) -> Vec<ListenerStatus> {
        self.open
            .iter()
            .map(|(key, listener)| {
                let (address, state) = match &listener.state {
                    State::Serving { address, .. } => (*address, ListenerState::Serving),
                    State::Degraded { reason, .. } => {
                        (key.address, ListenerState::Degraded(reason.clone()))
                    }
                };
                let serves = listener.serves.clone();
                ListenerStatus { role: key.role.label(), address, protocol: "tcp", serves, state }
            })
            .collect()
    }
}

impl Role {
    fn label(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Front(kind) => kind.label(),
        }
    }
}

/// What to open and what to close so that `wanted` is open.
fn plan(open: &BTreeSet<Key>, wanted: &BTreeSet<Key>) -> (Vec<Key>, Vec<Key>) {
    (wanted.difference(open).copied().collect(), open.difference(wanted).copied().collect())
}

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays_is_neither_opened_nor_closed() {
        let key = |port: u16| Key { role: Role::Http, address: ([127, 0, 0, 1], port).into() };
        let set = |ports: &[u16]| ports.iter().map(|&port| key(port)).collect::<BTreeSet<_>>();
        for (open, wanted, opens, closes) in [
            (&[][..], &[1, 2][..], &[1, 2][..], &[][..]),
            (&[1, 2], &[2, 3], &[3], &[1]),
            (&[1], &[1], &[], &[]),
            (&[1], &[], &[], &[1]),
        ] {
            let (to_open, to_close) = plan(&set(open), &set(wanted));
            assert_eq!(to_open.into_iter().collect::<BTreeSet<_>>(), set(opens));
            assert_eq!(to_close.into_iter().collect::<BTreeSet<_>>(), set(closes));
        }
    }
}
