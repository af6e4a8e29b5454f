//! Names that are not ours: asked of upstreams, and what they say told as it came (`dns 4`).
//!
//! ```text
//! answer: not ours ─begin─▶ routes ─▶ cache ─▶ told at once
//!                                       └────▶ Waiting ◀─land─ resolve ─▶ upstream, upstream, …
//! ```
//!
//! [`Control`] stays on the control side, a [`Forwarder`] lives on each worker, and [`Shared`] is what
//! all of them have in common. Invariants: local answers never come here; nobody waits in the loop that
//! answers, but in tasks of their own, of which there are bounded many over all workers and of one client;
//! a client hears something within the time after which it would give up.

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
mod client;
mod waits;
mod waiting;
mod resolve;
mod forwarder;
mod host;
mod control;

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use portico_net::tls_dial::ClientTls;

use self::metrics::{Everything, Metrics};
use self::probe::Traps;
use self::routes::Routes;
use self::waits::Waits;
use crate::cache::{Cache, Keep};

pub(crate) use self::control::Control;
pub(crate) use self::forwarder::Forwarder;
pub(crate) use self::waiting::{Begun, Waiting};

/// What all workers share.
#[derive(Debug)]
pub(crate) struct Shared {
    routes: ArcSwap<Routes>,
    cache: Arc<Cache>,
    metrics: Metrics,
    traps: Traps,
    /// There as soon as some upstream is spoken to over TLS.
    tls: Arc<OnceLock<ClientTls>>,
    /// Clients that wait for upstreams.
    waits: Waits,
}

/// For whom others are asked, by whom they are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum OpenTo {
    /// For nobody.
    Nobody,
    /// Clients of some networks.
    Few,
    /// For everybody.
    All,
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
}
