//! `portico explain tcp ADDR:PORT`: what becomes of a flow, by manifests or by the portico that runs.
//!
//! ```text
//! PATH ─▶ pipeline of `run` ─▶ snapshot ─▶ decide ─┐
//! no PATH ─▶ /api/v1/explain of the running one ───┴▶ text | json
//! ```
//!
//! Invariants: nothing is opened or changed; the same manifests under the same settings are read once
//! for a whole batch. A line of a batch is what stands behind `portico explain`, and gets one line.

use std::ffi::OsString;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use clap::Parser;
use portico_config::diagnostic::Severity;
use portico_config::model::Settings;
use portico_config::pipeline::Pipeline;
use portico_config::snapshot::{Assignments, Cluster, Snapshot, decide};
use portico_config::source::files::read_once;
use serde_json::{Value, json};

use super::super::{complain, fetch, missing, say};
use crate::cli::{Cli, Command, ExplainArgs, LogArgs, Question, Topic};
use crate::exit::Exit;
use crate::settings::ServeArgs;
use crate::{decision, host, telemetry};

/// The answer to one question, else why there is none.
pub(super) fn ask(
    arguments: &ExplainArgs,
    question: &Question,
    log: &LogArgs,
) -> Result<Value, String> {
    Asker::new(log).ask(question, arguments, &arguments.serve)
}

/// Answers each line of a file by a line.
pub(super) fn batch(
    arguments: &ExplainArgs,
    file: &Path,
    paths: &[PathBuf],
    log: &LogArgs,
) -> Exit {
    let text = match read(file) {
        Ok(text) => text,
        Err(error) => {
            complain(&telemetry::escape(&format!("{}: {error}", file.display())));
            return Exit::Usage;
        }
    };
    let mut asker = Asker::new(log);
    let mut exit = Exit::Fine;
    for line in text.lines() {
        if line.trim().is_empty() || line.trim_start().starts_with('#') {
            continue;
        }
        let answer = asker.line(line, arguments, paths).unwrap_or_else(|reason| {
            exit = Exit::Usage;
            json!({ "error": reason })
        });
        say(&answer.to_string());
    }
    exit
}

fn read(file: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    let limited = |reader: &mut dyn Read, text: &mut String| {
        reader.take(MAX_BATCH_BYTES).read_to_string(text)
    };
    match file.as_os_str() == "-" {
        true => limited(&mut std::io::stdin().lock(), &mut text)?,
        false => limited(&mut std::fs::File::open(file)?, &mut text)?,
    };
    Ok(text)
}

/// What was read so far.
pub(super) struct Asker<'a> {
    log: &'a LogArgs,
    read: Vec<Known>,
}

/// Manifests that were compiled.
struct Known {
    paths: Vec<PathBuf>,
    /// Without the node's name, which says where to look from and changes nothing else.
    settings: Settings,
    snapshot: Arc<Snapshot>,
}

impl<'a> Asker<'a> {
    pub(super) fn new(log: &'a LogArgs) -> Self {
        Self { log, read: Vec::new() }
    }

    /// The answer to a line of a batch; flags and paths of the batch stand in for its own.
    fn line(
        &mut self,
        line: &str,
        batch: &ExplainArgs,
        paths: &[PathBuf],
    ) -> Result<Value, String> {
        let words = words(line).ok_or("a quote is not closed")?;
        let start = ["portico", "explain"].map(OsString::from);
        let cli = Cli::try_parse_from(start.into_iter().chain(words)).map_err(|error| {
            let text = error.to_string();
            let first = text.lines().next().unwrap_or_default();
            first.trim_start_matches("error: ").to_owned()
        })?;
        let Command::Explain(arguments) = cli.command else {
            return Err("only explain has lines here".to_owned());
        };
        let Topic::Flow(mut question) = arguments.topic()? else {
            return Err("a line asks about a flow: tcp|udp ADDR:PORT".to_owned());
        };
        if question.paths.is_empty() {
            question.paths = paths.to_vec();
        }
        let serve = arguments.serve.over(&batch.serve);
        self.ask(&question, &arguments, &serve)
    }

    fn ask(
        &mut self,
        question: &Question,
        arguments: &ExplainArgs,
        serve: &ServeArgs,
    ) -> Result<Value, String> {
        let mut settings = self.settings(serve)?;
        let flow = decision::flow(&question.protocol, question.to, arguments.from)?;
        if question.paths.is_empty() {
            let admin = settings.admin.first().copied();
            let admin = admin.ok_or("--admin off: name a PATH, or the --admin of a portico")?;
            let node = settings.node_name.map(|node| format!("&node={node}"));
            let (to, node) = (flow.destination, node.unwrap_or_default());
            let (ip, port, from) = (to.ip(), to.port(), flow.source);
            let query = format!(
                "protocol={}&address={ip}&port={port}&from={from}{node}",
                flow.protocol.label()
            );
            return fetch::get(fetch::reachable(admin), &format!("/api/v1/explain?{query}"));
        }
        let node = settings.node_name.take();
        let snapshot = self.snapshot(&question.paths, settings)?;
        let place = Cluster { node, ..(*snapshot.cluster).clone() }.here();
        Ok(decision::json(&decide(&snapshot, &place, &flow), &flow))
    }

    /// The settings that count.
    pub(super) fn settings(&self, serve: &ServeArgs) -> Result<Settings, String> {
        let loaded = serve.load(self.log).map_err(|refused| {
            let findings: Vec<_> = refused.findings.iter().map(ToString::to_string).collect();
            format!("the settings file is refused: {}", findings.join("; "))
        })?;
        Ok(loaded.effective.options.settings)
    }

    /// The manifests compiled, once for all that ask for them.
    pub(super) fn snapshot(
        &mut self,
        paths: &[PathBuf],
        settings: Settings,
    ) -> Result<Arc<Snapshot>, String> {
        let same = |known: &&Known| known.paths == paths && known.settings == settings;
        if let Some(known) = self.read.iter().find(same) {
            return Ok(Arc::clone(&known.snapshot));
        }
        if let Some(reason) = missing(paths).into_iter().next() {
            return Err(reason);
        }
        let changes = read_once(settings.sources(paths.to_vec()), &settings.limits);
        if let Some((path, reason)) = changes.unreadable.first() {
            return Err(format!("{}: {reason}", path.display()));
        }
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let shared = Arc::new(settings.clone());
        let mut pipeline = Pipeline::new(shared, host::facts(), Assignments::default());
        let update = pipeline.apply(changes, now.unwrap_or_default().as_secs());
        let errors = update.diagnostics.iter();
        let errors = errors
            .filter(|found| found.severity() == Severity::Error)
            .count();
        if errors > 0 {
            complain(&format!(
                "what is refused is left out: {errors} error{}, which portico check shows",
                if errors == 1 { "" } else { "s" }
            ));
        }
        if self.read.len() == MOST_KNOWN {
            self.read.remove(0);
        }
        let snapshot = Arc::clone(&update.snapshot);
        self.read
            .push(Known { paths: paths.to_vec(), settings, snapshot });
        Ok(update.snapshot)
    }
}

/// The words of a line; quotes keep blanks. None where one is not closed.
fn words(line: &str) -> Option<Vec<OsString>> {
    let mut words = Vec::new();
    let (mut word, mut is_word, mut quote) = (String::new(), false, None);
    for letter in line.chars() {
        match (quote, letter) {
            (Some(open), letter) if open == letter => quote = None,
            (Some(_), letter) => word.push(letter),
            (None, '"' | '\'') => (quote, is_word) = (Some(letter), true),
            (None, letter) if letter.is_whitespace() => {
                if is_word || !word.is_empty() {
                    words.push(OsString::from(std::mem::take(&mut word)));
                }
                is_word = false;
            }
            (None, letter) => word.push(letter),
        }
    }
    if is_word || !word.is_empty() {
        words.push(word.into());
    }
    quote.is_none().then_some(words)
}

const MAX_BATCH_BYTES: u64 = 64 << 20;
/// Sets of manifests that a batch keeps compiled.
const MOST_KNOWN: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_keep_blanks_in_the_words_of_a_line() {
        for (line, want) in [
            (
                "tcp  1.2.3.4:80\t--from 5.6.7.8 ",
                Some(&["tcp", "1.2.3.4:80", "--from", "5.6.7.8"][..]),
            ),
            ("'a b' \"c'd\" e\"f g\"", Some(&["a b", "c'd", "ef g"])),
            ("''", Some(&[""])),
            ("", Some(&[])),
            ("'a", None),
        ] {
            let want = want.map(|words| words.iter().map(OsString::from).collect());
            assert_eq!(words(line), want, "{line}");
        }
    }
}
