//! `portico explain`: the page of a diagnostic's code, as `docs/diagnostics.md` has it, or what
//! becomes of a flow, of a request or of a name.

mod flow;
mod name;
mod request;

use portico_config::diagnostic::Code;
use serde_json::Value;

use super::{complain, say};
use crate::cli::{ExplainArgs, Format, LogArgs, Topic};
use crate::exit::Exit;
use crate::{decision, naming, routing, telemetry};

/// Runs the command.
pub(super) fn explain(arguments: &ExplainArgs, log: &LogArgs) -> Exit {
    match arguments.topic() {
        Ok(Topic::Code(code)) => say(&readable(page(PAGES, code))),
        Ok(Topic::Codes) => Code::ALL.iter().for_each(|code| {
            say(&format!("{code}  {:7}  {}", code.severity().to_string(), code.title()));
        }),
        Ok(Topic::Flow(question)) => {
            return tell(arguments, flow::ask(arguments, &question, log), decision::text);
        }
        Ok(Topic::Request(question)) => {
            return tell(arguments, request::ask(arguments, &question, log), routing::text);
        }
        Ok(Topic::Name(question)) => {
            return tell(arguments, name::ask(arguments, &question, log), naming::text);
        }
        Ok(Topic::Batch(file, paths)) => return flow::batch(arguments, &file, &paths, log),
        Err(reason) => {
            complain(&telemetry::escape(&reason));
            return Exit::Usage;
        }
    }
    Exit::Fine
}

/// Prints an answer in the format asked for, or why there is none.
fn tell(
    arguments: &ExplainArgs,
    answer: Result<Value, String>,
    text: impl FnOnce(&Value) -> String,
) -> Exit {
    match (answer, arguments.format) {
        (Ok(answer), Format::Json) => say(&format!("{answer:#}")),
        (Ok(answer), Format::Text) => {
            text(&answer)
                .lines()
                .for_each(|line| say(&telemetry::escape(line)));
        }
        (Err(reason), _) => {
            complain(&telemetry::escape(&reason));
            return Exit::Usage;
        }
    }
    Exit::Fine
}

/// The page of a code in a text with all of them; a test sees that each has one.
fn page(pages: &str, code: Code) -> &str {
    let heading = format!("\n## {code}: ");
    let start = pages.find(&heading).map_or(pages.len(), |at| at + 1);
    let page = &pages[start..];
    let end = page[2.min(page.len())..].find("\n## ");
    page[..end.map_or(page.len(), |at| at + 2)].trim_end()
}

/// A page as it reads on a terminal: a bare heading, examples indented instead of fenced.
fn readable(page: &str) -> String {
    let mut lines = Vec::new();
    let mut in_example = false;
    for line in page.lines() {
        if let Some(kind) = line.strip_prefix("```") {
            in_example = !in_example;
            let word = kind.split(' ').next_back().unwrap_or_default();
            if in_example && !word.is_empty() {
                lines.push(format!("{word}:"));
            }
        } else if in_example {
            lines.push(format!("    {line}"));
        } else {
            lines.push(line.trim_start_matches("## ").to_owned());
        }
    }
    lines.join("\n")
}

/// Every page.
const PAGES: &str = include_str!("../../docs/diagnostics.md");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_ends_where_the_next_begins() {
        let pages =
            "# All\n\n## P0101: one\n\n*Error.*\n\n```yaml wrong\na: 1\n```\n\n## P0102: two\nb\n";
        assert_eq!(
            readable(page(pages, Code::Unreadable)),
            "P0101: one\n\n*Error.*\n\nwrong:\n    a: 1"
        );
        assert_eq!(page(pages, Code::NotText), "## P0102: two\nb");
        assert_eq!(page(pages, Code::Syntax), "");
    }
}
