//! The objects that exist now, file by file, each in its last good version.
//!
//! ```text
//! DecodedFile ─▶ check each ─▶ Entry { found now, last good }  ─▶ objects in use
//! ```
//!
//! Invariants: an object that is refused keeps the version that was good before; a file of which a
//! document could not be read keeps every object that it held; of two objects with one name the
//! first in order (file path, then position) is used. Nothing here joins objects: `compile` does.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::decode::{Decoded, DecodedFile};
use crate::diagnostic::{Code, Diagnostic};
use crate::location::{FieldPath, FileName, Origin};
use crate::model::{ObjectName, ObjectRef};

/// Everything that manifests say, by file.
/// `V` is what a later stage makes of an object that is right by itself.
#[derive(Debug)]
pub(crate) struct Store<V> {
    files: BTreeMap<FileName, File<V>>,
}

#[derive(Debug)]
struct File<V> {
    entries: Vec<Entry<V>>,
    diagnostics: Vec<Diagnostic>,
}

/// One object of one file.
#[derive(Clone, Debug)]
struct Entry<V> {
    key: Key,
    object: ObjectRef,
    /// Where it stands now, or stood when it was last readable.
    origin: Origin,
    /// The version in use; none if it was never good.
    good: Option<Arc<V>>,
    /// What is wrong with the version that stands in the file now.
    diagnostics: Vec<Diagnostic>,
    decoded: Decoded,
}

/// Kind and name: what makes two objects the same.
type Key = (&'static str, ObjectName);

/// An object in use, and where it was written.
#[derive(Clone, Debug)]
pub(crate) struct InUse<V> {
    /// The object as diagnostics name it.
    pub(crate) object: ObjectRef,
    /// Where it was written.
    pub(crate) origin: Origin,
    /// What it says, checked.
    pub(crate) valid: Arc<V>,
}

/// What a later stage thinks of an object: its value unless it is refused, and its findings.
pub(crate) type Checked<V> = (Option<V>, Vec<Diagnostic>);

impl<V> Store<V> {
    /// A store without files.
    pub(crate) fn new() -> Self {
        Self { files: BTreeMap::new() }
    }

    /// Takes what a file holds now; `check` judges each object by itself.
    pub(crate) fn write(
        &mut self,
        name: &FileName,
        decoded: DecodedFile,
        check: impl Fn(&Decoded) -> Checked<V>,
    ) {
        let old = self
            .files
            .remove(name)
            .map(|file| file.entries)
            .unwrap_or_default();
        let mut before: HashMap<Key, Entry<V>> = HashMap::new();
        for entry in old {
            before.entry(entry.key.clone()).or_insert(entry);
        }
        let mut entries: Vec<Entry<V>> = decoded
            .objects
            .into_iter()
            .map(|decoded| {
                let old = before.remove(&(decoded.object.type_name().1, decoded.object.name()));
                entry(decoded, old, &check)
            })
            .collect();
        if decoded.incomplete {
            // What is not readable now is not deleted: it stays as it was.
            // What was wrong with an older text of it is not wrong with the text of now.
            let good = before.into_values().filter(|entry| entry.good.is_some());
            let mut kept: Vec<_> = good
                .map(|entry| Entry { diagnostics: Vec::new(), ..entry })
                .collect();
            kept.sort_by(|a, b| a.origin.index.cmp(&b.origin.index).then(a.key.cmp(&b.key)));
            entries.extend(kept);
        }
        self.files
            .insert(Arc::clone(name), File { entries, diagnostics: decoded.diagnostics });
    }

    /// Forgets a file and all that it held.
    pub(crate) fn remove(&mut self, name: &FileName) {
        self.files.remove(name);
    }

    /// How many files and objects there are.
    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.files.len(), self.files.values().map(|file| file.entries.len()).sum())
    }

    /// The objects in use in their order, and everything that is wrong with files and objects by
    /// themselves.
    pub(crate) fn in_use(&self) -> (Vec<InUse<V>>, Vec<Diagnostic>) {
        let mut diagnostics = Vec::new();
        let mut first: HashMap<&Key, &Entry<V>> = HashMap::new();
        let mut used = Vec::new();
        for file in self.files.values() {
            diagnostics.extend(file.diagnostics.iter().cloned());
            for entry in &file.entries {
                diagnostics.extend(entry.diagnostics.iter().cloned());
                if let Some(winner) = first.get(&entry.key) {
                    diagnostics.push(duplicate(entry, winner));
                    continue;
                }
                first.insert(&entry.key, entry);
                if let Some(valid) = &entry.good {
                    let (object, origin) = (entry.object.clone(), entry.origin.clone());
                    used.push(InUse { object, origin, valid: Arc::clone(valid) });
                }
            }
        }
        (used, diagnostics)
    }
}

/// Checks one object; `old` is what the same file held under its name before.
fn entry<V>(
    decoded: Decoded,
    old: Option<Entry<V>>,
    check: impl Fn(&Decoded) -> Checked<V>,
) -> Entry<V> {
    let key = (decoded.object.type_name().1, decoded.object.name());
    let object = decoded.object.reference();
    let (valid, diagnostics) = check(&decoded);
    let unchanged =
        |old: &Entry<V>| old.diagnostics.is_empty() && old.decoded.object == decoded.object;
    let good = match (valid, old) {
        // The same content: the same value, so that later stages see that nothing changed.
        (Some(_), Some(old)) if unchanged(&old) && old.good.is_some() => old.good,
        (Some(valid), _) => Some(Arc::new(valid)),
        (None, old) => old.and_then(|old| old.good),
    };
    let origin = decoded.origin.clone();
    Entry { key, object, origin, good, diagnostics, decoded }
}

fn duplicate<V>(entry: &Entry<V>, winner: &Entry<V>) -> Diagnostic {
    let place = winner
        .origin
        .position(&FieldPath::default())
        .unwrap_or_default();
    let message = format!(
        "is already defined in {}:{}, which is used",
        winner.origin.file.display(),
        place.line
    );
    Diagnostic::new(Code::DuplicateObject, message)
        .object(entry.object.clone())
        .at(&entry.origin, FieldPath::from("metadata.name"))
        .help("rename one of the two, or delete it")
}
