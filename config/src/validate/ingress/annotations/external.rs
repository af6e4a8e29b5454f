//! Authentication by another service (`ingress 2.4`: `auth-url` and what belongs to it).
//!
//! Guards: what is wrong here closes. Whether the host is a Service, and what a ConfigMap holds, is
//! seen by `compile`.

use super::basic::own;
use super::reader::Reader;
use super::values::{VARIABLES, boolean, field_names};
use crate::model::{AuthPlace, ExternalAuth, ObjectName, SignIn, Template, Variable};

/// What `auth-url` asks, before its host and its ConfigMap are looked at.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct ExternalAsk {
    /// With a place that does not know Services yet, and without the fields of the ConfigMap.
    pub(crate) auth: ExternalAuth,
    /// `auth-proxy-set-headers`.
    pub(crate) fields: Option<ObjectName>,
}

/// A URL in pieces.
struct Url {
    tls: bool,
    authority: Template,
    /// Host and port where no request has a say in them; the port is the scheme's if none is written.
    host: Option<(Box<str>, u16)>,
    target: Template,
}

impl Reader<'_> {
    /// What the Ingress `name` asks of another service.
    pub(super) fn external(&mut self, name: &ObjectName) -> Option<ExternalAsk> {
        let method = self.value("auth-method", method);
        let response_fields = self.value("auth-response-headers", field_names);
        let fields = self.value("auth-proxy-set-headers", |text| own(text, name));
        let redirect = self.value("auth-request-redirect", |text| {
            Template::parse(text, VARIABLES).map_err(|_| NO_TEMPLATE)
        });
        let always_sets_cookies = self.switch("auth-always-set-cookie").unwrap_or(false);
        let sign_in = self.sign_in();
        let verifies = self.verifies();
        let Some(Url { tls, authority, host, target }) = self.value("auth-url", url) else {
            for name in ["auth-method", "auth-response-headers", "auth-proxy-set-headers"] {
                let is_alone = self.first(&["auth-url"]).is_none() && self.closed.is_none();
                if is_alone && self.first(&[name]).is_some() {
                    self.close(name, "needs `auth-url`");
                }
            }
            return None;
        };
        let place = match &host {
            Some((host, port)) => AuthPlace::Host(host.clone(), *port),
            None => AuthPlace::OwnHost,
        };
        let auth = ExternalAuth {
            place,
            tls,
            listed: false,
            verifies,
            authority,
            target,
            method,
            fields: Box::default(),
            redirect,
            response_fields: response_fields.unwrap_or_default(),
            always_sets_cookies,
            sign_in,
        };
        Some(ExternalAsk { auth, fields })
    }

    fn sign_in(&mut self) -> Option<SignIn> {
        let parameter = self.value("auth-signin-redirect-param", |text| {
            let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
            let plain = text.bytes().all(known);
            plain
                .then(|| text.into())
                .ok_or("is no name of a parameter")
        });
        let parameter: Box<str> = parameter.unwrap_or_else(|| "rd".into());
        self.value("auth-signin", |text| {
            let is_url = ["http://", "https://", "$scheme://"].iter().any(|start| {
                text.strip_prefix(start)
                    .is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['/', '?', '#']))
            });
            let url = Template::parse(text, VARIABLES).map_err(|_| NO_TEMPLATE)?;
            let query = text.split_once('?').map_or("", |(_, query)| query);
            let mut names = query.split('&').map(|pair| pair.split('=').next());
            let has_it = names.any(|name| name == Some(&*parameter));
            match is_url {
                true => Ok(SignIn { url, parameter: (!has_it).then_some(parameter) }),
                false => Err("is no http(s) URL"),
            }
        })
    }

    /// `portico.dev/auth-url-verify`: `off` alone leaves a certificate unverified.
    fn verifies(&mut self) -> bool {
        let Some(text) = self.annotations.get(VERIFY) else { return true };
        match (text.trim(), boolean(text.trim())) {
            ("off", _) | (_, Some(false)) => false,
            ("on" | "", _) | (_, Some(true)) => true,
            _ => {
                self.close_own(VERIFY, "is neither `on` nor `off`");
                true
            }
        }
    }
}

/// A URL's scheme, authority and what follows; whether it is `https`.
pub(super) fn split(text: &str) -> Result<(bool, &str, &str), &'static str> {
    let (tls, rest) = match (text.strip_prefix("http://"), text.strip_prefix("https://")) {
        (Some(rest), _) => (false, rest),
        (_, Some(rest)) => (true, rest),
        _ => return Err("is no http(s) URL"),
    };
    if rest.contains('#') {
        return Err("has a fragment");
    }
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, target) = rest.split_at(end);
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]${}".contains(&byte);
    if authority.is_empty() || authority.contains("..") || !authority.bytes().all(known) {
        return Err("has no host");
    }
    Ok((tls, authority, target))
}

/// `http(s)://host[:port]/path`.
fn url(text: &str) -> Result<Url, &'static str> {
    let (tls, authority, target) = split(text)?;
    let host = match authority.contains('$') {
        true => None,
        false => Some(host_and_port(authority, tls).ok_or("has no host and port")?),
    };
    let authority = Template::parse(authority, &[Variable::Host, Variable::HttpHost]);
    let slash = if target.starts_with('/') { "" } else { "/" };
    let target = Template::parse(&format!("{slash}{target}"), VARIABLES);
    match (authority, target) {
        (Ok(authority), Ok(target)) => Ok(Url { tls, authority, host, target }),
        _ => Err(NO_TEMPLATE),
    }
}

/// Host and port of an authority, the host without its final dot and brackets.
pub(super) fn host_and_port(authority: &str, tls: bool) -> Option<(Box<str>, u16)> {
    let usual = if tls { 443 } else { 80 };
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']')?;
            address.parse::<std::net::Ipv6Addr>().ok()?;
            (
                address,
                port.strip_prefix(':')
                    .or_else(|| port.is_empty().then_some(""))?,
            )
        }
        None => authority.split_once(':').unwrap_or((authority, "")),
    };
    let port = match port {
        "" => usual,
        port => port.parse().ok().filter(|port| *port != 0)?,
    };
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let is_host = host.contains(':') || (!host.is_empty() && host.bytes().all(known));
    is_host.then(|| (host.into(), port))
}

fn method(text: &str) -> Result<Box<str>, &'static str> {
    match METHODS.contains(&text) {
        true => Ok(text.into()),
        false => Err("is no method that a question can have"),
    }
}

const VERIFY: &str = "portico.dev/auth-url-verify";
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
const NO_TEMPLATE: &str = "holds a variable or a character that may not stand there";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_has_a_scheme_and_a_host() {
        let host = |host: &str, port| Some((host.into(), port));
        for (text, want) in [
            ("http://auth.test/check", Some(host("auth.test", 80))),
            ("https://auth.test", Some(host("auth.test", 443))),
            ("http://Auth.test.:8080?x=1", Some(host("auth.test", 8080))),
            ("http://[::1]:81/", Some(host("::1", 81))),
            ("http://[::1]/", Some(host("::1", 80))),
            ("https://$host/oauth2/auth", Some(None)),
            ("https://${http_host}/auth?u=$escaped_request_uri", Some(None)),
            ("ftp://auth.test/", None),
            ("auth.test/", None),
            ("http:///check", None),
            ("http://a..b/", None),
            ("http://u@a.test/", None),
            ("http://a.test:0/", None),
            ("http://a.test:99999/", None),
            ("http://[::1/", None),
            ("http://$nothing/", None),
            ("http://$request_uri/", None),
            ("http://a.test/$nothing", None),
            ("http://a.test/\r\nX: y", None),
            ("http://a.test/#x", None),
        ] {
            let got = url(text).ok().map(|url| url.host);
            assert_eq!(got, want, "ingress 2.4: auth-url: {text}");
        }
    }

    #[test]
    fn a_sign_in_says_where_to_return_unless_its_url_does() {
        use super::super::tests::of;
        let ask = |pairs: &[(&str, &str)]| {
            let read = of(&[&[("auth-url", "http://a.test/")], pairs].concat());
            assert_eq!(read.policy.closed, None, "ingress 2.4: auth-signin tunes: {pairs:?}");
            read.external.unwrap().auth
        };
        let (url, named) = ("auth-signin", ("auth-signin-redirect-param", "next"));
        for (pairs, want) in [
            (&[(url, "https://l.test/")][..], Some(Some("rd"))),
            (&[(url, "https://l.test/"), named], Some(Some("next"))),
            (&[(url, "https://l.test/?rd=$request_uri")], Some(None)),
            (&[(url, "https://l.test/?rd=$request_uri"), named], Some(Some("next"))),
            (&[(url, "l.test")], None),
            (&[(url, "https://l.test/$nothing")], None),
        ] {
            let got = ask(pairs).sign_in.map(|it| it.parameter);
            let got = got.as_ref().map(|it| it.as_deref());
            assert_eq!(got, want, "ingress 2.4: auth-signin: {pairs:?}");
        }
        let redirect = ask(&[("auth-request-redirect", "https://$host$request_uri")]).redirect;
        let want = "https://${host}${request_uri}";
        assert_eq!(redirect.unwrap().to_string(), want, "ingress 2.5: auth-request-redirect");
        for (value, want) in [("off", false), ("on", true)] {
            let verifies = ask(&[("portico.dev/auth-url-verify", value)]).verifies;
            assert_eq!(verifies, want, "ingress 2.4: auth-url: {value}");
        }
    }
}
