//! Services whose endpoints lead back to themselves through portico's own fronts are cut
//! (`reliability 2.12.11`): the endpoint that closes the circle is left out.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;

use super::{Draft, Inputs, finding};
use crate::diagnostic::{Code, Diagnostic};
use crate::snapshot::Reach;

/// A port of a draft: index of the draft, index of the port.
type Node = (usize, usize);

/// Leaves out every endpoint from which its own ServicePort can be reached again.
pub(super) fn cut(
    drafts: &mut [Draft<'_>],
    inputs: &Inputs<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let mut fronts: HashMap<SocketAddr, Node> = HashMap::new();
    for (at, draft) in drafts.iter().enumerate() {
        for (index, port) in draft.service.ports.iter().enumerate() {
            if let Reach::ClusterIp(addresses) = &draft.reach {
                for address in addresses {
                    fronts.insert(SocketAddr::new(*address, port.port), (at, index));
                }
            }
            if let Some(node_port) = draft.node_ports[index] {
                for address in &inputs.settings.node_addresses {
                    fronts.insert(SocketAddr::new(*address, node_port), (at, index));
                }
            }
        }
    }
    let mut edges: HashMap<Node, Vec<(SocketAddr, Node)>> = HashMap::new();
    for (at, draft) in drafts.iter().enumerate() {
        for (index, endpoints) in draft.joined.ports.iter().enumerate() {
            for address in endpoints.keys() {
                if let Some(front) = fronts.get(address) {
                    edges
                        .entry((at, index))
                        .or_default()
                        .push((*address, *front));
                }
            }
        }
    }
    let mut nodes: Vec<_> = edges.keys().copied().collect();
    nodes.sort_unstable();
    for node in nodes {
        for (address, front) in edges.get(&node).cloned().unwrap_or_default() {
            if !reaches(&edges, front, node) {
                continue;
            }
            if let Some(list) = edges.get_mut(&node) {
                list.retain(|(other, _)| *other != address);
            }
            let draft = &mut drafts[node.0];
            draft.joined.ports[node.1].remove(&address);
            let text = format!("endpoint {address} leads back to this Service and is left out");
            diagnostics.push(finding(Code::Cycle, draft.object, "metadata.name", text));
        }
    }
}

fn reaches(edges: &HashMap<Node, Vec<(SocketAddr, Node)>>, from: Node, to: Node) -> bool {
    let mut seen = HashSet::new();
    let mut open = vec![from];
    while let Some(node) = open.pop() {
        if node == to {
            return true;
        }
        if seen.insert(node) {
            open.extend(
                edges
                    .get(&node)
                    .into_iter()
                    .flatten()
                    .map(|(_, next)| *next),
            );
        }
    }
    false
}
