//! Views that no longer serve, until nobody holds them.
//!
//! A worker keeps the view that it read last until it reads again; dropping a large one would cost
//! it milliseconds in the middle of its connections. So each view is held here from the moment it
//! is replaced, and freed on the control side once nobody else holds it. Invariant: what is held
//! here alone can be held by nobody else again, since nobody can load it any more. Bounded by the
//! holders: each worker keeps at most one view per plane, a scrape of the metrics one.

use std::sync::Arc;

use super::View;

/// The views before.
#[derive(Debug, Default)]
pub(crate) struct Retired(Vec<Arc<View>>);

impl Retired {
    /// Takes a view that was replaced.
    pub(crate) fn push(&mut self, view: Arc<View>) {
        self.0.push(view);
    }

    /// Frees those that nobody else holds.
    pub(crate) fn sweep(&mut self) {
        self.0.retain(|view| Arc::strong_count(view) > 1);
    }

    /// How many are held.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}
