//! Every diagnostic code has one page in `docs/diagnostics.md`, and its examples are true.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::Arc;

use portico_config::diagnostic::{Code, Diagnostic, Severity};
use portico_config::model::{HostFacts, Settings};
use portico_config::pipeline::Pipeline;
use portico_config::snapshot::Assignments;
use portico_config::source::Changes;

use crate::tree;

const PAGES: &str = "docs/diagnostics.md";

/// What to write for a code without a page.
fn template(code: Code) -> String {
    let severity = match code.severity() {
        Severity::Error => "Error",
        Severity::Warning => "Warning",
        Severity::Note => "Note",
    };
    format!(
        "## {code}: {}\n\n*{severity}.* What it means.\n\n```yaml wrong\n…\n```\n\n```yaml right\n…\n\
         ```\n\nWhy: the API field or RFC.\n\nMeanwhile: what portico does.\n",
        code.title()
    )
}

/// A page: its heading without `## `, and its text.
fn pages(text: &str) -> Vec<(&str, &str)> {
    text.split("\n## ")
        .skip(1)
        .filter(|page| is_code(page))
        .map(|page| page.split_once('\n').unwrap_or((page, "")))
        .collect()
}

fn is_code(page: &str) -> bool {
    let head = page.split(':').next().unwrap_or_default();
    head.len() == 5 && head.starts_with('P') && head[1..].bytes().all(|b| b.is_ascii_digit())
}

#[test]
fn every_code_has_one_page_with_its_title_and_severity() {
    let text = tree::read(PAGES.as_ref());
    let pages = pages(&text);
    for &code in Code::ALL {
        let template = template(code);
        let mut own = pages
            .iter()
            .filter(|(heading, _)| heading.starts_with(&code.to_string()));
        let (Some((heading, page)), None) = (own.next(), own.next()) else {
            panic!("{PAGES} must have one page of {code}, in the order of numbers:\n\n{template}");
        };
        assert_eq!(format!("## {heading}"), template.lines().next().unwrap_or_default());
        let severity = template.lines().nth(2).unwrap_or_default();
        let severity = &severity[..severity.find(".*").unwrap_or(0)];
        assert!(page.trim_start().starts_with(severity), "{code} begins with {severity}.*");
        assert!(page.contains("\nMeanwhile: "), "{code} says what portico does meanwhile");
        let source = page.contains("\nWhy: ") || page.contains("\nWay out: ");
        assert!(source, "{code} says why, or names the way out");
    }
    let known: BTreeSet<String> = Code::ALL.iter().map(ToString::to_string).collect();
    let numbers: Vec<&str> = pages.iter().map(|(heading, _)| &heading[..5]).collect();
    let invented: Vec<_> = numbers.iter().filter(|n| !known.contains(**n)).collect();
    assert!(invented.is_empty(), "{PAGES} has pages of codes that do not exist: {invented:?}");
    assert!(numbers.is_sorted(), "pages stand in the order of numbers: {numbers:?}");
}

#[test]
fn a_wrong_example_gets_its_code_and_a_right_one_gets_none() {
    let text = tree::read(PAGES.as_ref());
    let mut tried = 0;
    for (heading, page) in pages(&text) {
        let code = &heading[..5];
        for example in examples(page, "wrong") {
            tried += 1;
            let found = findings(example);
            let found: BTreeSet<String> =
                found.iter().map(|found| found.code.to_string()).collect();
            assert!(found.contains(code), "{code}: the wrong example gets {found:?}:\n{example}");
        }
        for example in examples(page, "right") {
            let found = findings(example);
            let wrong = |found: &&Diagnostic| {
                found.severity() == Severity::Error || found.code.to_string() == code
            };
            let wrong: Vec<String> = found
                .iter()
                .filter(wrong)
                .map(ToString::to_string)
                .collect();
            assert!(wrong.is_empty(), "{code}: the right example gets {wrong:?}:\n{example}");
        }
    }
    assert!(tried > 40, "examples are seen: {tried}");
}

/// The blocks marked `yaml KIND`.
fn examples<'a>(page: &'a str, kind: &str) -> Vec<&'a str> {
    page.split(&format!("```yaml {kind}\n"))
        .skip(1)
        .filter_map(|rest| rest.split_once("```"))
        .map(|(example, _)| example)
        .collect()
}

fn findings(manifest: &str) -> Arc<[Diagnostic]> {
    let written = vec![(Arc::new("example.yaml".into()), manifest.as_bytes().into())];
    let changes = Changes { written, ..Changes::default() };
    let settings = Arc::new(Settings::default());
    let mut pipeline = Pipeline::new(settings, HostFacts::default(), Assignments::default());
    pipeline.apply(changes, 1_800_000_000).diagnostics
}

#[test]
fn explain_prints_the_page_of_every_code() {
    let explain = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portico"));
        let output = command.arg("explain").args(arguments).output();
        output.expect("cargo has built the binary")
    };
    let list = explain(&[]);
    let list = String::from_utf8_lossy(&list.stdout);
    assert_eq!(list.lines().count(), Code::ALL.len());
    for code in [Code::Unreadable, Code::NodePortRange, Code::CertificateExpired] {
        let page = explain(&[&code.to_string()]);
        let page = String::from_utf8_lossy(&page.stdout);
        assert!(page.starts_with(&format!("{code}: {}\n", code.title())), "{page}");
        assert!(page.contains("Meanwhile: ") && !page.contains("```"), "{page}");
        assert_eq!(page.matches("Meanwhile: ").count(), 1, "one page alone: {page}");
    }
    let unknown = explain(&["P0399"]);
    let message = String::from_utf8_lossy(&unknown.stderr);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(message.contains("did you mean P0"), "{message}");
}
