//! The pages for operators keep their word: alerts ask for metrics that exist, logs say what they are said to say,
//! settings files are taken.

use std::collections::BTreeSet;

use crate::docs::asked;
use crate::tree;

#[test]
fn alerts_ask_for_metrics_that_exist_and_each_is_explained() {
    let alerts = tree::read("deploy/alerts.yaml".as_ref());
    let page = tree::read("docs/operations.md".as_ref());
    let metrics = tree::read("docs/metrics.md".as_ref());
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    for text in [&alerts, &page] {
        let words = text.split(|c| !is_name(c));
        let named: BTreeSet<_> = words
            .filter(|word| word.starts_with("portico_") || word.starts_with("coredns_"))
            .collect();
        assert!(!named.is_empty());
        for name in named {
            assert!(metrics.contains(&format!("`{name}`")), "{name} is not in docs/metrics.md");
        }
    }
    let names = alerts
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "));
    let rows = page
        .lines()
        .filter_map(|line| line.strip_prefix("| Portico")?.split_once(' '));
    let explained: Vec<_> = rows.map(|(name, _)| format!("Portico{name}")).collect();
    assert_eq!(names.collect::<Vec<_>>(), explained);
}

#[test]
fn every_word_of_the_log_of_requests_is_explained() {
    let page = tree::read("docs/logs.md".as_ref());
    let line = tree::read("proxy/src/l7/access/line.rs".as_ref());
    let entry = tree::read("proxy/src/l7/access/entry.rs".as_ref());
    let model = tree::read("config/src/model/access_log.rs".as_ref());
    let json = between(&line, "fn json(", "fn failed(");
    let keys =
        literals(json).filter(|word| word.bytes().all(|b| b == b'_' || b.is_ascii_lowercase()));
    let flags = literals(between(&entry, "fn text(self)", "\n    }\n"));
    let variables = between(&model, "const VARIABLES", "];\n");
    let variables = literals(variables).map(|name| format!("${name}"));
    let words: BTreeSet<String> = keys
        .chain(flags)
        .map(str::to_owned)
        .chain(variables)
        .collect();
    let values = ["", "true", "false"];
    for word in ["duration_ms", "sni", "own", "overload", "$upstream_addr"] {
        assert!(words.contains(word), "{word} in {words:?}");
    }
    let untold: Vec<_> = words
        .iter()
        .filter(|word| !values.contains(&word.as_str()) && !page.contains(&format!("`{word}`")))
        .collect();
    assert!(untold.is_empty(), "not in docs/logs.md: {untold:?}");
}

#[test]
fn settings_files_in_documents_are_taken() {
    let folder = tempfile::tempdir().unwrap();
    let mut taken = 0;
    for page in tree::files("docs", &["md"]) {
        let text = tree::read(&page);
        let blocks = text.split("```yaml\n").skip(1);
        let blocks = blocks.filter_map(|rest| Some(rest.split_once("```")?.0));
        for block in blocks.filter(|block| block.contains("kind: PorticoConfiguration")) {
            let file = folder.path().join("portico.yaml");
            std::fs::write(&file, block).unwrap();
            asked(&["config", "dump", "--config", file.to_str().unwrap()]);
            taken += 1;
        }
    }
    assert!(taken >= 2, "docs/settings.md and docs/operations.md have one");
}

/// The part of a text from one word to the next that follows.
fn between<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    let (_, rest) = text.split_once(from).expect("it begins");
    rest.split_once(to).expect("it ends").0
}

/// Its string literals.
fn literals(source: &str) -> impl Iterator<Item = &str> {
    source.split('"').skip(1).step_by(2)
}
