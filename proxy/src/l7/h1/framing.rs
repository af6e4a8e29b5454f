//! Where a message's body ends (`http-proxy 1.17`, `1.18`, `2`, `2.10`, RFC 9112 6.3).
//!
//! Pure. Both lengths at once, a repeated one, a coding that is not exactly `chunked`: refused, never
//! repaired.

use http::StatusCode;

use super::grammar::{NO_TOKEN, class};
use super::head::Fault;
use crate::l7::fields::{Fields, Name};
use crate::l7::forward::Announced;

/// How long a body is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Length {
    /// There is none, and nothing says how long it would be.
    Absent,
    /// So many bytes; may be none.
    Exact(u64),
    /// Each chunk says its own.
    Chunked,
    /// Up to the end of the connection; only of responses.
    UntilClose,
}

impl Length {
    /// How a request's body is announced to a backend.
    pub(crate) fn announced(self) -> Announced {
        match self {
            Self::Exact(bytes) => Announced::Length(bytes),
            Self::Chunked => Announced::Chunked,
            Self::Absent | Self::UntilClose => Announced::Nothing,
        }
    }
}

/// The length of a request's body.
pub(crate) fn of_request(fields: Fields<'_>, minor: u8) -> Result<Length, Fault> {
    let coded = fields.has(Name::TransferEncoding);
    let sized = fields.has(Name::ContentLength);
    match (coded, sized) {
        (false, false) => Ok(Length::Absent),
        (true, true) => Err(Fault::Malformed),
        (true, false) if minor == 0 => Err(Fault::Malformed),
        (true, false) => coding(fields),
        (false, true) => {
            let mut values = fields.all(Name::ContentLength);
            match (values.next(), values.next()) {
                (Some(value), None) => number(value).map(Length::Exact),
                _ => Err(Fault::Malformed),
            }
        }
    }
}

/// The length of a response's body.
pub(crate) fn of_response(
    fields: Fields<'_>,
    minor: u8,
    status: StatusCode,
    to_head: bool,
) -> Result<Length, Fault> {
    let coded = fields.has(Name::TransferEncoding);
    let sized = match fields.has(Name::ContentLength) {
        true if coded => return Err(Fault::Malformed),
        true => {
            let mut values = fields.all(Name::ContentLength).map(number);
            let first = values.next().ok_or(Fault::Malformed)??;
            if !values.all(|other| other == Ok(first)) {
                return Err(Fault::Malformed);
            }
            Some(first)
        }
        false => None,
    };
    if coded && (minor == 0 || coding(fields) != Ok(Length::Chunked)) {
        return Err(Fault::Malformed);
    }
    let empty = status.is_informational()
        || to_head
        || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    Ok(match sized {
        _ if empty => Length::Absent,
        Some(bytes) => Length::Exact(bytes),
        None if coded => Length::Chunked,
        None => Length::UntilClose,
    })
}

/// The length that a response without a body says another one would have.
pub(crate) fn said(fields: Fields<'_>) -> Option<u64> {
    let value = fields.all(Name::ContentLength).next()?;
    number(value).ok()
}

/// Exactly one `chunked`; codings that are well written and unknown are [`Fault::NotImplemented`].
fn coding(fields: Fields<'_>) -> Result<Length, Fault> {
    let mut lines = fields.all(Name::TransferEncoding);
    let (Some(line), None) = (lines.next(), lines.next()) else { return Err(Fault::Malformed) };
    if line.eq_ignore_ascii_case(b"chunked") {
        return Ok(Length::Chunked);
    }
    let chunked = |element: &[u8]| element.eq_ignore_ascii_case(b"chunked");
    let token =
        |element: &[u8]| !element.is_empty() && element.iter().all(|&byte| class(byte) != NO_TOKEN);
    let mut elements = line.split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
    let count = elements.clone().count();
    let known = |(at, element): (usize, &[u8])| {
        token(element)
            && !element.eq_ignore_ascii_case(b"identity")
            && (!chunked(element) || at + 1 == count)
    };
    let written_well = elements.clone().enumerate().all(known);
    let unknown = elements.any(|element| !chunked(element));
    Err(if written_well && unknown { Fault::NotImplemented } else { Fault::Malformed })
}

fn number(digits: &[u8]) -> Result<u64, Fault> {
    if digits.is_empty() {
        return Err(Fault::Malformed);
    }
    digits
        .iter()
        .try_fold(0_u64, |number, &digit| {
            let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
            number.checked_mul(10)?.checked_add(digit)
        })
        .ok_or(Fault::Malformed)
}

#[cfg(test)]
mod tests {
    use super::super::head;
    use super::*;

    fn request(lines: &str, minor: u8) -> Result<Length, u16> {
        let head = format!("POST / HTTP/1.{minor}\r\n{lines}\r\n");
        let mut places = Vec::new();
        let fault = |fault: Fault| fault.status().as_u16();
        let line = head::request(head.as_bytes(), &mut places).map_err(fault)?;
        assert!(line.is_some());
        of_request(Fields::new(head.as_bytes(), &places), minor).map_err(fault)
    }

    #[test]
    fn a_request_has_one_length_or_none() {
        use Length::{Absent, Chunked, Exact};
        for (lines, want) in [
            ("", Ok(Absent)),
            ("Content-Length: 0\r\n", Ok(Exact(0))),
            ("Content-Length: 01\r\n", Ok(Exact(1))),
            ("Content-Length: 18446744073709551615\r\n", Ok(Exact(u64::MAX))),
            ("Content-Length: 18446744073709551616\r\n", Err(400)),
            ("Content-Length: +3\r\n", Err(400)),
            ("Content-Length: -3\r\n", Err(400)),
            ("Content-Length: 0x1\r\n", Err(400)),
            ("Content-Length: 1 1\r\n", Err(400)),
            ("Content-Length:\r\n", Err(400)),
            ("Content-Length: 1, 1\r\n", Err(400)),
            ("Content-Length: 1\r\nContent-Length: 1\r\n", Err(400)),
            ("Content-Length: 1\r\nContent-Length: 2\r\n", Err(400)),
            ("Transfer-Encoding: chunked\r\n", Ok(Chunked)),
            ("Transfer-Encoding:\tChunked \r\n", Ok(Chunked)),
            ("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n", Err(400)),
            ("Transfer-Encoding: chunked\r\nContent-Length: 1\r\n", Err(400)),
            ("Transfer-Encoding: gzip\r\nContent-Length: x\r\n", Err(400)),
            ("Transfer-Encoding: gzip, chunked\r\n", Err(501)),
            ("Transfer-Encoding: gzip\r\n", Err(501)),
            ("Transfer-Encoding: xchunked\r\n", Err(501)),
            ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", Err(400)),
            ("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", Err(400)),
            ("Transfer-Encoding: chunked, chunked\r\n", Err(400)),
            ("Transfer-Encoding: chunked, gzip\r\n", Err(400)),
            ("Transfer-Encoding: chunked,\r\n", Err(400)),
            ("Transfer-Encoding: ,chunked\r\n", Err(400)),
            ("Transfer-Encoding: chunked;q=1\r\n", Err(400)),
            ("Transfer-Encoding: identity\r\n", Err(400)),
            ("Transfer-Encoding: \"chunked\"\r\n", Err(400)),
            ("Transfer-Encoding:\r\n", Err(400)),
        ] {
            assert_eq!(request(lines, 1), want, "http-proxy 2: {lines:?}");
        }
        let coded = "Transfer-Encoding: chunked\r\n";
        assert_eq!(request(coded, 0), Err(400), "http-proxy 2: TE on HTTP/1.0");
    }

    #[test]
    fn a_response_has_one_length_and_some_have_no_body() {
        use Length::{Absent, Chunked, Exact, UntilClose};
        for (line, fields, to_head, want) in [
            ("HTTP/1.1 200 OK", "Content-Length: 3\r\n", false, Some(Exact(3))),
            ("HTTP/1.1 200 OK", "Content-Length: 3\r\n", true, Some(Absent)),
            ("HTTP/1.1 204 No", "Content-Length: 3\r\n", false, Some(Absent)),
            ("HTTP/1.1 304 No", "Content-Length: 3\r\n", false, Some(Absent)),
            ("HTTP/1.1 103 Hints", "", false, Some(Absent)),
            ("HTTP/1.1 200", "Transfer-Encoding: chunked\r\n", false, Some(Chunked)),
            ("HTTP/1.1 200 ", "", false, Some(UntilClose)),
            ("HTTP/1.0 200 OK", "", false, Some(UntilClose)),
            ("HTTP/1.0 200 OK", "Transfer-Encoding: chunked\r\n", false, None),
            ("HTTP/1.1 200 OK", "Transfer-Encoding: gzip\r\n", false, None),
            ("HTTP/1.1 200 OK", "Transfer-Encoding: gzip, chunked\r\n", false, None),
            (
                "HTTP/1.1 200 OK",
                "Content-Length: 3\r\nContent-Length: 3\r\n",
                false,
                Some(Exact(3)),
            ),
            ("HTTP/1.1 200 OK", "Content-Length: 3\r\nContent-Length: 4\r\n", false, None),
            ("HTTP/1.1 200 OK", "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", false, None),
            ("HTTP/1.1 200 OK", "X: a\r\n b\r\n", false, None),
            ("HTTP/1.1 200 OK", "X: \x01\r\n", false, None),
            ("HTTP/1.1 99 Odd", "", false, None),
            ("HTTP/1.1 600 Odd", "", false, None),
            ("HTTP/1.1  200 OK", "", false, None),
            ("HTTP/2.0 200 OK", "", false, None),
            ("HTTP/1.1 200\tOK", "", false, None),
            ("ICY 200 OK", "", false, None),
        ] {
            let head = format!("{line}\r\n{fields}\r\n");
            let mut places = Vec::new();
            let read = head::response(head.as_bytes(), &mut places);
            let length = read.and_then(|line| {
                let line = line.unwrap();
                let fields = Fields::new(head.as_bytes(), &places);
                of_response(fields, line.minor, line.status, to_head)
            });
            assert_eq!(length.ok(), want, "http-proxy 2.10: {line} {fields:?}");
        }
    }
}
