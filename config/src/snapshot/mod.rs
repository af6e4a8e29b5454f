//! The contract with the planes: everything joined, named and built, nothing alive.
//!
//! ```text
//! Snapshot ─▶ fronts ─▶ ServicePort ─▶ endpoints        L4, which of them: decide
//!          ─▶ routes ─▶ locations   ─▶ Backend          L7
//!          ─▶ certificates                               TLS
//!          ─▶ services, zones                            DNS
//! ```
//!
//! Invariants: immutable; each part behind an `Arc` that the next generation shares when the part
//! did not change; no health, counter or session. Collections are sorted, so two snapshots of the
//! same objects are equal whatever the order of the files.

pub mod endpoint;
pub mod listener;
pub mod route;
pub mod service;
pub mod cluster;
pub mod sets;
pub mod decide;
pub mod tcp;
pub mod tls;
pub mod zone;
pub mod diff;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::ObjectName;

pub use cluster::{Cluster, Place};
pub use decide::{Decision, Flow, Verdict, decide};
pub use endpoint::Endpoint;
pub use listener::{Front, FrontKind, HealthCheck};
pub use route::{Backend, Canary, Claim, Host, Left, Location, OutsidePort, RouteTable, Shadowed};
pub use service::{Assignments, PortId, Reach, Service, ServicePort, Traffic};
pub use sets::{SetKind, Sets};
pub use tcp::Tcp;
pub use tls::CertificateTable;
pub use zone::{HostOwner, HostRecord, PodNames, Zones};

/// One consistent state of everything that the planes serve.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Counts publications of this process from 1; 0 is the empty state before the first.
    pub generation: u64,
    /// Every Service, proxied or only named.
    pub services: BTreeMap<ObjectName, Arc<Service>>,
    /// Every (address, protocol, port) that L4 listens on, sorted; each claimed once. The same
    /// `Arc` as before where none came, left or changed hands.
    pub fronts: Arc<Vec<Front>>,
    /// Fronts that manifests name and that this process does not open: addresses that this host
    /// does not have, SCTP. Sorted, each claimed once; for those who ask what would be.
    pub unbound: Arc<Vec<Front>>,
    /// Every `healthCheckNodePort` on every node address, sorted; the same `Arc` while none changed.
    pub health_checks: Arc<Vec<HealthCheck>>,
    /// Nodes, this host's place among them, and who is a Pod.
    pub cluster: Arc<Cluster>,
    /// Whose names below `pod.<zone>` exist; empty where nobody verifies them or walks search paths.
    pub pods: Arc<PodNames>,
    /// What settings say about connections of Services.
    pub tcp: Arc<Tcp>,
    /// Ingress rules.
    pub routes: Arc<RouteTable>,
    /// Certificates by host name.
    pub certificates: Arc<CertificateTable>,
    /// What the resolver is authoritative for.
    pub zones: Arc<Zones>,
    /// Addresses and ports that were allocated, for the next compilation and the state folder.
    pub assignments: Arc<Assignments>,
}

impl Snapshot {
    /// A ServicePort that a backend names: of a Service, or of a host outside.
    pub fn port(&self, id: &PortId) -> Option<&Arc<ServicePort>> {
        let service = self.services.get(&id.service);
        let ports = service.iter().flat_map(|service| &service.ports);
        let outside = self.routes.outside.iter().map(|outside| &outside.port);
        ports.chain(outside).find(|port| *port.id == *id)
    }
}
