//! Each rule of `docs/conformance/dns.md` says which scripts and tests hold it, and they say so too.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::tree;

const PAGE: &str = "docs/conformance/dns.md";
const TABLE: &str = "| rule | held by |\n|---|---|\n";

#[test]
fn every_rule_of_names_is_held_by_tests_that_name_it() {
    let page = tree::read(PAGE.as_ref());
    let (rules, table) = page.split_once(TABLE).expect("the page ends in its table");
    let rules: BTreeSet<&str> = rules.lines().filter_map(rule).collect();
    assert!(rules.len() > 30, "{rules:?}");
    let rows: BTreeMap<&str, Vec<PathBuf>> = table.lines().filter_map(row).collect();
    assert_eq!(rows.len(), table.lines().count(), "a row for each rule, once");
    let held: BTreeSet<&str> = rows.keys().copied().collect();
    assert_eq!(held, rules, "rules and rows of {PAGE}");
    for (rule, files) in rows {
        assert!(!files.is_empty(), "{rule} is held by nothing");
        for file in files {
            let named = names(&file);
            assert!(named.contains(rule), "{}: does not name {rule}: {named:?}", file.display());
        }
    }
}

#[test]
fn scripts_and_tests_of_names_name_rules_that_there_are() {
    let page = tree::read(PAGE.as_ref());
    let rules: BTreeSet<&str> = page.lines().filter_map(rule).collect();
    let mut files = tree::files("dns/tests/scripts", &["dns"]);
    assert!(files.len() >= 10, "{files:?}");
    for folder in ["dns/src", "tests/it"] {
        files.extend(tree::files(folder, &["rs"]));
    }
    for file in files {
        for name in names(&file) {
            let is_chapter = !name.contains('.');
            let is_rule = rules
                .iter()
                .any(|rule| *rule == name || rule.starts_with(&format!("{name}.")));
            assert!(is_chapter || is_rule, "{}: there is no rule {name}", file.display());
        }
    }
}

/// `- **1.4 Types.** …`
fn rule(line: &str) -> Option<&str> {
    let id = line.strip_prefix("- **")?.split([' ', '*']).next()?;
    id.starts_with(|it: char| it.is_ascii_digit()).then_some(id)
}

/// `| 1.4 | [a](../../b), [c](../../d) |`
fn row(line: &str) -> Option<(&str, Vec<PathBuf>)> {
    let (id, rest) = line.strip_prefix("| ")?.split_once(" | ")?;
    let links = rest.split("](../../").skip(1);
    let files = links.filter_map(|link| Some(PathBuf::from(link.split_once(')')?.0)));
    Some((id, files.collect()))
}

/// The rules that a file names: `# 1.4, 1.5: why` in a script, `dns 1.4` elsewhere.
fn names(file: &Path) -> BTreeSet<String> {
    let text = tree::read(file);
    let parts: Vec<&str> = match file.extension() {
        Some(extension) if extension == "dns" => {
            let comments = text.lines().filter_map(|line| line.strip_prefix("# "));
            comments.flat_map(|it| it.split([' ', '('])).collect()
        }
        _ => text.split("dns ").skip(1).collect(),
    };
    let is_of_id = |it: char| it.is_ascii_digit() || it == '.';
    let id = |part: &str| {
        let end = part.find(|it| !is_of_id(it)).unwrap_or(part.len());
        let id = part.get(..end)?.trim_end_matches('.');
        let is_id = id.split('.').count() <= 3 && !id.is_empty() && !id.starts_with("127");
        is_id.then(|| id.to_owned())
    };
    parts.into_iter().filter_map(id).collect()
}

#[test]
fn rules_rows_and_names_are_seen() {
    assert_eq!(rule("- **1.3.4** Endpoint labels"), Some("1.3.4"));
    assert_eq!(rule("- **4.2 Cache**, of"), Some("4.2"));
    assert_eq!(rule("- A list"), None);
    let files = vec![PathBuf::from("b.rs"), PathBuf::from("d.dns")];
    assert_eq!(row("| 1.4 | [a](../../b.rs), [c](../../d.dns) |"), Some(("1.4", files)));
}
