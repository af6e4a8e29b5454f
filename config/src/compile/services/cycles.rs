//! Services whose endpoints lead back to themselves through portico's own fronts are cut
//! (`reliability 2.12.11`): the endpoint that closes the circle is left out.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::net::SocketAddr;

use super::{Draft, Fronts, Node, finding};
use crate::diagnostic::{Code, Diagnostic};
use crate::model::{HostFacts, ObjectName};

/// Which fronts the endpoints of a ServicePort are.
type Edges = BTreeMap<Node, Vec<(SocketAddr, Node)>>;

/// Leaves out every endpoint from which its own ServicePort can be reached again; returns the
/// Services that have a front among their endpoints, all of which must be among `drafts`.
pub(super) fn cut(
    drafts: &mut BTreeMap<ObjectName, Draft<'_>>,
    fronts: &Fronts,
    facts: &HostFacts,
    diagnostics: &mut Vec<Diagnostic>,
) -> BTreeSet<ObjectName> {
    let mut edges = Edges::new();
    for (name, draft) in &*drafts {
        for (index, endpoints) in draft.joined.ports.iter().enumerate() {
            let protocol = draft.service.ports[index].protocol;
            for address in endpoints.keys() {
                if let Some(front) = fronts.find(*address, protocol, facts) {
                    let node = (name.clone(), index);
                    edges
                        .entry(node)
                        .or_default()
                        .push((*address, front.clone()));
                }
            }
        }
    }
    let nodes: Vec<Node> = edges.keys().cloned().collect();
    let mut told = BTreeSet::new();
    for node in &nodes {
        for (address, front) in edges.get(node).cloned().unwrap_or_default() {
            if !reaches(&edges, &front, node) {
                continue;
            }
            if let Some(list) = edges.get_mut(node) {
                list.retain(|(other, _)| *other != address);
            }
            let Some(draft) = drafts.get_mut(&node.0) else { continue };
            if let Some(endpoints) = draft.joined.ports.get_mut(node.1) {
                endpoints.remove(&address);
            }
            draft.joined.forget(address.ip());
            // Once, though several ports may lead there.
            if !told.insert((&node.0, address)) {
                continue;
            }
            let text = format!("endpoint {address} leads back to this Service and is left out");
            diagnostics.push(finding(Code::Cycle, draft.object, "metadata.name", text));
        }
    }
    nodes.iter().map(|(name, _)| name.clone()).collect()
}

fn reaches(edges: &Edges, from: &Node, to: &Node) -> bool {
    let mut seen = HashSet::new();
    let mut open = vec![from];
    while let Some(node) = open.pop() {
        if node == to {
            return true;
        }
        if seen.insert(node) {
            open.extend(edges.get(node).into_iter().flatten().map(|(_, next)| next));
        }
    }
    false
}
