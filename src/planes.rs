//! The control sides of both planes, which change as one.
//!
//! Invariants: everything is prepared before anything is committed; the proxy commits first, so
//! that no name is answered before its address listens; lists of listeners are published in the
//! order in which they were true.

use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use portico_config::snapshot::Snapshot;
use portico_dns::Dns;
use portico_net::listeners::{ListenerList, ListenerState, ListenerStatus};
use portico_proxy::Proxy;
use tracing::info;

use crate::routes::Routes;

/// What serves, seen from the side that changes it.
#[derive(Debug)]
pub(crate) struct Planes {
    pub(crate) proxy: Proxy,
    pub(crate) dns: Dns,
    /// What makes service CIDRs local; gone when nothing listens any more.
    pub(crate) routes: Routes,
}

/// Every listener of the planes at one moment.
#[derive(Debug, Default)]
pub(crate) struct PlaneListeners {
    /// Many: shared, not copied.
    pub(crate) proxy: ListenerList,
    /// Few.
    pub(crate) dns: Vec<ListenerStatus>,
}

impl Planes {
    /// Makes a snapshot what serves. `files` says how many files, or verdicts, the change came from: a
    /// large one is prepared by a thread for each plane, a small one would only wait for the second.
    pub(crate) fn change(&mut self, snapshot: &Arc<Snapshot>, files: usize) {
        let Self { proxy, dns, .. } = self;
        let (view, table) = if files < MANY_FILES {
            (proxy.prepare(snapshot), dns.prepare(snapshot))
        } else {
            std::thread::scope(|scope| {
                let table = scope.spawn(|| dns.prepare(snapshot));
                let view = proxy.prepare(snapshot);
                let table = table.join();
                (view, table.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            })
        };
        self.proxy.commit(view);
        self.dns.commit(table);
        self.routes.settle();
    }

    /// Work that is due by time: degraded listeners, views that the last worker let go. Cheap when
    /// nothing is due.
    pub(crate) fn retry(&mut self, now: Instant) {
        self.proxy.retry(now);
        self.dns.retry(now);
        self.routes.retry();
    }

    /// Shows how listeners are now. Called under the lock that guards the planes.
    pub(crate) fn publish(&self, shown: &ArcSwap<PlaneListeners>) {
        let before = shown.load();
        let after = PlaneListeners { proxy: self.proxy.listeners(), dns: self.dns.listeners() };
        if before.proxy.is_same(&after.proxy) && before.dns == after.dns {
            return;
        }
        tell_healed(&before.dns, &after.dns);
        shown.store(Arc::new(after));
    }
}

/// Logs each listener of the resolver that serves again; that one is degraded it says itself, and
/// the proxy says both.
fn tell_healed(before: &[ListenerStatus], after: &[ListenerStatus]) {
    for listener in after {
        let was = before
            .iter()
            .find(|other| (other.address, other.protocol) == (listener.address, listener.protocol));
        let was_degraded = was.is_some_and(|was| matches!(was.state, ListenerState::Degraded(_)));
        if was_degraded && listener.state == ListenerState::Serving {
            info!("{listener} serves again");
        }
    }
}

/// A change from so many files is worth a thread.
const MANY_FILES: usize = 256;
