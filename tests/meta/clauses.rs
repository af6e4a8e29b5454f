//! Each rule of `docs/conformance/http.md` says which tests hold it, and they say so too; each row of
//! that page and of `ingress.md` names places that there are, and a rule that some test names.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::tree;

const HTTP: &str = "docs/conformance/http.md";
const INGRESS: &str = "docs/conformance/ingress.md";
const HELD: &str = "| rule | held by |\n|---|---|\n";
/// How many rules each section of the reference *http-proxy* has, from section 0 on.
const SECTIONS: [u8; 10] = [5, 31, 13, 8, 10, 14, 10, 12, 9, 6];
/// Where tests of the front door are.
const TESTS: [&str; 6] =
    ["tests/it", "proxy/src", "proxy/tests", "net/src", "config/src", "config/tests"];

#[test]
fn every_rule_of_the_front_door_is_held_by_tests_that_name_it_or_said_not_to_be() {
    let page = tree::read(HTTP.as_ref());
    let (_, table) = page.split_once(HELD).expect("the page has its table");
    let lines: Vec<&str> = table
        .lines()
        .take_while(|line| line.starts_with('|'))
        .collect();
    let rows: BTreeMap<&str, Held> = lines.iter().filter_map(|line| held(line)).collect();
    assert_eq!(rows.len(), lines.len(), "a row for each rule, once, with tests or a reason");
    let rules: BTreeSet<String> = rules().collect();
    let rows_of: BTreeSet<String> = rows.keys().map(|id| (*id).to_owned()).collect();
    assert_eq!(rows_of, rules, "rules of the reference and rows of {HTTP}");
    let mut silent = Vec::new();
    for (rule, held) in rows {
        let Held::By(files) = held else { continue };
        let of_rule = |file: &PathBuf| names(&tests_of(file), "http-proxy ").contains(rule);
        let others = files.iter().filter(|file| !of_rule(file));
        silent.extend(others.map(|file| format!("{} does not name {rule}", file.display())));
    }
    assert_eq!(silent, Vec::<String>::new());
}

#[test]
fn tests_name_rules_that_there_are() {
    let rules: BTreeSet<String> = rules().collect();
    for file in TESTS.iter().flat_map(|folder| tree::files(folder, &["rs"])) {
        for name in names(&tree::read(&file), "http-proxy ") {
            let is_section = !name.contains('.') && rules.contains(&format!("{name}.1"));
            assert!(
                is_section || rules.contains(&name),
                "{}: there is no rule http-proxy {name}",
                file.display()
            );
        }
    }
}

#[test]
fn every_row_names_places_that_there_are_and_some_test_names_its_rule() {
    for (page, prefix) in [(HTTP, "http-proxy "), (INGRESS, "ingress ")] {
        let named: BTreeSet<String> = TESTS
            .iter()
            .flat_map(|folder| tree::files(folder, &["rs"]))
            .flat_map(|file| names(&tests_of(&file), prefix))
            .collect();
        let text = tree::read(page.as_ref());
        let rows: Vec<(&str, &str)> = text.lines().filter_map(|line| row(line, prefix)).collect();
        assert!(rows.len() > 20, "{page}: {rows:?}");
        let mut wrong = Vec::new();
        for (label, places) in rows {
            for id in ids(label) {
                let section = id.split('.').next().unwrap_or_default();
                let is_named = named.contains(&id) || (id == section && any_of(&named, section));
                if !is_named {
                    wrong.push(format!("no test names {prefix}{id}"));
                }
            }
            let places = spread(places);
            if places.is_empty() {
                wrong.push(format!("{label} is nowhere"));
            }
            let missing = places.iter().filter(|place| place_of(place).is_none());
            wrong.extend(missing.map(|place| format!("{label}: there is no {place}")));
        }
        assert_eq!(wrong, Vec::<String>::new(), "{page}");
    }
}

/// What a row says of its rule.
enum Held {
    By(Vec<PathBuf>),
    /// Why nothing holds it.
    Not,
}

/// `| 1.4 | [a](../../b), [c](../../d) |`, or words that begin with "not" or "nothing".
fn held(line: &str) -> Option<(&str, Held)> {
    let (id, rest) = line.strip_prefix("| ")?.split_once(" | ")?;
    let links = rest.split("](../../").skip(1);
    let files: Option<Vec<PathBuf>> = links
        .map(|link| Some(PathBuf::from(link.split_once(')')?.0)))
        .collect();
    let files = files?;
    match files.is_empty() {
        false => Some((id, Held::By(files))),
        true => rest.starts_with("no").then_some((id, Held::Not)),
    }
}

/// All rules of the reference.
fn rules() -> impl Iterator<Item = String> {
    SECTIONS
        .iter()
        .enumerate()
        .flat_map(|(section, count)| (1..=*count).map(move |item| format!("{section}.{item}")))
}

/// The label and the places of a row of the rules.
fn row<'a>(line: &'a str, prefix: &str) -> Option<(&'a str, &'a str)> {
    let rest = line.strip_prefix("| ")?.strip_prefix(prefix)?;
    let (label, rest) = rest.split_once(" | ")?;
    let (_, places) = rest.strip_suffix(" |")?.rsplit_once(" | ")?;
    Some((label, places))
}

/// The rules that a label names: `1.4, 1.5`, `1.1–1.3`, `2.4, affinity`.
fn ids(label: &str) -> Vec<String> {
    let mut all = BTreeSet::new();
    take_ids(label, &mut all);
    all.into_iter().collect()
}

/// The text of a file's tests: all of it, or what is behind `#[cfg(test)]` where it is no file of tests.
fn tests_of(file: &Path) -> String {
    let text = tree::read(file);
    let whole = file.components().any(|part| {
        matches!(part.as_os_str().to_str(), Some("tests" | "tests.rs" | "one_form.rs"))
    });
    match text.find("#[cfg(test)]") {
        _ if whole => text,
        Some(at) => text.get(at..).unwrap_or_default().to_owned(),
        None => String::new(),
    }
}

/// The rules that a text names: `http-proxy 1.4`, `http-proxy 1.4, 1.5`, `http-proxy 1.1–1.3`.
fn names(text: &str, prefix: &str) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for part in text.split(prefix).skip(1) {
        take_ids(part, &mut all);
    }
    all
}

/// The ids that a text begins with, and those between two ends.
fn take_ids(text: &str, all: &mut BTreeSet<String>) {
    let mut rest = text;
    let mut first: Option<(u8, u8)> = None;
    loop {
        let end = rest
            .find(|it: char| !it.is_ascii_digit() && it != '.')
            .unwrap_or(rest.len());
        let id = rest.get(..end).unwrap_or_default().trim_end_matches('.');
        let is_id = !id.is_empty() && id.split('.').count() <= 2 && !id.starts_with('.');
        if !is_id {
            return;
        }
        let parts = id.split_once('.');
        let pair =
            parts.and_then(|(section, item)| Some((section.parse().ok()?, item.parse().ok()?)));
        match (first.take(), pair) {
            (Some((section, from)), Some((same, to))) if section == same => {
                all.extend((from..=to).map(|item| format!("{section}.{item}")));
            }
            _ => drop(all.insert(id.to_owned())),
        }
        let behind = rest.get(end..).unwrap_or_default();
        let between = ["–", "` to `", " to "]
            .iter()
            .find_map(|it| behind.strip_prefix(it));
        let listed = [", ", "`, `", " and ", "` and `"]
            .iter()
            .find_map(|it| behind.strip_prefix(it));
        match (between, listed) {
            (Some(next), _) => (first, rest) = (pair, next),
            (None, Some(next)) => rest = next,
            (None, None) => return,
        }
    }
}

fn any_of(named: &BTreeSet<String>, section: &str) -> bool {
    let begin = format!("{section}.");
    named.iter().any(|name| name.starts_with(&begin))
}

/// The places in a cell, `a::{b, c}` taken apart.
fn spread(cell: &str) -> Vec<String> {
    let mut all = Vec::new();
    for place in cell.split('`').skip(1).step_by(2) {
        let parts = place.split_once('{').and_then(|(begin, rest)| {
            let (inner, end) = rest.split_once('}')?;
            Some((begin, inner, end))
        });
        match parts {
            Some((begin, inner, end)) => {
                let each = inner.split(',').map(str::trim);
                all.extend(each.map(|it| format!("{begin}{it}{end}")));
            }
            None => all.push(place.to_owned()),
        }
    }
    all
}

/// The file or folder of a place: a path, or a module from its crate or, of `proxy`, its plane on.
fn place_of(place: &str) -> Option<PathBuf> {
    if place.contains('/') {
        let path = PathBuf::from(place);
        return tree::root().join(&path).exists().then_some(path);
    }
    let mut parts = place.split("::");
    let base = match parts.next()? {
        "config" => "config/src".to_owned(),
        "proxy" => "proxy/src".to_owned(),
        "net" => "net/src".to_owned(),
        "dns" => "dns/src".to_owned(),
        plane @ ("l7" | "upstream") => format!("proxy/src/{plane}"),
        module => format!("src/{module}"),
    };
    let path = parts.fold(PathBuf::from(base), |path, part| path.join(part));
    let file = path.with_extension("rs");
    [path, file]
        .into_iter()
        .find(|it| tree::root().join(it).exists())
}

#[test]
fn ids_rows_and_places_are_read() {
    let read = |text: &str| names(text, "http-proxy ").into_iter().collect::<Vec<_>>();
    assert_eq!(read("x http-proxy 1.4: y http-proxy 2"), ["1.4", "2"]);
    assert_eq!(read("(`http-proxy 6.6` to `6.9`)"), ["6.6", "6.7", "6.8", "6.9"]);
    assert_eq!(read("http-proxy 1.1–1.3, 2.7, and"), ["1.1", "1.2", "1.3", "2.7"]);
    assert_eq!(read("\"http-proxy 3.2: the last\""), ["3.2"]);
    assert_eq!(ids("2.4, affinity"), ["2.4"]);
    assert_eq!(row("| ingress 1.4 | a | b | `c` |", "ingress "), Some(("1.4", "`c`")));
    assert_eq!(spread("`l7::h1::{a, b}`, `x`"), ["l7::h1::a", "l7::h1::b", "x"]);
    assert!(place_of("l7::h1").is_some() && place_of("l7::nowhere").is_none());
}
