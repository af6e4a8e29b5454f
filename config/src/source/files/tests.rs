//! The source over a real folder and real events; every wait is for an event, with a limit.
//!
//! Polling and rescans are an hour away unless a test says otherwise: what arrives, events brought.

use std::fs;
use std::path::Path;

use notify::{ErrorKind, RecursiveMode, Watcher, WatcherKind};

use super::*;

mod edits;
mod scale;
mod trouble;

fn source(paths: &[&Path]) -> FileSource {
    source_with(paths, &patient(), watch::system)
}

fn source_with(paths: &[&Path], reload: &Reload, make: MakeWatcher) -> FileSource {
    let paths = paths.iter().map(|path| path.to_path_buf()).collect();
    FileSource::with_watcher(paths, &Limits::default(), reload, make)
}

fn patient() -> Reload {
    let hour = Duration::from_secs(3_600);
    Reload { poll: hour, rescan: hour, ..Reload::default() }
}

/// Looks every few milliseconds.
fn polling() -> Reload {
    Reload { poll: Duration::from_millis(20), ..patient() }
}

/// A source, and what it has delivered so far, by file name.
struct Followed {
    source: FileSource,
    state: BTreeMap<String, String>,
    /// Files and folders that could not be read after the last batch, with the reasons.
    unreadable: Vec<String>,
}

impl Followed {
    fn new(root: &Path) -> Self {
        Self::of(source(&[root]))
    }

    fn of(source: FileSource) -> Self {
        let mut followed = Self { source, state: BTreeMap::new(), unreadable: Vec::new() };
        let control = followed.source.control();
        std::thread::spawn(move || {
            std::thread::park_timeout(PATIENCE);
            control.stop();
        });
        let changes = followed.source.load();
        followed.take(&changes);
        followed
    }

    fn take(&mut self, changes: &Changes) {
        for path in &changes.removed {
            self.state.remove(&name(path));
        }
        for (path, content) in &changes.written {
            self.state
                .insert(name(path), String::from_utf8_lossy(content).into_owned());
        }
        self.unreadable = changes
            .unreadable
            .iter()
            .map(|(path, reason)| format!("{} {reason}", name(path)))
            .collect();
    }

    /// The next batch, all of which is whole.
    #[track_caller]
    fn next(&mut self) -> Changes {
        let changes = self.source.next();
        let changes = changes.unwrap_or_else(|| panic!("nothing more came: {:?}", self.state));
        self.source.look_again(&[]);
        self.take(&changes);
        changes
    }

    /// Waits until the delivered state is this one.
    #[track_caller]
    fn until(&mut self, want: &[(&str, &str)]) {
        let want: BTreeMap<_, _> = want
            .iter()
            .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
            .collect();
        while self.state != want {
            self.next();
        }
    }

    /// Waits until one finding holds these words, or until there is none.
    #[track_caller]
    fn until_unreadable(&mut self, want: Option<&str>) {
        let fits = |found: &[String]| match want {
            Some(want) => found.iter().any(|found| found.contains(want)),
            None => found.is_empty(),
        };
        while !fits(&self.unreadable) {
            self.next();
        }
    }
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

fn names(changes: &Changes) -> Vec<String> {
    let mut names: Vec<_> = changes.written.iter().map(|(path, _)| name(path)).collect();
    names.sort();
    names
}

/// A source that is asked for more ends after this, and its test fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// A watcher that sees nothing, or has no place for another folder.
struct Deaf {
    full: bool,
}

impl Watcher for Deaf {
    fn new<F: notify::EventHandler>(_: F, _: notify::Config) -> notify::Result<Self> {
        Ok(Self { full: false })
    }

    fn watch(&mut self, _: &Path, _: RecursiveMode) -> notify::Result<()> {
        if self.full { Err(notify::Error::new(ErrorKind::MaxFilesWatch)) } else { Ok(()) }
    }

    fn unwatch(&mut self, _: &Path) -> notify::Result<()> {
        Ok(())
    }

    fn kind() -> WatcherKind {
        WatcherKind::NullWatcher
    }
}
