//! The files of the repository, as the other tests of this binary read them.

use std::fs;
use std::path::{Path, PathBuf};

/// The repository's root.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A file of the repository, by its path from the root.
pub(crate) fn read(path: &Path) -> String {
    let full = root().join(path);
    fs::read_to_string(&full).unwrap_or_else(|error| panic!("{}: {error}", full.display()))
}

/// Every file below `folder` with one of these extensions, sorted, as paths from the root.
///
/// Build output, version control, hidden files and hidden folders but `.ci` are left out.
pub(crate) fn files(folder: &str, extensions: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries.map(|entry| entry.expect("a folder of the repository can be read")) {
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            if path.is_dir() {
                if !is_left_out(&name) {
                    folders.push(path);
                }
                continue;
            }
            let extension = path
                .extension()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            if extensions.contains(&extension.as_str()) && !name.starts_with('.') {
                let path = path.strip_prefix(root());
                found.push(path.expect("the walk begins at the root").to_owned());
            }
        }
    }
    found.sort();
    found
}

fn is_left_out(folder: &str) -> bool {
    folder == "target" || folder == "corpus" || (folder.starts_with('.') && folder != ".ci")
}
