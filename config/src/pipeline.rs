//! The stages in a row: changed files in, snapshot and diagnostics out.
//!
//! Owns the store and the last snapshot; does no I/O and reads no clock. `portico check` and a
//! live reload run exactly this.

use std::sync::Arc;

use crate::diagnostic::Diagnostic;
use crate::model::{HostFacts, Settings};
use crate::snapshot::{Assignments, Snapshot};
use crate::source::Changes;

/// The configuration pipeline of one process.
#[derive(Debug)]
pub struct Pipeline {
    previous: Arc<Snapshot>,
}

/// What one batch of changes came to.
#[derive(Clone, Debug)]
pub struct Update {
    /// The new snapshot; the same `Arc` as before where nothing that planes see has changed.
    pub snapshot: Arc<Snapshot>,
    /// Whether it differs from the one before, so that planes need to hear of it.
    pub changed: bool,
    /// Everything that is wrong with the manifests as they are now, sorted by file and position.
    pub diagnostics: Arc<[Diagnostic]>,
    /// What changed, by name: `Service default/web`, `Ingress default/site`; at most 20, then a
    /// count. For the one sentence that a reload logs.
    pub changes: Vec<String>,
}

impl Pipeline {
    /// An empty pipeline; `assignments` are those of an earlier run, where there was one.
    pub fn new(_settings: Arc<Settings>, _facts: HostFacts, _assignments: Assignments) -> Self {
        Self { previous: Arc::default() }
    }

    /// Takes one batch; `now_seconds` (since 1970) stamps the SOA serial of a changed snapshot.
    pub fn apply(&mut self, _changes: Changes, _now_seconds: u64) -> Update {
        Update {
            snapshot: Arc::clone(&self.previous),
            changed: false,
            diagnostics: Arc::default(),
            changes: Vec::new(),
        }
    }
}
