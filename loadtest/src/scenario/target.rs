//! Whom portico is compared with in a scenario, and what it may cost.

use super::Scenario;
use crate::server::Kind;

/// The most that a unit of work may cost in portico, as a multiple of what it costs in `peer`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Target {
    pub(crate) peer: Kind,
    pub(crate) ratio: f64,
}

impl Scenario {
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

    /// What portico may have resident with all idle connections open, in 10^6 bytes.
    pub(crate) fn most_memory_mb(self) -> Option<f64> {
        match self {
            Self::IdleConnections => Some(100.0),
            Self::IdleHttps => Some(250.0),
            _ => None,
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Method;

    #[test]
    fn a_scenario_runs_whom_it_is_judged_by() {
        for scenario in Scenario::ALL {
            let peer = scenario.target().map(|target| target.peer);
            assert!(peer.is_none_or(|peer| scenario.servers().contains(&peer)));
            assert_eq!(peer.is_none(), scenario.method() != Method::Cost);
            assert_eq!(scenario.servers().last(), Some(&Kind::Portico));
        }
    }
}
