//! Answers of our own: one line of text with the code, never a name from the configuration, or a
//! message of DNS.

use http::StatusCode;

use super::calls;
use super::edits::Edits;
use super::forward::{Announced, Connection, Ours, SERVER, announce, line, put};
use super::queries;

/// What an answer of our own holds.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Content<'a> {
    /// One line that says the status.
    Words,
    /// A message of DNS.
    Message(&'a [u8]),
}

/// Writes the answer with this status, with `edits` done to its fields; `to_head`: without its body.
pub(crate) fn answer(
    out: &mut Vec<u8>,
    (status, content): (StatusCode, Content<'_>),
    edits: Option<&Edits>,
    to_head: bool,
    connection: Connection,
    ours: Ours<'_>,
) {
    let reason = status.canonical_reason().unwrap_or("Error");
    let words = match status {
        StatusCode::OK | StatusCode::NO_CONTENT => String::new(),
        _ => format!("{} {reason}\n", status.as_str()),
    };
    let (kind, body) = match content {
        Content::Words => ("text/plain; charset=utf-8", words.as_bytes()),
        Content::Message(message) => (queries::TYPE, message),
    };
    let edited = |name: &[u8]| edits.is_some_and(|edits| edits.removes(name));
    let server = if edited(b"server") { "" } else { SERVER };
    put(out, &["HTTP/1.1 ", status.as_str(), " ", reason, "\r\n", server]);
    // 204 has no content, so nothing is said of any (`http-proxy 1.18`).
    if status != StatusCode::NO_CONTENT {
        if !edited(b"content-type") {
            put(out, &["Content-Type: ", kind, "\r\n"]);
        }
        announce(out, Announced::Length(body.len() as u64));
    }
    for (name, value) in edits.iter().flat_map(|edits| edits.added(status)) {
        line(out, name, value);
    }
    if !edited(b"date") {
        out.extend_from_slice(ours.date);
    }
    out.extend_from_slice(ours.hsts(edits).unwrap_or_default());
    put(out, &[connection.line(), "\r\n"]);
    if !to_head {
        out.extend_from_slice(body);
    }
}

/// Writes the answer to a call of gRPC that fails here: a head with the status that trailers would
/// have (`http-proxy 6.8`). A reason phrase needs no percent-encoding.
pub(crate) fn refuse_call(
    out: &mut Vec<u8>,
    (status, code): (StatusCode, u8),
    edits: Option<&Edits>,
    connection: Connection,
    ours: Ours<'_>,
) {
    let reason = status.canonical_reason().unwrap_or("Error");
    put(out, &["HTTP/1.1 200 OK\r\n", SERVER, "Content-Type: ", calls::TYPE, "\r\n"]);
    put(out, &["Grpc-Status: ", &code.to_string(), "\r\n"]);
    put(out, &["Grpc-Message: ", status.as_str(), " ", reason, "\r\n"]);
    announce(out, Announced::Length(0));
    for (name, value) in edits.iter().flat_map(|edits| edits.added(status)) {
        line(out, name, value);
    }
    out.extend_from_slice(ours.date);
    out.extend_from_slice(ours.hsts(edits).unwrap_or_default());
    put(out, &[connection.line(), "\r\n"]);
}
