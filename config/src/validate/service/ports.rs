//! `spec.ports`.

use std::collections::HashSet;
use std::sync::Arc;

use super::{Draft, ServiceType, text};
use crate::api::{IntOrString, core_v1};
use crate::diagnostic::Code;
use crate::location::FieldPath;
use crate::model::Protocol;
use crate::validate::check::{Check, invalid};
use crate::validate::names;

/// One port.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Port {
    /// Name, empty for the unnamed one.
    pub(crate) name: Arc<str>,
    /// Protocol.
    pub(crate) protocol: Protocol,
    /// Port of the Service.
    pub(crate) port: u16,
    /// Port of the Pods.
    pub(crate) target: TargetPort,
    /// NodePort, if the manifest asks for one.
    pub(crate) node_port: Option<u16>,
    /// `appProtocol`, such as `kubernetes.io/h2c`.
    pub(crate) app_protocol: Option<Arc<str>>,
}

/// `targetPort`: a number, or a name that each Pod resolves.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum TargetPort {
    /// The same number in every Pod.
    Number(u16),
    /// A container port's name.
    Name(Arc<str>),
}

pub(super) fn ports(draft: &Draft<'_>, check: &mut Check<'_>) -> Vec<Port> {
    let field = draft.root.key("ports");
    let written = &draft.spec.ports;
    if written.is_empty() && !draft.headless && draft.is_not(ServiceType::ExternalName) {
        check.required(&field);
    }
    let ports = written.iter().enumerate();
    let ports: Vec<_> = ports
        .map(|(index, port)| self::port(draft, port, &field.index(index), check))
        .collect();
    duplicates(&ports, &field, check);
    ports
}

fn port(
    draft: &Draft<'_>,
    port: &core_v1::ServicePort,
    field: &FieldPath,
    check: &mut Check<'_>,
) -> Port {
    let name = port.name.as_deref().unwrap_or_default();
    if name.is_empty() && draft.spec.ports.len() > 1 {
        check.required(&field.key("name"));
    }
    check.name(&field.key("name"), name, names::label);
    let protocol = check.protocol(&field.key("protocol"), text(&port.protocol));
    let number = match port.port {
        Some(number) => check.port(&field.key("port"), number),
        None => {
            check.required(&field.key("port"));
            0
        }
    };
    if draft.is(ServiceType::LoadBalancer) && number == KUBELET_PORT {
        let text = format!("may not expose port {number} externally since it is used by kubelet");
        check.report(Code::KubeletPort, field, text);
    }
    Port {
        name: name.into(),
        protocol,
        port: number,
        target: target(port, number, &field.key("targetPort"), check),
        node_port: node_port(draft, port.node_port, &field.key("nodePort"), check),
        app_protocol: check.qualified(&field.key("appProtocol"), port.app_protocol.as_deref()),
    }
}

/// `services 2.1`: absent, 0 and "" all mean the Service's own port.
fn target(
    port: &core_v1::ServicePort,
    number: u16,
    field: &FieldPath,
    check: &mut Check<'_>,
) -> TargetPort {
    match &port.target_port {
        None | Some(IntOrString::Int(0)) => TargetPort::Number(number),
        Some(IntOrString::Int(target)) => TargetPort::Number(check.port(field, *target)),
        Some(IntOrString::String(name)) if name.is_empty() => TargetPort::Number(number),
        Some(IntOrString::String(name)) => {
            if let Err(fault) = names::port_name(name) {
                let text = invalid(name, fault);
                match name.parse::<u16>() {
                    Ok(number) => {
                        let help = format!("write {number} without quotes");
                        check.advise(Code::InvalidTargetPort, field, text, help);
                    }
                    Err(_) => check.report(Code::InvalidTargetPort, field, text),
                }
            }
            TargetPort::Name(Arc::clone(name))
        }
    }
}

fn node_port(
    draft: &Draft<'_>,
    number: Option<i64>,
    field: &FieldPath,
    check: &mut Check<'_>,
) -> Option<u16> {
    let number = number.filter(|&number| number != 0)?;
    match draft.type_ {
        Some(type_ @ (ServiceType::ClusterIp | ServiceType::ExternalName)) => {
            check.advise(
                Code::NodePortNotAllowed,
                field,
                format!("may not be used when `type` is '{}'", type_.name()),
                "write `type: NodePort`, or leave nodePort out",
            );
            None
        }
        _ => node_port_range(number, field, check),
    }
}

/// A number of the pool that NodePorts and health checks share.
pub(super) fn node_port_range(
    number: i64,
    field: &FieldPath,
    check: &mut Check<'_>,
) -> Option<u16> {
    match u16::try_from(number) {
        Ok(port @ 30_000..=32_767) => Some(port),
        _ => {
            let text = "provided port is not in the valid range. The range of valid ports is \
                        30000-32767";
            check.report(Code::NodePortRange, field, format!("invalid value: {number}: {text}"));
            None
        }
    }
}

fn duplicates(ports: &[Port], field: &FieldPath, check: &mut Check<'_>) {
    let (mut names, mut numbers, mut node_ports) = (HashSet::new(), HashSet::new(), HashSet::new());
    for (index, port) in ports.iter().enumerate() {
        let field = field.index(index);
        if !port.name.is_empty() && !names.insert(&port.name) {
            check.duplicate(&field.key("name"), &port.name);
        }
        // A number that is no port was reported as such.
        if port.port != 0 && !numbers.insert((port.port, port.protocol)) {
            let text = format!("duplicate value: port {}, protocol {}", port.port, port.protocol);
            check.report(Code::Duplicate, &field, text);
        }
        if let Some(number) = port.node_port
            && !node_ports.insert((number, port.protocol))
        {
            check.duplicate(&field.key("nodePort"), number);
        }
    }
}

/// Where a kubelet listens on every node.
const KUBELET_PORT: u16 = 10_250;
