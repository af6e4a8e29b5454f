//! `portico check`: the pipeline of a live reload, run once, without serving.

use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use portico_config::diagnostic::Diagnostic;
use portico_config::pipeline::Pipeline;
use portico_config::snapshot::Assignments;
use portico_config::source::Changes;
use portico_config::source::files::read_once;

use super::{DEFAULT_WIDTH, complain, missing};
use crate::cli::{CheckArgs, CheckFormat, Color};
use crate::exit::Exit;
use crate::report::{self, Counts, Form, Ground, Look, Sources, Verdict};
use crate::settings::Loaded;
use crate::{host, telemetry};

/// Runs the command.
pub(super) fn check(arguments: CheckArgs, loaded: Loaded) -> anyhow::Result<Exit> {
    let missing = missing(&arguments.paths);
    if !missing.is_empty() {
        missing.iter().for_each(|reason| complain(reason));
        return Ok(Exit::Usage);
    }
    let settings = Arc::new(loaded.effective.options.settings);
    let changes = read_once(settings.sources(arguments.paths.clone()), &settings.limits);
    let sources = Sources::of(&changes);
    let (files, unreadable) = (changes.written.len(), changes.unreadable.clone());
    let bare = bare(&arguments.paths, &changes);
    let mut pipeline = Pipeline::new(settings, host::facts(), Assignments::default());
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let update = pipeline.apply(changes, now.unwrap_or_default().as_secs());
    let findings = pipeline.with_annotations(&update.diagnostics);
    let counts = Counts::of(&findings);
    let (services, ingresses) =
        (update.snapshot.services.len(), update.snapshot.routes.claims.len());
    let total = format!(
        "{}, {}, {}: {counts}",
        report::many(files, "file"),
        report::many(services, "Service"),
        report::many(ingresses, "Ingress"),
    );
    let mut out = BufWriter::new(io::stdout().lock());
    // A closed pipe is no reason to fail: whoever reads has seen enough.
    let places = pipeline.ingress_places();
    let ground = Ground { snapshot: &update.snapshot, places: &places };
    let told = (&findings[..], &ground);
    let _ = print(&mut out, &arguments, told, &sources, &total);
    drop(out);
    for (path, reason) in &unreadable {
        complain(&format!("{}: {reason}", path.display()));
    }
    bare.iter().for_each(|reason| complain(reason));
    let refused = counts.errors > 0 || (arguments.strict && counts.warnings > 0);
    Ok(match (unreadable.is_empty(), refused) {
        (false, _) => Exit::Usage,
        (true, true) => Exit::Errors,
        (true, false) => Exit::Fine,
    })
}

/// Of folders of the command line those without any manifest, in words: nothing is wrong with them, but who asks may
/// have meant another.
fn bare(paths: &[PathBuf], changes: &Changes) -> Vec<String> {
    let read = || changes.written.iter().map(|(file, _)| file);
    let unread = || changes.unreadable.iter().map(|(file, _)| file);
    let is_bare = |path: &&PathBuf| {
        path.is_dir() && !read().chain(unread()).any(|file| file.starts_with(path))
    };
    let paths = paths.iter().filter(is_bare);
    paths
        .map(|path| telemetry::escape(&format!("{}: {NO_MANIFEST}", path.display())))
        .collect()
}

const NO_MANIFEST: &str =
    "holds no manifest: files that end in .yaml, .yml or .json, in its folders too";

/// The findings, then what becomes of annotations of ingress-nginx, then a line for each file with
/// problems, then the total.
fn print(
    out: &mut impl Write,
    arguments: &CheckArgs,
    (findings, ground): (&[Diagnostic], &Ground<'_>),
    sources: &Sources,
    total: &str,
) -> io::Result<()> {
    let form = form(arguments);
    if let Form::Json = form {
        return report::print(out, findings, sources, form, true);
    }
    if !arguments.quiet {
        // In the text each annotation stands in the report alone; elsewhere one that is supported is no news.
        let is_text = matches!(form, Form::Text(_));
        let is_shown = |found: &&Diagnostic| match report::verdict(found) {
            Some((_, verdict)) => !is_text && verdict != Verdict::Supported,
            None => true,
        };
        let shown: Vec<Diagnostic> = findings.iter().filter(is_shown).cloned().collect();
        report::print(out, &shown, sources, form, arguments.all)?;
        if is_text {
            if let Some(worst) = shown.iter().min_by_key(|found| found.severity()) {
                writeln!(out, "`portico explain {}` says more about a code.\n", worst.code)?;
            }
            for line in report::migration(findings, ground, arguments.all) {
                writeln!(out, "{}", telemetry::escape(&line))?;
            }
        }
        for (file, counts) in Counts::by_file(findings) {
            writeln!(out, "{}", telemetry::escape(&format!("{file}: {counts}")))?;
        }
    }
    writeln!(out, "{total}")?;
    out.flush()
}

/// How the findings are printed.
pub(super) fn form(arguments: &CheckArgs) -> Form {
    match arguments.format {
        CheckFormat::Json => Form::Json,
        CheckFormat::Short => Form::Short,
        CheckFormat::Github => Form::Github,
        CheckFormat::Text => {
            let stdout = io::stdout();
            let color = match arguments.color {
                Color::Always => true,
                Color::Never => false,
                // NO_COLOR, CLICOLOR_FORCE, CLICOLOR, TERM and whether it is a terminal.
                Color::Auto => {
                    anstream::AutoStream::choice(&stdout) != anstream::ColorChoice::Never
                }
            };
            let width = stdout
                .is_terminal()
                .then(|| terminal_size::terminal_size_of(&stdout))
                .flatten()
                .map_or(DEFAULT_WIDTH, |(width, _)| width.0.into());
            Form::Text(Look { color, width })
        }
    }
}
