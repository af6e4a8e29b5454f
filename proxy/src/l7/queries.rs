//! DNS over HTTPS: which requests are one, and the message in them (RFC 8484; `dns 3.4`).
//!
//! Pure but for the list of hosts, which settings may change. Who answers the message is not known
//! here: `src` brings a [`Resolver`] for each worker. Only requests over TLS are looked at, and only
//! for hosts that settings name; everything else is routed.

use std::net::IpAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

use arc_swap::ArcSwap;
use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http::{HeaderValue, StatusCode};

use super::edits::Edits;
use super::fields::Fields;
use super::forward::Announced;
use super::order::Incoming;
use super::policy::Declined;
use super::request::{Checked, Refused, refuse};

/// Answers DNS messages in wire form, on one worker.
pub trait Resolver {
    /// The reply to a message of `client` that came to the address `local`; none where it is no
    /// question.
    fn answer(&self, message: Vec<u8>, client: IpAddr, local: IpAddr) -> Answering;

    /// Hears with which status a request that is a query was answered.
    fn told(&self, status: StatusCode);
}

/// A reply that is on its way.
pub type Answering = Pin<Box<dyn Future<Output = Option<Answered>>>>;

/// A reply, and how many seconds it may be kept.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Answered {
    /// In wire form.
    pub message: Vec<u8>,
    /// `max-age` of its `Cache-Control`.
    pub max_age_seconds: u32,
}

/// The hosts, in lower case, that are asked for names; shared by all workers.
pub(crate) type QueryHosts = ArcSwap<Vec<Arc<str>>>;

/// What a worker knows of queries.
#[derive(Clone)]
pub(crate) struct Queries {
    pub(crate) hosts: Arc<QueryHosts>,
    pub(crate) resolver: Option<Rc<dyn Resolver>>,
}

/// A request that is a query.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Query {
    /// Its message was in the target.
    Whole(Vec<u8>),
    /// Its message is the body.
    Body,
}

impl Queries {
    /// Counts a request that is a query, and how it was answered.
    pub(crate) fn told(&self, status: StatusCode) {
        if let Some(resolver) = &self.resolver {
            resolver.told(status);
        }
    }

    /// The query that a request is; none: it is no query, and routed like any other.
    pub(crate) fn of(
        &self,
        incoming: &Incoming<'_>,
        checked: &Checked<'_>,
    ) -> Option<Result<Query, Declined>> {
        let may_be = incoming.from.tls && checked.path == PATH && self.resolver.is_some();
        let is_one = may_be && self.hosts.load().iter().any(|host| **host == *checked.host);
        is_one.then(|| {
            let query = read(incoming, checked);
            if let Err(declined) = &query {
                self.told(declined.refused.status);
            }
            query
        })
    }
}

fn read(incoming: &Incoming<'_>, checked: &Checked<'_>) -> Result<Query, Declined> {
    match incoming.asked.method {
        "GET" => {
            let text = checked.query.and_then(parameter);
            let text = text.ok_or_else(|| kept(StatusCode::BAD_REQUEST))?;
            if text.len() > MAX_MESSAGE_BYTES.div_ceil(3) * 4 {
                return Err(kept(StatusCode::PAYLOAD_TOO_LARGE));
            }
            let message = BASE64.decode(text);
            message
                .map(Query::Whole)
                .map_err(|_| kept(StatusCode::BAD_REQUEST))
        }
        "POST" if !has_type(incoming.asked.fields) => Err(kept(StatusCode::UNSUPPORTED_MEDIA_TYPE)),
        "POST" => match incoming.body {
            Announced::Length(bytes) if bytes > MAX_MESSAGE_BYTES as u64 => {
                Err(refuse(StatusCode::PAYLOAD_TOO_LARGE).into())
            }
            _ => Ok(Query::Body),
        },
        _ => {
            let mut edits = Edits::default();
            edits.set("Allow", HeaderValue::from_static("GET, POST"));
            let refused = Refused { status: StatusCode::METHOD_NOT_ALLOWED, close: false };
            Err(Declined { refused, edits: Some(Box::new(edits)), page: None })
        }
    }
}

/// The value of `dns`, the only parameter there is (RFC 8484 4.1).
fn parameter(query: &str) -> Option<&str> {
    let mut values = query.split('&').filter_map(|it| it.strip_prefix("dns="));
    let value = values.next()?;
    values.next().is_none().then_some(value)
}

fn has_type(fields: Fields<'_>) -> bool {
    let mut types = fields
        .iter()
        .filter(|field| field.text.eq_ignore_ascii_case(b"content-type"));
    let is_message = |value: &[u8]| {
        let end = value.iter().position(|&byte| byte == b';');
        let essence = value.get(..end.unwrap_or(value.len())).unwrap_or_default();
        essence.trim_ascii().eq_ignore_ascii_case(TYPE.as_bytes())
    };
    types.next().is_some_and(|field| is_message(field.value)) && types.next().is_none()
}

fn kept(status: StatusCode) -> Declined {
    Refused { status, close: false }.into()
}

/// Without padding, though some clients pad.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
const PATH: &str = "/dns-query";
/// The media type of a message.
pub(crate) const TYPE: &str = "application/dns-message";
/// As over TCP.
pub(crate) const MAX_MESSAGE_BYTES: usize = 65_535;

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::super::forward::Peer;
    use super::super::h1::{framing, head};
    use super::super::request::{Asked, check};
    use super::*;

    struct Nobody;

    impl Resolver for Nobody {
        fn answer(&self, _: Vec<u8>, _: IpAddr, _: IpAddr) -> Answering {
            Box::pin(std::future::ready(None))
        }

        fn told(&self, _: StatusCode) {}
    }

    /// What a request's head is, over TLS or not: no query, a query, or a status.
    fn of(head: &str, tls: bool) -> Option<Result<Query, u16>> {
        let head = format!("{head}\r\n\r\n");
        let mut lines = Vec::new();
        let line = head::request(head.as_bytes(), &mut lines).unwrap().unwrap();
        let fields = Fields::new(head.as_bytes(), &lines);
        let asked = Asked { method: line.method, target: line.target, old: false, fields };
        let from = Peer::new([192, 0, 2, 7].into(), ([127, 0, 0, 1], 443).into(), tls);
        let body = framing::of_request(fields, 1).unwrap().announced();
        let incoming = Incoming { asked, from: &from, body, expects: false, websocket: false };
        let hosts = Arc::new(ArcSwap::from_pointee(vec!["dns.test".into()]));
        let queries = Queries { hosts, resolver: Some(Rc::new(Nobody)) };
        let query = queries.of(&incoming, &check(&asked).unwrap())?;
        Some(query.map_err(|declined| declined.refused.status.as_u16()))
    }

    #[test]
    fn a_query_is_known_by_host_path_and_tls() {
        let post = "POST /dns-query HTTP/1.1\r\nHost: dns.test\r\nContent-Length: 12\r\n\
                    Content-Type: application/dns-message";
        for (case, head, want) in [
            (
                "GET",
                "GET /dns-query?dns=AAAB HTTP/1.1\r\nHost: DNS.test",
                Some(Ok(Query::Whole(vec![0, 0, 1]))),
            ),
            (
                "other parameters",
                "GET /dns-query?x=1&dns=AA HTTP/1.1\r\nHost: dns.test",
                Some(Ok(Query::Whole(vec![0]))),
            ),
            (
                "padded",
                "GET /dns-query?dns=AA== HTTP/1.1\r\nHost: dns.test",
                Some(Ok(Query::Whole(vec![0]))),
            ),
            (
                "URL alphabet",
                "GET /dns-query?dns=-_-_ HTTP/1.1\r\nHost: dns.test",
                Some(Ok(Query::Whole(vec![251, 255, 191]))),
            ),
            ("POST", post, Some(Ok(Query::Body))),
            ("no message", "GET /dns-query HTTP/1.1\r\nHost: dns.test", Some(Err(400))),
            ("two", "GET /dns-query?dns=AA&dns=AA HTTP/1.1\r\nHost: dns.test", Some(Err(400))),
            ("no base64url", "GET /dns-query?dns=A+/A HTTP/1.1\r\nHost: dns.test", Some(Err(400))),
            ("another method", "PUT /dns-query HTTP/1.1\r\nHost: dns.test", Some(Err(405))),
            (
                "no type",
                "POST /dns-query HTTP/1.1\r\nHost: dns.test\r\nContent-Length: 1",
                Some(Err(415)),
            ),
            (
                "another type",
                "POST /dns-query HTTP/1.1\r\nHost: dns.test\r\nContent-Type: application/json",
                Some(Err(415)),
            ),
            (
                "too long",
                "POST /dns-query HTTP/1.1\r\nHost: dns.test\r\nContent-Type: application/dns-message\r\nContent-Length: 65536",
                Some(Err(413)),
            ),
            ("another host", "GET /dns-query?dns=AA HTTP/1.1\r\nHost: a.test", None),
            ("another path", "GET /dns-query/?dns=AA HTTP/1.1\r\nHost: dns.test", None),
        ] {
            assert_eq!(of(head, true), want, "RFC 8484 4: {case}");
            assert_eq!(of(head, false), None, "dns 3.4: {case}, without TLS");
        }
    }
}
