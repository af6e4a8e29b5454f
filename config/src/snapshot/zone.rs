//! What the resolver is authoritative for, beside the Services themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use crate::model::{AutopathFrom, HostPattern, ObjectName, PodsMode, StaticRecord};

/// Zones and hosts.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Zones {
    /// Cluster zones, lower case, no trailing dot; the first is primary: PTR answers name it.
    pub cluster_domains: Vec<Arc<str>>,
    /// Zones with the same content under another name.
    pub alias_zones: Vec<Arc<str>>,
    /// Networks whose reverse zones are ours: unknown addresses inside are NXDOMAIN.
    pub reverse: Vec<IpNet>,
    /// Zones that hold hosts alone.
    pub host_suffixes: Vec<Arc<str>>,
    /// Hosts of Ingresses and Services and where they are served; sorted by host, each once.
    pub hosts: Vec<HostRecord>,
    /// What settings and hosts files say of names, which comes before all else; those of settings
    /// first.
    pub records: Arc<[StaticRecord]>,
    /// Zones in which a name that does not exist is asked of others.
    pub fallthrough: Vec<Arc<str>>,
    /// Whether the search path of a Pod that asks is walked for it.
    pub autopath: bool,
    /// Clients for whom it is walked as for Pods of a namespace.
    pub autopath_from: Vec<AutopathFrom>,
    /// Where it goes on behind the zone that is asked: the host's own search domains.
    pub autopath_search: Vec<Arc<str>>,
    /// Namespaces that exist, by a Namespace object or because any object lives in one, and have
    /// names.
    pub namespaces: BTreeSet<Arc<str>>,
    /// Namespaces that have names at all; none: all.
    pub exposed: Option<BTreeSet<Arc<str>>>,
    /// Which names of Pods there are.
    pub pods: PodsMode,
    /// Whether a Service without a ready endpoint has no name.
    pub ignore_empty_service: bool,
    /// Whether a wildcard among `records` is for names of one label more alone.
    pub are_wildcards_shallow: bool,
    /// The largest datagram that is sent.
    pub udp_size: UdpSize,
    /// What is told of the server itself; none: nothing.
    pub chaos: Option<Arc<Chaos>>,
    /// TTL of every local record and SOA minimum.
    pub ttl_seconds: u32,
    /// SOA serial: seconds since 1970 of this change, never smaller than the one before + 1.
    pub serial: u32,
}

/// Octets of a datagram, `512..=4096`; 1232 unless settings say otherwise.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct UdpSize(u16);

impl UdpSize {
    /// The size nearest to `octets` that there is.
    pub fn nearest(octets: usize) -> Self {
        Self(u16::try_from(octets).map_or(4096, |octets| octets.clamp(512, 4096)))
    }

    /// The number.
    pub fn octets(self) -> u16 {
        self.0
    }
}

impl Default for UdpSize {
    fn default() -> Self {
        Self(1232)
    }
}

/// What TXT questions of class CH are answered with (RFC 4892).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Chaos {
    /// `id.server` and `hostname.bind`, at most 64 octets; none: that is refused.
    pub server: Option<Arc<str>>,
}

impl Zones {
    /// Whether a namespace has names at all.
    pub fn exposes(&self, namespace: &str) -> bool {
        let exposed = self.exposed.as_ref();
        exposed.is_none_or(|exposed| exposed.contains(namespace))
    }
}

/// Addresses of Pods by namespace: what names below `pod.<zone>` are checked against (`dns 1.9`).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PodNames {
    /// How many Pods of each namespace have each address; generations share what is the same.
    by_namespace: BTreeMap<Arc<str>, Arc<BTreeMap<IpAddr, u32>>>,
}

impl PodNames {
    /// Whether a Pod of `namespace` has `address`.
    pub fn has(&self, namespace: &str, address: IpAddr) -> bool {
        let of_namespace = self.by_namespace.get(namespace);
        of_namespace.is_some_and(|addresses| addresses.contains_key(&address))
    }

    /// Each namespace with each address that a Pod of it has.
    pub fn iter(&self) -> impl Iterator<Item = (&str, IpAddr)> {
        self.by_namespace.iter().flat_map(|(namespace, addresses)| {
            addresses
                .keys()
                .map(move |address| (&**namespace, *address))
        })
    }

    /// One Pod more that has `address`.
    pub(crate) fn insert(&mut self, namespace: &Arc<str>, address: IpAddr) {
        let of_namespace = self.by_namespace.entry(Arc::clone(namespace)).or_default();
        *Arc::make_mut(of_namespace).entry(address).or_default() += 1;
    }

    /// One Pod less.
    pub(crate) fn remove(&mut self, namespace: &Arc<str>, address: IpAddr) {
        let Some(of_namespace) = self.by_namespace.get_mut(namespace) else { return };
        let addresses = Arc::make_mut(of_namespace);
        let Some(count) = addresses.get_mut(&address) else { return };
        *count -= 1;
        if *count == 0 {
            addresses.remove(&address);
        }
        if addresses.is_empty() {
            self.by_namespace.remove(namespace);
        }
    }
}

/// A host with the addresses that serve it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HostRecord {
    /// Exact or `*.suffix`; never [`HostPattern::Any`].
    pub host: HostPattern,
    /// Its addresses; unspecified ones (`0.0.0.0`) mean the address asked.
    pub addresses: Vec<IpAddr>,
    /// The name that it is an alias of, in the place of addresses; lower case, no trailing dot.
    pub alias: Option<Arc<str>>,
    /// Its own TTL; none: that of every local record.
    pub ttl_seconds: Option<u32>,
    /// Who names it first.
    pub owner: HostOwner,
}

/// The object that names a host.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum HostOwner {
    /// An Ingress.
    Ingress(ObjectName),
    /// A Service of type LoadBalancer.
    Service(ObjectName),
}

impl fmt::Display for HostOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ingress(name) => write!(f, "Ingress {name}"),
            Self::Service(name) => write!(f, "Service {name}"),
        }
    }
}
