//! A path that the user named: a folder with all below it, or one file.
//!
//! Inside the source every path is absolute, as events have it; what people read is the path as it
//! was typed. Invariant: what a root held stays until the root itself says otherwise; a root that
//! is gone, or another folder that took its name and is empty, says nothing.

use std::fs;
use std::path::{Path, PathBuf};

use super::walk::{self, Identity, Stamp};
use crate::source::ABSENT;

/// One path of the command line.
#[derive(Debug)]
pub(super) struct Root {
    typed: PathBuf,
    pub(super) absolute: PathBuf,
    /// What stood there when it was last looked at.
    pub(super) seen: Option<Standing>,
    /// The folder whose files are held.
    pub(super) held: Option<Identity>,
    /// Whether anything ever stood there.
    was_there: bool,
}

/// The root that a path belongs to.
pub(super) fn of<'a>(roots: &'a [Root], path: &Path) -> Option<&'a Root> {
    roots.iter().find(|root| root.depth_of(path).is_some())
}

/// What stands at a root.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Standing {
    Folder(Identity),
    File(Stamp),
}

impl Root {
    pub(super) fn new(typed: PathBuf) -> Self {
        // Fails for the empty path alone, which no file has.
        let absolute = std::path::absolute(&typed).unwrap_or_else(|_| typed.clone());
        // Without a last slash: names are compared as they stand.
        let absolute = absolute.components().collect();
        Self { typed, absolute, seen: None, held: None, was_there: false }
    }

    /// What stands there now; fails with the reason in words.
    pub(super) fn look(&self) -> Result<Standing, String> {
        match fs::metadata(&self.absolute) {
            Ok(found) if found.is_dir() => Ok(Standing::Folder(walk::identity(&found))),
            Ok(_) => walk::stamp(&self.absolute)
                .map(Standing::File)
                .ok_or_else(|| "is gone".to_owned()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Err(if self.was_there { "is gone" } else { ABSENT }.to_owned())
            }
            Err(error) => Err(error.to_string()),
        }
    }

    /// Notes what [`Root::look`] found.
    pub(super) fn note(&mut self, standing: Option<Standing>) {
        self.seen = standing;
        self.was_there |= standing.is_some();
    }

    /// Whether what stands there now is what stood there at the last look.
    pub(super) fn is_as_seen(&self) -> bool {
        self.look().ok() == self.seen
    }

    /// Whether the folder whose files are held stands there now and can be read.
    pub(super) fn is_alive(&self) -> bool {
        let folder = self.look().ok().and_then(|standing| match standing {
            Standing::Folder(identity) => Some(identity),
            Standing::File(_) => None,
        });
        folder.is_some() && folder == self.held && fs::read_dir(&self.absolute).is_ok()
    }

    /// Whether another folder has taken the name of the one whose files are held.
    pub(super) fn is_replaced(&self) -> bool {
        match (self.held, self.seen) {
            (Some(held), Some(Standing::Folder(seen))) => held != seen,
            _ => false,
        }
    }

    /// How deep a path lies below; none where it is no part of the root: elsewhere or hidden.
    pub(super) fn depth_of(&self, path: &Path) -> Option<usize> {
        let below = path.strip_prefix(&self.absolute).ok()?;
        let mut depth = 0;
        for part in below {
            if walk::is_hidden(part) {
                return None;
            }
            depth += 1;
        }
        Some(depth)
    }

    /// A path of this root as its user would type it.
    pub(super) fn name_of(&self, path: &Path) -> Option<PathBuf> {
        let below = path.strip_prefix(&self.absolute).ok()?;
        match below.as_os_str().is_empty() {
            true => Some(self.typed.clone()),
            false => Some(self.typed.join(below)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_known_absolute_and_shown_as_typed() {
        let here = std::env::current_dir().unwrap();
        for (typed, below, want) in [
            ("manifests", "manifests/a.yaml", Some("manifests/a.yaml")),
            ("./manifests/", "manifests/a.yaml", Some("./manifests/a.yaml")),
            ("manifests//", "manifests/a.yaml", Some("manifests/a.yaml")),
            (".", "a.yaml", Some("./a.yaml")),
            ("a.yaml", "a.yaml", Some("a.yaml")),
            ("manifests", "other/a.yaml", None),
            ("manifests", "manifests2/a.yaml", None),
        ] {
            let root = Root::new(typed.into());
            assert_eq!(root.name_of(&here.join(below)), want.map(PathBuf::from), "{typed}");
        }
    }

    #[test]
    fn hidden_parts_count_below_the_root_alone() {
        let root = Root::new("/srv/.config/manifests".into());
        for (path, want) in [
            ("/srv/.config/manifests/sub/a.yaml", Some(2)),
            ("/srv/.config/manifests/.git/a.yaml", None),
            ("/srv/.config/manifests/..data", None),
            ("/srv/.config/a.yaml", None),
        ] {
            assert_eq!(root.depth_of(Path::new(path)), want, "{path}");
        }
    }
}
