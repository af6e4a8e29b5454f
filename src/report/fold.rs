//! Repetition: the same mistake in one file is shown [`MAX_SHOWN`] times, then counted.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use portico_config::diagnostic::{Code, Diagnostic, Severity};

/// What stands in a report.
#[derive(Debug)]
pub(super) enum Item<'a> {
    /// A finding.
    Finding(&'a Diagnostic),
    /// More like it in the same file.
    More(More<'a>),
}

/// How many findings of one code are left out of one file's.
#[derive(Debug)]
pub(super) struct More<'a> {
    code: Code,
    file: Option<&'a Path>,
    count: usize,
}

impl fmt::Display for Item<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Finding(found) => found.fmt(f),
            Self::More(More { code, file, count }) => {
                let file = file.map_or_else(String::new, |file| format!("{}: ", file.display()));
                write!(f, "{file}{count} more of {code}; --all shows them")
            }
        }
    }
}

/// The findings in their order; what is left out of a file is counted after its last one.
pub(super) fn fold(findings: &[Diagnostic], all: bool) -> impl Iterator<Item = Item<'_>> {
    let files = findings.chunk_by(|one, other| one.file == other.file);
    files.flat_map(move |findings| {
        let mut counts: BTreeMap<Code, usize> = BTreeMap::new();
        let mut items = Vec::new();
        for found in findings {
            let count = counts.entry(found.code).or_default();
            *count += 1;
            if all || *count <= MAX_SHOWN {
                items.push(Item::Finding(found));
            }
        }
        let file = findings[0].file.as_ref().map(|file| file.as_path());
        let more = counts
            .into_iter()
            .filter(|(_, count)| !all && *count > MAX_SHOWN)
            .map(|(code, count)| Item::More(More { code, file, count: count - MAX_SHOWN }));
        items.extend(more);
        items
    })
}

/// How many errors and warnings there are.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Counts {
    /// Refused objects and files, by their reasons.
    pub(crate) errors: usize,
    /// What is used all the same.
    pub(crate) warnings: usize,
}

impl Counts {
    /// Counts findings.
    pub(crate) fn of(findings: &[Diagnostic]) -> Self {
        let count = |severity| {
            let found = findings.iter();
            found.filter(|found| found.severity() == severity).count()
        };
        Self { errors: count(Severity::Error), warnings: count(Severity::Warning) }
    }

    /// Files with errors or warnings, in the order of the findings.
    pub(crate) fn by_file(findings: &[Diagnostic]) -> impl Iterator<Item = (String, Self)> {
        let files = findings.chunk_by(|one, other| one.file == other.file);
        files
            .filter_map(|findings| {
                let file = findings[0].file.as_ref()?;
                Some((file.display().to_string(), Self::of(findings)))
            })
            .filter(|(_, counts)| counts.errors + counts.warnings > 0)
    }
}

/// `no error, 2 warnings`.
impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}", many(self.errors, "error"), many(self.warnings, "warning"))
    }
}

/// `no file`, `1 file`, `2 files`, `2 Ingresses`.
pub(crate) fn many(count: usize, noun: &str) -> String {
    match count {
        0 => format!("no {noun}"),
        1 => format!("1 {noun}"),
        _ if noun.ends_with('s') => format!("{count} {noun}es"),
        _ => format!("{count} {noun}s"),
    }
}

/// Findings of one code in one file that are shown one by one.
pub(super) const MAX_SHOWN: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn found(code: Code, file: &str) -> Diagnostic {
        Diagnostic { file: Some(Arc::new(file.into())), ..Diagnostic::new(code, "wrong") }
    }

    #[test]
    fn a_mistake_that_is_made_often_is_shown_20_times_a_file_and_counted() {
        let mut findings = vec![found(Code::UnknownField, "a.yaml"); 25];
        findings.push(found(Code::Required, "a.yaml"));
        findings.extend(vec![found(Code::UnknownField, "b.yaml"); MAX_SHOWN]);
        let items: Vec<String> = fold(&findings, false)
            .map(|item| item.to_string())
            .collect();
        assert_eq!(items.len(), MAX_SHOWN + 1 + 1 + MAX_SHOWN);
        assert_eq!(items[MAX_SHOWN], "a.yaml: error[P0203]: wrong");
        assert_eq!(items[MAX_SHOWN + 1], "a.yaml: 5 more of P0110; --all shows them");
        assert_eq!(fold(&findings, true).count(), findings.len());
    }

    #[test]
    fn findings_are_counted_in_words_and_by_file() {
        let findings = [
            found(Code::Required, "a.yaml"),
            found(Code::UnusedKind, "b.yaml"),
            found(Code::UnknownField, "c.yaml"),
            found(Code::UnknownField, "c.yaml"),
        ];
        assert_eq!(Counts::of(&findings).to_string(), "1 error, 2 warnings");
        let files: Vec<String> = Counts::by_file(&findings)
            .map(|(file, counts)| format!("{file}: {counts}"))
            .collect();
        assert_eq!(files, ["a.yaml: 1 error, no warning", "c.yaml: no error, 2 warnings"]);
    }
}
