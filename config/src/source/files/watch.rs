//! Events of the file system, in the few words that the source needs.
//!
//! Each folder is watched by itself, and before it is listed: what happens in between is an event.
//! Hidden folders are not watched, so a repository's own traffic costs nothing. Where the system
//! gives no more watches the source looks again and again instead; said once, with the remedy.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};

use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind, RenameMode};
use notify::{Config, ErrorKind, Event, RecommendedWatcher, RecursiveMode, Watcher};
use tracing::{info, warn};

use super::survey::Survey;
use super::walk::Identity;
use crate::source::Command;

/// What happened.
#[derive(Debug)]
pub(super) enum Message {
    /// A file was closed after writing, or something appeared under this name.
    Done(PathBuf),
    /// What had this name was removed or has another one now.
    Gone(PathBuf),
    /// A file is being written.
    Writing(PathBuf),
    /// A file's owner, mode or times changed; it may still be open for writing.
    Touched(PathBuf),
    /// Events were lost: anything may have changed.
    Lost,
    /// Everything is to be compared by content.
    Rescan,
    /// Everything was listed.
    Surveyed(Survey),
    /// The source ends.
    Stop,
}

/// Where events go.
pub(super) type Handler = Box<dyn FnMut(notify::Result<Event>) + Send>;
/// Makes a watcher; a test makes one that refuses.
pub(super) type MakeWatcher = fn(Handler) -> notify::Result<Box<dyn Watcher + Send>>;

/// The system's own watcher.
pub(super) fn system(handler: Handler) -> notify::Result<Box<dyn Watcher + Send>> {
    let config = Config::default().with_follow_symlinks(false);
    Ok(Box::new(RecommendedWatcher::new(handler, config)?))
}

/// Where messages go.
pub(super) type Sender = mpsc::SyncSender<Message>;

/// The watcher and what it watches.
pub(super) struct Watch {
    watcher: Option<Box<dyn Watcher + Send>>,
    sender: Sender,
    lost: Arc<AtomicBool>,
    /// The folders that are watched, by what they were when the watch began.
    folders: BTreeMap<PathBuf, Identity>,
    refused: BTreeSet<PathBuf>,
    /// No more watches are to be had: not asked for again before the next look at everything.
    exhausted: bool,
    told: bool,
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch")
            .field("folders", &self.folders)
            .field("refused", &self.refused)
            .finish_non_exhaustive()
    }
}

impl Watch {
    /// A watch over nothing yet; `commands` arrive among its messages. Events of what does not lie
    /// at or below `roots` are passed over: the folder that holds a root may be a busy one.
    pub(super) fn new(
        make: MakeWatcher,
        roots: Vec<PathBuf>,
        commands: mpsc::Receiver<Command>,
    ) -> (Self, mpsc::Receiver<Message>) {
        let (sender, messages) = mpsc::sync_channel(MAX_QUEUE);
        let lost = Arc::new(AtomicBool::new(false));
        let full = Arc::clone(&lost);
        let events = sender.clone();
        let handler = move |event: notify::Result<Event>| {
            let ours = |path: &PathBuf| roots.iter().any(|root| path.starts_with(root));
            for message in read(event, &ours) {
                if events.try_send(message).is_err() {
                    full.store(true, Ordering::SeqCst);
                }
            }
        };
        let mut watch = Self {
            watcher: None,
            sender: sender.clone(),
            lost,
            folders: BTreeMap::new(),
            refused: BTreeSet::new(),
            exhausted: false,
            told: false,
        };
        match make(Box::new(handler)) {
            Ok(watcher) => watch.watcher = Some(watcher),
            Err(error) => watch.tell(&error),
        }
        std::thread::spawn(move || {
            for command in commands {
                let message = match command {
                    Command::Rescan => Message::Rescan,
                    Command::Stop => Message::Stop,
                };
                if sender.send(message).is_err() {
                    return;
                }
            }
        });
        (watch, messages)
    }

    /// For messages from another thread.
    pub(super) fn sender(&self) -> Sender {
        self.sender.clone()
    }

    /// A look at everything begins: what was refused may be granted now.
    pub(super) fn begin(&mut self) {
        self.exhausted = false;
    }

    /// A look at everything has ended.
    pub(super) fn end(&mut self) {
        let all_watched = self.watcher.is_some() && self.refused.is_empty();
        if all_watched && std::mem::take(&mut self.told) {
            info!("every folder is watched again");
        }
    }

    /// Watches a folder, anew if another has taken its name; says whether the watch began now.
    pub(super) fn ensure(&mut self, folder: &Path, identity: Identity) -> bool {
        if self.folders.get(folder) == Some(&identity) {
            return false;
        }
        let Some(watcher) = &mut self.watcher else { return false };
        if self.folders.remove(folder).is_some() {
            let _ = watcher.unwatch(folder);
        }
        if self.exhausted {
            self.refused.insert(folder.to_owned());
            return false;
        }
        match watcher.watch(folder, RecursiveMode::NonRecursive) {
            Ok(()) => {
                self.refused.remove(folder);
                self.folders.insert(folder.to_owned(), identity);
                true
            }
            // Gone again, or not ours to read: the listing says so.
            Err(error) if !is_refusal(&error) => false,
            Err(error) => {
                self.exhausted = true;
                self.refused.insert(folder.to_owned());
                self.tell(&error);
                false
            }
        }
    }

    /// Whether a folder of this name is known; the name alone is asked, not the disk.
    pub(super) fn knows(&self, folder: &Path) -> bool {
        self.folders.contains_key(folder) || self.refused.contains(folder)
    }

    /// Ends the watches of a tree of which only `kept` is still there.
    pub(super) fn retain(&mut self, top: &Path, kept: &BTreeSet<PathBuf>) {
        let below = |folders: &mut dyn Iterator<Item = &PathBuf>| -> Vec<PathBuf> {
            folders
                .take_while(|folder| folder.starts_with(top))
                .filter(|folder| !kept.contains(*folder))
                .cloned()
                .collect()
        };
        for folder in below(&mut self.folders.range(top.to_owned()..).map(|(path, _)| path)) {
            self.folders.remove(&folder);
            if let Some(watcher) = &mut self.watcher {
                let _ = watcher.unwatch(&folder);
            }
        }
        for folder in below(&mut self.refused.range(top.to_owned()..)) {
            self.refused.remove(&folder);
        }
    }

    /// Whether some folder has to be looked at again and again.
    pub(super) fn is_polling(&self) -> bool {
        self.watcher.is_none() || !self.refused.is_empty()
    }

    /// Whether events were lost since the last call.
    pub(super) fn has_lost_events(&self) -> bool {
        self.lost.swap(false, Ordering::SeqCst)
    }

    fn tell(&mut self, error: &notify::Error) {
        if !std::mem::replace(&mut self.told, true) {
            warn!("no file events for some folders, polling instead: {error}{}", remedy(error));
        }
    }
}

/// Whether the system has no watch to give, as opposed to a folder that cannot be watched now.
fn is_refusal(error: &notify::Error) -> bool {
    match &error.kind {
        ErrorKind::PathNotFound | ErrorKind::WatchNotFound => false,
        ErrorKind::Io(error) => {
            let kind = error.kind();
            !matches!(
                kind,
                io::ErrorKind::NotFound
                    | io::ErrorKind::NotADirectory
                    | io::ErrorKind::PermissionDenied
            )
        }
        _ => true,
    }
}

/// What makes room: `; raise it: sysctl fs.inotify.max_user_watches=524288`.
fn remedy(error: &notify::Error) -> &'static str {
    match &error.kind {
        ErrorKind::MaxFilesWatch => "; raise it: sysctl fs.inotify.max_user_watches=524288",
        ErrorKind::Io(error) if error.raw_os_error() == Some(EMFILE) => {
            "; raise it: sysctl fs.inotify.max_user_instances=1024"
        }
        _ => "",
    }
}

/// An event in our words.
fn read(event: notify::Result<Event>, ours: &impl Fn(&PathBuf) -> bool) -> Vec<Message> {
    let Ok(event) = event else { return vec![Message::Lost] };
    if event.need_rescan() {
        return vec![Message::Lost];
    }
    let wrap: fn(PathBuf) -> Message = match event.kind {
        EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(RenameMode::From)) => {
            Message::Gone
        }
        EventKind::Access(AccessKind::Close(AccessMode::Write))
        | EventKind::Modify(ModifyKind::Name(_)) => Message::Done,
        EventKind::Modify(ModifyKind::Metadata(_)) => Message::Touched,
        EventKind::Create(_) => |path| match is_still_to_be_written(&path) {
            true => Message::Writing(path),
            false => Message::Done(path),
        },
        EventKind::Modify(_) => Message::Writing,
        EventKind::Access(_) => return Vec::new(),
        EventKind::Any | EventKind::Other => return vec![Message::Lost],
    };
    event.paths.into_iter().filter(ours).map(wrap).collect()
}

/// A folder, a link or a hard link is whole when it appears; a file's close is still to come.
fn is_still_to_be_written(path: &Path) -> bool {
    let Ok(found) = std::fs::symlink_metadata(path) else { return false };
    #[cfg(unix)]
    if std::os::unix::fs::MetadataExt::nlink(&found) > 1 {
        return false;
    }
    found.is_file()
}

/// Events that may wait; beyond that everything is looked at.
const MAX_QUEUE: usize = 4096;
/// `EMFILE`: no inotify instance or no descriptor is left.
const EMFILE: i32 = 24;
