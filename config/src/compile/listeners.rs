//! Fronts: where L4 listens, each (address, protocol, port) claimed by one ServicePort.
//!
//! ```text
//! ClusterIPs, as allocated and as written ─┐
//! NodePorts on each node address           ├─▶ claims, the older Service first ─▶ open | unbound
//! externalIPs, load balancer addresses     ┘
//! ```
//!
//! The older Service wins a front that two claim, then the smaller name (`services 4.4`). What this
//! host cannot bind is not listened on; it stays known, so that it can be explained. Fronts of
//! other owners, such as portico's own http listener, are found when they are bound.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::objects::age;
use super::services::Services;
use super::{Inputs, Objects, finding};
use crate::diagnostic::{Code, Diagnostic};
use crate::location::FieldPath;
use crate::model::{ClusterIps, Protocol};
use crate::snapshot::{Front, FrontKind, HealthCheck, Reach, Service, ServicePort};
use crate::validate::{Exposure, InUse, Kind};

/// Every front, sorted by address and protocol.
pub(super) struct Fronts {
    /// Those to listen on.
    pub(super) open: Vec<Front>,
    /// Those that this host or this process cannot serve.
    pub(super) unbound: Vec<Front>,
}

/// All fronts of all Services.
pub(super) fn compile(
    objects: &Objects,
    services: &Services,
    inputs: &Inputs<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Fronts {
    let mut order: Vec<_> = objects.services.values().collect();
    order.sort_by_cached_key(|object| age(object));
    let mut claimed: BTreeMap<(SocketAddr, Protocol), Front> = BTreeMap::new();
    for object in order {
        let Some(service) = services.get(&object.valid.name) else { continue };
        if service.traffic.other_proxy.is_some() {
            continue;
        }
        for (index, port) in service.ports.iter().enumerate() {
            let field = FieldPath::from("spec.ports").index(index);
            let protocol = port.id.protocol;
            if protocol == Protocol::Sctp {
                let field = field.key("protocol");
                let text = "SCTP is not carried: no listener";
                diagnostics.push(finding(Code::SctpNotCarried, object, field, text));
            }
            for (address, kind) in claims(object, service, port, inputs) {
                let front = Front { address, protocol, kind, port: Arc::clone(&port.id) };
                match claimed.get(&(address, protocol)) {
                    // An externalIP that is the ClusterIP as well, or is written twice.
                    Some(owner) if owner.port == front.port => {}
                    Some(owner) => diagnostics.push(taken(objects, object, owner, field.clone())),
                    None => drop(claimed.insert((address, protocol), front)),
                }
            }
        }
    }
    let is_open = |front: &Front| {
        let here = front.kind == FrontKind::NodePort || inputs.facts.can_bind(front.address.ip());
        here && front.protocol != Protocol::Sctp
    };
    let (open, unbound) = claimed.into_values().partition(is_open);
    Fronts { open, unbound }
}

/// The health checks of Services that have one (`services 4.8`).
pub(super) fn health_checks(services: &Services, inputs: &Inputs<'_>) -> Vec<HealthCheck> {
    let own = services
        .values()
        .filter(|service| service.traffic.other_proxy.is_none());
    let mut found: Vec<HealthCheck> = own
        .filter_map(|service| Some((service, service.traffic.health_check_node_port?)))
        .flat_map(|(service, number)| {
            let ports = service.ports.iter().map(|port| Arc::clone(&port.id));
            let ports: Vec<_> = ports.collect();
            let addresses = inputs.settings.node_addresses.iter();
            addresses.map(move |ip| HealthCheck {
                address: SocketAddr::new(*ip, number),
                service: service.name.clone(),
                ports: ports.clone(),
            })
        })
        .collect();
    found.sort_by_key(|check| check.address);
    found
}

/// Where a port is reachable, and why.
fn claims(
    object: &InUse,
    service: &Service,
    port: &ServicePort,
    inputs: &Inputs<'_>,
) -> Vec<(SocketAddr, FrontKind)> {
    let Reach::ClusterIp(cluster_ips) = &service.reach else { return Vec::new() };
    let written = match &object.valid.kind {
        Kind::Service(service) => match &service.exposure {
            Exposure::ClusterIp(addresses) => &addresses[..],
            Exposure::Headless | Exposure::ExternalName(_) => &[],
        },
        _ => &[],
    };
    // Under an address that was mapped, the manifest's own is known; what another Service won is not.
    let mapped =
        |address: &&IpAddr| !inputs.facts.can_bind(**address) && !cluster_ips.contains(address);
    let written: Vec<IpAddr> = match inputs.settings.cluster_ips {
        ClusterIps::Map | ClusterIps::Route => written.iter().filter(mapped).copied().collect(),
        ClusterIps::Keep => Vec::new(),
    };
    let traffic = &service.traffic;
    let at_port = |addresses: &[IpAddr], kind| -> Vec<(SocketAddr, FrontKind)> {
        let found = addresses.iter();
        found
            .map(|ip| (SocketAddr::new(*ip, port.port), kind))
            .collect()
    };
    let mut all = at_port(cluster_ips, FrontKind::ClusterIp);
    all.extend(at_port(&written, FrontKind::ClusterIp));
    all.extend(port.node_port.into_iter().flat_map(|node_port| {
        let addresses = inputs.settings.node_addresses.iter();
        addresses.map(move |ip| (SocketAddr::new(*ip, node_port), FrontKind::NodePort))
    }));
    all.extend(at_port(&traffic.external_ips, FrontKind::ExternalIp));
    all.extend(at_port(&traffic.load_balancer_ips, FrontKind::LoadBalancer));
    all
}

/// An older Service has the front.
fn taken(objects: &Objects, object: &InUse, owner: &Front, field: FieldPath) -> Diagnostic {
    let name = &owner.port.service;
    let text = format!("{}/{} belongs to Service {name}", owner.address, owner.protocol);
    let found = finding(Code::FrontTaken, object, field, text);
    match objects.services.get(name) {
        Some(owner) => {
            let name = FieldPath::from("metadata.name");
            found.related(&owner.origin, &name, "it is served here")
        }
        None => found,
    }
}
