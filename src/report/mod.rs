//! Findings for a person or a program: how `check` prints them.
//!
//! ```text
//! diagnostics ─▶ fold ─▶ text | short | github      (json is never folded)
//!      │                   └─ excerpts from what was read
//!      └─ about annotations of ingress-nginx ─▶ verdict ─▶ migration, in place of text
//! ```
//!
//! Invariants: what a manifest holds cannot leave its line nor steer the terminal; values of
//! Secrets are not shown; a folder with a hundred thousand mistakes is still printed at once. Which
//! findings there are is the pipeline's work; the log and `/readyz` print one line each.

mod fold;
mod github;
mod verdict;
mod json;
mod migration;
mod sources;
mod text;

use std::io::{self, Write};

use portico_config::diagnostic::Diagnostic;

use crate::telemetry;

pub(crate) use self::fold::{Counts, many};
pub(crate) use self::json::diagnostic as diagnostic_json;
pub(crate) use self::migration::{Ground, lines as migration};
pub(crate) use self::sources::Sources;
pub(crate) use self::text::Look;
pub(crate) use self::verdict::{Verdict, verdict};

use self::fold::{Item, fold};

/// The form of a report.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Form {
    /// With the line and what is wrong in it, for people.
    Text(Look),
    /// One line each: `file:line:column: severity[code]: …`.
    Short,
    /// One list of objects.
    Json,
    /// Workflow commands, which GitHub shows beside the line.
    Github,
}

/// Prints findings, which are sorted by file; `all`: repetitions are not folded.
pub(crate) fn print(
    out: &mut impl Write,
    findings: &[Diagnostic],
    sources: &Sources,
    form: Form,
    all: bool,
) -> io::Result<()> {
    if let Form::Json = form {
        return json::print(out, findings);
    }
    for item in fold(findings, all) {
        match (&item, form) {
            (Item::Finding(found), Form::Text(look)) => {
                writeln!(out, "{}\n", text::render(found, sources, look))?;
            }
            (Item::Finding(found), Form::Github) => writeln!(out, "{}", github::command(found))?,
            (Item::Finding(found), _) => {
                writeln!(out, "{}", telemetry::escape(&found.to_string()))?;
            }
            (Item::More(_), Form::Text(look)) => {
                writeln!(out, "{}\n", text::note(&item.to_string(), look))?;
            }
            (Item::More(_), _) => writeln!(out, "{}", telemetry::escape(&item.to_string()))?,
        }
    }
    Ok(())
}
