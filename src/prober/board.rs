//! What each probe says now, for the admin listener; written by the prober alone.
//!
//! Invariants: one entry for each Pod that is probed, none for others. Times are `Instant`s: whoever
//! shows one says how long ago it was, so that no clock that is set leads astray.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use portico_config::model::ObjectName;

use super::pod::Report;

/// What probing has found out so far. Cheap to clone: all clones are one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Board {
    pods: Arc<Mutex<BTreeMap<ObjectName, PodReport>>>,
}

/// What the probes of one Pod say.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct PodReport {
    /// Why it is not ready, in a word of the kubelet's; none where it is.
    pub(crate) reason: Option<&'static str>,
    /// The same in words.
    pub(crate) message: String,
    /// Each of its probes.
    pub(crate) probes: Vec<Report>,
}

impl Board {
    /// Everything that is there, by the name of the Pod.
    pub(crate) fn read(&self) -> BTreeMap<ObjectName, PodReport> {
        self.lock().clone()
    }

    /// Shows what a Pod's probes say, or that it has none any more.
    pub(super) fn show(&self, pod: &ObjectName, report: Option<PodReport>) {
        match report {
            Some(report) => drop(self.lock().insert(pod.clone(), report)),
            None => drop(self.lock().remove(pod)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ObjectName, PodReport>> {
        // Each change is one insertion or removal: nothing is left half done.
        self.pods.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
