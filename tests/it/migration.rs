//! What `portico check` says to who comes from ingress-nginx: for people, and for programs.

use std::fs;
use std::path::Path;

use crate::harness::process::run;

/// From the repository's root, where cargo runs tests: CI runs them once more from a copy of it.
const MANIFESTS: &str = "tests/fixtures/migration/shop.yaml";

/// Compares with the file that was read, or writes it anew.
fn compare(name: &str, got: &str) {
    let path = Path::new("tests/fixtures/migration").join(name);
    if std::env::var_os("UPDATE_GOLDENS").is_some() {
        fs::write(&path, got).unwrap();
    }
    let want = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(got, want, "ingress 3: {}", path.display());
}

#[test]
fn a_person_reads_what_becomes_of_each_annotation() {
    let output = run(&["check", MANIFESTS]);
    let text = String::from_utf8(output.stdout).unwrap();
    compare("shop.txt", &text);
    assert_eq!(output.status.code(), Some(1), "something is refused");
    assert!(!text.contains("s3cr3t"), "values of lines are not shown");
}

#[test]
fn a_program_reads_the_same_as_rows() {
    let output = run(&["check", "--format", "json", MANIFESTS]);
    let list: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).unwrap();
    let rows = list.iter().filter(|found| found["verdict"].is_string());
    let text = |value: &serde_json::Value| value.as_str().unwrap_or("-").to_owned();
    let lines: String = rows
        .map(|row| {
            let columns = ["severity", "code", "verdict", "annotation", "reason", "replacement"];
            let columns = columns.map(|key| text(&row[key])).join(" | ");
            let name = text(&row["object"]["name"]);
            format!("{}:{} | {name} | {columns}\n", row["line"], row["column"])
        })
        .collect();
    compare("shop.rows", &lines);
    let whole = String::from_utf8(output.stdout).unwrap();
    assert!(!whole.contains("s3cr3t") && !whole.contains("{SHA}"), "{whole}");
}

#[test]
fn what_is_not_refused_is_fine_unless_it_is_asked_for_strictly() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("all.yaml");
    let manifests = fs::read_to_string(MANIFESTS).unwrap();
    let ingress = |name: &str| {
        let mut documents = manifests.split("---\n");
        let name = format!("  name: {name}\n");
        documents
            .find(|text| text.contains(&name))
            .unwrap()
            .to_owned()
    };
    let service = manifests
        .split("---\n")
        .find(|text| text.contains("kind: Service"))
        .unwrap();
    let limited =
        "    nginx.ingress.kubernetes.io/limit-rps: \"5\"\n    nginx.ingress.kubernetes.io/ssl";
    let plain: String = ingress("plain")
        .split_inclusive('\n')
        .filter(|line| !line.contains("/docs/"))
        .collect();
    let with_limit = plain.replace("    nginx.ingress.kubernetes.io/ssl", limited);
    for (case, ingress, codes) in [
        ("supported alone", plain, [0, 0]),
        ("a difference", with_limit, [0, 1]),
        ("a path that is served otherwise", ingress("plain"), [0, 1]),
        ("a guard", ingress("firewall"), [1, 1]),
    ] {
        fs::write(&file, format!("{ingress}---\n{service}")).unwrap();
        let path = file.to_str().unwrap();
        let code = |more: &[&str]| run(&[&["check", path], more].concat()).status.code();
        assert_eq!([code(&[]), code(&["--strict"])], codes.map(Some), "ingress 3: {case}");
    }
    let status =
        run(&["check", "--strict", "--ingress-limit-status", "503", file.to_str().unwrap()]);
    let said = String::from_utf8(status.stdout).unwrap();
    assert!(said.contains("ready: no"), "{said}");
}

#[test]
fn the_other_forms_are_lines_of_what_is_not_as_it_was() {
    for form in ["short", "github"] {
        let output = run(&["check", "--format", form, MANIFESTS]);
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains("P0511") && text.contains("P0518"), "{form}: {text}");
        assert!(!text.contains("P0519") && !text.contains("Moving from"), "{form}: {text}");
    }
}
