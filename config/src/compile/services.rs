//! Services with their effective addresses, ports and endpoints.
//!
//! Addresses and NodePorts are placed over all Services, and only when one of them changed;
//! endpoints are joined Service by Service, for those that a change can reach.

mod allocate;
mod cycles;
mod traffic;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use super::endpoints::{self, Joined, Labels};
use super::{Dirty, Inputs, Objects, finding};
use crate::diagnostic::{Code, Diagnostic};
use crate::location::FieldPath;
use crate::model::{HostFacts, ObjectName, Protocol, Settings};
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
    fronts: Fronts,
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

/// Every front, also one that this host cannot bind, and the ServicePort behind it.
#[derive(Debug, Default)]
struct Fronts {
    by_address: HashMap<(SocketAddr, Protocol), Node, foldhash::fast::RandomState>,
    /// Whether any stands on all addresses of this host.
    unspecified: bool,
}

impl Fronts {
    /// The first claim of a front counts.
    fn claim(&mut self, address: SocketAddr, protocol: Protocol, node: impl FnOnce() -> Node) {
        self.unspecified |= address.ip().is_unspecified();
        self.by_address
            .entry((address, protocol))
            .or_insert_with(node);
    }

    /// The ServicePort that a connection to `address` would come to.
    fn find(&self, address: SocketAddr, protocol: Protocol, facts: &HostFacts) -> Option<&Node> {
        let at = |ip| {
            let front = SocketAddr::new(ip, address.port());
            self.by_address.get(&(front, protocol))
        };
        at(address.ip()).or_else(|| {
            let any = self.unspecified && facts.can_bind(address.ip());
            let all: [IpAddr; 2] = [Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()];
            all.into_iter().filter(|_| any).find_map(at)
        })
    }
}

/// A Service on its way.
struct Draft<'a> {
    object: &'a InUse,
    service: &'a validate::Service,
    joined: Joined,
    traffic: Traffic,
}

impl Memory {
    /// What was found when all Services were looked at.
    pub(super) fn of_all(&self) -> &[Diagnostic] {
        &self.allocation.diagnostics
    }

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
        join.extend(newly_linked(&services, &memory.allocation.fronts, inputs.facts));
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
    let fronts = &memory.allocation.fronts;
    memory.linked = cycles::cut(&mut drafts, fronts, inputs.facts, &mut memory.cycles);
    for (name, draft) in drafts {
        if let Some(placement) = memory.allocation.placed.get(&name) {
            let service = build(draft, placement, previous.services.get(&name), inputs.settings);
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
fn newly_linked(services: &Services, fronts: &Fronts, facts: &HostFacts) -> Vec<ObjectName> {
    let is_linked = |service: &Service| {
        let mut ports = service.ports.iter();
        ports.any(|port| {
            let found = |address| fronts.find(address, port.id.protocol, facts).is_some();
            port.endpoints
                .iter()
                .any(|endpoint| found(endpoint.address))
        })
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
    let labels = match inputs.settings.names.endpoint_pod_names {
        true => Labels::Pods,
        false => Labels::Addresses,
    };
    let mut joined = endpoints::join(objects, object, service, &families, labels);
    if !joined.matched && !service.selector.is_empty() {
        let labels: Vec<_> = service
            .selector
            .iter()
            .map(|(k, v)| format!("{k}={v}"))
            .collect();
        let text = format!("selects no Pod: none in its namespace has {}", labels.join(", "));
        diagnostics.push(finding(Code::SelectsNothing, object, "spec.selector", text));
    }
    if let (Some(reason), Some(annotation)) = (joined.no_hints, service.traffic.topology_auto) {
        let field = FieldPath::from("metadata.annotations").key(annotation);
        let text = format!("endpoints get no hints: {}", reason.reason());
        diagnostics.push(finding(Code::NoTopologyHints, object, field, text));
    }
    refuse_admin(object, &mut joined, inputs, diagnostics);
    joined
}

/// The admin listener is never a backend (`reliability 2.11.1`), by whichever address of this host.
fn refuse_admin(
    object: &InUse,
    joined: &mut Joined,
    inputs: &Inputs<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let mut found = BTreeSet::new();
    for port in &mut joined.ports {
        let left_out = port.extract_if(.., |address, _| is_admin(*address, inputs));
        found.extend(left_out.map(|(address, _)| address));
    }
    for address in found {
        joined.forget(address.ip());
        let text = format!("endpoint {address} is portico's own admin listener and is left out");
        diagnostics.push(finding(Code::AdminBackend, object, "metadata.name", text));
    }
}

/// Whether an address is the admin listener's, by whichever address of this host.
pub(super) fn is_admin(address: SocketAddr, inputs: &Inputs<'_>) -> bool {
    inputs.settings.admin.iter().any(|admin| {
        let same = admin.ip() == address.ip()
            || (admin.ip().is_unspecified() && inputs.facts.can_bind(address.ip()));
        same && admin.port() == address.port()
    })
}

/// The Service; parts that are as before are those of before.
fn build(
    draft: Draft<'_>,
    placement: &Placement,
    previous: Option<&Arc<Service>>,
    settings: &Settings,
) -> Arc<Service> {
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
    let wanted = settings.names.labels.as_ref();
    let service = Service {
        name: name.clone(),
        reach: placement.reach.clone(),
        has_selector: !draft.service.selector.is_empty(),
        is_nameless: wanted.is_some_and(|wanted| !wanted.selects(&draft.service.labels)),
        ports: ports.collect(),
        addresses: draft.joined.addresses,
        traffic: Arc::clone(&traffic),
    };
    match previous {
        Some(previous) if **previous == service => Arc::clone(previous),
        _ => Arc::new(service),
    }
}
