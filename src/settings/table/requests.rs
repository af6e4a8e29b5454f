//! How much a client, a request and an endpoint of Ingress may have at once, and for how long.

use super::{DAY, MILLISECOND, MINUTE, SECOND};
use crate::settings::kind::Kind;
use crate::settings::{Group, Setting};

/// Limits and times of Ingress.
pub(super) static SETTINGS: &[Setting] = &[
    Setting::new(
        "ingress.maxBodyBytes",
        Group::Ingress,
        "BYTES",
        "The longest body of a request; 0 for any",
        Kind::Bytes(0..=1 << 50, |to| &mut to.settings.front_door.max_body_bytes),
    ),
    Setting::new(
        "ingress.maxRequestsPerConnection",
        Group::Ingress,
        "N",
        "After so many requests a connection of a client ends",
        Kind::Count(1..=1_000_000_000, |to| {
            &mut to.settings.front_door.max_requests_per_connection
        }),
    ),
    Setting::new(
        "ingress.maxConnectionAge",
        Group::Ingress,
        "TIME|off",
        "After this long a connection of a client ends with its next response",
        Kind::TimeOrOff(SECOND..=DAY, |to| &mut to.settings.front_door.max_connection_age),
    ),
    Setting::new(
        "ingress.maxConnectionsPerClient",
        Group::Ingress,
        "N",
        "Connections that one client has at once; more are reset. Trusted proxies and this host have any",
        Kind::Count(1..=1_000_000, |to| &mut to.settings.front_door.max_connections_per_client),
    ),
    Setting::new(
        "ingress.maxTlsHandshakes",
        Group::Ingress,
        "N",
        "TLS handshakes that go on at once, half of them of one client; who comes then waits unaccepted",
        Kind::Count(1..=1_000_000, |to| &mut to.settings.front_door.max_tls_handshakes),
    ),
    Setting::new(
        "ingress.maxEndpointRequests",
        Group::Ingress,
        "N",
        "Requests that one endpoint has at once, each over a connection of its own by HTTP/1.1",
        Kind::Count(1..=1_000_000, |to| &mut to.settings.front_door.max_endpoint_requests),
    ),
    Setting::new(
        "ingress.maxEndpointPending",
        Group::Ingress,
        "N",
        "Requests that wait for a place at one endpoint; beyond, they get 503",
        Kind::Count(0..=1_000_000, |to| &mut to.settings.front_door.max_endpoint_pending),
    ),
    Setting::new(
        "ingress.retryPercent",
        Group::Ingress,
        "N",
        "How many of a hundred requests for a Service's port may be sent again after they had been sent",
        Kind::Count(0..=100, |to| &mut to.settings.front_door.retry_percent),
    ),
    Setting::new(
        "ingress.retriesPerSecond",
        Group::Ingress,
        "N",
        "And how many a second beside those; both are counted over ten seconds",
        Kind::Count(0..=1_000_000, |to| &mut to.settings.front_door.retries_per_second),
    ),
    Setting::new(
        "ingress.minRate",
        Group::Ingress,
        "BYTES",
        "Bytes a second that a client must send of a body or take of a response; 0 for any",
        Kind::Bytes(0..=1 << 40, |to| &mut to.settings.front_door.min_rate),
    ),
    Setting::new(
        "ingress.minRateTime",
        Group::Ingress,
        "TIME",
        "Over how long that is taken, of the time in which the client is waited for",
        Kind::Time(SECOND..=DAY, |to| &mut to.settings.front_door.min_rate_time),
    ),
    Setting::new(
        "ingress.maxLoopLag",
        Group::Ingress,
        "TIME|off",
        "A worker that is later than this for a second answers requests with 503",
        Kind::TimeOrOff(MILLISECOND..=MINUTE, |to| &mut to.settings.front_door.max_loop_lag),
    ),
    Setting::new(
        "ingress.requestHeaderTimeout",
        Group::Ingress,
        "TIME",
        "How long the head of a request may take from its first byte",
        Kind::Time(SECOND..=DAY, |to| &mut to.settings.front_door.timeouts.request_header),
    ),
    Setting::new(
        "ingress.keepAliveTimeout",
        Group::Ingress,
        "TIME",
        "How long a client may keep a connection without a request",
        Kind::Time(SECOND..=DAY, |to| &mut to.settings.front_door.timeouts.keep_alive),
    ),
    Setting::new(
        "ingress.upstreamReadTimeout",
        Group::Ingress,
        "TIME",
        "How long a backend may say nothing before its response, or a client amid its body",
        Kind::Time(SECOND..=DAY, |to| &mut to.settings.front_door.timeouts.upstream_read),
    ),
    Setting::new(
        "ingress.downstreamSendTimeout",
        Group::Ingress,
        "TIME",
        "How long a response may stand still",
        Kind::Time(SECOND..=DAY, |to| &mut to.settings.front_door.timeouts.downstream_send),
    ),
    Setting::new(
        "ingress.tunnelIdleTimeout",
        Group::Ingress,
        "TIME",
        "How long a WebSocket may carry nothing",
        Kind::Time(SECOND..=DAY, |to| &mut to.settings.front_door.timeouts.tunnel_idle),
    ),
    Setting::new(
        "ingress.connectTimeout",
        Group::Ingress,
        "TIME",
        "How long a connection to an endpoint may take",
        Kind::Time(SECOND..=DAY, |to| &mut to.settings.front_door.timeouts.connect),
    ),
];
