//! The cluster around the Services: Nodes, this host's place among them, and who is a Pod.

use std::sync::Arc;

use super::{Inputs, Objects};
use crate::model::IpFamily;
use crate::snapshot::Cluster;
use crate::snapshot::cluster::{AddressSet, NodePlace, PodDetector};
use crate::validate::Kind;

/// The cluster as Nodes and Pods show it.
pub(super) fn compile(objects: &Objects, inputs: &Inputs<'_>) -> Cluster {
    let settings = inputs.settings;
    let nodes = objects
        .nodes
        .iter()
        .filter_map(|(name, object)| match &object.valid.kind {
            Kind::Node(node) => {
                let place = NodePlace {
                    zone: node.zone.clone(),
                    addresses: node.addresses.clone(),
                    pod_cidrs: node.pod_cidrs.clone(),
                };
                Some((Arc::clone(name), place))
            }
            _ => None,
        });
    let nodes: std::collections::BTreeMap<_, _> = nodes.collect();
    let pod_cidrs: Vec<_> = nodes
        .values()
        .flat_map(|node| node.pod_cidrs.clone())
        .collect();
    let networks = || settings.cluster_cidrs.iter().chain(&pod_cidrs);
    let known = |family| networks().any(|network| IpFamily::of(network.addr()) == family);
    // Where networks say it all, Pods that come and go change nothing.
    let addresses = match known(IpFamily::V4) && known(IpFamily::V6) {
        true => AddressSet::default(),
        false => objects.pod_addresses.clone(),
    };
    Cluster {
        node: settings.node_name.clone(),
        pods: PodDetector::new(&settings.cluster_cidrs, &pod_cidrs, addresses),
        nodes: Arc::new(nodes),
        host_addresses: inputs.facts.addresses.clone(),
        node_addresses: settings.node_addresses.clone(),
        service_cidrs: settings.service_cidrs.clone(),
    }
}
