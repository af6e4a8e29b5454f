//! Pod (`services 2.4`), as far as it can stand behind a Service.

mod probes;

use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use super::{Check, address, names, service};
use crate::api::core_v1;
use crate::diagnostic::Code;
use crate::location::FieldPath;
use crate::model::{PodProbes, Protocol};

/// A Pod that is right by itself.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Pod {
    /// Labels, for selectors.
    pub(crate) labels: BTreeMap<Arc<str>, Arc<str>>,
    /// `status.podIPs`, else `status.podIP`.
    pub(crate) addresses: Vec<IpAddr>,
    /// Whether condition Ready is True; none: there is no such condition.
    pub(crate) ready: Option<bool>,
    /// What is wrong with readiness gates whose condition is not True, as the kubelet says it.
    pub(crate) closed_gates: Arc<[String]>,
    /// How it is probed, if it has an address and probes.
    pub(crate) probes: Option<Arc<PodProbes>>,
    /// It is being deleted.
    pub(crate) terminating: bool,
    /// It has ended: phase Succeeded or Failed.
    pub(crate) finished: bool,
    /// Node.
    pub(crate) node: Option<Arc<str>>,
    /// `spec.hostname`.
    pub(crate) hostname: Option<Arc<str>>,
    /// `spec.subdomain`.
    pub(crate) subdomain: Option<Arc<str>>,
    /// `spec.hostNetwork`: its address is the node's, so its sources are no Pod's.
    pub(crate) host_network: bool,
    /// Annotation `portico.dev/weight`.
    pub(crate) weight: Option<u16>,
    /// Named container ports in the order in which a name is looked up.
    pub(crate) ports: Vec<(Arc<str>, Protocol, u16)>,
}

impl Pod {
    /// The number behind a named port of a protocol: the first that matches.
    pub(crate) fn port(&self, name: &str, protocol: Protocol) -> Option<u16> {
        let same = |port: &&(Arc<str>, Protocol, u16)| &*port.0 == name && port.1 == protocol;
        self.ports.iter().find(same).map(|port| port.2)
    }
}

pub(super) fn pod(pod: &core_v1::Pod, check: &mut Check<'_>) -> Pod {
    let (spec, status) = (&pod.spec, &pod.status);
    let field = FieldPath::from("spec");
    let named = |name: &Option<String>, key: &str, grammar, check: &mut Check<'_>| {
        let name = name.as_deref().filter(|name| !name.is_empty())?;
        check.name(&field.key(key), name, grammar);
        Some(Arc::from(name))
    };
    let ready = status
        .conditions
        .iter()
        .find(|condition| condition.type_ == "Ready");
    let labels = &pod.metadata.labels;
    let addresses = addresses(status, check);
    Pod {
        labels: labels
            .iter()
            .map(|(k, v)| (k.as_str().into(), v.as_str().into()))
            .collect(),
        probes: probes(pod, addresses.first().copied()),
        addresses,
        ready: ready.map(|condition| condition.status == "True"),
        closed_gates: closed_gates(pod),
        terminating: pod.metadata.deletion_timestamp.is_some(),
        finished: matches!(status.phase.as_deref(), Some("Succeeded" | "Failed")),
        node: named(&spec.node_name, "nodeName", names::subdomain, check),
        hostname: named(&spec.hostname, "hostname", names::label, check),
        subdomain: named(&spec.subdomain, "subdomain", names::label, check),
        host_network: spec.host_network,
        weight: service::pod_weight(&pod.metadata, check),
        ports: {
            conditions(status, check);
            probes::check(spec, check);
            ports(spec, check)
        },
    }
}

/// `services 6`: every readiness gate is a condition that is True.
fn closed_gates(pod: &core_v1::Pod) -> Arc<[String]> {
    let conditions = &pod.status.conditions;
    let fault = |gate: &core_v1::PodReadinessGate| {
        let name = &gate.condition_type;
        let condition = conditions.iter().find(|it| it.type_ == *name);
        match condition.map(|condition| &*condition.status) {
            Some("True") => None,
            Some(status) => Some(format!(
                "the status of pod readiness gate {name:?} is not \"True\", but {status}"
            )),
            None => Some(format!(
                "corresponding condition of pod readiness gate {name:?} does not exist."
            )),
        }
    };
    pod.spec.readiness_gates.iter().filter_map(fault).collect()
}

fn probes(pod: &core_v1::Pod, address: Option<IpAddr>) -> Option<Arc<PodProbes>> {
    let containers = probes::read(&pod.spec);
    let uid = pod.metadata.uid.as_deref().map(Arc::from);
    let address = address.filter(|_| !containers.is_empty())?;
    Some(Arc::new(PodProbes { uid, address, containers }))
}

fn addresses(status: &core_v1::PodStatus, check: &mut Check<'_>) -> Vec<IpAddr> {
    let (one, all) = (FieldPath::from("status.podIP"), FieldPath::from("status.podIPs"));
    let mut addresses = Vec::new();
    for (index, ip) in status.pod_ips.iter().enumerate() {
        addresses.extend(check.address(&all.index(index).key("ip"), &ip.ip));
    }
    if address::repeat_a_family(addresses.iter().copied()) {
        let text = "may specify no more than one IP for each IP family";
        check.report(Code::PodIpsDisagree, &all, text);
    }
    if let Some(ip) = status.pod_ip.as_deref().filter(|ip| !ip.is_empty()) {
        let address = check.address(&one, ip);
        if status.pod_ips.is_empty() {
            addresses.extend(address);
        } else if address.is_some() && addresses.first() != address.as_ref() {
            check.report(Code::PodIpsDisagree, &all, "first value must match `podIP`");
        }
    }
    addresses
}

fn conditions(status: &core_v1::PodStatus, check: &mut Check<'_>) {
    let field = FieldPath::from("status.conditions");
    for (index, condition) in status.conditions.iter().enumerate() {
        if !matches!(&*condition.status, "True" | "False" | "Unknown") {
            let text = format!(
                "{:?} is neither \"True\", \"False\" nor \"Unknown\": it counts as not true",
                condition.status
            );
            check.report(Code::ConditionStatus, &field.index(index).key("status"), text);
        }
    }
}

/// Named container ports in the order in which a name is looked up (`services 2.4`).
fn ports(spec: &core_v1::PodSpec, check: &mut Check<'_>) -> Vec<(Arc<str>, Protocol, u16)> {
    let mut ports = Vec::new();
    for (list, containers, all) in
        [("containers", &spec.containers, true), ("initContainers", &spec.init_containers, false)]
    {
        for (index, container) in containers.iter().enumerate() {
            let field = FieldPath::from("spec").key(list).index(index).key("ports");
            let mut seen: HashSet<(&str, Protocol)> = HashSet::new();
            for (index, port) in container.ports.iter().enumerate() {
                let field = field.index(index);
                let name = port.name.as_deref().unwrap_or_default();
                check.name(&field.key("name"), name, names::port_name);
                let protocol = check.protocol(&field.key("protocol"), port.protocol.as_deref());
                // An API server refuses one name for two protocols too; both can be told apart.
                if !name.is_empty() && !seen.insert((name, protocol)) {
                    check.duplicate(&field.key("name"), name);
                }
                let Some(number) = port.container_port else {
                    check.required(&field.key("containerPort"));
                    continue;
                };
                let number = check.port(&field.key("containerPort"), number);
                // Of init containers only those that stay have ports to reach.
                if !name.is_empty()
                    && (all || container.restart_policy.as_deref() == Some("Always"))
                {
                    ports.push((name.into(), protocol, number));
                }
            }
        }
    }
    ports
}
