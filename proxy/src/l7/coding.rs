//! Which responses may be had in another coding, and what their heads say then (RFC 9110 8.4, 8.8.3,
//! 12.5.5; RFC 9111 5.2).
//!
//! Pure. Invariants: what has a coding already, is a part, or says that nobody may change it, stays as
//! it is; what may be had in several codings says so to caches, whichever it comes in.

use http::{HeaderValue, StatusCode};
use portico_config::model::{Coding, Compression};

use super::edits::Edits;
use super::fields::Fields;

/// The coding that a request's client accepts best; none: as it is.
pub(crate) fn wanted(compression: &Compression, fields: Fields<'_>) -> Option<Coding> {
    let coding = compression.choose(fields.every("accept-encoding"))?;
    (!says_no_transform(fields)).then_some(coding)
}

/// Whether a response may be had in another coding, whether or not this client wants it; `length` is
/// that of its body, where that is known.
pub(crate) fn concerns(
    compression: &Compression,
    (status, fields, edits): (StatusCode, Fields<'_>, &Edits),
    length: Option<u64>,
) -> bool {
    let has = |name: &str| fields.first(name).is_some() || edits.removes(name.as_bytes());
    let is_whole = match status {
        // It speaks of a response that was given before.
        StatusCode::NOT_MODIFIED => true,
        StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::PARTIAL_CONTENT => false,
        _ => {
            compression.has_type(fields.first("content-type").unwrap_or_default())
                && length.is_none_or(|length| length >= compression.min_bytes.max(1))
        }
    };
    is_whole && !has("content-encoding") && !has("content-range") && !says_no_transform(fields)
}

/// What is done to the fields of such a response; `coding`: the one that it is in.
pub(crate) fn edit(
    edits: &mut Edits,
    (status, fields): (StatusCode, Fields<'_>),
    coding: Option<Coding>,
) {
    if !says(fields, "vary", |name| name == b"*" || name.eq_ignore_ascii_case(b"accept-encoding")) {
        edits.add("Vary", HeaderValue::from_static("Accept-Encoding"));
    }
    let Some(coding) = coding else { return };
    // The bytes are others than those that the backend named so.
    if let Some(tag) = fields.first("etag")
        && !tag.starts_with(b"W/")
        && !edits.removes(b"etag")
        && let Ok(weak) = HeaderValue::from_bytes(&[b"W/", tag].concat())
    {
        edits.set("ETag", weak);
    }
    if status == StatusCode::NOT_MODIFIED {
        return;
    }
    edits.set("Content-Encoding", HeaderValue::from_static(coding.name()));
    for name in ["Accept-Ranges", "Content-MD5", "Digest", "Content-Digest", "Repr-Digest"] {
        edits.remove(name);
    }
}

fn says_no_transform(fields: Fields<'_>) -> bool {
    says(fields, "cache-control", |word| word.eq_ignore_ascii_case(b"no-transform"))
}

/// Whether a list, over all fields of its name, has such a word.
fn says(fields: Fields<'_>, name: &str, is_it: impl Fn(&[u8]) -> bool) -> bool {
    let mut words = fields
        .every(name)
        .flat_map(|value| value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii));
    words.any(is_it)
}

#[cfg(test)]
mod tests {
    use super::super::h1::head;
    use super::*;

    fn compression() -> Compression {
        let types = ["text/plain".into()].into();
        Compression { codings: Coding::ALL.into(), types, min_bytes: 100 }
    }

    /// Does something with the fields of a response.
    fn with<T>(lines: &str, then: impl FnOnce(StatusCode, Fields<'_>) -> T) -> T {
        let (status, lines) = lines.split_once('|').unwrap();
        let head = format!("HTTP/1.1 {status} X\r\n{}\r\n", lines.replace('|', "\r\n"));
        let mut places = Vec::new();
        let line = head::response(head.as_bytes(), &mut places)
            .unwrap()
            .unwrap();
        then(line.status, Fields::new(head.as_bytes(), &places))
    }

    #[test]
    fn only_whole_texts_that_nobody_coded_are_coded() {
        for (lines, length, want) in [
            ("200|Content-Type: text/plain|", None, true),
            ("200|Content-Type: text/plain|", Some(100), true),
            ("200|Content-Type: text/plain|", Some(99), false),
            ("404|Content-Type: text/plain; charset=utf-8|", Some(100), true),
            ("500|Content-Type: text/plain|", Some(100), true),
            ("200|", None, false),
            ("200|Content-Type: image/png|", None, false),
            ("206|Content-Type: text/plain|Content-Range: bytes 0-1/2|", None, false),
            ("200|Content-Type: text/plain|Content-Range: bytes 0-1/2|", None, false),
            ("200|Content-Type: text/plain|Content-Encoding: gzip|", None, false),
            ("200|Content-Type: text/plain|Content-Encoding: identity|", None, false),
            ("200|Content-Type: text/plain|Cache-Control: a, No-Transform|", None, false),
            ("200|Content-Type: text/plain|Cache-Control: no-transforms|", None, true),
            ("204|Content-Type: text/plain|", None, false),
            ("304|ETag: \"a\"|", None, true),
        ] {
            let got = with(lines, |status, fields| {
                concerns(&compression(), (status, fields, &Edits::default()), length)
            });
            assert_eq!(got, want, "{lines} {length:?}");
        }
        let mut edits = Edits::default();
        edits.set("Content-Encoding", HeaderValue::from_static("x"));
        assert!(!with("200|Content-Type: text/plain|", |status, fields| {
            concerns(&compression(), (status, fields, &edits), None)
        }));
    }

    #[test]
    fn heads_say_what_became_of_the_body() {
        const GZIP: Option<Coding> = Some(Coding::Gzip);
        let (coded, vary) = ("Content-Encoding: gzip", "Vary: Accept-Encoding");
        for (lines, coding, want) in [
            ("200|", None, vec![vary]),
            ("200|", GZIP, vec![vary, coded]),
            ("200|Vary: Origin|", GZIP, vec![vary, coded]),
            ("200|Vary: Origin, accept-encoding|", GZIP, vec![coded]),
            ("200|Vary: a|Vary: *|", GZIP, vec![coded]),
            ("200|ETag: \"a\"|", GZIP, vec![vary, "ETag: W/\"a\"", coded]),
            ("200|ETag: \"a\"|", None, vec![vary]),
            ("200|ETag: W/\"a\"|", GZIP, vec![vary, coded]),
            ("304|ETag: \"a\"|", GZIP, vec![vary, "ETag: W/\"a\""]),
        ] {
            let mut edits = Edits::default();
            with(lines, |status, fields| edit(&mut edits, (status, fields), coding));
            let got: Vec<String> = edits
                .added(StatusCode::OK)
                .map(|(name, value)| {
                    format!("{}: {}", String::from_utf8_lossy(name), String::from_utf8_lossy(value))
                })
                .collect();
            assert_eq!(got, want, "{lines} {coding:?}");
            let is_other = coding.is_some() && !lines.starts_with("304");
            assert_eq!(edits.removes(b"accept-ranges"), is_other, "{lines}");
        }
    }

    #[test]
    fn a_client_may_ask_that_nothing_is_changed() {
        for (lines, want) in [
            ("200|Accept-Encoding: gzip|", Some(Coding::Gzip)),
            ("200|Accept-Encoding: gzip|Accept-Encoding: br|", Some(Coding::Brotli)),
            ("200|Accept-Encoding: gzip|Cache-Control: no-transform|", None),
            ("200|", None),
        ] {
            let got = with(lines, |_, fields| wanted(&compression(), fields));
            assert_eq!(got, want, "{lines}");
        }
    }
}
