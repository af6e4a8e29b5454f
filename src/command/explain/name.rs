//! `portico explain dns NAME`: what the resolver would say, and why.

use std::sync::Arc;

use portico_config::snapshot::Snapshot;
use serde_json::{Value, json};

use super::super::lookup::{Dig, dig};
use super::super::{complain, say};
use super::flow::Asker;
use crate::cli::{ExplainArgs, Format, LogArgs, NameQuestion};
use crate::exit::Exit;
use crate::telemetry;

/// Answers one question.
pub(super) fn one(arguments: &ExplainArgs, question: &NameQuestion, log: &LogArgs) -> Exit {
    match ask(arguments, question, log) {
        Ok((answer, dig)) => {
            match arguments.format {
                Format::Json => say(&format!("{answer:#}")),
                Format::Text => say(&text(&answer, dig.as_ref())
                    .lines()
                    .map(telemetry::escape)
                    .collect::<Vec<_>>()
                    .join("\n")),
            }
            Exit::Fine
        }
        Err(reason) => {
            complain(&telemetry::escape(&reason));
            Exit::Usage
        }
    }
}

fn ask(
    arguments: &ExplainArgs,
    question: &NameQuestion,
    log: &LogArgs,
) -> Result<(Value, Option<Dig>), String> {
    if question.paths.is_empty() {
        return Err(format!(
            "name the manifests too: portico explain dns {} ./manifests; of a portico that runs ask dig",
            question.name
        ));
    }
    let mut asker = Asker::new(log);
    let settings = asker.settings(&arguments.serve)?;
    let listen: Vec<_> = settings.dns.iter().map(|address| address.ip()).collect();
    let snapshot: Arc<Snapshot> = asker.snapshot(&question.paths, settings)?;
    let found = portico_dns::explain(&snapshot, &listen, &question.name, question.kind)
        .ok_or_else(|| format!("{}: is no name", question.name))?;
    let dig = found.reply.as_deref().map(dig).transpose()?;
    let answer = json!({
        "name": question.name,
        "type": question.kind,
        "zone": found.zone,
        "rule": format!("dns {}", found.rule),
        "why": found.why,
        "object": found.object,
        "status": dig.as_ref().map(|dig| dig.status.clone()),
        "flags": dig.as_ref().map(|dig| dig.flags.clone()),
        "answer": dig.as_ref().map(|dig| dig.answer.clone()),
        "authority": dig.as_ref().map(|dig| dig.authority.clone()),
        "additional": dig.as_ref().map(|dig| dig.additional.clone()),
    });
    Ok((answer, dig))
}

fn text(answer: &Value, dig: Option<&Dig>) -> String {
    let word = |key: &str| answer[key].as_str().unwrap_or("none").to_owned();
    let mut lines = vec![
        format!("zone    {}", word("zone")),
        format!("rule    {}: {}", word("rule"), word("why")),
        format!("object  {}", word("object")),
    ];
    if let Some(dig) = dig {
        lines.push(String::new());
        lines.push(dig.text());
    }
    lines.join("\n")
}
