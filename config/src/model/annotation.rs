//! Every annotation of ingress-nginx, and what portico does with it (`ingress 2.4` to `2.7`).
//!
//! Words alone, as the rest of `model`. One row for each: `check` with its report, a live load and
//! `docs/annotations.md` read the same rows. Invariant: a row that guards or routes and is not done
//! closes the locations of its Ingress; nothing is served that was to be guarded.

/// One annotation.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Its name without the prefix.
    pub name: &'static str,
    /// How often it is met: A in most inventories, B in some, C in few.
    pub tier: char,
    /// What a value that cannot be obeyed leads to.
    pub role: Role,
    /// What counts where it is absent; with this value it says nothing. Empty: none.
    pub default: &'static str,
    /// What portico does with it.
    pub standing: Standing,
    /// What it is for.
    pub does: &'static str,
}

/// What an annotation is there for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Role {
    /// It keeps somebody or something out: without it, nothing is served.
    Guard,
    /// It says where requests go: without it, they might reach what was hidden.
    Route,
    /// It tunes: without it, the default counts.
    Tuning,
    /// Lines of another program's configuration.
    Snippet,
}

/// What portico does with an annotation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Standing {
    /// What ingress-nginx does.
    Supported,
    /// The same but for this, which can be seen where the value is such a one.
    Differs(Seen, &'static str),
    /// Nothing yet: the default counts.
    Later,
    /// Nothing, for this reason, and nobody is the worse for it.
    Ignored(&'static str),
    /// Nothing, for this reason; requests are served without.
    Refused(&'static str),
    /// Nothing, for this reason, so requests are not served.
    Closes(&'static str),
    /// Each line is looked at: one that guards closes, others are dropped.
    Lines,
}

/// Which values of an annotation show a difference; one that says nothing never does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Seen {
    /// Every one.
    Always,
    /// This one.
    Is(&'static str),
    /// Those that begin so.
    Begins(&'static str),
}

impl Seen {
    /// Whether `value` is one of them.
    pub fn by(self, value: &str) -> bool {
        match self {
            Self::Always => true,
            Self::Is(text) => value.trim() == text,
            Self::Begins(text) => value.trim().starts_with(text),
        }
    }
}

/// The prefix of all.
pub const PREFIX: &str = "nginx.ingress.kubernetes.io/";

/// Every row, by purpose; a line each.
#[rustfmt::skip]
pub const ROWS: &[Row] = &[
    row("rewrite-target", 'A', Role::Route, "", Standing::Supported, "the path becomes this text; with `http://` or `https://`, a redirect"),
    row("use-regex", 'A', Role::Route, "false", Standing::Supported, "paths of type ImplementationSpecific are patterns"),
    row("ssl-redirect", 'A', Role::Tuning, "true", Standing::Supported, "plain HTTP is redirected to HTTPS, with 308, where the host has a `tls` entry"),
    row("force-ssl-redirect", 'A', Role::Tuning, "false", Standing::Supported, "the same without a `tls` entry"),
    row("preserve-trailing-slash", 'C', Role::Tuning, "false", Standing::Supported, "the redirect to HTTPS keeps a `/` at the end"),
    row("permanent-redirect", 'A', Role::Route, "", Standing::Supported, "every request is redirected to this URL"),
    row("permanent-redirect-code", 'A', Role::Route, "301", Standing::Supported, "its status, 300 to 308"),
    row("temporal-redirect", 'B', Role::Route, "", Standing::Supported, "as `permanent-redirect`, and before it"),
    row("temporal-redirect-code", 'B', Role::Route, "302", Standing::Supported, "its status, 300 to 307"),
    row("app-root", 'B', Role::Tuning, "", Standing::Supported, "`/` is redirected to this path, with 302"),
    row("from-to-www-redirect", 'B', Role::Tuning, "false", Standing::Differs(Seen::Always, "the redirect names a port only where Host did"), "the name with or without `www.` that no rule has is redirected to the other, with 308"),
    row("server-alias", 'B', Role::Tuning, "", Standing::Supported, "further names of the first host, with commas: exact or `*.name`; one that a rule has, and a pattern, has no effect"),
    row("ssl-passthrough", 'A', Role::Route, "false", Standing::Supported, "TLS with the host's name goes as it came to the backend of its path `/`; over HTTPS nothing else of the host counts"),
    row("backend-protocol", 'A', Role::Route, "HTTP", Standing::Supported, "`HTTP`, `HTTPS`, `AUTO_HTTP` (as the client came), `GRPC` (HTTP/2) and `GRPCS` (HTTP/2 over TLS); `FCGI` closes. Absent, the `appProtocol` of the Service's port counts: `https` and `kubernetes.io/wss`, `kubernetes.io/h2c`, `grpc` and `grpcs`"),
    row("proxy-ssl-secret", 'B', Role::Guard, "", Standing::Supported, "`tls.crt` and `tls.key` are shown to the backend, `ca.crt` says who signs its certificate; a Secret that is missing closes"),
    row("proxy-ssl-verify", 'B', Role::Guard, "off", Standing::Supported, "`on`: the backend's certificate is verified; `on` without a `ca.crt` closes"),
    row("proxy-ssl-verify-depth", 'B', Role::Guard, "1", Standing::Supported, "how many intermediates its chain may have, 0 to 6"),
    row("proxy-ssl-name", 'B', Role::Guard, "", Standing::Supported, "the name to verify and to send; absent, the backend's Host"),
    row("proxy-ssl-server-name", 'B', Role::Tuning, "off", Standing::Supported, "whether the name is sent (SNI)"),
    row("proxy-ssl-protocols", 'B', Role::Tuning, "TLSv1.2 TLSv1.3", Standing::Supported, "versions of TLS to the backend; older ones are passed over"),
    row("proxy-ssl-ciphers", 'B', Role::Tuning, "DEFAULT", Standing::Supported, "cipher suites to the backend by the names of TLS or OpenSSL; expressions of OpenSSL have no effect"),
    row("auth-tls-secret", 'B', Role::Guard, "", Standing::Supported, "`ca.crt` says who signs client certificates of its hosts, `ca.crl`, where there is one, what was taken back; a Secret that is missing gives every request 403"),
    row("auth-tls-verify-client", 'B', Role::Guard, "on", Standing::Supported, "`on`: without a good certificate 400; `optional`: none passes; `optional_no_ca`: any passes; `off`. Without `auth-tls-secret` all but `off` close"),
    row("auth-tls-verify-depth", 'B', Role::Tuning, "1", Standing::Supported, "how many intermediates its chain may have, 0 to 6"),
    row("auth-tls-pass-certificate-to-upstream", 'B', Role::Tuning, "false", Standing::Supported, "whether backends get it, as `ssl-client-cert`"),
    row("auth-tls-match-cn", 'C', Role::Guard, "", Standing::Supported, "`CN=` and a pattern that is searched for in its subject, else 403; closes without `auth-tls-secret`"),
    row("auth-tls-error-page", 'C', Role::Tuning, "", Standing::Supported, "where clients without a good one are sent, with 302"),
    row("proxy-body-size", 'A', Role::Tuning, "1m", Standing::Supported, "a longer body gets 413, by its length at once, else as soon as it is too long; 0: any"),
    row("proxy-connect-timeout", 'A', Role::Tuning, "5", Standing::Supported, "seconds for a dial"),
    row("proxy-send-timeout", 'A', Role::Tuning, "60", Standing::Supported, "seconds between two writes to the backend"),
    row("proxy-read-timeout", 'A', Role::Tuning, "60", Standing::Supported, "seconds between two reads from the backend"),
    row("proxy-request-buffering", 'B', Role::Tuning, "on", Standing::Supported, "whether 64 KiB of a body are kept to be sent again; all stream, none waits in a file"),
    row("proxy-next-upstream", 'B', Role::Tuning, "error timeout", Standing::Supported, "what is tried again"),
    row("proxy-next-upstream-tries", 'B', Role::Tuning, "3", Standing::Differs(Seen::Is("0"), "16 endpoints are tried at most"), "how often"),
    row("proxy-next-upstream-timeout", 'B', Role::Tuning, "0", Standing::Supported, "for how long"),
    row("proxy-buffering", 'A', Role::Tuning, "off", Standing::Ignored("answers always stream"), "whether an answer is buffered"),
    row("proxy-buffers-number", 'A', Role::Tuning, "4", Standing::Ignored("answers always stream"), "buffers for an answer"),
    row("proxy-buffer-size", 'A', Role::Tuning, "64k", Standing::Supported, "room for the head of an answer: 64 KiB are always there, 1 MiB at most, by HTTP/2 no more than 64 KiB; beyond, 502"),
    row("proxy-busy-buffers-size", 'A', Role::Tuning, "8k", Standing::Ignored("answers always stream"), "buffers being sent"),
    row("proxy-max-temp-file-size", 'A', Role::Tuning, "1024m", Standing::Ignored("nothing is written to files"), "an answer kept in a file"),
    row("client-body-buffer-size", 'A', Role::Tuning, "8k", Standing::Ignored("bodies always stream"), "room for a body in memory"),
    row("upstream-vhost", 'A', Role::Route, "", Standing::Supported, "Host for the backend"),
    row("x-forwarded-prefix", 'B', Role::Tuning, "", Standing::Supported, "a field for the backend of a rewritten path"),
    row("custom-headers", 'B', Role::Guard, "", Standing::Supported, "fields that every answer gets, of a ConfigMap; names that the setting `allowedResponseHeaders` does not list close"),
    row("custom-http-errors", 'B', Role::Tuning, "", Standing::Differs(Seen::Always, "the Service that answers is asked by GET, or HEAD for HEAD, whatever the request was"), "statuses from 400 to 599, with commas, whose answer `default-backend` gives, or else the setting `ingress.defaultBackend`: it is asked for `/`, by GET or HEAD"),
    row("default-backend", 'B', Role::Tuning, "", Standing::Supported, "a Service, its first port: it gets the requests for which there is no endpoint, and answers in the place of errors"),
    row("disable-proxy-intercept-errors", 'C', Role::Tuning, "false", Standing::Supported, "`custom-http-errors` for answers of portico alone"),
    row("enable-access-log", 'B', Role::Tuning, "true", Standing::Supported, "whether requests are logged, where there is a log (`--access-log`)"),
    row("enable-rewrite-log", 'B', Role::Tuning, "false", Standing::Ignored("nothing is rewritten by rules with a log"), "whether rewrites are logged"),
    row("service-upstream", 'A', Role::Tuning, "false", Standing::Supported, "the endpoint is chosen as at the ClusterIP, by the Service's own affinity too, and no other is tried"),
    row("upstream-hash-by", 'B', Role::Tuning, "", Standing::Differs(Seen::Always, "a text leads to another endpoint than there, always the same"), "the same endpoint for the same text, of variables and others; an endpoint that comes takes its share of texts and moves no other"),
    row("upstream-hash-by-subset", 'B', Role::Tuning, "false", Standing::Supported, "any of a few endpoints, which are the text's"),
    row("upstream-hash-by-subset-size", 'B', Role::Tuning, "3", Standing::Supported, "how many"),
    row("load-balance", 'C', Role::Tuning, "round_robin", Standing::Supported, "`ewma`: latency decides; else what `portico.dev/balance` on the Service says"),
    row("affinity", 'A', Role::Tuning, "", Standing::Differs(Seen::Always, "cookies that ingress-nginx has set are not known: each client gets a new one once"), "`cookie`: a client returns to its endpoint; in the cookie stands nothing that is of use elsewhere"),
    row("affinity-mode", 'A', Role::Tuning, "balanced", Standing::Supported, "`balanced`: an endpoint that comes takes its share of sessions; `persistent`: each stays while its endpoint lives"),
    row("affinity-canary-behavior", 'A', Role::Tuning, "sticky", Standing::Supported, "of a canary: `sticky`, with the affinity of the main Ingress: who had one of both backends stays there; `legacy`: its rules are asked each time, and its own affinity counts"),
    row("session-cookie-name", 'A', Role::Tuning, "INGRESSCOOKIE", Standing::Supported, "name of the cookie"),
    row("session-cookie-path", 'A', Role::Tuning, "", Standing::Supported, "its path; absent, that of the location, `/` where that is a pattern"),
    row("session-cookie-domain", 'A', Role::Tuning, "", Standing::Supported, "its domain"),
    row("session-cookie-expires", 'A', Role::Tuning, "", Standing::Supported, "when it ends, in seconds from now"),
    row("session-cookie-max-age", 'A', Role::Tuning, "", Standing::Supported, "how long it lasts, in seconds"),
    row("session-cookie-samesite", 'A', Role::Tuning, "", Standing::Supported, "its SameSite: `None`, `Lax` or `Strict`"),
    row("session-cookie-conditional-samesite-none", 'A', Role::Tuning, "false", Standing::Supported, "no SameSite=None for browsers that misread it"),
    row("session-cookie-secure", 'A', Role::Tuning, "false", Standing::Supported, "whether it is for HTTPS alone also where it was set by plain HTTP"),
    row("session-cookie-change-on-failure", 'A', Role::Tuning, "false", Standing::Supported, "whether who was served by another endpoint stays there"),
    row("canary", 'A', Role::Route, "false", Standing::Supported, "this Ingress is an alternative to another's"),
    row("canary-by-header", 'A', Role::Tuning, "", Standing::Supported, "who gets the canary, by a field"),
    row("canary-by-header-value", 'A', Role::Tuning, "", Standing::Supported, "the same, by its value"),
    row("canary-by-header-pattern", 'A', Role::Tuning, "", Standing::Supported, "the same, by a pattern"),
    row("canary-by-cookie", 'A', Role::Tuning, "", Standing::Supported, "the same, by a cookie"),
    row("canary-weight", 'A', Role::Tuning, "0", Standing::Supported, "the same, by chance"),
    row("canary-weight-total", 'A', Role::Tuning, "100", Standing::Supported, "of how many"),
    row("allowlist-source-range", 'A', Role::Guard, "", Standing::Differs(Seen::Always, "it counts before redirects and CORS: who is kept out gets 403 there too"), "who is not of these CIDRs gets 403"),
    row("whitelist-source-range", 'A', Role::Guard, "", Standing::Differs(Seen::Always, "it counts before redirects and CORS: who is kept out gets 403 there too"), "the older name of `allowlist-source-range`"),
    row("denylist-source-range", 'B', Role::Guard, "", Standing::Differs(Seen::Always, "it counts before redirects and CORS: who is kept out gets 403 there too"), "who is of these CIDRs gets 403"),
    row("limit-rps", 'A', Role::Guard, "0", Standing::Differs(Seen::Always, "who asks for more gets 429, not 503, or what the setting `ingress.limitStatus` says; all addresses of an IPv6 /64 are one client"), "requests a second of one client"),
    row("limit-rpm", 'A', Role::Guard, "0", Standing::Differs(Seen::Always, "who asks for more gets 429, not 503, or what the setting `ingress.limitStatus` says; all addresses of an IPv6 /64 are one client"), "requests a minute of one client"),
    row("limit-burst-multiplier", 'A', Role::Tuning, "5", Standing::Supported, "how many at once"),
    row("limit-connections", 'B', Role::Guard, "0", Standing::Differs(Seen::Always, "who asks for more gets 429, not 503, or what the setting `ingress.limitStatus` says; all addresses of an IPv6 /64 are one client"), "requests under way of one client"),
    row("limit-rate", 'C', Role::Tuning, "0", Standing::Supported, "KiB a second of an answer"),
    row("limit-rate-after", 'C', Role::Tuning, "0", Standing::Supported, "KiB before that counts"),
    row("limit-allowlist", 'C', Role::Guard, "", Standing::Supported, "clients without limits"),
    row("limit-whitelist", 'C', Role::Guard, "", Standing::Supported, "the older name of `limit-allowlist`"),
    row("auth-type", 'A', Role::Guard, "", Standing::Supported, "`basic`: a name and a password; `digest` and others close"),
    row("auth-secret", 'A', Role::Guard, "", Standing::Supported, "the Secret that has them: bcrypt, `$apr1$`, `$1$`, `$5$`, `$6$`, `{SHA}`, `{SSHA}`, `{PLAIN}`; one that is missing closes"),
    row("auth-secret-type", 'A', Role::Guard, "auth-file", Standing::Supported, "`auth-file`: key `auth` has lines `user:hash`; `auth-map`: each key is a user"),
    row("auth-realm", 'A', Role::Guard, "", Standing::Supported, "what they are for, as the browser says it"),
    row("auth-url", 'A', Role::Guard, "", Standing::Differs(Seen::Begins("https://"), "the certificate of the host is verified; `portico.dev/auth-url-verify: off` takes any"), "who is asked whether a request may pass: a Service's name, a host of an Ingress, or a host outside; `portico.dev/auth-url-verify: off` takes any certificate"),
    row("auth-method", 'C', Role::Guard, "GET", Standing::Supported, "by which method"),
    row("auth-response-headers", 'A', Role::Guard, "", Standing::Supported, "fields of the answer for the backend, in place of the client's"),
    row("auth-signin", 'A', Role::Tuning, "", Standing::Supported, "where who may not pass is sent"),
    row("auth-signin-redirect-param", 'A', Role::Tuning, "rd", Standing::Supported, "the parameter that says where to return"),
    row("auth-request-redirect", 'C', Role::Tuning, "", Standing::Supported, "what is said of the request"),
    row("auth-always-set-cookie", 'C', Role::Tuning, "false", Standing::Supported, "cookies on every status"),
    row("auth-proxy-set-headers", 'C', Role::Guard, "", Standing::Supported, "fields for who is asked, of a ConfigMap"),
    row("auth-cache-key", 'B', Role::Tuning, "", Standing::Refused("no answer is kept: every request asks"), "answers that are kept"),
    row("auth-cache-duration", 'B', Role::Tuning, "", Standing::Refused("no answer is kept: every request asks"), "for how long"),
    row("auth-keepalive", 'B', Role::Tuning, "0", Standing::Ignored("connections are always used again"), "connections to who is asked"),
    row("auth-keepalive-share-vars", 'C', Role::Tuning, "false", Standing::Ignored("connections are always used again"), "what they share"),
    row("auth-keepalive-requests", 'C', Role::Tuning, "1000", Standing::Ignored("connections are always used again"), "requests on one"),
    row("auth-keepalive-timeout", 'C', Role::Tuning, "60", Standing::Ignored("connections are always used again"), "how long they rest"),
    row("enable-global-auth", 'B', Role::Tuning, "true", Standing::Ignored("there is no `auth-url` for all Ingresses"), "whether the controller's `auth-url` counts"),
    row("satisfy", 'C', Role::Guard, "all", Standing::Supported, "`any`: one of the access lists and credentials is enough"),
    row("enable-cors", 'A', Role::Tuning, "false", Standing::Supported, "answers for scripts of other origins"),
    row("cors-allow-origin", 'A', Role::Tuning, "*", Standing::Supported, "which origins"),
    row("cors-allow-methods", 'A', Role::Tuning, "GET, PUT, POST, DELETE, PATCH, OPTIONS", Standing::Supported, "which methods"),
    row("cors-allow-headers", 'A', Role::Tuning, "DNT,Keep-Alive,User-Agent,X-Requested-With,If-Modified-Since,Cache-Control,Content-Type,Range,Authorization", Standing::Supported, "which fields"),
    row("cors-allow-credentials", 'A', Role::Tuning, "true", Standing::Supported, "with cookies"),
    row("cors-expose-headers", 'A', Role::Tuning, "", Standing::Supported, "fields that scripts see"),
    row("cors-max-age", 'A', Role::Tuning, "1728000", Standing::Supported, "how long that counts"),
    row("relative-redirects", 'C', Role::Tuning, "false", Standing::Supported, "redirects to another path of the same host (`app-root`) name the path alone; those that lead to another scheme or host, and URLs that an annotation spells out, do not change"),
    row("use-port-in-redirects", 'C', Role::Tuning, "false", Standing::Supported, "the redirect to HTTPS always names the port of `--https`, 443 too"),
    row("proxy-cookie-domain", 'C', Role::Tuning, "off", Standing::Supported, "another domain in cookies of the backend: what it says and what is put for it, with a blank between"),
    row("proxy-cookie-path", 'C', Role::Tuning, "off", Standing::Supported, "another begin of the path in cookies, likewise"),
    row("proxy-redirect-from", 'C', Role::Tuning, "off", Standing::Supported, "the begin of `Location`, and of the URL in `Refresh`, that becomes"),
    row("proxy-redirect-to", 'C', Role::Tuning, "off", Standing::Supported, "this"),
    row("connection-proxy-header", 'C', Role::Tuning, "keep-alive", Standing::Supported, "`close`: each connection to a backend carries one request"),
    row("proxy-http-version", 'C', Role::Tuning, "1.1", Standing::Differs(Seen::Always, "HTTP/1.1 is spoken to backends"), "version of HTTP for the backend"),
    row("mirror-target", 'C', Role::Tuning, "", Standing::Differs(Seen::Always, "a copy is never waited for; one with more than 256 KiB of body is dropped"), "where copies of requests go, whose answers nobody reads: a URL, in which `$request_uri` may stand"),
    row("mirror-host", 'C', Role::Tuning, "", Standing::Supported, "their Host; absent, that of the URL"),
    row("mirror-request-body", 'C', Role::Tuning, "on", Standing::Supported, "whether with body"),
    row("ssl-ciphers", 'C', Role::Tuning, "", Standing::Supported, "cipher suites with clients of the whole host, by the names of TLS or OpenSSL, with `:` or commas; a version of TLS of which none is named has all of its own. Expressions of OpenSSL, and suites without forward secrecy, have no effect"),
    row("ssl-prefer-server-ciphers", 'C', Role::Tuning, "", Standing::Supported, "`true`: of the host's suites the first that a client knows is spoken, in the order of `ssl-ciphers`; absent, the client's order counts"),
    row("http2-push-preload", 'C', Role::Tuning, "false", Standing::Ignored("browsers have given up push"), "push"),
    row("enable-opentelemetry", 'C', Role::Tuning, "false", Standing::Ignored("there is no tracing"), "tracing"),
    row("opentelemetry-trust-incoming-span", 'C', Role::Tuning, "true", Standing::Ignored("there is no tracing"), "tracing"),
    row("opentelemetry-operation-name", 'C', Role::Tuning, "", Standing::Ignored("there is no tracing"), "tracing"),
    row("configuration-snippet", 'A', Role::Snippet, "", Standing::Lines, "lines of nginx's own configuration"),
    row("server-snippet", 'A', Role::Snippet, "", Standing::Lines, "lines of nginx's own configuration"),
    row("auth-snippet", 'B', Role::Snippet, "", Standing::Lines, "lines of nginx's own configuration"),
    row("stream-snippet", 'C', Role::Snippet, "", Standing::Lines, "lines of nginx's own configuration"),
    row("modsecurity-snippet", 'B', Role::Snippet, "", Standing::Lines, "lines of nginx's own configuration"),
    row("enable-modsecurity", 'B', Role::Guard, "false", Standing::Closes("there is no web application firewall; `portico.dev/accept-missing: modsecurity` serves without"), "a web application firewall"),
    row("enable-owasp-core-rules", 'B', Role::Guard, "false", Standing::Closes("there is no web application firewall; `portico.dev/accept-missing: modsecurity` serves without"), "its rules"),
    row("modsecurity-transaction-id", 'C', Role::Tuning, "", Standing::Ignored("there is no web application firewall"), "its log"),
    row("global-rate-limit", 'C', Role::Tuning, "0", Standing::Refused("ingress-nginx itself has given it up: `limit-rps` and `limit-rpm` count for each client"), "requests of all clients together"),
    row("global-rate-limit-window", 'C', Role::Tuning, "", Standing::Ignored("it is for `global-rate-limit`"), "in which time"),
    row("global-rate-limit-key", 'C', Role::Tuning, "$remote_addr", Standing::Ignored("it is for `global-rate-limit`"), "by what they count"),
    row("global-rate-limit-ignored-cidrs", 'C', Role::Tuning, "", Standing::Ignored("it is for `global-rate-limit`"), "whose do not"),
    row("enable-opentracing", 'C', Role::Tuning, "false", Standing::Ignored("there is no tracing"), "tracing, before `enable-opentelemetry`"),
    row("opentracing-trust-incoming-span", 'C', Role::Tuning, "true", Standing::Ignored("there is no tracing"), "tracing, before `enable-opentelemetry`"),
    row("enable-influxdb", 'C', Role::Tuning, "false", Standing::Ignored("metrics are at `/metrics` of the admin listener"), "metrics, which ingress-nginx itself has given up"),
    row("fastcgi-index", 'C', Role::Guard, "", Standing::Closes("FastCGI is not spoken"), "FastCGI"),
    row("fastcgi-params-configmap", 'C', Role::Guard, "", Standing::Closes("FastCGI is not spoken"), "FastCGI"),
];

const fn row(
    name: &'static str,
    tier: char,
    role: Role,
    default: &'static str,
    standing: Standing,
    does: &'static str,
) -> Row {
    Row { name, tier, role, default, standing, does }
}

/// The row of a name without its prefix.
pub fn find(name: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_name_has_one_row_and_nothing_that_guards_is_dropped() {
        let names: BTreeSet<&str> = ROWS.iter().map(|row| row.name).collect();
        assert_eq!(names.len(), ROWS.len());
        for row in ROWS {
            let guards = matches!(row.role, Role::Guard | Role::Route);
            let open = matches!(
                row.standing,
                Standing::Later | Standing::Ignored(_) | Standing::Refused(_) | Standing::Lines
            );
            assert!(!(guards && open), "ingress 2.1: {}", row.name);
        }
    }
}
