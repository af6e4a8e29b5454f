//! Files and folders, followed as they change.
//!
//! ```text
//! inotify ─▶ dirty paths ─quiet 10 ms, at most 100 ms─▶ look ─▶ Changes
//!            a file that is being written waits for its close
//! ```
//!
//! Invariants: only content that differs is delivered; what cannot be read is never a deletion;
//! every root is looked at whole at least each [`RESCAN_PERIOD`], so that a lost event costs time
//! and nothing else. What files mean is left to `decode`.

mod watch;
mod walk;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use self::walk::Listing;
use self::watch::{Message, Watch};
use super::{Changes, Control, Source};

/// Reads and watches paths; `-` is standard input, read once.
#[derive(Debug)]
pub struct FileSource {
    roots: Vec<PathBuf>,
    known: BTreeMap<PathBuf, Known>,
    unreadable: BTreeMap<PathBuf, String>,
    /// Files that are being written, and when they are looked at all the same.
    pending: BTreeMap<PathBuf, Instant>,
    /// Files that were found empty once: the second time it counts.
    emptied: BTreeSet<PathBuf>,
    watch: Watch,
    messages: mpsc::Receiver<Message>,
    control: Control,
    next_rescan: Instant,
}

/// A file as it was last delivered.
#[derive(Debug)]
struct Known {
    name: Arc<PathBuf>,
    stamp: walk::Stamp,
    content: Arc<[u8]>,
}

/// What is to be looked at.
#[derive(Debug, Default)]
struct Dirty {
    paths: BTreeSet<PathBuf>,
    all: bool,
}

impl FileSource {
    /// A source over files and folders (walked recursively for `.yaml`, `.yml`, `.json`).
    pub fn new(paths: Vec<PathBuf>) -> Self {
        let (control, commands) = Control::new();
        let (watch, messages) = Watch::new(commands);
        Self {
            roots: paths,
            known: BTreeMap::new(),
            unreadable: BTreeMap::new(),
            pending: BTreeMap::new(),
            emptied: BTreeSet::new(),
            watch,
            messages,
            control,
            next_rescan: Instant::now(),
        }
    }

    /// Looks at everything.
    fn look_at_all(&mut self, changes: &mut Changes) {
        self.next_rescan = Instant::now() + RESCAN_PERIOD;
        self.unreadable.clear();
        let mut listing = Listing::default();
        for root in self.roots.iter().filter(|root| *root != Path::new("-")) {
            self.watch.ensure(root);
            walk::walk(root, &mut listing);
        }
        let gone: Vec<PathBuf> = self
            .known
            .keys()
            .filter(|path| *path != Path::new("-") && !listing.files.contains_key(*path))
            .filter(|path| {
                !listing
                    .unreadable
                    .keys()
                    .any(|folder| path.starts_with(folder))
            })
            .cloned()
            .collect();
        for path in gone {
            self.forget(&path, changes);
        }
        for (path, stamp) in listing.files {
            let same = self
                .known
                .get(&path)
                .is_some_and(|known| known.stamp == stamp);
            if !same && !self.pending.contains_key(&path) {
                self.look_at(&path, changes);
            }
        }
        self.unreadable.extend(listing.unreadable);
    }

    /// Looks at one file that may have changed.
    fn look_at(&mut self, path: &Path, changes: &mut Changes) {
        self.unreadable.remove(path);
        let (stamp, content) = match walk::read(path) {
            Ok(read) => read,
            Err(walk::ReadError::Gone) if self.is_inside_a_root(path) => {
                return self.forget(path, changes);
            }
            Err(walk::ReadError::Gone) => return,
            Err(walk::ReadError::Unreadable(reason)) => {
                self.unreadable.insert(path.to_owned(), reason);
                return;
            }
        };
        let known = self.known.get(path);
        if known.is_some_and(|known| *known.content == *content) {
            return;
        }
        let was_full = known.is_some_and(|known| !known.content.is_empty());
        if content.is_empty() && was_full && self.emptied.insert(path.to_owned()) {
            // An editor between truncating and writing: look again before it counts.
            self.pending
                .insert(path.to_owned(), Instant::now() + SECOND_LOOK);
            return;
        }
        self.emptied.remove(path);
        let name = known.map_or_else(|| Arc::new(path.to_owned()), |known| Arc::clone(&known.name));
        let content: Arc<[u8]> = content.into();
        changes
            .written
            .push((Arc::clone(&name), Arc::clone(&content)));
        self.known
            .insert(path.to_owned(), Known { name, stamp, content });
    }

    /// A file is gone for certain only if the folder that held it can still be read.
    fn is_inside_a_root(&self, path: &Path) -> bool {
        path.parent()
            .is_some_and(|parent| std::fs::read_dir(parent).is_ok())
    }

    fn forget(&mut self, path: &Path, changes: &mut Changes) {
        self.pending.remove(path);
        self.emptied.remove(path);
        if let Some(known) = self.known.remove(path) {
            changes.removed.push(known.name);
        }
    }

    /// Sorts one event into what is dirty now and what waits for its close.
    fn take(&mut self, message: Message, dirty: &mut Dirty) {
        match message {
            Message::Done(path) if !self.is_manifest(&path) => dirty.all |= !is_ignored(&path),
            Message::Done(path) => {
                self.pending.remove(&path);
                dirty.paths.insert(path);
            }
            Message::Writing(path) => {
                if self.is_manifest(&path) {
                    self.pending
                        .entry(path)
                        .or_insert_with(|| Instant::now() + LONGEST_WRITE);
                }
            }
            Message::Everything | Message::Stop => dirty.all = true,
        }
    }

    /// Whether an event of this path is about one file of ours and nothing else.
    fn is_manifest(&self, path: &Path) -> bool {
        self.known.contains_key(path) || (walk::is_manifest_name(path) && !path.is_dir())
    }

    /// Moves what has waited long enough to what is dirty.
    fn take_due(&mut self, dirty: &mut Dirty) {
        let now = Instant::now();
        let due: Vec<_> = self
            .pending
            .iter()
            .filter(|(_, at)| **at <= now)
            .map(|(path, _)| path.clone())
            .collect();
        for path in due {
            self.pending.remove(&path);
            dirty.paths.insert(path);
        }
        if self.next_rescan <= now || self.watch.overflowed() {
            dirty.all = true;
        }
    }

    /// Until when nothing has to be done unless an event comes.
    fn patience(&self) -> Duration {
        let poll = self.watch.is_polling() || !self.unreadable.is_empty();
        let rescan = if poll {
            self.next_rescan.min(Instant::now() + POLL_PERIOD)
        } else {
            self.next_rescan
        };
        let next = self
            .pending
            .values()
            .copied()
            .min()
            .map_or(rescan, |at| at.min(rescan));
        next.saturating_duration_since(Instant::now())
    }

    /// Waits until something is dirty and its neighbours are quiet; `None` at the end.
    fn wait(&mut self) -> Option<Dirty> {
        let mut dirty = Dirty::default();
        loop {
            let before = self.patience();
            match self.messages.recv_timeout(before) {
                Ok(Message::Stop) | Err(mpsc::RecvTimeoutError::Disconnected) => return None,
                Ok(message) => self.take(message, &mut dirty),
                Err(mpsc::RecvTimeoutError::Timeout) if before <= POLL_PERIOD => {
                    dirty.all |= self.watch.is_polling() || !self.unreadable.is_empty();
                }
                Err(mpsc::RecvTimeoutError::Timeout) => {}
            }
            self.take_due(&mut dirty);
            if dirty.all || !dirty.paths.is_empty() {
                break;
            }
        }
        let end = Instant::now() + LONGEST_DEBOUNCE;
        while Instant::now() < end {
            match self.messages.recv_timeout(DEBOUNCE) {
                Ok(Message::Stop) => return None,
                Ok(message) => self.take(message, &mut dirty),
                Err(_) => break,
            }
        }
        Some(dirty)
    }

    fn report(&self, changes: &mut Changes) {
        let unreadable = self.unreadable.iter();
        changes.unreadable = unreadable
            .map(|(path, reason)| (Arc::new(path.clone()), reason.clone()))
            .collect();
    }
}

impl Source for FileSource {
    fn load(&mut self) -> Changes {
        let mut changes = Changes::default();
        if self.roots.iter().any(|root| root == Path::new("-")) {
            match walk::read_stdin() {
                Ok(content) => {
                    changes.written.push((Arc::new("-".into()), content.into()));
                }
                Err(error) => drop(self.unreadable.insert("-".into(), error.to_string())),
            }
        }
        self.look_at_all(&mut changes);
        self.report(&mut changes);
        changes
    }

    fn next(&mut self) -> Option<Changes> {
        loop {
            let was_unreadable = self.unreadable.clone();
            let dirty = self.wait()?;
            let mut changes = Changes::default();
            if dirty.all {
                self.look_at_all(&mut changes);
            }
            for path in dirty.paths {
                self.look_at(&path, &mut changes);
            }
            let told = self.unreadable != was_unreadable;
            if told || !changes.written.is_empty() || !changes.removed.is_empty() {
                self.report(&mut changes);
                return Some(changes);
            }
        }
    }

    fn control(&self) -> Control {
        self.control.clone()
    }
}

/// Whether an event of this path cannot concern any manifest: an editor's own files.
fn is_ignored(path: &Path) -> bool {
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy())
        .unwrap_or_default();
    let is_folder_link = name.starts_with("..");
    let hidden = name.starts_with('.') && !is_folder_link;
    hidden || name.ends_with('~') || name.ends_with(".swp") || name.ends_with(".tmp")
}

/// Events this close together belong together.
const DEBOUNCE: Duration = Duration::from_millis(10);
/// A stream of events is cut here.
const LONGEST_DEBOUNCE: Duration = Duration::from_millis(100);
/// A file that stays open is read after this all the same.
const LONGEST_WRITE: Duration = Duration::from_secs(1);
/// An emptied file is read again after this before it counts.
const SECOND_LOOK: Duration = Duration::from_millis(100);
/// Everything is compared at least this often.
const RESCAN_PERIOD: Duration = Duration::from_secs(30);
/// And this often where no events come, or something could not be read.
const POLL_PERIOD: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests;
