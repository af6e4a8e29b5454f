//! Who stands behind each ServicePort (`services 2.3`, `2.4`, `4.6`).
//!
//! The short form replaces the selector; a selector joins Pods; EndpointSlices join by their label,
//! Endpoints by their name where no selector is. The union is keyed by address, its order sorted:
//! the order in which objects arrive changes nothing. Endpoints out of Pods get the hints that the
//! Service's `trafficDistribution` or topology-mode asks for (`services 2.5`).

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::Objects;
use super::topology::{self, NoHints};
use crate::model::{IpFamily, ObjectName, Protocol};
use crate::snapshot::Endpoint;
use crate::snapshot::endpoint::{Hints, NamedAddress, dashed};
use crate::validate::{
    Distribution, Exposure, InUse, Pod, Service, SetEndpoint, ShortPort, TargetPort, Weight,
};

/// Endpoints of a Service's ports, in the order of its ports, and its ready addresses.
pub(super) struct Joined {
    pub(super) ports: Vec<BTreeMap<SocketAddr, Found>>,
    pub(super) addresses: Vec<NamedAddress>,
    /// Whether anything, ready or not, matched at all.
    pub(super) matched: bool,
    labels: Labels,
    /// Why endpoints have no hints although topology-mode asks for some.
    pub(super) no_hints: Option<NoHints>,
}

/// How endpoints without a hostname are called.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Labels {
    /// By their address.
    Addresses,
    /// By their Pod, where there is one and its name is a label.
    Pods,
}

impl Labels {
    /// The label of an endpoint (`dns 1.3.4`).
    fn label(
        self,
        hostname: Option<&Arc<str>>,
        pod: Option<&Arc<str>>,
        address: IpAddr,
    ) -> Arc<str> {
        let is_label = |name: &&Arc<str>| name.len() < 64 && !name.contains('.');
        let pod = pod.filter(is_label).filter(|_| self == Self::Pods);
        hostname.or(pod).map_or_else(|| dashed(address), Arc::clone)
    }
}

/// An endpoint, and what tells which of two with one address counts.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) endpoint: Endpoint,
    version: Version,
}

/// `resourceVersion` and `generation` of what says it.
type Version = (Option<u64>, Option<i64>);

/// Everything behind one Service; Pods with addresses of `families`, if it has any.
pub(super) fn join(
    objects: &Objects,
    object: &InUse,
    service: &Service,
    families: &[IpFamily],
    labels: Labels,
) -> Joined {
    let mut joined = Joined {
        ports: vec![BTreeMap::new(); service.ports.len()],
        addresses: Vec::new(),
        matched: false,
        no_hints: None,
        labels,
    };
    if let Some(short) = &service.short_form {
        joined.matched = true;
        for entry in short {
            let endpoint = endpoint(entry.address, true, true, false);
            joined.address(&endpoint);
            for (port, found) in service.ports.iter().zip(&mut joined.ports) {
                let serves = match &entry.port {
                    None => true,
                    Some(ShortPort::Number(number)) => *number == port.port,
                    Some(ShortPort::Name(name)) => *name == port.name,
                };
                if serves {
                    merge(found, endpoint.clone(), Version::default());
                }
            }
        }
    } else {
        join_pods(objects, object, service, families, &mut joined);
        join_sets(objects, object, service, &mut joined);
    }
    joined.weigh(service);
    joined.addresses.sort();
    joined.addresses.dedup();
    joined
}

fn join_pods(
    objects: &Objects,
    object: &InUse,
    service: &Service,
    families: &[IpFamily],
    joined: &mut Joined,
) {
    let (mut hints, no_hints) = Hinter::new(objects, object, service, families);
    joined.no_hints = no_hints;
    for (name, pod) in objects.pods_of(&object.valid.name, service) {
        if pod.finished || pod.addresses.is_empty() {
            continue;
        }
        // `services 2.4`: where Nodes are written at all, a Pod of none of them is not there.
        let known = |node: &str| objects.nodes.is_empty() || objects.nodes.contains_key(node);
        if !pod.node.as_deref().is_none_or(known) && !service.publish_not_ready {
            continue;
        }
        joined.matched = true;
        for address in addresses_of(pod, service, families) {
            let mut template =
                pod_endpoint(objects, object, service, (name, pod), address, joined.labels);
            template.hints = hints.hints(&template);
            joined.address(&template);
            for (port, found) in service.ports.iter().zip(&mut joined.ports) {
                let number = match &port.target {
                    TargetPort::Number(number) => Some(*number),
                    TargetPort::Name(name) => pod.port(name, port.protocol),
                };
                let Some(number) = number else { continue };
                template.address.set_port(number);
                merge(found, template.clone(), Version::default());
            }
        }
    }
}

/// The addresses of a Pod that stand behind a Service (`services 2.4`): of its families; of one that
/// does not say which, the Pod's first family; for the names of a headless one, all.
fn addresses_of(
    pod: &Pod,
    service: &Service,
    families: &[IpFamily],
) -> impl Iterator<Item = IpAddr> {
    let first = pod.addresses.first().map(|address| IpFamily::of(*address));
    let is_headless = matches!(service.exposure, Exposure::Headless);
    let counts = move |address: &&IpAddr| {
        let family = IpFamily::of(**address);
        match families {
            [] => is_headless || first == Some(family),
            families => families.contains(&family),
        }
    };
    let of_service: Vec<IpAddr> = pod.addresses.iter().filter(counts).copied().collect();
    of_service.into_iter()
}

/// Makes the hints that a Service asks for (`services 2.5`); those of one node are one.
#[derive(Default)]
struct Hinter {
    /// Whether nodes are named beside zones; none: no hints by `trafficDistribution`.
    with_nodes: Option<bool>,
    made: HashMap<Hints, Arc<Hints>>,
    /// Those that topology-mode asks for, by ready address.
    shared: HashMap<IpAddr, Arc<Hints>>,
}

impl Hinter {
    /// The annotation topology-mode overrides the field.
    fn new(
        objects: &Objects,
        object: &InUse,
        service: &Service,
        families: &[IpFamily],
    ) -> (Self, Option<NoHints>) {
        if service.traffic.topology_auto.is_some() {
            let shared = shared_hints(objects, object, service, families);
            let no_hints = shared.as_ref().err().copied();
            return (Self { shared: shared.unwrap_or_default(), ..Self::default() }, no_hints);
        }
        let with_nodes = service.traffic.distribution;
        let with_nodes = with_nodes.map(|it| it == Distribution::SameNode);
        (Self { with_nodes, ..Self::default() }, None)
    }

    /// Only ready endpoints have hints, and of a zone or a node that is known.
    fn hints(&mut self, endpoint: &Endpoint) -> Option<Arc<Hints>> {
        if let Some(hints) = self.shared.get(&endpoint.address.ip()) {
            return Some(Arc::clone(hints));
        }
        let with_nodes = self.with_nodes.filter(|_| endpoint.ready)?;
        let nodes = endpoint.node.iter().filter(|_| with_nodes);
        let hints = Hints {
            zones: endpoint.zone.iter().cloned().collect(),
            nodes: nodes.cloned().collect(),
        };
        if hints == Hints::default() {
            return None;
        }
        let made = self.made.entry(hints);
        let made = made.or_insert_with_key(|hints| Arc::new(hints.clone()));
        Some(Arc::clone(made))
    }
}

/// The hints of topology-mode for the ready Pods of a Service, each family by itself.
fn shared_hints(
    objects: &Objects,
    object: &InUse,
    service: &Service,
    families: &[IpFamily],
) -> Result<HashMap<IpAddr, Arc<Hints>>, NoHints> {
    let shares = topology::shares(objects.nodes())?;
    let mut ready: [BTreeMap<IpAddr, Option<Arc<str>>>; 2] = Default::default();
    for (name, pod) in objects.pods_of(&object.valid.name, service) {
        let is_ready =
            service.publish_not_ready || (objects.is_ready(name, pod) && !pod.terminating);
        let is_there = !pod.finished && pod.node.as_deref().is_some_and(|it| objects.has_node(it));
        if !is_ready || !(is_there || service.publish_not_ready) {
            continue;
        }
        let zone = pod.node.as_deref().and_then(|node| objects.zone_of(node));
        for address in addresses_of(pod, service, families) {
            ready[usize::from(address.is_ipv6())].insert(address, zone.clone());
        }
    }
    let mut hints = HashMap::new();
    for endpoints in ready.into_iter().filter(|endpoints| !endpoints.is_empty()) {
        let endpoints: Vec<_> = endpoints.into_iter().collect();
        hints.extend(topology::assign(&endpoints, &shares)?);
    }
    Ok(hints)
}

fn pod_endpoint(
    objects: &Objects,
    object: &InUse,
    service: &Service,
    (name, pod): (&ObjectName, &Pod),
    address: IpAddr,
    labels: Labels,
) -> Endpoint {
    // `services 2.4`: the hostname counts only under the Service that the Pod names.
    let subdomain = pod.subdomain.as_deref() == Some(&*object.valid.name.name);
    let hostname = pod.hostname.clone().filter(|_| subdomain);
    let serving = objects.is_ready(name, pod);
    let ready = service.publish_not_ready || (serving && !pod.terminating);
    let zone = pod.node.as_deref().and_then(|node| objects.zone_of(node));
    Endpoint {
        node: pod.node.clone(),
        zone,
        label: labels.label(hostname.as_ref(), Some(&name.name), address),
        pod: Some(Arc::clone(&name.name)),
        weight: pod.weight.unwrap_or(1),
        ..endpoint(SocketAddr::new(address, 0), ready, serving, pod.terminating)
    }
}

fn join_sets(objects: &Objects, object: &InUse, service: &Service, joined: &mut Joined) {
    let sets = objects.sets_of(&object.valid.name);
    for set in sets.filter(|set| !set.mirrored || service.selector.is_empty()) {
        for (endpoints, ports) in &set.groups {
            for found in endpoints {
                joined.matched = true;
                let mut template = Endpoint {
                    node: found.node.clone(),
                    zone: found.zone.clone(),
                    label: joined.labels.label(
                        found.hostname.as_ref(),
                        found.pod.as_ref(),
                        found.address,
                    ),
                    pod: found.pod.clone(),
                    hints: hints_of(found),
                    ..endpoint(
                        SocketAddr::new(found.address, 0),
                        found.ready || service.publish_not_ready,
                        found.serving,
                        found.terminating,
                    )
                };
                joined.address(&template);
                for (port, merged) in service.ports.iter().zip(&mut joined.ports) {
                    let same =
                        |p: &&crate::validate::SetPort| same_port(p, &port.name, port.protocol);
                    let Some(number) = ports.iter().find(same) else { continue };
                    template.address.set_port(number.port);
                    merge(merged, template.clone(), set.version);
                }
            }
        }
    }
}

impl Joined {
    /// Takes the name of an address away that no port has any more.
    pub(super) fn forget(&mut self, address: IpAddr) {
        let mut left = self.ports.iter().flat_map(BTreeMap::keys);
        if left.all(|other| other.ip() != address) {
            self.addresses.retain(|named| named.address != address);
        }
    }

    /// Gives endpoints the weights that the Service names them with, the last entry for each.
    fn weigh(&mut self, service: &Service) {
        let weights = &service.balancing.weights;
        if weights.is_empty() {
            return;
        }
        for Found { endpoint, .. } in self.ports.iter_mut().flat_map(BTreeMap::values_mut) {
            let pod = endpoint.pod.as_deref();
            let names = |entry: &&Weight| entry.of.names(endpoint.address, pod);
            if let Some(found) = weights.iter().rfind(names) {
                endpoint.weight = found.weight;
            }
        }
    }

    /// A ready address has a name, whatever ports it has.
    fn address(&mut self, endpoint: &Endpoint) {
        if endpoint.ready {
            let label = Arc::clone(&endpoint.label);
            self.addresses
                .push(NamedAddress { label, address: endpoint.address.ip() });
        }
    }
}

fn same_port(port: &crate::validate::SetPort, name: &str, protocol: Protocol) -> bool {
    &*port.name == name && port.protocol == protocol
}

/// Hints as a slice has them.
fn hints_of(endpoint: &SetEndpoint) -> Option<Arc<Hints>> {
    let (zones, nodes) = (&endpoint.for_zones, &endpoint.for_nodes);
    let is_empty = zones.is_empty() && nodes.is_empty();
    (!is_empty).then(|| Arc::new(Hints { zones: zones.clone(), nodes: nodes.clone() }))
}

/// `services 4.6`: of one address named twice, one that terminates never replaces another, and is
/// replaced by one that does not; then a ready one counts, then the newer, then the first by name.
fn merge(found: &mut BTreeMap<SocketAddr, Found>, endpoint: Endpoint, version: Version) {
    let rank = |found: &Found| (!found.endpoint.terminating, found.endpoint.ready, found.version);
    let new = Found { endpoint, version };
    let address = new.endpoint.address;
    match found.get(&address) {
        Some(other) if new.endpoint.terminating || rank(other) >= rank(&new) => {}
        _ => drop(found.insert(address, new)),
    }
}

fn endpoint(address: SocketAddr, ready: bool, serving: bool, terminating: bool) -> Endpoint {
    Endpoint { ready, serving, terminating, ..Endpoint::at(address) }
}
