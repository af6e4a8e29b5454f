//! `/api/v1/snapshot`: what serves, as JSON for people and programs.
//!
//! Names, addresses, states and what is asked; of a certificate its Secret's name and end, never a key.

use std::sync::Arc;

use portico_config::model::{Certificate, PathKind};
use portico_config::publish::Published;
use portico_config::snapshot::{Backend, Canary, Host, Location, Reach, Service, Snapshot};
use portico_net::listeners::{ListenerState, ListenerStatus};
use rustls::crypto::aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256;
use serde_json::{Value, json};

use super::policy;
use crate::report::diagnostic_json;

/// The whole answer.
pub(crate) fn render(published: &Published, listeners: &[Arc<ListenerStatus>]) -> Value {
    let snapshot = &published.snapshot;
    json!({
        "generation": snapshot.generation,
        "services": snapshot.services.values().map(|it| service(it)).collect::<Vec<_>>(),
        "listeners": listeners.iter().map(|it| listener(it)).collect::<Vec<_>>(),
        "routes": routes(snapshot),
        "certificates": certificates(snapshot),
        "zones": zones(snapshot),
        "assignments": assignments(snapshot),
        "diagnostics": published.diagnostics.iter().map(diagnostic_json).collect::<Vec<_>>(),
    })
}

fn service(service: &Service) -> Value {
    let (kind, addresses, alias) = match &service.reach {
        Reach::ClusterIp(addresses) => ("ClusterIP", &addresses[..], None),
        Reach::Headless => ("Headless", &[][..], None),
        Reach::ExternalName(name) => ("ExternalName", &[][..], Some(&**name)),
    };
    let ports = service.ports.iter().map(|port| {
        let usable: std::collections::BTreeSet<_> =
            port.usable().map(|endpoint| endpoint.address).collect();
        let endpoints = port.endpoints.iter().map(|endpoint| {
            json!({
                "address": endpoint.address,
                "ready": endpoint.ready,
                "serving": endpoint.serving,
                "terminating": endpoint.terminating,
                "usable": usable.contains(&endpoint.address),
                "pod": endpoint.pod.as_deref(),
                "node": endpoint.node.as_deref(),
                "zone": endpoint.zone.as_deref(),
                "weight": endpoint.weight,
            })
        });
        json!({
            "name": &*port.id.name,
            "protocol": port.id.protocol.to_string(),
            "port": port.port,
            "nodePort": port.node_port,
            "balance": port.traffic.balance.to_string(),
            "endpoints": endpoints.collect::<Vec<_>>(),
        })
    });
    json!({
        "namespace": &*service.name.namespace,
        "name": &*service.name.name,
        "kind": kind,
        "addresses": addresses,
        "externalName": alias,
        "ports": ports.collect::<Vec<_>>(),
    })
}

fn listener(listener: &ListenerStatus) -> Value {
    let (state, reason) = match &listener.state {
        ListenerState::Serving => ("serving", None),
        ListenerState::Degraded(reason) => ("degraded", Some(reason)),
        ListenerState::Draining => ("draining", None),
    };
    json!({
        "role": listener.role,
        "address": listener.address,
        "protocol": listener.protocol,
        "serves": listener.serves,
        "state": state,
        "reason": reason,
    })
}

fn routes(snapshot: &Snapshot) -> Vec<Value> {
    let hosts = snapshot.routes.hosts().into_iter();
    hosts.map(|it| host(it)).collect()
}

fn host(host: &Host) -> Value {
    let mut shown = json!({
        "host": host.pattern.to_string(),
        "locations": host.locations.iter().map(location).collect::<Vec<_>>(),
        "defaultBackend": host.default_backend.as_ref().map(backend),
        "clients": host.clients.as_ref().map(|auth| policy::clients(auth)),
        "tls": host.suites.as_ref().map(|suites| policy::suites(suites)),
        "passedTo": host.passed_to.as_ref().map(backend),
    });
    if host.default_backend.is_some() {
        shown["defaultPolicy"] = policy::render(&host.default_policy);
        shown["defaultClosed"] = host.default_policy.closed.as_deref().into();
    }
    shown
}

fn location(location: &Location) -> Value {
    json!({
        "path": &*location.path,
        "pathType": match location.kind {
            PathKind::Exact => "Exact",
            PathKind::Prefix => "Prefix",
            PathKind::Text => "Text",
        },
        "backend": backend(&location.backend),
        "ingress": location.ingress.to_string(),
        "closed": location.policy.closed.as_deref(),
        "policy": policy::render(&location.policy),
        "canary": location.canary.as_ref().map(|it| canary(it)),
    })
}

fn canary(canary: &Canary) -> Value {
    json!({
        "ingress": canary.ingress.to_string(),
        "backend": backend(&canary.backend),
        "rule": policy::canary(&canary.rule),
        "policy": policy::of_canary(&canary.balancing),
    })
}

fn backend(backend: &Backend) -> Value {
    match backend {
        Backend::Service(port) => json!({ "service": port.to_string() }),
        Backend::Missing(reason) => json!({ "missing": &**reason }),
        Backend::Resource => json!({ "resource": true }),
    }
}

fn certificates(snapshot: &Snapshot) -> Vec<Value> {
    let table = &snapshot.certificates;
    let exact = table
        .exact
        .iter()
        .map(|(host, certificate)| (host.to_string(), certificate));
    let wildcard = table
        .wildcard
        .iter()
        .map(|(suffix, certificate)| (format!("*.{suffix}"), certificate));
    let mut all: Vec<_> = exact.chain(wildcard).collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all.into_iter()
        .map(|(host, certificate)| {
            json!({
                "host": host,
                "secret": certificate.secret.as_ref().map(ToString::to_string),
                "notAfterSeconds": certificate.not_after_seconds,
                "sha256": fingerprint(certificate),
            })
        })
        .collect()
}

/// The SHA-256 of the certificate itself, which everybody may see.
fn fingerprint(certificate: &Certificate) -> Option<String> {
    sha256(certificate.key.cert.first()?)
}

/// In hexadecimal digits; none where the crypto library has no SHA-256.
pub(super) fn sha256(bytes: &[u8]) -> Option<String> {
    let suite = TLS13_AES_128_GCM_SHA256.tls13()?;
    let digest = suite.common.hash_provider.hash(bytes);
    let text = |text: String, byte: &u8| text + &format!("{byte:02x}");
    Some(digest.as_ref().iter().fold(String::new(), text))
}

/// What was allocated because manifests were silent.
fn assignments(snapshot: &Snapshot) -> Value {
    let assigned = &snapshot.assignments;
    let addresses = assigned.cluster_ips.iter();
    let addresses = addresses.map(|(service, it)| (service.to_string(), json!(it)));
    let node_ports = assigned.node_ports.iter();
    let node_ports = node_ports.map(|((service, port), node_port)| {
        json!({ "service": service.to_string(), "port": port, "nodePort": node_port })
    });
    json!({
        "clusterIps": addresses.collect::<serde_json::Map<_, _>>(),
        "nodePorts": node_ports.collect::<Vec<_>>(),
    })
}

fn zones(snapshot: &Snapshot) -> Value {
    let zones = &snapshot.zones;
    let texts =
        |names: &[Arc<str>]| -> Vec<String> { names.iter().map(ToString::to_string).collect() };
    json!({
        "clusterDomains": texts(&zones.cluster_domains),
        "aliasZones": texts(&zones.alias_zones),
        "reverse": zones.reverse.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "hostSuffixes": texts(&zones.host_suffixes),
        "hosts": zones.hosts.iter().map(|record| json!({
            "host": record.host.to_string(),
            "addresses": record.addresses,
            "alias": record.alias,
            "owner": record.owner.to_string(),
        })).collect::<Vec<_>>(),
        "ttlSeconds": zones.ttl_seconds,
        "serial": zones.serial,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_snapshot_has_every_list() {
        let json = render(&Published::default(), &[]);
        for key in ["services", "listeners", "routes", "certificates", "diagnostics"] {
            assert_eq!(json[key], json!([]), "{key}");
        }
        assert_eq!(json["generation"], 0);
    }
}
