//! Answers of our own: one line of text with the code, never a name from the configuration.

use http::StatusCode;

use super::forward::{Announced, Connection, SERVER, announce, put};

/// Writes the answer with this status, for a redirect with its `location`; `to_head`: without its
/// body. `date` is a whole line.
pub(crate) fn answer(
    out: &mut Vec<u8>,
    status: StatusCode,
    location: Option<&str>,
    to_head: bool,
    connection: Connection,
    date: &[u8],
) {
    let reason = status.canonical_reason().unwrap_or("Error");
    let text = match status {
        StatusCode::OK => String::new(),
        _ => format!("{} {reason}\n", status.as_str()),
    };
    put(out, &["HTTP/1.1 ", status.as_str(), " ", reason, "\r\n", SERVER]);
    put(out, &["Content-Type: text/plain; charset=utf-8\r\n"]);
    if let Some(location) = location {
        put(out, &["Location: ", location, "\r\n"]);
    }
    out.extend_from_slice(date);
    announce(out, Announced::Length(text.len() as u64));
    put(out, &[connection.line(), "\r\n"]);
    if !to_head {
        put(out, &[&text]);
    }
}
