//! Who stands behind each ServicePort (`services 2.3`, `2.4`, `4.6`).
//!
//! The short form replaces the selector; a selector joins Pods; EndpointSlices join by their label,
//! Endpoints by their name where no selector is. The union is keyed by address, its order sorted:
//! the order in which objects arrive changes nothing.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::Objects;
use crate::model::{ObjectName, Protocol};
use crate::snapshot::Endpoint;
use crate::snapshot::endpoint::NamedAddress;
use crate::validate::{InUse, Pod, Service, ShortPort, TargetPort};

/// Endpoints of a Service's ports, in the order of its ports, and its ready addresses.
pub(super) struct Joined {
    pub(super) ports: Vec<BTreeMap<SocketAddr, Endpoint>>,
    pub(super) addresses: Vec<NamedAddress>,
    /// Whether anything, ready or not, matched at all.
    pub(super) matched: bool,
}

/// Everything behind one Service.
pub(super) fn join(objects: &Objects, object: &InUse, service: &Service) -> Joined {
    let mut joined = Joined {
        ports: vec![BTreeMap::new(); service.ports.len()],
        addresses: Vec::new(),
        matched: false,
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
                    found.insert(entry.address, endpoint.clone());
                }
            }
        }
    } else {
        join_pods(objects, object, service, &mut joined);
        join_sets(objects, object, service, &mut joined);
    }
    joined.addresses.sort();
    joined.addresses.dedup();
    joined
}

fn join_pods(objects: &Objects, object: &InUse, service: &Service, joined: &mut Joined) {
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
        for address in &pod.addresses {
            let mut template = pod_endpoint(objects, object, service, (name, pod), *address);
            joined.address(&template);
            for (port, found) in service.ports.iter().zip(&mut joined.ports) {
                let number = match &port.target {
                    TargetPort::Number(number) => Some(*number),
                    TargetPort::Name(name) => pod.port(name, port.protocol),
                };
                let Some(number) = number else { continue };
                template.address.set_port(number);
                merge(found, template.clone());
            }
        }
    }
}

fn pod_endpoint(
    objects: &Objects,
    object: &InUse,
    service: &Service,
    (name, pod): (&ObjectName, &Pod),
    address: IpAddr,
) -> Endpoint {
    // `services 2.4`: the hostname counts only under the Service that the Pod names.
    let subdomain = pod.subdomain.as_deref() == Some(&*object.valid.name.name);
    let hostname = pod.hostname.clone().filter(|_| subdomain);
    let ready = service.publish_not_ready || (pod.ready && !pod.terminating);
    let zone = pod.node.as_deref().and_then(|node| objects.zone_of(node));
    Endpoint {
        node: pod.node.clone(),
        zone,
        label: hostname.unwrap_or_else(|| dashed(address)),
        pod: Some(Arc::clone(&name.name)),
        ..endpoint(SocketAddr::new(address, 0), ready, pod.ready, pod.terminating)
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
                    label: found
                        .hostname
                        .clone()
                        .unwrap_or_else(|| dashed(found.address)),
                    pod: found.pod.clone(),
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
                    merge(merged, template.clone());
                }
            }
        }
    }
}

impl Joined {
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

/// `services 4.6`: of one address named twice, one that is not terminating replaces one that is,
/// a ready one replaces one that is not.
fn merge(found: &mut BTreeMap<SocketAddr, Endpoint>, endpoint: Endpoint) {
    let rank = |endpoint: &Endpoint| (!endpoint.terminating, endpoint.ready);
    match found.get(&endpoint.address) {
        Some(other) if rank(other) > rank(&endpoint) => {}
        Some(other) if rank(other) == rank(&endpoint) && *other <= endpoint => {}
        _ => drop(found.insert(endpoint.address, endpoint)),
    }
}

fn endpoint(address: SocketAddr, ready: bool, serving: bool, terminating: bool) -> Endpoint {
    let label = dashed(address.ip());
    Endpoint { address, ready, serving, terminating, node: None, zone: None, label, pod: None }
}

/// The DNS label of an address (`dns 1.3.4`): `2001:db8::` is `2001-db8--0`.
fn dashed(address: IpAddr) -> Arc<str> {
    let mut label = address.to_string().replace(['.', ':'], "-");
    if label.ends_with('-') {
        label.push('0');
    }
    label.into()
}
