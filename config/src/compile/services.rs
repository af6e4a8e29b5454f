//! Services with their effective addresses, ports and endpoints.
//!
//! Addresses and NodePorts are placed over all Services, and only when one of them changed;
//! endpoints are joined Service by Service, for those that a change can reach.

mod allocate;
mod cycles;
mod traffic;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;

use super::endpoints::{self, Joined};
use super::{Dirty, Inputs, Objects, finding};
use crate::diagnostic::{Code, Diagnostic};
use crate::model::ObjectName;
use crate::snapshot::{Assignments, PortId, Reach, Service, ServicePort, Traffic};
use crate::validate::{self, InUse, Kind};

pub(super) type Services = BTreeMap<ObjectName, Arc<Service>>;

/// What was placed and found when Services were last compiled.
#[derive(Debug, Default)]
pub(super) struct Memory {
    allocation: Allocation,
    /// What was found while joining, by Service; those without findings are left out.
    joined: BTreeMap<ObjectName, Vec<Diagnostic>>,
    /// Services that have a front among their endpoints: joined anew each time, since endpoints
    /// that close a circle were cut from what the last snapshot holds.
    linked: BTreeSet<ObjectName>,
    cycles: Vec<Diagnostic>,
}

/// Where every Service is, and what was found on the way.
#[derive(Debug, Default)]
struct Allocation {
    placed: BTreeMap<ObjectName, Placement>,
    /// Every front, also one that this host cannot bind, and the ServicePort behind it.
    fronts: HashMap<SocketAddr, Node, foldhash::fast::RandomState>,
    assignments: Assignments,
    diagnostics: Vec<Diagnostic>,
}

/// How a Service is reached.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Placement {
    reach: Reach,
    /// NodePorts in the order of its ports.
    node_ports: Vec<Option<u16>>,
    health_check_node_port: Option<u16>,
}

/// A port of a Service by its index.
type Node = (ObjectName, usize);

/// A Service on its way.
struct Draft<'a> {
    object: &'a InUse,
    service: &'a validate::Service,
    joined: Joined,
    traffic: Traffic,
}

impl Memory {
    pub(super) fn diagnostics(&self) -> impl Iterator<Item = &Diagnostic> {
        let joined = self.joined.values().flatten();
        self.allocation
            .diagnostics
            .iter()
            .chain(&self.cycles)
            .chain(joined)
    }
}

/// All Services, and what was allocated for them.
pub(super) fn compile(
    objects: &Objects,
    dirty: &Dirty,
    memory: &mut Memory,
    inputs: &Inputs<'_>,
) -> (Services, Arc<Assignments>) {
    let previous = inputs.previous;
    let mut services = previous.services.clone();
    let mut assignments = Arc::clone(&previous.assignments);
    let mut join: BTreeSet<ObjectName> = dirty.services.union(&memory.linked).cloned().collect();
    if dirty.service_objects {
        let placed = std::mem::take(&mut memory.allocation.placed);
        memory.allocation = allocate::allocate(objects, inputs);
        for (name, placement) in &memory.allocation.placed {
            if placed.get(name) != Some(placement) {
                join.insert(name.clone());
            }
        }
        join.extend(newly_linked(&services, &memory.allocation));
        let found = std::mem::take(&mut memory.allocation.assignments);
        assignments = super::share(found, &previous.assignments);
    }
    let mut drafts: BTreeMap<ObjectName, Draft<'_>> = BTreeMap::new();
    for name in join {
        memory.joined.remove(&name);
        let object = objects.services.get(&name);
        let Some((object, service)) = object.and_then(as_service) else {
            services.remove(&name);
            continue;
        };
        let mut found = Vec::new();
        let joined = join_one(objects, (object, service), inputs, &mut found);
        let placement = memory.allocation.placed.get(&name);
        let health_check = placement.and_then(|placement| placement.health_check_node_port);
        let traffic = traffic::traffic(object, service, health_check, inputs, &mut found);
        if !found.is_empty() {
            memory.joined.insert(name.clone(), found);
        }
        drafts.insert(name, Draft { object, service, joined, traffic });
    }
    memory.cycles.clear();
    memory.linked = cycles::cut(&mut drafts, &memory.allocation.fronts, &mut memory.cycles);
    for (name, draft) in drafts {
        if let Some(placement) = memory.allocation.placed.get(&name) {
            let service = build(draft, placement, previous.services.get(&name));
            services.insert(name, service);
        }
    }
    (services, assignments)
}

fn as_service(object: &Arc<InUse>) -> Option<(&InUse, &validate::Service)> {
    match &object.valid.kind {
        Kind::Service(service) => Some((object, service)),
        _ => None,
    }
}

/// Services that have an endpoint which is a front now.
fn newly_linked(services: &Services, allocation: &Allocation) -> Vec<ObjectName> {
    let is_linked = |service: &Service| {
        let mut endpoints = service.ports.iter().flat_map(|port| &port.endpoints);
        endpoints.any(|endpoint| allocation.fronts.contains_key(&endpoint.address))
    };
    let linked = services.iter().filter(|(_, service)| is_linked(service));
    linked.map(|(name, _)| name.clone()).collect()
}

fn join_one(
    objects: &Objects,
    (object, service): (&InUse, &validate::Service),
    inputs: &Inputs<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Joined {
    let families = traffic::families(service, inputs.settings);
    let mut joined = endpoints::join(objects, object, service, &families);
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
    joined
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

/// The Service; parts that are as before are those of before.
fn build(draft: Draft<'_>, placement: &Placement, previous: Option<&Arc<Service>>) -> Arc<Service> {
    let name = &draft.object.valid.name;
    let old = |index: usize| previous.and_then(|service| service.ports.get(index));
    let ports = draft
        .service
        .ports
        .iter()
        .zip(&placement.node_ports)
        .zip(draft.joined.ports)
        .enumerate();
    let traffic = match previous {
        Some(previous) => super::share(draft.traffic, &previous.traffic),
        None => Arc::new(draft.traffic),
    };
    let ports = ports.map(|(index, ((port, node_port), endpoints))| {
        let id =
            PortId { service: name.clone(), name: Arc::clone(&port.name), protocol: port.protocol };
        let id = match old(index) {
            Some(old) if *old.id == id => Arc::clone(&old.id),
            _ => Arc::new(id),
        };
        let endpoints = endpoints
            .into_values()
            .map(|found| found.endpoint)
            .collect();
        let traffic = Arc::clone(&traffic);
        let port = ServicePort { id, port: port.port, node_port: *node_port, endpoints, traffic };
        match old(index) {
            Some(old) if **old == port => Arc::clone(old),
            _ => Arc::new(port),
        }
    });
    let service = Service {
        name: name.clone(),
        reach: placement.reach.clone(),
        ports: ports.collect(),
        addresses: draft.joined.addresses,
        traffic: Arc::clone(&traffic),
    };
    match previous {
        Some(previous) if **previous == service => Arc::clone(previous),
        _ => Arc::new(service),
    }
}
