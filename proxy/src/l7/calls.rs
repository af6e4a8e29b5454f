//! Calls of gRPC: which requests are one, how long their client waits, how it is told that something
//! went wrong, and what an endpoint said (`http-proxy 6.6` to `6.9`).
//!
//! Pure. A client of gRPC reads a status from trailers, or from a head that ends its stream; what it
//! makes of HTTP's own statuses is left to nobody's guess by giving it the former.

use std::time::Duration;

use http::{HeaderMap, StatusCode};

use super::fields::Fields;
use super::h1::framing::Length;
use crate::ledger::CallStatus;

/// Whether a request is a call: another content type is not, not even that of gRPC-Web.
pub(crate) fn is_call(method: &str, fields: Fields<'_>) -> bool {
    method == "POST" && fields.first("content-type").is_some_and(is_type)
}

fn is_type(value: &[u8]) -> bool {
    let (begin, rest) = value.split_at_checked(TYPE.len()).unwrap_or_default();
    begin.eq_ignore_ascii_case(TYPE.as_bytes()) && matches!(rest, [] | [b'+' | b';' | b' ', ..])
}

/// How long the client waits: what cannot be read says nothing.
pub(crate) fn timeout(fields: Fields<'_>) -> Option<Duration> {
    parse(fields.first("grpc-timeout")?)
}

fn parse(value: &[u8]) -> Option<Duration> {
    let (unit, digits) = value.split_last()?;
    if digits.is_empty() || digits.len() > MAX_DIGITS {
        return None;
    }
    let count = digits.iter().try_fold(0_u64, |count, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        Some(count * 10 + digit)
    })?;
    Some(match unit {
        b'H' => Duration::from_secs(count * 3600),
        b'M' => Duration::from_secs(count * 60),
        b'S' => Duration::from_secs(count),
        b'm' => Duration::from_millis(count),
        b'u' => Duration::from_micros(count),
        b'n' => Duration::from_nanos(count),
        _ => return None,
    })
}

/// Says in the head of a request, as it goes to a backend, that its client waits for `left`.
pub(crate) fn remain(head: &mut Vec<u8>, left: Duration) {
    let mut at = 0;
    while let Some(end) = memchr::memchr(b'\n', &head[at..]).map(|end| at + end) {
        let line = &head[at..end];
        if line.is_empty() || line == b"\r" {
            return;
        }
        let (name, rest) = line.split_at_checked(TIMEOUT.len()).unwrap_or_default();
        if name.eq_ignore_ascii_case(TIMEOUT) && rest.first() == Some(&b':') {
            let text = format!("{}\r", timeout_of(left));
            head.splice(at + TIMEOUT.len() + 1..end, [b' '].into_iter().chain(text.into_bytes()));
            return;
        }
        at = end + 1;
    }
}

/// A time as `grpc-timeout` has it, in the smallest unit that it fits.
fn timeout_of(time: Duration) -> String {
    let counts = [(time.as_nanos(), 'n'), (time.as_micros(), 'u'), (time.as_millis(), 'm')];
    let fits = counts.into_iter().find(|(count, _)| *count <= MOST);
    let (count, unit) = fits.unwrap_or_else(|| (u128::from(time.as_secs()).min(MOST), 'S'));
    format!("{count}{unit}")
}

/// What an endpoint said came of a call.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Told {
    /// It has not said, or this is no call.
    #[default]
    Nothing,
    /// This, on a head that nothing followed.
    Only(CallStatus),
    /// This, behind what it had to say.
    Behind(CallStatus),
}

impl Told {
    /// What the head of an answer says.
    pub(crate) fn ahead(is_call: bool, fields: Fields<'_>, length: Length) -> Self {
        if !is_call || !matches!(length, Length::Absent | Length::Exact(0)) {
            return Self::Nothing;
        }
        let status = fields.first(STATUS).map(CallStatus::read);
        status.map_or(Self::Nothing, Self::Only)
    }

    /// What its trailers say.
    pub(crate) fn behind(is_call: bool, trailers: &HeaderMap) -> Self {
        let status = trailers.get(STATUS).filter(|_| is_call);
        status.map_or(Self::Nothing, |status| Self::Behind(CallStatus::read(status.as_bytes())))
    }

    pub(crate) fn status(self) -> Option<CallStatus> {
        match self {
            Self::Nothing => None,
            Self::Only(status) | Self::Behind(status) => Some(status),
        }
    }

    /// Whether the endpoint does no work, as it says itself. What it said something before may have
    /// come of the work.
    pub(crate) fn is_unavailable(self) -> bool {
        self == Self::Only(CallStatus::UNAVAILABLE)
    }
}

/// What a status of HTTP is in gRPC; `late`: the client's own time is over.
pub(crate) fn code(status: StatusCode, late: bool) -> u8 {
    const INTERNAL: u8 = 13;
    match status.as_u16() {
        400 => INTERNAL,
        401 => 16,
        403 => 7,
        404 => 12,
        408 => 4,
        504 if late => 4,
        429 | 502..=504 => 14,
        _ => 2,
    }
}

/// The media type of calls and of the answers to them.
pub(crate) const TYPE: &str = "application/grpc";
/// Of `grpc-timeout`.
const MAX_DIGITS: usize = 8;
/// The largest number of so many digits.
const MOST: u128 = 99_999_999;
const TIMEOUT: &[u8] = b"grpc-timeout";
const STATUS: &str = "grpc-status";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_known_by_their_type() {
        for (value, want) in [
            ("application/grpc", true),
            ("Application/gRPC+proto", true),
            ("application/grpc;charset=utf-8", true),
            ("application/grpc-web", false),
            ("application/grpcs", false),
            ("application/json", false),
            ("", false),
        ] {
            assert_eq!(is_type(value.as_bytes()), want, "http-proxy 6.6: {value}");
        }
    }

    #[test]
    fn a_timeout_has_a_unit_and_eight_digits() {
        for (value, want) in [
            ("1H", Some(Duration::from_secs(3600))),
            ("2M", Some(Duration::from_secs(120))),
            ("99999999S", Some(Duration::from_secs(99_999_999))),
            ("250m", Some(Duration::from_millis(250))),
            ("0u", Some(Duration::ZERO)),
            ("7n", Some(Duration::from_nanos(7))),
            ("999999999S", None),
            ("-1S", None),
            ("1s", None),
            ("S", None),
            ("5", None),
            ("", None),
        ] {
            assert_eq!(parse(value.as_bytes()), want, "http-proxy 6.9: {value:?}");
        }
    }

    #[test]
    fn a_backend_hears_how_long_the_client_still_waits() {
        for (millis, want) in [
            (0, "0n"),
            (99, "99000000n"),
            (100, "100000u"),
            (99_999, "99999000u"),
            (100_000, "100000m"),
            (99_999_999, "99999999m"),
            (100_000_000, "100000S"),
            (u64::MAX, "99999999S"),
        ] {
            let time = Duration::from_millis(millis);
            assert_eq!(timeout_of(time), want, "http-proxy 6.9: {millis}");
            let read = parse(want.as_bytes()).unwrap();
            assert!(read <= time, "http-proxy 6.9: never longer than that: {want}");
        }
        let left = Duration::from_secs(3);
        for (head, want) in [
            (
                "POST /grpc-timeout: HTTP/1.1\r\nGrpc-Timeout: 10S\r\nHost: a\r\n\r\nbody",
                "POST /grpc-timeout: HTTP/1.1\r\nGrpc-Timeout: 3000000u\r\nHost: a\r\n\r\nbody",
            ),
            (
                "POST / HTTP/1.1\r\n\r\ngrpc-timeout: 10S\r\n",
                "POST / HTTP/1.1\r\n\r\ngrpc-timeout: 10S\r\n",
            ),
            ("POST / HTTP/1.1\r\nx: 1\r\n\r\n", "POST / HTTP/1.1\r\nx: 1\r\n\r\n"),
        ] {
            let mut bytes = head.as_bytes().to_vec();
            remain(&mut bytes, left);
            assert_eq!(String::from_utf8(bytes).unwrap(), want, "http-proxy 6.9");
        }
    }

    #[test]
    fn an_endpoint_that_says_no_more_than_unavailable_does_no_work() {
        let status = |text: &str| CallStatus::read(text.as_bytes());
        for (told, is_unavailable) in [
            (Told::Nothing, false),
            (Told::Only(status("14")), true),
            (Told::Only(status("13")), false),
            (Told::Behind(status("14")), false),
        ] {
            assert_eq!(told.is_unavailable(), is_unavailable, "http-proxy 6.9: {told:?}");
        }
        let mut trailers = HeaderMap::new();
        trailers.insert(STATUS, http::HeaderValue::from_static("14"));
        assert_eq!(Told::behind(true, &trailers), Told::Behind(status("14")));
        assert_eq!(Told::behind(false, &trailers), Told::Nothing, "no call");
        let head = b"HTTP/1.1 200 OK\r\nGrpc-Status: 14\r\n\r\n";
        let mut lines = Vec::new();
        crate::l7::h1::head::response(head, &mut lines).unwrap();
        let fields = Fields::new(head, &lines);
        for (is_call, length, want) in [
            (true, Length::Exact(0), Told::Only(status("14"))),
            (true, Length::Absent, Told::Only(status("14"))),
            (true, Length::Chunked, Told::Nothing),
            (false, Length::Exact(0), Told::Nothing),
        ] {
            assert_eq!(Told::ahead(is_call, fields, length), want, "http-proxy 6.9: {length:?}");
        }
    }

    #[test]
    fn statuses_have_a_counterpart() {
        for (status, late, want) in [
            (400, false, 13),
            (401, false, 16),
            (403, false, 7),
            (404, false, 12),
            (408, false, 4),
            (504, true, 4),
            (504, false, 14),
            (429, false, 14),
            (502, false, 14),
            (503, true, 14),
            (413, false, 2),
            (500, false, 2),
            (308, false, 2),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(code(status, late), want, "http-proxy 6.8: {status} {late}");
        }
    }
}
