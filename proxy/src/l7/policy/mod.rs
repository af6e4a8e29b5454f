//! What annotations ask of a request before a backend may see it, in the order of `ingress 1.10`.
//!
//! Pure. Who guards comes before who redirects, and nobody is redirected who may not come in. One
//! file per concern; this one has their order.

mod basic;
mod cors;
mod fields;
mod limits;
mod canary;
mod lead;
mod redirect;
mod rewrite;

use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use http::StatusCode;
use portico_config::model::{Captures, Policy};

use super::edits::Edits;
use super::fields::Fields;
use super::pages::Page;
use super::request::{Checked, Refused};
use crate::limiter::{Limiter, Permit};

pub(crate) use self::basic::{credentials, unauthorized};
pub(crate) use self::canary::{
    Decides as CanaryDecides, cookies, decides as canary_decides, likely as likely_draw,
    takes as takes_canary,
};
pub(crate) use self::fields::request_lines;
pub(crate) use self::lead::lead;
pub(crate) use self::rewrite::{escape, render, rewrite, uri};

/// An answer in place of the backend's.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Declined {
    pub(crate) refused: Refused,
    /// What is done to its fields, for a redirect the `Location`.
    pub(crate) edits: Option<Box<Edits>>,
    /// Who gives the answer instead.
    pub(crate) page: Option<Rc<Page>>,
}

impl Declined {
    /// With what is done to every answer of the location.
    pub(crate) fn with(mut self, edits: Edits) -> Self {
        if !edits.is_empty() {
            self.edits.get_or_insert_default().follow(edits);
        }
        self
    }

    /// With the answer of another backend, where it stands in for such answers.
    pub(crate) fn or_page(mut self, page: Option<&Rc<Page>>) -> Self {
        let page = page.filter(|page| page.replaces(self.refused.status, false));
        self.page = page.map(Rc::clone);
        self
    }
}

impl From<Refused> for Declined {
    fn from(refused: Refused) -> Self {
        Self { refused, edits: None, page: None }
    }
}

/// A request as the steps see it.
pub(crate) struct Visit<'a> {
    pub(crate) client: IpAddr,
    /// Whether it came over TLS.
    pub(crate) tls: bool,
    pub(crate) checked: &'a Checked<'a>,
    /// What the groups of the path's pattern took.
    pub(crate) captures: Captures<'a>,
    pub(crate) method: &'a str,
    /// Its fields, where templates may ask for them.
    pub(crate) fields: Option<Fields<'a>>,
    /// What it is called, where the client calls it nothing.
    pub(crate) request_id: &'a [u8],
    /// The port of the listener.
    pub(crate) server_port: u16,
    /// `Origin`, if there is one.
    pub(crate) origin: Option<&'a [u8]>,
    /// What clients asked of the Ingress, if it has limits.
    pub(crate) limiter: Option<&'a Arc<Limiter>>,
}

impl<'a> Visit<'a> {
    /// A request that `policy` is about.
    pub(crate) fn new(
        (client, tls): (IpAddr, bool),
        checked: &'a Checked<'a>,
        policy: &Policy,
    ) -> Self {
        // Most policies ask for no group.
        let asks = policy.rewrite.is_some() || policy.redirect.is_some();
        let pattern = policy.pattern.as_ref().filter(|_| asks);
        let captures = pattern.and_then(|pattern| pattern.captures(&checked.path));
        let captures = captures.unwrap_or_default();
        Self {
            client,
            tls,
            checked,
            captures,
            method: "GET",
            fields: None,
            request_id: b"",
            server_port: 0,
            origin: None,
            limiter: None,
        }
    }
}

/// The longest body that a request may have: what the policy says, or else `usual`; 0 is any. A
/// longer one gets 413 (ingress-nginx's `proxy-body-size`).
pub(crate) fn max_body_bytes(policy: Option<&Policy>, usual: u64) -> u64 {
    match policy
        .and_then(|policy| policy.max_body_bytes)
        .unwrap_or(usual)
    {
        0 => u64::MAX,
        most => most,
    }
}

/// Takes the steps; an error is the answer. What comes is held until the exchange is over.
pub(crate) fn judge(policy: &Policy, visit: &Visit<'_>) -> Result<Option<Permit>, Declined> {
    if policy.closed.is_some() {
        return Err(keep(StatusCode::SERVICE_UNAVAILABLE).into());
    }
    if let Some(outside) = outside(policy, visit)
        && !policy.credentials_outweigh()
    {
        return Err(outside);
    }
    cors::preflight(policy, visit)?;
    if !policy.asks_credentials() {
        moved(policy, visit)?;
    }
    redirect::to_https(policy, visit)?;
    limits::admit(policy, visit, Instant::now())
}

/// Which of the steps of [`judge`] gives the answer, and of those behind the credentials: for who asks
/// why. Limits are not counted.
pub(crate) fn blame(policy: &Policy, visit: &Visit<'_>) -> Option<&'static str> {
    if policy.closed.is_some() {
        return Some("closed: an annotation asks what cannot be kept");
    }
    if outside(policy, visit).is_some() && !policy.credentials_outweigh() {
        return Some("denylist-source-range, allowlist-source-range: the client is kept out");
    }
    let preflight: (_, Step) = ("enable-cors: it is a preflight", cors::preflight);
    let plain: (_, Step) = ("ssl-redirect: it came without TLS", redirect::to_https);
    let moved: [(_, Step); 4] = [
        ("from-to-www-redirect: the host has another name", redirect::to_host),
        ("nginx-quirks: the path of the rule ends in /", redirect::to_slash),
        ("app-root: the path is /", redirect::app_root),
        ("permanent-redirect, temporal-redirect: all are sent elsewhere", redirect::elsewhere),
    ];
    let (early, late) = match policy.asks_credentials() {
        false => (&moved[..], &[][..]),
        true => (&[][..], &moved[..]),
    };
    let steps = [&[preflight][..], early, &[plain], late].concat();
    let mut steps = steps.into_iter();
    steps.find_map(|(name, step)| step(policy, visit).is_err().then_some(name))
}

/// One step.
type Step = fn(&Policy, &Visit<'_>) -> Result<(), Declined>;

/// What the lists say of a client that they keep out.
pub(crate) fn outside(policy: &Policy, visit: &Visit<'_>) -> Option<Declined> {
    let is_in = policy.lets_in(visit.client);
    (!is_in).then(|| keep(StatusCode::FORBIDDEN).into())
}

/// Where the location was moved to: told after the credentials were right, where any are asked for
/// (steps 6 and 9).
pub(crate) fn moved(policy: &Policy, visit: &Visit<'_>) -> Result<(), Declined> {
    redirect::to_host(policy, visit)?;
    redirect::to_slash(policy, visit)?;
    redirect::app_root(policy, visit)?;
    redirect::elsewhere(policy, visit)
}

/// What is done to every answer of a location, whoever gives it (step 14).
pub(crate) fn edits(policy: &Policy, visit: &Visit<'_>) -> Edits {
    let mut edits = Edits::default();
    edits.rewrite(&policy.rewrites);
    if let Some(cors) = &policy.cors {
        cors::answer(cors, visit.origin, &mut edits);
    }
    fields::answer(policy, visit, &mut edits);
    edits
}

fn scheme(visit: &Visit<'_>) -> &'static str {
    if visit.tls { "https" } else { "http" }
}

fn keep(status: StatusCode) -> Refused {
    Refused { status, close: false }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::str::from_utf8;

    use portico_config::model::{Redirect, Template, Variable};

    use super::*;

    const ALL: &[Variable] = &[
        Variable::Scheme,
        Variable::Host,
        Variable::HttpHost,
        Variable::RequestUri,
        Variable::Uri,
        Variable::Args,
        Variable::IsArgs,
    ];

    pub(super) fn template(text: &str) -> Template {
        Template::parse(text, ALL).unwrap()
    }

    /// What a client at 192.0.2.7 gets: a status, and where to go.
    pub(super) fn answer(
        policy: &Policy,
        tls: bool,
        authority: &str,
        target: &str,
    ) -> (u16, String) {
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (target, None),
        };
        let host = authority.split(':').next().unwrap().to_ascii_lowercase();
        let checked = Checked {
            host: Cow::Owned(host),
            authority: Some(authority).filter(|authority| !authority.is_empty()),
            path: path.into(),
            query,
        };
        let visit = Visit::new(([192, 0, 2, 7].into(), tls), &checked, policy);
        match judge(policy, &visit) {
            Ok(_) => (200, String::new()),
            Err(declined) => {
                let edits = declined.edits.unwrap_or_default();
                let location = edits
                    .added(declined.refused.status)
                    .find(|(name, _)| *name == b"Location");
                let location = location.map_or("", |(_, value)| from_utf8(value).unwrap());
                (declined.refused.status.as_u16(), location.to_owned())
            }
        }
    }

    #[test]
    fn guards_come_before_redirects() {
        let redirect = Some(Redirect { status: 301, location: template("https://b.test") });
        let base = Policy { redirect, ..Policy::default() };
        let [here, there] = ["192.0.2.0/24", "10.0.0.0/8"];
        let policy = |deny: &[&str], allow: &[&str]| Policy {
            deny: deny.iter().map(|net| net.parse().unwrap()).collect(),
            allow: allow.iter().map(|net| net.parse().unwrap()).collect(),
            ..base.clone()
        };
        for (case, policy, status) in [
            ("open", base.clone(), 301),
            ("closed", Policy { closed: Some("why".into()), ..base.clone() }, 503),
            ("denied", policy(&[here], &[]), 403),
            ("denied before allowed", policy(&[here], &[here]), 403),
            ("not among", policy(&[], &[there, "2001:db8::/32"]), 403),
            ("among", policy(&[there], &[there, here]), 301),
            ("nothing asked", Policy::default(), 200),
        ] {
            assert_eq!(
                answer(&policy, false, "a.test", "/").0,
                status,
                "ingress 1.10, http-proxy 0.2: {case}"
            );
        }
    }

    #[test]
    fn bodies_have_a_longest() {
        let of = |max_body_bytes| Policy { max_body_bytes, ..Policy::default() };
        assert_eq!(max_body_bytes(None, 5), 5);
        assert_eq!(max_body_bytes(None, 0), u64::MAX);
        assert_eq!(max_body_bytes(Some(&of(None)), 5), 5);
        assert_eq!(max_body_bytes(Some(&of(Some(0))), 5), u64::MAX);
        assert_eq!(max_body_bytes(Some(&of(Some(7))), 5), 7);
    }
}
