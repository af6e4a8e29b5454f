//! The objects that exist now, file by file, each in its last good version.
//!
//! ```text
//! DecodedFile ─▶ check each ─▶ Entry { found now, last good } ─▶ object in use ─▶ Changed
//! ```
//!
//! Invariants: an object that is refused keeps the version that was good before; a file of which a
//! document could not be read keeps every object that it held; of two objects with one name the
//! first in order (file path, then position) is used. What a write costs depends on that file, not
//! on how many others there are; what it did to the objects in use is told by
//! [`Store::take_changes`]. Nothing here joins objects: `compile` does.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use crate::decode::{Decoded, DecodedFile};
use crate::diagnostic::{Code, Diagnostic};
use crate::location::{FieldPath, FileName, Origin};
use crate::model::{ObjectName, ObjectRef};

/// Everything that manifests say, by file.
/// `V` is what a later stage makes of an object that is right by itself.
#[derive(Debug)]
pub(crate) struct Store<V> {
    files: BTreeMap<InOrder, File<V>>,
    /// Where each object stands, in order: the first place is used.
    places: HashMap<Key, Vec<Place>>,
    /// What stands in more than one place.
    contested: BTreeSet<Key>,
    /// The objects in use.
    used: HashMap<Key, Arc<InUse<V>>>,
    /// What was in use under a key before the changes that nobody took yet.
    pending: HashMap<Key, Option<Arc<InUse<V>>>>,
}

#[derive(Debug)]
struct File<V> {
    entries: Vec<Entry<V>>,
    diagnostics: Vec<Diagnostic>,
}

/// One object of one file.
#[derive(Debug)]
struct Entry<V> {
    key: Key,
    /// The version in use and where it stands now, or stood when it was last readable; none if it
    /// was never good.
    good: Option<Arc<InUse<V>>>,
    /// The object as it stands in the file now.
    object: ObjectRef,
    origin: Origin,
    /// What is wrong with the version that stands in the file now.
    diagnostics: Vec<Diagnostic>,
}

/// Kind and name: what makes two objects the same.
pub(crate) type Key = (&'static str, ObjectName);

/// An entry of a file by its index.
type Place = (InOrder, usize);

/// A file's name where files have an order: folder by folder, and then by bytes. Paths themselves
/// are compared part by part, which takes ten times as long.
#[derive(Clone, Debug)]
struct InOrder(FileName);

impl Ord for InOrder {
    fn cmp(&self, other: &Self) -> Ordering {
        if Arc::ptr_eq(&self.0, &other.0) {
            return Ordering::Equal;
        }
        let names = [self, other].map(|it| it.0.as_os_str().as_encoded_bytes());
        let differ = names[0].iter().zip(names[1]).find(|(a, b)| a != b);
        // A folder's files stand before what has a longer name: `a/b` before `a-b`.
        let rank = |byte: u8| if std::path::is_separator(byte.into()) { 0 } else { byte };
        differ.map_or_else(|| names[0].len().cmp(&names[1].len()), |(a, b)| rank(*a).cmp(&rank(*b)))
    }
}

impl PartialOrd for InOrder {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for InOrder {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for InOrder {}

/// An object in use, and where it was written.
#[derive(Debug)]
pub(crate) struct InUse<V> {
    /// The object as diagnostics name it.
    pub(crate) object: ObjectRef,
    /// Where it was written.
    pub(crate) origin: Origin,
    /// What it says, checked; the same `Arc` as before where it says the same.
    pub(crate) valid: Arc<V>,
}

/// An object in use that came, left, or is not what or where it was.
#[derive(Debug)]
pub(crate) struct Changed<V> {
    /// What was in use; none: it is new.
    pub(crate) before: Option<Arc<InUse<V>>>,
    /// What is in use; none: it is gone.
    pub(crate) after: Option<Arc<InUse<V>>>,
}

/// What a later stage thinks of an object: its value unless it is refused, and its findings.
pub(crate) type Checked<V> = (Option<V>, Vec<Diagnostic>);

/// All that one file holds, each object judged by itself.
#[derive(Debug)]
pub(crate) struct CheckedFile<V> {
    objects: Vec<(Decoded, Checked<V>)>,
    diagnostics: Vec<Diagnostic>,
    incomplete: bool,
    holds_secrets: bool,
}

impl<V> CheckedFile<V> {
    /// Lets `check` judge each object of a file.
    pub(crate) fn new(file: DecodedFile, check: impl Fn(&Decoded) -> Checked<V>) -> Self {
        let holds_secrets = file.holds_secrets();
        let objects = file.objects.into_iter().map(|decoded| {
            let checked = check(&decoded);
            (decoded, checked)
        });
        let objects = objects.collect();
        let DecodedFile { diagnostics, incomplete, .. } = file;
        Self { objects, diagnostics, incomplete, holds_secrets }
    }

    /// The kind and name of each object.
    pub(crate) fn keys(&self) -> impl Iterator<Item = Key> {
        self.objects.iter().map(|(decoded, _)| decoded.key())
    }

    /// Whether the text of the file holds what must not be kept.
    pub(crate) fn holds_secrets(&self) -> bool {
        self.holds_secrets
    }

    /// Whether all of it can be read and nothing is refused.
    pub(crate) fn is_right(&self) -> bool {
        !self.incomplete && self.objects.iter().all(|(_, (valid, _))| valid.is_some())
    }
}

impl<V: PartialEq> Store<V> {
    /// A store without files.
    pub(crate) fn new() -> Self {
        Self {
            files: BTreeMap::new(),
            places: HashMap::new(),
            contested: BTreeSet::new(),
            used: HashMap::new(),
            pending: HashMap::new(),
        }
    }

    /// Takes what a file holds now.
    pub(crate) fn write(&mut self, name: &FileName, file: CheckedFile<V>) {
        let name = InOrder(Arc::clone(name));
        let old = self
            .files
            .get(&name)
            .map_or(&[][..], |file| &file.entries[..]);
        let mut before: HashMap<&Key, &Entry<V>> = HashMap::with_capacity(old.len());
        for entry in old {
            before.entry(&entry.key).or_insert(entry);
        }
        let mut entries: Vec<Entry<V>> = Vec::with_capacity(file.objects.len());
        for (decoded, checked) in file.objects {
            let key = decoded.key();
            let old = before.remove(&key);
            entries.push(entry(key, decoded, checked, old));
        }
        if file.incomplete {
            // What is not readable now is not deleted: it stays as it was.
            // What was wrong with an older text of it is not wrong with the text of now.
            let good = before.into_values().filter(|entry| entry.good.is_some());
            let mut kept: Vec<_> = good.map(Entry::without_findings).collect();
            kept.sort_by(|a, b| a.origin.index.cmp(&b.origin.index).then(a.key.cmp(&b.key)));
            entries.extend(kept);
        }
        self.replace(&name, Some(File { entries, diagnostics: file.diagnostics }));
    }

    /// Whether a file holds a good object that is not among `found`.
    pub(crate) fn would_lose(&self, name: &FileName, found: &HashSet<Key>) -> bool {
        let name = InOrder(Arc::clone(name));
        self.files.get(&name).is_some_and(|file| {
            let mut good = file.entries.iter().filter(|entry| entry.good.is_some());
            good.any(|entry| !found.contains(&entry.key))
        })
    }

    /// Forgets a file and all that it held.
    pub(crate) fn remove(&mut self, name: &FileName) {
        self.replace(&InOrder(Arc::clone(name)), None);
    }

    /// How many files and objects there are.
    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.files.len(), self.files.values().map(|file| file.entries.len()).sum())
    }

    /// What happened to the objects in use since the last call, in the order of keys.
    pub(crate) fn take_changes(&mut self) -> Vec<Changed<V>> {
        let mut pending: Vec<_> = std::mem::take(&mut self.pending).into_iter().collect();
        pending.sort_by(|a, b| a.0.cmp(&b.0));
        let changes = pending.into_iter().map(|(key, before)| {
            let after = self.used.get(&key).map(Arc::clone);
            Changed { before, after }
        });
        changes
            .filter(|changed| match (&changed.before, &changed.after) {
                (Some(before), Some(after)) => !Arc::ptr_eq(before, after),
                (before, after) => before.is_some() || after.is_some(),
            })
            .collect()
    }

    /// Everything that is wrong with files and with objects by themselves.
    pub(crate) fn diagnostics(&self) -> Vec<Diagnostic> {
        let mut diagnostics = Vec::new();
        for file in self.files.values() {
            diagnostics.extend(file.diagnostics.iter().cloned());
            for entry in &file.entries {
                diagnostics.extend(entry.diagnostics.iter().cloned());
            }
        }
        for key in &self.contested {
            let mut entries = self
                .places
                .get(key)
                .into_iter()
                .flatten()
                .filter_map(|place| self.entry(place));
            let Some(winner) = entries.next() else { continue };
            diagnostics.extend(entries.map(|entry| duplicate(entry, winner)));
        }
        diagnostics
    }

    fn entry(&self, (file, index): &Place) -> Option<&Entry<V>> {
        self.files.get(file)?.entries.get(*index)
    }

    /// Puts `file` in the place of what `name` held, and settles every object of both.
    fn replace(&mut self, name: &InOrder, file: Option<File<V>>) {
        let old = self.files.remove(name);
        let mut touched: Vec<Key> = Vec::new();
        for entry in old.iter().flat_map(|file| &file.entries) {
            if let Some(places) = self.places.get_mut(&entry.key) {
                places.retain(|(file, _)| file != name);
            }
            touched.push(entry.key.clone());
        }
        if let Some(file) = file {
            for (index, entry) in file.entries.iter().enumerate() {
                let places = self.places.entry(entry.key.clone()).or_default();
                let place = (name.clone(), index);
                let at = places.partition_point(|other| *other < place);
                places.insert(at, place);
                touched.push(entry.key.clone());
            }
            self.files.insert(name.clone(), file);
        }
        let mut settled = HashSet::with_capacity(touched.len());
        for key in touched {
            if settled.insert(key.clone()) {
                self.settle(key);
            }
        }
    }

    /// Uses what stands in the first place of `key`.
    fn settle(&mut self, key: Key) {
        let places = self.places.get(&key).map_or(&[][..], |places| &places[..]);
        let now = places
            .first()
            .and_then(|place| self.entry(place))
            .and_then(|entry| entry.good.clone());
        if places.len() > 1 {
            self.contested.insert(key.clone());
        } else {
            self.contested.remove(&key);
            if places.is_empty() {
                self.places.remove(&key);
            }
        }
        let before = match now {
            Some(now) => self.used.insert(key.clone(), now),
            None => self.used.remove(&key),
        };
        self.pending.entry(key).or_insert(before);
    }
}

impl<V> Entry<V> {
    fn without_findings(&self) -> Self {
        Self {
            key: self.key.clone(),
            good: self.good.clone(),
            object: self.object.clone(),
            origin: self.origin.clone(),
            diagnostics: Vec::new(),
        }
    }
}

/// What an object of a file comes to; `old` is what the same file held under its name before.
fn entry<V: PartialEq>(
    key: Key,
    decoded: Decoded,
    (valid, diagnostics): Checked<V>,
    old: Option<&Entry<V>>,
) -> Entry<V> {
    let object = decoded.object.reference();
    let origin = decoded.origin;
    let before = old.and_then(|old| old.good.as_ref());
    let valid = match (valid, before) {
        // The same content: the same value, so that later stages see that nothing changed.
        (Some(valid), Some(before)) if *before.valid == valid => Some(Arc::clone(&before.valid)),
        (Some(valid), _) => Some(Arc::new(valid)),
        (None, before) => before.map(|before| Arc::clone(&before.valid)),
    };
    let good = valid.map(|valid| match before {
        Some(before)
            if Arc::ptr_eq(&before.valid, &valid)
                && before.origin == origin
                && before.object == object =>
        {
            Arc::clone(before)
        }
        _ => Arc::new(InUse { object: object.clone(), origin: origin.clone(), valid }),
    });
    // The older text of an object that stands where it stood is let go.
    let origin = good.as_ref().map_or(origin, |good| good.origin.clone());
    Entry { key, good, object, origin, diagnostics }
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
        .related(&winner.origin, &FieldPath::from("metadata.name"), "this one is used")
        .help("rename one of the two, or delete it")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_stand_folder_by_folder() {
        let sorted = ["a", "a/b", "a/b/c", "a/bc", "a/c", "a-b", "a.yaml", "b"];
        let mut names: Vec<_> = sorted.map(|name| InOrder(Arc::new(name.into()))).into();
        names.reverse();
        names.sort();
        let names: Vec<_> = names.iter().map(|name| name.0.to_string_lossy()).collect();
        assert_eq!(names, sorted);
        let mut paths = sorted.map(std::path::PathBuf::from);
        paths.sort();
        assert_eq!(paths.map(|path| path.to_string_lossy().into_owned()), sorted);
    }
}
