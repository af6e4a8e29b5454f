//! What is measured: the scenarios, and how each is driven.
//!
//! Everything that differs between scenarios is said here in one `match` each, or below: what they are called in
//! `words`, whom they compare and what is wanted in `target`. The other modules ask.

mod target;
mod words;

use clap::ValueEnum;

pub(crate) use self::target::Target;
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

    /// The connections of a scenario of bytes in bulk, as iperf3 has them; None for the others.
    pub(crate) fn streams(self) -> Option<u8> {
        match self {
            Self::TcpBulk => Some(1),
            Self::TcpBulk8 => Some(8),
            _ => None,
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
}
