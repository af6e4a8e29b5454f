//! Every example loads without a finding, is explained, and its README's commands do what it says.

use std::path::Path;
use std::process::{Command, Output};

use crate::tree;

/// The one folder that shows findings.
const BEFORE: &str = "examples/from-ingress-nginx/before";

#[test]
fn every_example_is_in_the_list_and_says_what_to_try() {
    let list = tree::read("examples/README.md".as_ref());
    let examples = folders("examples");
    assert!(examples.len() > 5, "{examples:?}");
    for example in examples {
        let name = example.trim_start_matches("examples/");
        assert!(
            list.contains(&format!("({name}/README.md)")),
            "{name} is not in examples/README.md"
        );
        let readme = tree::read(format!("{example}/README.md").as_ref());
        assert!(readme.contains(&format!("portico run {example}")), "{example} is not run");
    }
}

#[test]
fn every_example_loads_without_a_finding() {
    let mut checked = 0;
    for file in tree::files("examples", &["yaml"]) {
        let folder = file.parent().expect("a file is in a folder");
        let text = tree::read(&file);
        if folder == Path::new(BEFORE) || text.contains("kind: PorticoConfiguration") {
            continue;
        }
        let folder = folder.to_str().expect("a path of ours is text");
        let found = portico(&["check", "--strict", folder]);
        let said = String::from_utf8_lossy(&found.stdout);
        assert_eq!(found.status.code(), Some(0), "{folder}: {said}");
        assert!(said.ends_with(": no error, no warning\n"), "{folder}: {said}");
        checked += 1;
    }
    assert!(checked > 5, "{checked}");
}

#[test]
fn what_the_examples_say_to_ask_is_answered() {
    let mut asked = 0;
    for readme in tree::files("examples", &["md"]) {
        let text = tree::read(&readme);
        let lines = text
            .lines()
            .filter_map(|line| line.strip_prefix("    portico "));
        let single = |line: &&str| {
            ["check", "explain", "config"]
                .iter()
                .any(|it| line.starts_with(it))
        };
        for line in lines.filter(single) {
            let (line, code) = line.split_once("# exits ").unwrap_or((line, "0"));
            let words = words(line);
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let ended = portico(&words);
            let said = String::from_utf8_lossy(&ended.stderr);
            let found = ended.status.code().map(|code| code.to_string());
            assert_eq!(found.as_deref(), Some(code), "{}: {line}: {said}", readme.display());
            asked += 1;
        }
    }
    assert!(asked > 10, "{asked}");
}

fn folders(parent: &str) -> Vec<String> {
    let entries = std::fs::read_dir(tree::root().join(parent)).expect("it can be listed");
    let entries = entries.map(|entry| entry.expect("it can be listed"));
    let folders = entries.filter(|entry| entry.path().is_dir());
    folders
        .map(|entry| format!("{parent}/{}", entry.file_name().to_string_lossy()))
        .collect()
}

/// Runs portico in the root of the repository, with nothing of this machine.
fn portico(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_portico"))
        .args(arguments)
        .current_dir(tree::root())
        .env("PORTICO_STATE_DIR", "off")
        .output()
        .expect("cargo has built the binary")
}

/// The words of a line as a shell has them, where it quotes with `'` alone.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (index, piece) in line.split('\'').enumerate() {
        match index % 2 {
            0 => words.extend(piece.split_whitespace().map(str::to_owned)),
            _ => words.push(piece.to_owned()),
        }
    }
    words
}
