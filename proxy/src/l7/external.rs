//! Asking another service whether a request may pass (`ingress 2.4`: `auth-url`, `http-proxy 3.7`).
//!
//! ```text
//! write (while the head is here) ─▶ ServiceAsk ─▶ refer ─▶ errand ─▶ judge
//! ```
//!
//! Invariants: only 2xx lets a request pass, and whatever else happens keeps it out; nothing of the
//! answer reaches the backend but the fields that are listed, in place of the client's; a name that a
//! client may choose leads to an Ingress's host and nowhere else.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, StatusCode};
use portico_config::model::{ExternalAuth, SignIn};

use super::Worker;
use super::edits::{Edits, On};
use super::errand::{Errand, insert};
use super::fields::Name;
use super::forward::{Named, Peer, is_request_id, line, put};
use super::h1::inquiry::Reply;
use super::order::Order;
use super::policy::{self, Declined, Visit};
use super::request::{Asked, Refused, is_idempotent};
use super::secured::bare;

/// A request, as far as somebody else is told of it.
#[derive(Clone, Copy)]
pub(crate) struct Asking<'a> {
    pub(crate) asked: &'a Asked<'a>,
    pub(crate) from: &'a Peer,
    pub(crate) visit: &'a Visit<'a>,
    /// Used where the client gives no id that can be kept.
    pub(crate) request_id: &'a [u8],
}

/// A question that is written.
pub(crate) struct ServiceAsk {
    auth: Arc<ExternalAuth>,
    head: Vec<u8>,
    /// The host of its URL, without port.
    host: String,
    /// The line `X-Original-URL`, which our own rules take away.
    original: Vec<u8>,
    client: IpAddr,
    local: IpAddr,
    /// Where who is not known is sent.
    sign_in: Option<HeaderValue>,
}

/// What a request gets that may pass.
#[derive(Default)]
pub(crate) struct Granted {
    /// Lines for the backend.
    fields: Vec<u8>,
    /// What is done to the response.
    edits: Edits,
}

impl Granted {
    /// Puts what the request gets into what becomes of it.
    pub(crate) fn apply(self, then: &mut Result<Order, Declined>) {
        match then {
            Ok(order) => {
                insert(&mut order.head, &self.fields);
                if let Some(terms) = &mut order.terms {
                    terms.edits.append(self.edits);
                    if let Some(copy) = &mut terms.copy {
                        copy.insert(&self.fields);
                    }
                }
            }
            Err(declined) if !self.edits.is_empty() => {
                declined.edits.get_or_insert_default().append(self.edits);
            }
            Err(_) => {}
        }
    }
}

impl ServiceAsk {
    /// Writes the question about a request.
    pub(crate) fn new(auth: &Arc<ExternalAuth>, via: &[u8], asking: Asking<'_>) -> Self {
        let Asking { from, visit, .. } = asking;
        let authority = policy::render(&auth.authority, visit);
        let mut original = Vec::new();
        let url = format!("{}{}", origin(visit), uri(visit));
        line(&mut original, b"X-Original-URL", url.as_bytes());
        let mut head = Vec::with_capacity(asking.asked.fields.byte_count() + RESERVE_BYTES);
        write(&mut head, auth, (&authority, &original), asking);
        head.extend_from_slice(via);
        put(&mut head, &["\r\n"]);
        let sign_in = auth.sign_in.as_ref().and_then(|it| sign_in(it, visit));
        let host = bare(&authority).to_ascii_lowercase();
        let (client, local) = (visit.client, from.local);
        Self { auth: Arc::clone(auth), head, host, original, client, local, sign_in }
    }

    fn errand(&self) -> Errand<'_> {
        let method = self.auth.method.as_deref().unwrap_or("GET");
        Errand {
            request: &self.head,
            place: &self.auth.place,
            tls: self.auth.tls,
            listed: self.auth.listed,
            verifies: self.auth.verifies,
            host: &self.host,
            original: &self.original,
            client: self.client,
            local: self.local,
            to_head: method == "HEAD",
            idempotent: is_idempotent(method),
            wanted: &self.auth.response_fields,
        }
    }

    /// What an answer means.
    fn judge(&self, reply: Reply) -> Result<Granted, Declined> {
        let on = if self.auth.always_sets_cookies { On::Any } else { On::Taken };
        let mut edits = Edits::default();
        for cookie in reply.cookies {
            edits.add_on(on, "Set-Cookie", cookie);
        }
        let status = match reply.status {
            status if status.is_success() => {
                return Ok(Granted { fields: reply.fields, edits });
            }
            StatusCode::UNAUTHORIZED => match &self.sign_in {
                Some(location) => {
                    edits.set("Location", location.clone());
                    StatusCode::FOUND
                }
                None => {
                    for challenge in reply.challenges {
                        edits.add("WWW-Authenticate", challenge);
                    }
                    StatusCode::UNAUTHORIZED
                }
            },
            StatusCode::FORBIDDEN => StatusCode::FORBIDDEN,
            _ => return Err(broken()),
        };
        let refused = Refused { status, close: false };
        Err(Declined { refused, edits: Some(Box::new(edits)), page: None })
    }
}

impl Worker {
    /// Asks, and waits for the answer; an error is what the client gets.
    pub(super) async fn refer(&self, ask: &ServiceAsk) -> Result<Granted, Declined> {
        match tokio::time::timeout(PATIENCE, self.run(&ask.errand())).await {
            Ok(Some(reply)) => ask.judge(reply),
            Ok(None) | Err(_) => Err(broken()),
        }
    }
}

/// Writes all of a question but what ends it.
fn write(
    out: &mut Vec<u8>,
    auth: &ExternalAuth,
    (authority, original): (&str, &[u8]),
    Asking { asked, from, visit, request_id, .. }: Asking<'_>,
) {
    let method = auth.method.as_deref().unwrap_or("GET");
    let target = policy::render(&auth.target, visit);
    put(out, &[method, " ", &target, " HTTP/1.1\r\nHost: ", authority, "\r\n"]);
    let set = |name: &[u8]| {
        let is_it = |known: &str| known.as_bytes().eq_ignore_ascii_case(name);
        SAID.iter().any(|said| is_it(said)) || auth.fields.iter().any(|(field, _)| is_it(field))
    };
    let named = Named::of(asked.fields);
    let mut id = request_id;
    for field in asked.fields.iter() {
        match field.name {
            Name::Other if named.has(field.text) => {}
            _ if set(field.text) => {}
            Name::Other | Name::Date | Name::Server | Name::Via | Name::Protected => {
                line(out, field.text, field.value);
            }
            Name::XRequestId if is_request_id(field.value) => id = field.value,
            _ => {}
        }
    }
    let client = visit.client.to_string();
    let uri = uri(visit);
    let redirect = auth.redirect.as_ref().map(|it| policy::render(it, visit));
    out.extend_from_slice(original);
    put(
        out,
        &["X-Original-Method: ", visit.method, "\r\nX-Sent-From: nginx-ingress-controller\r\n"],
    );
    put(out, &["X-Real-IP: ", &client, "\r\nX-Forwarded-For: ", &client, "\r\n"]);
    if let Some(shown) = &from.shown {
        out.extend_from_slice(shown.lines());
    }
    line(out, b"X-Request-ID", id);
    put(out, &["X-Auth-Request-Redirect: ", redirect.as_ref().unwrap_or(&uri), "\r\n"]);
    if let Some(method) = &auth.method {
        let scheme = if visit.tls { "https" } else { "http" };
        put(out, &["X-Original-URI: ", &uri, "\r\nX-Scheme: ", scheme, "\r\n"]);
        if !["GET", "HEAD", "OPTIONS", "DELETE"].contains(&&**method) {
            put(out, &["Content-Length: 0\r\n"]);
        }
    }
    for (name, value) in &auth.fields {
        line(out, name.as_bytes(), value.as_bytes());
    }
}

/// `http://a.test:8080`.
fn origin(visit: &Visit<'_>) -> String {
    let scheme = if visit.tls { "https" } else { "http" };
    format!("{scheme}://{}", visit.checked.authority.unwrap_or_default())
}

/// Path and query.
fn uri(visit: &Visit<'_>) -> String {
    let mut text = String::new();
    policy::uri(&mut text, visit.checked);
    text
}

/// Where a client is sent that is not known; none: there is no such place.
fn sign_in(sign_in: &SignIn, visit: &Visit<'_>) -> Option<HeaderValue> {
    let mut url = policy::render(&sign_in.url, visit);
    if let Some(parameter) = &sign_in.parameter {
        url.push(if url.contains('?') { '&' } else { '?' });
        url.push_str(&format!("{parameter}={}", origin(visit)));
        policy::escape(&mut url, &uri(visit));
    }
    HeaderValue::try_from(url).ok()
}

/// Nobody can say whether the request may pass.
fn broken() -> Declined {
    Refused { status: StatusCode::INTERNAL_SERVER_ERROR, close: false }.into()
}

/// What a question says itself, whatever a client says.
const SAID: [&str; 6] = [
    "x-original-url",
    "x-original-method",
    "x-original-uri",
    "x-sent-from",
    "x-scheme",
    "x-auth-request-redirect",
];
/// From the first connection to the end of the answer (`http-proxy 3.7`).
const PATIENCE: Duration = Duration::from_secs(5);
/// What is added to the client's fields, about.
const RESERVE_BYTES: usize = 1_024;

#[cfg(test)]
mod tests {
    use portico_config::model::{AuthPlace, Template};

    use super::*;

    fn ask(always_sets_cookies: bool, sign_in: Option<&str>) -> ServiceAsk {
        let auth = ExternalAuth {
            place: AuthPlace::OwnHost,
            tls: false,
            listed: false,
            verifies: true,
            authority: Template::default(),
            target: Template::default(),
            method: None,
            fields: Box::default(),
            redirect: None,
            response_fields: Box::default(),
            always_sets_cookies,
            sign_in: None,
        };
        ServiceAsk {
            auth: Arc::new(auth),
            head: Vec::new(),
            host: String::new(),
            original: Vec::new(),
            client: [192, 0, 2, 7].into(),
            local: [127, 0, 0, 1].into(),
            sign_in: sign_in.map(|it| HeaderValue::from_str(it).unwrap()),
        }
    }

    #[test]
    fn only_success_lets_a_request_pass() {
        let value = HeaderValue::from_static;
        for (always, sign_in, status, want) in [
            (false, None, 200, None),
            (false, None, 204, None),
            (false, None, 299, None),
            (false, None, 301, Some((500, 0))),
            (false, None, 400, Some((500, 0))),
            (false, None, 401, Some((401, 1))),
            (true, None, 401, Some((401, 2))),
            (false, Some("https://a.test/"), 401, Some((302, 2))),
            (false, Some("https://a.test/"), 403, Some((403, 0))),
            (true, None, 403, Some((403, 1))),
            (true, None, 500, Some((500, 0))),
            (true, None, 503, Some((500, 0))),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            let (cookies, challenges) = (vec![value("a=b")], vec![value("Bearer")]);
            let reply = Reply { status, fields: Vec::new(), cookies, challenges };
            let judged = ask(always, sign_in).judge(reply);
            let got = judged.err().map(|declined| {
                let status = declined.refused.status;
                let lines = declined
                    .edits
                    .map_or(0, |edits| edits.added(status).count());
                (status.as_u16(), lines)
            });
            assert_eq!(got, want, "ingress 2.4: auth-url: {status} {always} {sign_in:?}");
        }
    }
}
