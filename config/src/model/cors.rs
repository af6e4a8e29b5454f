//! Which scripts of other origins may read what a location answers (`ingress 2.4`: `enable-cors`).
//!
//! Invariants: an origin is compared whole, so nothing that merely ends or begins like a listed one
//! is let in; every text here is a value that a field may have.

use std::fmt;

/// What answers say to scripts of other origins.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Cors {
    /// Whose scripts; empty: nobody's.
    pub origins: Box<[Origin]>,
    /// `Access-Control-Allow-Methods`, as written.
    pub methods: Box<str>,
    /// `Access-Control-Allow-Headers`, as written.
    pub headers: Box<str>,
    /// Whether `Access-Control-Allow-Credentials: true` is said.
    pub credentials: bool,
    /// `Access-Control-Expose-Headers`; none: it is not said.
    pub exposed: Option<Box<str>>,
    /// `Access-Control-Max-Age` in seconds.
    pub max_age_seconds: u32,
}

/// An entry of `cors-allow-origin`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Origin {
    /// `*`: every request, one without Origin too.
    Any,
    /// `null`, or `scheme://host[:port]` in lower case.
    Exact(Box<str>),
    /// `scheme://*.host[:port]` in lower case, in two: `scheme://` and `.host[:port]`.
    Below(Box<str>, Box<str>),
}

/// How an origin that may read is told so.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Grant {
    /// By `*`.
    ToAny,
    /// By its own name.
    ToOne,
}

/// As it is written, in lower case.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Exact(exact) => f.write_str(exact),
            Self::Below(scheme, host) => write!(f, "{scheme}*{host}"),
        }
    }
}

impl Cors {
    /// Whether a request from `origin` may be read by it; none: it names no origin.
    pub fn grant(&self, origin: Option<&[u8]>) -> Option<Grant> {
        if self.origins.contains(&Origin::Any) {
            return Some(Grant::ToAny);
        }
        let origin = origin?.to_ascii_lowercase();
        let fits = |entry: &Origin| entry.fits(&origin);
        self.origins.iter().any(fits).then_some(Grant::ToOne)
    }
}

impl Origin {
    /// Whether this entry is about an origin in lower case.
    fn fits(&self, origin: &[u8]) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(exact) => exact.as_bytes() == origin,
            Self::Below(begin, end) => {
                let label = origin
                    .strip_prefix(begin.as_bytes())
                    .and_then(|rest| rest.strip_suffix(end.as_bytes()));
                let known = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_".contains(byte);
                label.is_some_and(|label| !label.is_empty() && label.iter().all(known))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_compared_whole() {
        let cors = |origins: &[Origin]| Cors {
            origins: origins.into(),
            methods: "GET".into(),
            headers: "DNT".into(),
            credentials: true,
            exposed: None,
            max_age_seconds: 5,
        };
        let exact = Origin::Exact("https://a.test".into());
        let below = Origin::Below("https://".into(), ".b.test:8443".into());
        let listed = cors(&[exact, below, Origin::Exact("null".into())]);
        for (origin, want) in [
            (Some("https://a.test"), true),
            (Some("HTTPS://A.test"), true),
            (Some("https://a.test:444"), false),
            (Some("http://a.test"), false),
            (Some("https://evil.test/https://a.test"), false),
            (Some("xhttps://a.test"), false),
            (Some("https://a.test.evil"), false),
            (Some("https://x.b.test:8443"), true),
            (Some("https://x.y.b.test:8443"), false),
            (Some("https://.b.test:8443"), false),
            (Some("https://evil/.b.test:8443"), false),
            (Some("https://x.b.test"), false),
            (Some("null"), true),
            (Some(""), false),
            (None, false),
        ] {
            let got = listed.grant(origin.map(str::as_bytes));
            assert_eq!(got, want.then_some(Grant::ToOne), "ingress 2.4: {origin:?}");
        }
        let any = cors(&[Origin::Any]);
        assert_eq!(any.grant(None), Some(Grant::ToAny), "ingress 2.4: `*` needs no Origin");
        assert_eq!(cors(&[]).grant(Some(b"https://a.test")), None);
    }
}
