//! Events of the file system, in the few words that the source needs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};

use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind};
use notify::{Config, Event, RecommendedWatcher, RecursiveMode, Watcher};
use tracing::warn;

use crate::source::Command;

/// What happened.
#[derive(Debug)]
pub(super) enum Message {
    /// A file was closed after writing, renamed, made or removed.
    Done(PathBuf),
    /// A file is being written.
    Writing(PathBuf),
    /// Anything may have changed.
    Everything,
    /// The source ends.
    Stop,
}

/// The watcher and what it watches.
pub(super) struct Watch {
    watcher: Option<RecommendedWatcher>,
    overflow: Arc<AtomicBool>,
    /// The folders that are watched, by what they were when the watch began.
    watched: BTreeMap<PathBuf, Identity>,
    refused: BTreeSet<PathBuf>,
}

/// Tells a folder from another that took its name.
type Identity = Option<(u64, u64)>;

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch")
            .field("watched", &self.watched)
            .finish_non_exhaustive()
    }
}

impl Watch {
    /// A watch over nothing yet; `commands` arrive among its messages.
    pub(super) fn new(commands: mpsc::Receiver<Command>) -> (Self, mpsc::Receiver<Message>) {
        let (sender, messages) = mpsc::sync_channel(MAX_QUEUE);
        let overflow = Arc::new(AtomicBool::new(false));
        let full = Arc::clone(&overflow);
        let events = sender.clone();
        let handler = move |event: notify::Result<Event>| {
            for message in read(event) {
                if events.try_send(message).is_err() {
                    full.store(true, Ordering::SeqCst);
                }
            }
        };
        let config = Config::default().with_follow_symlinks(false);
        let watcher = RecommendedWatcher::new(handler, config)
            .inspect_err(|error| warn!(%error, "no file events: looking every 2 s instead"))
            .ok();
        std::thread::spawn(move || {
            for command in commands {
                let message = match command {
                    Command::Rescan => Message::Everything,
                    Command::Stop => Message::Stop,
                };
                if sender.send(message).is_err() {
                    return;
                }
            }
        });
        let watch = Self { watcher, overflow, watched: BTreeMap::new(), refused: BTreeSet::new() };
        (watch, messages)
    }

    /// Watches a root, anew if another folder has taken its name. A file is watched through the
    /// folder that holds it, since editors replace it.
    pub(super) fn ensure(&mut self, root: &Path) {
        let Some(watcher) = &mut self.watcher else { return };
        let (folder, mode) = if root.is_dir() {
            (root.to_owned(), RecursiveMode::Recursive)
        } else {
            let parent = root
                .parent()
                .filter(|parent| !parent.as_os_str().is_empty());
            (parent.unwrap_or_else(|| Path::new(".")).to_owned(), RecursiveMode::NonRecursive)
        };
        let identity = identity(&folder);
        if self.watched.get(&folder) == Some(&identity) {
            return;
        }
        if self.watched.remove(&folder).is_some() {
            let _ = watcher.unwatch(&folder);
        }
        match watcher.watch(&folder, mode) {
            Ok(()) => {
                self.refused.remove(&folder);
                self.watched.insert(folder, identity);
            }
            Err(error) => {
                if self.refused.insert(folder.clone()) && folder.exists() {
                    warn!(folder = %folder.display(), %error, "cannot be watched: looking every 2 s");
                }
            }
        }
    }

    /// Whether some folder has to be looked at again and again.
    pub(super) fn is_polling(&self) -> bool {
        self.watcher.is_none() || !self.refused.is_empty()
    }

    /// Whether events were lost since the last call.
    pub(super) fn overflowed(&self) -> bool {
        self.overflow.swap(false, Ordering::SeqCst)
    }
}

/// An event in our words.
fn read(event: notify::Result<Event>) -> Vec<Message> {
    let Ok(event) = event else { return vec![Message::Everything] };
    if event.need_rescan() {
        return vec![Message::Everything];
    }
    let wrap: fn(PathBuf) -> Message = match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write))
        | EventKind::Remove(_)
        | EventKind::Modify(ModifyKind::Name(_) | ModifyKind::Metadata(_)) => Message::Done,
        // A folder, a link or a hard link is whole when it appears; a file is still to be written.
        EventKind::Create(_) => |path| {
            let plain = std::fs::symlink_metadata(&path).is_ok_and(|found| found.is_file());
            if plain { Message::Writing(path) } else { Message::Done(path) }
        },
        EventKind::Modify(_) => Message::Writing,
        EventKind::Access(_) => return Vec::new(),
        EventKind::Any | EventKind::Other => return vec![Message::Everything],
    };
    event.paths.into_iter().map(wrap).collect()
}

#[cfg(unix)]
fn identity(folder: &Path) -> Identity {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(folder)
        .ok()
        .map(|found| (found.dev(), found.ino()))
}

#[cfg(not(unix))]
fn identity(folder: &Path) -> Identity {
    folder.exists().then_some((0, 0))
}

/// Events that may wait; beyond that everything is looked at.
const MAX_QUEUE: usize = 4096;
