//! From events to what is to be looked at, and when.
//!
//! Invariants: a batch is cut [`Reload::quiet`](crate::model::Reload::quiet) after its last event,
//! `longest` after its first; what waits (a file that is being written, a second look) holds
//! nothing else up; events of what is no manifest cost no look.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use super::root::Standing;
use super::survey::Survey;
use super::watch::Message;
use super::{Absent, FileSource, LONGEST_WRITE, SECOND_LOOK, walk};

/// What is to be looked at.
#[derive(Debug, Default)]
pub(super) struct Dirty {
    /// Single files.
    pub(super) paths: BTreeSet<PathBuf>,
    /// Folders with all below them; roots among them.
    pub(super) trees: BTreeSet<PathBuf>,
    /// Everything.
    pub(super) all: bool,
    /// By content, whatever the stamps say, and an empty folder is taken at its word.
    pub(super) thorough: bool,
    /// What was missing is due to count.
    pub(super) absent: bool,
    /// Everything, as it was listed a moment ago.
    pub(super) survey: Option<Survey>,
}

impl Dirty {
    fn is_clean(&self) -> bool {
        self.paths.is_empty()
            && self.trees.is_empty()
            && !self.all
            && !self.absent
            && self.survey.is_none()
    }
}

impl Absent {
    /// When it counts: after a second look's time without another loss, since a folder that is
    /// being removed loses its files one by one.
    pub(super) fn due(&self) -> Instant {
        (self.last + SECOND_LOOK).min(self.first + LONGEST_WRITE)
    }
}

impl FileSource {
    /// Waits until something is dirty and its neighbours are quiet; `None` at the end.
    pub(super) fn wait(&mut self) -> Option<Dirty> {
        let mut dirty = Dirty::default();
        while dirty.is_clean() {
            match self.messages.recv_timeout(self.patience()) {
                Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => return None,
                Ok(message) => self.take(message, &mut dirty),
                Err(RecvTimeoutError::Timeout) => false,
            };
            self.take_due(&mut dirty);
            self.survey_instead(&mut dirty);
        }
        let mut quiet = Instant::now() + self.reload.quiet;
        let end = Instant::now() + self.reload.longest;
        loop {
            let left = quiet.min(end).saturating_duration_since(Instant::now());
            match self.messages.recv_timeout(left) {
                Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => return None,
                Ok(message) => {
                    if self.take(message, &mut dirty) {
                        quiet = Instant::now() + self.reload.quiet;
                    }
                    if Instant::now() >= end {
                        break;
                    }
                }
                Err(RecvTimeoutError::Timeout) => break,
            }
        }
        self.survey_instead(&mut dirty);
        self.add_what_hangs_on_others(&mut dirty);
        Some(dirty)
    }

    /// Until when nothing has to be done unless an event comes.
    fn patience(&self) -> Duration {
        let pending = self.pending.values().copied().min();
        let absent = self.absent.as_ref().map(Absent::due);
        let recheck = (!self.rechecks.is_empty()).then_some(self.next_recheck);
        let next = [Some(self.next_rescan), Some(self.next_poll), pending, absent, recheck];
        let next = next.into_iter().flatten().min();
        next.map_or(self.reload.poll, |next| next.saturating_duration_since(Instant::now()))
    }

    /// Sorts one event into what is dirty now and what waits; says whether anything became dirty.
    fn take(&mut self, message: Message, dirty: &mut Dirty) -> bool {
        match message {
            Message::Done(path) => self.take_done(path, dirty),
            Message::Gone(path) => {
                // The watch of a folder that moved leaves with its name.
                let was_folder = self.watch.knows(&path) && self.root_of(&path).is_some();
                if was_folder {
                    self.watch.retain(&path, &BTreeSet::new());
                    dirty.trees.insert(path.clone());
                }
                self.take_done(path, dirty) || was_folder
            }
            // Its close is still to come, and with it another event.
            Message::Touched(path) if self.pending.contains_key(&path) => false,
            Message::Touched(path) => self.take_done(path, dirty),
            Message::Writing(path) => {
                let manifest = walk::is_manifest_name(&path) || self.known.contains(&path);
                if manifest && self.root_of(&path).is_some() {
                    let due = Instant::now() + LONGEST_WRITE;
                    self.pending.entry(path).or_insert(due);
                }
                false
            }
            Message::Lost => !std::mem::replace(&mut dirty.all, true),
            Message::Rescan => {
                dirty.thorough = true;
                !std::mem::replace(&mut dirty.all, true)
            }
            Message::Surveyed(survey) => self.survey_came(survey, dirty),
            Message::Stop => false,
        }
    }

    fn take_done(&mut self, path: PathBuf, dirty: &mut Dirty) -> bool {
        if self.roots.iter().any(|root| root.absolute == path) {
            return dirty.trees.insert(path);
        }
        let is_link = |path: &Path| path.is_symlink();
        if self.root_of(&path).is_none() {
            // A hidden link of a folder of ours: a ConfigMap volume's `..data`.
            let parent = path
                .parent()
                .filter(|parent| self.root_of(parent).is_some());
            let parent = parent.filter(|parent| self.watch.knows(parent) && is_link(&path));
            return parent.is_some_and(|parent| dirty.trees.insert(parent.to_owned()));
        }
        if self.watch.knows(&path) || (path.is_dir() && !is_link(&path)) {
            if self.known.contains(&path) {
                dirty.paths.insert(path.clone());
            }
            return dirty.trees.insert(path);
        }
        if walk::is_manifest_name(&path) || self.known.contains(&path) {
            self.pending.remove(&path);
            return dirty.paths.insert(path);
        }
        if is_link(&path) {
            let parent = path.parent().unwrap_or(&path).to_owned();
            return dirty.trees.insert(parent);
        }
        self.take_links(dirty)
    }

    /// Files that are reached by a link may have changed with any other file of the folder.
    fn take_links(&self, dirty: &mut Dirty) -> bool {
        let before = dirty.paths.len();
        let changed = |path: &&PathBuf| {
            let known = self.known.get(path).map(|known| known.stamp);
            walk::stamp(path) != known
        };
        dirty
            .paths
            .extend(self.links.iter().filter(changed).cloned());
        dirty.paths.len() > before
    }

    /// Moves what has waited long enough to what is dirty.
    fn take_due(&mut self, dirty: &mut Dirty) {
        let now = Instant::now();
        let due = self.pending.extract_if(.., |_, at| *at <= now);
        dirty.paths.extend(due.map(|(path, _)| path));
        dirty.absent |= self
            .absent
            .as_ref()
            .is_some_and(|absent| absent.due() <= now);
        if self.next_recheck <= now && !self.rechecks.is_empty() {
            let few = self.rechecks.len().min(RECHECKS_AT_ONCE);
            let pending = &self.pending;
            let few = self.rechecks.drain(..few);
            dirty
                .paths
                .extend(few.filter(|path| !pending.contains_key(path)));
            self.next_recheck = now + BETWEEN_RECHECKS;
        }
        dirty.all |= self.next_rescan <= now || self.watch.has_lost_events();
        if self.next_poll > now {
            return;
        }
        self.next_poll = now + self.reload.poll;
        dirty.all |= self.watch.is_polling();
        // A mount, a link on the way or a folder that came back gives no event.
        for root in &self.roots {
            if !root.is_as_seen() {
                dirty.trees.insert(root.absolute.clone());
            }
        }
        for path in self.unreadable.keys() {
            let is_root = self.roots.iter().any(|root| root.absolute == *path);
            if is_root || self.watch.knows(path) || path.is_dir() {
                dirty.trees.insert(path.clone());
            } else {
                dirty.paths.insert(path.clone());
            }
        }
    }

    /// Adds what no event names: links to what changed, and a root in doubt that may have files.
    fn add_what_hangs_on_others(&self, dirty: &mut Dirty) {
        self.take_links(dirty);
        for root in &self.roots {
            let touched = dirty
                .paths
                .iter()
                .any(|path| path.starts_with(&root.absolute));
            let is_folder = matches!(root.seen, Some(Standing::Folder(_)));
            if touched && is_folder && root.is_replaced() {
                dirty.trees.insert(root.absolute.clone());
            }
        }
    }
}

/// Files that are read again in one go, and the pause until the next go: some 10 ms of work each.
const RECHECKS_AT_ONCE: usize = 256;
const BETWEEN_RECHECKS: Duration = Duration::from_millis(20);
