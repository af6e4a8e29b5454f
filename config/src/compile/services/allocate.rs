//! ClusterIPs, NodePorts and healthCheckNodePorts where manifests are silent (`services 5`).
//!
//! Explicit values are reserved first, over all Services; then the assignments of before; then the
//! rest is allocated in the order of names: a stable hash of the name, then the next free one, the
//! static band last. So neither the order of files nor an unrelated Service moves an address. Of
//! two Services that ask for one value the older keeps it, and the other goes without.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ipnet::IpNet;

use super::traffic::{families, unserved};
use super::{Allocation, Inputs, Objects, Placement, as_service, finding};
use crate::compile::objects::age;
use crate::diagnostic::{Code, Diagnostic};
use crate::location::FieldPath;
use crate::model::{ClusterIps, IpFamily, ObjectName, Settings, TrafficPolicy};
use crate::snapshot::{Assignments, Reach};
use crate::validate::{self, Exposure, InUse, LoadBalancerIngress};

/// A Service that is to be placed.
struct Draft<'a> {
    object: &'a InUse,
    service: &'a validate::Service,
    reach: Reach,
    /// Of each port, then of the health check.
    wishes: Vec<Wish>,
    /// What came of each wish.
    node_ports: Vec<Option<u16>>,
}

/// A port out of the one pool of NodePorts, which health checks share.
struct Wish {
    /// What it is for: the number of the Service's port; 0 for the health check.
    number: u16,
    /// What the manifest asks for.
    asked: Option<u16>,
    /// Whether it gets one where the manifest is silent.
    automatic: bool,
    field: FieldPath,
}

impl Draft<'_> {
    fn name(&self) -> &ObjectName {
        &self.object.valid.name
    }
}

/// Gives every Service its addresses and NodePorts.
pub(super) fn allocate(objects: &Objects, inputs: &Inputs<'_>) -> Allocation {
    let services = objects.services.values().filter_map(as_service);
    let mut drafts: Vec<Draft<'_>> = services
        .map(|(object, service)| {
            let reach = match &service.exposure {
                Exposure::ClusterIp(_) => Reach::ClusterIp(Vec::new()),
                Exposure::Headless => Reach::Headless,
                Exposure::ExternalName(name) => Reach::ExternalName(name.clone()),
            };
            let wishes = wishes(service);
            let node_ports = vec![None; wishes.len()];
            Draft { object, service, reach, wishes, node_ports }
        })
        .collect();
    let order = by_age(&drafts);
    let mut allocation = Allocation::default();
    let Allocation { assignments, diagnostics, .. } = &mut allocation;
    for draft in &drafts {
        unserved(draft.object, draft.service, inputs, diagnostics);
    }
    cluster_ips(&mut drafts, &order, inputs, assignments, diagnostics);
    node_ports(&mut drafts, &order, inputs, assignments, diagnostics);
    for &at in &order {
        let draft = &drafts[at];
        let name = draft.name();
        for (index, port) in draft.service.ports.iter().enumerate() {
            let cluster = match &draft.reach {
                Reach::ClusterIp(addresses) => &addresses[..],
                Reach::Headless | Reach::ExternalName(_) => &[],
            };
            let cluster = cluster.iter().map(|ip| SocketAddr::new(*ip, port.port));
            let node_port = draft.node_ports.get(index).copied().flatten();
            let nodes = node_port.into_iter().flat_map(|port| {
                let addresses = inputs.settings.node_addresses.iter();
                addresses.map(move |ip| SocketAddr::new(*ip, port))
            });
            let service = draft.service;
            let outside = service.external_ips.iter().copied().chain(vips(service));
            let outside = outside.map(|ip| SocketAddr::new(ip, port.port));
            for front in cluster.chain(nodes).chain(outside) {
                let node = || (name.clone(), index);
                allocation.fronts.claim(front, port.protocol, node);
            }
        }
    }
    for draft in drafts {
        let name = draft.name().clone();
        let mut node_ports = draft.node_ports;
        let health_check = node_ports.split_off(draft.service.ports.len());
        let health_check_node_port = health_check.into_iter().next().flatten();
        let placement = Placement { reach: draft.reach, node_ports, health_check_node_port };
        allocation.placed.insert(name, placement);
    }
    allocation
}

/// What a Service wants of the pool: a number for each port, then one for its health check.
fn wishes(service: &validate::Service) -> Vec<Wish> {
    let ports = service.ports.iter().enumerate().map(|(index, port)| Wish {
        number: port.port,
        asked: port.node_port,
        automatic: service.node_ports,
        field: FieldPath::from("spec.ports").index(index),
    });
    let mut wishes: Vec<Wish> = ports.collect();
    if let Some(balancer) = &service.load_balancer
        && service.traffic.external == TrafficPolicy::Local
    {
        wishes.push(Wish {
            number: HEALTH_CHECK,
            asked: balancer.health_check_node_port,
            automatic: true,
            field: FieldPath::from("spec.healthCheckNodePort"),
        });
    }
    wishes
}

/// Addresses that a load balancer reported and nodes accept themselves.
fn vips(service: &validate::Service) -> impl Iterator<Item = IpAddr> + '_ {
    let balancer = service.load_balancer.iter();
    balancer
        .flat_map(|balancer| &balancer.ingress)
        .filter_map(|place| match place {
            LoadBalancerIngress::Ip { address, vip: true } => Some(*address),
            _ => None,
        })
}

/// What manifests ask for and this host can bind; the older Service first. Returns the families
/// that a Service asked for in vain: it gets nothing else in their place.
fn explicit_cluster_ips(
    drafts: &mut [Draft<'_>],
    order: &[usize],
    inputs: &Inputs<'_>,
    taken: &mut HashMap<IpAddr, ObjectName>,
    diagnostics: &mut Vec<Diagnostic>,
) -> HashSet<(usize, bool)> {
    let keep = inputs.settings.cluster_ips == ClusterIps::Keep;
    let mut denied = HashSet::new();
    for &at in order {
        let draft = &mut drafts[at];
        let Exposure::ClusterIp(requested) = &draft.service.exposure else { continue };
        // What another proxy serves is where it says.
        let keep = keep || draft.service.other_proxy.is_some();
        let mut got = Vec::new();
        for address in requested {
            if !keep && !inputs.facts.can_bind(*address) {
                continue;
            }
            if let Some(owner) = taken.get(address) {
                let text = format!(
                    "failed to allocate IP {address}: provided IP is already allocated, to Service \
                     {owner}"
                );
                let found = finding(Code::ClusterIpTaken, draft.object, "spec.clusterIP", text);
                diagnostics.push(found.help("leave clusterIP out, or choose another address"));
                denied.insert((at, address.is_ipv4()));
                continue;
            }
            taken.insert(*address, draft.name().clone());
            got.push(*address);
        }
        draft.reach = Reach::ClusterIp(got);
    }
    denied
}

fn cluster_ips(
    drafts: &mut [Draft<'_>],
    order: &[usize],
    inputs: &Inputs<'_>,
    assignments: &mut Assignments,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let mut taken: HashMap<IpAddr, ObjectName> = HashMap::new();
    let denied = explicit_cluster_ips(drafts, order, inputs, &mut taken, diagnostics);
    if inputs.settings.cluster_ips == ClusterIps::Keep {
        return;
    }
    // The assignments of before, then anew: once per family that has a network and no address yet.
    for anew in [false, true] {
        for (at, draft) in drafts.iter_mut().enumerate() {
            let Reach::ClusterIp(got) = &mut draft.reach else { continue };
            let name = &draft.object.valid.name;
            let before = inputs.previous.assignments.cluster_ips.get(name);
            for network in networks(draft.service, inputs.settings) {
                let ipv4 = is_ipv4(network);
                if denied.contains(&(at, ipv4)) || got.iter().any(|ip| ip.is_ipv4() == ipv4) {
                    continue;
                }
                let free = |address: &IpAddr| !taken.contains_key(address);
                let mut before = before.into_iter().flatten().copied();
                // Another network counts for new Services, and for all at the next start.
                let runs = inputs.previous.generation > 0;
                let before = before.find(|address| {
                    network.contains(address) || (runs && address.is_ipv4() == ipv4)
                });
                let address = match (anew, before) {
                    (false, before) => before.filter(free),
                    (true, _) => candidates(network, name).find(free),
                };
                let Some(address) = address else {
                    if anew {
                        let text = format!("no address is left in the service CIDR {network}");
                        let code = Code::ClusterIpsExhausted;
                        diagnostics.push(finding(code, draft.object, "spec.clusterIP", text));
                    }
                    continue;
                };
                if anew && let Some(before) = before {
                    diagnostics.push(evicted(draft.object, "spec.clusterIP", before, address));
                }
                taken.insert(address, name.clone());
                got.push(address);
                let kept = assignments.cluster_ips.entry(name.clone()).or_default();
                kept.push(address);
            }
        }
    }
    for draft in drafts {
        let Reach::ClusterIp(got) = &mut draft.reach else { continue };
        let order = families(draft.service, inputs.settings);
        let place = |ip: &IpAddr| order.iter().position(|family| *family == IpFamily::of(*ip));
        got.sort_by_key(|ip| place(ip).unwrap_or(order.len()));
    }
}

/// `services 5`: an explicit value takes a dynamic one away.
fn evicted(
    object: &InUse,
    field: impl Into<FieldPath>,
    before: impl std::fmt::Display,
    now: impl std::fmt::Display,
) -> Diagnostic {
    let text = format!("moves from {before} to {now}: another Service asks for {before} by value");
    finding(Code::Evicted, object, field, text).help("write the value that it shall keep")
}

/// The networks to allocate from: those of the Service's families, else the first.
fn networks<'a>(service: &validate::Service, settings: &'a Settings) -> Vec<&'a IpNet> {
    let cidrs = &settings.service_cidrs;
    let of = |family| {
        cidrs
            .iter()
            .find(|cidr| IpFamily::of(cidr.addr()) == family)
    };
    let mut found: Vec<_> = families(service, settings)
        .into_iter()
        .filter_map(of)
        .collect();
    if found.is_empty() {
        found.extend(cidrs.first());
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
    // The first usable address belongs to `default/kubernetes`, as in every cluster.
    let first = (&*name.namespace, &*name.name) == ("default", "kubernetes") && usable > 0;
    let others =
        probe(hash(&format!("{name}/{family}")), usable, static_band(size)).filter(|&n| n != 0);
    let offsets = first.then_some(0).into_iter().chain(others);
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
    order: &[usize],
    inputs: &Inputs<'_>,
    assignments: &mut Assignments,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let (mut taken, denied) = explicit_node_ports(drafts, order, diagnostics);
    let previous = &inputs.previous.assignments.node_ports;
    for anew in [false, true] {
        for (at, draft) in drafts.iter_mut().enumerate() {
            let name = draft.name().clone();
            for index in 0..draft.wishes.len() {
                let Wish { number, automatic, .. } = draft.wishes[index];
                let is_done = draft.node_ports[index].is_some() || denied.contains(&(at, index));
                if is_done || !automatic {
                    continue;
                }
                // Ports of one Service with one number share a NodePort.
                let same = |other: &usize| draft.wishes[*other].number == number;
                let mut same = (0..draft.wishes.len()).filter(same);
                let shared = same.find_map(|other| draft.node_ports[other]);
                let key = (name.clone(), number);
                let before = previous.get(&key).copied();
                let free = |port: &u16| !taken.contains_key(port);
                let found = shared.or_else(|| match anew {
                    false => before.filter(free),
                    true => node_port_candidates(&name, number).find(free),
                });
                let field = || draft.wishes[index].field.clone();
                let Some(found) = found else {
                    if anew {
                        let text = "no port is left in 30000-32767";
                        let code = Code::NodePortsExhausted;
                        diagnostics.push(finding(code, draft.object, field(), text));
                    }
                    continue;
                };
                if shared.is_none() {
                    if let Some(before) = before.filter(|before| *before != found) {
                        diagnostics.push(evicted(draft.object, field(), before, found));
                    }
                    assignments.node_ports.insert(key, found);
                }
                taken.insert(found, name.clone());
                draft.node_ports[index] = Some(found);
            }
        }
    }
}

/// Who holds which NodePort.
type Holders = BTreeMap<u16, ObjectName>;

/// What manifests ask for, the older Service first; and the ports that asked in vain. A NodePort is
/// taken for every protocol: one pool serves all.
fn explicit_node_ports(
    drafts: &mut [Draft<'_>],
    order: &[usize],
    diagnostics: &mut Vec<Diagnostic>,
) -> (Holders, BTreeSet<(usize, usize)>) {
    let mut taken = Holders::new();
    let mut denied = BTreeSet::new();
    for &at in order {
        let draft = &mut drafts[at];
        let name = &draft.object.valid.name;
        for (index, wish) in draft.wishes.iter().enumerate() {
            let Some(wanted) = wish.asked else { continue };
            match taken.get(&wanted) {
                Some(owner) if owner != name => {
                    let is_health_check = wish.number == HEALTH_CHECK;
                    let field = match is_health_check {
                        true => wish.field.clone(),
                        false => wish.field.key("nodePort"),
                    };
                    let name = if is_health_check { "healthCheckNodePort" } else { "nodePort" };
                    let text =
                        format!("{wanted}: provided port is already allocated, to Service {owner}");
                    let found = finding(Code::NodePortTaken, draft.object, field, text);
                    let help = format!("leave {name} out, or choose another port");
                    diagnostics.push(found.help(help));
                    denied.insert((at, index));
                }
                _ => {
                    taken.insert(wanted, name.clone());
                    draft.node_ports[index] = Some(wanted);
                }
            }
        }
    }
    (taken, denied)
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
    order.sort_by_cached_key(|&at| age(drafts[at].object));
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

/// No Service's port has this number.
const HEALTH_CHECK: u16 = 0;
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
        let unique: BTreeSet<_> = all.iter().collect();
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
