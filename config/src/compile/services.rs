//! Services with their effective addresses, ports and endpoints.

mod allocate;
mod cycles;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::endpoints::{Index, Joined};
use super::{Inputs, Objects, finding};
use crate::diagnostic::{Code, Diagnostic};
use crate::model::ObjectName;
use crate::snapshot::{Assignments, PortId, Reach, Service, ServicePort};
use crate::validate::{self, Exposure, InUse, Kind};

pub(super) type Services = BTreeMap<ObjectName, Arc<Service>>;

/// A Service on its way: what it asks for and what it got.
pub(super) struct Draft<'a> {
    object: &'a InUse,
    service: &'a validate::Service,
    joined: Joined,
    reach: Reach,
    node_ports: Vec<Option<u16>>,
}

/// All Services, and what was allocated for them.
pub(super) fn compile(
    objects: &Objects<'_>,
    inputs: &Inputs<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) -> (Services, Assignments) {
    let index = Index::new(objects);
    let mut drafts: Vec<Draft<'_>> = Vec::with_capacity(objects.services.len());
    for object in objects.services.values() {
        let Kind::Service(service) = &object.valid.kind else { continue };
        let mut joined = index.join(object, service);
        if !joined.matched && !service.selector.is_empty() {
            let labels: Vec<_> = service
                .selector
                .iter()
                .map(|(k, v)| format!("{k}={v}"))
                .collect();
            let text = format!("selects no Pod: none in its namespace has {}", labels.join(", "));
            diagnostics.push(finding(Code::SelectsNothing, object, "spec.selector", text));
        }
        refuse_admin(object, &mut joined, inputs, diagnostics);
        let reach = match &service.exposure {
            Exposure::ClusterIp(_) => Reach::ClusterIp(Vec::new()),
            Exposure::Headless => Reach::Headless,
            Exposure::ExternalName(name) => Reach::ExternalName(Arc::clone(name)),
        };
        let node_ports = vec![None; service.ports.len()];
        drafts.push(Draft { object, service, joined, reach, node_ports });
    }
    let assignments = allocate::allocate(&mut drafts, inputs, diagnostics);
    cycles::cut(&mut drafts, inputs, diagnostics);
    let services = drafts
        .into_iter()
        .map(|draft| {
            let name = draft.object.valid.name.clone();
            let service = build(draft, inputs);
            (name, service)
        })
        .collect();
    (services, assignments)
}

/// The admin listener is never a backend (`reliability 2.11.1`).
fn refuse_admin(
    object: &InUse,
    joined: &mut Joined,
    inputs: &Inputs<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) {
    for admin in &inputs.settings.admin {
        let mut found = false;
        for port in &mut joined.ports {
            found |= port.remove(admin).is_some();
        }
        if found {
            let text = format!("endpoint {admin} is portico's own admin listener and is left out");
            diagnostics.push(finding(Code::AdminBackend, object, "metadata.name", text));
        }
    }
}

fn build(draft: Draft<'_>, inputs: &Inputs<'_>) -> Arc<Service> {
    let name = &draft.object.valid.name;
    let previous = inputs.previous.services.get(name);
    let ports = draft
        .service
        .ports
        .iter()
        .zip(draft.node_ports)
        .zip(draft.joined.ports);
    let ports = ports.map(|((port, node_port), endpoints)| {
        let id =
            PortId { service: name.clone(), name: Arc::clone(&port.name), protocol: port.protocol };
        let id = Arc::new(id);
        let port = ServicePort {
            id,
            port: port.port,
            node_port,
            endpoints: endpoints.into_values().collect(),
        };
        let old = previous.into_iter().flat_map(|service| &service.ports);
        match old.into_iter().find(|old| ***old == port) {
            Some(old) => Arc::clone(old),
            None => Arc::new(port),
        }
    });
    let service = Service {
        name: name.clone(),
        reach: draft.reach,
        ports: ports.collect(),
        addresses: draft.joined.addresses,
    };
    match previous {
        Some(previous) if **previous == service => Arc::clone(previous),
        _ => Arc::new(service),
    }
}
