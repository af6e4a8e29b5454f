//! How requests of a location are timed and repeated, and who gets its alternative (`ingress 2.4`).
//!
//! Words alone: `proxy::l7` obeys. Every value is optional: where an annotation is silent, what the
//! proxy does for every location counts.

use regex::bytes::Regex;

use super::expression::bounded;

/// The longest gaps between two operations, in seconds; 0: any.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Timeouts {
    /// `proxy-connect-timeout`: for each dial, 5 if absent.
    pub connect: Option<u32>,
    /// `proxy-send-timeout`: until the backend takes more of the request, 60 if absent.
    pub send: Option<u32>,
    /// `proxy-read-timeout`: until more of the response comes, 60 if absent.
    pub read: Option<u32>,
}

/// When a request is sent again, to another endpoint.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Retries {
    /// `proxy-next-upstream`: after what; none: after a failed dial and after a connection that broke
    /// before it gave an answer.
    pub after: Option<Conditions>,
    /// `proxy-next-upstream-tries`: endpoints that are asked at most, 3 if absent.
    pub tries: Option<u8>,
    /// `proxy-next-upstream-timeout`: seconds after which none is asked any more; 0 or absent: any.
    pub timeout: Option<u32>,
    /// `proxy-request-buffering: off`: a body that came in part is not kept to be sent again.
    pub streams: bool,
}

/// What a request may be sent again after.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Conditions(u16);

impl Conditions {
    /// A connection that cannot be made, or breaks before it gave an answer.
    pub const ERROR: Self = Self(1);
    /// No answer in time.
    pub const TIMEOUT: Self = Self(1 << 1);
    /// An answer that is no HTTP.
    pub const INVALID_HEADER: Self = Self(1 << 2);
    /// Also POST, PATCH and what else may have been done the first time.
    pub const NON_IDEMPOTENT: Self = Self(1 << 3);

    /// Reads the words of ingress-nginx; none if one is none of them. `off` is no condition at all.
    pub fn parse(text: &str) -> Option<Self> {
        let mut all = Self::default();
        let mut words = text.split_ascii_whitespace().peekable();
        words.peek()?;
        for word in words {
            all.0 |= match word {
                "off" => return Some(Self::default()),
                "error" => Self::ERROR.0,
                "timeout" => Self::TIMEOUT.0,
                "invalid_header" => Self::INVALID_HEADER.0,
                "non_idempotent" => Self::NON_IDEMPOTENT.0,
                _ => {
                    let status = word.strip_prefix("http_")?.parse().ok()?;
                    Some(Self::of_status(status)).filter(|it| it.0 != 0)?.0
                }
            };
        }
        Some(all)
    }

    /// Whether all of `other` are among them.
    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether an answer with this status is one of them.
    pub fn has_status(self, status: u16) -> bool {
        self.0 & Self::of_status(status).0 != 0
    }

    /// Whether any status is one of them.
    pub fn has_statuses(self) -> bool {
        self.0 >> FIRST_STATUS != 0
    }

    fn of_status(status: u16) -> Self {
        let at = STATUSES.iter().position(|known| *known == status);
        at.map_or(Self(0), |at| Self(1 << (FIRST_STATUS + at)))
    }
}

/// Who gets the alternative of a location: asked in the order of the fields.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct CanaryRule {
    /// `canary-by-header` with its value or pattern.
    pub header: Option<CanaryHeader>,
    /// `canary-by-cookie`: `always` and `never` decide.
    pub cookie: Option<Box<str>>,
    /// `canary-weight`: of `weight_total` requests that nothing else decided about.
    pub weight: u32,
    /// `canary-weight-total`: 100 at least.
    pub weight_total: u32,
    /// `affinity-canary-behavior: legacy`: who was served before is asked anew, each time.
    pub forgets: bool,
}

/// The field that says whether a request is for the alternative.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CanaryHeader {
    /// Its name, a token.
    pub name: Box<str>,
    /// Which of its values.
    pub value: CanaryValue,
}

/// Which values of a field lead to the alternative.
#[derive(Clone, Debug)]
pub enum CanaryValue {
    /// `always`; `never` leads to the main backend.
    Words,
    /// `canary-by-header-value`: this one.
    Equal(Box<str>),
    /// `canary-by-header-pattern`: those that it is found in.
    Pattern(Regex),
    /// A pattern that cannot be compiled: none, and nothing else is asked.
    Broken,
}

impl CanaryValue {
    /// Those that a pattern is found in.
    pub fn pattern(text: &str) -> Self {
        bounded(text).build().map_or(Self::Broken, Self::Pattern)
    }
}

impl PartialEq for CanaryValue {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Words, Self::Words) | (Self::Broken, Self::Broken) => true,
            (Self::Equal(one), Self::Equal(other)) => one == other,
            (Self::Pattern(one), Self::Pattern(other)) => one.as_str() == other.as_str(),
            _ => false,
        }
    }
}

impl Eq for CanaryValue {}

/// Those that ingress-nginx knows, in the order of their bits.
const STATUSES: [u16; 7] = [500, 502, 503, 504, 403, 404, 429];
const FIRST_STATUS: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_the_words_of_ingress_nginx() {
        let error_timeout = Conditions(Conditions::ERROR.0 | Conditions::TIMEOUT.0);
        for (text, want) in [
            ("error timeout", Some(error_timeout)),
            ("  timeout\terror ", Some(error_timeout)),
            ("error off", Some(Conditions(0))),
            ("off", Some(Conditions(0))),
            ("http_502", Some(Conditions(1 << 5))),
            ("http_429 non_idempotent", Some(Conditions(1 << 10 | 1 << 3))),
            ("http_501", None),
            ("errors", None),
            ("", None),
        ] {
            assert_eq!(Conditions::parse(text), want, "ingress 2.4: {text}");
        }
        let some = Conditions::parse("error http_503").unwrap();
        assert!(some.has_status(503) && !some.has_status(502) && !some.has_status(200));
        assert!(some.has_statuses() && !error_timeout.has_statuses());
        assert!(some.has(Conditions::ERROR) && !some.has(Conditions::TIMEOUT));
    }
}
