//! What is counted of one endpoint of one ServicePort, where somebody asked for that.
//!
//! Without `--metrics-endpoints` nothing is counted here, and nothing allocated. A tally lives as
//! long as its endpoint is in a set of the ServicePort, and all sets of it count in the same.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use super::health::Fault;

/// Counters of one endpoint of one ServicePort.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Connections, sessions and requests that it was chosen for, those that failed too.
    pub(crate) flows: AtomicU64,
    /// Those that are open now.
    pub(crate) active: AtomicU64,
    /// Those that could not be dialled.
    pub(crate) dials: AtomicU64,
    /// Those that it reset before it had said anything.
    pub(crate) breaks: AtomicU64,
    /// Those to which it said that it does no work.
    pub(crate) unavailable: AtomicU64,
}

impl Tally {
    /// One more is open.
    pub(super) fn open(&self) {
        self.flows.fetch_add(1, Relaxed);
        self.active.fetch_add(1, Relaxed);
    }

    /// One is over.
    pub(super) fn close(&self) {
        self.active.fetch_sub(1, Relaxed);
    }

    /// One failed.
    pub(super) fn fail(&self, fault: Fault) {
        let counter = match fault {
            Fault::Dial(_) => &self.dials,
            Fault::Break => &self.breaks,
            Fault::Unavailable => &self.unavailable,
        };
        counter.fetch_add(1, Relaxed);
    }
}

/// The tallies of one ServicePort while it is made: one for each address, however many sets it is
/// in.
#[derive(Debug)]
pub(super) struct Tallies {
    /// None: nobody asked for them.
    by_address: Option<HashMap<SocketAddr, Arc<Tally>>>,
}

impl Tallies {
    /// Empty ones; `is_on`: whether somebody asked.
    pub(super) fn new(is_on: bool) -> Self {
        Self { by_address: is_on.then(HashMap::new) }
    }

    /// The tally of an endpoint: the one of `before`, else the one that another set has, else anew.
    pub(super) fn of(
        &mut self,
        address: SocketAddr,
        before: Option<&Arc<Tally>>,
    ) -> Option<Arc<Tally>> {
        let all = self.by_address.as_mut()?;
        let found = all.entry(address);
        Some(Arc::clone(found.or_insert_with(|| before.cloned().unwrap_or_default())))
    }
}
