//! The seeds of the fuzz target `compile`, and all manifests of the repository, as runs of edits.

mod same;
mod script;

use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn what_is_compiled_does_not_depend_on_the_way_to_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (folder, at_least) in
        [("../fuzz/corpus/compile", 8), ("tests/golden", 20), ("../examples/wordpress", 1)]
    {
        let mut count = 0;
        for path in files(&root.join(folder)) {
            let text = fs::read_to_string(&path).expect("seeds are text");
            script::play(
                text.replace("# then\n", "%% 0\n").as_bytes(),
                &path.display().to_string(),
            );
            count += 1;
        }
        assert!(count >= at_least, "{folder}: {count}");
    }
}

/// The same manifests document by document: each in a file of its own, written and then removed.
#[test]
fn nor_on_the_files_that_hold_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for path in files(&root.join("tests/golden")) {
        let text = fs::read_to_string(&path).expect("goldens are text");
        let documents: Vec<&str> = text.split("---\n").collect();
        let mut run = String::new();
        for (index, document) in documents.iter().enumerate() {
            run.push_str(&format!("%% {index}\n{document}"));
        }
        for index in (0..documents.len()).step_by(2) {
            run.push_str(&format!("%% {index}\n"));
        }
        script::play(run.as_bytes(), &path.display().to_string());
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("the folder is there");
    let paths = entries.map(|entry| entry.expect("it can be listed").path());
    let mut files: Vec<_> = paths
        .filter(|path| path.extension().is_none_or(|is| is == "yaml"))
        .collect();
    files.sort();
    files
}
