//! What annotations ask of a request before a backend may see it, in the order of `ingress 1.10`.
//!
//! Pure. Who guards comes before who redirects, and nobody is redirected who may not come in.

use std::net::IpAddr;

use http::StatusCode;
use portico_config::model::{Captures, Part, Policy, Template, ToHttps, Variable};

use super::forward::port_of;
use super::normalize::normalize;
use super::request::{Checked, Refused, refuse};

/// An answer in place of the backend's.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Declined {
    pub(crate) refused: Refused,
    /// The value of `Location`, for a redirect.
    pub(crate) location: Option<String>,
}

impl From<Refused> for Declined {
    fn from(refused: Refused) -> Self {
        Self { refused, location: None }
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
        Self { client, tls, checked, captures: captures.unwrap_or_default() }
    }
}

/// The longest body that a request may have; none asks nothing else.
pub(crate) fn max_body_bytes(policy: Option<&Policy>) -> u64 {
    match policy.and_then(|policy| policy.max_body_bytes) {
        None => DEFAULT_MAX_BODY_BYTES,
        Some(0) => u64::MAX,
        Some(most) => most,
    }
}

/// Takes the steps; an error is the answer.
pub(crate) fn judge(policy: &Policy, visit: &Visit<'_>) -> Result<(), Declined> {
    if policy.closed.is_some() {
        return Err(keep(StatusCode::SERVICE_UNAVAILABLE).into());
    }
    if !policy.lets_in(visit.client) {
        return Err(keep(StatusCode::FORBIDDEN).into());
    }
    if let Some(root) = &policy.app_root
        && visit.checked.path == "/"
    {
        let location = format!("{}://{}{}", scheme(visit), authority(visit)?, render(root, visit));
        return Err(redirect(StatusCode::FOUND, location));
    }
    if let Some(asked) = &policy.redirect {
        let status = StatusCode::from_u16(asked.status).unwrap_or(StatusCode::FOUND);
        return Err(redirect(status, render(&asked.location, visit)));
    }
    if let Some(asked) = policy.to_https
        && !visit.tls
    {
        return Err(redirect(StatusCode::PERMANENT_REDIRECT, https(asked, visit)?));
    }
    Ok(())
}

/// The path in place of the one that was asked for, in its normal form; none: it stays.
pub(crate) fn rewrite(policy: &Policy, visit: &Visit<'_>) -> Result<Option<String>, Declined> {
    let Some(template) = &policy.rewrite else { return Ok(None) };
    let mut path = render(template, visit);
    if !path.starts_with('/') {
        path.insert(0, '/');
    }
    match normalize(&path) {
        Ok(path) => Ok(Some(path.into_owned())),
        Err(_) => Err(refuse(StatusCode::BAD_REQUEST).into()),
    }
}

/// A template with what the request has for its variables.
pub(crate) fn render(template: &Template, visit: &Visit<'_>) -> String {
    let checked = visit.checked;
    let mut text = String::new();
    for part in template.parts() {
        match part {
            Part::Text(part) => text.push_str(part),
            Part::Variable(variable) => match variable {
                Variable::Scheme => text.push_str(scheme(visit)),
                Variable::Host => text.push_str(&checked.host),
                Variable::HttpHost => text.push_str(checked.authority.unwrap_or_default()),
                Variable::RequestUri => uri(&mut text, checked),
                Variable::Uri => text.push_str(&checked.path),
                Variable::Args => text.push_str(checked.query.unwrap_or_default()),
                Variable::IsArgs if checked.query.is_some_and(|query| !query.is_empty()) => {
                    text.push('?');
                }
                Variable::IsArgs => {}
                Variable::Capture(number) => text.push_str(visit.captures.get(*number)),
            },
        }
    }
    text
}

/// The same place over HTTPS (`ingress 2.4`: ssl-redirect).
fn https(asked: ToHttps, visit: &Visit<'_>) -> Result<String, Declined> {
    let mut location = format!("https://{}", name(visit)?);
    // Who came to a port of its own finds the other at one, too.
    if let Some(port) = asked.port
        && visit.checked.authority.and_then(port_of).is_some()
    {
        location.push_str(&format!(":{port}"));
    }
    uri(&mut location, visit.checked);
    if !asked.keeps_slash && location.ends_with('/') {
        location.pop();
    }
    Ok(location)
}

/// Host as it was sent; who sent none cannot be told where to go.
fn authority<'a>(visit: &Visit<'a>) -> Result<&'a str, Declined> {
    visit
        .checked
        .authority
        .ok_or_else(|| refuse(StatusCode::BAD_REQUEST).into())
}

/// The same without port.
fn name<'a>(visit: &Visit<'a>) -> Result<&'a str, Declined> {
    authority(visit).map(|_| &*visit.checked.host)
}

fn uri(text: &mut String, checked: &Checked<'_>) {
    text.push_str(&checked.path);
    if let Some(query) = checked.query {
        text.push('?');
        text.push_str(query);
    }
}

fn scheme(visit: &Visit<'_>) -> &'static str {
    if visit.tls { "https" } else { "http" }
}

fn redirect(status: StatusCode, location: String) -> Declined {
    Declined { refused: keep(status), location: Some(location) }
}

fn keep(status: StatusCode) -> Refused {
    Refused { status, close: false }
}

/// A longer body gets 413 (ingress-nginx's `proxy-body-size`).
const DEFAULT_MAX_BODY_BYTES: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use portico_config::model::{Pattern, Redirect};
    use std::borrow::Cow;

    const ALL: &[Variable] = &[
        Variable::Scheme,
        Variable::Host,
        Variable::HttpHost,
        Variable::RequestUri,
        Variable::Uri,
        Variable::Args,
        Variable::IsArgs,
    ];

    fn template(text: &str) -> Template {
        Template::parse(text, ALL).unwrap()
    }

    /// What a client at 192.0.2.7 gets: a status, and where to go.
    fn answer(policy: &Policy, tls: bool, authority: &str, target: &str) -> (u16, String) {
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
            Ok(()) => (200, String::new()),
            Err(declined) => {
                (declined.refused.status.as_u16(), declined.location.unwrap_or_default())
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
            assert_eq!(answer(&policy, false, "a.test", "/").0, status, "ingress 1.10: {case}");
        }
    }

    #[test]
    fn plain_http_is_sent_to_https() {
        let to = |port, keeps_slash| {
            let to_https = Some(ToHttps { port, keeps_slash });
            Policy { to_https, ..Policy::default() }
        };
        for (policy, authority, target, want) in [
            (to(None, false), "A.test", "/x?y=1", "https://a.test/x?y=1"),
            (to(None, false), "a.test", "/", "https://a.test"),
            (to(None, false), "a.test", "/x/", "https://a.test/x"),
            (to(None, false), "a.test", "/x/?y", "https://a.test/x/?y"),
            (to(None, true), "a.test", "/x/", "https://a.test/x/"),
            (to(Some(8443), false), "a.test", "/x", "https://a.test/x"),
            (to(Some(8443), false), "a.test:8080", "/x", "https://a.test:8443/x"),
            (to(None, false), "a.test:80", "/x", "https://a.test/x"),
        ] {
            let got = answer(&policy, false, authority, target);
            assert_eq!(got, (308, want.into()), "ingress 2.4: ssl-redirect {authority}{target}");
            assert_eq!(answer(&policy, true, authority, target).0, 200, "it came over TLS");
        }
        assert_eq!(answer(&to(None, false), false, "", "/").0, 400, "nobody said where this is");
    }

    #[test]
    fn redirects_say_what_they_were_told_to() {
        let to = |status, location| {
            let redirect = Some(Redirect { status, location: template(location) });
            Policy { redirect, ..Policy::default() }
        };
        for (policy, target, want) in [
            (to(301, "https://b.test/new"), "/old?x", (301, "https://b.test/new")),
            (to(308, "https://b.test$request_uri"), "/o?x", (308, "https://b.test/o?x")),
            (to(302, "$scheme://$host$uri$is_args$args"), "/o?x", (302, "http://a.test/o?x")),
            (to(302, "$scheme://$http_host$uri$is_args$args"), "/o", (302, "http://a.test:81/o")),
        ] {
            let got = answer(&policy, false, "a.test:81", target);
            assert_eq!(got, (want.0, want.1.to_owned()), "ingress 2.4: redirects {target}");
        }
        let root = Policy { app_root: Some(template("/start$is_args$args")), ..to(301, "/x") };
        let got = answer(&root, true, "a.test:444", "/?q");
        assert_eq!(got, (302, "https://a.test:444/start?q".into()), "ingress 2.4: app-root");
        assert_eq!(answer(&root, true, "a.test", "/other").0, 301);
    }

    #[test]
    fn a_path_is_rewritten_and_normal_again() {
        let rewritten = |pattern: &str, target: &str, path: &str| {
            let policy = Policy {
                pattern: Some(Pattern::new(pattern).unwrap()),
                rewrite: Some(Template::parse(target, &[Variable::Capture(1)]).unwrap()),
                ..Policy::default()
            };
            let checked =
                Checked { host: "a".into(), authority: Some("a"), path: path.into(), query: None };
            let visit = Visit::new(([192, 0, 2, 7].into(), false), &checked, &policy);
            rewrite(&policy, &visit).map_err(|declined| declined.refused.status.as_u16())
        };
        for (pattern, target, path, want) in [
            ("/a(/|$)(.*)", "/$2", "/a/b/c", Ok("/b/c")),
            ("/a(/|$)(.*)", "/$2", "/a", Ok("/")),
            ("/a/(.*)", "$1", "/a/b", Ok("/b")),
            ("/a/(.*)", "/x/$1", "/a/b%2Fc", Ok("/x/b%2Fc")),
            ("/(.*)/(.*)", "/$1/../$2", "/a/b", Ok("/b")),
            ("/(.*)", "/..", "/a", Err(400)),
        ] {
            let got = rewritten(pattern, target, path);
            let want = want.map(|path| Some(path.to_owned()));
            assert_eq!(got, want, "ingress 2.4: rewrite-target {pattern} {target} {path}");
        }
    }

    #[test]
    fn bodies_have_a_longest() {
        let of = |max_body_bytes| Policy { max_body_bytes, ..Policy::default() };
        assert_eq!(max_body_bytes(None), 1 << 20);
        assert_eq!(max_body_bytes(Some(&of(None))), 1 << 20);
        assert_eq!(max_body_bytes(Some(&of(Some(0)))), u64::MAX);
        assert_eq!(max_body_bytes(Some(&of(Some(7)))), 7);
    }
}
