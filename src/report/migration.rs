//! Who moves from ingress-nginx reads this: what becomes of each annotation (`ingress 3`).
//!
//! ```text
//! ready or not ─▶ what is not as it was, each reason once ─▶ Ingresses, the worst first
//! ```
//!
//! Pure. A thousand Ingresses are a page: reasons are grouped and name a few places, Ingresses are
//! folded as findings are. Which verdict an annotation has is the work of `verdict`.

mod list;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use portico_config::diagnostic::{Diagnostic, Position, Severity};
use portico_config::model::{ObjectName, ObjectRef};
use portico_config::snapshot::Snapshot;

use super::fold::{MAX_SHOWN, many};
use super::verdict::{PATH, Verdict, verdict};

/// What is known beside the findings.
pub(crate) struct Ground<'a> {
    /// What would serve.
    pub(crate) snapshot: &'a Snapshot,
    /// File and line of each Ingress.
    pub(crate) places: &'a BTreeMap<ObjectName, (Arc<PathBuf>, u32)>,
}

/// The lines; none where no Ingress of ours has an annotation of ingress-nginx. `all`: nothing is folded.
pub(crate) fn lines(findings: &[Diagnostic], ground: &Ground<'_>, all: bool) -> Vec<String> {
    let rows: Vec<Row<'_>> = findings.iter().filter_map(Row::of).collect();
    let mut ingresses: BTreeMap<&ObjectRef, Vec<&Row<'_>>> = BTreeMap::new();
    for row in &rows {
        ingresses.entry(row.object).or_default().push(row);
    }
    if ingresses.is_empty() {
        return Vec::new();
    }
    let is_refused = |found: &Diagnostic| {
        let is_ingress = found
            .object
            .as_ref()
            .is_some_and(|it| &*it.kind == "Ingress");
        (is_ingress || verdict(found).is_some()) && found.severity() == Severity::Error
    };
    let ready = !findings.iter().any(is_refused);
    let mut lines = summary(&ingresses, ready);
    let most = if all { usize::MAX } else { MAX_SHOWN };
    for verdict in Verdict::ALL {
        lines.extend(reasons(verdict, &rows, most));
    }
    lines.extend(list::lines(&ingresses, ground, most));
    lines
}

/// One finding about an annotation.
struct Row<'a> {
    object: &'a ObjectRef,
    name: &'a str,
    verdict: Verdict,
    found: &'a Diagnostic,
}

impl<'a> Row<'a> {
    fn of(found: &'a Diagnostic) -> Option<Self> {
        let (name, verdict) = verdict(found)?;
        Some(Self { object: found.object.as_ref()?, name, verdict, found })
    }

    /// Why, without which line of a snippet it is.
    fn reason(&self) -> &'a str {
        let text = &*self.found.message;
        let rest = text
            .strip_prefix("line ")
            .and_then(|rest| rest.split_once(", "));
        rest.map_or(text, |(_, rest)| rest)
    }

    /// `shop/web (web.yaml:3:5)`.
    fn place(&self) -> String {
        let name = self.object.to_string();
        let name = name.strip_prefix("Ingress ").unwrap_or(&name);
        match (&self.found.file, self.found.position) {
            (Some(file), Some(Position { line, column })) => {
                format!("{name} ({}:{line}:{column})", file.display())
            }
            _ => name.to_owned(),
        }
    }
}

type Ingresses<'a> = BTreeMap<&'a ObjectRef, Vec<&'a Row<'a>>>;

/// The annotations of one Ingress by what becomes of them: the worst of what is said counts.
fn by_verdict<'a>(rows: &[&Row<'a>]) -> BTreeMap<Verdict, BTreeSet<&'a str>> {
    let mut worst: BTreeMap<&str, Verdict> = BTreeMap::new();
    for row in rows {
        let entry = worst.entry(row.name).or_insert(row.verdict);
        *entry = row.verdict.min(*entry);
    }
    let mut names: BTreeMap<Verdict, BTreeSet<&str>> = BTreeMap::new();
    for (name, verdict) in worst {
        names.entry(verdict).or_default().insert(name);
    }
    names
}

/// Whether it can move, and of how many annotations that is said.
fn summary(ingresses: &Ingresses<'_>, ready: bool) -> Vec<String> {
    let mut totals: BTreeMap<Verdict, (usize, usize)> = BTreeMap::new();
    let (mut annotations, mut keys, mut maps) = (0, 0, 0);
    for (object, rows) in ingresses {
        let names = by_verdict(rows);
        let count = names
            .values()
            .flatten()
            .filter(|name| **name != PATH)
            .count();
        match &*object.kind == "Ingress" {
            true => annotations += count,
            false => (keys, maps) = (keys + count, maps + 1),
        }
        for (verdict, names) in names {
            let (count, of) = totals.entry(verdict).or_default();
            *count += names.len();
            *of += 1;
        }
    }
    let of = many(ingresses.len() - maps, "Ingress");
    let mut what = format!("{of} with {}", many(annotations, "annotation"));
    if maps > 0 {
        what += &format!(", {} of its own with {}", many(maps, "ConfigMap"), many(keys, "key"));
    }
    let ready = if ready { "yes" } else { "no" };
    let mut lines = vec![format!("Moving from ingress-nginx, ready: {ready}"), what];
    for verdict in Verdict::ALL {
        let (count, of) = totals.get(&verdict).copied().unwrap_or_default();
        let of = if count == 0 { String::new() } else { format!(" in {}", many(of, "object")) };
        lines.push(format!("  {:9} {count}{of}", verdict.label()));
    }
    lines.push(String::new());
    lines
}

/// Each reason once, with what replaces it and where it is met first; of what is supported the names.
fn reasons(verdict: Verdict, rows: &[Row<'_>], most: usize) -> Vec<String> {
    let mut groups: BTreeMap<(&str, &str, Option<&str>), Vec<&Row<'_>>> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.verdict == verdict) {
        let key = (row.name, row.reason(), row.found.help.as_deref());
        groups.entry(key).or_default().push(row);
    }
    if groups.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![verdict.label().to_owned()];
    if verdict == Verdict::Supported {
        let names = groups
            .iter()
            .map(|((name, ..), rows)| format!("{name} {}", rows.len()));
        lines.extend(wrapped("  ", names));
        lines.push(String::new());
        return lines;
    }
    for ((name, reason, instead), rows) in groups.iter().take(most) {
        lines.push(format!("  {name}: {reason}"));
        lines.extend(instead.map(|instead| format!("      {instead}")));
        let first: Vec<_> = rows
            .iter()
            .take(MAX_PLACES)
            .map(|row| row.place())
            .collect();
        let more = match rows.len().saturating_sub(MAX_PLACES) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        lines.push(format!("      {}{more}", first.join(", ")));
    }
    if groups.len() > most {
        lines.push(format!("  {} more reasons; --all shows them", groups.len() - most));
    }
    lines.push(String::new());
    lines
}

/// Words with commas, in lines of [`WIDTH`] columns, the first behind `begin`.
fn wrapped(begin: &str, words: impl Iterator<Item = String>) -> Vec<String> {
    let mut lines = vec![begin.to_owned()];
    let mut words = words.peekable();
    let mut is_first = true;
    while let Some(word) = words.next() {
        let comma = if words.peek().is_some() { "," } else { "" };
        let last = lines.last().map_or(0, |line| line.chars().count());
        if !is_first && last + 1 + word.len() + comma.len() > WIDTH {
            lines.push(" ".repeat(begin.len()));
            is_first = true;
        }
        if let Some(line) = lines.last_mut() {
            let blank = if is_first { "" } else { " " };
            *line += &format!("{blank}{word}{comma}");
        }
        is_first = false;
    }
    lines
}

/// Places, and hosts, that are named.
const MAX_PLACES: usize = 3;
/// Of lists of names.
const WIDTH: usize = 100;

#[cfg(test)]
mod tests {
    use portico_config::diagnostic::{Code, FieldPath};
    use portico_config::model::annotation::PREFIX;

    use super::*;

    fn found(ingress: &str, code: Code, name: &str, text: &str) -> Diagnostic {
        let field = FieldPath::from("metadata.annotations").key(&format!("{PREFIX}{name}"));
        let object = ObjectRef {
            api_version: "networking.k8s.io/v1".into(),
            kind: "Ingress".into(),
            namespace: Some("default".into()),
            name: ingress.into(),
        };
        Diagnostic { object: Some(object), field: Some(field), ..Diagnostic::new(code, text) }
    }

    fn of(findings: &[Diagnostic], all: bool) -> Vec<String> {
        let (snapshot, places) = (Snapshot::default(), BTreeMap::new());
        lines(findings, &Ground { snapshot: &snapshot, places: &places }, all)
    }

    #[test]
    fn the_worst_that_is_said_of_an_annotation_counts_and_reasons_stand_once() {
        let mut findings: Vec<_> = (0..5)
            .map(|n| found(&format!("web-{n}"), Code::AnnotationSupported, "affinity", "as there"))
            .collect();
        let lines_of = ["line 1, `deny`: no", "line 7, `deny`: no"];
        findings.extend(lines_of.map(|text| {
            let found = found("web-1", Code::AnnotationCloses, "server-snippet", text);
            Diagnostic { help: Some("instead: a list".to_owned()), ..found }
        }));
        findings.push(found("web-1", Code::AnnotationDiffers, "server-snippet", "else"));
        let got = of(&findings, false).join("\n");
        let want = "\
Moving from ingress-nginx, ready: no
5 Ingresses with 6 annotations
  refused   1 in 1 object
  differs   0
  ignored   0
  supported 5 in 5 objects

refused
  server-snippet: `deny`: no
      instead: a list
      default/web-1, default/web-1

differs
  server-snippet: else
      default/web-1

supported
  affinity 5

Ingress default/web-1
  refused   server-snippet
  supported affinity
Ingress default/web-0
  supported affinity
Ingress default/web-2
  supported affinity
Ingress default/web-3
  supported affinity
Ingress default/web-4
  supported affinity
";
        assert_eq!(got, want, "ingress 3");
    }

    #[test]
    fn a_thousand_ingresses_are_a_page() {
        let mut findings = Vec::new();
        for n in 0..1_000 {
            let name = format!("web-{n:04}");
            findings.push(found(&name, Code::AnnotationIgnored, "proxy-buffering", "streams"));
            findings.push(found(&name, Code::AnnotationSupported, "affinity", "as there"));
            findings.push(found(&name, Code::AnnotationCloses, "auth-secret", &format!("no {n}")));
        }
        let short = of(&findings, false);
        assert!(short.len() < 160, "{}", short.len());
        for want in [
            "1000 Ingresses with 3000 annotations",
            "      default/web-0000, default/web-0001, default/web-0002 and 997 more",
            "  980 more reasons; --all shows them",
            "980 more objects; --all shows them",
        ] {
            assert!(short.iter().any(|line| line == want), "{want} in {short:#?}");
        }
        assert!(of(&findings, true).len() > 4_000);
        assert_eq!(of(&[], false), Vec::<String>::new());
    }

    #[test]
    fn an_ingress_whose_path_is_refused_is_not_ready() {
        let supported = found("web", Code::AnnotationSupported, "use-regex", "as there");
        let path = Diagnostic {
            field: Some(FieldPath::from("spec.rules[0].http.paths[0].path")),
            ..found("web", Code::AnnotationCloses, "", "cannot be a pattern")
        };
        for (findings, want) in [
            (vec![supported.clone()], "Moving from ingress-nginx, ready: yes"),
            (vec![supported, path], "Moving from ingress-nginx, ready: no"),
        ] {
            assert_eq!(of(&findings, false)[0], want, "ingress 3");
        }
    }

    #[test]
    fn names_stand_in_lines_of_bounded_width() {
        let words = || (0..30).map(|n| format!("annotation-{n}"));
        let lines = wrapped("  supported ", words());
        assert!(lines.len() > 3 && lines.iter().all(|line| line.len() <= WIDTH), "{lines:?}");
        assert!(lines[1].starts_with("            annotation-"), "{lines:?}");
        let joined: Vec<String> = lines.iter().map(|line| line.trim().to_owned()).collect();
        let all: Vec<String> = words().collect();
        assert_eq!(joined.join(" "), format!("supported {}", all.join(", ")));
    }
}
