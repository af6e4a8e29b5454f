//! Which trailers pass from one stream of HTTP/2 to another (`http-proxy 1.22`).
//!
//! Pure. What frames, routes, authenticates or says something of the content never stands behind a
//! body; the rest passes, announced or not, and is never put among the fields of a head.

use http::{HeaderMap, HeaderName};

use crate::l7::fields::Name;
use crate::l7::h1::head::MAX_FIELDS;

/// Those of a request that its backend gets; none where there are too many.
pub(super) fn of_request(trailers: Box<HeaderMap>) -> Option<Box<HeaderMap>> {
    pass(trailers, |name| Name::of(name.as_str().as_bytes()) == Name::Other && is_plain(name))
}

/// Those of a response that the client gets; none where there are too many.
pub(super) fn of_response(trailers: Box<HeaderMap>) -> Option<Box<HeaderMap>> {
    pass(trailers, |name| Name::of(name.as_str().as_bytes()) == Name::Other)
}

fn pass(
    mut trailers: Box<HeaderMap>,
    is_known: impl Fn(&HeaderName) -> bool,
) -> Option<Box<HeaderMap>> {
    if trailers.len() > MAX_FIELDS {
        return None;
    }
    let refused: Vec<HeaderName> = trailers
        .keys()
        .filter(|name| !is_known(name) || is_refused(name.as_str()))
        .cloned()
        .collect();
    for name in refused {
        trailers.remove(name);
    }
    Some(trailers)
}

/// Whether nobody takes the name for another one (`http-proxy 3.5`).
fn is_plain(name: &HeaderName) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    name.as_str().bytes().all(known)
}

/// Those that are refused beside those that [`Name`] knows.
fn is_refused(name: &str) -> bool {
    let one = ["set-cookie", "set-cookie2", "www-authenticate", "authentication-info"];
    name.starts_with("content-") || one.contains(&name)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn what_frames_routes_or_says_who_asks_is_no_trailer() {
        let all = [
            "grpc-status",
            "grpc-message",
            "x-checksum",
            "host",
            "te",
            "trailer",
            "cookie",
            "set-cookie",
            "authorization",
            "content-length",
            "content-type",
            "content-encoding",
            "transfer-encoding",
            "connection",
            "x-forwarded-for",
            "x-real-ip",
            "www-authenticate",
            "odd_name",
        ];
        let map = || {
            let value = HeaderValue::from_static("x");
            let map = all
                .iter()
                .map(|name| (HeaderName::from_static(name), value.clone()));
            Box::new(map.collect::<HeaderMap>())
        };
        let names = |map: Option<Box<HeaderMap>>| {
            let mut names: Vec<String> = map
                .unwrap()
                .keys()
                .map(|name| name.as_str().to_owned())
                .collect();
            names.sort();
            names
        };
        let want = ["grpc-message", "grpc-status", "x-checksum"];
        assert_eq!(names(of_request(map())), want, "http-proxy 1.22");
        let want = ["grpc-message", "grpc-status", "odd_name", "x-checksum"];
        assert_eq!(names(of_response(map())), want, "http-proxy 1.22");
    }

    #[test]
    fn trailers_have_a_limit() {
        let many = |count: usize| {
            let mut map = HeaderMap::new();
            for at in 0..count {
                map.append("x-a", HeaderValue::from(at));
            }
            of_response(Box::new(map)).map(|map| map.len())
        };
        assert_eq!(many(MAX_FIELDS), Some(MAX_FIELDS));
        assert_eq!(many(MAX_FIELDS + 1), None, "http-proxy 2");
    }
}
