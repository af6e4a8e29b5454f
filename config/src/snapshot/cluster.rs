//! The cluster around the Services, as far as choosing endpoints needs it: its Nodes, which of them
//! this host is, and which sources are Pods.
//!
//! Invariants: pure data with look-ups; a set of addresses copies only the parts that change.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use crate::model::IpFamily;

/// What every choice of endpoints rests on beside the Service itself.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Cluster {
    /// `--node-name`: which Node this host is.
    pub node: Option<Arc<str>>,
    /// Every Node.
    pub nodes: Arc<BTreeMap<Arc<str>, NodePlace>>,
    /// Addresses of this host's interfaces.
    pub host_addresses: Vec<IpAddr>,
    /// `--node-address`: where NodePorts listen.
    pub node_addresses: Vec<IpAddr>,
    /// `--service-cidr`.
    pub service_cidrs: Vec<IpNet>,
    /// Which sources are Pods.
    pub pods: PodDetector,
}

/// What a Node says about where it is (`services 2.6`).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct NodePlace {
    /// Label `topology.kubernetes.io/zone`.
    pub zone: Option<Arc<str>>,
    /// InternalIPs, then ExternalIPs.
    pub addresses: Vec<IpAddr>,
    /// `spec.podCIDRs`.
    pub pod_cidrs: Vec<IpNet>,
}

/// Where a flow is decided: a node, as the choice of endpoints sees it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Place {
    /// Its name; none: no endpoint is local.
    pub node: Option<Arc<str>>,
    /// Its zone; none: no zone hint names it.
    pub zone: Option<Arc<str>>,
    /// Its own addresses beside loopback.
    pub addresses: Vec<IpAddr>,
}

impl Cluster {
    /// This host's place.
    pub fn here(&self) -> Place {
        self.place(self.node.as_ref())
    }

    /// The place of a Node, or of a host that is none. Interfaces of this host count where the Node
    /// names no address, or one of them: another machine's Node is not here.
    pub fn place(&self, node: Option<&Arc<str>>) -> Place {
        let found = node.and_then(|name| self.nodes.get(name));
        let mut addresses = found.map_or_else(Vec::new, |node| node.addresses.clone());
        let here = node == self.node.as_ref();
        let same_host = |address: &IpAddr| self.host_addresses.contains(address);
        if here && (addresses.is_empty() || addresses.iter().any(same_host)) {
            addresses.extend(&self.host_addresses);
        }
        Place { node: node.cloned(), zone: found.and_then(|node| node.zone.clone()), addresses }
    }

    /// Whether NodePorts answer on an address, as far as manifests and settings say.
    pub fn is_node_address(&self, place: &Place, address: IpAddr) -> bool {
        let nodes = || self.nodes.values().flat_map(|node| &node.addresses);
        self.node_addresses.contains(&address)
            || place.addresses.contains(&address)
            // Nobody said which Node this is: any may be meant.
            || (place.node.is_none() && nodes().any(|other| *other == address))
    }
}

impl Place {
    /// Whether an address is this node's own.
    pub fn has(&self, address: IpAddr) -> bool {
        address.is_loopback() || self.addresses.contains(&address)
    }
}

/// Which sources are Pods (`services 4.3`): those inside the cluster's networks if they are known,
/// else inside the Nodes' podCIDRs, else those that are the address of a Pod.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PodDetector {
    /// `--cluster-cidr`, else every podCIDR: sorted and disjoint.
    networks: Arc<[IpNet]>,
    /// Addresses of Pods that are not on their host's network.
    addresses: AddressSet,
}

impl PodDetector {
    /// A family without networks falls back to addresses.
    pub fn new(cluster: &[IpNet], pod_cidrs: &[IpNet], addresses: AddressSet) -> Self {
        let of = |family, networks: &[IpNet]| -> Vec<IpNet> {
            let same = |network: &&IpNet| IpFamily::of(network.addr()) == family;
            networks.iter().filter(same).copied().collect()
        };
        let mut all = Vec::new();
        for family in [IpFamily::V4, IpFamily::V6] {
            let written = of(family, cluster);
            all.extend(if written.is_empty() { of(family, pod_cidrs) } else { written });
        }
        let mut networks = IpNet::aggregate(&all);
        networks.sort_unstable();
        Self { networks: networks.into(), addresses }
    }

    /// Whether a source is a Pod; none: nothing of its family tells Pods from others.
    pub fn is_pod(&self, source: IpAddr) -> Option<bool> {
        let family = IpFamily::of(source);
        let after = self
            .networks
            .partition_point(|network| network.network() <= source);
        let around = after.checked_sub(1).and_then(|at| self.networks.get(at));
        if around.is_some_and(|network| network.contains(&source)) {
            return Some(true);
        }
        let has_networks = |network: &IpNet| IpFamily::of(network.addr()) == family;
        match self.networks.iter().any(has_networks) {
            true => Some(false),
            false => self
                .addresses
                .knows(family)
                .then(|| self.addresses.contains(source)),
        }
    }
}

/// A counted set of addresses; a copy shares every shard that neither side changes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AddressSet {
    shards: Vec<Arc<BTreeMap<IpAddr, u32>>>,
    /// How many there are, IPv4 and IPv6.
    counts: (usize, usize),
}

impl Default for AddressSet {
    fn default() -> Self {
        Self { shards: vec![Arc::default(); SHARDS], counts: (0, 0) }
    }
}

impl AddressSet {
    /// Puts an address in once more.
    pub fn insert(&mut self, address: IpAddr) {
        let count = self.shard(address).entry(address).or_default();
        *count += 1;
        if *count == 1 {
            *self.count(address) += 1;
        }
    }

    /// Takes an address out once.
    pub fn remove(&mut self, address: IpAddr) {
        let shard = self.shard(address);
        let Some(count) = shard.get_mut(&address) else { return };
        *count -= 1;
        if *count == 0 {
            shard.remove(&address);
            *self.count(address) -= 1;
        }
    }

    /// Whether it is in.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.shards[index(address)].contains_key(&address)
    }

    /// Whether any address of a family is in.
    pub fn knows(&self, family: IpFamily) -> bool {
        match family {
            IpFamily::V4 => self.counts.0 > 0,
            IpFamily::V6 => self.counts.1 > 0,
        }
    }

    fn shard(&mut self, address: IpAddr) -> &mut BTreeMap<IpAddr, u32> {
        Arc::make_mut(&mut self.shards[index(address)])
    }

    fn count(&mut self, address: IpAddr) -> &mut usize {
        if address.is_ipv4() { &mut self.counts.0 } else { &mut self.counts.1 }
    }
}

/// The shard of an address, by its last byte.
fn index(address: IpAddr) -> usize {
    let last = match address {
        IpAddr::V4(address) => address.octets()[3],
        IpAddr::V6(address) => address.octets()[15],
    };
    usize::from(last)
}

/// One for each value of a byte.
const SHARDS: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn nets(texts: &[&str]) -> Vec<IpNet> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn pods_are_told_by_the_best_that_is_known() {
        let mut known = AddressSet::default();
        known.insert(ip("10.0.0.7"));
        let none = AddressSet::default();
        for (case, cluster, nodes, addresses, source, want) in [
            ("nothing known", &[][..], &[][..], &none, "10.0.0.7", None),
            ("a Pod's address", &[], &[], &known, "10.0.0.7", Some(true)),
            ("no Pod's address", &[], &[], &known, "10.0.0.8", Some(false)),
            ("no Pod of the family", &[], &[], &known, "fd00::7", None),
            ("a podCIDR", &[], &["10.1.0.0/24", "10.1.1.0/24"], &known, "10.1.1.9", Some(true)),
            ("podCIDRs win over addresses", &[], &["10.1.0.0/24"], &known, "10.0.0.7", Some(false)),
            ("before every network", &[], &["10.1.0.0/24"], &none, "9.9.9.9", Some(false)),
            (
                "networks win over podCIDRs",
                &["10.2.0.0/16"],
                &["10.1.0.0/24"],
                &none,
                "10.1.0.1",
                Some(false),
            ),
            ("a network", &["10.2.0.0/16"], &["10.1.0.0/24"], &none, "10.2.255.1", Some(true)),
            ("families apart", &["fd00::/48"], &["10.1.0.0/24"], &none, "10.1.0.1", Some(true)),
        ] {
            let detector = PodDetector::new(&nets(cluster), &nets(nodes), addresses.clone());
            assert_eq!(detector.is_pod(ip(source)), want, "{case}");
        }
    }

    #[test]
    fn an_address_is_in_until_it_is_taken_out_as_often() {
        let mut set = AddressSet::default();
        let address = ip("10.0.0.1");
        set.insert(address);
        set.insert(address);
        let copy = set.clone();
        set.remove(address);
        assert!(set.contains(address) && set.knows(IpFamily::V4));
        set.remove(address);
        set.remove(address);
        assert!(!set.contains(address) && !set.knows(IpFamily::V4));
        assert!(copy.contains(address), "a copy is another set");
    }

    #[test]
    fn interfaces_of_this_host_are_its_nodes_unless_the_node_is_elsewhere() {
        let node = |addresses: &[&str]| NodePlace {
            zone: Some("z".into()),
            addresses: addresses.iter().map(|text| ip(text)).collect(),
            pod_cidrs: Vec::new(),
        };
        let nodes = BTreeMap::from([
            ("here".into(), node(&["192.0.2.1"])),
            ("silent".into(), node(&[])),
            ("other".into(), node(&["192.0.2.9"])),
        ]);
        for (name, local, foreign) in [
            (Some("here"), "172.16.0.1", "192.0.2.9"),
            (Some("silent"), "172.16.0.1", "192.0.2.9"),
            (Some("other"), "192.0.2.9", "172.16.0.1"),
            (None, "172.16.0.1", "192.0.2.9"),
        ] {
            let cluster = Cluster {
                node: name.map(Into::into),
                nodes: Arc::new(nodes.clone()),
                host_addresses: vec![ip("192.0.2.1"), ip("172.16.0.1")],
                ..Cluster::default()
            };
            let place = cluster.here();
            assert!(place.has(ip("127.0.0.1")) && place.has(ip(local)), "{name:?}");
            assert!(!place.has(ip(foreign)), "{name:?}");
            assert_eq!(place.zone.is_some(), name.is_some(), "{name:?}");
        }
    }
}
