//! What is noted of one request until its line is written.
//!
//! Texts of the client stand one behind the other in one block that the next request uses again, cut
//! to what a line can hold; nothing is looked at twice and no text is made before the end.

use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use portico_config::snapshot::PortId;

use crate::l7::account::Account;
use crate::l7::failure::Failure;
use crate::l7::fields::Name;
use crate::l7::forward::is_request_id;
use crate::l7::order::Incoming;

/// A request that goes on.
#[derive(Debug)]
pub(crate) struct Entry {
    text: Vec<u8>,
    method: Range<usize>,
    target: Range<usize>,
    host: Range<usize>,
    id: Range<usize>,
    trace: Range<usize>,
    /// Fields that the format asks for; none: absent.
    fields: Vec<Option<Range<usize>>>,
    pub(super) protocol: &'static str,
    /// What it came to.
    pub(super) account: Account,
    pub(super) flag: Option<Flag>,
    /// Whom a trusted proxy sent it for, or who sent it; none: it went nowhere.
    pub(super) client: Option<IpAddr>,
    /// Whose endpoints are asked, and the number of that port.
    pub(super) port: Option<(Arc<PortId>, u16)>,
    pub(super) tries: Vec<Try>,
}

/// One endpoint that was asked.
#[derive(Debug)]
pub(super) struct Try {
    pub(super) endpoint: SocketAddr,
    pub(super) status: Option<u16>,
    begun: Instant,
    /// Until there was a connection; none: there never was one.
    pub(super) connected: Option<Duration>,
    /// Whether that was there already.
    pub(super) is_reused: bool,
    /// Until the head of the answer; none: there was no answer.
    pub(super) head: Option<Duration>,
    /// Until it was over.
    pub(super) took: Duration,
    /// Bytes of the answer's body, as the client had them.
    pub(super) body_bytes: u64,
}

/// What one endpoint came to.
#[derive(Debug, Default)]
pub(crate) struct Tried {
    /// What it said; none: nothing.
    pub(crate) status: Option<u16>,
    /// When its head was there.
    pub(crate) answered_at: Option<Instant>,
    /// Whether all of it came with the head.
    pub(crate) at_once: bool,
    /// Bytes of the body, as the client had them.
    pub(crate) body_bytes: u64,
}

/// What happened beside a backend's answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Flag {
    /// The head was no request that may be served.
    Refused,
    /// It was answered here.
    Own,
    /// There was no endpoint to ask.
    NoEndpoint,
    /// The endpoints had no place for it.
    Full,
    /// Every endpoint that was asked failed.
    Failed,
    /// The endpoint did not answer in time.
    TimedOut,
    /// The response or the tunnel broke off, or the client left.
    Cut,
    /// The tunnel carried nothing for too long.
    Idle,
    /// A panic ended it.
    Panic,
    /// It was turned away, since there was too little memory or time.
    Shed,
}

impl Tried {
    /// Of one that gave no answer, in the words of nginx: 502 or 504.
    pub(crate) fn failed(failure: Failure) -> Self {
        Self { status: Some(failure.status().as_u16()), ..Self::default() }
    }
}

impl Flag {
    /// Why no endpoint answered.
    pub(crate) fn of(failure: Failure) -> Self {
        match failure {
            Failure::NoEndpoint => Self::NoEndpoint,
            Failure::Full => Self::Full,
            Failure::Bad => Self::Failed,
            Failure::TimedOut | Failure::Deadline => Self::TimedOut,
        }
    }

    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Own => "own",
            Self::NoEndpoint => "no_endpoint",
            Self::Full => "overflow",
            Self::Failed => "upstream_failed",
            Self::TimedOut => "upstream_timeout",
            Self::Cut => "cut",
            Self::Idle => "idle",
            Self::Panic => "panic",
            Self::Shed => "overload",
        }
    }
}

impl Default for Entry {
    fn default() -> Self {
        Self {
            text: Vec::new(),
            method: 0..0,
            target: 0..0,
            host: 0..0,
            id: 0..0,
            trace: 0..0,
            fields: Vec::new(),
            protocol: "",
            account: Account::default(),
            flag: None,
            client: None,
            port: None,
            tries: Vec::new(),
        }
    }
}

impl Entry {
    /// Makes it that of the next request.
    pub(super) fn clear(&mut self) {
        // In place, since it is large; a member that is new has to be named here.
        let Self {
            text,
            method,
            target,
            host,
            id,
            trace,
            fields,
            protocol,
            account,
            flag,
            client,
            port,
            tries,
        } = self;
        text.clear();
        for range in [method, target, host, id, trace] {
            *range = 0..0;
        }
        fields.clear();
        (*protocol, *account, *flag) = ("", Account::default(), None);
        (*client, *port) = (None, None);
        tries.clear();
    }

    /// Notes what a head says.
    pub(super) fn read(
        &mut self,
        incoming: &Incoming<'_>,
        fields: &[Box<str>],
        new_id: impl FnOnce() -> [u8; 32],
    ) {
        let asked = &incoming.asked;
        self.method = self.put(asked.method.as_bytes());
        self.target = self.put(asked.target.as_bytes());
        if let Some(host) = asked.fields.all(Name::Host).next() {
            self.host = self.put(host);
        }
        let ids = asked.fields.all(Name::XRequestId);
        self.id = match ids.filter(|id| is_request_id(id)).last() {
            Some(id) => self.put(id),
            None => self.put(&new_id()),
        };
        let trace = asked.fields.first("traceparent").and_then(trace_id);
        self.trace = trace.map_or(0..0, |trace| self.put(trace));
        for name in fields {
            let found = asked.fields.first(name).map(|value| self.put(value));
            self.fields.push(found);
        }
    }

    /// Notes method, target and protocol of a first line, as far as it has them.
    pub(super) fn read_line(&mut self, bytes: &[u8]) {
        let bytes = bytes.strip_prefix(b"\r\n").unwrap_or(bytes);
        let end = bytes.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
        let line = bytes.get(..end.unwrap_or(bytes.len())).unwrap_or_default();
        let mut words = line.splitn(3, |&byte| byte == b' ');
        let method = words.next().unwrap_or_default();
        // Anything else is no method, but whatever it is that came.
        if method.is_empty() || method.len() > MAX_METHOD_BYTES || !method.iter().all(is_token) {
            return;
        }
        self.method = self.put(method);
        self.target = words.next().map_or(0..0, |target| self.put(target));
        self.protocol = match words.next() {
            Some(b"HTTP/1.1") => "HTTP/1.1",
            Some(b"HTTP/1.0") => "HTTP/1.0",
            _ => "",
        };
    }

    /// Notes which host is asked for.
    pub(super) fn call(&mut self, host: &str) {
        self.host = self.put(host.as_bytes());
    }

    /// Keeps a text, as far as a line has room.
    fn put(&mut self, text: &[u8]) -> Range<usize> {
        let begin = self.text.len();
        self.text
            .extend_from_slice(text.get(..MAX_TEXT_BYTES).unwrap_or(text));
        begin..self.text.len()
    }

    fn text(&self, range: &Range<usize>) -> &[u8] {
        self.text.get(range.clone()).unwrap_or_default()
    }

    pub(super) fn method(&self) -> &[u8] {
        self.text(&self.method)
    }

    pub(super) fn target(&self) -> &[u8] {
        self.text(&self.target)
    }

    pub(super) fn host(&self) -> &[u8] {
        self.text(&self.host)
    }

    /// The id, where that may be one of ours.
    pub(crate) fn own_id(&self) -> Option<[u8; 32]> {
        self.id().try_into().ok()
    }

    /// Empty for what was no request.
    pub(super) fn id(&self) -> &[u8] {
        self.text(&self.id)
    }

    pub(super) fn trace_id(&self) -> &[u8] {
        self.text(&self.trace)
    }

    /// The field at this place among those that the format asks for.
    pub(super) fn field(&self, index: usize) -> Option<&[u8]> {
        let range = self.fields.get(index)?.as_ref()?;
        Some(self.text(range))
    }

    /// Whether the rule of the request has lines.
    pub(super) fn is_logged(&self) -> bool {
        self.account.rule.as_ref().is_none_or(|rule| rule.is_logged)
    }

    /// Notes whose endpoints are asked, and for which client.
    pub(crate) fn goes_to(&mut self, (port, number): (&Arc<PortId>, u16), client: IpAddr) {
        self.port = Some((Arc::clone(port), number));
        self.client = Some(client);
    }

    /// Notes that an endpoint is asked now.
    pub(crate) fn tries(&mut self, endpoint: SocketAddr, begun: Instant) {
        self.tries.push(Try {
            endpoint,
            status: None,
            begun,
            connected: None,
            is_reused: false,
            head: None,
            took: Duration::ZERO,
            body_bytes: 0,
        });
    }

    /// Notes that there is a connection to it.
    pub(crate) fn connected(&mut self, is_reused: bool) {
        if let Some(last) = self.tries.last_mut() {
            last.is_reused = is_reused;
            let took = if is_reused { Duration::ZERO } else { last.begun.elapsed() };
            last.connected = Some(took);
        }
    }

    /// Notes what came of the endpoint that was asked last.
    pub(crate) fn tried(&mut self, tried: &Tried) {
        let Some(last) = self.tries.last_mut() else { return };
        last.status = tried.status;
        last.body_bytes = tried.body_bytes;
        let since = |now: Instant| now.saturating_duration_since(last.begun);
        last.head = tried.answered_at.map(since);
        last.took = match last.head {
            Some(head) if tried.at_once => head,
            _ => last.begun.elapsed(),
        };
    }

    /// Notes what happened; what was noted before counts.
    pub(crate) fn flag(&mut self, flag: Flag) {
        self.flag.get_or_insert(flag);
    }
}

/// The trace that a `traceparent` is of, where it is one (`http-proxy 9.6`).
fn trace_id(value: &[u8]) -> Option<&[u8]> {
    let mut pieces = value.split(|&byte| byte == b'-');
    let (version, trace, parent, flags) =
        (pieces.next()?, pieces.next()?, pieces.next()?, pieces.next()?);
    let is_hex = |text: &[u8], length| {
        let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        text.len() == length && text.iter().all(is_digit)
    };
    let is_zero = |text: &[u8]| text.iter().all(|&byte| byte == b'0');
    let is_known = version != b"ff" && (version != b"00" || pieces.next().is_none());
    let is_one = is_hex(version, 2) && is_hex(trace, 32) && is_hex(parent, 16) && is_hex(flags, 2);
    (is_known && is_one && !is_zero(trace) && !is_zero(parent)).then_some(trace)
}

/// RFC 9110 5.6.2.
fn is_token(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte)
}

/// `http-proxy 1.15`.
const MAX_METHOD_BYTES: usize = 32;
/// Of one text of a client: what is beyond is not looked at.
pub(super) const MAX_TEXT_BYTES: usize = 2_049;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_first_line_is_noted_as_far_as_it_is_one() {
        for (bytes, method, target, protocol) in [
            (&b"GET /a HTTP/1.1\r\nHost: a\r\n"[..], "GET", "/a", "HTTP/1.1"),
            (b"\r\nGET /a HTTP/1.0\r\n", "GET", "/a", "HTTP/1.0"),
            (b"GET /a HTTP/2.0\r\n", "GET", "/a", ""),
            (b"GET /a b c\n", "GET", "/a", ""),
            (b"GET /a", "GET", "/a", ""),
            (b"GET", "GET", "", ""),
            (b"GET  /a HTTP/1.1\r\n", "GET", "", ""),
            (b"\x16\x03\x01\x02 /a HTTP/1.1\r\n", "", "", ""),
            (b"abcdefghijklmnopqrstuvwxyz1234567 /a HTTP/1.1", "", "", ""),
            (b"", "", "", ""),
            (b"\r\n", "", "", ""),
        ] {
            let mut entry = Entry::default();
            entry.read_line(bytes);
            let got = (entry.method(), entry.target(), entry.protocol);
            assert_eq!(got, (method.as_bytes(), target.as_bytes(), protocol), "http-proxy 2.6");
        }
    }

    #[test]
    fn a_trace_is_that_of_a_valid_parent() {
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        for (value, want) in [
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", Some(trace)),
            ("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more", Some(trace)),
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more", None),
            ("ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", None),
            ("00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", None),
            ("00-00000000000000000000000000000000-00f067aa0ba902b7-01", None),
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", None),
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-01", None),
            ("", None),
        ] {
            let want = want.map(str::as_bytes);
            assert_eq!(trace_id(value.as_bytes()), want, "http-proxy 9.6: {value}");
        }
    }
}
