//! One row per rule: its id and words, a manifest, and every finding that it must bring, as
//! `CODE field: beginning of the message`. No finding more, none less.

#![expect(clippy::too_many_lines, reason = "a table has as many rows as there are rules")]

mod endpoints;
mod ingress;
mod metadata;
mod pod;
mod properties;
mod secret;
mod service;

use std::sync::Arc;

use super::{Kind, Valid, validate};
use crate::decode::{Decoded, decode};
use crate::diagnostic::Diagnostic;
use crate::model::Limits;

/// Rule, manifest without its type, findings.
type Row<'a> = (&'a str, &'a str, &'a [&'a str]);

/// Checks every row of a kind; all rows that differ are shown, not the first alone.
fn hold(api_version: &str, kind: &str, rows: &[Row<'_>]) {
    let mut different = Vec::new();
    for (rule, body, want) in rows {
        let (valid, found) = read(api_version, kind, body);
        let as_wanted = found.len() == want.len()
            && found
                .iter()
                .zip(*want)
                .all(|(found, want)| found.starts_with(want));
        let refused = found.iter().any(|line| is_error(line));
        if !as_wanted || refused == valid.is_some() {
            different.push(format!("{rule}\n  {body}\n  found {found:#?}\n  want {want:#?}"));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

/// The checked object and its findings in the order of codes.
fn read(api_version: &str, kind: &str, body: &str) -> (Option<Valid>, Vec<String>) {
    let decoded = decoded(api_version, kind, body);
    let (valid, found) = validate(&decoded.object, &decoded.origin);
    (valid, lines(&found))
}

/// The object of a manifest that can be read.
fn decoded(api_version: &str, kind: &str, body: &str) -> Decoded {
    let metadata = if body.contains("metadata:") { "" } else { "metadata: {name: a}\n" };
    let text = format!("apiVersion: {api_version}\nkind: {kind}\n{metadata}{body}\n");
    let mut decoded =
        decode(&Arc::new("f.yaml".into()), &text.as_bytes().into(), &Limits::default());
    let unread: Vec<_> = decoded
        .diagnostics
        .iter()
        .map(ToString::to_string)
        .collect();
    assert!(unread.is_empty() && decoded.objects.len() == 1, "{text}\n{unread:?}");
    decoded.objects.remove(0)
}

/// Findings in the order of codes.
fn lines(found: &[Diagnostic]) -> Vec<String> {
    let mut lines: Vec<_> = found
        .iter()
        .map(|found| {
            assert!(found.position.is_some(), "{found}");
            let field = found
                .field
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default();
            let help = found
                .help
                .as_ref()
                .map(|help| format!(" ({help})"))
                .unwrap_or_default();
            format!("{} {field}: {}{help}", found.code, found.message)
        })
        .collect();
    lines.sort();
    lines
}

fn is_error(line: &str) -> bool {
    use crate::diagnostic::{Code, Severity};
    let code = line.split(' ').next().and_then(Code::parse);
    code.is_some_and(|code| code.severity() == Severity::Error)
}

/// The typed value of a manifest without mistakes.
fn good(api_version: &str, kind: &str, body: &str) -> Kind {
    let (valid, found) = read(api_version, kind, body);
    valid.unwrap_or_else(|| panic!("{body}: {found:?}")).kind
}
