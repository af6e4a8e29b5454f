//! What a request must be before anything is done with it (`http-proxy 1`, `ingress 1.2`).
//!
//! Pure, and the same for every codec. A request without a Host, with two, with an odd authority or
//! target ends here with the status that says why, before a backend sees a byte.

use std::borrow::Cow;

use http::StatusCode;
use portico_config::model::normalize;

use super::fields::{Fields, Name};

/// A request's head as it was read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    /// A token.
    pub(crate) method: &'a str,
    /// Visible ASCII without `#`.
    pub(crate) target: &'a str,
    /// Whether it is HTTP/1.0.
    pub(crate) old: bool,
    /// The fields.
    pub(crate) fields: Fields<'a>,
}

/// What is known of a request that may be routed.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Checked<'a> {
    /// The host to match: lower case, without port and trailing dot; empty for HTTP/1.0 without.
    pub(crate) host: Cow<'a, str>,
    /// The authority as it is forwarded.
    pub(crate) authority: Option<&'a str>,
    /// The path in its normal form.
    pub(crate) path: Cow<'a, str>,
    /// What follows the first `?`, if there is one.
    pub(crate) query: Option<&'a str>,
}

impl<'a> Checked<'a> {
    /// The same request by the authority that its client asked a trusted proxy for; `None` where
    /// that is none.
    pub(crate) fn seen_as<'b>(&'b self, authority: &'b str) -> Option<Checked<'b>> {
        let host = match_name(authority)?;
        let path = Cow::Borrowed(&*self.path);
        Some(Checked { host, authority: Some(authority), path, query: self.query })
    }
}

/// A request that is answered here.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Refused {
    /// The answer.
    pub(crate) status: StatusCode,
    /// Whether the connection ends with it.
    pub(crate) close: bool,
}

/// An answer that ends the connection.
pub(crate) const fn refuse(status: StatusCode) -> Refused {
    Refused { status, close: true }
}

/// Checks a request's head.
pub(crate) fn check<'a>(asked: &Asked<'a>) -> Result<Checked<'a>, Refused> {
    let bad = refuse(StatusCode::BAD_REQUEST);
    if matches!(asked.method, "CONNECT" | "TRACE") {
        return Err(refuse(StatusCode::METHOD_NOT_ALLOWED));
    }
    let (absolute, target) = split_target(asked.target).ok_or(bad)?;
    let authority = authority(asked, absolute)?;
    if asked.fields.has(Name::Expect) {
        let mut values = asked.fields.all(Name::Expect);
        let known = |value: &[u8]| value.eq_ignore_ascii_case(b"100-continue");
        if !values.next().is_some_and(known) || values.next().is_some() {
            return Err(refuse(StatusCode::EXPECTATION_FAILED));
        }
    }
    let host = match authority {
        Some(authority) => match_name(authority).ok_or(bad)?,
        None => Cow::Borrowed(""),
    };
    if target == "*" {
        let status = if asked.method == "OPTIONS" { StatusCode::OK } else { bad.status };
        return Err(Refused { status, close: status != StatusCode::OK });
    }
    // It was to go so far and no farther (`http-proxy 1.7`).
    if asked.method == "OPTIONS" && max_forwards(asked) == Some(0) {
        return Err(Refused { status: StatusCode::OK, close: false });
    }
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    // `http://a?x` has an empty path, which is the root.
    let path = if path.is_empty() && absolute.is_some() { "/" } else { path };
    let path = normalize(path).map_err(|_| bad)?;
    Ok(Checked { host, authority, path, query })
}

/// How often a request may still be forwarded, where it says so in a number.
pub(crate) fn max_forwards(asked: &Asked<'_>) -> Option<u64> {
    let digits = std::str::from_utf8(asked.fields.first("max-forwards")?).ok()?;
    digits
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| digits.parse().ok())
        .flatten()
}

/// The authority of an absolute-form target, and what follows it.
fn split_target(target: &str) -> Option<(Option<&str>, &str)> {
    if target.starts_with('/') || target == "*" {
        return Some((None, target));
    }
    let (scheme, rest) = target.split_once("://")?;
    let known = ["http", "https"]
        .iter()
        .any(|known| scheme.eq_ignore_ascii_case(known));
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    known.then(|| (Some(&rest[..end]), &rest[end..]))
}

/// The authority: of an absolute-form target, else of the one Host line.
fn authority<'a>(asked: &Asked<'a>, absolute: Option<&'a str>) -> Result<Option<&'a str>, Refused> {
    let bad = refuse(StatusCode::BAD_REQUEST);
    let mut lines = asked.fields.all(Name::Host);
    let host = lines.next();
    if lines.next().is_some() {
        return Err(bad);
    }
    let host = match host {
        Some(host) => Some(std::str::from_utf8(host).map_err(|_| bad)?),
        None => None,
    };
    if absolute.is_some() {
        // It counts, but what stands in Host must be one all the same.
        let valid = host.is_none_or(|host| match_name(host).is_some());
        if !valid || (host.is_none() && !asked.old) {
            return Err(bad);
        }
        return Ok(absolute);
    }
    if host.is_none() && !asked.old {
        return Err(bad);
    }
    Ok(host)
}

/// The name to match in an authority; `None` if it is no authority (`http-proxy 1.9`).
pub(super) fn match_name(text: &str) -> Option<Cow<'_, str>> {
    let (name, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']')?;
            address.parse::<std::net::Ipv6Addr>().ok()?;
            (&text[..address.len() + 2], port)
        }
        None => {
            let end = text.find(':').unwrap_or(text.len());
            let (name, port) = text.split_at(end);
            let known = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
            (!name.is_empty() && name.bytes().all(known)).then_some((name, port))?
        }
    };
    match port.strip_prefix(':') {
        None if port.is_empty() => {}
        None => return None,
        Some("") => {}
        Some(number) => {
            let digits = number.bytes().all(|byte| byte.is_ascii_digit());
            (digits && number.parse::<u16>().ok()? != 0).then_some(())?;
        }
    }
    if name.len() > MAX_HOST_BYTES {
        return None;
    }
    let name = name.strip_suffix('.').unwrap_or(name);
    let upper = name.bytes().any(|byte| byte.is_ascii_uppercase());
    (!name.is_empty()).then(|| match upper {
        true => Cow::Owned(name.to_ascii_lowercase()),
        false => Cow::Borrowed(name),
    })
}

/// Whether this is a WebSocket handshake that may be forwarded as one (`http-proxy 1.26`).
pub(crate) fn is_websocket(asked: &Asked<'_>) -> bool {
    let fields = asked.fields;
    if !fields.has(Name::Upgrade) {
        return false;
    }
    let mut upgrade = fields.all(Name::Upgrade);
    let known = |token: &[u8]| token.eq_ignore_ascii_case(b"websocket");
    asked.method == "GET"
        && !asked.old
        && upgrade.next().is_some_and(known)
        && upgrade.next().is_none()
        && fields.lists(Name::Connection, "upgrade")
        && !fields.has(Name::ContentLength)
        && !fields.has(Name::TransferEncoding)
}

/// Whether credentials, or one of those that are asked for, are good for a whole connection
/// (`http-proxy 5.4`).
pub(crate) fn is_of_connection(value: &[u8]) -> bool {
    let mut pieces = value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
    pieces.any(|piece| {
        let scheme = piece.split(|&byte| byte == b' ').next();
        let schemes = [&b"ntlm"[..], b"negotiate"].into_iter();
        scheme.is_some_and(|scheme| {
            schemes
                .into_iter()
                .any(|it| scheme.eq_ignore_ascii_case(it))
        })
    })
}

/// `http-proxy 5`: what may be repeated after it may have reached a backend.
pub(crate) fn is_idempotent(method: &str) -> bool {
    matches!(method, "GET" | "HEAD" | "OPTIONS" | "PUT" | "DELETE")
}

const MAX_HOST_BYTES: usize = 253;

#[cfg(test)]
mod tests {
    use super::super::fields::Line;
    use super::super::h1::head;
    use super::*;

    /// What `look` makes of a request; heads are read by the codec, which is the only way to make
    /// one.
    fn read<T>(
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        look: impl FnOnce(&Asked<'_>) -> T,
    ) -> T {
        let mut head = format!("{method} {target} HTTP/1.1\r\n");
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        let mut lines: Vec<Line> = Vec::new();
        let line = head::request(head.as_bytes(), &mut lines).unwrap().unwrap();
        let fields = Fields::new(head.as_bytes(), &lines);
        look(&Asked { method: line.method, target: line.target, old: line.minor == 0, fields })
    }

    #[test]
    fn requests_that_may_be_routed_have_one_host_and_one_path() {
        for (uri, host, name, path, query) in [
            ("/", "a.test", "a.test", "/", None),
            ("/x?y=%zz", "A.Test:8080", "a.test", "/x", Some("y=%zz")),
            ("/a/../b?c", "a.test.", "a.test", "/b", Some("c")),
            ("/?", "a.test", "a.test", "/", Some("")),
            ("http://b.test:81/p", "a.test", "b.test", "/p", None),
            ("HTTP://b.test?q", "a.test", "b.test", "/", Some("q")),
            ("https://b.test", "a.test", "b.test", "/", None),
            ("/", "[::1]:80", "[::1]", "/", None),
            ("/", "a:", "a", "/", None),
        ] {
            read("GET", uri, &[("host", host)], |asked| {
                let checked = check(asked).unwrap();
                let got = (&*checked.host, &*checked.path, checked.query);
                assert_eq!(got, (name, path, query), "http-proxy 1.10, 1.11, 4.1: {uri} {host}");
            });
        }
    }

    #[test]
    fn what_means_two_things_is_refused() {
        let a = ("host", "a");
        for (case, method, uri, headers, status) in [
            ("http-proxy 1.8 none", "GET", "/", &[][..], 400),
            ("http-proxy 1.8 two", "GET", "/", &[a, ("host", "b")], 400),
            ("http-proxy 1.8 two equal", "GET", "/", &[a, a], 400),
            ("http-proxy 1.9 userinfo", "GET", "/", &[("host", "u@a")], 400),
            ("http-proxy 1.9 list", "GET", "/", &[("host", "a,b")], 400),
            ("http-proxy 1.9 port", "GET", "/", &[("host", "a:99999")], 400),
            ("http-proxy 1.9 port 0", "GET", "/", &[("host", "a:0")], 400),
            ("http-proxy 1.9 percent", "GET", "/", &[("host", "a%62")], 400),
            ("http-proxy 1.9 beyond ASCII", "GET", "/", &[("host", "ä")], 400),
            ("http-proxy 1.9 empty", "GET", "/", &[("host", "")], 400),
            ("http-proxy 1.11 host must be valid", "GET", "http://b/", &[("host", "a@b")], 400),
            ("http-proxy 1.11 userinfo", "GET", "http://u@b/", &[a], 400),
            ("http-proxy 1.11 no authority", "GET", "http:///x", &[a], 400),
            ("http-proxy 1.11 scheme", "GET", "ftp://b/", &[a], 400),
            ("http-proxy 1.14 asterisk", "OPTIONS", "*", &[a], 200),
            ("http-proxy 1.14 asterisk", "GET", "*", &[a], 400),
            ("http-proxy 1.14 authority", "GET", "b:80", &[a], 400),
            ("http-proxy 1.7 at its end", "OPTIONS", "/", &[a, ("max-forwards", "0")], 200),
            ("http-proxy 1.14 no slash", "GET", "x", &[a], 400),
            ("http-proxy 1.15 TRACE", "TRACE", "/", &[a], 405),
            ("http-proxy 1.31 CONNECT", "CONNECT", "a:80", &[a], 405),
            ("http-proxy 1.23 Expect", "POST", "/", &[a, ("expect", "gold")], 417),
            ("http-proxy 4.2 escape", "GET", "/%zz", &[a], 400),
        ] {
            let refused = read(method, uri, headers, |asked| check(asked).unwrap_err());
            assert_eq!(refused.status.as_u16(), status, "ingress 1.2, {case}");
        }
    }

    #[test]
    fn credentials_of_connections_are_known_among_others() {
        for (value, want) in [
            ("NTLM", true),
            ("ntlm TlRMTVNTUAAB", true),
            ("Negotiate", true),
            ("Basic realm=\"x\", Negotiate", true),
            ("Digest a=b,NTLM", true),
            ("Basic realm=\"NTLM\"", false),
            ("Bearer Negotiate", false),
            ("NTLMx", false),
            ("", false),
        ] {
            assert_eq!(is_of_connection(value.as_bytes()), want, "http-proxy 5.4: {value}");
        }
    }

    #[test]
    fn a_web_socket_is_asked_for_in_one_way_only() {
        let (upgrade, connection) =
            (("upgrade", "WebSocket"), ("connection", "keep-alive, Upgrade"));
        for (case, method, headers, want) in [
            ("asked for", "GET", &[upgrade, connection][..], true),
            ("no token in Connection", "GET", &[upgrade], false),
            ("no Upgrade", "GET", &[connection], false),
            ("other method", "POST", &[upgrade, connection], false),
            ("two lines", "GET", &[upgrade, upgrade, connection], false),
            ("two tokens", "GET", &[("upgrade", "websocket, h2c"), connection], false),
            ("h2c", "GET", &[("upgrade", "h2c"), connection], false),
            ("content", "GET", &[upgrade, connection, ("content-length", "1")], false),
        ] {
            let got = read(method, "/", headers, is_websocket);
            assert_eq!(got, want, "http-proxy 1.26: {case}");
        }
    }
}
