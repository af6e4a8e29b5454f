//! Where a request is sent instead: `app-root`, redirects, plain HTTP to HTTPS (`ingress 2.4`).
//!
//! Pure. Each is a step of its own that `policy` takes in order; a location is made of what the client
//! asked for, escaped, and never of what a backend said.

use http::{HeaderValue, StatusCode};
use portico_config::model::{Policy, ToHttps};

use super::rewrite::{render, uri};
use super::{Declined, Visit, keep, scheme};
use crate::l7::edits::Edits;
use crate::l7::forward::port_of;
use crate::l7::request::refuse;

/// From exactly `/` to the root of the application.
pub(super) fn app_root(policy: &Policy, visit: &Visit<'_>) -> Result<(), Declined> {
    let Some(root) = &policy.app_root else { return Ok(()) };
    if visit.checked.path != "/" {
        return Ok(());
    }
    let location = format!("{}{}", here(policy, visit)?, render(root, visit));
    Err(redirect(StatusCode::FOUND, location))
}

/// What stands before the path where a client is sent to another place of the same host.
fn here(policy: &Policy, visit: &Visit<'_>) -> Result<String, Declined> {
    match policy.relative_redirects {
        true => Ok(String::new()),
        false => Ok(format!("{}://{}", scheme(visit), authority(visit)?)),
    }
}

/// From another name of a host to the host itself (`ingress 2.4`: from-to-www-redirect).
pub(super) fn to_host(policy: &Policy, visit: &Visit<'_>) -> Result<(), Declined> {
    let Some(host) = &policy.moved_to else { return Ok(()) };
    let mut location = format!("{}://{host}", scheme(visit));
    if let Some(port) = visit.checked.authority.and_then(port_of) {
        location.push_str(&format!(":{port}"));
    }
    uri(&mut location, visit.checked);
    if location.ends_with('/') {
        location.pop();
    }
    Err(redirect(StatusCode::PERMANENT_REDIRECT, location))
}

/// From a path without a `/` at its end to the one with it, which a rule has (`ingress 2.2`).
pub(super) fn to_slash(policy: &Policy, visit: &Visit<'_>) -> Result<(), Declined> {
    if !policy.adds_slash {
        return Ok(());
    }
    let mut location = here(policy, visit)?;
    location.push_str(&visit.checked.path);
    location.push('/');
    if let Some(query) = visit.checked.query {
        location.push('?');
        location.push_str(query);
    }
    Err(redirect(StatusCode::MOVED_PERMANENTLY, location))
}

/// From anywhere to where the location was moved.
pub(super) fn elsewhere(policy: &Policy, visit: &Visit<'_>) -> Result<(), Declined> {
    let Some(asked) = &policy.redirect else { return Ok(()) };
    let status = StatusCode::from_u16(asked.status).unwrap_or(StatusCode::FOUND);
    Err(redirect(status, render(&asked.location, visit)))
}

/// From plain HTTP to HTTPS.
pub(super) fn to_https(policy: &Policy, visit: &Visit<'_>) -> Result<(), Declined> {
    match policy.to_https {
        Some(asked) if !visit.tls => {
            Err(redirect(StatusCode::PERMANENT_REDIRECT, https(asked, visit)?))
        }
        _ => Ok(()),
    }
}

/// The same place over HTTPS (`ingress 2.4`: ssl-redirect).
fn https(asked: ToHttps, visit: &Visit<'_>) -> Result<String, Declined> {
    let mut location = format!("https://{}", name(visit)?);
    // Who came to a port of its own finds the other at one, too.
    let came_to_one = || visit.checked.authority.and_then(port_of).is_some();
    let port = match asked.names_port {
        true => Some(asked.port.unwrap_or(HTTPS_PORT)),
        false => asked.port.filter(|_| came_to_one()),
    };
    if let Some(port) = port {
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

/// The answer that sends a client to `location`; 400 where that cannot be said in a field.
fn redirect(status: StatusCode, location: String) -> Declined {
    let Ok(location) = HeaderValue::try_from(location) else {
        return refuse(StatusCode::BAD_REQUEST).into();
    };
    let mut edits = Edits::default();
    edits.set("Location", location);
    Declined { refused: keep(status), edits: Some(Box::new(edits)), page: None }
}

/// Where HTTPS is where nothing else is said.
const HTTPS_PORT: u16 = 443;

#[cfg(test)]
mod tests {
    use portico_config::model::Redirect;

    use super::super::tests::{answer, template};
    use super::*;

    #[test]
    fn plain_http_is_sent_to_https() {
        let to = |port, keeps_slash| {
            let to_https = Some(ToHttps { port, names_port: false, keeps_slash });
            Policy { to_https, ..Policy::default() }
        };
        let named = |port| {
            let to_https = Some(ToHttps { port, names_port: true, keeps_slash: false });
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
            (named(None), "a.test", "/x", "https://a.test:443/x"),
            (named(Some(8443)), "a.test", "/x", "https://a.test:8443/x"),
        ] {
            let got = answer(&policy, false, authority, target);
            assert_eq!(got, (308, want.into()), "ingress 2.4: ssl-redirect {authority}{target}");
            assert_eq!(answer(&policy, true, authority, target).0, 200, "it came over TLS");
        }
        assert_eq!(answer(&to(None, false), false, "", "/").0, 400, "nobody said where this is");
    }

    #[test]
    fn another_name_of_a_host_leads_to_it() {
        let policy = Policy { moved_to: Some("a.test".into()), ..Policy::default() };
        for (tls, authority, target, want) in [
            (false, "www.a.test", "/x?y=1", "http://a.test/x?y=1"),
            (true, "www.a.test", "/x/", "https://a.test/x"),
            (false, "www.a.test:8080", "/", "http://a.test:8080"),
        ] {
            let got = answer(&policy, tls, authority, target);
            assert_eq!(got, (308, want.into()), "ingress 2.4: from-to-www-redirect {authority}");
        }
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
        let slash = Policy { adds_slash: true, ..to(302, "/x") };
        let got = answer(&slash, false, "a.test:81", "/o?x");
        assert_eq!(got, (301, "http://a.test:81/o/?x".into()), "ingress 2.2: before others");
        let root = Policy { app_root: Some(template("/start$is_args$args")), ..to(301, "/x") };
        let got = answer(&root, true, "a.test:444", "/?q");
        assert_eq!(got, (302, "https://a.test:444/start?q".into()), "ingress 2.4: app-root");
        assert_eq!(answer(&root, true, "a.test", "/other").0, 301);
        let root = Policy { relative_redirects: true, ..root };
        let got = answer(&root, true, "a.test:444", "/?q");
        assert_eq!(got, (302, "/start?q".into()), "ingress 2.5: relative-redirects");
        assert_eq!(answer(&root, true, "", "/").0, 302, "no host is needed for that");
    }
}
