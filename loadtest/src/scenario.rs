//! What is measured: the scenarios, their servers and their targets.
//!
//! Everything that differs between scenarios is said here in one `match` each; the other modules
//! ask.

use clap::ValueEnum;

use crate::server::Kind;

/// One kind of work, done by every server alike.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Scenario {
    /// Small keep-alive GETs through an Ingress, 64 connections
    Http1Small,
    /// http1-small with an access log to a file
    Http1SmallLog,
    /// GETs of 1 MiB through an Ingress, 16 connections
    #[value(name = "http1-1m")]
    Http1Large,
    /// Small GETs through an Ingress, a connection for each, 64 at once
    Http1Close,
    /// http1-small over TLS
    HttpsKeepalive,
    /// Full TLS 1.3 handshakes with an Ingress's certificate, 64 at once
    TlsHandshake,
    /// Small GETs over HTTP/2 and TLS, 8 connections of 10 streams
    #[value(name = "http2")]
    Http2,
    /// Unary gRPC calls in the clear, HTTP/2 on both sides, 8 connections of 10 streams
    GrpcUnary,
    /// Frames of 64 bytes there and back over upgraded connections, 64 at once
    WebsocketEcho,
    /// http1-small with 1,000 Ingresses of ten hosts each, beside portico with one
    #[value(name = "ingress-1000-rules")]
    Ingress1000,
    /// http1-small with two workers, beside portico with one
    TwoWorkers,
    /// 64 bytes there and back through a NodePort, 64 connections
    TcpRr,
    /// Connections of one exchange through a NodePort, 64 at once
    TcpConnect,
    /// As many bytes as go through a NodePort, over one connection
    TcpBulk,
    /// As many bytes as go through a NodePort, over eight connections
    #[value(name = "tcp-bulk-8")]
    TcpBulk8,
    /// 64 bytes there and back as datagrams through a NodePort, 64 clients
    UdpEcho,
    /// tcp-connect with 10,000 Services, beside portico with ten
    #[value(name = "services-10000")]
    Services10000,
    /// Questions for names of 1,000 Services, over UDP
    DnsHit,
    /// Questions for names that do not exist, over UDP
    DnsNxdomain,
    /// dns-hit with 10,000 Services, beside portico with 1,000
    #[value(name = "dns-10000")]
    Dns10000,
    /// dns-hit over 100 TCP connections
    DnsTcp,
    /// http1-small at a constant rate, 70 % of what the slowest server can
    #[value(name = "latency-at-70-percent")]
    LatencyAt70,
    /// How soon an edit of the configuration is live
    ReloadLatency,
    /// Requests at a constant rate while the configuration changes
    ReloadUnderLoad,
    /// Requests at a constant rate while one of two backends dies and comes back
    BackendFailure,
    /// Requests at a constant rate while both backends are replaced, one after the other
    RollingRestart,
    /// Memory of connections through a NodePort that do nothing
    IdleConnections,
    /// Memory of keep-alive connections to an Ingress that do nothing
    IdleHttp,
    /// idle-http over TLS
    IdleHttps,
    /// Memory of 10,000 Services of ten endpoints, and of connections beside them
    MemoryAtScale,
}

/// How a scenario is measured.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Method {
    /// CPU time of a server that has as much to do as it can.
    Cost,
    /// Memory of idle connections.
    Memory,
    /// How long requests take at a constant rate.
    Latency,
    /// How soon edits are live.
    Edits,
    /// What comes of requests at a constant rate around events.
    Events,
}

/// What goes over a scenario's connections.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Traffic {
    /// Requests, through an Ingress.
    Http,
    /// Requests over TLS, or handshakes alone, to an Ingress with a certificate.
    Tls,
    /// gRPC through an Ingress.
    Grpc,
    /// Frames over upgraded connections, through an Ingress.
    Websocket,
    /// Bytes that come back, through a NodePort.
    Echo,
    /// Bytes in one direction, through a NodePort.
    Bulk,
    /// Datagrams that come back, through a NodePort.
    Datagrams,
    /// Questions to the resolver.
    Names,
}

/// The most that a unit of work may cost in portico, as a multiple of what it costs in `peer`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Target {
    pub(crate) peer: Kind,
    pub(crate) ratio: f64,
}

impl Scenario {
    pub(crate) const ALL: [Self; 30] = [
        Self::Http1Small,
        Self::Http1SmallLog,
        Self::Http1Large,
        Self::Http1Close,
        Self::HttpsKeepalive,
        Self::TlsHandshake,
        Self::Http2,
        Self::GrpcUnary,
        Self::WebsocketEcho,
        Self::Ingress1000,
        Self::TwoWorkers,
        Self::TcpRr,
        Self::TcpConnect,
        Self::TcpBulk,
        Self::TcpBulk8,
        Self::UdpEcho,
        Self::Services10000,
        Self::DnsHit,
        Self::DnsNxdomain,
        Self::Dns10000,
        Self::DnsTcp,
        Self::LatencyAt70,
        Self::ReloadLatency,
        Self::ReloadUnderLoad,
        Self::BackendFailure,
        Self::RollingRestart,
        Self::IdleConnections,
        Self::IdleHttp,
        Self::IdleHttps,
        Self::MemoryAtScale,
    ];

    /// What `--quick` measures where nothing is named: of each part what most traffic is like.
    pub(crate) const HEADLINES: [Self; 11] = [
        Self::Http1Small,
        Self::HttpsKeepalive,
        Self::TlsHandshake,
        Self::Http2,
        Self::TcpRr,
        Self::TcpConnect,
        Self::UdpEcho,
        Self::DnsHit,
        Self::DnsNxdomain,
        Self::ReloadUnderLoad,
        Self::IdleConnections,
    ];

    pub(crate) fn traffic(self) -> Traffic {
        match self {
            Self::Http1Small
            | Self::Http1SmallLog
            | Self::Http1Large
            | Self::Http1Close
            | Self::Ingress1000
            | Self::TwoWorkers
            | Self::LatencyAt70
            | Self::ReloadLatency
            | Self::ReloadUnderLoad
            | Self::BackendFailure
            | Self::RollingRestart
            | Self::IdleHttp => Traffic::Http,
            Self::HttpsKeepalive | Self::TlsHandshake | Self::Http2 | Self::IdleHttps => {
                Traffic::Tls
            }
            Self::GrpcUnary => Traffic::Grpc,
            Self::WebsocketEcho => Traffic::Websocket,
            Self::TcpRr
            | Self::TcpConnect
            | Self::Services10000
            | Self::IdleConnections
            | Self::MemoryAtScale => Traffic::Echo,
            Self::TcpBulk | Self::TcpBulk8 => Traffic::Bulk,
            Self::UdpEcho => Traffic::Datagrams,
            Self::DnsHit | Self::DnsNxdomain | Self::Dns10000 | Self::DnsTcp => Traffic::Names,
        }
    }

    /// Whether it goes through an Ingress.
    pub(crate) fn is_http(self) -> bool {
        matches!(self.traffic(), Traffic::Http | Traffic::Tls | Traffic::Grpc | Traffic::Websocket)
    }

    /// How it is measured.
    pub(crate) fn method(self) -> Method {
        match self {
            Self::IdleConnections | Self::IdleHttp | Self::IdleHttps | Self::MemoryAtScale => {
                Method::Memory
            }
            Self::LatencyAt70 => Method::Latency,
            Self::ReloadLatency => Method::Edits,
            Self::ReloadUnderLoad | Self::BackendFailure | Self::RollingRestart => Method::Events,
            _ => Method::Cost,
        }
    }

    /// Whether memory is measured, and not time.
    pub(crate) fn is_idle(self) -> bool {
        self.method() == Method::Memory
    }

    /// How many idle connections there are, where `asked` are asked for: the listeners of many Services
    /// take most descriptors.
    pub(crate) fn idle_connections(self, asked: u32) -> u32 {
        if self == Self::MemoryAtScale { asked.min(CONNECTIONS_AT_SCALE) } else { asked }
    }

    /// Whether peers have listeners of their own for all the other Services.
    pub(crate) fn peers_have_all_services(self) -> bool {
        self == Self::MemoryAtScale
    }

    /// Whether every server writes a line for each request to a file.
    pub(crate) fn logs(self) -> bool {
        self == Self::Http1SmallLog
    }

    /// What portico may have resident with all idle connections open, in 10^6 bytes.
    pub(crate) fn most_memory_mb(self) -> Option<f64> {
        match self {
            Self::IdleConnections => Some(100.0),
            Self::IdleHttps => Some(250.0),
            _ => None,
        }
    }

    /// The connections of a scenario of bytes in bulk, as iperf3 has them; None for the others.
    pub(crate) fn streams(self) -> Option<u8> {
        match self {
            Self::TcpBulk => Some(1),
            Self::TcpBulk8 => Some(8),
            _ => None,
        }
    }

    /// The name on the command line and in reports.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Http1Small => "http1-small",
            Self::Http1SmallLog => "http1-small-log",
            Self::Http1Large => "http1-1m",
            Self::Http1Close => "http1-close",
            Self::HttpsKeepalive => "https-keepalive",
            Self::TlsHandshake => "tls-handshake",
            Self::Http2 => "http2",
            Self::GrpcUnary => "grpc-unary",
            Self::WebsocketEcho => "websocket-echo",
            Self::Ingress1000 => "ingress-1000-rules",
            Self::TwoWorkers => "two-workers",
            Self::TcpRr => "tcp-rr",
            Self::TcpConnect => "tcp-connect",
            Self::TcpBulk => "tcp-bulk",
            Self::TcpBulk8 => "tcp-bulk-8",
            Self::UdpEcho => "udp-echo",
            Self::Services10000 => "services-10000",
            Self::DnsHit => "dns-hit",
            Self::DnsNxdomain => "dns-nxdomain",
            Self::Dns10000 => "dns-10000",
            Self::DnsTcp => "dns-tcp",
            Self::LatencyAt70 => "latency-at-70-percent",
            Self::ReloadLatency => "reload-latency",
            Self::ReloadUnderLoad => "reload-under-load",
            Self::BackendFailure => "backend-failure",
            Self::RollingRestart => "rolling-restart",
            Self::IdleConnections => "idle-connections",
            Self::IdleHttp => "idle-http",
            Self::IdleHttps => "idle-https",
            Self::MemoryAtScale => "memory-at-scale",
        }
    }

    /// What one unit of work is called.
    pub(crate) fn unit(self) -> &'static str {
        match self {
            Self::Http1Small
            | Self::Http1SmallLog
            | Self::Http1Close
            | Self::HttpsKeepalive
            | Self::Http2
            | Self::Ingress1000
            | Self::TwoWorkers
            | Self::LatencyAt70
            | Self::ReloadUnderLoad
            | Self::BackendFailure
            | Self::RollingRestart => "request",
            Self::ReloadLatency => "edit",
            Self::Http1Large => "MiB",
            Self::TlsHandshake => "handshake",
            Self::GrpcUnary => "call",
            Self::TcpRr | Self::UdpEcho | Self::WebsocketEcho => "exchange",
            Self::TcpConnect
            | Self::Services10000
            | Self::IdleConnections
            | Self::IdleHttp
            | Self::IdleHttps
            | Self::MemoryAtScale => "connection",
            Self::TcpBulk | Self::TcpBulk8 => "MB",
            Self::DnsHit | Self::DnsNxdomain | Self::Dns10000 | Self::DnsTcp => "query",
        }
    }

    /// What several units are called.
    pub(crate) fn units(self) -> String {
        match self.unit() {
            "query" => "queries".to_owned(),
            bytes if bytes.ends_with('B') => bytes.to_owned(),
            one => format!("{one}s"),
        }
    }

    /// What is done, in a line for the report.
    #[expect(clippy::too_many_lines, reason = "a line or two for each scenario")]
    pub(crate) fn summary(self) -> &'static str {
        match self {
            Self::Http1Small => {
                "GET with an answer of 64 bytes through an Ingress; wrk, 64 connections, keep-alive"
            }
            Self::Http1SmallLog => {
                "http1-small with a line for each request in a file, in the combined format or one like it"
            }
            Self::Http1Large => {
                "GET with an answer of 1 MiB through an Ingress; wrk, 16 connections"
            }
            Self::Http1Close => {
                "GET with an answer of 64 bytes and `Connection: close` through an Ingress; a connection for each, 64 at once"
            }
            Self::HttpsKeepalive => "http1-small over TLS 1.3, ECDSA P-256; wrk, 64 connections",
            Self::TlsHandshake => {
                "connect, full TLS 1.3 handshake (ECDSA P-256, X25519), close; 64 at once"
            }
            Self::Http2 => {
                "http1-small over HTTP/2 and TLS 1.3; h2load, 8 connections of 10 streams, HTTP/1.1 behind"
            }
            Self::GrpcUnary => {
                "POST with a message of 64 bytes and an answer of as many, in the clear, HTTP/2 on both \
                 sides; h2load, 8 connections of 10 streams"
            }
            Self::WebsocketEcho => {
                "frames of 64 bytes there and back through an Ingress; 64 upgraded connections, one each"
            }
            Self::Ingress1000 => {
                "http1-small to 10,000 hosts of 1,000 Ingresses in turn, and to 10 hosts of one"
            }
            Self::TwoWorkers => "http1-small with two workers on two cores, and with one on one",
            Self::TcpRr => {
                "64 bytes there and back through a NodePort; 64 connections, one exchange each"
            }
            Self::TcpConnect => {
                "connect, 64 bytes there and back, close, through a NodePort; 64 at once"
            }
            Self::TcpBulk => "as many bytes as go through a NodePort; iperf3, one connection",
            Self::TcpBulk8 => "as many bytes as go through a NodePort; iperf3, eight connections",
            Self::UdpEcho => {
                "a datagram of 64 bytes there and back through a NodePort; 64 clients, one each"
            }
            Self::Services10000 => {
                "tcp-connect where there are 10,000 Services of ten endpoints, and where there are ten"
            }
            Self::DnsHit => "A of 900 names over UDP, 128 questions under way",
            Self::DnsNxdomain => "A of 900 names that are none, over UDP",
            Self::Dns10000 => "A of 9,000 names over UDP, and of 900",
            Self::DnsTcp => "A of 900 names over 100 TCP connections",
            Self::LatencyAt70 => {
                "http1-small at 70 % of what the slowest server can; open loop, 64 connections"
            }
            Self::ReloadLatency => {
                "from an edit of the backends' addresses until a new connection shows it; nginx and \
                 HAProxy are told to reload"
            }
            Self::ReloadUnderLoad => {
                "1,000 requests a second while the one backend is changed for another, every second"
            }
            Self::BackendFailure => {
                "1,000 requests a second while one of two backends is killed, and later comes back"
            }
            Self::RollingRestart => {
                "1,000 requests a second while two backends are replaced: the new one starts, the \
                 configuration leads to it, the old one ends"
            }
            Self::IdleConnections => {
                "memory of connections through a NodePort, after one exchange each"
            }
            Self::IdleHttp => {
                "memory of keep-alive connections to an Ingress, after one request each"
            }
            Self::IdleHttps => {
                "memory of keep-alive connections over TLS 1.3 to an Ingress, after one request each"
            }
            Self::MemoryAtScale => {
                "memory of 10,000 Services of ten endpoints (a tenth of them headless, which peers do not \
                 have), and of idle connections to one of them"
            }
        }
    }

    /// The servers compared, in the order of their runs within a round.
    pub(crate) fn servers(self) -> &'static [Kind] {
        match self {
            Self::Http1Small | Self::HttpsKeepalive | Self::Http2 => {
                &[Kind::Nginx, Kind::Haproxy, Kind::Caddy, Kind::Portico]
            }
            Self::Http1SmallLog
            | Self::Http1Close
            | Self::TlsHandshake
            | Self::GrpcUnary
            | Self::WebsocketEcho => &[Kind::Nginx, Kind::Haproxy, Kind::Portico],
            Self::Http1Large => &[Kind::Nginx, Kind::Haproxy, Kind::HaproxySplice, Kind::Portico],
            Self::Ingress1000 | Self::TwoWorkers => &[Kind::PorticoOfFewer, Kind::Portico],
            Self::TcpRr | Self::TcpConnect => &[Kind::Haproxy, Kind::Portico],
            Self::Services10000 => &[Kind::PorticoOfFewer, Kind::Portico],
            Self::DnsHit | Self::DnsNxdomain => {
                &[Kind::Knot, Kind::Nsd, Kind::Dnsmasq, Kind::Unbound, Kind::Portico]
            }
            Self::Dns10000 => &[Kind::Knot, Kind::PorticoOfFewer, Kind::Portico],
            Self::DnsTcp => &[Kind::Knot, Kind::Nsd, Kind::Portico],
            Self::TcpBulk | Self::TcpBulk8 => &[Kind::Haproxy, Kind::HaproxySplice, Kind::Portico],
            Self::UdpEcho => &[Kind::Nginx, Kind::Portico],
            Self::LatencyAt70
            | Self::ReloadLatency
            | Self::ReloadUnderLoad
            | Self::BackendFailure
            | Self::RollingRestart
            | Self::IdleConnections
            | Self::IdleHttp
            | Self::IdleHttps
            | Self::MemoryAtScale => &[Kind::Nginx, Kind::Haproxy, Kind::Portico],
        }
    }

    /// The response code that every question gets.
    pub(crate) fn expected_rcode(self) -> &'static str {
        if self == Self::DnsNxdomain { "NXDOMAIN" } else { "NOERROR" }
    }

    /// How many addresses the backend has.
    ///
    /// A connection that a server closes keeps its port for a minute, and there are some 28,000 for
    /// each address that it leads to.
    pub(crate) fn backend_addresses(self) -> u32 {
        match self {
            Self::TcpConnect | Self::Services10000 => 16,
            _ => 1,
        }
    }

    /// How many Services there are, the one that is measured among them.
    pub(crate) fn services(self, kind: Kind) -> u32 {
        match (self, kind) {
            (Self::Services10000, Kind::PorticoOfFewer) => 10,
            (Self::Dns10000, Kind::PorticoOfFewer) => 1_000,
            (Self::Services10000 | Self::Dns10000 | Self::MemoryAtScale, _) => 10_000,
            (Self::DnsHit | Self::DnsNxdomain | Self::DnsTcp, _) => 1_000,
            _ => 1,
        }
    }

    /// How many Ingresses of [`HOSTS_OF_AN_INGRESS`] hosts there are besides the one that all
    /// scenarios have, in scenarios that ask for each of those hosts in turn.
    pub(crate) fn ingresses(self, kind: Kind) -> Option<u32> {
        match (self, kind) {
            (Self::Ingress1000, Kind::PorticoOfFewer) => Some(1),
            (Self::Ingress1000, _) => Some(1_000),
            _ => None,
        }
    }

    /// portico's workers.
    pub(crate) fn workers(self, kind: Kind) -> u8 {
        if self == Self::TwoWorkers && kind == Kind::Portico { 2 } else { 1 }
    }

    /// Connections of the load generator that are open at once, where that is wrk or one of ours.
    pub(crate) fn connections(self) -> u16 {
        if self == Self::Http1Large { 16 } else { CONNECTIONS }
    }

    /// What a unit of work may cost portico; None where none is measured.
    pub(crate) fn target(self) -> Option<Target> {
        Some(match self {
            Self::Http1Small | Self::Http1SmallLog | Self::HttpsKeepalive => {
                Target { peer: Kind::Nginx, ratio: 0.95 }
            }
            Self::Http1Large | Self::Http1Close => Target { peer: Kind::Nginx, ratio: 1.00 },
            // Three tenths more handshakes per CPU second.
            Self::TlsHandshake => Target { peer: Kind::Nginx, ratio: 1.0 / 1.3 },
            Self::Http2 | Self::GrpcUnary => Target { peer: Kind::Nginx, ratio: 0.90 },
            Self::WebsocketEcho => Target { peer: Kind::Haproxy, ratio: 1.00 },
            Self::Ingress1000 => Target { peer: Kind::PorticoOfFewer, ratio: 1.03 },
            Self::TwoWorkers => Target { peer: Kind::PorticoOfFewer, ratio: 1.10 },
            Self::TcpRr | Self::TcpConnect => Target { peer: Kind::Haproxy, ratio: 1.00 },
            Self::Services10000 => Target { peer: Kind::PorticoOfFewer, ratio: 1.05 },
            Self::DnsHit | Self::DnsNxdomain => Target { peer: Kind::Knot, ratio: 1.00 },
            Self::Dns10000 => Target { peer: Kind::PorticoOfFewer, ratio: 1.10 },
            // Eight tenths of the queries.
            Self::DnsTcp => Target { peer: Kind::Knot, ratio: 1.0 / 0.8 },
            // A tenth more bytes per CPU second.
            Self::TcpBulk | Self::TcpBulk8 => Target { peer: Kind::Haproxy, ratio: 1.0 / 1.1 },
            Self::UdpEcho => Target { peer: Kind::Nginx, ratio: 0.80 },
            Self::LatencyAt70
            | Self::ReloadLatency
            | Self::ReloadUnderLoad
            | Self::BackendFailure
            | Self::RollingRestart
            | Self::IdleConnections
            | Self::IdleHttp
            | Self::IdleHttps
            | Self::MemoryAtScale => return None,
        })
    }
}

/// Connections that the load generator keeps open.
pub(crate) const CONNECTIONS: u16 = 64;

/// Idle connections beside 10,000 Services.
const CONNECTIONS_AT_SCALE: u32 = 1_000;

/// Hosts of each Ingress, in scenarios of many Ingresses.
pub(crate) const HOSTS_OF_AN_INGRESS: u32 = 10;

/// The host that the Ingress rules and the load generator name.
pub(crate) const HOST: &str = "bench.test";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quick_run_has_scenarios_of_every_part_and_each_once() {
        let mut names = Scenario::HEADLINES.map(Scenario::name).to_vec();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Scenario::HEADLINES.len());
        for traffic in
            [Traffic::Http, Traffic::Tls, Traffic::Echo, Traffic::Datagrams, Traffic::Names]
        {
            let has = |scenario: &Scenario| scenario.traffic() == traffic;
            assert!(Scenario::HEADLINES.iter().any(has), "{traffic:?}");
        }
    }

    #[test]
    fn several_units_are_called_as_a_person_would() {
        for (scenario, want) in [
            (Scenario::Http1Small, "requests"),
            (Scenario::Http1Large, "MiB"),
            (Scenario::TcpBulk, "MB"),
            (Scenario::DnsHit, "queries"),
        ] {
            assert_eq!(scenario.units(), want);
        }
    }

    #[test]
    fn a_scenario_is_called_as_it_is_typed_and_runs_what_it_is_judged_by() {
        for scenario in Scenario::ALL {
            let typed = scenario.to_possible_value().unwrap();
            assert_eq!(typed.get_name(), scenario.name());
            let peer = scenario.target().map(|target| target.peer);
            assert!(peer.is_none_or(|peer| scenario.servers().contains(&peer)));
            assert_eq!(peer.is_none(), scenario.method() != Method::Cost);
            assert_eq!(scenario.servers().last(), Some(&Kind::Portico));
        }
    }
}
