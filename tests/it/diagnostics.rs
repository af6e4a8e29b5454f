//! Deliberately broken manifests (`tests/fixtures/broken`): one mistake a file, and exactly what
//! `portico check` says of it.
//!
//! A file begins with `# expect: P0304 12:17 spec.ports[0].nodePort`, a line for each finding: code,
//! line and column, field; `-` where there is none. What cannot begin so (JSON, text that is
//! not UTF-8) has the same lines, without `# expect:`, in a file beside it that ends in `.expect`.
//!
//! `UPDATE_FIXTURES=1 cargo test --test it broken` writes the expectations anew; whoever does that
//! reads the difference.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::harness::process::run;

const MARK: &str = "# expect: ";

#[test]
fn each_broken_manifest_gets_its_code_line_column_and_field() {
    // From the repository's root, where cargo runs tests: CI runs them once more from a copy of it.
    let folder = Path::new("tests/fixtures/broken");
    let output = run(&["check", "--format", "json", folder.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    let mut found = by_file(&output.stdout);
    let mut wrong = Vec::new();
    let fixtures = fixtures(folder);
    assert!(fixtures.len() >= 60, "{} fixtures", fixtures.len());
    for fixture in fixtures {
        let got = found.remove(&fixture).unwrap_or_default();
        if std::env::var_os("UPDATE_FIXTURES").is_some() {
            update(&fixture, &got);
        }
        let want = expected(&fixture);
        assert!(!want.is_empty(), "{}: expects nothing", fixture.display());
        if got != want {
            wrong.push(format!("{}:\n  got  {got:?}\n  want {want:?}", fixture.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(found.is_empty(), "findings of no fixture: {found:?}");
}

fn fixtures(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| !file.to_string_lossy().ends_with(".expect"));
    files.sort();
    files
}

/// `P0304 12:17 spec.ports[0].nodePort`, by file.
fn by_file(json: &[u8]) -> BTreeMap<PathBuf, Vec<String>> {
    let list: Vec<serde_json::Value> = serde_json::from_slice(json).unwrap();
    let mut files: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for found in list {
        let place = match (found["line"].as_u64(), found["column"].as_u64()) {
            (Some(line), Some(column)) => format!("{line}:{column}"),
            _ => "-".to_owned(),
        };
        let field = found["field"].as_str().unwrap_or("-");
        let text = format!("{} {place} {field}", found["code"].as_str().unwrap());
        let file = PathBuf::from(found["file"].as_str().unwrap_or_default());
        files.entry(file).or_default().push(text);
    }
    files
}

fn sidecar(fixture: &Path) -> PathBuf {
    let mut name = fixture.as_os_str().to_owned();
    name.push(".expect");
    name.into()
}

fn expected(fixture: &Path) -> Vec<String> {
    if let Ok(lines) = fs::read_to_string(sidecar(fixture)) {
        return lines.lines().map(str::to_owned).collect();
    }
    let text = fs::read_to_string(fixture).unwrap();
    let lines = text.lines().map_while(|line| line.strip_prefix(MARK));
    lines.map(str::to_owned).collect()
}

/// Writes what was found where it is expected. A file that gets another number of lines at its
/// head needs this twice: its positions move.
fn update(fixture: &Path, got: &[String]) {
    let lines = |mark: &str| -> String { got.iter().map(|it| format!("{mark}{it}\n")).collect() };
    if sidecar(fixture).exists() {
        return fs::write(sidecar(fixture), lines("")).unwrap();
    }
    let text = fs::read_to_string(fixture).unwrap();
    let rest: String = text
        .split_inclusive('\n')
        .skip_while(|line| line.starts_with(MARK))
        .collect();
    fs::write(fixture, lines(MARK) + &rest).unwrap();
}
