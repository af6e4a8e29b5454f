//! What was read, kept so that its lines can be shown beside what is wrong with them.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use portico_config::diagnostic::{Excerpt, Position, SourceText};
use portico_config::source::Changes;

/// The content of every file that was read; shared with the source, not copied.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    contents: HashMap<Arc<PathBuf>, Arc<[u8]>>,
    /// Files that are cut into lines, at most [`MAX_CUT`].
    cut: RefCell<HashMap<Arc<PathBuf>, SourceText>>,
}

impl Sources {
    /// Keeps what a source has read.
    pub(crate) fn of(changes: &Changes) -> Self {
        let contents = changes
            .written
            .iter()
            .map(|(file, content)| (Arc::clone(file), Arc::clone(content)));
        Self { contents: contents.collect(), cut: RefCell::default() }
    }

    /// The line at a position; `None` if the file was not read or has no such line.
    pub(super) fn excerpt(&self, file: &Arc<PathBuf>, position: Position) -> Option<Excerpt> {
        let content = self.contents.get(file)?;
        let mut cut = self.cut.borrow_mut();
        if cut.len() >= MAX_CUT && !cut.contains_key(file) {
            cut.clear();
        }
        let text = cut.entry(Arc::clone(file));
        text.or_insert_with(|| SourceText::new(content))
            .excerpt(position)
    }
}

/// Findings come file by file, and the places that belong to them are mostly near.
const MAX_CUT: usize = 16;
