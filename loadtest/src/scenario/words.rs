//! What a scenario is called: on the command line, in tables and in the report.

use super::Scenario;

impl Scenario {
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum;

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
    fn a_scenario_is_called_as_it_is_typed() {
        for scenario in Scenario::ALL {
            let typed = scenario.to_possible_value().unwrap();
            assert_eq!(typed.get_name(), scenario.name());
        }
    }
}
