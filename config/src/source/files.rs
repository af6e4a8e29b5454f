//! Files and folders, followed as they change.
//!
//! ```text
//! inotify ─▶ dirty paths ─quiet 10 ms, at most 100 ms─▶ look ─▶ Changes
//!            a file that is being written waits for its close
//!            what vanished is looked at twice; what seems half written too
//! time, lost events ─▶ survey: a thread lists all, and an edit does not wait for it
//! ```
//!
//! Invariants: only content that differs is delivered; what cannot be read is never a deletion;
//! an edit of one file costs the look at that file; everything is compared at least each
//! [`Reload::rescan`], so that a lost event costs time and nothing else. What files mean is left
//! to `decode`.

mod root;
mod wait;
mod look;
mod read;
mod survey;
mod watch;
mod known;
mod walk;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::RandomState;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use self::known::KnownFiles;
use self::root::Root;
use self::survey::Surveying;
use self::wait::Dirty;
use self::watch::{MakeWatcher, Message, Watch};
use super::{Changes, Control, Source};
use crate::model::{Limits, Reload};

/// Reads and watches paths; `-` is standard input, read once.
#[derive(Debug)]
pub struct FileSource {
    stdin: bool,
    roots: Vec<Root>,
    limits: Limits,
    reload: Reload,
    known: KnownFiles,
    /// The lengths of all known files together.
    bytes: u64,
    hashers: [RandomState; 2],
    unreadable: BTreeMap<PathBuf, String>,
    /// Files to look at later: they are being written, or were half written.
    pending: BTreeMap<PathBuf, Instant>,
    /// Files that seemed half written, and from when on they count.
    doubted: BTreeMap<PathBuf, Instant>,
    /// The doubtful files of the last batch, whose verdict is still to come.
    on_trial: BTreeSet<PathBuf>,
    absent: Option<Absent>,
    /// Files whose stamps say that nothing changed, and could not have shown it: to be read a few at
    /// a time.
    rechecks: VecDeque<PathBuf>,
    next_recheck: Instant,
    /// Whether everything is being listed now.
    surveying: Surveying,
    /// Where the last rescan ended to read files whose stamps say that nothing changed.
    spot: PathBuf,
    /// Known files that are reached by a link.
    links: BTreeSet<PathBuf>,
    /// Whether the first load is done: only then is there a version to keep.
    loaded: bool,
    /// Whether this batch has a file that was not known before.
    introduced: bool,
    watch: Watch,
    messages: mpsc::Receiver<Message>,
    control: Control,
    next_rescan: Instant,
    next_poll: Instant,
}

/// Files that were there and are not, waiting for their second look.
#[derive(Debug)]
struct Absent {
    paths: BTreeSet<PathBuf>,
    first: Instant,
    last: Instant,
}

impl FileSource {
    /// A source over files and folders (walked recursively for `.yaml`, `.yml`, `.json`).
    pub fn new(paths: Vec<PathBuf>, limits: &Limits, reload: &Reload) -> Self {
        Self::with_watcher(paths, limits, reload, watch::system)
    }

    fn with_watcher(
        paths: Vec<PathBuf>,
        limits: &Limits,
        reload: &Reload,
        make: MakeWatcher,
    ) -> Self {
        let (control, commands) = Control::new();
        let is_stdin = |path: &PathBuf| path == Path::new("-");
        let stdin = paths.iter().any(is_stdin);
        let roots: Vec<Root> = paths
            .into_iter()
            .filter(|path| !is_stdin(path))
            .map(Root::new)
            .collect();
        let absolute = roots.iter().map(|root| root.absolute.clone()).collect();
        let (watch, messages) = Watch::new(make, absolute, commands);
        Self {
            stdin,
            roots,
            limits: limits.clone(),
            reload: reload.clone(),
            known: KnownFiles::default(),
            bytes: 0,
            hashers: [RandomState::new(), RandomState::new()],
            unreadable: BTreeMap::new(),
            pending: BTreeMap::new(),
            doubted: BTreeMap::new(),
            on_trial: BTreeSet::new(),
            absent: None,
            rechecks: VecDeque::new(),
            next_recheck: Instant::now(),
            surveying: Surveying::No,
            spot: PathBuf::new(),
            loaded: false,
            links: BTreeSet::new(),
            introduced: false,
            watch,
            messages,
            control,
            next_rescan: Instant::now(),
            next_poll: Instant::now(),
        }
    }

    /// The root that a path belongs to.
    fn root_of(&self, path: &Path) -> Option<&Root> {
        root::of(&self.roots, path)
    }

    /// A path as its user would type it.
    fn name_of(&self, path: &Path) -> PathBuf {
        let typed = self.roots.iter().find_map(|root| root.name_of(path));
        typed.unwrap_or_else(|| path.to_owned())
    }

    fn read_stdin(&mut self, changes: &mut Changes) {
        match walk::read_stdin(self.limits.max_file_bytes) {
            Ok(content) => {
                self.bytes += u64::try_from(content.len()).unwrap_or(u64::MAX);
                changes
                    .written
                    .push((Arc::new("-".into()), walk::shared(content)));
            }
            Err(reason) => drop(self.unreadable.insert("-".into(), reason)),
        }
    }

    /// Looks at what is dirty.
    fn look(&mut self, dirty: Dirty, changes: &mut Changes) {
        self.introduced = false;
        if dirty.all {
            self.look_at_all(dirty.thorough, changes);
        }
        if let Some(survey) = dirty.survey {
            self.take_survey(survey, changes);
        }
        for top in &dirty.trees {
            self.look_at_tree(top, changes);
        }
        let paths: Vec<&PathBuf> = dirty.paths.iter().collect();
        self.look_at_many(&paths, changes);
        self.settle_absent(changes);
        changes.unreadable = self
            .unreadable
            .iter()
            .map(|(path, reason)| (Arc::new(self.name_of(path)), reason.clone()))
            .collect();
    }
}

impl Source for FileSource {
    fn load(&mut self) -> Changes {
        let mut changes = Changes::default();
        if self.stdin {
            self.read_stdin(&mut changes);
        }
        self.look(Dirty { all: true, ..Dirty::default() }, &mut changes);
        self.loaded = true;
        changes
    }

    fn next(&mut self) -> Option<Changes> {
        loop {
            let was_unreadable = self.unreadable.clone();
            let dirty = self.wait()?;
            let mut changes = Changes::default();
            if dirty.all || dirty.survey.is_some() {
                self.spot_check(dirty.thorough, &mut changes);
            }
            self.look(dirty, &mut changes);
            let told = self.unreadable != was_unreadable;
            if told || !changes.written.is_empty() || !changes.removed.is_empty() {
                return Some(changes);
            }
        }
    }

    fn look_again(&mut self, files: &[Arc<PathBuf>]) {
        let due = Instant::now() + SECOND_LOOK;
        let files: BTreeSet<&PathBuf> = files.iter().map(|file| &**file).collect();
        for path in std::mem::take(&mut self.on_trial) {
            let Some(known) = self.known.get_mut(&path) else { continue };
            if files.contains(&*known.name) {
                known.hash = None;
                let due = *self.doubted.entry(path.clone()).or_insert(due);
                self.pending.insert(path, due);
            } else {
                self.doubted.remove(&path);
            }
        }
    }

    fn control(&self) -> Control {
        self.control.clone()
    }
}

/// Everything that files and folders hold now, without watching them.
pub fn read_once(paths: Vec<PathBuf>, limits: &Limits) -> Changes {
    let nobody: MakeWatcher = |_| Ok(Box::new(notify::NullWatcher));
    FileSource::with_watcher(paths, limits, &Reload::default(), nobody).load()
}

/// A file that stays open is read after this all the same.
const LONGEST_WRITE: Duration = Duration::from_secs(1);
/// What vanished or seems half written is looked at again after this before it counts
/// (`reliability 2.10.5`).
const SECOND_LOOK: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests;
