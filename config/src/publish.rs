//! The last published state, for whoever asks: admin API, `/readyz`, metrics.

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::diagnostic::Diagnostic;
use crate::snapshot::Snapshot;

/// One publication: what serves, and what was found wrong on the way.
#[derive(Clone, Debug, Default)]
pub struct Published {
    /// What serves now.
    pub snapshot: Arc<Snapshot>,
    /// Everything that is wrong with the manifests as they are now, sorted by file and position.
    pub diagnostics: Arc<[Diagnostic]>,
}

/// Where the control side keeps the last publication; readers never wait.
#[derive(Debug, Default)]
pub struct Publication(ArcSwap<Published>);

impl Publication {
    /// The last publication; before the first, the empty one of generation 0.
    pub fn load(&self) -> Arc<Published> {
        self.0.load_full()
    }

    /// Replaces it; called once the planes have committed.
    pub fn store(&self, published: Published) {
        self.0.store(Arc::new(published));
    }
}
