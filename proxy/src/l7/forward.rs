//! A request's fields on their way to a backend, and a response's on their way back
//! (`http-proxy 1.1` to `1.5`, `http-proxy 3`, `ingress 1.9`).
//!
//! Names that `Connection` lists and hop-by-hop fields go first, then ours are put in place of
//! whatever a client claimed. The map that came in is the map that goes out.

use http::header::{self, Entry, HeaderName};
use http::{HeaderMap, HeaderValue};

/// What is said of the connection that a request came over; made once per connection.
pub(crate) struct ForwardedFor {
    /// The client's address.
    pub(crate) peer: HeaderValue,
    /// `http` or `https`.
    pub(crate) scheme: HeaderValue,
    /// The listener's port where Host names none: 80 or 443.
    pub(crate) port: HeaderValue,
}

/// Our own line in `Via`.
pub(crate) struct Via {
    line: HeaderValue,
}

impl Via {
    /// For an instance that calls itself `id`: the same in all its workers.
    pub(crate) fn new(id: u64) -> Self {
        let line = HeaderValue::try_from(format!("1.1 portico ({id:016x})"));
        Self { line: line.unwrap_or_else(|_| HeaderValue::from_static("1.1 portico")) }
    }

    /// How often this instance stands in the request's `Via` already.
    pub(crate) fn seen(&self, headers: &HeaderMap) -> usize {
        let own = self.line.as_bytes();
        let lines = headers.get_all(header::VIA).iter();
        lines
            .flat_map(|line| line.as_bytes().split(|&byte| byte == b','))
            .filter(|entry| entry.trim_ascii() == own)
            .count()
    }
}

/// Makes a client's fields the fields of a request to a backend.
pub(crate) fn to_upstream(
    headers: &mut HeaderMap,
    authority: Option<HeaderValue>,
    from: &ForwardedFor,
    via: &Via,
    request_id: impl FnOnce() -> HeaderValue,
    websocket: bool,
) {
    remove_hop_by_hop(headers);
    for name in FORGED {
        headers.remove(name);
    }
    // Names that CGI could take for another (`http-proxy 3.5`).
    let odd = |name: &HeaderName| {
        !name
            .as_str()
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    if headers.keys().any(odd) {
        let names: Vec<HeaderName> = headers.keys().filter(|name| odd(name)).cloned().collect();
        for name in names {
            headers.remove(name);
        }
    }
    if let Some(theirs) = headers.insert(X_FORWARDED_FOR, from.peer.clone()) {
        headers.insert(X_ORIGINAL_FORWARDED_FOR, theirs);
    }
    headers.insert(X_REAL_IP, from.peer.clone());
    let port = authority
        .as_ref()
        .and_then(port_of)
        .unwrap_or_else(|| from.port.clone());
    headers.insert(X_FORWARDED_PORT, port);
    if let Some(authority) = authority {
        if let Some(theirs) = headers.insert(X_FORWARDED_HOST, authority.clone()) {
            headers.insert(X_ORIGINAL_FORWARDED_HOST, theirs);
        }
        headers.insert(header::HOST, authority);
    }
    for name in [X_FORWARDED_PROTO, X_FORWARDED_SCHEME, X_SCHEME] {
        headers.insert(name, from.scheme.clone());
    }
    if !headers.get(X_REQUEST_ID).is_some_and(is_request_id) {
        headers.insert(X_REQUEST_ID, request_id());
    }
    headers.append(header::VIA, via.line.clone());
    if websocket {
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    }
}

/// Makes a backend's fields those of the response to the client.
pub(crate) fn to_downstream(headers: &mut HeaderMap, upgraded: bool) {
    remove_hop_by_hop(headers);
    if upgraded {
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    }
    if let Entry::Vacant(server) = headers.entry(header::SERVER) {
        server.insert(SERVER);
    }
}

/// Removes the fields that end here, those that `Connection` names among them.
fn remove_hop_by_hop(headers: &mut HeaderMap) {
    if let Some(first) = headers.get(header::CONNECTION) {
        let plain: &[&[u8]] = &[b"keep-alive", b"close", b"upgrade"];
        let one = headers.get_all(header::CONNECTION).iter().nth(1).is_none();
        if !one
            || !plain
                .iter()
                .any(|p| first.as_bytes().eq_ignore_ascii_case(p))
        {
            remove_named(headers);
        }
        headers.remove(header::CONNECTION);
    }
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
}

/// `http-proxy 1.2`: what the list may never take away stays.
#[cold]
fn remove_named(headers: &mut HeaderMap) {
    let lines: Vec<HeaderValue> = headers
        .get_all(header::CONNECTION)
        .iter()
        .cloned()
        .collect();
    for name in lines
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|l| l.split(','))
    {
        let Ok(name) = HeaderName::try_from(name.trim()) else { continue };
        let text = name.as_str();
        if !PROTECTED.contains(&text) && !text.starts_with("x-forwarded-") {
            headers.remove(name);
        }
    }
}

fn port_of(authority: &HeaderValue) -> Option<HeaderValue> {
    let text = authority.to_str().ok()?;
    let port = text
        .rsplit_once(':')
        .filter(|(_, port)| !port.is_empty() && !port.ends_with(']'))?
        .1;
    HeaderValue::from_str(port).ok()
}

/// `http-proxy 3.6`.
fn is_request_id(value: &HeaderValue) -> bool {
    let known = |b: &u8| b.is_ascii_alphanumeric() || b"._~+/=-".contains(b);
    (1..=128).contains(&value.len()) && value.as_bytes().iter().all(known)
}

/// What `Server` says where the backend says nothing.
pub(crate) const SERVER: HeaderValue = HeaderValue::from_static("portico");

const HOP_BY_HOP: [HeaderName; 9] = [
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::UPGRADE,
    HeaderName::from_static("http2-settings"),
    HeaderName::from_static("proxy"),
];

/// Fields that only a proxy may have said, and this one did not.
const FORGED: [HeaderName; 6] = [
    header::FORWARDED,
    HeaderName::from_static("x-forwarded-prefix"),
    HeaderName::from_static("x-forwarded-server"),
    HeaderName::from_static("x-forwarded-user"),
    HeaderName::from_static("x-original-url"),
    HeaderName::from_static("x-rewrite-url"),
];

const PROTECTED: &[&str] = &[
    "host",
    "content-length",
    "transfer-encoding",
    "content-type",
    "authorization",
    "cookie",
    "forwarded",
    "via",
    "trailer",
    "x-real-ip",
    "x-request-id",
    "traceparent",
    "tracestate",
];

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_SCHEME: HeaderName = HeaderName::from_static("x-forwarded-scheme");
const X_ORIGINAL_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-original-forwarded-for");
const X_ORIGINAL_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-original-forwarded-host");
const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const X_SCHEME: HeaderName = HeaderName::from_static("x-scheme");

#[cfg(test)]
mod tests {
    use super::*;

    fn forwarded(lines: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
        }
        let from = ForwardedFor {
            peer: HeaderValue::from_static("192.0.2.7"),
            scheme: HeaderValue::from_static("http"),
            port: HeaderValue::from_static("80"),
        };
        let authority = Some(HeaderValue::from_static("a.test:8080"));
        let id = || HeaderValue::from_static("new-id");
        to_upstream(&mut headers, authority, &from, &Via::new(7), id, false);
        headers
    }

    #[test]
    fn fields_of_one_hop_end_here() {
        let headers = forwarded(&[
            ("connection", "X-Secret, keep-alive, Host, X-Forwarded-For, Cookie"),
            ("connection", "x-other"),
            ("x-secret", "1"),
            ("x-other", "1"),
            ("cookie", "a=b"),
            ("keep-alive", "timeout=5"),
            ("proxy", "evil"),
            ("te", "trailers"),
            ("upgrade", "h2c"),
            ("http2-settings", "x"),
            ("x_odd", "1"),
            ("x-kept", "1"),
        ]);
        let gone = [
            "x-secret",
            "x-other",
            "keep-alive",
            "proxy",
            "te",
            "upgrade",
            "http2-settings",
            "x_odd",
            "connection",
        ];
        for name in gone {
            assert!(!headers.contains_key(name), "http-proxy 1.1, 1.3: {name}");
        }
        for name in ["cookie", "x-kept", "host", "x-forwarded-for"] {
            assert!(headers.contains_key(name), "http-proxy 1.2: {name}");
        }
    }

    #[test]
    fn forwarding_fields_are_replaced_and_kept_aside() {
        let headers = forwarded(&[
            ("x-forwarded-for", "6.6.6.6"),
            ("x-forwarded-host", "evil"),
            ("x-forwarded-proto", "https"),
            ("x-real-ip", "6.6.6.6"),
            ("forwarded", "for=6.6.6.6"),
            ("x-request-id", "mine-1"),
            ("via", "1.0 before"),
        ]);
        for (name, want) in [
            ("x-forwarded-for", "192.0.2.7"),
            ("x-original-forwarded-for", "6.6.6.6"),
            ("x-forwarded-host", "a.test:8080"),
            ("x-original-forwarded-host", "evil"),
            ("x-forwarded-port", "8080"),
            ("x-forwarded-proto", "http"),
            ("x-real-ip", "192.0.2.7"),
            ("x-request-id", "mine-1"),
            ("host", "a.test:8080"),
        ] {
            assert_eq!(headers[name], want, "ingress 1.9: {name}");
        }
        assert!(!headers.contains_key("forwarded"));
        assert_eq!(headers.get_all("via").iter().count(), 2);
        assert_eq!(Via::new(7).seen(&headers), 1);
        assert_eq!(Via::new(8).seen(&headers), 0);
        assert_eq!(forwarded(&[("x-request-id", "bad id")])["x-request-id"], "new-id");
    }
}
