//! Answers of our own: one line of text with the code, never a name from the configuration.

use http::StatusCode;

use super::edits::Edits;
use super::forward::{Announced, Connection, SERVER, announce, line, put};

/// Writes the answer with this status, with `edits` done to its fields; `to_head`: without its body.
/// `date` is a whole line.
pub(crate) fn answer(
    out: &mut Vec<u8>,
    status: StatusCode,
    edits: Option<&Edits>,
    to_head: bool,
    connection: Connection,
    date: &[u8],
) {
    let reason = status.canonical_reason().unwrap_or("Error");
    let text = match status {
        StatusCode::OK | StatusCode::NO_CONTENT => String::new(),
        _ => format!("{} {reason}\n", status.as_str()),
    };
    put(out, &["HTTP/1.1 ", status.as_str(), " ", reason, "\r\n", SERVER]);
    // 204 has no content, so nothing is said of any (`http-proxy 1.18`).
    if status != StatusCode::NO_CONTENT {
        put(out, &["Content-Type: text/plain; charset=utf-8\r\n"]);
        announce(out, Announced::Length(text.len() as u64));
    }
    for (name, value) in edits.iter().flat_map(|edits| edits.added()) {
        line(out, name, value);
    }
    out.extend_from_slice(date);
    put(out, &[connection.line(), "\r\n"]);
    if !to_head {
        put(out, &[&text]);
    }
}
