//! `/api/v1/ingresses`: every Ingress, whose it is, where it is reached, and how each of its
//! locations is (`ingress 1.8`).
//!
//! Pure. Read from what serves, so that it cannot say what is not so: a location is open where
//! requests reach a backend, closed where each of them gets 503, shadowed where another Ingress
//! serves the same path of the same host.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use portico_config::model::{HostPattern, ObjectName, PathKind, Policy};
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
    for (ingress, shown) in rest(snapshot) {
        locations.entry(ingress).or_default().push(shown);
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
        let at = if claim.is_ours() { addresses.clone() } else { Vec::new() };
        let left = claim.left.as_ref();
        json!({
            "namespace": &*claim.ingress.namespace,
            "name": &*claim.ingress.name,
            "class": claim.class.as_deref(),
            "served": claim.is_ours(),
            "owner": left.map_or(Some("portico"), |left| left.to.as_deref()),
            "reason": left.map(|left| &*left.why),
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

/// What serves the rest of each host, by its Ingress: that of an Ingress without rules once, where no rule names
/// the host.
fn rest(snapshot: &Snapshot) -> impl Iterator<Item = (&ObjectName, Value)> {
    let any = snapshot.routes.any.as_ref();
    let of_any = any.map(|host| (&host.default_ingress, &host.default_backend));
    written(snapshot).filter_map(move |host| {
        let (ingress, backend) = (host.default_ingress.as_ref()?, host.default_backend.as_ref()?);
        let is_passed_on = of_any == Some((&host.default_ingress, &host.default_backend));
        if is_passed_on && host.pattern != HostPattern::Any {
            return None;
        }
        let at = Place { host, path: None, policy: &host.default_policy };
        Some((ingress, place(&at, backend, snapshot)))
    })
}

/// Where something is served.
struct Place<'a> {
    host: &'a Host,
    /// None: whatever no path of the host is for.
    path: Option<(&'a str, PathKind)>,
    policy: &'a Policy,
}

impl<'a> Place<'a> {
    fn of(host: &'a Host, location: &'a Location) -> Self {
        Self { host, path: Some((&*location.path, location.kind)), policy: &location.policy }
    }
}

fn served(host: &Host, location: &Location, snapshot: &Snapshot) -> Value {
    let mut all = place(&Place::of(host, location), &location.backend, snapshot);
    all["policy"] = policy::render(&location.policy);
    all["canary"] = match &location.canary {
        Some(canary) => canary.ingress.to_string().into(),
        None => Value::Null,
    };
    all
}

/// The alternative of a location, which is closed where that is.
fn of_canary(host: &Host, (location, canary): (&Location, &Canary), snapshot: &Snapshot) -> Value {
    let mut all = place(&Place::of(host, location), &canary.backend, snapshot);
    all["policy"] = policy::of_canary(&canary.balancing);
    all["rule"] = policy::canary(&canary.rule);
    all["canaryOf"] = location.ingress.to_string().into();
    all
}

/// Where a location is, how it is, and what is behind it.
fn place(at: &Place<'_>, backend: &Backend, snapshot: &Snapshot) -> Value {
    let closed = at.policy.closed.as_deref();
    let Behind { service, port, endpoints, missing } = behind(backend, snapshot);
    json!({
        "host": at.host.pattern.to_string(),
        "path": at.path.map(|(path, _)| path),
        "pathType": at.path.map(|(_, kind)| path_type(kind)),
        "service": service,
        "port": port,
        "endpoints": endpoints,
        "mode": mode(at.host.is_nginx),
        "state": if closed.is_some() { "closed" } else { "open" },
        "reason": closed.or(missing),
    })
}

/// What is behind a location.
#[derive(Default)]
struct Behind<'a> {
    /// The ServicePort, and its number.
    service: Option<String>,
    port: Option<u16>,
    /// To how many endpoints requests can be sent.
    endpoints: usize,
    /// Why there is none.
    missing: Option<&'a str>,
}

fn behind<'a>(backend: &'a Backend, snapshot: &Snapshot) -> Behind<'a> {
    match backend {
        Backend::Service(port) => {
            let found = snapshot.port(port);
            let endpoints = found.map_or(0, |found| found.usable().count());
            let missing = (endpoints == 0).then_some("the Service has no endpoint to send to");
            let (service, port) = (Some(port.to_string()), found.map(|found| found.port));
            Behind { service, port, endpoints, missing }
        }
        Backend::Missing(reason) => Behind { missing: Some(reason), ..Behind::default() },
        Backend::Resource => {
            let missing = Some("portico serves no resource backend");
            Behind { missing, ..Behind::default() }
        }
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
