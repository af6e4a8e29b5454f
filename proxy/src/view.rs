//! The snapshot joined with living state: what workers read, once per connection or request.
//!
//! Built on the control side; immutable. A worker loads it with one atomic load, and after the
//! choice holds only the `Arc` of its [`Port`].

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use portico_config::model::{PathKind, Protocol};
use portico_config::snapshot::{Backend, CertificateTable, PortId, RouteTable, Snapshot};

use crate::upstream::{Port, Registry};

type FastMap<K, V> = HashMap<K, V, foldhash::fast::RandomState>;

/// Everything that a worker needs to serve.
#[derive(Debug, Default)]
pub(crate) struct View {
    /// Every ServicePort.
    pub(crate) ports: Vec<Arc<Port>>,
    /// What stands behind each L4 front.
    pub(crate) fronts: FastMap<(SocketAddr, Protocol), Arc<Port>>,
    /// Ingress rules.
    pub(crate) routes: Arc<Routes>,
    /// Certificates.
    pub(crate) certificates: Arc<CertificateTable>,
}

/// The snapshot's route table with its backends resolved to living ports.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    /// By exact host.
    pub(crate) exact: FastMap<Arc<str>, Host>,
    /// By suffix of a wildcard host.
    pub(crate) wildcard: FastMap<Arc<str>, Host>,
    /// Host-less rules.
    pub(crate) any: Option<Host>,
}

/// One host: the first location that matches is used.
#[derive(Debug)]
pub(crate) struct Host {
    /// In order of precedence.
    pub(crate) locations: Box<[Location]>,
    /// Where no location matches; none: 404.
    pub(crate) default_target: Option<Target>,
}

/// One location.
#[derive(Debug)]
pub(crate) struct Location {
    /// How `path` is compared.
    pub(crate) kind: PathKind,
    /// As written.
    pub(crate) path: Arc<str>,
    /// Where it goes.
    pub(crate) target: Target,
}

/// Where requests go.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    /// To an endpoint of this port.
    Port(Arc<Port>),
    /// 503: Service or port does not exist.
    Missing,
    /// 404: portico serves no resource backend.
    Resource,
}

impl View {
    /// Joins `snapshot` with the living state in `registry`, and lets state go that it no longer
    /// names.
    pub(crate) fn new(snapshot: &Snapshot, registry: &mut Registry) -> Self {
        let mut ports: HashMap<Arc<PortId>, Arc<Port>> = HashMap::new();
        for service in snapshot.services.values() {
            for service_port in &service.ports {
                let port = Arc::new(Port::new(service_port, registry));
                ports.insert(Arc::clone(&service_port.id), port);
            }
        }
        registry.retain(|id| ports.contains_key(id));
        let fronts = snapshot
            .fronts
            .iter()
            .filter_map(|front| {
                let port = ports.get(&front.port)?;
                Some(((front.address, front.protocol), Arc::clone(port)))
            })
            .collect();
        let routes = Arc::new(routes(&snapshot.routes, &ports));
        Self {
            ports: ports.into_values().collect(),
            fronts,
            routes,
            certificates: Arc::clone(&snapshot.certificates),
        }
    }
}

fn routes(table: &RouteTable, ports: &HashMap<Arc<PortId>, Arc<Port>>) -> Routes {
    let target = |backend: &Backend| match backend {
        Backend::Service(port) => ports
            .get(port)
            .map_or(Target::Missing, |port| Target::Port(Arc::clone(port))),
        Backend::Missing(_) => Target::Missing,
        Backend::Resource => Target::Resource,
    };
    let host = |host: &portico_config::snapshot::Host| Host {
        locations: host
            .locations
            .iter()
            .map(|location| Location {
                kind: location.kind,
                path: Arc::clone(&location.path),
                target: target(&location.backend),
            })
            .collect(),
        default_target: host.default_backend.as_ref().map(target),
    };
    Routes {
        exact: table
            .exact
            .iter()
            .map(|(name, h)| (Arc::clone(name), host(h)))
            .collect(),
        wildcard: table
            .wildcard
            .iter()
            .map(|(name, h)| (Arc::clone(name), host(h)))
            .collect(),
        any: table.any.as_deref().map(host),
    }
}
