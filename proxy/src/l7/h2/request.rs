//! A request's head, from pseudo-header fields to HTTP/1.1 (`http-proxy 1.12`, `2.7`, `2.8`).
//!
//! Pure. The head written here is read again by the strict reader of HTTP/1.1, so nothing is checked
//! twice: a request that is wrong is written as what is wrong in HTTP/1.1 too. No authority becomes no
//! Host, two that differ become two Host lines, a scheme that is not ours becomes a target of that
//! scheme, and CONNECT stays CONNECT, but for the one that asks for a WebSocket.

use http::header::{CONTENT_LENGTH, COOKIE, EXPECT, HOST, SEC_WEBSOCKET_KEY};
use http::request::Parts;

use super::incoming::Framing;
use super::socket::Key;
use crate::l7::h1::head::MAX_FIELDS;

/// Writes the head; `ended`: nothing follows it; `key`: it asks for a WebSocket.
pub(super) fn head(parts: &Parts, ended: bool, key: Option<&Key>) -> (Vec<u8>, Framing) {
    let framing = match (key, parts.headers.contains_key(CONTENT_LENGTH), ended) {
        (Some(_), ..) => Framing::Tunnel,
        (None, true, _) => Framing::Sized,
        (None, false, true) => Framing::None,
        (None, false, false) => Framing::Chunked,
    };
    let method = key.map_or(parts.method.as_str(), |_| "GET");
    let mut out = Vec::with_capacity(RESERVE_BYTES);
    put(&mut out, &[method.as_bytes(), b" "]);
    target(&mut out, parts);
    put(&mut out, &[b" HTTP/1.1\r\n"]);
    hosts(&mut out, parts);
    // Crumbs count one by one, as they came: too many are too many fields (`http-proxy 3`).
    let crowded = parts.headers.len() > MAX_FIELDS;
    let mut cookies = 0_usize;
    for (name, value) in &parts.headers {
        if name == HOST || (name == COOKIE && !crowded) {
            cookies += usize::from(name == COOKIE);
            continue;
        }
        // It asks for nothing where nothing follows (`http-proxy 1.23`).
        if name == EXPECT && ended {
            continue;
        }
        if name == SEC_WEBSOCKET_KEY && key.is_some() {
            continue;
        }
        put(&mut out, &[name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"]);
    }
    if cookies > 0 {
        let mut between: &[u8] = b"cookie: ";
        for crumb in parts.headers.get_all(COOKIE) {
            put(&mut out, &[between, crumb.as_bytes()]);
            between = b"; ";
        }
        put(&mut out, &[b"\r\n"]);
    }
    if framing == Framing::Chunked {
        put(&mut out, &[b"transfer-encoding: chunked\r\n"]);
    }
    if let Some(key) = key {
        put(&mut out, &[UPGRADE, b"sec-websocket-key: ", key.as_bytes(), b"\r\n"]);
    }
    put(&mut out, &[b"\r\n"]);
    (out, framing)
}

/// The target: in origin form, or in a form that is refused.
fn target(out: &mut Vec<u8>, parts: &Parts) {
    let uri = &parts.uri;
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    match (uri.path_and_query(), uri.scheme_str()) {
        (None, _) => put(out, &[authority.as_bytes()]),
        (Some(path), Some(scheme)) if !is_web(scheme) => {
            let parts = [scheme, "://", authority, path.as_str()];
            put(out, &parts.map(str::as_bytes));
        }
        (Some(path), _) => put(out, &[path.as_str().as_bytes()]),
    }
}

/// `Host`: the authority; what a field of that name says beside it must be the same.
fn hosts(out: &mut Vec<u8>, parts: &Parts) {
    let authority = parts
        .uri
        .authority()
        .map(|authority| authority.as_str().as_bytes());
    if let Some(authority) = authority {
        put(out, &[b"host: ", authority, b"\r\n"]);
    }
    let fields = parts.headers.get_all(HOST).iter();
    for (at, host) in fields.enumerate() {
        let host = host.as_bytes();
        let said = authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host));
        if at > 0 || !said {
            put(out, &[b"host: ", host, b"\r\n"]);
        }
    }
}

fn is_web(scheme: &str) -> bool {
    scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https")
}

fn put(out: &mut Vec<u8>, pieces: &[&[u8]]) {
    for piece in pieces {
        out.extend_from_slice(piece);
    }
}

const UPGRADE: &[u8] = b"connection: upgrade\r\nupgrade: websocket\r\n";
/// A head of a browser, about.
const RESERVE_BYTES: usize = 1024;

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn written(method: &str, uri: &str, fields: &[(&str, &str)], ended: bool) -> String {
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        String::from_utf8(head(&parts, ended, None).0).unwrap()
    }

    #[test]
    fn a_request_is_written_as_http_1_1() {
        for (case, method, uri, fields, ended, want) in [
            (
                "plain",
                "GET",
                "https://a.test/x?y",
                &[][..],
                true,
                "GET /x?y HTTP/1.1\r\nhost: a.test\r\n\r\n",
            ),
            (
                "the same host twice",
                "GET",
                "https://a.test/",
                &[("host", "A.test")],
                true,
                "GET / HTTP/1.1\r\nhost: a.test\r\n\r\n",
            ),
            (
                "crumbs (http-proxy 2.8)",
                "GET",
                "https://a.test/",
                &[("cookie", "a=1"), ("x", "y"), ("cookie", "b=2")],
                true,
                "GET / HTTP/1.1\r\nhost: a.test\r\nx: y\r\ncookie: a=1; b=2\r\n\r\n",
            ),
            (
                "a body of unknown length (http-proxy 2.8)",
                "POST",
                "http://a.test/",
                &[],
                false,
                "POST / HTTP/1.1\r\nhost: a.test\r\ntransfer-encoding: chunked\r\n\r\n",
            ),
            (
                "a body of known length",
                "POST",
                "http://a.test/",
                &[("content-length", "3")],
                false,
                "POST / HTTP/1.1\r\nhost: a.test\r\ncontent-length: 3\r\n\r\n",
            ),
            (
                "nothing to wait for",
                "POST",
                "http://a.test/",
                &[("expect", "100-continue")],
                true,
                "POST / HTTP/1.1\r\nhost: a.test\r\n\r\n",
            ),
        ] {
            assert_eq!(written(method, uri, fields, ended), want, "{case}");
        }
    }

    #[test]
    fn a_web_socket_is_asked_for_as_http_1_1_does() {
        let request = Request::builder()
            .method("CONNECT")
            .uri("https://a.test/chat?x");
        let request = request
            .extension(h2::ext::Protocol::from_static("websocket"))
            .header("sec-websocket-key", "theirs")
            .header("sec-websocket-version", "13");
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let key = Key::of(&parts, || 0).unwrap();
        let (written, framing) = head(&parts, false, Some(&key));
        assert_eq!(framing, Framing::Tunnel);
        assert_eq!(
            String::from_utf8(written).unwrap(),
            "GET /chat?x HTTP/1.1\r\nhost: a.test\r\nsec-websocket-version: 13\r\n\
             connection: upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
            "http-proxy 1.29"
        );
    }

    #[test]
    fn what_is_wrong_is_written_as_what_is_refused() {
        for (case, method, uri, fields, want) in [
            ("no authority", "GET", "/", &[][..], "GET / HTTP/1.1\r\n\r\n"),
            (
                "two authorities",
                "GET",
                "https://a.test/",
                &[("host", "b.test")],
                "GET / HTTP/1.1\r\nhost: a.test\r\nhost: b.test\r\n\r\n",
            ),
            (
                "other scheme",
                "GET",
                "ftp://a.test/x",
                &[],
                "GET ftp://a.test/x HTTP/1.1\r\nhost: a.test\r\n\r\n",
            ),
            (
                "CONNECT",
                "CONNECT",
                "a.test:443",
                &[],
                "CONNECT a.test:443 HTTP/1.1\r\nhost: a.test:443\r\n\r\n",
            ),
        ] {
            assert_eq!(written(method, uri, fields, true), want, "http-proxy 1.12, 2.7: {case}");
        }
        let crumbs = vec![("cookie", "a=1"); MAX_FIELDS + 1];
        let many = written("GET", "https://a.test/", &crumbs, true);
        assert_eq!(many.matches("cookie: ").count(), MAX_FIELDS + 1, "http-proxy 3");
    }
}
