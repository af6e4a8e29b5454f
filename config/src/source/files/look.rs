//! Comparing what is on disk with what was delivered.
//!
//! ```text
//! tree ─▶ listing ─▶ stamps that differ ─▶ look at the file ─▶ hash that differs ─▶ Changes
//!                └─▶ missing ─▶ absent ─second look─▶ removed
//! ```
//!
//! Invariants: a file is removed only where its root still stands and can be read; a touched file
//! with the same content is no change; a listing is a hint, the file itself decides.

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use super::known::Known;
use super::read::{Found, Reader};
use super::root::Standing;
use super::walk::{Identity, Listing, ReadError, Tree};
use super::{Absent, FileSource, walk};
use crate::parallel;
use crate::source::Changes;

/// A tree as it was found.
#[derive(Debug)]
pub(super) struct Listed {
    pub(super) listing: Listing,
    /// Its folders, each behind the one that holds it.
    pub(super) folders: Vec<(PathBuf, Identity)>,
}

impl Listed {
    /// Lists a tree; `enter` is called for each folder before it is listed.
    pub(super) fn new(tree: Tree<'_>, mut enter: impl FnMut(&Path, Identity)) -> Self {
        let mut listing = Listing::default();
        let mut folders = Vec::new();
        let mut note = |folder: &Path, identity| {
            enter(folder, identity);
            folders.push((folder.to_owned(), identity));
        };
        match walk::walk(tree, &mut note, &mut listing) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                listing
                    .unreadable
                    .insert(tree.top.to_owned(), error.to_string());
            }
            _ => {}
        }
        Self { listing, folders }
    }
}

impl FileSource {
    /// Looks at everything; `thorough`: at content, whatever the stamps say.
    pub(super) fn look_at_all(&mut self, thorough: bool, changes: &mut Changes) {
        self.next_rescan = Instant::now() + self.reload.rescan;
        self.watch.begin();
        for index in 0..self.roots.len() {
            self.look_at_root(index, thorough, None, changes);
        }
        self.watch.end();
    }

    /// Reads some files although their stamps say that nothing changed, others each time; all of
    /// them where it must be thorough.
    pub(super) fn spot_check(&mut self, thorough: bool, changes: &mut Changes) {
        let after = if thorough { PathBuf::new() } else { std::mem::take(&mut self.spot) };
        let limit = if thorough { usize::MAX } else { SPOT_CHECKS };
        let behind = self.known.after(&after);
        let spots: Vec<PathBuf> = behind.take(limit).map(Path::to_owned).collect();
        if spots.len() == limit {
            self.spot = spots.last().cloned().unwrap_or_default();
        }
        for path in spots {
            if !self.pending.contains_key(&path) && !self.unreadable.contains_key(&path) {
                self.look_at(&path, changes);
            }
        }
    }

    /// Looks at a folder of a root with all below it, or at a root.
    pub(super) fn look_at_tree(&mut self, top: &Path, changes: &mut Changes) {
        let is_top = |root: &super::Root| root.absolute == top;
        if let Some(index) = self.roots.iter().position(is_top) {
            return self.look_at_root(index, false, None, changes);
        }
        let place = self
            .roots
            .iter()
            .find_map(|root| Some((root.absolute.clone(), root.depth_of(top)?)));
        let Some((root, depth)) = place else { return };
        let listing = self.list(top, &root, depth);
        self.compare(top, listing, changes);
    }

    /// Looks at one root; `listed`: as it was found a moment ago, and which folder that was.
    pub(super) fn look_at_root(
        &mut self,
        index: usize,
        thorough: bool,
        listed: Option<(Identity, Listed)>,
        changes: &mut Changes,
    ) {
        let Some(root) = self.roots.get_mut(index) else { return };
        let top = root.absolute.clone();
        let standing = root.look();
        root.note(standing.as_ref().ok().copied());
        if let Some((parent, identity)) = parent_of(&top) {
            // An editor replaces a file, a deployment a link or a folder: the parent sees it.
            self.watch.ensure(&parent, identity);
        }
        match standing {
            Ok(Standing::File(_)) => {
                self.unreadable.retain(|path, _| !path.starts_with(&top));
                if !self.pending.contains_key(&top) {
                    self.look_at(&top, changes);
                }
            }
            Ok(Standing::Folder(identity)) => {
                let listed = listed.filter(|(found, _)| *found == identity);
                let mut fresh = Vec::new();
                let listing = match listed {
                    Some((_, listed)) => {
                        fresh = self.watch_listed(&listed);
                        self.keep_watches(&top, listed)
                    }
                    None => self.list(&top, &top, 0),
                };
                let holds = self.known.below(&top).next().is_some();
                let Some(root) = self.roots.get_mut(index) else { return };
                let is_other = root.held.is_some_and(|held| held != identity);
                if is_other && holds && listing.files.is_empty() && !thorough {
                    let text = "is another folder than before and has no manifests; SIGHUP takes \
                                it so";
                    self.unreadable.insert(top, text.to_owned());
                } else {
                    root.held = Some(identity);
                    self.compare(&top, listing, changes);
                    for folder in fresh.into_iter().filter(|folder| *folder != top) {
                        self.look_at_tree(&folder, changes);
                    }
                }
            }
            Err(reason) => {
                self.watch.retain(&top, &BTreeSet::new());
                self.unreadable.retain(|path, _| !path.starts_with(&top));
                self.unreadable.insert(top, reason);
            }
        }
    }

    /// Lists a tree and watches its folders.
    fn list(&mut self, top: &Path, root: &Path, depth: usize) -> Listing {
        let canonical_root = root.canonicalize().unwrap_or_else(|_| root.to_owned());
        let tree = Tree { top, canonical_root: &canonical_root, depth };
        let listed = Listed::new(tree, |folder, identity| {
            self.watch.ensure(folder, identity);
        });
        self.keep_watches(top, listed)
    }

    /// Ends the watches of folders that a listing does not name any more.
    fn keep_watches(&mut self, top: &Path, listed: Listed) -> Listing {
        let Listed { listing, folders } = listed;
        // What cannot be listed now may hold folders that are still watched.
        if listing
            .unreadable
            .keys()
            .all(|path| walk::is_manifest_name(path))
        {
            let folders = folders.into_iter().map(|(folder, _)| folder).collect();
            self.watch.retain(top, &folders);
        }
        listing
    }

    /// Compares a tree as it was listed with what is known of it.
    fn compare(&mut self, top: &Path, listing: Listing, changes: &mut Changes) {
        let mut same = 0;
        let mut differs = Vec::new();
        for (path, found) in &listing.files {
            let known = self.known.get(path);
            same += usize::from(known.is_some());
            let as_known = known.filter(|known| {
                known.stamp == found.stamp
                    && known.linked == found.linked
                    && !self.unreadable.contains_key(path)
            });
            match as_known {
                Some(known) if known.settled => {}
                // The stamp says nothing yet, and most likely nothing happened.
                Some(_) if self.rechecks.len() < self.known.len() => {
                    self.rechecks.push_back(path.clone());
                }
                Some(_) => {}
                None => differs.push(path),
            }
        }
        // A look at a large tree in which nothing is missing ends here.
        if same < self.known.below(top).count() {
            self.miss_others(top, &listing);
        }
        if !self.unreadable.is_empty() {
            let listed: HashSet<&PathBuf> = listing.files.iter().map(|(path, _)| path).collect();
            self.unreadable
                .retain(|path, _| !path.starts_with(top) || listed.contains(path));
        }
        // Which files lie beyond a limit shall not hang on the order of a folder's entries.
        differs.sort_unstable_by_key(|path| path.as_os_str());
        differs.retain(|path| !self.pending.contains_key(*path));
        self.look_at_many(&differs, changes);
        self.unreadable.extend(listing.unreadable);
    }

    /// Misses what is known of a tree and not in its listing.
    fn miss_others(&mut self, top: &Path, listing: &Listing) {
        let listed: HashSet<&Path> = listing.files.iter().map(|(path, _)| &**path).collect();
        let blind = |path: &Path| {
            path.ancestors()
                .take_while(|part| part.starts_with(top))
                .any(|part| listing.unreadable.contains_key(part))
        };
        let missing: Vec<PathBuf> = self
            .known
            .below(top)
            .filter(|path| !listed.contains(path) && !blind(path))
            .map(Path::to_owned)
            .collect();
        for path in missing {
            self.miss(path);
        }
    }

    /// Looks at files that may have changed, some ahead of what is made of them.
    pub(super) fn look_at_many<P: AsRef<Path> + Sync>(
        &mut self,
        paths: &[P],
        changes: &mut Changes,
    ) {
        for ahead in paths.chunks(READ_AHEAD) {
            let reader = self.reader();
            let found = parallel::map(ahead, |path| reader.read(path.as_ref()));
            for (path, found) in ahead.iter().zip(found) {
                self.take_found(path.as_ref(), found, changes);
            }
        }
    }

    /// Looks at one file that may have changed.
    pub(super) fn look_at(&mut self, path: &Path, changes: &mut Changes) {
        let found = self.reader().read(path);
        self.take_found(path, found, changes);
    }

    fn reader(&self) -> Reader<'_> {
        Reader { roots: &self.roots, max_bytes: self.limits.max_file_bytes, hashers: &self.hashers }
    }

    /// Compares a file as it was read with what is known of it.
    fn take_found(&mut self, path: &Path, found: Found, changes: &mut Changes) {
        self.unreadable.remove(path);
        let Found { at, linked, content } = found;
        let (content, hash) = match content {
            Ok((content, hash)) => (content, Some(hash)),
            Err(ReadError::Gone) => return self.miss(path.to_owned()),
            Err(ReadError::Unreadable(reason)) => {
                self.unreadable.insert(path.to_owned(), reason);
                return;
            }
        };
        let bytes = u64::try_from(content.bytes.len()).unwrap_or(u64::MAX);
        let before = self.known.get(path);
        let is_new = before.is_none();
        let total = self.bytes - before.map_or(0, |known| known.bytes) + bytes;
        if total > self.limits.max_total_bytes
            || (is_new && self.known.len() >= self.limits.max_files)
        {
            let text = format!(
                "is beyond {} files or {} MiB in all",
                self.limits.max_files,
                self.limits.max_total_bytes >> 20
            );
            self.unreadable.insert(path.to_owned(), text);
            return;
        }
        let settled = content.stamp.is_settled(at);
        let is_same = before.is_some_and(|known| known.hash == hash);
        let name = before.map(|known| Arc::clone(&known.name));
        let name = name.unwrap_or_else(|| Arc::new(self.name_of(path)));
        if linked {
            self.links.insert(path.to_owned());
        } else {
            self.links.remove(path);
        }
        if is_same {
            if let Some(known) = self.known.get_mut(path) {
                (known.stamp, known.settled, known.linked) = (content.stamp, settled, linked);
            }
            return;
        }
        let counts = self
            .doubted
            .get(path)
            .is_some_and(|due| *due <= Instant::now());
        if counts {
            self.doubted.remove(path);
        } else if self.loaded {
            changes.doubtful.insert(Arc::clone(&name));
            self.on_trial.insert(path.to_owned());
        }
        changes
            .written
            .push((Arc::clone(&name), walk::shared(content.bytes)));
        self.bytes = total;
        self.introduced |= is_new;
        let known = Known { name, stamp: content.stamp, settled, linked, bytes, hash };
        self.known.insert(path, known);
    }

    /// A known file is not there: it has until its second look to come back.
    fn miss(&mut self, path: PathBuf) {
        if !self.known.contains(&path) {
            return;
        }
        let now = Instant::now();
        let absent = self.absent.get_or_insert_with(|| Absent {
            paths: BTreeSet::new(),
            first: now,
            last: now,
        });
        if absent.paths.insert(path) {
            absent.last = now;
        }
    }

    /// Removes what is gone for certain. A file that appears in the same batch says that this is no
    /// folder on its way out: what is missing then counts at once, as after a renaming.
    pub(super) fn settle_absent(&mut self, changes: &mut Changes) {
        let Some(absent) = &self.absent else { return };
        let counts = self.introduced || absent.due() <= Instant::now();
        if !counts {
            return;
        }
        let paths = self
            .absent
            .take()
            .map(|absent| absent.paths)
            .unwrap_or_default();
        for path in paths {
            let alive = self.root_of(&path).is_some_and(super::Root::is_alive);
            if alive && is_gone(&path) {
                self.forget(&path, changes);
            }
        }
    }

    fn forget(&mut self, path: &Path, changes: &mut Changes) {
        self.pending.remove(path);
        self.doubted.remove(path);
        self.on_trial.remove(path);
        self.unreadable.remove(path);
        self.links.remove(path);
        if let Some(known) = self.known.remove(path) {
            self.bytes = self.bytes.saturating_sub(known.bytes);
            changes.removed.push(known.name);
        }
    }
}

/// Whether no file has this name: lack of permission to look is no answer.
fn is_gone(path: &Path) -> bool {
    match fs::symlink_metadata(path) {
        Ok(found) => found.is_dir(),
        Err(error) => {
            matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory)
        }
    }
}

/// The folder that holds a root, and which one it is.
fn parent_of(root: &Path) -> Option<(PathBuf, Identity)> {
    let parent = root.parent()?;
    let found = fs::metadata(parent).ok()?;
    Some((parent.to_owned(), walk::identity(&found)))
}

/// Files that a rescan reads although their stamps say that nothing changed: a file that is written
/// through a mapping, or lies on a file system without honest times, is found in the end.
const SPOT_CHECKS: usize = 256;

/// Files that are read before the first of them is compared: what they hold may be more than the
/// limits take.
const READ_AHEAD: usize = 512;
