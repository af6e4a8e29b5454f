//! What is on disk: which files are manifests, and what they hold.
//!
//! Invariants: only regular files are read, a FIFO or a device never holds anything up; links are
//! followed to files inside the root alone, never to folders; names that begin with `.` are passed
//! over. Nothing here remembers anything.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use zeroize::Zeroize as _;

/// What tells two states of a file apart without reading it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Stamp {
    bytes: u64,
    modified: Option<SystemTime>,
    /// The inode's own time, which no program can set back; where there is none, `modified`.
    changed: Option<SystemTime>,
    identity: Identity,
}

/// Tells a file or folder from another that took its name: device, inode and, since inodes are used
/// again, when it was made, where the file system knows.
pub(super) type Identity = (u64, u64, Option<SystemTime>);

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            bytes: metadata.len(),
            modified: metadata.modified().ok(),
            changed: changed(metadata),
            identity: identity(metadata),
        }
    }

    /// Whether a change after `now` must show in the stamp: a file that changed a moment ago may
    /// change again within one tick of its file system's clock.
    pub(super) fn is_settled(&self, now: SystemTime) -> bool {
        let age = self
            .changed
            .and_then(|changed| now.duration_since(changed).ok());
        age.is_some_and(|age| age > COARSEST_CLOCK)
    }
}

/// Every manifest of a tree, and what could not be looked into.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// In the order of folders, each once.
    pub(super) files: Vec<(PathBuf, Found)>,
    pub(super) unreadable: BTreeMap<PathBuf, String>,
}

/// A manifest on disk.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    pub(super) stamp: Stamp,
    /// Whether its name is a link: events of what it leads to have another name.
    pub(super) linked: bool,
}

/// A file as it was read.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) stamp: Stamp,
    pub(super) bytes: Vec<u8>,
}

/// Why a file was not read.
#[derive(Debug)]
pub(super) enum ReadError {
    /// There is no file of this name.
    Gone,
    /// It cannot or must not be read, in words.
    Unreadable(String),
}

/// What is to be listed: a folder of a root.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tree<'a> {
    /// Where to begin.
    pub(super) top: &'a Path,
    /// The root without links: no link may lead out of it.
    pub(super) canonical_root: &'a Path,
    /// How many folders `top` lies below the root.
    pub(super) depth: usize,
}

/// Lists a tree; `enter` is called for each folder before it is listed.
pub(super) fn walk(
    tree: Tree<'_>,
    enter: &mut dyn FnMut(&Path, Identity),
    listing: &mut Listing,
) -> io::Result<()> {
    enter(tree.top, identity(&fs::metadata(tree.top)?));
    let entries = fs::read_dir(tree.top)?;
    if tree.depth >= MAX_DEPTH {
        let text = format!("is deeper than {MAX_DEPTH} folders");
        listing.unreadable.insert(tree.top.to_owned(), text);
        return Ok(());
    }
    for entry in entries {
        let Ok(entry) = entry else {
            let text = "could not be listed whole".to_owned();
            listing.unreadable.insert(tree.top.to_owned(), text);
            return Ok(());
        };
        if is_hidden(&entry.file_name()) {
            continue;
        }
        let path = entry.path();
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() {
            let below = Tree { top: &path, depth: tree.depth + 1, ..tree };
            match walk(below, enter, listing) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    listing.unreadable.insert(path, error.to_string());
                }
                _ => {}
            }
        } else if is_manifest_name(&path) {
            // Relative to the folder: nobody has to find the way down again.
            let own = if kind.is_symlink() { fs::metadata(&path) } else { entry.metadata() };
            file(path, own, kind.is_symlink(), tree.canonical_root, listing);
        }
    }
    Ok(())
}

fn file(
    path: PathBuf,
    metadata: io::Result<Metadata>,
    linked: bool,
    canonical_root: &Path,
    listing: &mut Listing,
) {
    match metadata {
        Ok(metadata) if metadata.is_dir() => {}
        Ok(_) if linked && !leads_inside(&path, canonical_root) => {
            let text = "is a link out of its folder".to_owned();
            listing.unreadable.insert(path, text);
        }
        Ok(metadata) => {
            let stamp = Stamp::of(&metadata);
            listing.files.push((path, Found { stamp, linked }));
        }
        Err(_) if linked => {
            let text = "is a link that leads nowhere".to_owned();
            listing.unreadable.insert(path, text);
        }
        // Removed since the folder was listed.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => drop(listing.unreadable.insert(path, error.to_string())),
    }
}

/// Whether a link ends inside the root.
pub(super) fn leads_inside(path: &Path, canonical_root: &Path) -> bool {
    path.canonicalize()
        .is_ok_and(|to| to.starts_with(canonical_root))
}

/// Whether a folder's file of this name is a manifest.
pub(super) fn is_manifest_name(path: &Path) -> bool {
    let hidden = path.file_name().is_none_or(is_hidden);
    let extension = path.extension().and_then(|extension| extension.to_str());
    !hidden && matches!(extension, Some("yaml" | "yml" | "json"))
}

/// Whether a name begins with a dot.
pub(super) fn is_hidden(name: &std::ffi::OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".")
}

/// The stamp of a file as it is now, links followed.
pub(super) fn stamp(path: &Path) -> Option<Stamp> {
    fs::metadata(path).ok().map(|metadata| Stamp::of(&metadata))
}

/// Reads a regular file of at most `max_bytes`; never waits for a FIFO or a device.
pub(super) fn read(path: &Path, max_bytes: u64) -> Result<Content, ReadError> {
    let unreadable = |error: io::Error| match error.kind() {
        // A link that leads nowhere at this moment: no deletion, no content.
        io::ErrorKind::NotFound if fs::symlink_metadata(path).is_ok() => {
            ReadError::Unreadable("is a link that leads nowhere".to_owned())
        }
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => ReadError::Gone,
        _ => ReadError::Unreadable(error.to_string()),
    };
    let file = open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if metadata.is_dir() {
        return Err(ReadError::Gone);
    }
    if !metadata.is_file() {
        return Err(ReadError::Unreadable("is no regular file".to_owned()));
    }
    let bytes = read_at_most(file, metadata.len(), max_bytes)
        .map_err(unreadable)?
        .map_err(ReadError::Unreadable)?;
    Ok(Content { stamp: Stamp::of(&metadata), bytes })
}

/// Reads standard input to its end.
pub(super) fn read_stdin(max_bytes: u64) -> Result<Vec<u8>, String> {
    read_at_most(io::stdin().lock(), 0, max_bytes).map_err(|error| error.to_string())?
}

fn read_at_most(
    reader: impl Read,
    expected_bytes: u64,
    max_bytes: u64,
) -> io::Result<Result<Vec<u8>, String>> {
    let too_long = || {
        Err(match max_bytes >> 20 {
            0 => format!("is longer than the {max_bytes} bytes of limits.maxFileBytes"),
            mebibytes => format!("is longer than the {mebibytes} MiB of limits.maxFileBytes"),
        })
    };
    if expected_bytes > max_bytes {
        return Ok(too_long());
    }
    // One byte more than there should be: the end shows without another allocation.
    let expected = usize::try_from(expected_bytes).unwrap_or(0);
    let mut content = Vec::with_capacity(expected + 1);
    reader
        .take(max_bytes.saturating_add(1))
        .read_to_end(&mut content)?;
    let is_longer = u64::try_from(content.len()).unwrap_or(u64::MAX) > max_bytes;
    Ok(if is_longer { too_long() } else { Ok(content) })
}

/// What was read, as it is handed on; where it may hold a Secret, the copy that was read is written over.
pub(super) fn shared(mut bytes: Vec<u8>) -> Arc<[u8]> {
    let shared = Arc::from(&*bytes);
    if memchr::memmem::find(&bytes, b"ecret").is_some() {
        bytes.zeroize();
    }
    shared
}

#[cfg(unix)]
fn open(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    OpenOptions::new()
        .read(true)
        .custom_flags(O_NONBLOCK)
        .open(path)
}

#[cfg(not(unix))]
fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).open(path)
}

#[cfg(unix)]
pub(super) fn identity(metadata: &Metadata) -> Identity {
    use std::os::unix::fs::MetadataExt;
    (metadata.dev(), metadata.ino(), metadata.created().ok())
}

#[cfg(not(unix))]
pub(super) fn identity(metadata: &Metadata) -> Identity {
    (0, 0, metadata.created().ok())
}

#[cfg(unix)]
fn changed(metadata: &Metadata) -> Option<SystemTime> {
    use std::os::unix::fs::MetadataExt;
    let seconds = Duration::from_secs(u64::try_from(metadata.ctime()).ok()?);
    let nanoseconds = Duration::from_nanos(u64::try_from(metadata.ctime_nsec()).ok()?);
    SystemTime::UNIX_EPOCH.checked_add(seconds + nanoseconds)
}

#[cfg(not(unix))]
fn changed(metadata: &Metadata) -> Option<SystemTime> {
    metadata.modified().ok()
}

/// `O_NONBLOCK`: opening a FIFO without a writer returns at once.
#[cfg(target_os = "linux")]
const O_NONBLOCK: i32 = 0o4000;
#[cfg(all(unix, not(target_os = "linux")))]
const O_NONBLOCK: i32 = 0x4;

/// No file system in use counts time in longer steps than FAT's 2 s.
const COARSEST_CLOCK: Duration = Duration::from_secs(2);
/// Folders below a root (`reliability 4`): a bind mount may lead round in a circle.
const MAX_DEPTH: usize = 64;
