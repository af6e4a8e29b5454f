//! Words about traffic that manifests and planes share: IP families, traffic policies, balancing and
//! the PROXY protocol.

use std::fmt;
use std::net::IpAddr;

/// `IPFamily`.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum IpFamily {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl IpFamily {
    /// The family of an address.
    pub fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }

    /// The other one.
    pub fn other(self) -> Self {
        match self {
            Self::V4 => Self::V6,
            Self::V6 => Self::V4,
        }
    }
}

impl fmt::Display for IpFamily {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        })
    }
}

/// `internalTrafficPolicy`, `externalTrafficPolicy`: which endpoints a front may choose.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum TrafficPolicy {
    /// All.
    #[default]
    Cluster,
    /// Those of this node.
    Local,
}

impl fmt::Display for TrafficPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cluster => "Cluster",
            Self::Local => "Local",
        })
    }
}

/// Annotation `portico.dev/balance`: which endpoint of a set a new flow goes to.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Balance {
    /// One after the other, by weight, exact over all workers.
    #[default]
    RoundRobin,
    /// Any, by weight.
    Random,
    /// The one with the fewest open connections and requests for its weight.
    LeastConnections,
    /// Of two drawn at random, the one whose latency and load promise the sooner answer.
    Ewma,
    /// By the client's address: the same one while the set stays as it is.
    Maglev,
}

impl Balance {
    /// Every one as annotations write it; its first spelling is the one that is shown.
    pub const SPELLINGS: [(&'static str, Self); 9] = [
        ("round_robin", Self::RoundRobin),
        ("random", Self::Random),
        ("least_connections", Self::LeastConnections),
        ("ewma", Self::Ewma),
        ("maglev", Self::Maglev),
        ("roundrobin", Self::RoundRobin),
        ("leastconn", Self::LeastConnections),
        ("least_request", Self::LeastConnections),
        ("source", Self::Maglev),
    ];
}

impl fmt::Display for Balance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let same = |(_, balance): &&(&str, Self)| balance == self;
        f.write_str(
            Self::SPELLINGS
                .iter()
                .find(same)
                .map_or("", |(name, _)| name),
        )
    }
}

/// `portico.dev/proxy-protocol`: what stands in front of a Service's connections. The default is
/// nothing on either side; it is never guessed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ProxyProtocol {
    /// `in`: every client begins with a header, of either version, that says for whom it stands.
    pub accepts: bool,
    /// `v1`, `v2`: every endpoint is sent a header of this version.
    pub sends: Option<ProxyVersion>,
}

/// Versions of the PROXY protocol.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ProxyVersion {
    /// A line of text.
    V1,
    /// Binary.
    V2,
}
