//! Every key of ingress-nginx's own ConfigMap that people set, and what does its work in portico
//! (`ingress 3`).
//!
//! Words alone, for who moves: `portico check` and `docs/migrate-from-ingress-nginx.md` read the same
//! rows. portico takes none of them from there: settings are its own.

/// One key.
#[derive(Clone, Copy, Debug)]
pub struct ControllerKey {
    /// As it stands in `data`.
    pub name: &'static str,
    /// What does its work.
    pub becomes: Becomes,
}

/// What does the work of a key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Becomes {
    /// These settings.
    Settings(&'static str),
    /// An annotation on each Ingress that needs it.
    Annotation(&'static str),
    /// It needs nothing, for this reason.
    Nothing(&'static str),
    /// Other annotations on each Ingress that needs them: it is not done for all of them at once.
    Each(&'static str),
    /// Nothing does it: why, or what to do.
    Refused(&'static str),
    /// What each of its lines of nginx's configuration has in its place.
    Lines,
}

/// The key of that name.
pub fn find(name: &str) -> Option<&'static ControllerKey> {
    KEYS.iter().find(|key| key.name == name)
}

/// Whether a ConfigMap of that name is the controller's, as its charts and manifests call it.
pub fn is_controllers(name: &str) -> bool {
    let known = ["nginx-configuration", "nginx-ingress-controller", "ingress-nginx-controller"];
    known.contains(&name) || name.ends_with("-ingress-nginx-controller")
}

/// Every key, by subject; a line each.
#[rustfmt::skip]
pub const KEYS: &[ControllerKey] = &[
    key("use-forwarded-headers", Becomes::Settings("trustedProxies")),
    key("forwarded-for-header", Becomes::Refused("the header is always X-Forwarded-For")),
    key("compute-full-forwarded-for", Becomes::Settings("ingress.fullForwardedFor")),
    key("proxy-real-ip-cidr", Becomes::Settings("trustedProxies")),
    key("enable-real-ip", Becomes::Settings("trustedProxies")),
    key("use-proxy-protocol", Becomes::Settings("ingress.proxyProtocol and trustedProxies")),
    key("proxy-body-size", Becomes::Settings("ingress.maxBodyBytes")),
    key("proxy-connect-timeout", Becomes::Settings("ingress.connectTimeout")),
    key("proxy-read-timeout", Becomes::Settings("ingress.upstreamReadTimeout")),
    key("proxy-send-timeout", Becomes::Settings("ingress.upstreamReadTimeout")),
    key("keep-alive", Becomes::Settings("ingress.keepAliveTimeout")),
    key("keep-alive-requests", Becomes::Settings("ingress.maxRequestsPerConnection")),
    key("client-header-timeout", Becomes::Settings("ingress.requestHeaderTimeout")),
    key("client-body-timeout", Becomes::Settings("ingress.upstreamReadTimeout")),
    key("ssl-redirect", Becomes::Settings("ingress.sslRedirect")),
    key("force-ssl-redirect", Becomes::Annotation("force-ssl-redirect")),
    key("hsts", Becomes::Settings("ingress.hsts")),
    key("hsts-max-age", Becomes::Settings("ingress.hstsMaxAge")),
    key("hsts-include-subdomains", Becomes::Settings("ingress.hstsIncludeSubdomains")),
    key("hsts-preload", Becomes::Settings("ingress.hstsPreload")),
    key("limit-req-status-code", Becomes::Settings("ingress.limitStatus")),
    key("limit-conn-status-code", Becomes::Settings("ingress.limitStatus")),
    key("global-allowed-response-headers", Becomes::Settings("ingress.allowedResponseHeaders")),
    key("disable-access-log", Becomes::Settings("accessLog")),
    key("access-log-path", Becomes::Settings("accessLog")),
    key("http-access-log-path", Becomes::Settings("accessLog")),
    key("log-format-upstream", Becomes::Settings("accessLogFormat")),
    key("log-format-escape-json", Becomes::Settings("accessLogFormat")),
    key("log-format-escape-none", Becomes::Nothing("control characters are always escaped")),
    key("error-log-level", Becomes::Settings("logLevel")),
    key("worker-processes", Becomes::Settings("workers")),
    key("max-worker-connections", Becomes::Settings("limits.maxConnections")),
    key("whitelist-source-range", Becomes::Each("allowlist-source-range")),
    key("denylist-source-range", Becomes::Each("denylist-source-range")),
    key("block-cidrs", Becomes::Each("denylist-source-range")),
    key("block-user-agents", Becomes::Refused("it is to be done in the backend")),
    key("block-referers", Becomes::Refused("it is to be done in the backend")),
    key("global-auth-url", Becomes::Each("auth-url")),
    key("global-auth-method", Becomes::Annotation("auth-method")),
    key("global-auth-signin", Becomes::Annotation("auth-signin")),
    key("global-auth-signin-redirect-param", Becomes::Annotation("auth-signin-redirect-param")),
    key("global-auth-response-headers", Becomes::Annotation("auth-response-headers")),
    key("global-auth-request-redirect", Becomes::Annotation("auth-request-redirect")),
    key("global-auth-always-set-cookie", Becomes::Annotation("auth-always-set-cookie")),
    key("global-auth-snippet", Becomes::Lines),
    key("global-auth-cache-key", Becomes::Nothing("no answer is kept: every request asks")),
    key("global-auth-cache-duration", Becomes::Nothing("no answer is kept: every request asks")),
    key("enable-modsecurity", Becomes::Refused("there is no web application firewall")),
    key("enable-owasp-modsecurity-crs", Becomes::Refused("there is no web application firewall")),
    key("modsecurity-snippet", Becomes::Refused("there is no web application firewall")),
    key("main-snippet", Becomes::Refused("its lines are about nginx's own process; portico has settings for its own")),
    key("http-snippet", Becomes::Lines),
    key("server-snippet", Becomes::Lines),
    key("location-snippet", Becomes::Lines),
    key("stream-snippet", Becomes::Refused("TCP and UDP pass through a Service with their port")),
    key("allow-snippet-annotations", Becomes::Nothing("snippets are never read")),
    key("annotations-risk-level", Becomes::Nothing("annotations are values, never text of a configuration")),
    key("allow-cross-namespace-resources", Becomes::Refused("what an annotation names is of its own namespace")),
    key("strict-validate-path-type", Becomes::Nothing("a path is a pattern only with type ImplementationSpecific")),
    key("use-gzip", Becomes::Annotation("portico.dev/compression")),
    key("gzip-types", Becomes::Annotation("portico.dev/compression-types")),
    key("gzip-min-length", Becomes::Annotation("portico.dev/compression-min-length")),
    key("enable-brotli", Becomes::Annotation("portico.dev/compression")),
    key("brotli-types", Becomes::Annotation("portico.dev/compression-types")),
    key("brotli-min-length", Becomes::Annotation("portico.dev/compression-min-length")),
    key("relative-redirects", Becomes::Annotation("relative-redirects")),
    key("use-port-in-redirects", Becomes::Annotation("use-port-in-redirects")),
    key("generate-request-id", Becomes::Nothing("a request without an id always gets one")),
    key("allow-backend-server-header", Becomes::Nothing("a backend's own Server always passes")),
    key("proxy-add-original-uri-header", Becomes::Annotation("portico.dev/request-headers, with $request_uri")),
    key("retry-non-idempotent", Becomes::Annotation("proxy-next-upstream, with non_idempotent")),
    key("http-redirect-code", Becomes::Refused("the redirect to HTTPS is always 308")),
    key("error-log-path", Becomes::Nothing("the log goes to stderr")),
    key("ssl-early-data", Becomes::Nothing("nothing is taken before the handshake is over")),
    key("ssl-ecdh-curve", Becomes::Nothing("rustls offers X25519MLKEM768, X25519 and the curves of NIST")),
    key("add-headers", Becomes::Annotation("custom-headers, or portico.dev/response-headers")),
    key("hide-headers", Becomes::Annotation("portico.dev/response-headers, with a name alone")),
    key("proxy-set-headers", Becomes::Annotation("portico.dev/request-headers")),
    key("custom-http-errors", Becomes::Annotation("custom-http-errors")),
    key("load-balance", Becomes::Annotation("load-balance, or portico.dev/balance on the Service")),
    key("upstream-hash-by", Becomes::Annotation("upstream-hash-by")),
    key("proxy-next-upstream", Becomes::Annotation("proxy-next-upstream")),
    key("proxy-next-upstream-tries", Becomes::Annotation("proxy-next-upstream-tries")),
    key("proxy-next-upstream-timeout", Becomes::Annotation("proxy-next-upstream-timeout")),
    key("proxy-request-buffering", Becomes::Annotation("proxy-request-buffering")),
    key("limit-rate", Becomes::Annotation("limit-rate")),
    key("limit-rate-after", Becomes::Annotation("limit-rate-after")),
    key("service-upstream", Becomes::Annotation("service-upstream")),
    key("proxy-cookie-domain", Becomes::Annotation("proxy-cookie-domain")),
    key("proxy-cookie-path", Becomes::Annotation("proxy-cookie-path")),
    key("gzip-level", Becomes::Nothing("levels are fixed where more would cost much for little")),
    key("brotli-level", Becomes::Nothing("levels are fixed where more would cost much for little")),
    key("ssl-protocols", Becomes::Nothing("TLS 1.2 and 1.3 are spoken, nothing older")),
    key("ssl-ciphers", Becomes::Annotation("ssl-ciphers")),
    key("ssl-dh-param", Becomes::Nothing("there is no key exchange over finite fields")),
    key("ssl-session-cache", Becomes::Nothing("sessions are resumed by tickets")),
    key("ssl-session-tickets", Becomes::Nothing("sessions are resumed by tickets")),
    key("server-tokens", Becomes::Nothing("no version is told")),
    key("use-http2", Becomes::Nothing("HTTP/2 is always offered")),
    key("http2-max-concurrent-streams", Becomes::Nothing("streams of a connection are always bounded")),
    key("upstream-keepalive-connections", Becomes::Nothing("connections are always used again")),
    key("upstream-keepalive-timeout", Becomes::Nothing("connections are always used again")),
    key("upstream-keepalive-requests", Becomes::Nothing("connections are always used again")),
    key("upstream-keepalive-time", Becomes::Nothing("connections are always used again")),
    key("proxy-buffering", Becomes::Nothing("answers always stream")),
    key("proxy-buffer-size", Becomes::Nothing("64 KiB are always there for the head of an answer")),
    key("proxy-buffers-number", Becomes::Nothing("answers always stream")),
    key("proxy-busy-buffers-size", Becomes::Nothing("answers always stream")),
    key("client-header-buffer-size", Becomes::Nothing("a head may always have 64 KiB")),
    key("client-body-buffer-size", Becomes::Nothing("bodies always stream")),
    key("large-client-header-buffers", Becomes::Nothing("a head may always have 64 KiB")),
    key("enable-underscores-in-headers", Becomes::Refused("fields with `_` in their name never pass")),
    key("ignore-invalid-headers", Becomes::Nothing("fields that are none never pass")),
    key("server-name-hash-bucket-size", Becomes::Nothing("there is no such table")),
    key("server-name-hash-max-size", Becomes::Nothing("there is no such table")),
    key("variables-hash-bucket-size", Becomes::Nothing("there is no such table")),
    key("map-hash-bucket-size", Becomes::Nothing("there is no such table")),
    key("proxy-headers-hash-max-size", Becomes::Nothing("there is no such table")),
    key("proxy-headers-hash-bucket-size", Becomes::Nothing("there is no such table")),
    key("worker-shutdown-timeout", Becomes::Nothing("a reload ends no connection")),
    key("worker-cpu-affinity", Becomes::Nothing("the kernel places threads")),
    key("reuse-port", Becomes::Nothing("each worker has sockets of its own")),
    key("enable-opentelemetry", Becomes::Nothing("there is no tracing")),
];

const fn key(name: &'static str, becomes: Becomes) -> ControllerKey {
    ControllerKey { name, becomes }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::annotation;
    use std::collections::BTreeSet;

    #[test]
    fn a_key_has_one_row_and_names_annotations_that_exist() {
        let names: BTreeSet<&str> = KEYS.iter().map(|key| key.name).collect();
        assert_eq!(names.len(), KEYS.len());
        for key in KEYS {
            let (Becomes::Annotation(text) | Becomes::Each(text)) = key.becomes else { continue };
            let first = text.split(',').next().unwrap_or_default();
            let is_known = first.starts_with("portico.dev/") || annotation::find(first).is_some();
            assert!(is_known, "ingress 3: {}: {first}", key.name);
        }
    }

    #[test]
    fn the_controllers_configmap_is_known_by_its_name() {
        for (name, want) in [
            ("ingress-nginx-controller", true),
            ("edge-ingress-nginx-controller", true),
            ("nginx-configuration", true),
            ("nginx-conf", false),
            ("headers", false),
        ] {
            assert_eq!(is_controllers(name), want, "{name}");
        }
    }
}
