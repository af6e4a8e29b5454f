//! Reading one file as it stands, without a look at what is known of it: several may do so at once.

use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::time::SystemTime;

use super::known::Hash;
use super::root::{self, Root};
use super::walk::{self, Content, ReadError};

/// What a reader has to know.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a> {
    pub(super) roots: &'a [Root],
    pub(super) max_bytes: u64,
    pub(super) hashers: &'a [RandomState; 2],
}

/// A file as it was read.
#[derive(Debug)]
pub(super) struct Found {
    /// When the reading began.
    pub(super) at: SystemTime,
    pub(super) linked: bool,
    pub(super) content: Result<(Content, Hash), ReadError>,
}

impl Reader<'_> {
    pub(super) fn read(&self, path: &Path) -> Found {
        let at = SystemTime::now();
        let linked = path.is_symlink();
        let content = self.content(path, linked).map(|content| {
            let hash = self
                .hashers
                .each_ref()
                .map(|hasher| hasher.hash_one(&*content.bytes));
            (content, hash)
        });
        Found { at, linked, content }
    }

    fn content(&self, path: &Path, linked: bool) -> Result<Content, ReadError> {
        let root = root::of(self.roots, path).ok_or(ReadError::Gone)?;
        if linked && root.absolute != path {
            let canonical = root.absolute.canonicalize();
            let canonical = canonical.unwrap_or_else(|_| root.absolute.clone());
            if path.exists() && !walk::leads_inside(path, &canonical) {
                return Err(ReadError::Unreadable("is a link out of its folder".to_owned()));
            }
        }
        walk::read(path, self.max_bytes)
    }
}
