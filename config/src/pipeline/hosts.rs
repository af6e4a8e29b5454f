//! Hosts files: kept by name, beside the objects of manifests.
//!
//! A file is followed as a manifest is, and is known by the name that the settings give it. Invariants:
//! no I/O; a file that cannot be read keeps what it said; a line that cannot be read costs itself; of a
//! file at most [`MOST_RECORDS`] names are taken.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::diagnostic::{Code, Diagnostic};
use crate::location::Position;
use crate::model::{StaticRecord, hosts_file};
use crate::source::Changes;

/// What hosts files say.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    files: BTreeMap<Arc<PathBuf>, File>,
    /// All of them together, in the order of the settings.
    records: Vec<StaticRecord>,
    has_changed: bool,
}

#[derive(Debug, Default)]
struct File {
    records: Vec<StaticRecord>,
    diagnostics: Vec<Diagnostic>,
}

impl Hosts {
    /// Takes the files `known` out of `changes`; those that seem half written are to be read again.
    pub(super) fn take(&mut self, known: &[PathBuf], changes: &mut Changes) -> Vec<Arc<PathBuf>> {
        if known.is_empty() {
            return Vec::new();
        }
        let mut look_again = Vec::new();
        let is_hosts = |file: &Arc<PathBuf>| known.contains(file);
        for file in changes.removed.iter().filter(|file| is_hosts(file)) {
            self.has_changed |= self.files.remove(file).is_some();
        }
        let doubtful = &changes.doubtful;
        changes.written.retain(|(file, content)| {
            if !is_hosts(file) {
                return true;
            }
            // An editor empties a file before it writes it.
            if content.is_empty() && doubtful.contains(file) {
                look_again.push(Arc::clone(file));
            } else {
                self.files
                    .insert(Arc::clone(file), File::read(file, content));
                self.has_changed = true;
            }
            false
        });
        changes.removed.retain(|file| !is_hosts(file));
        changes.doubtful.retain(|file| !is_hosts(file));
        look_again
    }

    /// Joins the files; whether any is not what it was.
    pub(super) fn settle(&mut self) -> bool {
        let has_changed = std::mem::take(&mut self.has_changed);
        if has_changed {
            let files = self.files.values();
            self.records = files
                .flat_map(|file| file.records.iter().cloned())
                .collect();
        }
        has_changed
    }

    pub(super) fn records(&self) -> &[StaticRecord] {
        &self.records
    }

    pub(super) fn diagnostics(&self) -> impl Iterator<Item = &Diagnostic> {
        self.files.values().flat_map(|file| &file.diagnostics)
    }
}

impl File {
    fn read(file: &Arc<PathBuf>, content: &[u8]) -> Self {
        // A byte that is no text spoils its own name alone.
        let text = String::from_utf8_lossy(content);
        let (mut records, wrong) = hosts_file(file, &text);
        let finding = |line: usize, message: String| {
            let line = u32::try_from(line).unwrap_or(u32::MAX);
            Diagnostic::new(Code::HostsLine, message).file(file, Some(Position { line, column: 1 }))
        };
        let mut diagnostics: Vec<_> = wrong
            .into_iter()
            .take(MOST_FINDINGS)
            .map(|(line, message)| finding(line, message))
            .collect();
        if records.len() > MOST_RECORDS {
            records.truncate(MOST_RECORDS);
            let message = format!("holds more than {MOST_RECORDS} names: the others are left out");
            diagnostics.push(finding(1, message));
        }
        Self { records, diagnostics }
    }
}

/// Names of one file, the largest lists of advertisers among them.
const MOST_RECORDS: usize = 1_000_000;
/// Lines of one file that are told of.
const MOST_FINDINGS: usize = 20;
