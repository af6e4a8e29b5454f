//! A long run of edits, of which many are broken, ends where a fresh start begins.
//!
//! Files are written well and badly, torn, removed, renamed; objects come, change, move to other
//! files and stand in two at once; several files change in one batch. The run follows from a seed.

#[path = "../same/mod.rs"]
mod same;
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use portico_config::diagnostic::{Code, Diagnostic, Severity};
use portico_config::model::{HostFacts, Settings};
use portico_config::pipeline::{Pipeline, Update};
use portico_config::snapshot::Assignments;
use portico_config::source::Changes;
use same::{assert_whole, content, lasting, pretty};
use world::{Chance, document, secret};

/// What each file is meant to hold, document by document: always valid.
type Files = BTreeMap<usize, Vec<String>>;

struct Run {
    chance: Chance,
    /// PEM of certificates and their keys.
    pairs: Vec<(String, String)>,
    files: Files,
    /// Files of which something else is on the disk.
    damaged: BTreeSet<usize>,
    /// What the next batch holds, by file; none: the file is gone.
    batch: BTreeMap<usize, Option<Vec<u8>>>,
}

#[test]
fn ten_thousand_random_edits_end_where_a_fresh_start_begins() {
    for seed in SEEDS {
        let mut run = Run::new(seed);
        let settings = settings();
        let mut pipeline = pipeline(&settings, Assignments::default());
        let mut update = pipeline.apply(run.take(), 1);
        let mut checked = 0;
        for edit in 1..=EDITS {
            run.edit();
            if run.chance.once_in(EDITS_IN_A_BATCH) {
                update = pipeline.apply(run.take(), 1);
            }
            if edit - checked >= 250 && run.batch.is_empty() {
                checked = edit;
                let when = format!("seed {seed}, edit {edit}");
                assert_whole(&mut pipeline, &settings, &update, &when);
                update = pipeline.apply(Changes::default(), 1);
                assert!(!update.changed, "{when}");
            }
        }
        run.repair();
        let last = pipeline.apply(run.take(), 1);
        let is_refused = |found: &&Diagnostic| {
            let by_itself = ![Code::DuplicateObject, Code::AnnotationCloses].contains(&found.code);
            found.severity() == Severity::Error && by_itself
        };
        assert_eq!(last.diagnostics.iter().find(is_refused), None, "seed {seed}: all is valid");
        let fresh = run.fresh(&settings, Assignments::clone(&last.snapshot.assignments));
        let when = format!("seed {seed}, at the end");
        pretty(&content(&last.snapshot), &content(&fresh.snapshot), &when);
        pretty(&lasting(&last).join("\n"), &lasting(&fresh).join("\n"), &when);
        let Update { snapshot, .. } = last;
        let sizes = [snapshot.services.len(), snapshot.fronts.len(), snapshot.routes.hosts().len()];
        assert!(sizes.iter().all(|size| *size > 2), "seed {seed}: {sizes:?} is too little a world");
    }
}

impl Run {
    fn new(seed: u64) -> Self {
        let names = [&["h0.test"][..], &["*.test"], &["solo", "h1.test"]];
        let pairs = names.map(|names| {
            let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
            let made = rcgen::generate_simple_self_signed(names).expect("the names are valid");
            (made.cert.pem(), made.signing_key.serialize_pem())
        });
        Self {
            chance: Chance(seed),
            pairs: pairs.into(),
            files: Files::new(),
            damaged: BTreeSet::new(),
            batch: BTreeMap::new(),
        }
    }

    /// One edit more for the next batch.
    fn edit(&mut self) {
        let file = self.chance.below(FILES);
        let other = self.chance.below(FILES);
        match self.chance.below(12) {
            // An object comes; one changes, or turns into another.
            0..=3 => {
                let document = document(&mut self.chance, &self.pairs);
                let documents = self.files.entry(file).or_default();
                if documents.len() < 3 {
                    documents.push(document);
                } else {
                    let at = self.chance.below(documents.len());
                    documents[at] = document;
                }
                self.write(file);
            }
            // One leaves.
            4 => {
                let documents = self.files.entry(file).or_default();
                if !documents.is_empty() {
                    documents.remove(self.chance.below(documents.len()));
                }
                self.write(file);
            }
            // One moves to another file, or stands in both.
            5 | 6 => {
                let moved = self.files.get_mut(&file).and_then(Vec::pop);
                if let Some(document) = moved {
                    if self.chance.once_in(3) {
                        self.files.entry(file).or_default().push(document.clone());
                    }
                    self.files.entry(other).or_default().insert(0, document);
                    self.write(file);
                    self.write(other);
                }
            }
            // A file gets another name.
            7 => {
                if let Some(documents) = self.files.remove(&file) {
                    self.files.entry(other).or_default().extend(documents);
                    self.remove(file);
                    self.write(other);
                }
            }
            8 if self.chance.once_in(3) => {
                self.files.remove(&file);
                self.remove(file);
            }
            9 => self.tear(file),
            10 => self.spoil(file),
            // Comments move every object of a file.
            _ => {
                let documents = self.files.get_mut(&file);
                if let Some(first) = documents.and_then(|documents| documents.first_mut()) {
                    first.insert_str(0, "# moved\n");
                    self.write(file);
                }
            }
        }
    }

    fn text(&self, file: usize) -> String {
        self.files
            .get(&file)
            .map_or_else(String::new, |documents| documents.join("---\n"))
    }

    fn write(&mut self, file: usize) {
        self.damaged.remove(&file);
        let text = self.text(file).into_bytes();
        self.batch.insert(file, Some(text));
    }

    fn remove(&mut self, file: usize) {
        self.damaged.remove(&file);
        self.batch.insert(file, None);
    }

    /// Only the beginning of a file is there.
    fn tear(&mut self, file: usize) {
        let mut text = self.text(file).into_bytes();
        text.truncate(self.chance.below(text.len() + 1));
        self.damaged.insert(file);
        self.batch.insert(file, Some(text));
    }

    /// A mistake that costs an object, its document or the whole file.
    fn spoil(&mut self, file: usize) {
        let (from, to) = [
            ("port: 8", "port: -8"),
            ("kind: ", "kind: ["),
            ("name: ", "name: UPPER-"),
            ("127.", "999."),
            ("path: /", "path: "),
            ("spec:", "\u{0}spec:"),
            ("metadata:", "metadata: {}\nmetadata:"),
            ("-----BEGIN ", "-----"),
        ][self.chance.below(8)];
        let text = self.text(file).replacen(from, to, 1 + self.chance.below(2));
        self.damaged.insert(file);
        self.batch.insert(file, Some(text.into_bytes()));
    }

    /// Ends with valid files, and with every Secret that was ever named: one that is gone is served
    /// on by a run, and never was for a fresh start.
    fn repair(&mut self) {
        for file in std::mem::take(&mut self.damaged) {
            self.write(file);
        }
        let mut secrets = Vec::new();
        for namespace in ["default", "other"] {
            for name in ["s0", "s1"] {
                secrets.push(secret(name, namespace, 0, &self.pairs));
            }
        }
        self.files.insert(FILES, secrets);
        self.write(FILES);
    }

    fn take(&mut self) -> Changes {
        let mut changes = Changes::default();
        for (file, content) in std::mem::take(&mut self.batch) {
            match content {
                Some(content) => changes.written.push((name(file), content.into())),
                None => changes.removed.push(name(file)),
            }
        }
        changes
    }

    fn fresh(&mut self, settings: &Arc<Settings>, assignments: Assignments) -> Update {
        for file in self.files.keys().copied().collect::<Vec<_>>() {
            self.write(file);
        }
        pipeline(settings, assignments).apply(self.take(), 1)
    }
}

fn name(file: usize) -> Arc<PathBuf> {
    Arc::new(PathBuf::from(format!("{file}.yaml")))
}

/// So few addresses that they run out.
fn settings() -> Arc<Settings> {
    let service_cidrs = vec!["127.96.0.0/29".parse().expect("a network")];
    Arc::new(Settings { service_cidrs, ..Settings::default() })
}

fn pipeline(settings: &Arc<Settings>, assignments: Assignments) -> Pipeline {
    Pipeline::new(Arc::clone(settings), HostFacts::default(), assignments)
}

/// One run each; any other seed has to pass as well.
const SEEDS: [u64; 1] = [7];
const EDITS: usize = 10_000;
/// On average.
const EDITS_IN_A_BATCH: usize = 16;
const FILES: usize = 12;
