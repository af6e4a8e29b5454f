//! Heads between HTTP/1.1, as the state machine writes and reads them, and HTTP/2
//! (`http-proxy 2.9`, `6.7`).
//!
//! Pure. A request is taken from what this proxy wrote itself. A response is written so that the strict
//! reader of HTTP/1.1 reads it: what a backend may not say is refused there.

use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderValue, Request, StatusCode, Uri, Version};

use crate::l7::fields::{Fields, Line, Name};
use crate::l7::h1::framing::{self, Length};
use crate::l7::h1::head;
use crate::l7::h2::Fault;
use crate::l7::h2::incoming::Framing;
use crate::l7::h2::response::put;

/// A request's head as it goes to a backend.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) request: Request<()>,
    pub(super) length: Length,
}

/// Reads a whole head of a request.
pub(super) fn read(bytes: &[u8], lines: &mut Vec<Line>, secure: bool) -> Result<Head, Fault> {
    let line = head::request(bytes, lines).ok().flatten().ok_or(Fault)?;
    let fields = Fields::new(bytes, lines);
    let length = framing::of_request(fields, line.minor).map_err(|_| Fault)?;
    let mut map = HeaderMap::with_capacity(lines.len());
    for field in fields.iter() {
        match field.name {
            Name::Host | Name::Connection | Name::TransferEncoding | Name::Upgrade => {}
            Name::HopByHop if !field.text.eq_ignore_ascii_case(b"te") => {}
            _ => put(&mut map, field.text, field.value)?,
        }
    }
    let host = fields.all(Name::Host).next().ok_or(Fault)?;
    let authority = host.strip_suffix(b":").unwrap_or(host);
    let uri = Uri::builder()
        .scheme(if secure { Scheme::HTTPS } else { Scheme::HTTP })
        .authority(Authority::try_from(authority).map_err(|_| Fault)?)
        .path_and_query(target(line.target)?)
        .build()
        .map_err(|_| Fault)?;
    let mut request = Request::new(());
    *request.method_mut() = line.method.parse().map_err(|_| Fault)?;
    *request.uri_mut() = uri;
    *request.version_mut() = Version::HTTP_2;
    *request.headers_mut() = map;
    Ok(Head { request, length })
}

/// A target in origin form. What no URI may hold, and HTTP/1.1 lets stand in a query, is escaped.
fn target(target: &str) -> Result<PathAndQuery, Fault> {
    if let Ok(target) = PathAndQuery::try_from(target) {
        return Ok(target);
    }
    let mut escaped = String::with_capacity(target.len() + 32);
    for byte in target.chars() {
        match byte {
            '"' | '<' | '>' | '\\' | '^' | '`' | '{' | '|' | '}' => {
                escaped.push_str(&format!("%{:02X}", u32::from(byte)));
            }
            plain => escaped.push(plain),
        }
    }
    PathAndQuery::try_from(escaped).map_err(|_| Fault)
}

/// Writes a response's head; `ended`: nothing follows it, `to_head`: nothing may.
pub(super) fn write(
    (status, fields): (StatusCode, &HeaderMap),
    ended: bool,
    to_head: bool,
) -> (Vec<u8>, Framing) {
    let said = fields.get(CONTENT_LENGTH);
    let bare = to_head || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let framing = match said.and_then(number) {
        _ if ended || bare => Framing::None,
        // Trailers may follow the end of nothing too, so a length of 0 is not told.
        Some(bytes @ 1..) => Framing::Held(bytes),
        _ => Framing::Chunked,
    };
    let mut out = begun(status, fields);
    match (framing, said) {
        (Framing::Chunked, _) => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        (_, Some(length)) => line(&mut out, CONTENT_LENGTH.as_str(), length),
        (_, None) if bare => {}
        (_, None) => out.extend_from_slice(b"content-length: 0\r\n"),
    }
    out.extend_from_slice(b"\r\n");
    (out, framing)
}

/// Writes an interim answer.
pub(super) fn interim(status: StatusCode, fields: &HeaderMap) -> Vec<u8> {
    let mut out = begun(status, fields);
    out.extend_from_slice(b"\r\n");
    out
}

/// The status line and every field that does not frame.
fn begun(status: StatusCode, fields: &HeaderMap) -> Vec<u8> {
    let mut out = Vec::with_capacity(RESERVE_BYTES);
    let reason = status.canonical_reason().unwrap_or_default();
    for piece in ["HTTP/1.1 ", status.as_str(), " ", reason, "\r\n"] {
        out.extend_from_slice(piece.as_bytes());
    }
    for (name, value) in fields {
        if name != CONTENT_LENGTH && name != TRANSFER_ENCODING {
            line(&mut out, name.as_str(), value);
        }
    }
    out
}

fn line(out: &mut Vec<u8>, name: &str, value: &HeaderValue) {
    for piece in [name.as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
        out.extend_from_slice(piece);
    }
}

fn number(value: &HeaderValue) -> Option<u64> {
    let text = value.to_str().ok()?;
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then_some(())?;
    text.parse().ok()
}

/// A head of a backend, about.
const RESERVE_BYTES: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_loses_what_is_of_one_hop() {
        let bytes = b"POST /a?b=<c> HTTP/1.1\r\nHost: a.test:80\r\nTE: trailers\r\nX-A: 1\r\n\
                      Transfer-Encoding: chunked\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
        let head = read(bytes, &mut Vec::new(), true).unwrap();
        assert_eq!(head.request.uri(), "https://a.test:80/a?b=%3Cc%3E", "http-proxy 2.9");
        assert_eq!((head.request.method().as_str(), head.length), ("POST", Length::Chunked));
        let names: Vec<_> = head
            .request
            .headers()
            .keys()
            .map(|name| name.as_str())
            .collect();
        assert_eq!(names, ["te", "x-a"], "http-proxy 2.9");
        let other = b"GET / HTTP/1.1\r\nHost: a.test:\r\nContent-Length: 3\r\n\r\n";
        let head = read(other, &mut Vec::new(), false).unwrap();
        assert_eq!(head.request.uri(), "http://a.test/");
        assert_eq!(head.length, Length::Exact(3));
    }

    #[test]
    fn a_response_says_where_it_ends() {
        let sized = [("content-length", "3"), ("x-a", "1")];
        let (none, empty) = ([("x-a", "1")], [("content-length", "0"), ("x-a", "1")]);
        for (case, status, fields, ended, to_head, want, framing) in [
            ("sized", 200, &sized[..], false, false, "content-length: 3", Framing::Held(3)),
            ("open", 200, &none, false, false, "transfer-encoding: chunked", Framing::Chunked),
            ("trailers-only", 200, &none, true, false, "content-length: 0", Framing::None),
            ("to HEAD", 200, &sized, true, true, "content-length: 3", Framing::None),
            ("to HEAD, silent", 200, &none, true, true, "", Framing::None),
            ("no content", 204, &none, true, false, "", Framing::None),
            (
                "empty, trailers may follow",
                200,
                &empty,
                false,
                false,
                "transfer-encoding: chunked",
                Framing::Chunked,
            ),
        ] {
            let mut map = HeaderMap::new();
            for &(name, value) in fields {
                map.insert(name, HeaderValue::from_static(value));
            }
            let status = StatusCode::from_u16(status).unwrap();
            let (out, got) = write((status, &map), ended, to_head);
            let text = String::from_utf8(out).unwrap();
            let end = if want.is_empty() { String::new() } else { format!("{want}\r\n") };
            let reason = status.canonical_reason().unwrap();
            let whole = format!("HTTP/1.1 {} {reason}\r\nx-a: 1\r\n{end}\r\n", status.as_str());
            assert_eq!((text, got), (whole, framing), "http-proxy 6.7: {case}");
        }
    }
}
