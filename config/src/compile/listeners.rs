//! Fronts: where L4 listens, each (address, protocol) claimed by one ServicePort.
//!
//! The older Service wins a front that two claim, then the smaller name (`services 4.4`). Fronts
//! of other owners, such as portico's own http listener, are found when they are bound.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::objects::age;
use super::services::Services;
use super::{Inputs, Objects, finding};
use crate::diagnostic::{Code, Diagnostic};
use crate::location::FieldPath;
use crate::model::Protocol;
use crate::snapshot::{Front, FrontKind, Reach};

/// Every front, sorted by address and protocol.
pub(super) fn compile(
    objects: &Objects,
    services: &Services,
    inputs: &Inputs<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Vec<Front> {
    let mut order: Vec<_> = objects.services.values().collect();
    order.sort_by_cached_key(|object| age(object));
    let mut fronts: BTreeMap<(SocketAddr, Protocol), Front> = BTreeMap::new();
    for object in order {
        let Some(service) = services.get(&object.valid.name) else { continue };
        for (index, port) in service.ports.iter().enumerate() {
            let field = FieldPath::from("spec.ports").index(index);
            if port.id.protocol == Protocol::Sctp {
                let field = field.key("protocol");
                diagnostics.push(finding(
                    Code::SctpNotCarried,
                    object,
                    field,
                    "SCTP is not carried: no listener",
                ));
                continue;
            }
            let cluster_ips = match &service.reach {
                Reach::ClusterIp(addresses) => &addresses[..],
                Reach::Headless | Reach::ExternalName(_) => &[],
            };
            let bindable = cluster_ips.iter().filter(|ip| inputs.facts.can_bind(**ip));
            let cluster =
                bindable.map(|ip| (SocketAddr::new(*ip, port.port), FrontKind::ClusterIp));
            let nodes = port.node_port.into_iter().flat_map(|node_port| {
                let addresses = inputs.settings.node_addresses.iter();
                addresses.map(move |ip| (SocketAddr::new(*ip, node_port), FrontKind::NodePort))
            });
            for (address, kind) in cluster.chain(nodes) {
                let protocol = port.id.protocol;
                let front =
                    Front { address, protocol, kind, port: std::sync::Arc::clone(&port.id) };
                if let Some(owner) = fronts.get(&(address, protocol)) {
                    let owner = &owner.port.service;
                    let text = format!("{address}/{protocol} belongs to Service {owner}");
                    let mut found = finding(Code::FrontTaken, object, field.clone(), text);
                    if let Some(owner) = objects.services.get(owner) {
                        let name = FieldPath::from("metadata.name");
                        found = found.related(&owner.origin, &name, "it is served here");
                    }
                    diagnostics.push(found);
                } else {
                    fronts.insert((address, protocol), front);
                }
            }
        }
    }
    fronts.into_values().collect()
}
