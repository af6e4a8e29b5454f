//! Node (`services 2.6`): where in the topology endpoints and this host are.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::{Check, address, names};
use crate::api::core_v1;
use crate::diagnostic::Code;
use crate::location::FieldPath;
use crate::model::parse_millis;

/// A Node that is right by itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Node {
    /// Label `topology.kubernetes.io/zone`.
    pub(crate) zone: Option<Arc<str>>,
    /// `status.addresses` that are IP addresses, InternalIP before ExternalIP: the first of a family
    /// is the primary one.
    pub(crate) addresses: Vec<IpAddr>,
    /// `spec.podCIDRs`: sources inside are Pods.
    pub(crate) pod_cidrs: Vec<IpNet>,
    /// Keys of `spec.taints`.
    pub(crate) taints: Vec<Arc<str>>,
    /// It is being deleted.
    pub(crate) terminating: bool,
    /// `status.allocatable.cpu` in thousandths; 0 where it is not said.
    pub(crate) cpu_millis: u64,
    /// Whether its condition Ready is True.
    pub(crate) ready: bool,
    /// Whether a label says that it runs the control plane.
    pub(crate) control_plane: bool,
}

pub(super) fn node(node: &core_v1::Node, check: &mut Check<'_>) -> Node {
    let (labels, status) = (&node.metadata.labels, &node.status);
    let zone = labels.get("topology.kubernetes.io/zone");
    let cpu = status.allocatable.get("cpu");
    let is_ready = |found: &core_v1::Condition| found.type_ == "Ready" && found.status == "True";
    Node {
        zone: zone
            .filter(|zone| !zone.is_empty())
            .map(|zone| zone.as_str().into()),
        addresses: addresses(node, check),
        pod_cidrs: pod_cidrs(node, check),
        taints: taints(node, check),
        terminating: node.metadata.deletion_timestamp.is_some(),
        cpu_millis: cpu.and_then(|cpu| parse_millis(&cpu.0)).unwrap_or(0),
        ready: status.conditions.iter().any(is_ready),
        control_plane: CONTROL_PLANE
            .iter()
            .any(|label| labels.contains_key(*label)),
    }
}

fn addresses(node: &core_v1::Node, check: &mut Check<'_>) -> Vec<IpAddr> {
    let field = FieldPath::from("status.addresses");
    let (mut internal, mut external) = (Vec::new(), Vec::new());
    for (index, entry) in node.status.addresses.iter().enumerate() {
        let field = field.index(index);
        if node.status.addresses[..index].contains(entry) {
            check.duplicate(&field, &entry.address);
        }
        match &*entry.type_ {
            "InternalIP" => internal.extend(check.address(&field.key("address"), &entry.address)),
            "ExternalIP" => external.extend(check.address(&field.key("address"), &entry.address)),
            "" => check.required(&field.key("type")),
            _ => {}
        }
    }
    internal.append(&mut external);
    internal
}

fn pod_cidrs(node: &core_v1::Node, check: &mut Check<'_>) -> Vec<IpNet> {
    let spec = FieldPath::from("spec");
    let first = node.spec.pod_cidr.as_deref().unwrap_or_default();
    let all = &node.spec.pod_cidrs;
    if all.is_empty() {
        let field = spec.key("podCIDR");
        let found = (!first.is_empty()).then(|| check.cidr(&field, &field, first));
        return found.flatten().into_iter().collect();
    }
    let field = spec.key("podCIDRs");
    if !first.is_empty() && all[0] != first {
        let text = "first value must match `podCIDR`";
        check.report(Code::PodCidrsDisagree, &field, text);
    }
    let cidrs = all.iter().enumerate();
    let cidrs: Vec<_> = cidrs
        .filter_map(|(index, text)| check.cidr(&field.index(index), &field.index(index), text))
        .collect();
    if address::repeat_a_family(cidrs.iter().map(IpNet::addr)) {
        let text = "may specify no more than one CIDR for each IP family";
        check.report(Code::PodCidrsDisagree, &field, text);
    }
    cidrs
}

fn taints(node: &core_v1::Node, check: &mut Check<'_>) -> Vec<Arc<str>> {
    let field = FieldPath::from("spec.taints");
    let effects = [("NoExecute", ()), ("NoSchedule", ()), ("PreferNoSchedule", ())];
    let mut keys: Vec<(Arc<str>, Option<&str>)> = Vec::new();
    for (index, taint) in node.spec.taints.iter().enumerate() {
        let field = field.index(index);
        if let Err(fault) = names::qualified(&taint.key) {
            check.invalid(Code::InvalidTaint, &field.key("key"), &taint.key, fault);
        }
        if let Err(fault) = names::label_value(taint.value.as_deref().unwrap_or_default()) {
            let value = taint.value.as_deref().unwrap_or_default();
            check.invalid(Code::InvalidTaint, &field.key("value"), value, fault);
        }
        let effect = taint.effect.as_deref().filter(|effect| !effect.is_empty());
        match effect {
            None => check.required(&field.key("effect")),
            effect => drop(check.choice(&field.key("effect"), effect, &effects)),
        }
        let key = (taint.key.as_str().into(), effect);
        if keys.contains(&key) {
            check.duplicate(&field, &taint.key);
        }
        keys.push(key);
    }
    keys.into_iter().map(|(key, _)| key).collect()
}

/// Labels of Nodes that are left out of a zone's share.
const CONTROL_PLANE: [&str; 2] =
    ["node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master"];
