//! What was seen in the wild and what was made to hurt: dumps of clusters, and the fuzz corpus.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use portico_config::diagnostic::{Diagnostic, Severity};
use portico_config::model::{HostFacts, Settings};
use portico_config::pipeline::Pipeline;
use portico_config::snapshot::Assignments;
use portico_config::source::Changes;

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

fn load(name: &str, content: &[u8]) -> (usize, Vec<Diagnostic>) {
    let mut pipeline =
        Pipeline::new(Arc::new(Settings::default()), HostFacts::default(), Assignments::default());
    let written = vec![(Arc::new(PathBuf::from(name)), content.into())];
    let update = pipeline.apply(Changes { written, ..Changes::default() }, 0);
    (pipeline.counts().1, update.diagnostics.to_vec())
}

#[test]
fn a_dump_of_a_cluster_loads_without_an_error() {
    let content = std::fs::read(repository("tests/fixtures/dump.yaml")).unwrap();
    let (objects, diagnostics) = load("dump.yaml", &content);
    let said: Vec<String> = diagnostics.iter().map(ToString::to_string).collect();
    assert_eq!(objects, 9, "{said:#?}");
    let errors = |found: &&Diagnostic| found.severity() == Severity::Error;
    assert_eq!(diagnostics.iter().filter(errors).count(), 0, "{said:#?}");
    let about = |part: &str| said.iter().filter(|said| said.contains(part)).count();
    assert_eq!(about("unknown field"), 0, "{said:#?}");
    assert_eq!(about("kind ReplicaSet of apps/v1 is not used by portico"), 1, "{said:#?}");
}

#[test]
fn every_file_of_the_fuzz_corpus_is_survived() {
    let folder = repository("fuzz/corpus/decode");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let content = std::fs::read(&path).unwrap();
        let (_, diagnostics) = load("fuzz.yaml", &content);
        assert!(diagnostics.len() < 5_000, "{}", path.display());
        count += 1;
    }
    assert!(count >= 10, "the corpus is there");
}
