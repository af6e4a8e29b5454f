//! What the annotations of an Ingress say, read once into types (`ingress 2.1`).
//!
//! Invariants: a value that guards or routes and cannot be obeyed closes the Ingress's locations; any
//! other leaves the default, and is told. What is found here is told by `compile`, which knows whose
//! Ingress it is. No value is repeated in a finding but where it is a known word: some are secret.

mod reader;
mod values;
mod paths;
mod backends;
mod clients;
mod affinity;
mod balancing;
mod rewrites;
mod errors;
mod names;
mod compression;
mod conduct;
mod basic;
mod cors;
mod external;
mod fields;
mod limits;
mod mirror;
mod needs;

use std::collections::BTreeMap;

use rustls::CipherSuite;

use self::backends::suites;
pub(crate) use self::backends::{BackendAsk, BackendProtocol};
pub(crate) use self::basic::BasicAsk;
use self::basic::own;
pub(crate) use self::clients::ClientAsk;
pub(crate) use self::errors::ErrorsAsk;
pub(crate) use self::external::ExternalAsk;
use self::paths::{app_root, forwarded_prefix, rewrite};
pub(crate) use self::reader::QUIRKS;
use self::reader::Reader;
use self::values::size;
pub(crate) use self::values::{is_field_name, is_field_value};
use crate::diagnostic::Code;
use crate::model::annotation::PREFIX;
use crate::model::{CanaryRule, HostPattern, ObjectName, Policy, Redirect, Template};

/// What is asked of all locations of an Ingress.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Annotations {
    /// Without what depends on the host: `to_https` and `app_root`.
    pub(crate) policy: Policy,
    /// How backends are spoken to.
    pub(crate) backend: BackendAsk,
    /// `auth-type: basic`, before its Secret is looked at.
    pub(crate) basic: Option<BasicAsk>,
    /// `auth-url`, before what it names is looked at.
    pub(crate) external: Option<ExternalAsk>,
    /// `auth-tls-*`: for every location of its hosts.
    pub(crate) clients: Option<ClientAsk>,
    /// `ssl-ciphers`: for its hosts.
    pub(crate) suites: Option<Box<[CipherSuite]>>,
    /// `ssl-prefer-server-ciphers`: for its hosts.
    pub(crate) own_order: Option<bool>,
    /// `ssl-passthrough`: for its hosts.
    pub(crate) passes_through: bool,
    /// `custom-headers`: the ConfigMap that has them.
    pub(crate) custom_fields: Option<ObjectName>,
    /// Who answers in the place of errors.
    pub(crate) errors: Option<ErrorsAsk>,
    /// `app-root`: for every location of its hosts.
    pub(crate) app_root: Option<Template>,
    /// Whether paths of type ImplementationSpecific are patterns: `use-regex`, or a rewrite.
    pub(crate) patterns: bool,
    /// `use-regex`.
    pub(crate) use_regex: bool,
    /// Whether `rewrite-target` makes the path another, or leads elsewhere.
    pub(crate) rewrites: bool,
    /// `portico.dev/nginx-quirks`: whether its hosts are in nginx mode; none: settings say it.
    pub(crate) quirks: Option<bool>,
    /// `ssl-redirect`.
    pub(crate) ssl_redirect: Option<bool>,
    /// `server-alias`: further names of its first host.
    pub(crate) aliases: Box<[HostPattern]>,
    /// `from-to-www-redirect`.
    pub(crate) www: bool,
    /// `force-ssl-redirect`.
    pub(crate) force_ssl_redirect: bool,
    /// `preserve-trailing-slash`.
    pub(crate) keeps_slash: bool,
    /// `use-port-in-redirects`.
    pub(crate) names_port: bool,
    /// Who gets the alternatives that the Ingress has instead of locations; none: it has locations.
    pub(crate) canary: Option<CanaryRule>,
    /// Whether any value may name its own place (`$service_name`).
    pub(crate) names_place: bool,
    /// What is to be told, once it is known that the Ingress is ours.
    pub(crate) findings: Vec<Finding>,
    /// Those of ingress-nginx that `findings` says nothing of.
    pub(crate) named: Box<[Named]>,
}

/// An annotation of ingress-nginx that is done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Named {
    /// Without its prefix.
    pub(crate) name: &'static str,
    /// What its value shows that is not as there.
    pub(crate) differs: Option<&'static str>,
}

/// Something to tell about one annotation.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Finding {
    pub(crate) code: Code,
    /// The whole key.
    pub(crate) key: String,
    pub(crate) text: String,
    pub(crate) help: Option<String>,
    /// A line of the value, from 1, and a word in it; none where it is about the whole.
    pub(crate) line: Option<(usize, String)>,
}

/// Reads all annotations of the Ingress `name`.
pub(super) fn read(annotations: &BTreeMap<String, String>, name: &ObjectName) -> Annotations {
    let mut reader = Reader::new(annotations);
    let accepted = reader.accepted();
    for (key, value) in annotations {
        if let Some(name) = key.strip_prefix(PREFIX)
            && !value.is_empty()
        {
            reader.judge(name, value, &accepted);
        }
    }
    let (policy, rewrites) = policy(&mut reader, name);
    let backend = reader.backend();
    let basic = reader.basic(name);
    let external = reader.external(name);
    let clients = reader.clients();
    let suites = reader.value("ssl-ciphers", suites);
    let own_order = reader.switch("ssl-prefer-server-ciphers");
    let passes_through = reader.switch("ssl-passthrough").unwrap_or(false);
    let custom_fields = reader.value("custom-headers", |text| own(text, name));
    let errors = reader.errors(name);
    let app_root = reader.value("app-root", app_root);
    let use_regex = reader.switch("use-regex").unwrap_or(false);
    let quirks = reader.quirks();
    let ssl_redirect = reader.switch("ssl-redirect");
    let force_ssl_redirect = reader.switch("force-ssl-redirect").unwrap_or(false);
    let aliases = reader.aliases();
    let www = reader.switch("from-to-www-redirect").unwrap_or(false);
    let keeps_slash = reader.switch("preserve-trailing-slash").unwrap_or(false);
    let names_port = reader.switch("use-port-in-redirects").unwrap_or(false);
    let canary = reader.canary();
    reader.without_need();
    if canary.is_some() {
        reader.on_canary();
    }
    let named = reader.named();
    let names_place = annotations.values().any(|value| names_place(value));
    let (closed, findings) = told(reader);
    let policy = Policy { closed: closed.map(Into::into), ..policy };
    Annotations {
        policy,
        backend,
        basic,
        external,
        clients,
        suites,
        own_order,
        passes_through,
        custom_fields,
        errors,
        app_root,
        patterns: use_regex || rewrites,
        use_regex,
        rewrites,
        quirks,
        ssl_redirect,
        force_ssl_redirect,
        keeps_slash,
        names_port,
        aliases,
        www,
        canary,
        names_place,
        findings,
        named,
    }
}

/// What needs nothing but the annotations themselves; and whether the path becomes another.
fn policy(reader: &mut Reader<'_>, name: &ObjectName) -> (Policy, bool) {
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
        cors: reader.cors().map(Into::into),
        limits: reader.limits(name).map(Into::into),
        redirect: reader.redirect().or(moved),
        relative_redirects: reader.switch("relative-redirects").unwrap_or(false),
        max_body_bytes: reader
            .value("proxy-body-size", |text| size(text).ok_or("is no size such as 8m, 512k or 0")),
        max_head_bytes: reader.max_head_bytes(),
        upstream_host: reader.upstream_host(),
        rewrites: reader.rewrites().map(Into::into),
        balancing: reader.balancing(),
        timeouts: reader.timeouts(),
        retries: reader.retries(),
        mirror: reader.mirror().map(Into::into),
        compression: reader.compression().map(Into::into),
        download_rate: reader.download_rate(),
        request_fields: reader.request_fields(),
        response_fields: reader.response_fields(),
        backend_closes: reader
            .value("connection-proxy-header", closes)
            .unwrap_or(false),
        unlogged: reader.switch("enable-access-log") == Some(false),
        any_suffices: reader.value("satisfy", any_suffices).unwrap_or(false),
        ..Policy::default()
    };
    (policy, has_rewrite)
}

/// Whether one of the variables that say where they stand may be in a text.
fn names_place(text: &str) -> bool {
    let places = ["namespace", "ingress_name", "service_name", "service_port"];
    text.contains('$') && places.iter().any(|place| text.contains(place))
}

fn closes(text: &str) -> Result<bool, &'static str> {
    match text {
        "close" => Ok(true),
        "keep-alive" => Ok(false),
        _ => Err("is neither `close` nor `keep-alive`"),
    }
}

/// Why nothing is served, and what is to be told; how much of that is left out too.
fn told(reader: Reader<'_>) -> (Option<String>, Vec<Finding>) {
    let Reader { closed, mut findings, left_out: more, .. } = reader;
    if more > 0 {
        let text = format!("{more} more findings are not listed");
        let key = PREFIX.to_owned();
        findings.push(Finding { code: Code::MoreFindings, key, text, help: None, line: None });
    }
    (closed, findings)
}

fn any_suffices(text: &str) -> Result<bool, &'static str> {
    match text {
        "any" => Ok(true),
        "all" => Ok(false),
        _ => Err("is neither `any` nor `all`"),
    }
}

#[cfg(test)]
mod tests {
    use super::reader::{ACCEPT_MISSING, MAX_FINDINGS};
    use super::*;
    use crate::model::annotation::{ROWS, Standing};

    pub(super) fn of(pairs: &[(&str, &str)]) -> Annotations {
        let pairs = pairs.iter().map(|(name, value)| {
            let key =
                if name.contains('/') { (*name).to_owned() } else { format!("{PREFIX}{name}") };
            (key, (*value).to_owned())
        });
        read(&pairs.collect(), &ObjectName::new("default", "web"))
    }

    fn codes(read: &Annotations) -> Vec<Code> {
        read.findings.iter().map(|found| found.code).collect()
    }

    #[test]
    fn a_guard_that_cannot_be_given_closes() {
        for (name, value) in [
            ("auth-url", "auth.test"),
            ("auth-url", "http://a..b/"),
            ("auth-url", "http://a.test/$nothing"),
            ("auth-method", "CONNECT"),
            ("auth-response-headers", "X User"),
            ("auth-proxy-set-headers", "other/map"),
            ("custom-headers", "other/map"),
            ("auth-type", "basic"),
            ("auth-type", "digest"),
            ("auth-secret", "users"),
            ("auth-secret", "other/users"),
            ("auth-secret-type", "file"),
            ("auth-realm", "a\"b"),
            ("satisfy", "some"),
            ("portico.dev/request-headers", "X-Real-IP: 1"),
            ("portico.dev/response-headers", "Content-Length: 1"),
            ("limit-rps", "five"),
            ("limit-connections", "-1"),
            ("limit-allowlist", "ten"),
            ("rewrite-target", "/$x"),
            ("rewrite-target", "/a b"),
            ("allowlist-source-range", "10.0.0.0/8, ten"),
            ("allowlist-source-range", ","),
            ("denylist-source-range", "10.0.0.0/33"),
            ("enable-modsecurity", "true"),
            ("proxy-ssl-verify", "yes"),
            ("proxy-ssl-verify-depth", "7"),
            ("proxy-ssl-secret", "a/b/c"),
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
            AnnotationIgnored, AnnotationRefused, InvalidIngressAnnotation,
            UnknownIngressAnnotation,
        };
        for (name, value, code) in [
            ("cors-max-age", "long", InvalidIngressAnnotation),
            ("auth-cache-key", "$remote_user", AnnotationRefused),
            ("configuration-snippet", "# nothing\nmore_set_headers \"A: b\";", AnnotationRefused),
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

    /// Of each row of a standing, what becomes of a value that is not the default.
    fn of_each(
        standing: impl Fn(Standing) -> bool,
        value: &str,
    ) -> Vec<(&'static str, Annotations)> {
        let rows = ROWS.iter().filter(|row| standing(row.standing));
        rows.map(|row| (row.name, of(&[(row.name, value)])))
            .collect()
    }

    #[test]
    fn what_is_ignored_says_so() {
        let all = of_each(|it| matches!(it, Standing::Ignored(_)), "7x");
        assert!(all.len() > 15, "{}", all.len());
        for (name, read) in all {
            assert_eq!(codes(&read), [Code::AnnotationIgnored], "ingress 2.7: {name}");
            assert_eq!(read.policy, Policy::default(), "ingress 2.7: {name}");
        }
    }

    #[test]
    fn what_is_refused_is_served_without() {
        let all = of_each(|it| matches!(it, Standing::Refused(_)), "7x");
        assert!(all.len() > 2, "{}", all.len());
        for (name, read) in all {
            assert_eq!(codes(&read), [Code::AnnotationRefused], "ingress 2.6: {name}");
            assert_eq!(read.policy, Policy::default(), "ingress 2.6: {name}");
        }
    }

    #[test]
    fn every_snippet_is_looked_at_line_by_line() {
        let is_snippet = |it| matches!(it, Standing::Lines);
        for (text, code) in [
            ("gzip on;\n# deny all;\n", Code::AnnotationRefused),
            ("deny all;", Code::AnnotationCloses),
        ] {
            let all = of_each(is_snippet, text);
            assert_eq!(all.len(), 5, "ingress 2.6");
            for (name, read) in all {
                assert_eq!(codes(&read), [code], "ingress 2.6: {name}: {text}");
                let closes = code == Code::AnnotationCloses;
                assert_eq!(read.policy.closed.is_some(), closes, "ingress 2.6: {name}: {text}");
            }
        }
    }

    #[test]
    fn what_is_not_spoken_or_not_there_closes() {
        let all = of_each(|it| matches!(it, Standing::Closes(_)), "true");
        assert!(all.len() > 3, "{}", all.len());
        for (name, read) in all {
            assert_eq!(codes(&read), [Code::AnnotationCloses], "ingress 2.6: {name}");
            assert!(read.policy.closed.is_some(), "ingress 2.6: {name}");
        }
    }

    #[test]
    fn a_value_that_is_the_default_says_nothing() {
        for (name, value) in [
            ("enable-cors", "false"),
            ("use-regex", "false"),
            ("enable-modsecurity", "False"),
            ("proxy-buffers-number", "4"),
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
        assert_eq!(codes(&read), [Code::AnnotationWithoutEffect; 2], "and it is told");
        let read = of(&[("auth-url", "a.test"), accept]);
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
        assert!(policy.upstream_host.is_some() && read.force_ssl_redirect);
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
    fn what_is_done_is_named_with_what_its_value_shows_of_a_difference() {
        let differs = |name, value| {
            of(&[(name, value)])
                .named
                .first()
                .map(|it| it.differs.is_some())
        };
        for (name, value, want) in [
            ("rewrite-target", "/x", Some(false)),
            ("enable-cors", "false", Some(false)),
            ("limit-rps", "5", Some(true)),
            ("limit-rps", "0", Some(false)),
            ("limit-rps", "five", None),
            ("proxy-next-upstream-tries", "0", Some(true)),
            ("proxy-next-upstream-tries", "2", Some(false)),
            ("auth-url", "https://auth.test/", Some(true)),
            ("auth-url", "http://auth.test/", Some(false)),
            ("proxy-buffering", "on", None),
            ("rewrite-targt", "/x", None),
            ("affinity", "", None),
            ("ssl-ciphers", "TLS_AES_128_GCM_SHA256", Some(false)),
            ("ssl-ciphers", "HIGH:!aNULL", None),
        ] {
            assert_eq!(differs(name, value), want, "ingress 3: {name}: {value}");
        }
        let lines = "more_set_headers x;\n".repeat(MAX_FINDINGS);
        let read =
            of(&[("configuration-snippet", &lines), ("server-alias", "~x"), ("use-regex", "1")]);
        let names: Vec<_> = read.named.iter().map(|it| it.name).collect();
        assert_eq!(names, ["use-regex"], "what is left out is not taken for done");
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
}
