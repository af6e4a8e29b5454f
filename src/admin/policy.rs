//! What annotations ask of a location, by their own names, for `/api/v1/snapshot`, `/api/v1/ingresses`
//! and `portico diff`.
//!
//! Pure. Invariants: everything that a policy says is here, which a test holds to its fields; what is the
//! default says nothing; nothing of a Secret is shown, and of what backends and services of
//! authentication are told in confidence only the name, with a mark of [`MARK_DIGITS`] digits that
//! changes with the value.

use std::fmt::Display;

use portico_config::model::{
    AffinityMode, AuthPlace, Balancing, CanaryRule, CanaryValue, ClientAuth, ClientLimits,
    Compression, Conditions, CookieAffinity, Cors, ErrorPages, ExternalAuth, FieldEdits,
    HostSuites, Mirror, Policy, Retries, Rewrites, Swap, Template, Timeouts, Wants,
};
use rustls::CipherSuite;
use serde_json::{Map, Value, json};

use super::snapshot::sha256;

/// All of a policy but why it is closed, which stands beside.
pub(super) fn render(policy: &Policy) -> Value {
    let mut shown = Shown::default();
    access(policy, &mut shown);
    answers(policy, &mut shown);
    proxying(policy, &mut shown);
    backends(policy, &mut shown);
    Value::Object(shown.0)
}

/// What a host asks of its clients' certificates.
pub(super) fn clients(auth: &ClientAuth) -> Value {
    let ClientAuth { authorities, revoked, wants, depth, subject, error_page, passes_on } = auth;
    let mut shown = Shown::default();
    let wants = match wants {
        Wants::Required => "on",
        Wants::Optional => "optional",
        Wants::Unverified => "optional_no_ca",
    };
    shown.say("auth-tls-verify-client", wants);
    shown.say("authorities", authorities.as_ref().map_or(0, |it| it.0.len()));
    shown.say("revocation-lists", revoked.as_ref().map(|it| it.0.lists().len()));
    shown.say("auth-tls-verify-depth", *depth);
    shown.say("auth-tls-match-cn", subject.as_ref().map(|subject| subject.text()));
    shown.say("auth-tls-error-page", error_page.as_deref());
    shown.say("auth-tls-pass-certificate-to-upstream", *passes_on);
    Value::Object(shown.0)
}

/// Which cipher suites a host speaks with its clients.
pub(super) fn suites(asked: &HostSuites) -> Value {
    let HostSuites { suites, own_order } = asked;
    let mut shown = Shown::default();
    let name = |suite: &u16| {
        CipherSuite::from(*suite)
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    let names = suites.iter().map(name).collect::<Vec<_>>().join(":");
    shown.say("ssl-ciphers", Some(names).filter(|names| !names.is_empty()));
    shown.say("ssl-prefer-server-ciphers", *own_order);
    Value::Object(shown.0)
}

/// Who gets the alternative of a location.
pub(super) fn canary(rule: &CanaryRule) -> Value {
    let CanaryRule { header, cookie, weight, weight_total, forgets } = rule;
    let mut shown = Shown::default();
    if let Some(header) = header {
        shown.say("canary-by-header", &*header.name);
        match &header.value {
            CanaryValue::Words => {}
            CanaryValue::Equal(value) => shown.say("canary-by-header-value", &**value),
            CanaryValue::Pattern(regex) => shown.say("canary-by-header-pattern", regex.as_str()),
            CanaryValue::Broken => {
                shown.say("canary-by-header-pattern", "none that can be compiled")
            }
        }
    }
    shown.say("canary-by-cookie", cookie.as_deref());
    shown.say("canary-weight", *weight);
    shown.say("canary-weight-total", *weight_total);
    shown.say("affinity-canary-behavior", forgets.then_some("legacy"));
    Value::Object(shown.0)
}

/// How the endpoints of an alternative are chosen.
pub(super) fn of_canary(balancing: &Balancing) -> Value {
    let mut shown = Shown::default();
    self::balancing(balancing, &mut shown);
    Value::Object(shown.0)
}

/// Who may come in.
fn access(policy: &Policy, shown: &mut Shown) {
    shown.list("denylist-source-range", &policy.deny);
    shown.list("allowlist-source-range", &policy.allow);
    if let Some(basic) = &policy.basic {
        shown.say("auth-type", "basic");
        shown.say("auth-realm", &*basic.realm);
        shown.say("users", basic.users.count());
    }
    if let Some(external) = &policy.external {
        self::external(external, shown);
    }
    shown.say("satisfy", policy.any_suffices.then_some("any"));
    if let Some(limits) = &policy.limits {
        self::limits(limits, shown);
    }
}

fn external(external: &ExternalAuth, shown: &mut Shown) {
    let ExternalAuth {
        place,
        tls,
        listed,
        verifies,
        authority,
        target,
        method,
        fields,
        redirect,
        response_fields,
        always_sets_cookies,
        sign_in,
    } = external;
    let scheme = if *tls { "https" } else { "http" };
    shown.say("auth-url", format!("{scheme}://{authority}{}", unasked(target)));
    shown.say("auth-at", at(place, *listed));
    let outside = *tls && matches!(external.place, AuthPlace::Host(..));
    shown.say("portico.dev/auth-url-verify", (outside && !verifies).then_some("off"));
    shown.say("auth-method", method.as_deref());
    let fields = fields
        .iter()
        .map(|(name, value)| format!("{name} {}", mark(value)));
    shown.say("auth-proxy-set-headers", fields.collect::<Vec<_>>());
    shown.text("auth-request-redirect", redirect.as_ref());
    shown.list("auth-response-headers", response_fields);
    shown.say("auth-always-set-cookie", *always_sets_cookies);
    if let Some(sign_in) = sign_in {
        shown.say("auth-signin", sign_in.url.to_string());
        shown.say("auth-signin-redirect-param", sign_in.parameter.as_deref());
    }
}

/// A path, and of its query the mark alone.
fn unasked(target: &Template) -> String {
    let target = target.to_string();
    match target.split_once('?') {
        Some((path, query)) => format!("{path}?{}", mark(query)),
        None => target,
    }
}

/// Where a host of a URL is.
fn at(place: &AuthPlace, listed: bool) -> String {
    match place {
        AuthPlace::Service(service) => format!("Service {}:{}", service.service, service.port),
        AuthPlace::Host(host, port) if listed => format!("{host}:{port}, which settings list"),
        AuthPlace::Host(host, port) => format!("{host}:{port}"),
        AuthPlace::OwnHost => "a host of an Ingress".to_owned(),
    }
}

fn limits(limits: &ClientLimits, shown: &mut Shown) {
    let ClientLimits { ingress: _, rates, connections, status, exempt } = limits;
    for (name, rate) in [("limit-rps", rates.per_second), ("limit-rpm", rates.per_minute)] {
        let rate = rate.map(|rate| json!({ "requests": rate.requests, "burst": rate.burst }));
        shown.say(name, rate);
    }
    shown.say("limit-connections", *connections);
    shown.say("limit-status", *status);
    shown.list("limit-allowlist", exempt);
}

/// What clients are told.
fn answers(policy: &Policy, shown: &mut Shown) {
    if let Some(cors) = &policy.cors {
        let Cors { origins, methods, headers, credentials, exposed, max_age_seconds } = &**cors;
        shown.say("enable-cors", true);
        shown.list("cors-allow-origin", origins);
        shown.say("cors-allow-methods", &**methods);
        shown.say("cors-allow-headers", &**headers);
        shown.say("cors-allow-credentials", *credentials);
        shown.say("cors-expose-headers", exposed.as_deref());
        shown.say("cors-max-age", *max_age_seconds);
    }
    shown.text("app-root", policy.app_root.as_ref());
    shown.say("from-to-www-redirect", policy.moved_to.as_deref());
    let redirect = policy.redirect.as_ref();
    let redirect =
        redirect.map(|it| json!({ "status": it.status, "location": it.location.to_string() }));
    shown.say("redirect", redirect);
    if let Some(to_https) = &policy.to_https {
        shown.say("ssl-redirect", true);
        shown.say("ssl-redirect-port", to_https.port);
        shown.say("preserve-trailing-slash", to_https.keeps_slash);
        shown.say("use-port-in-redirects", to_https.names_port);
    }
    shown.say("redirect-to-slash", policy.adds_slash);
    shown.say("relative-redirects", policy.relative_redirects);
    if let Some(rate) = &policy.download_rate {
        shown.say("limit-rate", rate.bytes_per_second);
        shown.say("limit-rate-after", rate.free_bytes);
    }
    if let Some(compression) = &policy.compression {
        let Compression { codings, types, min_bytes } = &**compression;
        let codings: Vec<&str> = codings.iter().map(|coding| coding.name()).collect();
        shown.say("portico.dev/compression", codings);
        shown.list("portico.dev/compression-types", types);
        shown.say("portico.dev/compression-min-length", *min_bytes);
    }
    // Every client hears these: they are no secret.
    let FieldEdits { removed, set } = &policy.response_fields;
    let set = set.iter().map(|(name, value)| format!("{name}: {value}"));
    let taken = removed.iter().map(|name| format!("{name}:"));
    shown.say("portico.dev/response-headers", taken.chain(set).collect::<Vec<_>>());
    let custom = policy.custom_fields.iter();
    let custom = custom.map(|(name, value)| format!("{name}: {value}"));
    shown.say("custom-headers", custom.collect::<Vec<_>>());
    if let Some(pages) = &policy.error_pages {
        let ErrorPages { ingress: _, backend, stands_in, statuses, own_alone, withheld: _ } =
            &**pages;
        let key = if *stands_in { "default-backend" } else { "errors-to" };
        shown.say(key, format!("{}:{}", backend.service, backend.port));
        shown.say("custom-http-errors", &**statuses);
        shown.say("disable-proxy-intercept-errors", *own_alone);
    }
    if let Some(rewrites) = &policy.rewrites {
        let Rewrites { cookie_domain, cookie_path, redirect } = &**rewrites;
        let swap = |swap: &Swap| format!("{} {}", swap.from, swap.to);
        shown.say("proxy-cookie-domain", cookie_domain.as_ref().map(swap));
        shown.say("proxy-cookie-path", cookie_path.as_ref().map(swap));
        shown.say("proxy-redirect", redirect.as_ref().map(swap));
    }
    shown.say("enable-access-log", policy.unlogged.then_some("false"));
}

/// What becomes of the request.
fn proxying(policy: &Policy, shown: &mut Shown) {
    shown.say("proxy-body-size", policy.max_body_bytes);
    shown.say("proxy-buffer-size", policy.max_head_bytes);
    let FieldEdits { removed, set } = &policy.request_fields;
    let set = set
        .iter()
        .map(|(name, value)| format!("{name} {}", mark(&value.to_string())));
    let taken = removed.iter().map(|name| format!("{name}:"));
    shown.say("portico.dev/request-headers", taken.chain(set).collect::<Vec<_>>());
    shown.list("withheld", &policy.withheld);
    shown.say("pattern", policy.pattern.as_ref().map(|pattern| pattern.text()));
    shown.text("rewrite-target", policy.rewrite.as_ref());
    shown.text("x-forwarded-prefix", policy.forwarded_prefix.as_ref());
    shown.text("upstream-vhost", policy.upstream_host.as_ref());
    if let Some(mirror) = &policy.mirror {
        let Mirror { place, tls, listed, authority, host, target, with_body } = &**mirror;
        let scheme = if *tls { "https" } else { "http" };
        shown.say("mirror-target", format!("{scheme}://{authority}{}", unasked(target)));
        shown.say("mirror-at", at(place, *listed));
        shown.say("mirror-host", &**host);
        shown.say("mirror-request-body", if *with_body { "on" } else { "off" });
    }
}

/// How a backend is chosen and spoken to.
fn backends(policy: &Policy, shown: &mut Shown) {
    let protocol = match (&policy.backend_tls, policy.backend_http2) {
        (Some(_), _) if policy.backend_as_client => Some("AUTO_HTTP"),
        (Some(_), true) => Some("GRPCS"),
        (Some(_), false) => Some("HTTPS"),
        (None, true) => Some("GRPC"),
        (None, false) => None,
    };
    shown.say("backend-protocol", protocol);
    if let Some(tls) = &policy.backend_tls {
        let authorities = tls.authorities.as_ref();
        shown.say("proxy-ssl-verify", authorities.map(|_| "on"));
        shown.say("authorities", authorities.map_or(0, |it| it.0.len()));
        shown.say("proxy-ssl-verify-depth", authorities.map(|_| tls.depth));
        let identity = tls.identity.as_ref();
        let identity = identity.and_then(|it| it.0.secret.as_ref().map(ToString::to_string));
        shown.say("proxy-ssl-secret", identity);
        shown.say("proxy-ssl-server-name", tls.sends_name.then_some("on"));
        let versions = [(tls.versions.v1_2, "TLSv1.2"), (tls.versions.v1_3, "TLSv1.3")];
        let versions = versions.into_iter().filter(|(is_on, _)| *is_on);
        shown.say("proxy-ssl-protocols", versions.map(|(_, name)| name).collect::<Vec<_>>());
        shown.say("proxy-ssl-ciphers", &*tls.suites);
    }
    shown.text("proxy-ssl-name", policy.backend_name.as_ref());
    shown.say("connection-proxy-header", policy.backend_closes.then_some("close"));
    balancing(&policy.balancing, shown);
    let Timeouts { connect, send, read } = policy.timeouts;
    shown.say("proxy-connect-timeout", connect);
    shown.say("proxy-send-timeout", send);
    shown.say("proxy-read-timeout", read);
    let Retries { after, tries, timeout, streams } = policy.retries;
    let words = |after: Conditions| match after == Conditions::default() {
        true => "off".to_owned(),
        false => CONDITIONS
            .iter()
            .filter(|word| Conditions::parse(word).is_some_and(|it| after.has(it)))
            .copied()
            .collect::<Vec<_>>()
            .join(" "),
    };
    shown.say("proxy-next-upstream", after.map(words));
    shown.say("proxy-next-upstream-tries", tries);
    shown.say("proxy-next-upstream-timeout", timeout);
    shown.say("proxy-request-buffering", streams.then_some("off"));
}

fn balancing(balancing: &Balancing, shown: &mut Shown) {
    let Balancing { affinity, hash, quickest, by_service } = balancing;
    shown.say("service-upstream", *by_service);
    shown.say("load-balance", quickest.then_some("ewma"));
    if let Some(hash) = hash {
        shown.say("upstream-hash-by", hash.by.to_string());
        shown.say("upstream-hash-by-subset-size", hash.subset);
    }
    let Some(affinity) = affinity else { return };
    let CookieAffinity {
        name,
        mode,
        path,
        domain,
        expires_seconds,
        max_age_seconds,
        same_site,
        spares_old_browsers,
        secure,
        follows_failure,
    } = &**affinity;
    shown.say("affinity", "cookie");
    shown.say("affinity-mode", (*mode == AffinityMode::Persistent).then_some("persistent"));
    shown.say("session-cookie-name", &**name);
    shown.say("session-cookie-path", path.as_deref());
    shown.say("session-cookie-domain", domain.as_deref());
    shown.say("session-cookie-expires", *expires_seconds);
    shown.say("session-cookie-max-age", *max_age_seconds);
    shown.say("session-cookie-samesite", same_site.map(|it| it.as_str()));
    shown.say("session-cookie-conditional-samesite-none", *spares_old_browsers);
    shown.say("session-cookie-secure", *secure);
    shown.say("session-cookie-change-on-failure", *follows_failure);
}

/// What is said, by name.
#[derive(Default)]
struct Shown(Map<String, Value>);

impl Shown {
    /// Adds what says something.
    fn say(&mut self, key: &str, value: impl Into<Value>) {
        let value = value.into();
        let is_nothing = match &value {
            Value::Null | Value::Bool(false) => true,
            Value::String(text) => text.is_empty(),
            Value::Array(list) => list.is_empty(),
            Value::Number(number) => number.as_u64() == Some(0) && key != "proxy-body-size",
            Value::Bool(true) | Value::Object(_) => false,
        };
        if !is_nothing {
            self.0.insert(key.to_owned(), value);
        }
    }

    fn list(&mut self, key: &str, values: &[impl Display]) {
        self.say(key, values.iter().map(ToString::to_string).collect::<Vec<_>>());
    }

    fn text(&mut self, key: &str, value: Option<&impl Display>) {
        self.say(key, value.map(ToString::to_string));
    }
}

/// What shows that a value is another one and not which: too short to find it by.
fn mark(value: &str) -> String {
    let digest = sha256(value.as_bytes()).unwrap_or_default();
    format!("(value …{})", &digest[..MARK_DIGITS.min(digest.len())])
}

const MARK_DIGITS: usize = 4;
/// Those of `proxy-next-upstream`.
const CONDITIONS: [&str; 11] = [
    "error",
    "timeout",
    "invalid_header",
    "http_500",
    "http_502",
    "http_503",
    "http_504",
    "http_403",
    "http_404",
    "http_429",
    "non_idempotent",
];

#[cfg(test)]
mod tests {
    use portico_config::model::{Redirect, Variable};

    use super::*;

    #[test]
    fn a_policy_that_asks_nothing_says_nothing() {
        assert_eq!(render(&Policy::default()), json!({}));
    }

    #[test]
    fn every_field_of_a_policy_is_looked_at() {
        let fields = format!("{:#?}", Policy::default());
        let fields = fields.lines().filter_map(|line| line.strip_prefix("    "));
        let fields =
            fields.filter(|line| line.starts_with(|first: char| first.is_ascii_lowercase()));
        let own = include_str!("policy.rs");
        for field in fields.filter_map(|line| line.split(':').next()) {
            let is_seen = own.contains(&format!("policy.{field}"));
            assert!(is_seen || field == "closed", "show {field} in src/admin/policy.rs");
        }
    }

    #[test]
    fn what_is_asked_is_said_by_the_names_of_annotations() {
        let template = |text: &str| Template::parse(text, &[Variable::Host]).unwrap();
        let policy = Policy {
            deny: Box::new(["10.0.0.0/8".parse().unwrap()]),
            redirect: Some(Redirect { status: 301, location: template("https://$host/a") }),
            max_body_bytes: Some(0),
            retries: Retries { after: Conditions::parse("timeout http_502"), ..Retries::default() },
            response_fields: FieldEdits {
                removed: Box::new(["server".into()]),
                set: Box::new([("x-a".into(), template("b"))]),
            },
            ..Policy::default()
        };
        let want = json!({
            "denylist-source-range": ["10.0.0.0/8"],
            "redirect": { "status": 301, "location": "https://${host}/a" },
            "proxy-body-size": 0,
            "proxy-next-upstream": "timeout http_502",
            "portico.dev/response-headers": ["server:", "x-a: b"],
        });
        assert_eq!(render(&policy), want);
    }

    #[test]
    fn what_backends_are_told_in_confidence_is_marked_and_not_shown() {
        let with = |value: &str| {
            let set = Template::parse(value, &[]).unwrap();
            let set: Box<[_]> = Box::new([("x-token".into(), set)]);
            let request_fields = FieldEdits { removed: Box::default(), set };
            render(&Policy { request_fields, ..Policy::default() }).to_string()
        };
        assert!(!with("s3cr3t").contains("s3cr3t") && with("s3cr3t").contains("x-token"));
        assert_ne!(with("s3cr3t"), with("0ther"), "an edit is seen");
        assert_eq!(with("s3cr3t"), with("s3cr3t"));
    }
}
