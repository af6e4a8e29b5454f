//! What is on disk: which files are manifests, and what they hold.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// What tells two states of a file apart without reading it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Stamp {
    bytes: u64,
    modified: Option<SystemTime>,
    node: (u64, u64, i64),
}

/// Every manifest below some roots, and what could not be looked into.
#[derive(Debug, Default)]
pub(super) struct Listing {
    pub(super) files: BTreeMap<PathBuf, Stamp>,
    pub(super) unreadable: BTreeMap<PathBuf, String>,
    bytes: u64,
}

/// Why a file was not read.
#[derive(Debug)]
pub(super) enum ReadError {
    /// It does not exist.
    Gone,
    /// It cannot or must not be read, in words.
    Unreadable(String),
}

/// Lists a root: a file whatever its name, or a folder with everything below it.
pub(super) fn walk(root: &Path, listing: &mut Listing) {
    match fs::metadata(root) {
        Ok(metadata) if metadata.is_dir() => {
            let canonical = root.canonicalize().unwrap_or_else(|_| root.to_owned());
            folder(root, &canonical, 0, listing);
        }
        Ok(metadata) => add(root, &metadata, listing),
        Err(error) => drop(
            listing
                .unreadable
                .insert(root.to_owned(), error.to_string()),
        ),
    }
}

fn folder(path: &Path, root: &Path, depth: usize, listing: &mut Listing) {
    let entries = match fs::read_dir(path) {
        Ok(entries) if depth < MAX_DEPTH => entries,
        Ok(_) => {
            let text = format!("is deeper than {MAX_DEPTH} folders");
            return drop(listing.unreadable.insert(path.to_owned(), text));
        }
        Err(error) => {
            return drop(
                listing
                    .unreadable
                    .insert(path.to_owned(), error.to_string()),
            );
        }
    };
    for entry in entries {
        let Ok(entry) = entry else {
            let text = "could not be listed whole".to_owned();
            return drop(listing.unreadable.insert(path.to_owned(), text));
        };
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        let path = entry.path();
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() {
            folder(&path, root, depth + 1, listing);
        } else if is_manifest_name(&path) {
            // A ConfigMap volume's files are links inside the volume; links out of it are not
            // followed, nor are links to folders, which could go round.
            let inside = |path: &Path| path.canonicalize().is_ok_and(|to| to.starts_with(root));
            match fs::metadata(&path) {
                Ok(metadata) if metadata.is_dir() => {}
                Ok(metadata) if !kind.is_symlink() || inside(&path) => {
                    add(&path, &metadata, listing)
                }
                Ok(_) => {
                    let text = "is a link out of its folder".to_owned();
                    listing.unreadable.insert(path, text);
                }
                // A link that leads nowhere at this moment: no deletion, no content.
                Err(error) => drop(listing.unreadable.insert(path, error.to_string())),
            }
        }
    }
}

fn add(path: &Path, metadata: &Metadata, listing: &mut Listing) {
    listing.bytes = listing.bytes.saturating_add(metadata.len());
    let full = listing.files.len() >= MAX_FILES || listing.bytes > MAX_ALL_BYTES;
    if full {
        let text = format!("is beyond {MAX_FILES} files or {} MiB", MAX_ALL_BYTES >> 20);
        listing.unreadable.insert(path.to_owned(), text);
    } else {
        listing.files.insert(path.to_owned(), stamp(metadata));
    }
}

/// Whether a folder's file of this name is a manifest.
pub(super) fn is_manifest_name(path: &Path) -> bool {
    let hidden = path
        .file_name()
        .is_none_or(|name| name.to_string_lossy().starts_with('.'));
    let extension = path.extension().and_then(|extension| extension.to_str());
    !hidden && matches!(extension, Some("yaml" | "yml" | "json"))
}

/// Reads a regular file; never waits for a FIFO or a device.
pub(super) fn read(path: &Path) -> Result<(Stamp, Vec<u8>), ReadError> {
    let unreadable = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => ReadError::Gone,
        _ => ReadError::Unreadable(error.to_string()),
    };
    let file = open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(ReadError::Unreadable("is no regular file".to_owned()));
    }
    if metadata.len() > MAX_FILE_BYTES {
        let text = format!("is longer than {} MiB", MAX_FILE_BYTES >> 20);
        return Err(ReadError::Unreadable(text));
    }
    let mut content = Vec::new();
    file.take(MAX_FILE_BYTES)
        .read_to_end(&mut content)
        .map_err(unreadable)?;
    Ok((stamp(&metadata), content))
}

/// Reads standard input to its end.
pub(super) fn read_stdin() -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    io::stdin()
        .lock()
        .take(MAX_FILE_BYTES)
        .read_to_end(&mut content)?;
    Ok(content)
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
fn stamp(metadata: &Metadata) -> Stamp {
    use std::os::unix::fs::MetadataExt;
    let node = (metadata.dev(), metadata.ino(), metadata.ctime_nsec());
    Stamp { bytes: metadata.len(), modified: metadata.modified().ok(), node }
}

#[cfg(not(unix))]
fn stamp(metadata: &Metadata) -> Stamp {
    Stamp { bytes: metadata.len(), modified: metadata.modified().ok(), node: (0, 0, 0) }
}

/// `O_NONBLOCK`: opening a FIFO without a writer returns at once.
#[cfg(target_os = "linux")]
const O_NONBLOCK: i32 = 0o4000;
#[cfg(all(unix, not(target_os = "linux")))]
const O_NONBLOCK: i32 = 0x4;

/// `reliability 4`.
const MAX_FILE_BYTES: u64 = 64 << 20;
const MAX_ALL_BYTES: u64 = 512 << 20;
const MAX_FILES: usize = 100_000;
const MAX_DEPTH: usize = 64;
