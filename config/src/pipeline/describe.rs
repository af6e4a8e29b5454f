//! What one publication changed, in the words of the one sentence that a reload logs.
//!
//! Invariants: pure; a few names of each kind and then a count, so that a thousand changes are as
//! short as ten; what has no name of its own (a namespace, a zone) is called `names`.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::Certificate;
use crate::snapshot::diff::{self, Change};
use crate::snapshot::{
    CertificateTable, Endpoint, Host, PortId, RouteTable, Service, ServicePort, Snapshot,
};

/// `Service default/web changed: 1 endpoint added`, `2 hosts removed: a.test, b.test`.
pub(super) fn changes(old: &Snapshot, new: &Snapshot) -> Vec<String> {
    let mut parts = Vec::new();
    let (mut added, mut changed, mut removed) = (Vec::new(), Vec::new(), Vec::new());
    for change in diff::services(old, new) {
        match change {
            Change::Added(service) => added.push(service.name.to_string()),
            Change::Removed(service) => removed.push(service.name.to_string()),
            Change::Changed(before, after) if changed.len() < MAX_NAMES => {
                changed.push(format!("{} ({})", after.name, service(before, after)));
            }
            Change::Changed(_, after) => changed.push(after.name.to_string()),
        }
    }
    group(&mut parts, ["Service", "Services"], [added, changed, removed]);
    if !Arc::ptr_eq(&old.routes, &new.routes) {
        let of = |table| -> BTreeMap<String, &Arc<Host>> { hosts(table).collect() };
        let sorted = sort(&of(&old.routes), &of(&new.routes), |a, b| a == b);
        group(&mut parts, ["host", "hosts"], sorted);
    }
    if !Arc::ptr_eq(&old.certificates, &new.certificates) {
        let of = |table| -> BTreeMap<String, &Arc<Certificate>> { certificates(table).collect() };
        let same = |a: &&Arc<Certificate>, b: &&Arc<Certificate>| {
            Arc::ptr_eq(a, b) || a.key.cert == b.key.cert
        };
        let sorted = sort(&of(&old.certificates), &of(&new.certificates), same);
        group(&mut parts, ["certificate", "certificates"], sorted);
    }
    if parts.is_empty() {
        let what = match Arc::ptr_eq(&old.routes, &new.routes) {
            true => "names",
            false => "whose Ingresses are",
        };
        parts.push(what.to_owned());
    }
    parts
}

/// What is different about a Service: `1 endpoint added, 1 removed`, `ports`.
fn service(old: &Service, new: &Service) -> String {
    let mut what = Vec::new();
    if old.reach != new.reach {
        what.push("address".to_owned());
    }
    if old.ports.iter().map(port).ne(new.ports.iter().map(port)) {
        what.push("ports".to_owned());
    }
    let (before, after) = (endpoints(old), endpoints(new));
    let added = after
        .keys()
        .filter(|key| !before.contains_key(*key))
        .count();
    let removed = before
        .keys()
        .filter(|key| !after.contains_key(*key))
        .count();
    let changed = after
        .iter()
        .filter(|(key, endpoint)| before.get(*key).is_some_and(|old| old != *endpoint))
        .count();
    let counts = [(added, "added"), (removed, "removed"), (changed, "changed")];
    let counts = counts.into_iter().filter(|(count, _)| *count > 0);
    for (position, (count, verb)) in counts.enumerate() {
        let noun = match (position, count) {
            (0, 1) => " endpoint",
            (0, _) => " endpoints",
            _ => "",
        };
        what.push(format!("{count}{noun} {verb}"));
    }
    if what.is_empty() {
        what.push("settings".to_owned());
    }
    what.join(", ")
}

fn port(port: &Arc<ServicePort>) -> (&PortId, u16, Option<u16>) {
    (&port.id, port.port, port.node_port)
}

fn endpoints(service: &Service) -> BTreeMap<(usize, std::net::SocketAddr), &Endpoint> {
    let ports = service.ports.iter().enumerate();
    ports
        .flat_map(|(index, port)| {
            port.endpoints
                .iter()
                .map(move |it| ((index, it.address), it))
        })
        .collect()
}

fn hosts(table: &RouteTable) -> impl Iterator<Item = (String, &Arc<Host>)> {
    let all = table.hosts().into_iter();
    all.map(|host| (host.pattern.to_string(), host))
}

fn certificates(table: &CertificateTable) -> impl Iterator<Item = (String, &Arc<Certificate>)> {
    let exact = table.exact.iter().map(|(host, it)| (host.to_string(), it));
    let wildcard = table
        .wildcard
        .iter()
        .map(|(suffix, it)| (format!("*.{suffix}"), it));
    exact.chain(wildcard)
}

/// The names that were added, changed and removed.
fn sort<T>(
    old: &BTreeMap<String, T>,
    new: &BTreeMap<String, T>,
    same: impl Fn(&T, &T) -> bool,
) -> [Vec<String>; 3] {
    let only = |these: &BTreeMap<String, T>, those: &BTreeMap<String, T>| -> Vec<String> {
        let only = these.keys().filter(|name| !those.contains_key(*name));
        only.cloned().collect()
    };
    let changed = new
        .iter()
        .filter(|(name, value)| old.get(*name).is_some_and(|old| !same(old, value)))
        .map(|(name, _)| name.clone());
    [only(new, old), changed.collect(), only(old, new)]
}

fn group(parts: &mut Vec<String>, [one, many]: [&str; 2], names: [Vec<String>; 3]) {
    for (names, verb) in names.into_iter().zip(["added", "changed", "removed"]) {
        match &names[..] {
            [] => {}
            [name] => parts.push(format!("{one} {name} {verb}")),
            _ => {
                let named = names.iter().take(MAX_NAMES).cloned().collect::<Vec<_>>();
                let mut text = format!("{} {many} {verb}: {}", names.len(), named.join(", "));
                if names.len() > MAX_NAMES {
                    text.push_str(&format!(" and {} more", names.len() - MAX_NAMES));
                }
                parts.push(text);
            }
        }
    }
}

/// Names of one kind and verb; the rest is counted.
const MAX_NAMES: usize = 5;
