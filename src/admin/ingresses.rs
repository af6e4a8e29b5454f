//! `/api/v1/ingresses`: every Ingress, whose it is, where it is reached, and how each of its
//! locations is (`ingress 1.8`).
//!
//! Pure. Read from what serves, so that it cannot say what is not so: a location is open where
//! requests reach a backend, closed where each of them gets 503, shadowed where another Ingress
//! serves the same path of the same host.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use portico_config::model::{HostPattern, ObjectName, PathKind};
use portico_config::snapshot::{Backend, Canary, Claim, Host, Location, Shadowed, Snapshot};
use portico_net::listeners::{ListenerState, ListenerStatus};
use serde_json::{Value, json};

use super::policy;

/// The whole answer.
pub(super) fn render(snapshot: &Snapshot, listeners: &[Arc<ListenerStatus>]) -> Value {
    let mut locations: BTreeMap<&ObjectName, Vec<Value>> = BTreeMap::new();
    for host in written(snapshot) {
        for location in &host.locations {
            let shown = served(host, location, snapshot);
            locations.entry(&location.ingress).or_default().push(shown);
            if let Some(canary) = &location.canary {
                let shown = of_canary(host, (location, canary), snapshot);
                locations.entry(&canary.ingress).or_default().push(shown);
            }
        }
    }
    let nginx = written(snapshot).filter(|host| host.is_nginx);
    let nginx: BTreeSet<&HostPattern> = nginx.map(|host| &host.pattern).collect();
    for claim in &snapshot.routes.claims {
        let lost = claim.shadowed.iter();
        let lost = lost.map(|lost| shadowed(lost, nginx.contains(&lost.host)));
        locations.entry(&claim.ingress).or_default().extend(lost);
    }
    let addresses = addresses(listeners);
    let mut ingress = |claim: &Claim| {
        let at = if claim.is_ours { addresses.clone() } else { Vec::new() };
        json!({
            "namespace": &*claim.ingress.namespace,
            "name": &*claim.ingress.name,
            "class": claim.class.as_deref(),
            "served": claim.is_ours,
            "locations": locations.remove(&claim.ingress).unwrap_or_default(),
            "status": { "loadBalancer": { "ingress": at } },
        })
    };
    let all: Vec<Value> = snapshot.routes.claims.iter().map(&mut ingress).collect();
    json!({ "ingresses": all })
}

/// Every host once, not once more for each of its alias names.
fn written(snapshot: &Snapshot) -> impl Iterator<Item = &Arc<Host>> {
    let mut seen = BTreeSet::new();
    let hosts = snapshot.routes.hosts().into_iter();
    hosts.filter(move |host| seen.insert(Arc::as_ptr(host)))
}

fn served(host: &Host, location: &Location, snapshot: &Snapshot) -> Value {
    let mut all = place(host, location, &location.backend, snapshot);
    all["policy"] = policy::render(&location.policy);
    all["canary"] = match &location.canary {
        Some(canary) => canary.ingress.to_string().into(),
        None => Value::Null,
    };
    all
}

/// The alternative of a location, which is closed where that is.
fn of_canary(host: &Host, (location, canary): (&Location, &Canary), snapshot: &Snapshot) -> Value {
    let mut all = place(host, location, &canary.backend, snapshot);
    all["policy"] = policy::of_canary(&canary.balancing);
    all["rule"] = policy::canary(&canary.rule);
    all["canaryOf"] = location.ingress.to_string().into();
    all
}

/// Where a location is, how it is, and what is behind it.
fn place(host: &Host, location: &Location, backend: &Backend, snapshot: &Snapshot) -> Value {
    let closed = location.policy.closed.as_deref();
    let (service, endpoints, missing) = behind(backend, snapshot);
    json!({
        "host": host.pattern.to_string(),
        "path": &*location.path,
        "pathType": path_type(location.kind),
        "service": service,
        "endpoints": endpoints,
        "mode": mode(host.is_nginx),
        "state": if closed.is_some() { "closed" } else { "open" },
        "reason": closed.or(missing),
    })
}

/// The ServicePort of a backend, how many endpoints it has, and why there is none of it.
fn behind<'a>(
    backend: &'a Backend,
    snapshot: &Snapshot,
) -> (Option<String>, usize, Option<&'a str>) {
    match backend {
        Backend::Service(port) => {
            let found = snapshot.port(port);
            let endpoints = found.map_or(0, |found| found.usable().count());
            let missing = (endpoints == 0).then_some("the Service has no endpoint to send to");
            (Some(port.to_string()), endpoints, missing)
        }
        Backend::Missing(reason) => (None, 0, Some(reason)),
        Backend::Resource => (None, 0, Some("portico serves no resource backend")),
    }
}

fn shadowed(lost: &Shadowed, is_nginx: bool) -> Value {
    json!({
        "host": lost.host.to_string(),
        "path": &*lost.path,
        "pathType": path_type(lost.kind),
        "mode": mode(is_nginx),
        "state": "shadowed",
        "reason": format!("served by {}", lost.by),
    })
}

/// How the paths of a host are compared (`ingress 2.2`).
fn mode(is_nginx: bool) -> &'static str {
    if is_nginx { "nginx" } else { "spec" }
}

fn path_type(kind: PathKind) -> &'static str {
    match kind {
        PathKind::Exact => "Exact",
        PathKind::Prefix => "Prefix",
        PathKind::Text => "Text",
    }
}

/// `status.loadBalancer.ingress`: an entry for each address at which anything listens, with every
/// port that was asked for there.
fn addresses(listeners: &[Arc<ListenerStatus>]) -> Vec<Value> {
    let mut by_address: BTreeMap<IpAddr, Vec<&ListenerStatus>> = BTreeMap::new();
    for listener in listeners {
        if matches!(listener.role, "http" | "https") {
            by_address
                .entry(listener.address.ip())
                .or_default()
                .push(listener);
        }
    }
    let serves =
        |ports: &&Vec<&ListenerStatus>| ports.iter().any(|it| it.state == ListenerState::Serving);
    let entry = |(ip, ports): (&IpAddr, &Vec<&ListenerStatus>)| {
        let ports = ports.iter().map(|listener| {
            let unavailable = matches!(listener.state, ListenerState::Degraded(_));
            json!({
                "port": listener.address.port(),
                "protocol": "TCP",
                "error": unavailable.then_some("portico.dev/PortUnavailable"),
            })
        });
        json!({ "ip": ip, "ports": ports.collect::<Vec<_>>() })
    };
    by_address
        .iter()
        .filter(|(_, ports)| serves(ports))
        .map(entry)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_told_of_where_anything_listens_with_what_is_missing() {
        let status = |role, address: &str, state| {
            let address = address.parse().unwrap();
            Arc::new(ListenerStatus { role, address, protocol: "tcp", serves: None, state })
        };
        let taken = || ListenerState::Degraded("taken".to_owned());
        let got = addresses(&[
            status("http", "127.0.0.1:80", ListenerState::Serving),
            status("https", "127.0.0.1:443", taken()),
            status("http", "127.0.0.2:80", taken()),
            status("dns", "127.0.0.3:53", ListenerState::Serving),
        ]);
        let want = json!([{ "ip": "127.0.0.1", "ports": [
            { "port": 80, "protocol": "TCP", "error": null },
            { "port": 443, "protocol": "TCP", "error": "portico.dev/PortUnavailable" },
        ] }]);
        assert_eq!(json!(got), want, "ingress 1.8");
    }
}
