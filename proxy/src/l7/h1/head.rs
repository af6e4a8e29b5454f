//! Heads of requests and responses, read strictly (`http-proxy 2`, `reliability 2.1`).
//!
//! ```text
//! bytes ─▶ request │ response ─▶ start line, fields      what comes in pieces: Scan ─▶ end ─▶ again
//! ```
//!
//! Pure. One pass over the bytes as they came: what two readers could read in two ways has no reading
//! here. A request's lines end in CRLF; a response's may end in LF alone, since what is sent on is
//! written anew. How bytes were cut into pieces never decides what they mean.

use http::StatusCode;

mod limits;
mod scan;

use self::limits::{MAX_METHOD_BYTES, MAX_TARGET_BYTES};
use super::grammar::{NO_TOKEN, ODD, class, is_text};
use crate::l7::fields::{Line, Name};

pub(crate) use self::limits::{Limits, MAX_FIELDS};
pub(crate) use self::scan::Scan;

/// Why a head is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum Fault {
    /// It is not HTTP/1, or could be read in two ways.
    #[error("malformed message")]
    Malformed,
    /// The target is longer than 8 KiB.
    #[error("target too long")]
    TargetTooLong,
    /// More fields or longer ones than the limits.
    #[error("head or trailers too large")]
    TooLarge,
    /// A method or a coding that is not known here.
    #[error("unknown method or coding")]
    NotImplemented,
    /// HTTP/2.0 or later.
    #[error("unknown version")]
    Version,
}

impl Fault {
    /// The answer to a request of this kind.
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::Malformed => StatusCode::BAD_REQUEST,
            Self::TargetTooLong => StatusCode::URI_TOO_LONG,
            Self::TooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::NotImplemented => StatusCode::NOT_IMPLEMENTED,
            Self::Version => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
        }
    }
}

/// A request line; the fields went to the list that the caller gave.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct RequestLine<'a> {
    /// A token of at most 32 bytes.
    pub(crate) method: &'a str,
    /// Visible ASCII without `#`, not empty.
    pub(crate) target: &'a str,
    /// 0 or 1.
    pub(crate) minor: u8,
    /// Where the head ends in the bytes.
    pub(crate) end: usize,
}

/// A status line.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct StatusLine<'a> {
    /// 100 to 599.
    pub(crate) status: StatusCode,
    /// What follows the code, free of control bytes; may be empty.
    pub(crate) reason: &'a [u8],
    /// 0 or 1.
    pub(crate) minor: u8,
    /// Where the head ends in the bytes.
    pub(crate) end: usize,
}

/// Reads a request's head; `None`: it has not ended yet. `lines` is emptied first.
pub(crate) fn request<'a>(
    bytes: &'a [u8],
    lines: &mut Vec<Line>,
) -> Result<Option<RequestLine<'a>>, Fault> {
    let mut cursor = Cursor { bytes, at: 0, strict: true, limits: Limits::USUAL };
    // `http-proxy 2`: one empty line may stand before the request, more may not.
    if bytes.starts_with(b"\r\n") {
        cursor.at = 2;
    }
    let Some(line) = cursor.line()? else { return Ok(None) };
    let (method, target, minor) = request_line(line)?;
    if !cursor.fields(lines)? {
        return Ok(None);
    }
    Ok(Some(RequestLine { method, target, minor, end: cursor.at }))
}

/// Reads a response's head; `None`: it has not ended yet. `lines` is emptied first.
pub(crate) fn response<'a>(
    bytes: &'a [u8],
    lines: &mut Vec<Line>,
) -> Result<Option<StatusLine<'a>>, Fault> {
    response_within(bytes, lines, Limits::USUAL)
}

/// The same where other limits count.
pub(crate) fn response_within<'a>(
    bytes: &'a [u8],
    lines: &mut Vec<Line>,
    limits: Limits,
) -> Result<Option<StatusLine<'a>>, Fault> {
    let mut cursor = Cursor { bytes, at: 0, strict: false, limits };
    let Some(line) = cursor.line()? else { return Ok(None) };
    let (status, reason, minor) = status_line(line)?;
    if !cursor.fields(lines)? {
        return Ok(None);
    }
    Ok(Some(StatusLine { status, reason, minor, end: cursor.at }))
}

fn request_line(line: &[u8]) -> Result<(&str, &str, u8), Fault> {
    let mut parts = line.split(|&byte| byte == b' ');
    let (Some(method), Some(target), Some(version), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Fault::Malformed);
    };
    if method.is_empty() || !method.iter().all(|&byte| class(byte) != NO_TOKEN) {
        return Err(Fault::Malformed);
    }
    if target.is_empty() || !target.iter().all(|&b| b.is_ascii_graphic() && b != b'#') {
        return Err(Fault::Malformed);
    }
    let minor = match version {
        b"HTTP/1.1" => 1,
        b"HTTP/1.0" => 0,
        [b'H', b'T', b'T', b'P', b'/', b'2'..=b'9', b'.', b'0'..=b'9'] if method != b"PRI" => {
            return Err(Fault::Version);
        }
        _ => return Err(Fault::Malformed),
    };
    if method.len() > MAX_METHOD_BYTES {
        return Err(Fault::NotImplemented);
    }
    if target.len() > MAX_TARGET_BYTES {
        return Err(Fault::TargetTooLong);
    }
    let text = |bytes| std::str::from_utf8(bytes).map_err(|_| Fault::Malformed);
    Ok((text(method)?, text(target)?, minor))
}

fn status_line(line: &[u8]) -> Result<(StatusCode, &[u8], u8), Fault> {
    let (version, rest) = line.split_at_checked(9).ok_or(Fault::Malformed)?;
    let minor = match version {
        b"HTTP/1.1 " => 1,
        b"HTTP/1.0 " => 0,
        _ => return Err(Fault::Malformed),
    };
    let (code, rest) = rest.split_at_checked(3).ok_or(Fault::Malformed)?;
    let status = StatusCode::from_bytes(code).map_err(|_| Fault::Malformed)?;
    let reason = match rest {
        [] => rest,
        [b' ', reason @ ..] => reason,
        _ => return Err(Fault::Malformed),
    };
    if status.as_u16() >= 600 || !is_text(reason) {
        return Err(Fault::Malformed);
    }
    Ok((status, reason.trim_ascii(), minor))
}

/// What was read of a head, and what may follow.
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Whether lines end in CRLF alone.
    strict: bool,
    limits: Limits,
}

impl<'a> Cursor<'a> {
    /// The next line without its end, which is behind the cursor then.
    fn line(&mut self) -> Result<Option<&'a [u8]>, Fault> {
        let rest = &self.bytes[self.at..];
        let Some(end) = memchr::memchr(b'\n', rest) else { return Ok(None) };
        self.at += end + 1;
        match rest[..end].strip_suffix(b"\r") {
            Some(line) => Ok(Some(line)),
            None if self.strict => Err(Fault::Malformed),
            None => Ok(Some(&rest[..end])),
        }
    }

    /// Reads fields up to the empty line; false: it has not come yet.
    fn fields(&mut self, lines: &mut Vec<Line>) -> Result<bool, Fault> {
        lines.clear();
        let (most, longest) = (self.limits.fields(), self.limits.line_bytes());
        loop {
            let begin = self.at;
            let Some(line) = self.line()? else { return Ok(false) };
            if line.is_empty() {
                let fits = self.at <= self.limits.head_bytes();
                return if fits { Ok(true) } else { Err(Fault::TooLarge) };
            }
            if lines.len() == most || line.len() > longest {
                return Err(Fault::TooLarge);
            }
            lines.push(field(line, begin)?);
        }
    }
}

/// Reads one field that begins at `begin`.
fn field(line: &[u8], begin: usize) -> Result<Line, Fault> {
    let mut seen = 0;
    let mut name_end = 0;
    for &byte in line {
        let class = class(byte);
        if class == NO_TOKEN {
            break;
        }
        seen |= class;
        name_end += 1;
    }
    // No colon behind the name: a blank before it, a fold, or no field at all.
    if name_end == 0 || line.get(name_end) != Some(&b':') {
        return Err(Fault::Malformed);
    }
    let (name, mut value) = (&line[..name_end], &line[name_end + 1..]);
    if !is_text(value) {
        return Err(Fault::Malformed);
    }
    while let [b' ' | b'\t', rest @ ..] = value {
        value = rest;
    }
    let value_begin = begin + line.len() - value.len();
    while let [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    Ok(Line {
        name: if seen & ODD == 0 { Name::of(name) } else { Name::Odd },
        begin,
        name_end: begin + name_end,
        value_begin,
        value_end: value_begin + value.len(),
    })
}

#[cfg(test)]
mod tests;
