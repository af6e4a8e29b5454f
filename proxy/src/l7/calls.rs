//! Calls of gRPC: which requests are one, how long their client waits, and how it is told that
//! something went wrong (`http-proxy 6.6` to `6.9`).
//!
//! Pure. A client of gRPC reads a status from trailers, or from a head that ends its stream; what it
//! makes of HTTP's own statuses is left to nobody's guess by giving it the former.

use std::time::Duration;

use http::StatusCode;

use super::fields::Fields;

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
