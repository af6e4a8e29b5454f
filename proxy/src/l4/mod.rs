//! L4: TCP and UDP fronts of Services.
//!
//! TCP: `accept ─▶ front ─▶ admit ─▶ choose ─▶ connect, next on failure ─▶ relay`. The view is looked
//! at once, when a connection comes; after that only its port is held, so that a reload cuts nothing.
//! UDP has sessions instead, which are looked at again at every view: [`Udp`].

mod preface;
mod session;
mod tcp;
mod udp;

use std::cell::RefCell;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use arc_swap::{ArcSwap, Cache};
use portico_config::model::Protocol;
use portico_net::copy::Patience;
use portico_net::stream::StreamOptions;

use crate::view::{Admission, View};

pub(crate) use preface::take as take_preface;
pub(crate) use udp::Udp;

/// TCP on one worker thread.
pub(crate) struct Worker {
    view: RefCell<Cache<Arc<ArcSwap<View>>, Arc<View>>>,
    /// Of connections that are dialled; those that are accepted have them from their listener.
    stream: StreamOptions,
}

impl Worker {
    /// TCP over the views in `view`.
    pub(crate) fn new(view: &Arc<ArcSwap<View>>, stream: StreamOptions) -> Self {
        Self { view: RefCell::new(Cache::new(Arc::clone(view))), stream }
    }

    /// What becomes of a connection that comes to a front now, and how long it may carry nothing.
    fn admit(&self, front: SocketAddr, source: IpAddr) -> Option<(Admission, Patience)> {
        let mut view = self.view.borrow_mut();
        let view = view.load();
        Some((view.admit((front, Protocol::Tcp), source)?, view.patience()))
    }

    /// Whether a peer may say for whom its connections stand.
    pub(crate) fn trusts(&self, peer: IpAddr) -> bool {
        self.view.borrow_mut().load().trusts(peer)
    }

    /// Takes the view that serves now and lets the one before go.
    pub(crate) fn renew_view(&self) {
        self.view.borrow_mut().load();
    }
}
