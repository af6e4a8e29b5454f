//! Pod (`services 2.4`), as far as it can stand behind a Service.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use super::Check;
use crate::api::core_v1;
use crate::diagnostic::Code;
use crate::location::FieldPath;
use crate::model::Protocol;

/// A Pod that is right by itself.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Pod {
    /// Labels, for selectors.
    pub(crate) labels: BTreeMap<Arc<str>, Arc<str>>,
    /// `status.podIPs`, else `status.podIP`.
    pub(crate) addresses: Vec<IpAddr>,
    /// Condition Ready is True, or there is no such condition.
    pub(crate) ready: bool,
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
    let status = FieldPath::from("status");
    let mut addresses = Vec::new();
    for (index, ip) in pod.status.pod_ips.iter().enumerate() {
        addresses.extend(check.address(&status.key("podIPs").index(index).key("ip"), &ip.ip));
    }
    if let Some(ip) = pod.status.pod_ip.as_deref().filter(|ip| !ip.is_empty()) {
        let address = check.address(&status.key("podIP"), ip);
        if pod.status.pod_ips.is_empty() {
            addresses.extend(address);
        }
    }
    let sidecar = |c: &&core_v1::Container| c.restart_policy.as_deref() == Some("Always");
    let mut ports = Vec::new();
    let lists = [
        ("containers", pod.spec.containers.iter().collect::<Vec<_>>()),
        ("initContainers", pod.spec.init_containers.iter().filter(sidecar).collect()),
    ];
    for (list, containers) in lists {
        for (container, index) in containers.into_iter().zip(0..) {
            let field = FieldPath::from("spec").key(list).index(index).key("ports");
            for (index, port) in container.ports.iter().enumerate() {
                let field = field.index(index);
                let Some(number) = port.container_port else {
                    check.report(Code::Required, &field.key("containerPort"), "required value");
                    continue;
                };
                let number = check.port(&field.key("containerPort"), number);
                let protocol = check.protocol(&field.key("protocol"), port.protocol.as_deref());
                if let Some(name) = port.name.as_deref().filter(|name| !name.is_empty()) {
                    ports.push((name.into(), protocol, number));
                }
            }
        }
    }
    let ready = pod
        .status
        .conditions
        .iter()
        .find(|condition| condition.type_ == "Ready");
    let text = |text: &Option<String>| text.as_deref().filter(|t| !t.is_empty()).map(Into::into);
    let labels = &pod.metadata.labels;
    Pod {
        labels: labels
            .iter()
            .map(|(k, v)| (k.as_str().into(), v.as_str().into()))
            .collect(),
        addresses,
        ready: ready.is_none_or(|condition| condition.status == "True"),
        terminating: pod.metadata.deletion_timestamp.is_some(),
        finished: matches!(pod.status.phase.as_deref(), Some("Succeeded" | "Failed")),
        node: text(&pod.spec.node_name),
        hostname: text(&pod.spec.hostname),
        subdomain: text(&pod.spec.subdomain),
        ports,
    }
}
