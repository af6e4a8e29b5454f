//! A request's fields on their way to a backend, and a response's on their way back
//! (`http-proxy 1.1` to `1.5`, `http-proxy 3`, `ingress 1.9`).
//!
//! Pure. One pass over what came writes what goes: hop-by-hop fields and those that `Connection`
//! names stay behind, and ours take the place of whatever a client claimed. Nothing is sent on that
//! was not read; no head is sent on as it came.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderValue, StatusCode};

use super::agreed::Agreed;
use super::clients::Shown;
use super::edits::Edits;
use super::exchange::Incoming;
use super::fields::{Field, Fields, Name};
use super::request::{self, Checked};
use super::trust::Told;

/// What is said of the connection that a request came over; made once per connection.
pub(crate) struct ForwardedFor {
    /// Who came: the client, or a proxy that stands for it.
    pub(crate) client: IpAddr,
    /// Whether it speaks TLS.
    pub(crate) tls: bool,
    /// Where its connection came from.
    pub(crate) peer_port: u16,
    /// The listener that it came to.
    pub(crate) listener: SocketAddr,
    /// Which of our addresses it came to.
    pub(crate) local: IpAddr,
    /// Whether its certificate is one that browsers may be told to insist on (`ingress 1.9`).
    pub(crate) insists: bool,
    /// Whether it is a trusted proxy, of whose requests [`trust`](super::trust) is asked.
    pub(crate) is_trusted: bool,
    /// Whether `X-Forwarded-For` keeps what a trusted proxy said.
    full: bool,
    /// What its handshake came to, where it is logged.
    pub(crate) agreed: Option<Box<Agreed>>,
    /// What the client has shown, where it was asked for a certificate.
    pub(crate) shown: Option<Shown>,
    /// The lines that are the same for all of its requests.
    lines: Vec<u8>,
    /// The listener's port where Host names none: 80 or 443.
    port: &'static str,
    /// What Host says where the client said nothing (`http-proxy 1.13`).
    address: String,
}

impl ForwardedFor {
    /// For a client at `peer` that came to `listener`.
    pub(crate) fn new(peer: IpAddr, listener: SocketAddr, tls: bool) -> Self {
        let mut from = Self {
            client: peer.to_canonical(),
            tls,
            peer_port: 0,
            listener,
            local: listener.ip(),
            insists: false,
            is_trusted: false,
            full: false,
            lines: Vec::new(),
            port: if tls { "443" } else { "80" },
            agreed: None,
            shown: None,
            address: listener.to_string(),
        };
        from.lines = from.lines(from.client, tls, &[]);
        from
    }

    /// The same for a trusted proxy; `full`: what it says of the way to it is kept.
    pub(crate) fn trusted(self, full: bool) -> Self {
        Self { is_trusted: true, full, ..self }
    }

    /// What a backend is told of a client; `chain` is what a trusted proxy said of it.
    pub(super) fn lines(&self, client: IpAddr, tls: bool, chain: &[&[u8]]) -> Vec<u8> {
        let scheme = if tls { "https" } else { "http" };
        let mut lines = b"X-Forwarded-For: ".to_vec();
        match self.full {
            true => {
                for element in chain {
                    lines.extend_from_slice(element);
                    lines.extend_from_slice(b", ");
                }
                put(&mut lines, &[&self.client.to_string()]);
            }
            false => put(&mut lines, &[&client.to_string()]),
        }
        let rest = format!(
            "\r\nX-Real-IP: {client}\r\nX-Forwarded-Proto: {scheme}\r\n\
             X-Forwarded-Scheme: {scheme}\r\nX-Scheme: {scheme}\r\n"
        );
        put(&mut lines, &[&rest]);
        lines
    }
}

/// Our own line in `Via`.
pub(crate) struct Via {
    line: Vec<u8>,
}

impl Via {
    /// For an instance that calls itself `id`: the same in all its workers.
    pub(crate) fn new(id: u64) -> Self {
        Self { line: format!("Via: 1.1 portico ({id:016x})\r\n").into_bytes() }
    }

    /// The line.
    pub(crate) fn line(&self) -> &[u8] {
        &self.line
    }

    /// How often this instance stands in the request's `Via` already.
    pub(crate) fn seen(&self, fields: Fields<'_>) -> usize {
        let own = self.line.get(5..).unwrap_or_default().trim_ascii();
        fields
            .elements(Name::Via)
            .filter(|&element| element == own)
            .count()
    }
}

/// How a body is announced.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Announced {
    /// Not at all.
    Nothing,
    /// `Content-Length`.
    Length(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
}

/// What is not in the client's fields.
pub(crate) struct Added<'a> {
    pub(crate) incoming: &'a Incoming<'a>,
    pub(crate) via: &'a Via,
    /// What a trusted proxy says of the request.
    pub(crate) told: Option<&'a Told<'a>>,
    /// Used where the client gives no id that can be kept.
    pub(crate) request_id: [u8; 32],
    /// What the backend gets as Host; none: what the client sent.
    pub(crate) host: Option<&'a str>,
    /// What it gets as `X-Forwarded-Prefix`.
    pub(crate) prefix: Option<&'a str>,
    /// Lines that the backend gets beside the client's.
    pub(crate) lines: &'a [u8],
    /// Whether the connection carries this request alone.
    pub(crate) closes: bool,
    /// Fields of the client that the backend does not get, in lower case.
    pub(crate) withheld: &'a [Box<str>],
    /// Whether it is spoken to by HTTP/2.
    pub(crate) http2: bool,
}

impl Added<'_> {
    fn withholds(&self, name: &[u8]) -> bool {
        let mut withheld = self.withheld.iter();
        withheld.any(|it| it.as_bytes().eq_ignore_ascii_case(name))
    }
}

/// Writes the head of the request to a backend.
pub(crate) fn to_upstream(out: &mut Vec<u8>, checked: &Checked<'_>, added: &Added<'_>) {
    let Incoming { asked, from, body, expects, websocket } = added.incoming;
    out.reserve(asked.fields.byte_count() + from.lines.len() + RESERVE_BYTES);
    put(out, &[asked.method, " ", &checked.path]);
    if let Some(query) = checked.query {
        put(out, &["?", query]);
    }
    let host = added.host.or(checked.authority).unwrap_or(&from.address);
    put(out, &[" HTTP/1.1\r\nHost: ", host, "\r\n"]);
    let named = Named::of(asked.fields);
    let mut id = &added.request_id[..];
    let hops = match asked.method {
        "OPTIONS" => request::max_forwards(asked),
        _ => None,
    };
    for field in asked.fields.iter() {
        if added.withholds(field.text) {
            continue;
        }
        match field.name {
            Name::Other if named.has(field.text) => {}
            Name::Other if hops.is_some() && is_max_forwards(field.text) => {}
            Name::Other | Name::Date | Name::Server | Name::Hsts | Name::Via | Name::Protected => {
                line(out, field.text, field.value);
            }
            Name::XForwardedFor => line(out, b"X-Original-Forwarded-For", field.value),
            Name::XForwardedHost => line(out, b"X-Original-Forwarded-Host", field.value),
            Name::XRequestId if is_request_id(field.value) => id = field.value,
            Name::XRequestId
            | Name::Odd
            | Name::Connection
            | Name::ContentLength
            | Name::Expect
            | Name::Host
            | Name::TransferEncoding
            | Name::Upgrade
            | Name::HopByHop
            | Name::Forged => {}
        }
    }
    seen_from_outside(out, checked, added);
    out.extend_from_slice(added.lines);
    if let Some(hops) = hops {
        put(out, &["Max-Forwards: "]);
        number(out, hops.saturating_sub(1));
        put(out, &["\r\n"]);
    }
    line(out, b"X-Request-ID", id);
    out.extend_from_slice(&added.via.line);
    announce(out, *body);
    if *expects {
        put(out, &["Expect: 100-continue\r\n"]);
    }
    if added.http2 && takes_trailers(asked.fields) {
        put(out, &["TE: trailers\r\n"]);
    }
    let connection = match (*websocket, added.closes) {
        (true, _) => Connection::Upgrade,
        (false, true) => Connection::Close,
        (false, false) => Connection::Persists,
    };
    put(out, &[connection.line(), "\r\n"]);
}

/// Writes for whom the request is, and what it asked for, in the client's words.
#[inline]
fn seen_from_outside(out: &mut Vec<u8>, checked: &Checked<'_>, added: &Added<'_>) {
    let from = added.incoming.from;
    out.extend_from_slice(added.told.map_or(&from.lines, |told| &told.lines));
    out.extend_from_slice(from.shown.as_ref().map_or(&[][..], Shown::lines));
    let authority = added
        .told
        .and_then(|told| told.authority)
        .or(checked.authority);
    if let Some(authority) = authority {
        put(out, &["X-Forwarded-Host: ", authority, "\r\n"]);
    }
    let own = match added.told {
        Some(told) if told.tls => "443",
        Some(_) => "80",
        None => from.port,
    };
    let port = added.told.and_then(|told| told.port);
    let port = port.or_else(|| authority.and_then(port_of)).unwrap_or(own);
    put(out, &["X-Forwarded-Port: ", port, "\r\n"]);
    if let Some(prefix) = added.prefix {
        put(out, &["X-Forwarded-Prefix: ", prefix, "\r\n"]);
    }
}

/// What the head of a response says of the connection to the client.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Connection {
    /// It goes on, as is usual.
    Persists,
    /// It goes on with a client of HTTP/1.0.
    KeepAlive,
    /// This is the last response.
    Close,
    /// It becomes a WebSocket.
    Upgrade,
}

impl Connection {
    pub(super) fn line(self) -> &'static str {
        match self {
            Self::Persists => "",
            Self::KeepAlive => "Connection: keep-alive\r\n",
            Self::Close => "Connection: close\r\n",
            Self::Upgrade => UPGRADE,
        }
    }
}

/// What every answer to a client says, each a whole line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ours<'a> {
    /// `Date`, where a backend said none.
    pub(crate) date: &'a [u8],
    /// `Strict-Transport-Security`, in place of a backend's; none: nothing is said or taken away.
    pub(crate) hsts: Option<&'a [u8]>,
}

impl<'a> Ours<'a> {
    /// The line of `hsts`, unless `edits` have a word on it.
    pub(super) fn hsts(self, edits: Option<&Edits>) -> Option<&'a [u8]> {
        let is_edited = |edits: &Edits| edits.removes(b"strict-transport-security");
        self.hsts.filter(|_| !edits.is_some_and(is_edited))
    }
}

/// Writes the head of a backend's response to the client, with `edits` done to its fields and a
/// cookie of ours.
pub(crate) fn to_downstream(
    out: &mut Vec<u8>,
    (status, reason): (StatusCode, &[u8]),
    (fields, edits, cookie): (Fields<'_>, Option<&Edits>, Option<&HeaderValue>),
    (body, connection): (Announced, Connection),
    ours: Ours<'_>,
) {
    out.reserve(fields.byte_count() + RESERVE_BYTES);
    status_line(out, (status, reason));
    let hsts = ours.hsts(edits);
    passed_on(out, fields, edits, hsts.is_some());
    for (name, value) in edits.iter().flat_map(|edits| edits.added(status)) {
        line(out, name, value);
    }
    if let Some(cookie) = cookie {
        line(out, b"Set-Cookie", cookie.as_bytes());
    }
    let edited = |name: &[u8]| edits.is_some_and(|edits| edits.removes(name));
    if !fields.has(Name::Server) && !edited(b"server") {
        put(out, &[SERVER]);
    }
    if !fields.has(Name::Date) && !edited(b"date") {
        out.extend_from_slice(ours.date);
    }
    out.extend_from_slice(hsts.unwrap_or_default());
    announce(out, body);
    put(out, &[connection.line(), "\r\n"]);
}

/// Writes an interim answer of a backend to the client: it frames nothing and says nothing of a
/// connection (`http-proxy 1.25`).
pub(crate) fn interim(out: &mut Vec<u8>, status: (StatusCode, &[u8]), fields: Fields<'_>) {
    status_line(out, status);
    passed_on(out, fields, None, false);
    put(out, &["\r\n"]);
}

fn status_line(out: &mut Vec<u8>, (status, reason): (StatusCode, &[u8])) {
    put(out, &["HTTP/1.1 ", status.as_str(), " "]);
    out.extend_from_slice(reason);
    put(out, &["\r\n"]);
}

/// The fields of a response that are not about one hop; `insists`: what it says of later visits is
/// said in other words.
fn passed_on(out: &mut Vec<u8>, fields: Fields<'_>, edits: Option<&Edits>, insists: bool) {
    let named = Named::of(fields);
    for Field { name, text, value } in fields.iter() {
        match name {
            Name::Other if named.has(text) => {}
            Name::Connection
            | Name::ContentLength
            | Name::TransferEncoding
            | Name::Upgrade
            | Name::HopByHop => {}
            Name::Hsts if insists => {}
            _ if edits.is_some_and(|edits| edits.removes(text)) => {}
            _ => match edits.and_then(|edits| edits.rewritten(text, value)) {
                Some(value) => line(out, text, &value),
                None => line(out, text, value),
            },
        }
    }
}

pub(super) fn announce(out: &mut Vec<u8>, body: Announced) {
    match body {
        Announced::Nothing => {}
        Announced::Length(bytes) => {
            put(out, &["Content-Length: "]);
            number(out, bytes);
            put(out, &["\r\n"]);
        }
        Announced::Chunked => put(out, &["Transfer-Encoding: chunked\r\n"]),
    }
}

fn number(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b"0123456789"[usize::try_from(number % 10).unwrap_or(0)];
        number /= 10;
        if number == 0 {
            return out.extend_from_slice(&digits[at..]);
        }
    }
}

pub(super) fn put(out: &mut Vec<u8>, texts: &[&str]) {
    for text in texts {
        out.extend_from_slice(text.as_bytes());
    }
}

pub(super) fn line(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

fn is_max_forwards(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"max-forwards")
}

/// Whether a client says that it takes trailers (`http-proxy 1.3`).
fn takes_trailers(fields: Fields<'_>) -> bool {
    let te = |field: &Field<'_>| {
        let mut words = field
            .value
            .split(|&byte| byte == b',')
            .map(<[u8]>::trim_ascii);
        field.text.eq_ignore_ascii_case(b"te")
            && words.any(|word| word.eq_ignore_ascii_case(b"trailers"))
    };
    fields.has(Name::HopByHop) && fields.iter().any(|field| te(&field))
}

/// The fields that `Connection` names, beside the words that every client says.
pub(super) struct Named<'a> {
    fields: Fields<'a>,
    any: bool,
}

impl<'a> Named<'a> {
    pub(super) fn of(fields: Fields<'a>) -> Self {
        let plain: &[&[u8]] = &[b"keep-alive", b"close", b"upgrade"];
        let known = |line: &[u8]| plain.iter().any(|p| line.eq_ignore_ascii_case(p));
        Self { fields, any: !fields.all(Name::Connection).all(known) }
    }

    pub(super) fn has(&self, name: &[u8]) -> bool {
        let mut names = self.fields.elements(Name::Connection).take(MAX_NAMED);
        self.any && names.any(|named| named.eq_ignore_ascii_case(name))
    }
}

/// Whether `Connection` names more than is looked at: such a request is refused.
pub(crate) fn names_too_much(fields: Fields<'_>) -> bool {
    fields.has(Name::Connection) && fields.elements(Name::Connection).nth(MAX_NAMED).is_some()
}

pub(super) fn port_of(authority: &str) -> Option<&str> {
    let (_, port) = authority.rsplit_once(':')?;
    (!port.is_empty() && !port.ends_with(']')).then_some(port)
}

/// `http-proxy 3.6`.
pub(crate) fn is_request_id(value: &[u8]) -> bool {
    let known = |b: &u8| b.is_ascii_alphanumeric() || b"._~+/=-".contains(b);
    (1..=128).contains(&value.len()) && value.iter().all(known)
}

/// What `Server` says where the backend says nothing.
pub(super) const SERVER: &str = "Server: portico\r\n";
const UPGRADE: &str = "Connection: upgrade\r\nUpgrade: websocket\r\n";
/// What is added to a head, about.
const RESERVE_BYTES: usize = 512;
/// Names in `Connection`, so that a list costs little; more get 431.
const MAX_NAMED: usize = 32;

#[cfg(test)]
mod tests {
    use super::super::h1::head;
    use super::super::request::{self, Asked};
    use super::*;

    /// The head that goes to a backend, by line.
    fn forwarded(lines: &str) -> Vec<String> {
        let head = format!("GET /a HTTP/1.1\r\nHost: a.test:8080\r\n{lines}\r\n");
        let mut places = Vec::new();
        let line = head::request(head.as_bytes(), &mut places)
            .unwrap()
            .unwrap();
        let fields = Fields::new(head.as_bytes(), &places);
        let asked = Asked { method: line.method, target: line.target, old: false, fields };
        let from = ForwardedFor::new([192, 0, 2, 7].into(), ([127, 0, 0, 1], 8080).into(), false);
        let incoming = Incoming {
            asked,
            from: &from,
            body: Announced::Nothing,
            expects: false,
            websocket: false,
        };
        let added = Added {
            incoming: &incoming,
            via: &Via::new(7),
            told: None,
            request_id: *b"00000000000000000000000000000000",
            host: None,
            prefix: None,
            lines: &[],
            closes: false,
            withheld: &[],
            http2: false,
        };
        let mut out = Vec::new();
        to_upstream(&mut out, &request::check(&asked).unwrap(), &added);
        let text = String::from_utf8(out).unwrap();
        text.lines().map(str::to_ascii_lowercase).collect()
    }

    #[test]
    fn fields_of_one_hop_end_here() {
        let lines = forwarded(
            "Connection: X-Secret, keep-alive, Host, X-Forwarded-For, Cookie, Authorization\r\n\
             connection: x-other\r\nX-Secret: 1\r\nx-other: 1\r\nCookie: a=b\r\nKeep-Alive: 5\r\n\
             Authorization: x\r\nProxy: evil\r\nTE: trailers\r\nUpgrade: h2c\r\n\
             HTTP2-Settings: x\r\nX_odd: 1\r\nTrailer: x\r\nX-Kept: 1\r\n",
        );
        let has = |name: &str| lines.iter().any(|line| line.starts_with(name));
        for name in [
            "x-secret",
            "x-other",
            "keep-alive",
            "proxy",
            "te:",
            "trailer",
            "upgrade",
            "http2-settings",
            "x_odd",
            "connection",
        ] {
            assert!(!has(name), "http-proxy 1.1, 1.3: {name}");
        }
        for name in ["cookie", "x-kept", "host", "x-forwarded-for", "authorization"] {
            assert!(has(name), "http-proxy 1.2: {name}");
        }
    }

    #[test]
    fn forwarding_fields_are_replaced_and_kept_aside() {
        let lines = forwarded(
            "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Host: evil\r\nX-Forwarded-Proto: https\r\n\
             X-Real-IP: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\nX-Request-ID: mine-1\r\n\
             X-Original-URL: /x\r\nSSL-Client-Verify: SUCCESS\r\nVia: 1.0 before\r\n",
        );
        assert_eq!(
            lines,
            [
                "get /a http/1.1",
                "host: a.test:8080",
                "x-original-forwarded-for: 6.6.6.6",
                "x-original-forwarded-host: evil",
                "via: 1.0 before",
                "x-forwarded-for: 192.0.2.7",
                "x-real-ip: 192.0.2.7",
                "x-forwarded-proto: http",
                "x-forwarded-scheme: http",
                "x-scheme: http",
                "x-forwarded-host: a.test:8080",
                "x-forwarded-port: 8080",
                "x-request-id: mine-1",
                "via: 1.1 portico (0000000000000007)",
                "",
            ],
            "ingress 1.9, http-proxy 1.4, 3.1"
        );
        let made = forwarded("X-Request-ID: bad id\r\n");
        let id = "x-request-id: 00000000000000000000000000000000";
        assert!(made.contains(&id.into()), "http-proxy 3.6");
    }

    #[test]
    fn own_passes_are_counted() {
        let head = b"GET / HTTP/1.1\r\nVia: 1.1 portico (0000000000000007), 1.0 b\r\n\
                     Via:1.1 portico (0000000000000007)\r\n\r\n";
        let mut places = Vec::new();
        assert!(head::request(head, &mut places).unwrap().is_some());
        let fields = Fields::new(head, &places);
        assert_eq!(Via::new(7).seen(fields), 2, "http-proxy 1.5");
        assert_eq!(Via::new(8).seen(fields), 0);
    }

    #[test]
    fn lengths_are_written_in_one_way() {
        for length in [0, 9, 10, 4096, u64::MAX] {
            let mut out = Vec::new();
            announce(&mut out, Announced::Length(length));
            assert_eq!(out, format!("Content-Length: {length}\r\n").as_bytes());
        }
    }
}
