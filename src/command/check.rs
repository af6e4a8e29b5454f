//! `portico check`: the pipeline of a live reload, run once, without serving.

use std::sync::Arc;

use portico_config::diagnostic::Severity;
use portico_config::pipeline::Pipeline;
use portico_config::snapshot::Assignments;
use portico_config::source::{Source, files::FileSource};

use super::{complain, say};
use crate::admin::diagnostic_json;
use crate::cli::{CheckArgs, Format};
use crate::exit::Exit;
use crate::{host, telemetry};

/// Runs the command.
pub(super) fn check(arguments: CheckArgs) -> anyhow::Result<Exit> {
    let mut missing = false;
    for path in &arguments.paths {
        if path.as_os_str() != "-" && !path.exists() {
            complain(&format!("{}: no such file or folder", path.display()));
            missing = true;
        }
    }
    if missing {
        return Ok(Exit::Usage);
    }
    let settings = Arc::new(arguments.serve.settings());
    let changes = FileSource::new(arguments.paths).load();
    let (files, unreadable) = (changes.written.len(), changes.unreadable.clone());
    let mut pipeline = Pipeline::new(settings, host::facts(), Assignments::default());
    let update = pipeline.apply(changes, 0);
    let count = |severity| {
        let found = update.diagnostics.iter();
        found
            .filter(|diagnostic| diagnostic.severity() == severity)
            .count()
    };
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    match arguments.format {
        Format::Json => {
            let list: Vec<_> = update.diagnostics.iter().map(diagnostic_json).collect();
            say(&serde_json::to_string_pretty(&list)?);
        }
        Format::Text => {
            for diagnostic in update.diagnostics.iter() {
                say(&telemetry::escape(&diagnostic.to_string()));
            }
            say(&summary(files, update.snapshot.services.len(), errors, warnings));
        }
    }
    for (path, reason) in &unreadable {
        complain(&format!("{}: {reason}", path.display()));
    }
    Ok(match (unreadable.is_empty(), errors > 0 || (arguments.strict && warnings > 0)) {
        (false, _) => Exit::Usage,
        (true, true) => Exit::Errors,
        (true, false) => Exit::Fine,
    })
}

/// `3 files, 1 Service: no error, 2 warnings`.
fn summary(files: usize, services: usize, errors: usize, warnings: usize) -> String {
    let many = |count: usize, noun: &str| match count {
        0 => format!("no {noun}"),
        1 => format!("1 {noun}"),
        _ => format!("{count} {noun}s"),
    };
    format!(
        "{}, {}: {}, {}",
        many(files, "file"),
        many(services, "Service"),
        many(errors, "error"),
        many(warnings, "warning")
    )
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_summary_counts_in_words() {
        assert_eq!(super::summary(3, 1, 0, 2), "3 files, 1 Service: no error, 2 warnings");
    }
}
