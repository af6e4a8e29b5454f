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

use crate::l7::fields::{Line, Name};

/// Why a head is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum Fault {
    /// It is not HTTP/1, or could be read in two ways.
    #[error("malformed message")]
    Malformed,
    /// The target is longer than [`MAX_TARGET_BYTES`].
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

/// What a head may have (`http-proxy 3`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Limits {
    /// Of all of it; each connection keeps them, so they are small.
    head_bytes: u32,
}

impl Limits {
    /// What every head may have.
    pub(crate) const USUAL: Self = Self { head_bytes: MAX_HEAD_BYTES };
    /// Of a head that this proxy wrote: what it was made of was within limits.
    pub(crate) const OWN: Self = Self { head_bytes: u32::MAX };

    /// Of one that may have so many bytes, all of them in one field.
    pub(crate) fn of_bytes(bytes: u32) -> Self {
        Self { head_bytes: bytes }
    }

    fn head_bytes(self) -> usize {
        usize::try_from(self.head_bytes).unwrap_or(usize::MAX)
    }

    fn line_bytes(self) -> usize {
        if self == Self::USUAL { MAX_LINE_BYTES } else { self.head_bytes() }
    }

    fn fields(self) -> usize {
        if self == Self::OWN { usize::MAX } else { MAX_FIELDS }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::USUAL
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

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
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

/// Whether there is no control byte but the tab.
pub(super) fn is_text(bytes: &[u8]) -> bool {
    // No early end: so that it is done many bytes at a time.
    !bytes
        .iter()
        .fold(false, |odd, &byte| odd | ((byte < b' ') & (byte != b'\t')) | (byte == 0x7f))
}

/// What a byte is in a token.
pub(super) fn class(byte: u8) -> u8 {
    TOKENS[usize::from(byte)]
}

pub(super) const NO_TOKEN: u8 = 0;
const PLAIN: u8 = 1;
const ODD: u8 = 2;

static TOKENS: [u8; 256] = {
    let mut table = [NO_TOKEN; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        if byte.is_ascii_alphanumeric() || byte == b'-' {
            table[byte as usize] = PLAIN;
        }
        byte += 1;
    }
    let odd = b"!#$%&'*+.^_`|~";
    let mut at = 0;
    while at < odd.len() {
        table[odd[at] as usize] = ODD;
        at += 1;
    }
    table
};

/// Looks for the end of a head that comes in pieces: each byte once.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    /// What was looked at.
    at: usize,
    /// Where the line begins in which `at` is.
    line: usize,
    /// Lines that have ended.
    count: u32,
    limits: Limits,
}

impl Scan {
    /// One for a head that may have so much.
    pub(crate) fn within(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// What the head may have.
    pub(crate) fn limits(&self) -> Limits {
        self.limits
    }

    /// Whether it is worth reading the head in `bytes`, which begin with those of the last call.
    /// Refuses what can no longer become one.
    pub(crate) fn has_end(&mut self, bytes: &[u8], strict: bool) -> Result<bool, Fault> {
        if strict
            && bytes
                .first()
                .is_some_and(|&b| class(b) == NO_TOKEN && b != b'\r')
        {
            return Err(Fault::Malformed);
        }
        while let Some(end) = memchr::memchr(b'\n', &bytes[self.at..]) {
            let line = bytes[self.line..self.at + end].strip_suffix(b"\r");
            if line.is_none() && strict {
                return Err(Fault::Malformed);
            }
            let empty = line.map_or(end + self.at == self.line, <[u8]>::is_empty);
            (self.at, self.line) = (self.at + end + 1, self.at + end + 1);
            if empty && (self.count > 0 || self.line > 2) {
                return Ok(true);
            }
            self.count += u32::from(!empty);
            // The empty line, the start line and as many fields: the reader refuses the rest.
            if self.count as usize > self.limits.fields().saturating_add(1) {
                return Ok(true);
            }
        }
        self.at = bytes.len();
        let long = bytes.len() - self.line;
        if self.count == 0 && strict && long > MAX_TARGET_BYTES + START_LINE_BYTES {
            return Err(Fault::TargetTooLong);
        }
        let limits = self.limits;
        if long > limits.line_bytes().saturating_add(2) || bytes.len() > limits.head_bytes() {
            return Err(Fault::TooLarge);
        }
        Ok(false)
    }
}

/// A longer method gets 501 (`http-proxy 1.15`).
const MAX_METHOD_BYTES: usize = 32;
/// A longer target gets 414.
const MAX_TARGET_BYTES: usize = 8 * 1024;
/// What a request line may have beside its target.
const START_LINE_BYTES: usize = MAX_METHOD_BYTES + " HTTP/1.1 \r\n".len() + 2;
/// A longer field line gets 431 (`http-proxy 3`), its end not counted.
const MAX_LINE_BYTES: usize = 16 * 1024;
/// A longer head gets 431 (`http-proxy 3`).
pub(crate) const MAX_HEAD_BYTES: u32 = 64 * 1024;
/// More fields get 431 (`http-proxy 3`).
pub(crate) const MAX_FIELDS: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    fn status(head: &[u8]) -> u16 {
        match request(head, &mut Vec::new()) {
            Ok(Some(_)) => 200,
            Ok(None) => 0,
            Err(fault) => fault.status().as_u16(),
        }
    }

    #[test]
    fn heads_have_one_reading_or_none() {
        for (case, head, want) in [
            ("plain", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 200),
            ("old", "GET / HTTP/1.0\r\n\r\n", 200),
            ("not ended", "GET / HTTP/1.1\r\nHost: a\r\n", 0),
            ("one empty line before", "\r\nGET / HTTP/1.1\r\n\r\n", 200),
            ("two empty lines before", "\r\n\r\nGET / HTTP/1.1\r\n\r\n", 400),
            ("a bare line feed before", "\nGET / HTTP/1.1\r\n\r\n", 400),
            ("two blanks", "GET  / HTTP/1.1\r\n\r\n", 400),
            ("tab", "GET\t/ HTTP/1.1\r\n\r\n", 400),
            ("blank behind", "GET / HTTP/1.1 \r\n\r\n", 400),
            ("HTTP/0.9", "GET /\r\n\r\n", 400),
            ("HTTP/1.2", "GET / HTTP/1.2\r\n\r\n", 400),
            ("HTTP/2.0", "GET / HTTP/2.0\r\n\r\n", 505),
            ("HTTP/11.1", "GET / HTTP/11.1\r\n\r\n", 400),
            ("lower case", "GET / http/1.1\r\n\r\n", 400),
            ("preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
            ("fragment", "GET /a#b HTTP/1.1\r\n\r\n", 400),
            ("byte beyond ASCII", "GET /ä HTTP/1.1\r\n\r\n", 400),
            ("odd method", "G(T / HTTP/1.1\r\n\r\n", 400),
            ("no method", " / HTTP/1.1\r\n\r\n", 400),
            ("method of 32", "ABCDEFGHABCDEFGHABCDEFGHABCDEFGH / HTTP/1.1\r\n\r\n", 200),
            ("method of 33", "ABCDEFGHABCDEFGHABCDEFGHABCDEFGHI / HTTP/1.1\r\n\r\n", 501),
            ("line feed alone", "GET / HTTP/1.1\nHost: a\r\n\r\n", 400),
            ("line feed alone in fields", "GET / HTTP/1.1\r\nHost: a\n\r\n", 400),
            ("line feed alone at the end", "GET / HTTP/1.1\r\nHost: a\r\n\n", 400),
            ("return in a value", "GET / HTTP/1.1\r\nA: b\rc\r\n\r\n", 400),
            ("NUL", "GET / HTTP/1.1\r\nA: b\0c\r\n\r\n", 400),
            ("DEL", "GET / HTTP/1.1\r\nA: b\x7fc\r\n\r\n", 400),
            ("control", "GET / HTTP/1.1\r\nA: b\x01c\r\n\r\n", 400),
            ("tab in a value", "GET / HTTP/1.1\r\nA: b\tc\r\n\r\n", 200),
            ("beyond ASCII in a value", "GET / HTTP/1.1\r\nA: ä\r\n\r\n", 200),
            ("fold", "GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n", 400),
            ("fold by a tab", "GET / HTTP/1.1\r\nA: b\r\n\tc\r\n\r\n", 400),
            ("blank before the colon", "GET / HTTP/1.1\r\nA : b\r\n\r\n", 400),
            ("no name", "GET / HTTP/1.1\r\n: b\r\n\r\n", 400),
            ("no colon", "GET / HTTP/1.1\r\nA\r\n\r\n", 400),
            ("blank-led first field", "GET / HTTP/1.1\r\n A: b\r\n\r\n", 400),
            ("odd byte in a name", "GET / HTTP/1.1\r\nA(: b\r\n\r\n", 400),
            ("TLS", "\x16\x03\x01\x02\r\n\r\n", 400),
            ("PROXY", "PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\nGET / HTTP/1.1\r\n\r\n", 400),
        ] {
            assert_eq!(status(head.as_bytes()), want, "http-proxy 2: {case}");
        }
    }

    #[test]
    fn heads_have_limits() {
        let head = |target: usize, fields: usize, value: usize| {
            let mut head = format!("GET /{} HTTP/1.1\r\n", "a".repeat(target - 1));
            (0..fields).for_each(|_| head.push_str(&format!("A: {}\r\n", "v".repeat(value))));
            head + "\r\n"
        };
        for (case, head, want) in [
            ("target at its limit", head(8192, 0, 0), 200),
            ("target beyond it", head(8193, 0, 0), 414),
            ("fields at their limit", head(1, 100, 1), 200),
            ("fields beyond it", head(1, 101, 1), 431),
            ("line at its limit", head(1, 1, MAX_LINE_BYTES - 3), 200),
            ("line beyond it", head(1, 1, MAX_LINE_BYTES - 2), 431),
            ("head at its limit", head(4, 5, 13_098), 200),
            ("head beyond it", head(5, 5, 13_098), 431),
        ] {
            assert_eq!(status(head.as_bytes()), want, "http-proxy 3: {case}, {}", head.len());
            let mut scan = Scan::default();
            let ended = (1..=head.len()).find_map(|end| {
                match scan.has_end(&head.as_bytes()[..end], true) {
                    Ok(false) => None,
                    Ok(true) => Some(status(&head.as_bytes()[..end])),
                    Err(fault) => Some(fault.status().as_u16()),
                }
            });
            assert_eq!(ended, Some(want), "http-proxy 3: {case}, byte by byte");
        }
    }

    #[test]
    fn a_response_may_be_given_more_room() {
        let head = |value: usize| format!("HTTP/1.1 200 OK\r\nA: {}\r\n\r\n", "v".repeat(value));
        let fixed = head(0).len();
        let limits = Limits::of_bytes(100_000);
        let mut lines = Vec::new();
        for (case, length, usual, roomy) in [
            ("small", 100, true, true),
            ("a line of the usual length", fixed + MAX_LINE_BYTES - 3, true, true),
            ("a longer one", fixed + MAX_LINE_BYTES - 2, false, true),
            ("the whole head one line", 100_000, false, true),
            ("more than that", 100_001, false, false),
        ] {
            let head = head(length - fixed);
            let read = response(head.as_bytes(), &mut lines);
            assert_eq!(read.is_ok(), usual, "http-proxy 3: {case}");
            let read = response_within(head.as_bytes(), &mut lines, limits);
            assert_eq!(read.is_ok(), roomy, "ingress 2.4: {case}");
            assert!(response_within(head.as_bytes(), &mut lines, Limits::OWN).is_ok(), "{case}");
            let mut scan = Scan::within(limits);
            let pieces = (1..=head.len()).step_by(999);
            let refused = pieces.map(|end| scan.has_end(&head.as_bytes()[..end], false));
            assert!(
                refused
                    .into_iter()
                    .all(|it| it != Err(Fault::TooLarge) || !roomy),
                "{case}"
            );
        }
    }

    #[test]
    fn values_are_without_the_blanks_around_them() {
        let head = b"GET / HTTP/1.1\r\nA: \t b c \t\r\nB:\r\nC:x\r\n\r\n";
        let mut lines = Vec::new();
        assert!(request(head, &mut lines).unwrap().is_some());
        let fields = crate::l7::fields::Fields::new(head, &lines);
        let values: Vec<_> = fields.iter().map(|field| field.value).collect();
        assert_eq!(values, [&b"b c"[..], b"", b"x"]);
    }

    proptest::proptest! {
        /// What is read here, another reader reads alike.
        #[test]
        fn a_second_reader_agrees(
            head in "(\r\n)?[A-Z]{1,3} /[a-z# ]{0,2} HTTP/1\\.[012]\r?\n([A-Za-z_ ]{1,3}: ?[ -~\t\r]{0,3}\r?\n){0,3}\r?\n",
        ) {
            let mut lines = Vec::new();
            let mut theirs = [httparse::EMPTY_HEADER; 8];
            let mut second = httparse::Request::new(&mut theirs);
            if let Ok(Some(line)) = request(head.as_bytes(), &mut lines) {
                let end = second.parse(head.as_bytes());
                proptest::prop_assert_eq!(end, Ok(httparse::Status::Complete(line.end)));
                proptest::prop_assert_eq!(second.method, Some(line.method));
                proptest::prop_assert_eq!(second.path, Some(line.target));
                let fields = crate::l7::fields::Fields::new(head.as_bytes(), &lines);
                let ours: Vec<_> = fields.iter().map(|field| (field.text, field.value)).collect();
                let theirs: Vec<_> = second
                    .headers
                    .iter()
                    .map(|header| (header.name.as_bytes(), header.value))
                    .collect();
                proptest::prop_assert_eq!(ours, theirs);
            }
        }

        #[test]
        fn pieces_end_where_the_whole_ends(
            head in "(\r\n){0,2}[A-Z /]{0,3}(\r?\n[a:]{0,2}){0,4}",
        ) {
            let whole = status(head.as_bytes());
            let mut scan = Scan::default();
            let cut = (1..=head.len()).find_map(|end| {
                let piece = &head.as_bytes()[..end];
                match scan.has_end(piece, true) {
                    Ok(false) => None,
                    Ok(true) => Some(status(piece)),
                    Err(fault) => Some(fault.status().as_u16()),
                }
            });
            // What cannot become a head any more may be refused before its end.
            if let Some(cut) = cut && whole != 0 {
                proptest::prop_assert_eq!(cut, whole);
            }
        }
    }
}
