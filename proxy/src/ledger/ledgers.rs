//! Which rules have a ledger of their own: so many at most, who had one first (`http-proxy 9.5`).
//!
//! Control side. Invariants: a rule that stays keeps its ledger and what is in it; that of a rule that is
//! gone goes with the last view that names it; rules for which there is no room share one.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use portico_config::model::ObjectName;

use super::{Ledger, Subject};

/// The ledgers of the rules that there are.
#[derive(Debug, Default)]
pub(crate) struct Ledgers {
    workers: usize,
    most: usize,
    known: HashMap<Subject, Arc<Ledger>, foldhash::fast::RandomState>,
    is_full: bool,
    shared: Shared,
}

/// For rules without a ledger of their own.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shared {
    /// What their requests came to.
    pub(crate) ledger: Arc<Ledger>,
    /// How often a rule found no room.
    pub(crate) hits: Arc<AtomicU64>,
}

impl Ledgers {
    /// None yet; that many workers will write each, and no more than `most` are made.
    pub(crate) fn new(workers: usize, most: usize) -> Self {
        // No namespace has an empty name, so that no Ingress is called so.
        let other = ObjectName::new("", "other");
        let shared = Subject { ingress: Some(other), ..Subject::default() };
        let shared = Ledger::new(shared, workers);
        let shared = Shared { ledger: Arc::new(shared), hits: Arc::default() };
        Self { workers, most, shared, ..Self::default() }
    }

    /// What rules without room share.
    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Whether some rules had no room at the last renewal.
    pub(crate) fn is_full(&self) -> bool {
        self.is_full
    }

    /// Lets the ledgers of others go, and makes those that are missing.
    pub(crate) fn renew(&mut self, subjects: impl Iterator<Item = Subject>) {
        let mut before = std::mem::take(&mut self.known);
        // In the order of names, so that who finds room does not depend on a hash.
        let mut new = BTreeSet::new();
        for subject in subjects {
            match before.remove_entry(&subject) {
                Some((subject, ledger)) => drop(self.known.insert(subject, ledger)),
                None if self.known.contains_key(&subject) => {}
                None => drop(new.insert(subject)),
            }
        }
        let room = self.most.saturating_sub(self.known.len());
        let left = new.len().saturating_sub(room);
        self.is_full = left > 0;
        self.shared.hits.fetch_add(left as u64, Relaxed);
        for subject in new.into_iter().take(room) {
            let ledger = Arc::new(Ledger::new(subject.clone(), self.workers));
            self.known.insert(subject, ledger);
        }
    }

    /// The ledger of a rule.
    pub(crate) fn of(&self, subject: &Subject) -> Arc<Ledger> {
        Arc::clone(self.known.get(subject).unwrap_or(&self.shared.ledger))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{Settled, Verb};

    fn subject(path: &str) -> Subject {
        Subject { path: path.into(), ..Subject::default() }
    }

    fn count(ledger: &Ledger) {
        let (took, upstream) = (None, None);
        let verb = Verb::of("GET");
        let settled = Settled {
            verb,
            status: 200,
            took,
            upstream,
            received_bytes: 1,
            sent_bytes: 1,
            call: None,
        };
        ledger.column(0).unwrap().settle(&settled);
    }

    #[test]
    fn rules_that_stay_keep_their_counts_and_others_leave() {
        let mut ledgers = Ledgers::new(1, 2);
        ledgers.renew(["/a", "/b"].map(subject).into_iter());
        count(&ledgers.of(&subject("/a")));
        count(&ledgers.of(&subject("/b")));
        ledgers.renew(["/a", "/c", "/a"].map(subject).into_iter());
        let sent = |path: &str| ledgers.of(&subject(path)).sums().sent_bytes;
        assert_eq!((sent("/a"), sent("/c")), (1, 0), "http-proxy 9.5");
        assert!(!ledgers.is_full());
        assert!(Arc::ptr_eq(&ledgers.of(&subject("/b")), &ledgers.shared().ledger));
        ledgers.renew(["/b", "/a"].map(subject).into_iter());
        assert_eq!(ledgers.of(&subject("/b")).sums().sent_bytes, 0, "it begins anew");
    }

    #[test]
    fn rules_for_which_there_is_no_room_share_one() {
        let mut ledgers = Ledgers::new(1, 2);
        ledgers.renew(["/c", "/d"].map(subject).into_iter());
        ledgers.renew(["/a", "/b", "/c"].map(subject).into_iter());
        assert!(ledgers.is_full());
        let is_shared = |path| Arc::ptr_eq(&ledgers.of(&subject(path)), &ledgers.shared().ledger);
        assert_eq!(["/a", "/b", "/c"].map(is_shared), [false, true, false], "http-proxy 9.5");
        assert_eq!(ledgers.shared().hits.load(Relaxed), 1);
    }
}
