//! A request's fields on their way to a backend (`http-proxy 3`, `ingress 1.9`).
//!
//! Pure. One pass: what is about the client's hop is left out, what a client claims of its way is
//! replaced or moved to `X-Original-`, all else goes as it came and in its order. What is written
//! beside it stands in [`Added`], so that a copy or a question of portico's own is written by the same
//! lines.

use super::named::Named;
use super::{Connection, RESERVE_BYTES, Via, announce, line, number, port_of, put};
use crate::l7::clients::Shown;
use crate::l7::fields::{Field, Fields, Name};
use crate::l7::forwarded;
use crate::l7::order::Incoming;
use crate::l7::request::{self, Checked};
use crate::l7::trust::Told;

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
    if from.tells_forwarded {
        forwarded::write(out, from, added.told, (authority, checked.authority));
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

/// `http-proxy 3.6`.
pub(crate) fn is_request_id(value: &[u8]) -> bool {
    let known = |b: &u8| b.is_ascii_alphanumeric() || b"._~+/=-".contains(b);
    (1..=128).contains(&value.len()) && value.iter().all(known)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::l7::forward::{Announced, Peer};
    use crate::l7::h1::head;
    use crate::l7::request::Asked;

    /// The head that goes to a backend, by line.
    fn forwarded(lines: &str) -> Vec<String> {
        let head = format!("GET /a HTTP/1.1\r\nHost: a.test:8080\r\n{lines}\r\n");
        let mut places = Vec::new();
        let line = head::request(head.as_bytes(), &mut places)
            .unwrap()
            .unwrap();
        let fields = Fields::new(head.as_bytes(), &places);
        let asked = Asked { method: line.method, target: line.target, old: false, fields };
        let from = Peer::new([192, 0, 2, 7].into(), ([127, 0, 0, 1], 8080).into(), false);
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
}
