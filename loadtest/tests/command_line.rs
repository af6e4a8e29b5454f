//! What people type: the program itself is run, without peers and without load.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn loadtest(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_loadtest"))
        .args(arguments)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The scenarios that `compare --help` lists before its options.
fn scenarios() -> Vec<String> {
    let help = text(&loadtest(&["compare", "--help"]).stdout);
    let arguments = help.split("Options:").next().unwrap();
    let names = arguments
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- "));
    names
        .map(|line| line.split(':').next().unwrap().to_owned())
        .collect()
}

/// Every file below a folder, by its path in there.
fn tree(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().display().to_string();
                files.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    files
}

#[test]
fn every_scenario_stands_in_the_page_of_figures() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/performance.md");
    let page = fs::read_to_string(page).unwrap();
    let names = scenarios();
    assert!(names.len() > 20, "{names:?}");
    for name in names {
        assert!(page.contains(&format!("`{name}`")), "docs/performance.md does not tell of {name}");
    }
}

#[test]
fn an_unknown_scenario_is_a_mistake_that_names_the_known_ones() {
    let output = loadtest(&["compare", "http1-smal"]);
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stderr);
    assert!(said.contains("'http1-smal'") && said.contains("http1-small"), "{said}");
}

#[test]
fn a_generated_folder_is_the_same_each_time() {
    let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let trees = folders.each_ref().map(|folder| {
        let size = ["--services", "20", "--endpoints", "3", "--ingresses", "4", "--secrets", "0"];
        let output =
            loadtest(&[&["generate", folder.path().to_str().unwrap()][..], &size].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
        tree(folder.path())
    });
    assert_eq!(trees[0].len(), 20 + 20 + 4);
    assert!(trees[0] == trees[1], "two folders of one size differ");
}
