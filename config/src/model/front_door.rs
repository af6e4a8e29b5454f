//! What settings say about Ingress beyond its listeners and classes (`ingress 2.8`, `http-proxy 3`,
//! `http-proxy 5`).
//!
//! Plain values with their documented defaults. What an annotation says of one location wins over
//! what stands here.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::{Hsts, ObjectName};

/// The settings under `ingress`, but for classes and listeners.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FrontDoor {
    /// `fullForwardedFor`: whether what a trusted proxy says of the way to it stays in front of the
    /// address that it came from; default false, the client's address alone.
    pub full_forwarded_for: bool,
    /// `forwarded`: whether backends are told `Forwarded` (RFC 7239) beside `X-Forwarded-For`; default
    /// false.
    pub forwarded: bool,
    /// `sslRedirect`: whether plain HTTP is redirected where an Ingress does not say it; default true.
    pub ssl_redirect: bool,
    /// `nginxQuirks`: whether hosts are in nginx mode whose Ingresses do not say it; default false.
    pub nginx_quirks: bool,
    /// `limitStatus`: what who is over a limit of rate or connections gets, 429 (default) or 503.
    pub limit_status: u16,
    /// `defaultBackend`: who answers what no rule is for; none: 404.
    pub default_backend: Option<ServiceTarget>,
    /// `defaultTlsSecret`: the certificate of hosts without one; none: one made at start.
    pub default_tls_secret: Option<ObjectName>,
    /// `allowedResponseHeaders`: the names that `custom-headers` may set; default none.
    pub allowed_response_headers: Vec<Arc<str>>,
    /// `outboundHosts`: hosts that annotations may send requests to; empty: all but link-local and
    /// metadata addresses.
    pub outbound_hosts: Vec<Arc<str>>,
    /// `hsts` and those that begin with it: what answers over HTTPS say of later visits.
    pub hsts: Hsts,
    /// `maxBodyBytes`: the longest body of a request, 0 for any; default 1 MiB.
    pub max_body_bytes: u64,
    /// `maxRequestsPerConnection`: after so many a client's connection ends; default 10 000.
    pub max_requests_per_connection: usize,
    /// `maxConnectionAge`: a client's connection ends with the response after it; none: never.
    /// Default 1 h.
    pub max_connection_age: Option<Duration>,
    /// `maxConnectionsPerClient`: connections that one client may have to Ingress at once, over all
    /// workers; default 1,000.
    pub max_connections_per_client: usize,
    /// `maxTlsHandshakes`: TLS handshakes of clients that may go on at once, over all workers, half of them
    /// of one client; default 256.
    pub max_tls_handshakes: usize,
    /// `maxEndpointRequests`: requests that one endpoint may have at once, each of which has a
    /// connection of its own by HTTP/1.1; default 1,024.
    pub max_endpoint_requests: usize,
    /// `maxEndpointPending`: requests that may wait for one of them to end; default 1,024.
    pub max_endpoint_pending: usize,
    /// `retryPercent`: of a hundred requests for a ServicePort, so many may be sent again after they had
    /// been sent; 0 to 100, default 20.
    pub retry_percent: usize,
    /// `retriesPerSecond`: and so many a second beside those; default 10.
    pub retries_per_second: usize,
    /// `minRate`: bytes a second that a client must send of a body, or take of a response, while it is
    /// waited for; 0 for any. Default 256.
    pub min_rate: u64,
    /// `minRateTime`: over how long that is taken, in whole seconds; default 30 s.
    pub min_rate_time: Duration,
    /// `maxLoopLag`: a worker that is later than this for a second turns requests away; none: never.
    /// Default 100 ms.
    pub max_loop_lag: Option<Duration>,
    /// How long each side may take.
    pub timeouts: DoorTimeouts,
}

/// How long clients and backends may take; each in whole seconds, at least one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DoorTimeouts {
    /// `requestHeaderTimeout`: from the first byte of a head to its end; default 10 s.
    pub request_header: Duration,
    /// `keepAliveTimeout`: between requests; default 75 s.
    pub keep_alive: Duration,
    /// `upstreamReadTimeout`: a backend, between two reads; also a client that sends a body; default
    /// 60 s.
    pub upstream_read: Duration,
    /// `downstreamSendTimeout`: a response, between two of its parts; default 60 s.
    pub downstream_send: Duration,
    /// `tunnelIdleTimeout`: a WebSocket without a byte either way; default 1 h.
    pub tunnel_idle: Duration,
    /// `connectTimeout`: a connection to an endpoint; default 5 s.
    pub connect: Duration,
}

impl Default for FrontDoor {
    fn default() -> Self {
        Self {
            full_forwarded_for: false,
            forwarded: false,
            ssl_redirect: true,
            nginx_quirks: false,
            limit_status: 429,
            default_backend: None,
            default_tls_secret: None,
            allowed_response_headers: Vec::new(),
            outbound_hosts: Vec::new(),
            hsts: Hsts::default(),
            max_body_bytes: 1 << 20,
            max_requests_per_connection: 10_000,
            max_connection_age: Some(Duration::from_secs(3600)),
            max_connections_per_client: 1_000,
            max_tls_handshakes: 256,
            max_endpoint_requests: 1_024,
            max_endpoint_pending: 1_024,
            retry_percent: 20,
            retries_per_second: 10,
            min_rate: 256,
            min_rate_time: Duration::from_secs(30),
            max_loop_lag: Some(Duration::from_millis(100)),
            timeouts: DoorTimeouts::default(),
        }
    }
}

impl Default for DoorTimeouts {
    fn default() -> Self {
        let minute = Duration::from_secs(60);
        Self {
            request_header: Duration::from_secs(10),
            keep_alive: Duration::from_secs(75),
            upstream_read: minute,
            downstream_send: minute,
            tunnel_idle: 60 * minute,
            connect: Duration::from_secs(5),
        }
    }
}

/// A port of a Service: `NAMESPACE/NAME:PORT`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServiceTarget {
    /// The Service.
    pub service: ObjectName,
    /// The name of its port, or its number.
    pub port: Arc<str>,
}

impl ServiceTarget {
    /// Whether a port of the Service is meant, by its number and its name.
    pub fn is_port(&self, number: u16, name: &str) -> bool {
        match self.port.parse::<u16>() {
            Ok(asked) => asked == number,
            Err(_) => *self.port == *name,
        }
    }
}

impl fmt::Display for ServiceTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.service, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_counts_where_nobody_says_anything() {
        let door = FrontDoor::default();
        let times = door.timeouts;
        for (case, got, want) in [
            ("connect", times.connect, 5),
            ("backends", times.upstream_read, 60),
            ("clients that read", times.downstream_send, 60),
            ("clients at rest", times.keep_alive, 75),
            ("heads", times.request_header, 10),
            ("tunnels", times.tunnel_idle, 3_600),
        ] {
            assert_eq!(got, Duration::from_secs(want), "ingress 1.9, 2.8: {case}");
        }
        assert_eq!((door.max_body_bytes, door.limit_status), (1 << 20, 429), "ingress 1.9, 2.8");
        let switches = [door.ssl_redirect, door.nginx_quirks, door.full_forwarded_for];
        assert_eq!(switches, [true, false, false], "ingress 2.8");
        assert_eq!((door.default_backend, door.default_tls_secret), (None, None), "ingress 2.8");
        assert!(door.allowed_response_headers.is_empty() && door.outbound_hosts.is_empty());
    }

    #[test]
    fn a_port_is_meant_by_its_number_or_its_name() {
        let target =
            |port: &str| ServiceTarget { service: ObjectName::new("a", "b"), port: port.into() };
        for (port, number, name, want) in [
            ("80", 80, "http", true),
            ("80", 81, "80", false),
            ("http", 80, "http", true),
            ("http", 80, "", false),
        ] {
            assert_eq!(target(port).is_port(number, name), want, "{port} {number} {name}");
        }
        assert_eq!(target("80").to_string(), "a/b:80");
    }
}
