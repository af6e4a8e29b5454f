//! Each clause of the reference *ingress* has a row in `docs/conformance/ingress.md`, and each rule of
//! `docs/conformance/reliability.md` one there; a row names the tests that hold it, or says why none does.
//! The tests are there.
//!
//! Clauses are counted for each section in the order of the reference; those of 2.4 to 2.7 that are about
//! an annotation are called by its name, and `docs/annotations.md` says which there are.

use std::collections::BTreeSet;

use crate::tree;

const PAGE: &str = "docs/conformance/ingress.md";
const RELIABILITY: &str = "docs/conformance/reliability.md";
const ANNOTATIONS: &str = "docs/annotations.md";
const HELD: &str = "| clause | asks | held by |\n|---|---|---|\n";
/// How many clauses each section has beside those that an annotation names.
const SECTIONS: [(&str, u8); 19] = [
    ("1.1", 16),
    ("1.2", 4),
    ("1.3", 7),
    ("1.4", 5),
    ("1.5", 5),
    ("1.6", 5),
    ("1.7", 4),
    ("1.8", 2),
    ("1.9", 11),
    ("1.10", 15),
    ("2.1", 9),
    ("2.2", 8),
    ("2.3", 2),
    ("2.6", 2),
    ("2.7", 1),
    ("2.8", 14),
    ("3", 6),
    ("4", 17),
    ("6", 12),
];
/// Where each file is an input of one test, which takes all of them.
const TAKEN_WHOLE: [&str; 2] = ["config/tests/golden/", "tests/fixtures/"];

/// A row: the clause, what it asks, and who holds it.
type Row<'a> = (&'a str, &'a str, &'a str);

fn rows(page: &str) -> Vec<Row<'_>> {
    let (_, table) = page.split_once(HELD).expect("the page has its table");
    let lines = table.lines().take_while(|line| line.starts_with("| "));
    lines
        .map(|line| row(line).unwrap_or_else(|| panic!("no row: {line}")))
        .collect()
}

fn row(line: &str) -> Option<Row<'_>> {
    let cells = line.strip_prefix("| ")?.strip_suffix(" |")?;
    let (clause, rest) = cells.split_once(" | ")?;
    let (asks, held) = rest.split_once(" | ")?;
    Some((clause, asks, held))
}

/// The places in a cell: what stands in code and has a folder.
fn places(held: &str) -> impl Iterator<Item = &str> {
    let code = held.split('`').skip(1).step_by(2);
    code.filter(|text| text.contains('/') && !text.starts_with('/'))
}

/// The names of the tests in a file.
fn tests_of(text: &str) -> BTreeSet<&str> {
    let mut names = BTreeSet::new();
    let mut is_test = false;
    for line in text.lines().map(str::trim) {
        is_test |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
        let Some((_, rest)) = line.split_once("fn ").filter(|_| is_test) else { continue };
        names.extend(rest.split('(').next());
        is_test = false;
    }
    names
}

/// What is wrong with a place, if anything.
fn fault(place: &str) -> Option<&'static str> {
    let (file, test) = place
        .split_once("::")
        .map_or((place, None), |(file, test)| (file, Some(test)));
    if !tree::root().join(file).is_file() {
        return Some("there is no such file");
    }
    let is_taken = || TAKEN_WHOLE.iter().any(|folder| file.starts_with(folder));
    match test {
        Some(test) => {
            (!tests_of(&tree::read(file.as_ref())).contains(test)).then_some("no such test")
        }
        None => (!is_taken()).then_some("it is not said which test of it"),
    }
}

#[test]
fn every_clause_of_the_front_door_has_one_row() {
    let page = tree::read(PAGE.as_ref());
    let rows = rows(&page);
    let ids: BTreeSet<String> = rows.iter().map(|(id, ..)| (*id).to_owned()).collect();
    assert_eq!(ids.len(), rows.len(), "a clause has one row");
    let (named, numbered): (Vec<_>, Vec<_>) = ids.iter().partition(|id| id.contains(' '));
    let numbered: BTreeSet<String> = numbered.into_iter().cloned().collect();
    let clauses = SECTIONS
        .iter()
        .flat_map(|(section, count)| (1..=*count).map(move |clause| format!("{section}.{clause}")));
    assert_eq!(numbered, clauses.collect(), "clauses of the reference and rows of {PAGE}");
    let named: BTreeSet<&str> = named
        .iter()
        .filter_map(|id| id.strip_prefix("2.")?.split_once(' '))
        .map(|(_, name)| name)
        .collect();
    let annotations = tree::read(ANNOTATIONS.as_ref());
    let (_, table) = annotations
        .split_once("| annotation | tier |")
        .expect("the page lists annotations");
    let known: BTreeSet<&str> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
        .map(|(name, _)| name)
        .collect();
    assert!(known.len() > 100, "{}", known.len());
    assert_eq!(named, known, "annotations of {ANNOTATIONS} and rows of {PAGE}");
}

#[test]
fn every_row_names_tests_that_there_are_or_a_reason() {
    let pages = [PAGE, RELIABILITY].map(|page| tree::read(page.as_ref()));
    let mut wrong = Vec::new();
    for (clause, _, held) in pages.iter().flat_map(|page| rows(page)) {
        let mut places = places(held).peekable();
        if places.peek().is_none() && !held.starts_with("not") {
            wrong.push(format!("{clause}: neither a test nor a reason"));
        }
        let faults = places.filter_map(|place| Some((place, fault(place)?)));
        wrong.extend(faults.map(|(place, fault)| format!("{clause}: {place}: {fault}")));
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn every_rule_of_reliability_has_a_row() {
    let page = tree::read(RELIABILITY.as_ref());
    let held: BTreeSet<&str> = rows(&page).iter().map(|(id, ..)| *id).collect();
    let mut rules = page
        .lines()
        .filter_map(|line| line.strip_prefix("| reliability ")?.split(" | ").next())
        .flat_map(|ids| ids.split([',', '–']).map(str::trim));
    let missing: Vec<_> = rules.by_ref().filter(|id| !held.contains(id)).collect();
    assert_eq!(missing, Vec::<&str>::new());
}

#[test]
fn rows_places_and_tests_are_read() {
    let held = "`a/b.rs::c`, `a/d.yaml`; not `/e`, nor `f`";
    let line = format!("| 1.1.2 | `x` or y | {held} |");
    assert_eq!(row(&line), Some(("1.1.2", "`x` or y", held)));
    assert_eq!(places(held).collect::<Vec<_>>(), ["a/b.rs::c", "a/d.yaml"]);
    let text = "#[test]\nfn one() {}\nfn two() {}\n#[tokio::test]\nasync fn three() {}\n";
    assert_eq!(tests_of(text), BTreeSet::from(["one", "three"]));
    assert_eq!(fault("tests/meta/ingress.rs::rows_places_and_tests_are_read"), None);
    assert!(fault("tests/meta/ingress.rs::rows").is_some());
    assert!(fault("tests/meta/ingress.rs").is_some() && fault("tests/nothing.rs::a").is_some());
}
