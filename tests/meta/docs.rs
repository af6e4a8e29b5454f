//! The documents keep their word: headers, links, commands, flags, metrics and decisions exist.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use portico_config::model::annotation::{ROWS, Role, Row, Seen, Standing};
use portico_config::model::controller_key::{Becomes, ControllerKey, KEYS};

use crate::tree;

/// Between these two lines `docs/settings.md` is written by this test.
const GENERATED: &str = "<!-- Generated from src/settings/table.rs: CONTRIBUTING.md says how. -->";
/// And `docs/annotations.md`, between this line and the same end.
const FROM_ROWS: &str = "<!-- Generated from config/src/model/annotation.rs likewise. -->";
/// And `docs/migrate-from-ingress-nginx.md`.
const FROM_KEYS: &str = "<!-- Generated from config/src/model/controller_key.rs likewise. -->";
const END_OF_GENERATED: &str = "<!-- End of the generated part. -->";
/// The two commands of the README, in their order.
const README_COMMANDS: [&str; 2] = ["cargo run --release -- demo", "cargo test --workspace"];

#[test]
fn every_source_file_begins_with_its_purpose() {
    for file in tree::files(".", &["rs"]) {
        let source = tree::read(&file);
        assert!(source.starts_with("//! "), "{}: no header", file.display());
        assert!(!source.starts_with("//! placeholder"), "{}: placeholder", file.display());
    }
}

#[test]
fn every_relative_link_leads_somewhere() {
    let mut broken = Vec::new();
    for file in tree::files(".", &["md"]) {
        let folder = tree::root()
            .join(&file)
            .parent()
            .map(Path::to_owned)
            .unwrap_or_default();
        for link in links(&tree::read(&file)) {
            let (target, _) = link.split_once('#').unwrap_or((&link, ""));
            let elsewhere = link.contains("://") || link.starts_with("mailto:");
            if !elsewhere && !target.is_empty() && !folder.join(target).exists() {
                broken.push(format!("{}: {link}", file.display()));
            }
        }
    }
    assert_eq!(broken, Vec::<String>::new());
}

#[test]
fn the_readme_sets_up_with_two_commands() {
    let readme = tree::read("README.md".as_ref());
    let commands: Vec<&str> = shell_lines(&readme).collect();
    assert!(commands.len() > 2, "{commands:?}");
    assert_eq!(commands[..2], README_COMMANDS);
}

#[test]
fn every_command_of_the_readme_exists() {
    let readme = tree::read("README.md".as_ref());
    let names: BTreeSet<&str> = shell_lines(&readme)
        .filter_map(|line| line.strip_prefix("portico "))
        .filter_map(|rest| rest.split_whitespace().next())
        .chain(["demo", "echo"])
        .collect();
    assert!(names.contains("run") && names.contains("check"), "{names:?}");
    for name in names {
        assert!(help(name).contains("Usage"), "portico {name} --help");
    }
}

#[test]
fn the_readme_shows_the_settings_that_short_help_does() {
    let readme = tree::read("README.md".as_ref());
    let chapter = readme.split_once("## The flags that matter\n");
    let (table, _) = chapter
        .and_then(|(_, rest)| rest.split_once("\n\nEach is"))
        .expect("the README has that table");
    let rows = table.lines().filter_map(|row| row.split('|').nth(1));
    let shown: BTreeSet<String> = rows.flat_map(flags).collect();
    let mut short = flags(&asked(&["run", "-h"]));
    short.remove("--help");
    assert_eq!(short, shown);
}

#[test]
fn the_settings_are_documented_as_they_are() {
    let page = tree::read("docs/settings.md".as_ref());
    let (before, rest) = page
        .split_once(GENERATED)
        .expect("the page marks its generated part");
    let (_, after) = rest
        .split_once(END_OF_GENERATED)
        .expect("the page marks where that ends");
    let reference = portico::settings::reference();
    let want = format!("{before}{GENERATED}\n\n{reference}\n{END_OF_GENERATED}{after}");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(tree::root().join("docs/settings.md"), &want).expect("the page is written");
    } else {
        assert!(page == want, "run: UPDATE_DOCS=1 cargo test -p portico --test meta");
    }
}

#[test]
fn annotations_of_ingress_nginx_are_documented_as_they_are() {
    let page = tree::read("docs/annotations.md".as_ref());
    let parts = page
        .split_once(FROM_ROWS)
        .and_then(|(before, rest)| Some((before, rest.split_once(END_OF_GENERATED)?.1)));
    let (before, after) = parts.expect("the page marks its generated part");
    let rows: String = ROWS.iter().map(annotation).collect();
    let want = format!(
        "{before}{FROM_ROWS}\n\n| annotation | tier | for | default | portico |\n\
         |---|---|---|---|---|\n{rows}\n{END_OF_GENERATED}{after}"
    );
    if std::env::var_os("UPDATE_DOCS").is_some() {
        let path = tree::root().join("docs/annotations.md");
        std::fs::write(path, &want).expect("the page is written");
    } else {
        assert!(page == want, "run: UPDATE_DOCS=1 cargo test -p portico --test meta");
    }
}

#[test]
fn keys_of_ingress_nginx_are_documented_as_they_are() {
    let page = tree::read("docs/migrate-from-ingress-nginx.md".as_ref());
    let parts = page
        .split_once(FROM_KEYS)
        .and_then(|(before, rest)| Some((before, rest.split_once(END_OF_GENERATED)?.1)));
    let (before, after) = parts.expect("the page marks its generated part");
    let row = |key: &ControllerKey| {
        let becomes = match key.becomes {
            Becomes::Settings(which) => format!("setting `{}`", which.replace(" and ", "` and `")),
            Becomes::Annotation(which) => format!("annotation {which}"),
            Becomes::Nothing(why) => format!("nothing: {why}"),
            Becomes::Each(which) => {
                format!("**refused** for all; annotation {which} on each Ingress")
            }
            Becomes::Refused(why) => format!("**refused**: {why}"),
            Becomes::Lines => {
                "**refused**: the report has what takes the place of each line".to_owned()
            }
        };
        format!("| `{}` | {becomes} |\n", key.name)
    };
    let rows: String = KEYS.iter().map(row).collect();
    let want = format!(
        "{before}{FROM_KEYS}\n\n| key | what does its work |\n|---|---|\n{rows}\n{END_OF_GENERATED}{after}"
    );
    if std::env::var_os("UPDATE_DOCS").is_some() {
        let path = tree::root().join("docs/migrate-from-ingress-nginx.md");
        std::fs::write(path, &want).expect("the page is written");
    } else {
        assert!(page == want, "run: UPDATE_DOCS=1 cargo test -p portico --test meta");
    }
    let settings = portico::settings::reference();
    for key in KEYS {
        let Becomes::Settings(which) = key.becomes else { continue };
        for setting in which.split(" and ") {
            assert!(settings.contains(&format!("`{setting}`")), "{}: {setting}", key.name);
        }
    }
}

/// One row of the page.
fn annotation(row: &Row) -> String {
    let default = match row.default {
        "" => String::new(),
        default => format!("`{default}`"),
    };
    let done = match row.role {
        Role::Tuning => "done",
        _ => "done; a value that cannot be read closes",
    };
    let standing = match (row.standing, row.role) {
        (Standing::Supported, _) => done.to_owned(),
        (Standing::Differs(seen, how), _) => {
            let values = match seen {
                Seen::Always => String::new(),
                Seen::Is(value) => format!(" for `{value}`"),
                Seen::Begins(text) => format!(" for `{text}…`"),
            };
            format!("{done}. **Differs**{values}: {how}")
        }
        (Standing::Later, _) => "not done yet: no effect".to_owned(),
        (Standing::Ignored(why), _) => format!("not needed: {why}"),
        (Standing::Refused(why), _) => format!("refused: {why}"),
        (Standing::Closes(why), _) => format!("**closes**: {why}"),
        (Standing::Lines, _) => {
            "refused, each line by itself; one that may guard **closes**".to_owned()
        }
    };
    format!("| `{}` | {} | {} | {default} | {standing} |\n", row.name, row.tier, row.does)
}

#[test]
fn settings_describes_every_flag_and_no_other() {
    let known: BTreeSet<String> = [
        "run",
        "check",
        "diff",
        "explain",
        "status",
        "demo",
        "echo",
        "config dump",
        "dns setup",
        "completions",
    ]
    .into_iter()
    .flat_map(|command| flags(&help(command)))
    .collect();
    assert!(known.contains("--http"), "{known:?}");
    let settings = flags(&tree::read("docs/settings.md".as_ref()));
    let missing: Vec<_> = known
        .difference(&settings)
        .filter(|flag| !matches!(flag.as_str(), "--help" | "--version"))
        .collect();
    assert!(missing.is_empty(), "not in docs/settings.md: {missing:?}");
    let invented: Vec<_> = settings.difference(&known).collect();
    assert!(invented.is_empty(), "in docs/settings.md alone: {invented:?}");
}

#[test]
fn every_metric_is_described() {
    let described = tree::read("docs/metrics.md".as_ref());
    let mut missing = BTreeSet::new();
    for folder in ["src", "config/src", "net/src", "proxy/src", "dns/src"] {
        for file in tree::files(folder, &["rs"]) {
            let source = tree::read(&file);
            missing.extend(
                metrics(&source)
                    .filter(|name| !described.contains(&format!("`{name}`")))
                    .map(|name| format!("{}: {name}", file.display())),
            );
        }
    }
    assert!(missing.is_empty(), "not in docs/metrics.md: {missing:#?}");
}

#[test]
fn decisions_are_numbered_indexed_and_whole() {
    let index = tree::read("docs/decisions/README.md".as_ref());
    let records: Vec<_> = tree::files("docs/decisions", &["md"])
        .into_iter()
        .filter(|file| !file.ends_with("README.md"))
        .collect();
    assert!(!records.is_empty());
    for (number, file) in (1..).zip(&records) {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        assert!(name.starts_with(&format!("{number:04}-")), "{name} is not number {number}");
        assert!(index.contains(&format!("]({name})")), "{name} is not in the index");
        let record = tree::read(file);
        for part in ["\n## Context\n", "\n## Decision\n", "\n## Consequences\n"] {
            assert!(record.contains(part), "{name} has no {}", part.trim());
        }
    }
}

#[test]
fn the_repository_speaks_of_itself_alone() {
    // Put together here, so that this file does not hold them.
    let foreign = [
        ["/wo", "rk/"],
        ["/ro", "ot/"],
        ["../sha", "red"],
        ["DESI", "GN.md"],
        ["STY", "LE.md"],
        ["MISS", "ION.md"],
    ]
    .map(|parts| parts.concat());
    for file in tree::files(".", &["rs", "md", "toml", "yaml", "yml", "json", "service", ""]) {
        let full = tree::root().join(&file);
        let Ok(text) = std::fs::read_to_string(full) else { continue };
        for word in &foreign {
            assert!(!text.contains(word), "{}: {word}", file.display());
        }
    }
}

/// Targets of `[text](target)` outside of code.
fn links(markdown: &str) -> Vec<String> {
    let mut links = Vec::new();
    let mut in_code = false;
    for line in markdown.lines() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        let prose: String = line.split('`').step_by(2).collect::<Vec<_>>().join("_");
        let targets = prose
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split_once(')'));
        links.extend(targets.map(|(target, _)| target.to_owned()));
    }
    links
}

/// Lines of the blocks marked `sh`, without comments.
fn shell_lines(markdown: &str) -> impl Iterator<Item = &str> {
    markdown
        .split("```sh\n")
        .skip(1)
        .filter_map(|rest| rest.split_once("```"))
        .flat_map(|(block, _)| block.lines())
        .map(|line| line.split(" #").next().unwrap_or(line).trim())
        .filter(|line| !line.is_empty())
}

/// Every `--long-flag` that is named.
fn flags(text: &str) -> BTreeSet<String> {
    text.split(|c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'))
        .filter(|word| word.starts_with("--") && word[2..].starts_with(char::is_alphabetic))
        .map(|word| word.trim_end_matches('-').to_owned())
        .collect()
}

/// String literals that name a metric of ours, not one of our crates.
fn metrics(source: &str) -> impl Iterator<Item = &str> {
    source.split('"').filter(|literal| {
        let name = literal.strip_prefix("portico_").unwrap_or_default();
        let is_name = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        !name.is_empty()
            && name.bytes().all(is_name)
            && !matches!(name, "config" | "net" | "proxy" | "dns")
    })
}

fn help(command: &str) -> String {
    asked(&command.split(' ').chain(["--help"]).collect::<Vec<_>>())
}

/// What portico says to these arguments.
pub(crate) fn asked(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_portico"))
        .args(arguments)
        .output()
        .expect("cargo has built the binary");
    assert!(output.status.success(), "portico {arguments:?}: {:?}", output.status);
    String::from_utf8(output.stdout).expect("help is UTF-8")
}

#[test]
fn links_flags_and_metrics_are_seen() {
    let text = "See [a](b.md#c), not `[x](y)`.\n```sh\nportico run . # [n](o)\n```\n[d](e)";
    assert_eq!(links(text), ["b.md#c", "e"]);
    assert_eq!(shell_lines(text).collect::<Vec<_>>(), ["portico run ."]);
    assert_eq!(flags("`--dns-ttl`, -h, --http=1"), ["--dns-ttl", "--http"].map(Into::into).into());
    let source = r#"name("portico_l4_connections_total"), target: "portico_dns", "portico_{x}""#;
    assert_eq!(metrics(source).collect::<Vec<_>>(), ["portico_l4_connections_total"]);
}
