//! What a request must be before anything is done with it (`http-proxy 1`, `ingress 1.2`).
//!
//! Pure. hyper accepts requests without a Host, with two, with any authority and any target; all
//! of that ends here with the status that says why, before a backend sees a byte.

use http::header::{EXPECT, HOST};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Version, request};

use super::normalize::normalize;

/// What is known of a request that may be routed.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Checked {
    /// The host to match: lower case, without port and trailing dot; empty for HTTP/1.0 without.
    pub(crate) host: String,
    /// The authority as it is forwarded.
    pub(crate) authority: Option<HeaderValue>,
    /// Path in its normal form, and the query.
    pub(crate) target: PathAndQuery,
}

/// A request that is answered here.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Refused {
    /// The answer.
    pub(crate) status: StatusCode,
    /// Whether the connection ends with it.
    pub(crate) close: bool,
}

const fn refuse(status: StatusCode) -> Refused {
    Refused { status, close: true }
}

/// Checks a request's head.
pub(crate) fn check(parts: &request::Parts) -> Result<Checked, Refused> {
    let bad = refuse(StatusCode::BAD_REQUEST);
    if parts.method == Method::CONNECT || parts.method == Method::TRACE {
        return Err(refuse(StatusCode::METHOD_NOT_ALLOWED));
    }
    if parts.method.as_str().len() > MAX_METHOD_BYTES {
        return Err(refuse(StatusCode::NOT_IMPLEMENTED));
    }
    let authority = authority(parts)?;
    if let Some(expect) = parts.headers.get(EXPECT) {
        let one = parts.headers.get_all(EXPECT).iter().count() == 1;
        if !one || !expect.as_bytes().eq_ignore_ascii_case(b"100-continue") {
            return Err(refuse(StatusCode::EXPECTATION_FAILED));
        }
    }
    let host = match &authority {
        Some(value) => match_name(value).ok_or(bad)?,
        None => String::new(),
    };
    if parts.uri.path() == "*" {
        let status = if parts.method == Method::OPTIONS { StatusCode::OK } else { bad.status };
        return Err(Refused { status, close: status != StatusCode::OK });
    }
    let target = parts.uri.path_and_query().ok_or(bad)?;
    if target.as_str().len() > MAX_TARGET_BYTES {
        return Err(refuse(StatusCode::URI_TOO_LONG));
    }
    let visible = |query: &str| query.bytes().all(|byte| byte.is_ascii_graphic());
    if target.query().is_some_and(|query| !visible(query)) {
        return Err(bad);
    }
    let path = normalize(target.path()).map_err(|_| bad)?;
    let target = match path {
        std::borrow::Cow::Borrowed(_) => target.clone(),
        std::borrow::Cow::Owned(path) => {
            let text = match target.query() {
                Some(query) => format!("{path}?{query}"),
                None => path,
            };
            text.parse().map_err(|_| bad)?
        }
    };
    Ok(Checked { host, authority, target })
}

/// The authority: of an absolute-form target, else of the one Host line.
fn authority(parts: &request::Parts) -> Result<Option<HeaderValue>, Refused> {
    let bad = refuse(StatusCode::BAD_REQUEST);
    let mut lines = parts.headers.get_all(HOST).iter();
    let host = lines.next();
    if lines.next().is_some() {
        return Err(bad);
    }
    if let Some(host) = host {
        match_name(host).ok_or(bad)?;
    }
    if let Some(authority) = parts.uri.authority() {
        let scheme = parts.uri.scheme_str().unwrap_or_default();
        if !matches!(scheme, "http" | "https") {
            return Err(bad);
        }
        return HeaderValue::from_str(authority.as_str())
            .map(Some)
            .map_err(|_| bad);
    }
    if host.is_none() && parts.version >= Version::HTTP_11 {
        return Err(bad);
    }
    Ok(host.cloned())
}

/// The name to match in an authority; `None` if it is no authority (`http-proxy 1.9`).
fn match_name(value: &HeaderValue) -> Option<String> {
    let text = value.to_str().ok()?;
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
    (!name.is_empty()).then(|| name.to_ascii_lowercase())
}

/// Whether this is a WebSocket handshake that may be forwarded as one (`http-proxy 1.26`).
pub(crate) fn is_websocket(parts: &request::Parts) -> bool {
    let headers: &HeaderMap = &parts.headers;
    let mut upgrade = headers.get_all(http::header::UPGRADE).iter();
    let Some(token) = upgrade.next() else { return false };
    let connection = headers.get_all(http::header::CONNECTION).iter();
    let named = connection
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .any(|name| name.trim().eq_ignore_ascii_case("upgrade"));
    parts.method == Method::GET
        && parts.version == Version::HTTP_11
        && upgrade.next().is_none()
        && token.as_bytes().eq_ignore_ascii_case(b"websocket")
        && named
        && !headers.contains_key(http::header::CONTENT_LENGTH)
        && !headers.contains_key(http::header::TRANSFER_ENCODING)
}

const MAX_METHOD_BYTES: usize = 32;
const MAX_TARGET_BYTES: usize = 8 * 1024;
const MAX_HOST_BYTES: usize = 253;

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(method: &str, uri: &str, headers: &[(&str, &str)]) -> request::Parts {
        let mut request = http::Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn requests_that_may_be_routed_have_one_host_and_one_path() {
        for (uri, host, name, target) in [
            ("/", "a.test", "a.test", "/"),
            ("/x?y=%zz", "A.Test:8080", "a.test", "/x?y=%zz"),
            ("/a/../b?c", "a.test.", "a.test", "/b?c"),
            ("http://b.test:81/p", "a.test", "b.test", "/p"),
            ("/", "[::1]:80", "[::1]", "/"),
            ("/", "a:", "a", "/"),
        ] {
            let checked = check(&parts("GET", uri, &[("host", host)])).unwrap();
            assert_eq!((&*checked.host, checked.target.as_str()), (name, target), "{uri} {host}");
        }
    }

    #[test]
    fn what_means_two_things_is_refused() {
        let a = ("host", "a");
        for (case, method, uri, headers, status) in [
            ("http-proxy 1.8 none", "GET", "/", &[][..], 400),
            ("http-proxy 1.8 two", "GET", "/", &[a, ("host", "b")], 400),
            ("http-proxy 1.9 userinfo", "GET", "/", &[("host", "u@a")], 400),
            ("http-proxy 1.9 list", "GET", "/", &[("host", "a,b")], 400),
            ("http-proxy 1.9 port", "GET", "/", &[("host", "a:99999")], 400),
            ("http-proxy 1.9 port 0", "GET", "/", &[("host", "a:0")], 400),
            ("http-proxy 1.9 percent", "GET", "/", &[("host", "a%62")], 400),
            ("http-proxy 1.9 empty", "GET", "/", &[("host", "")], 400),
            ("http-proxy 1.11 host must be valid", "GET", "http://b/", &[("host", "a@b")], 400),
            ("http-proxy 1.11 scheme", "GET", "ftp://b/", &[a], 400),
            ("http-proxy 1.14 asterisk", "OPTIONS", "*", &[a], 200),
            ("http-proxy 1.14 asterisk", "GET", "*", &[a], 400),
            ("http-proxy 1.15 TRACE", "TRACE", "/", &[a], 405),
            ("http-proxy 1.31 CONNECT", "CONNECT", "a:80", &[a], 405),
            ("http-proxy 1.15 method", "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHI", "/", &[a], 501),
            ("http-proxy 1.23 Expect", "POST", "/", &[a, ("expect", "gold")], 417),
            ("http-proxy 4.2 escape", "GET", "/%zz", &[a], 400),
        ] {
            let refused = check(&parts(method, uri, headers)).unwrap_err();
            assert_eq!(refused.status.as_u16(), status, "{case}");
        }
        let long = format!("/{}", "a".repeat(MAX_TARGET_BYTES));
        assert_eq!(
            check(&parts("GET", &long, &[a]))
                .unwrap_err()
                .status
                .as_u16(),
            414
        );
    }
}
