//! Backends that are ExternalName Services: a Service of a manifest by its name, or a host that is in
//! none (`ingress 1.5`, `ingress 6.7`).
//!
//! ```text
//! externalName ─ name.namespace.svc ─▶ that Service's port
//!              └ a host or an address ─▶ an OutsidePort, with what was found of it
//! ```
//!
//! The port is that of the Ingress. Invariants: a host that settings do not allow, and an address of
//! this machine's surroundings or of the admin listener, is no endpoint; names that lead to each other
//! lead nowhere; a host that nobody has found yet is a ServicePort without endpoints, so requests get 503.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::guards::service_named;
use super::services::{Services, is_admin};
use super::{Inputs, finding};
use crate::diagnostic::{Code, Diagnostic};
use crate::location::FieldPath;
use crate::model::{Protocol, is_surroundings};
use crate::snapshot::{Backend, Endpoint, OutsidePort, PortId, Reach, Service, ServicePort};
use crate::validate::{BackendPort, InUse};

/// The ports of hosts outside that Ingresses lead to.
pub(super) struct Outside<'a> {
    services: &'a Services,
    inputs: &'a Inputs<'a>,
    ports: BTreeMap<Arc<PortId>, OutsidePort>,
}

/// Why a backend leads nowhere.
pub(super) struct Nowhere {
    pub(super) code: Code,
    /// Below `service` of the backend.
    pub(super) field: &'static str,
    pub(super) text: String,
    pub(super) help: Option<String>,
}

impl Nowhere {
    fn new(code: Code, field: &'static str, text: String) -> Self {
        Self { code, field, text, help: None }
    }
}

impl<'a> Outside<'a> {
    pub(super) fn new(services: &'a Services, inputs: &'a Inputs<'a>) -> Self {
        Self { services, inputs, ports: BTreeMap::new() }
    }

    /// Where an ExternalName Service leads whose name is `host`.
    pub(super) fn backend(
        &mut self,
        (object, field): (&InUse, &FieldPath),
        (service, host): (&Service, &str),
        port: &BackendPort,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Result<Backend, Nowhere> {
        let name = &service.name.name;
        let number = match port {
            BackendPort::Number(number) => *number,
            BackendPort::Name(text) => {
                let found = service.ports.iter().find(|port| port.id.name == *text);
                found.map(|port| port.port).ok_or_else(|| Nowhere {
                    help: Some("name it by its number: it is the port of the host".to_owned()),
                    ..Nowhere::new(
                        Code::MissingServicePort,
                        "port",
                        format!("Service `{name}` has no port `{text}`"),
                    )
                })?
            }
        };
        let mut host = host;
        let mut seen = BTreeSet::from([&service.name]);
        while let Some(target) = service_named(host, self.inputs.settings) {
            let Some((target, found)) = self.services.get_key_value(&target) else {
                let text = format!("`{name}` leads to Service `{target}`, which does not exist");
                return Err(Nowhere::new(Code::MissingService, "name", text));
            };
            let Reach::ExternalName(next) = &found.reach else {
                return in_cluster(found, name, number);
            };
            if !seen.insert(target) || seen.len() > MAX_ALIASES {
                let text = format!("`{name}` leads to `{target}`, and so on without an end");
                return Err(Nowhere::new(Code::ExternalNameBackend, "name", text));
            }
            host = next;
        }
        let found = self.elsewhere(service, (host, number))?;
        if let Some(admin) = found.admin {
            let text = format!("endpoint {admin} is portico's own admin listener and is left out");
            diagnostics.push(finding(Code::AdminBackend, object, field.key("name"), text));
        }
        Ok(Backend::Service(found.id))
    }

    /// The port of a host outside, and what of it is left out.
    fn elsewhere(
        &mut self,
        service: &Service,
        (host, number): (&str, u16),
    ) -> Result<Found, Nowhere> {
        let refused = |text| Err(Nowhere::new(Code::ExternalNameBackend, "name", text));
        let name = &service.name.name;
        let allowed = &self.inputs.settings.front_door.outbound_hosts;
        let is_listed = allowed.iter().any(|it| it.eq_ignore_ascii_case(host));
        if !allowed.is_empty() && !is_listed {
            let text = format!(
                "`{name}` leads to `{host}`, which is none of the setting `ingress.outboundHosts`"
            );
            return refused(text);
        }
        let addresses: Arc<[IpAddr]> = match host.parse::<IpAddr>() {
            Ok(address) => [address].into(),
            Err(_) => self.inputs.outside.get(host).cloned().unwrap_or_default(),
        };
        if !is_listed && let Some(bad) = addresses.iter().find(|&&it| is_surroundings(it)) {
            return refused(format!(
                "`{name}` leads to {bad}, an address of this host's surroundings"
            ));
        }
        let all = addresses.iter().map(|&ip| SocketAddr::new(ip, number));
        let (admin, usable): (Vec<_>, Vec<_>) = all.partition(|it| is_admin(*it, self.inputs));
        let id = PortId {
            service: service.name.clone(),
            // No port of a Service is called by digits alone.
            name: number.to_string().into(),
            protocol: Protocol::Tcp,
        };
        let admin = admin.first().copied();
        if let Some((id, _)) = self.ports.get_key_value(&id) {
            return Ok(Found { id: Arc::clone(id), admin });
        }
        if self.ports.len() >= MAX_PORTS {
            return refused(format!("more than {MAX_PORTS} ports of hosts outside are not served"));
        }
        let id = Arc::new(id);
        let port = ServicePort {
            id: Arc::clone(&id),
            port: number,
            node_port: None,
            endpoints: usable.into_iter().map(Endpoint::at).collect(),
            traffic: Arc::clone(&service.traffic),
        };
        let port = OutsidePort { host: host.into(), port: Arc::new(port) };
        self.ports.insert(Arc::clone(&id), port);
        Ok(Found { id, admin })
    }

    /// All of them, sorted; those that are as before are those of before.
    pub(super) fn into_ports(self) -> Vec<OutsidePort> {
        let before = &self.inputs.previous.routes.outside;
        let same = |port: OutsidePort| {
            let kept = before.iter().find(|it| **it == port);
            kept.cloned().unwrap_or(port)
        };
        self.ports.into_values().map(same).collect()
    }
}

/// A port outside, and what of it is the admin listener's.
struct Found {
    id: Arc<PortId>,
    admin: Option<SocketAddr>,
}

/// The port of a Service of a manifest.
fn in_cluster(service: &Service, name: &str, number: u16) -> Result<Backend, Nowhere> {
    let is_it = |port: &&Arc<ServicePort>| port.port == number && port.id.protocol == Protocol::Tcp;
    match service.ports.iter().find(is_it) {
        Some(port) => Ok(Backend::Service(Arc::clone(&port.id))),
        None => {
            let text =
                format!("`{name}` leads to Service `{}`, which has no port {number}", service.name);
            Err(Nowhere::new(Code::MissingServicePort, "port", text))
        }
    }
}

/// The hosts that somebody must look up.
pub(crate) fn sought(ports: &[OutsidePort]) -> BTreeSet<Arc<str>> {
    let hosts = ports.iter().map(|port| &port.host);
    let names = hosts.filter(|host| host.parse::<IpAddr>().is_err());
    names.map(Arc::clone).collect()
}

/// Names that lead to names.
const MAX_ALIASES: usize = 4;
/// Of all Ingresses.
const MAX_PORTS: usize = 1_024;
