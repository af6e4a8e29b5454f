//! L4: TCP and UDP fronts of Services.
//!
//! TCP: `accept ─▶ front ─▶ choose ─▶ connect, next on failure ─▶ relay`. The view is looked at once, when
//! a connection comes; after that only its [`Port`] is held, so that a reload cuts nothing. UDP has sessions instead, which are looked at again at every view: [`Udp`].

mod session;
mod tcp;
mod udp;

use std::cell::RefCell;
use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::{ArcSwap, Cache};
use portico_config::model::Protocol;

use crate::upstream::Port;
use crate::view::View;

pub(crate) use udp::Udp;

/// TCP on one worker thread.
pub(crate) struct Worker {
    view: RefCell<Cache<Arc<ArcSwap<View>>, Arc<View>>>,
}

impl Worker {
    /// TCP over the views in `view`.
    pub(crate) fn new(view: &Arc<ArcSwap<View>>) -> Self {
        Self { view: RefCell::new(Cache::new(Arc::clone(view))) }
    }

    /// What stands behind a front now.
    fn port(&self, front: SocketAddr) -> Option<Arc<Port>> {
        let mut view = self.view.borrow_mut();
        view.load().front(front, Protocol::Tcp).cloned()
    }

    /// Takes the view that serves now and lets the one before go.
    pub(crate) fn renew_view(&self) {
        self.view.borrow_mut().load();
    }
}
