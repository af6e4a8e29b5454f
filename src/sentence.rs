//! The one sentence that the log has for a reload: what changed, by name, and what was refused.
//!
//! Invariants: pure; a few names and then a count; silent (`None`) where a batch came to nothing.

use std::collections::HashSet;
use std::fmt::Write;

use portico_config::diagnostic::{Diagnostic, Position, Severity};

/// The sentence for one batch: `changes` as the pipeline names them where a snapshot was published,
/// and the findings before and after it.
pub(crate) fn reload(
    changes: Option<&[String]>,
    before: &[Diagnostic],
    after: &[Diagnostic],
) -> Option<String> {
    let (refused, repaired) = match before == after {
        true => Default::default(), // the common case: nothing to format
        false => (new_ones(after, before), new_ones(before, after)),
    };
    let mut text = match changes {
        Some([]) => "now serving nothing".to_owned(),
        Some(changes) => format!("now serving: {}", changes.join("; ")),
        None if refused.is_empty() && repaired.is_empty() => return None,
        None => "nothing new to serve".to_owned(),
    };
    for (names, what) in [(refused, "refused"), (repaired, "no longer refused")] {
        if names.is_empty() {
            continue;
        }
        let named: Vec<_> = names.iter().take(MAX_NAMES).map(String::as_str).collect();
        let _ = write!(text, "; {what}: {}", named.join(", "));
        if names.len() > MAX_NAMES {
            let _ = write!(text, " and {} more", names.len() - MAX_NAMES);
        }
    }
    Some(text)
}

/// What `these` refuse and `those` do not, each subject once.
fn new_ones(these: &[Diagnostic], those: &[Diagnostic]) -> Vec<String> {
    let subjects = |list: &[Diagnostic]| -> HashSet<String> {
        let errors = list
            .iter()
            .filter(|found| found.severity() == Severity::Error);
        errors.map(|found| subject(found, false)).collect()
    };
    let known = subjects(those);
    let mut seen = HashSet::new();
    these
        .iter()
        .filter(|found| found.severity() == Severity::Error)
        .filter(|found| {
            let subject = subject(found, false);
            !known.contains(&subject) && seen.insert(subject)
        })
        .map(|found| subject(found, true))
        .collect()
}

/// `Service default/web (web.yaml:6:11)`, or the file where no object can be named.
fn subject(found: &Diagnostic, with_place: bool) -> String {
    let file = found.file.as_ref().map(|file| file.display().to_string());
    let place = match (file, found.position.filter(|_| with_place)) {
        (Some(file), Some(Position { line, column })) => format!("{file}:{line}:{column}"),
        (Some(file), None) => file,
        (None, _) => String::new(),
    };
    match &found.object {
        Some(object) if with_place && !place.is_empty() => format!("{object} ({place})"),
        Some(object) => object.to_string(),
        None => place,
    }
}

/// Subjects named one by one; the rest is counted.
const MAX_NAMES: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;
    use portico_config::diagnostic::Code;
    use portico_config::model::ObjectRef;
    use std::sync::Arc;

    fn refused(name: &str) -> Diagnostic {
        let mut found = Diagnostic::new(Code::Unreadable, "is too big");
        found.object = Some(ObjectRef {
            api_version: "v1".into(),
            kind: "Service".into(),
            namespace: Some("default".into()),
            name: name.into(),
        });
        found.file = Some(Arc::new(format!("{name}.yaml").into()));
        found.position = Some(Position { line: 6, column: 11 });
        found
    }

    #[test]
    fn one_sentence_says_what_changed_and_what_was_refused() {
        let web = vec![refused("web")];
        let many: Vec<_> = (0..7).map(|n| refused(&format!("s{n}"))).collect();
        let part = ["Service default/db added".to_owned()];
        for (case, changes, before, after, want) in [
            ("nothing at all", None, &[][..], &[][..], None),
            ("known already", None, &web, &web, None),
            ("a change", Some(&part[..]), &[], &[], Some("now serving: Service default/db added")),
            ("an empty folder", Some(&[]), &[], &[], Some("now serving nothing")),
            (
                "a mistake",
                None,
                &[],
                &web,
                Some("nothing new to serve; refused: Service default/web (web.yaml:6:11)"),
            ),
            (
                "a repair",
                None,
                &web,
                &[],
                Some(
                    "nothing new to serve; no longer refused: Service default/web (web.yaml:6:11)",
                ),
            ),
            (
                "both, and more than can be named",
                Some(&part[..]),
                &[],
                &many,
                Some(
                    "now serving: Service default/db added; refused: Service default/s0 \
                     (s0.yaml:6:11), Service default/s1 (s1.yaml:6:11), Service default/s2 \
                     (s2.yaml:6:11), Service default/s3 (s3.yaml:6:11), Service default/s4 \
                     (s4.yaml:6:11) and 2 more",
                ),
            ),
        ] {
            assert_eq!(reload(changes, before, after).as_deref(), want, "{case}");
        }
    }
}
