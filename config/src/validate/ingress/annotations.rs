//! What the annotations of an Ingress say, read once into types (`ingress 2.1`).
//!
//! Invariants: a value that guards or routes and cannot be obeyed closes the Ingress's locations; any
//! other leaves the default, and is told. What is found here is told by `compile`, which knows whose
//! Ingress it is. No value is repeated in a finding but where it is a known word: some are secret.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;

use super::snippet;
use crate::decode::distance;
use crate::diagnostic::Code;
use crate::model::annotation::{self, PREFIX, ROWS, Role, Row, Standing};
use crate::model::{Policy, Redirect, Template, Variable};

/// What is asked of all locations of an Ingress.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Annotations {
    /// Without what depends on the host: `to_https` and `app_root`.
    pub(crate) policy: Policy,
    /// `app-root`: for every location of its hosts.
    pub(crate) app_root: Option<Template>,
    /// Whether paths of type ImplementationSpecific are patterns: `use-regex`, or a rewrite.
    pub(crate) patterns: bool,
    /// `ssl-redirect`.
    pub(crate) ssl_redirect: bool,
    /// `force-ssl-redirect`.
    pub(crate) force_ssl_redirect: bool,
    /// `preserve-trailing-slash`.
    pub(crate) keeps_slash: bool,
    /// Whether the Ingress makes no location at all: it is a canary.
    pub(crate) left_out: bool,
    /// What is to be told, once it is known that the Ingress is ours.
    pub(crate) findings: Vec<Finding>,
}

/// Something to tell about one annotation.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Finding {
    pub(crate) code: Code,
    /// The whole key.
    pub(crate) key: String,
    pub(crate) text: String,
    pub(crate) help: Option<String>,
}

/// Reads all annotations of an object.
pub(super) fn read(annotations: &BTreeMap<String, String>) -> Annotations {
    let mut reader = Reader { annotations, closed: None, findings: Vec::new(), left_out: 0 };
    let accepted = reader.accepted();
    for (key, value) in annotations {
        if let Some(name) = key.strip_prefix(PREFIX)
            && !value.is_empty()
        {
            reader.judge(name, value, &accepted);
        }
    }
    let rewrite = reader.value("rewrite-target", rewrite);
    // A rewrite to another host is a redirect.
    let (rewrite, moved) = match rewrite {
        Some((template, true)) => (None, Some(Redirect { status: 302, location: template })),
        Some((template, false)) => (Some(template), None),
        None => (None, None),
    };
    let has_rewrite = rewrite.is_some() || moved.is_some();
    let policy = Policy {
        forwarded_prefix: reader
            .value("x-forwarded-prefix", forwarded_prefix)
            .filter(|_| has_rewrite),
        rewrite,
        deny: reader.sources(&["denylist-source-range"]),
        allow: reader.sources(&["allowlist-source-range", "whitelist-source-range"]),
        redirect: reader.redirect().or(moved),
        max_body_bytes: reader
            .value("proxy-body-size", |text| size(text).ok_or("is no size such as 8m, 512k or 0")),
        upstream_host: reader.upstream_host(),
        ..Policy::default()
    };
    reader.backend_protocol();
    let app_root = reader.value("app-root", app_root);
    let patterns = reader.switch("use-regex").unwrap_or(false) || has_rewrite;
    let ssl_redirect = reader.switch("ssl-redirect").unwrap_or(true);
    let force_ssl_redirect = reader.switch("force-ssl-redirect").unwrap_or(false);
    let keeps_slash = reader.switch("preserve-trailing-slash").unwrap_or(false);
    let left_out = reader.switch("canary").unwrap_or(false);
    let Reader { closed, mut findings, left_out: more, .. } = reader;
    if more > 0 {
        let text = format!("{more} more findings are not listed");
        let key = PREFIX.to_owned();
        findings.push(Finding { code: Code::MoreFindings, key, text, help: None });
    }
    let policy = Policy { closed: closed.map(Into::into), ..policy };
    Annotations {
        policy,
        app_root,
        patterns,
        ssl_redirect,
        force_ssl_redirect,
        keeps_slash,
        left_out,
        findings,
    }
}

struct Reader<'a> {
    annotations: &'a BTreeMap<String, String>,
    /// Why nothing is served.
    closed: Option<String>,
    findings: Vec<Finding>,
    /// Findings beyond the most that are kept.
    left_out: usize,
}

impl<'a> Reader<'a> {
    /// What the owner of the Ingress serves without (`portico.dev/accept-missing`).
    fn accepted(&self) -> Vec<&'a str> {
        let list = self.annotations.get(ACCEPT_MISSING);
        list.into_iter()
            .flat_map(|list| list.split(',').map(str::trim))
            .collect()
    }

    /// Tells what an annotation leads to, as far as its name and standing say.
    fn judge(&mut self, name: &str, value: &str, accepted: &[&str]) {
        let Some(row) = annotation::find(name) else {
            let nearest = ROWS
                .iter()
                .map(|row| (distance(name, row.name), row.name))
                .filter(|(distance, other)| *distance <= 1 + other.len() / 4)
                .min();
            let help = nearest.map(|(_, other)| format!("did you mean `{PREFIX}{other}`?"));
            let text = "is no annotation of ingress-nginx: it has no effect";
            return self.find(Code::UnknownIngressAnnotation, name, text, help);
        };
        if says_nothing(row, value) {
            return;
        }
        match row.standing {
            Standing::Supported => {}
            Standing::Later => {
                let text = match row.default {
                    "" => "is not done yet: it has no effect".to_owned(),
                    default => format!("is not done yet: `{default}` counts"),
                };
                self.find(Code::AnnotationWithoutEffect, name, text, None);
            }
            Standing::Ignored(why) => {
                self.find(Code::AnnotationIgnored, name, format!("{NO_EFFECT}: {why}"), None);
            }
            Standing::Refused(why) => self.find(Code::AnnotationWithoutEffect, name, why, None),
            Standing::LeftOut if boolean(value) != Some(true) => {}
            Standing::LeftOut => {
                let text = "there are no canaries yet: this Ingress is left out, and its main one \
                            gets every request";
                self.find(Code::AnnotationWithoutEffect, name, text, None);
            }
            Standing::Closes(_)
                if MODSECURITY.contains(&name) && accepted.contains(&"modsecurity") => {}
            Standing::Closes(why) => self.close(name, why),
            Standing::Lines => self.lines(name, value, accepted.contains(&"snippets")),
        }
    }

    /// Looks at each line of a snippet (`ingress 2.6`).
    fn lines(&mut self, name: &str, text: &str, accepted: bool) {
        for line in snippet::lines(text) {
            let said = format!("snippets are not read: line {}, `{}`", line.number, line.directive);
            match line.guards && !accepted {
                true => self.close_with(name, said, line.instead),
                false => self.find(Code::AnnotationWithoutEffect, name, said, line.instead),
            }
        }
    }

    /// The newest name of several that mean one thing, and its value.
    fn first(&self, names: &[&'static str]) -> Option<(&'static str, &'a str)> {
        names.iter().find_map(|name| {
            let value = self.annotations.get(&format!("{PREFIX}{name}"))?.trim();
            (!value.is_empty()).then_some((*name, value))
        })
    }

    /// The value of one annotation; where it cannot be read, none and a finding.
    fn value<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&str) -> Result<T, &'static str>,
    ) -> Option<T> {
        let (_, text) = self.first(&[name])?;
        match read(text) {
            Ok(value) => Some(value),
            Err(fault) => {
                let row = annotation::find(name);
                match row.is_some_and(|row| row.role == Role::Tuning) {
                    true => {
                        let default = row.map_or("", |row| row.default);
                        let text = match default {
                            "" => format!("{fault}: it has no effect"),
                            default => format!("{fault}: `{default}` counts"),
                        };
                        self.find(Code::InvalidIngressAnnotation, name, text, None);
                    }
                    false => self.close(name, fault),
                }
                None
            }
        }
    }

    fn switch(&mut self, name: &'static str) -> Option<bool> {
        self.value(name, |text| boolean(text).ok_or("is neither `true` nor `false`"))
    }

    /// A list of CIDRs and addresses; one that is none closes.
    fn sources(&mut self, names: &[&'static str]) -> Box<[IpNet]> {
        let Some((name, list)) = self.first(names) else { return Box::default() };
        let entries = list
            .split(',')
            .map(str::trim)
            .filter(|entry| !entry.is_empty());
        let network = |entry: &str| {
            let address = || entry.parse::<IpAddr>().map(IpNet::from);
            entry.parse::<IpNet>().or_else(|_| address())
        };
        let sources: Result<Vec<IpNet>, _> = entries.take(MAX_ENTRIES + 1).map(network).collect();
        match sources {
            Ok(sources) if (1..=MAX_ENTRIES).contains(&sources.len()) => sources.into(),
            Ok(_) => {
                self.close(name, format!("must have 1 to {MAX_ENTRIES} entries"));
                Box::default()
            }
            Err(_) => {
                self.close(name, "an entry is neither a CIDR nor an IP address");
                Box::default()
            }
        }
    }

    /// `temporal-redirect`, else `permanent-redirect`.
    fn redirect(&mut self) -> Option<Redirect> {
        for (name, code_name, usual, last, paths) in [
            ("temporal-redirect", "temporal-redirect-code", 302, 307, false),
            ("permanent-redirect", "permanent-redirect-code", 301, 308, true),
        ] {
            if self.first(&[name]).is_none() {
                continue;
            }
            let location = self.value(name, |text| target(text, paths))?;
            let status =
                self.value(code_name, |text| text.parse::<u16>().map_err(|_| "is no number"));
            let status = status.filter(|status| (300..=last).contains(status));
            return Some(Redirect { status: status.unwrap_or(usual), location });
        }
        None
    }

    /// Plain HTTP is what backends are spoken to.
    fn backend_protocol(&mut self) {
        let Some((name, text)) = self.first(&["backend-protocol"]) else { return };
        match &*text.to_ascii_uppercase() {
            "HTTP" | "AUTO_HTTP" => {}
            "HTTPS" | "GRPC" | "GRPCS" | "FCGI" => {
                self.close(name, "backends are spoken to by HTTP/1.1 without TLS alone");
            }
            _ => {
                let text = "is no known protocol: `HTTP` counts";
                self.find(Code::InvalidIngressAnnotation, name, text, None);
            }
        }
    }

    fn upstream_host(&mut self) -> Option<Template> {
        use Variable::{Host, HttpHost};
        self.value("upstream-vhost", |text| {
            let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]${}".contains(&byte);
            let template = Template::parse(text, &[Host, HttpHost]);
            template
                .ok()
                .filter(|_| text.bytes().all(known))
                .ok_or("is no name of a host")
        })
    }

    fn close(&mut self, name: &str, why: impl Into<String>) {
        self.close_with(name, why.into(), None);
    }

    fn close_with(&mut self, name: &str, why: String, help: Option<String>) {
        let text = format!("{why}: its locations are closed, every request gets 503");
        self.closed
            .get_or_insert_with(|| format!("annotation {PREFIX}{name}: {why}"));
        self.find(Code::AnnotationCloses, name, text, help);
    }

    fn find(&mut self, code: Code, name: &str, text: impl Into<String>, help: Option<String>) {
        if self.findings.len() >= MAX_FINDINGS {
            self.left_out += 1;
            return;
        }
        let (key, text) = (format!("{PREFIX}{name}"), text.into());
        self.findings.push(Finding { code, key, text, help });
    }
}

/// Whether a value is what counts without it.
fn says_nothing(row: &Row, value: &str) -> bool {
    let value = value.trim();
    let same = boolean(row.default).is_some_and(|default| boolean(value) == Some(default));
    !row.default.is_empty() && (same || value.eq_ignore_ascii_case(row.default))
}

/// As ingress-nginx reads them.
fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "True" | "TRUE" => Some(true),
        "0" | "f" | "F" | "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

/// `8m`, `512K`, `0`.
fn size(text: &str) -> Option<u64> {
    let (digits, unit) = match text.char_indices().next_back()? {
        (at, unit) if unit.is_ascii_alphabetic() => (&text[..at], unit.to_ascii_lowercase()),
        _ => (text, 'b'),
    };
    let shift = match unit {
        'b' => 0,
        'k' => 10,
        'm' => 20,
        'g' => 30,
        _ => return None,
    };
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse::<u64>().ok()?.checked_mul(1 << shift))?
}

/// Where a redirect leads: a URL, or where `paths` says so a path.
fn target(text: &str, paths: bool) -> Result<Template, &'static str> {
    use Variable::{Args, Host, IsArgs, RequestUri, Scheme, Uri};
    let starts = ["http://", "https://", "$scheme://", "${scheme}://"];
    let is_url = starts.iter().any(|start| {
        text.strip_prefix(start)
            .is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['/', '?', '#']))
    });
    let is_path = paths && text.starts_with('/');
    if !(is_url || is_path) {
        return Err(if paths {
            "is neither an http(s) URL nor a path"
        } else {
            "is no http(s) URL"
        });
    }
    Template::parse(text, &[Scheme, Host, RequestUri, Uri, Args, IsArgs])
        .map_err(|_| "holds a variable or a character that may not stand there")
}

/// What the path becomes, and whether that is another host's.
fn rewrite(text: &str) -> Result<(Template, bool), &'static str> {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/:${}".contains(&byte);
    let template = Template::parse(text, &[Variable::Capture(1)])
        .ok()
        .filter(|_| text.bytes().all(known))
        .ok_or("is no path with `$1` to `$9`")?;
    Ok((template, text.starts_with("http://") || text.starts_with("https://")))
}

fn forwarded_prefix(text: &str) -> Result<Template, &'static str> {
    Template::parse(text, &[Variable::Capture(1)])
        .map_err(|_| "holds a variable or a character that may not stand there")
}

fn app_root(text: &str) -> Result<Template, &'static str> {
    if !text.starts_with('/') || text.starts_with("//") {
        return Err("is no path");
    }
    Template::parse(text, &[Variable::Args, Variable::IsArgs])
        .map_err(|_| "holds a variable or a character that may not stand there")
}

const MODSECURITY: [&str; 2] = ["enable-modsecurity", "enable-owasp-core-rules"];
const NO_EFFECT: &str = "has no effect";
const ACCEPT_MISSING: &str = "portico.dev/accept-missing";
/// `ingress 6.9`.
const MAX_ENTRIES: usize = 1_000;
/// Of one Ingress.
const MAX_FINDINGS: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)]) -> Annotations {
        let pairs = pairs.iter().map(|(name, value)| {
            let key =
                if name.contains('/') { (*name).to_owned() } else { format!("{PREFIX}{name}") };
            (key, (*value).to_owned())
        });
        read(&pairs.collect())
    }

    fn codes(read: &Annotations) -> Vec<Code> {
        read.findings.iter().map(|found| found.code).collect()
    }

    #[test]
    fn a_guard_that_cannot_be_given_closes() {
        for (name, value) in [
            ("auth-url", "http://auth.test/"),
            ("auth-type", "basic"),
            ("limit-rps", "5"),
            ("rewrite-target", "/$x"),
            ("rewrite-target", "/a b"),
            ("allowlist-source-range", "10.0.0.0/8, ten"),
            ("allowlist-source-range", ","),
            ("denylist-source-range", "10.0.0.0/33"),
            ("enable-modsecurity", "true"),
            ("backend-protocol", "HTTPS"),
            ("backend-protocol", "FCGI"),
            ("permanent-redirect", "javascript:alert(1)"),
            ("permanent-redirect", "https://a.test/$nothing"),
            ("temporal-redirect", "/path"),
            ("upstream-vhost", "a b"),
            ("configuration-snippet", "deny all;"),
            ("server-snippet", "location /admin { deny all; }"),
            ("canary", "perhaps"),
        ] {
            let read = of(&[(name, value)]);
            assert!(read.policy.closed.is_some(), "ingress 2.1: {name}: {value}");
            assert_eq!(codes(&read), [Code::AnnotationCloses], "{name}: {value}");
        }
    }

    #[test]
    fn what_is_served_without_is_told() {
        use Code::{
            AnnotationIgnored, AnnotationWithoutEffect, InvalidIngressAnnotation,
            UnknownIngressAnnotation,
        };
        for (name, value, code) in [
            ("enable-cors", "true", AnnotationWithoutEffect),
            ("proxy-read-timeout", "3600", AnnotationWithoutEffect),
            ("canary", "true", AnnotationWithoutEffect),
            ("auth-cache-key", "$remote_user", AnnotationWithoutEffect),
            (
                "configuration-snippet",
                "# nothing\nmore_set_headers \"A: b\";",
                AnnotationWithoutEffect,
            ),
            ("proxy-buffering", "on", AnnotationIgnored),
            ("proxy-body-size", "a lot", InvalidIngressAnnotation),
            ("ssl-redirect", "yes", InvalidIngressAnnotation),
            ("app-root", "index.html", InvalidIngressAnnotation),
            ("rewrite-targt", "/", UnknownIngressAnnotation),
        ] {
            let read = of(&[(name, value)]);
            assert_eq!(read.policy.closed, None, "ingress 2.1: {name}");
            assert_eq!(codes(&read), [code], "{name}: {value}");
        }
    }

    #[test]
    fn a_value_that_is_the_default_says_nothing() {
        for (name, value) in [
            ("enable-cors", "false"),
            ("use-regex", "false"),
            ("enable-modsecurity", "False"),
            ("proxy-read-timeout", "60"),
            ("auth-tls-verify-client", "off"),
            ("backend-protocol", "http"),
            ("auth-url", ""),
            ("canary", "false"),
        ] {
            let read = of(&[(name, value)]);
            assert_eq!((codes(&read), read.policy), (vec![], Policy::default()), "{name}");
        }
    }

    #[test]
    fn what_is_missing_can_be_accepted() {
        let accept = (ACCEPT_MISSING, "modsecurity, snippets");
        let read =
            of(&[("enable-modsecurity", "true"), ("configuration-snippet", "deny all;"), accept]);
        assert_eq!(read.policy.closed, None, "ingress 2.6");
        let read = of(&[("auth-url", "http://a.test"), accept]);
        assert!(read.policy.closed.is_some(), "a guard of portico's own is not given up so");
    }

    #[test]
    fn values_become_types() {
        let read = of(&[
            ("allowlist-source-range", "10.0.0.0/8, 192.0.2.1"),
            ("whitelist-source-range", "bad"),
            ("denylist-source-range", "10.1.0.0/16"),
            ("proxy-body-size", "8M"),
            ("permanent-redirect", "https://new.test$request_uri"),
            ("permanent-redirect-code", "308"),
            ("upstream-vhost", "inner.test"),
            ("force-ssl-redirect", "true"),
            ("app-root", "/start"),
        ]);
        assert_eq!(codes(&read), []);
        let policy = read.policy;
        assert_eq!((policy.allow.len(), policy.deny.len()), (2, 1));
        assert_eq!(policy.max_body_bytes, Some(8 << 20));
        assert_eq!(policy.redirect.unwrap().status, 308);
        assert!(policy.upstream_host.is_some() && read.force_ssl_redirect && read.ssl_redirect);
        assert!(read.app_root.is_some());
        let both = of(&[
            ("permanent-redirect", "https://p.test"),
            ("temporal-redirect", "https://t.test"),
        ]);
        assert_eq!(both.policy.redirect.unwrap().status, 302, "the temporal one is first");
        let odd = of(&[("temporal-redirect", "https://t.test"), ("temporal-redirect-code", "308")]);
        assert_eq!(odd.policy.redirect.unwrap().status, 302);
    }

    #[test]
    fn findings_have_a_limit_and_say_how_many_are_left_out() {
        let names: Vec<String> = (0..MAX_FINDINGS + 7)
            .map(|n| format!("nothing-{n}"))
            .collect();
        let pairs: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "x")).collect();
        let read = of(&pairs);
        assert_eq!(read.findings.len(), MAX_FINDINGS + 1);
        let last = read.findings.last().unwrap();
        assert_eq!(
            (last.code, &*last.text),
            (Code::MoreFindings, "7 more findings are not listed")
        );
    }

    #[test]
    fn sizes_have_units() {
        for (text, want) in [
            ("0", Some(0)),
            ("1", Some(1)),
            ("7b", Some(7)),
            ("8k", Some(8 << 10)),
            ("8K", Some(8 << 10)),
            ("1m", Some(1 << 20)),
            ("2G", Some(2 << 30)),
            ("m", None),
            ("1t", None),
            ("-1", None),
            ("1.5m", None),
            ("1 m", None),
            ("99999999999g", None),
            ("é", None),
        ] {
            assert_eq!(size(text), want, "{text}");
        }
    }
}
