//! ClusterIPs and NodePorts where manifests are silent (`services 5`).
//!
//! Explicit values are reserved first, over all Services; then the assignments of before; then the
//! rest is allocated in the order of names: a stable hash of the name, then the next free one, the
//! static band last. So neither the order of files nor an unrelated Service moves an address.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::{Draft, Inputs, finding};
use crate::compile::age;
use crate::diagnostic::{Code, Diagnostic};
use crate::location::FieldPath;
use crate::model::{ClusterIps, ObjectName};
use crate::snapshot::{Assignments, Reach};
use crate::validate::Exposure;

/// Gives every draft its addresses and NodePorts.
pub(super) fn allocate(
    drafts: &mut [Draft<'_>],
    inputs: &Inputs<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Assignments {
    let mut assignments = Assignments::default();
    cluster_ips(drafts, inputs, &mut assignments, diagnostics);
    node_ports(drafts, inputs, &mut assignments, diagnostics);
    assignments
}

fn cluster_ips(
    drafts: &mut [Draft<'_>],
    inputs: &Inputs<'_>,
    assignments: &mut Assignments,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let mut taken: HashMap<IpAddr, ObjectName> = HashMap::new();
    let keep = inputs.settings.cluster_ips == ClusterIps::Keep;
    // (a) What manifests ask for and this host can bind; the older Service first.
    for at in by_age(drafts) {
        let draft = &mut drafts[at];
        let Exposure::ClusterIp(requested) = &draft.service.exposure else { continue };
        let name = &draft.object.valid.name;
        let mut got = Vec::new();
        for address in requested {
            if !keep && !inputs.facts.can_bind(*address) {
                continue;
            }
            if let Some(owner) = taken.get(address) {
                let text = format!("{address} is already allocated to Service {owner}");
                diagnostics.push(finding(
                    Code::ClusterIpTaken,
                    draft.object,
                    "spec.clusterIP",
                    text,
                ));
                continue;
            }
            taken.insert(*address, name.clone());
            got.push(*address);
        }
        draft.reach = Reach::ClusterIp(got);
    }
    if keep {
        return;
    }
    // (b) and (c): before, then anew, once per family that has a network and no address yet.
    for anew in [false, true] {
        for draft in drafts.iter_mut() {
            let Reach::ClusterIp(got) = &mut draft.reach else { continue };
            let Exposure::ClusterIp(requested) = &draft.service.exposure else { continue };
            let name = &draft.object.valid.name;
            let before = inputs.previous.assignments.cluster_ips.get(name);
            for network in families(requested, &inputs.settings.service_cidrs) {
                if got
                    .iter()
                    .any(|address| address.is_ipv4() == is_ipv4(network))
                {
                    continue;
                }
                let free = |address: &IpAddr| !taken.contains_key(address);
                let address = if anew {
                    candidates(network, name).find(free)
                } else {
                    let before = before.into_iter().flatten().copied();
                    before
                        .filter(|address| network.contains(address))
                        .find(free)
                };
                let Some(address) = address else {
                    if anew {
                        let text = format!("no address is left in the service CIDR {network}");
                        diagnostics.push(finding(
                            Code::ClusterIpsExhausted,
                            draft.object,
                            "spec.clusterIP",
                            text,
                        ));
                    }
                    continue;
                };
                taken.insert(address, name.clone());
                got.push(address);
                let kept = assignments.cluster_ips.entry(name.clone()).or_default();
                kept.push(address);
            }
        }
    }
}

/// The networks to allocate from: those of the families that the manifest asks for, else the first.
fn families<'a>(requested: &[IpAddr], networks: &'a [IpNet]) -> Vec<&'a IpNet> {
    let first_of = |ipv4| networks.iter().find(|network| is_ipv4(network) == ipv4);
    let mut found: Vec<_> = requested
        .iter()
        .filter_map(|address| first_of(address.is_ipv4()))
        .collect();
    found.dedup();
    if found.is_empty() {
        found.extend(networks.first());
    }
    found
}

fn is_ipv4(network: &IpNet) -> bool {
    matches!(network, IpNet::V4(_))
}

/// Every address of a network in the order in which a name may have it: the dynamic band from the
/// name's hash on, then the static band.
fn candidates(network: &IpNet, name: &ObjectName) -> impl Iterator<Item = IpAddr> {
    let (base, bits) = match network {
        IpNet::V4(network) => (u128::from(u32::from(network.network())), 32),
        IpNet::V6(network) => (u128::from(network.network()), 128),
    };
    let ipv4 = is_ipv4(network);
    let host_bits = (bits - u32::from(network.prefix_len())).min(MAX_HOST_BITS);
    let size = 1_u64 << host_bits;
    // Without the network's own address and, for IPv4, the broadcast address.
    let usable = size.saturating_sub(1 + u64::from(ipv4));
    let family = if ipv4 { "IPv4" } else { "IPv6" };
    // The first usable address belongs to `default/kubernetes` in every cluster.
    let offsets =
        probe(hash(&format!("{name}/{family}")), usable, static_band(size)).filter(|&n| n != 0);
    offsets.map(move |offset| {
        let address = base + 1 + u128::from(offset);
        match u32::try_from(address) {
            Ok(address) if ipv4 => Ipv4Addr::from(address).into(),
            _ => Ipv6Addr::from(address).into(),
        }
    })
}

/// `services 5`: `min(max(16, size/16), 256)`, none in tiny networks.
fn static_band(size: u64) -> u64 {
    if size <= 16 { 0 } else { (size / 16).clamp(16, 256) }
}

/// Every number below `size` once: the part behind the first `band` from `start` on, then the band.
fn probe(start: u64, size: u64, band: u64) -> impl Iterator<Item = u64> {
    let dynamic = size.saturating_sub(band);
    let first = start.checked_rem(dynamic).unwrap_or(0);
    (0..dynamic)
        .map(move |step| band + (first + step) % dynamic)
        .chain(0..band.min(size))
}

fn node_ports(
    drafts: &mut [Draft<'_>],
    inputs: &Inputs<'_>,
    assignments: &mut Assignments,
    diagnostics: &mut Vec<Diagnostic>,
) {
    // A NodePort is taken per protocol; ports of one Service with one number share it.
    let mut taken: BTreeMap<u16, ObjectName> = BTreeMap::new();
    for at in by_age(drafts) {
        let draft = &mut drafts[at];
        let name = &draft.object.valid.name;
        for (index, port) in draft.service.ports.iter().enumerate() {
            let Some(wanted) = port.node_port else { continue };
            match taken.get(&wanted) {
                Some(owner) if owner != name => {
                    let field = FieldPath::from("spec.ports").index(index).key("nodePort");
                    let text = format!("{wanted} is already allocated to Service {owner}");
                    diagnostics.push(finding(Code::NodePortTaken, draft.object, field, text));
                }
                _ => {
                    taken.insert(wanted, name.clone());
                    draft.node_ports[index] = Some(wanted);
                }
            }
        }
    }
    for anew in [false, true] {
        for draft in drafts.iter_mut().filter(|draft| draft.service.node_ports) {
            let name = &draft.object.valid.name;
            for index in 0..draft.service.ports.len() {
                let number = draft.service.ports[index].port;
                let same = |other: usize| draft.service.ports[other].port == number;
                let shared = (0..draft.service.ports.len())
                    .filter(|&other| same(other))
                    .find_map(|other| draft.node_ports[other]);
                if draft.node_ports[index].is_some() {
                    continue;
                }
                let key = (name.clone(), number);
                let free = |port: &u16| !taken.contains_key(port);
                let found = shared.or_else(|| match anew {
                    false => inputs
                        .previous
                        .assignments
                        .node_ports
                        .get(&key)
                        .copied()
                        .filter(free),
                    true => node_port_candidates(name, number).find(free),
                });
                let Some(found) = found else {
                    if anew {
                        let text = "no port is left in 30000-32767";
                        diagnostics.push(finding(
                            Code::NodePortsExhausted,
                            draft.object,
                            "spec.ports",
                            text,
                        ));
                    }
                    continue;
                };
                taken.insert(found, name.clone());
                draft.node_ports[index] = Some(found);
                if shared.is_none() {
                    assignments.node_ports.insert(key, found);
                }
            }
        }
    }
}

fn node_port_candidates(name: &ObjectName, port: u16) -> impl Iterator<Item = u16> {
    let size = u64::from(LAST_NODE_PORT - FIRST_NODE_PORT) + 1;
    let band = (size / 32).clamp(16, 128);
    probe(hash(&format!("{name}/{port}")), size, band)
        .filter_map(|offset| u16::try_from(offset).ok()?.checked_add(FIRST_NODE_PORT))
}

/// Indexes of the drafts, the one that wins ties first.
fn by_age(drafts: &[Draft<'_>]) -> Vec<usize> {
    let mut order: Vec<_> = (0..drafts.len()).collect();
    order.sort_by_key(|&at| age(drafts[at].object));
    order
}

/// FNV-1a with a final mix: the same on every platform and in every release, since addresses hang
/// on it.
fn hash(text: &str) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in text.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^ (hash >> 33)
}

const FIRST_NODE_PORT: u16 = 30_000;
const LAST_NODE_PORT: u16 = 32_767;
/// Larger networks are used only in their first part.
const MAX_HOST_BITS: u32 = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_are_every_address_once_and_the_static_band_comes_last() {
        let network: IpNet = "10.96.0.0/24".parse().unwrap();
        let name = ObjectName::new("default", "web");
        let all: Vec<_> = candidates(&network, &name).collect();
        let unique: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!((all.len(), unique.len()), (253, 253), "all but network, broadcast and first");
        let band: IpAddr = "10.96.0.16".parse().unwrap();
        assert!(all[..238].iter().all(|address| *address > band), "services 5: dynamic first");
        assert_eq!(all, candidates(&network, &name).collect::<Vec<_>>());
    }

    #[test]
    fn node_ports_come_from_30086_up_first() {
        let name = ObjectName::new("default", "web");
        let ports: Vec<_> = node_port_candidates(&name, 80).collect();
        assert_eq!(ports.len(), 2768);
        assert!(ports[..2682].iter().all(|port| *port >= 30_086));
        assert_eq!(ports.iter().min(), Some(&30_000));
        assert_eq!(ports.iter().max(), Some(&32_767));
    }
}
