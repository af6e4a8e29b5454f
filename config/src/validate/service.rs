//! Service (`services 2.1`, `services 3`), with the short form for endpoints.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::{Check, names, unsupported};
use crate::api::{IntOrString, core_v1};
use crate::diagnostic::Code;
use crate::location::FieldPath;
use crate::model::Protocol;

/// A Service that is right by itself.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Service {
    /// How it is reached.
    pub(crate) exposure: Exposure,
    /// Whether its ports get NodePorts (types NodePort and LoadBalancer).
    pub(crate) node_ports: bool,
    /// Its ports in the manifest's order.
    pub(crate) ports: Vec<Port>,
    /// Labels that its Pods carry; empty: it selects none.
    pub(crate) selector: BTreeMap<Arc<str>, Arc<str>>,
    /// Whether endpoints count as ready whatever their Pods say.
    pub(crate) publish_not_ready: bool,
    /// `portico.dev/endpoints`: replaces the selector.
    pub(crate) short_form: Option<Vec<ShortEndpoint>>,
}

/// How a Service is reached.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Exposure {
    /// By addresses; those that the manifest asks for.
    ClusterIp(Vec<IpAddr>),
    /// By the names of its endpoints.
    Headless,
    /// As another name.
    ExternalName(Arc<str>),
}

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
}

/// `targetPort`: a number, or a name that each Pod resolves.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum TargetPort {
    /// The same number in every Pod.
    Number(u16),
    /// A container port's name.
    Name(Arc<str>),
}

/// One entry of `portico.dev/endpoints`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ShortEndpoint {
    /// The port that it serves; none: every port.
    pub(crate) port: Option<ShortPort>,
    /// Where to dial.
    pub(crate) address: SocketAddr,
}

/// How an entry names a port of its Service.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ShortPort {
    /// By number.
    Number(u16),
    /// By name.
    Name(Arc<str>),
}

/// The annotation that lists endpoints.
pub(super) const ENDPOINTS_ANNOTATION: &str = "portico.dev/endpoints";

pub(super) fn service(object: &core_v1::Service, check: &mut Check<'_>) -> Service {
    let spec = &object.spec;
    let root = FieldPath::from("spec");
    let type_ = spec
        .type_
        .as_deref()
        .filter(|text| !text.is_empty())
        .unwrap_or("ClusterIP");
    let node_ports = matches!(type_, "NodePort" | "LoadBalancer");
    if !matches!(type_, "ClusterIP" | "NodePort" | "LoadBalancer" | "ExternalName") {
        let supported = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
        check.report(Code::Unsupported, &root.key("type"), unsupported(type_, &supported));
    }
    let exposure = exposure(spec, type_, check);
    let ports: Vec<_> = spec
        .ports
        .iter()
        .enumerate()
        .map(|(index, port)| {
            let field = root.key("ports").index(index);
            self::port(port, &field, type_, check)
        })
        .collect();
    if ports.is_empty() && matches!(exposure, Exposure::ClusterIp(_)) {
        check.report(Code::Required, &root.key("ports"), "required value");
    }
    duplicates(&ports, spec, check);
    for (field, value, supported) in [
        ("sessionAffinity", &spec.session_affinity, ["ClientIP", "None"]),
        ("externalTrafficPolicy", &spec.external_traffic_policy, ["Cluster", "Local"]),
        ("internalTrafficPolicy", &spec.internal_traffic_policy, ["Cluster", "Local"]),
    ] {
        if let Some(value) = value.as_deref().filter(|value| !value.is_empty())
            && !supported.contains(&value)
        {
            check.report(Code::Unsupported, &root.key(field), unsupported(value, &supported));
        }
    }
    let selector = spec
        .selector
        .iter()
        .map(|(key, value)| (key.as_str().into(), value.as_str().into()));
    Service {
        exposure,
        node_ports,
        ports,
        selector: selector.collect(),
        publish_not_ready: spec.publish_not_ready_addresses,
        short_form: short_form(object, check),
    }
}

fn exposure(spec: &core_v1::ServiceSpec, type_: &str, check: &mut Check<'_>) -> Exposure {
    let root = FieldPath::from("spec");
    if type_ == "ExternalName" {
        let field = root.key("externalName");
        let name = spec
            .external_name
            .as_deref()
            .unwrap_or_default()
            .to_ascii_lowercase();
        let name = name.strip_suffix('.').unwrap_or(&name);
        if name.is_empty() {
            check.report(Code::Required, &field, "required value");
        } else if let Err(fault) = names::subdomain(name) {
            check.report(Code::InvalidName, &field, fault);
        }
        return Exposure::ExternalName(name.into());
    }
    let first = spec.cluster_ip.as_deref().unwrap_or_default();
    let all: Vec<&str> = match spec.cluster_ips.is_empty() {
        true => [first]
            .into_iter()
            .filter(|text| !text.is_empty())
            .collect(),
        false => spec.cluster_ips.iter().map(String::as_str).collect(),
    };
    let field = match spec.cluster_ips.is_empty() {
        true => root.key("clusterIP"),
        false => root.key("clusterIPs"),
    };
    if !first.is_empty() && all.first() != Some(&first) {
        check.report(Code::ClusterIpsDisagree, &field, "first value must match `clusterIP`");
    }
    if all.contains(&"None") {
        if all.len() > 1 {
            check.report(
                Code::ClusterIpsDisagree,
                &field,
                "'None' must be the first and only value",
            );
        }
        if type_ != "ClusterIP" {
            check.report(
                Code::HeadlessNotAllowed,
                &field,
                format!("may not be set to 'None' for {type_} services"),
            );
        }
        return Exposure::Headless;
    }
    let addresses: Vec<_> = all
        .iter()
        .filter_map(|text| check.address(&field, text))
        .collect();
    if addresses.len() > 2 {
        check.report(Code::ClusterIpsDisagree, &field, "may only hold up to 2 values");
    } else if let [one, other] = addresses[..]
        && one.is_ipv4() == other.is_ipv4()
    {
        check.report(
            Code::ClusterIpsDisagree,
            &field,
            "may specify no more than one IP for each IP family",
        );
    }
    Exposure::ClusterIp(addresses)
}

fn port(
    port: &core_v1::ServicePort,
    field: &FieldPath,
    type_: &str,
    check: &mut Check<'_>,
) -> Port {
    let name = port.name.as_deref().unwrap_or_default();
    if !name.is_empty()
        && let Err(fault) = names::label(name)
    {
        check.report(Code::InvalidName, &field.key("name"), fault);
    }
    let protocol = check.protocol(&field.key("protocol"), port.protocol.as_deref());
    let number = match port.port {
        Some(number) => check.port(&field.key("port"), number),
        None => {
            check.report(Code::Required, &field.key("port"), "required value");
            0
        }
    };
    // `services 2.1`: absent, 0 and "" all mean the Service's own port.
    let target_field = field.key("targetPort");
    let target = match &port.target_port {
        None | Some(IntOrString::Int(0)) => TargetPort::Number(number),
        Some(IntOrString::Int(target)) => TargetPort::Number(check.port(&target_field, *target)),
        Some(IntOrString::String(name)) if name.is_empty() => TargetPort::Number(number),
        Some(IntOrString::String(name)) => {
            if let Err(fault) = names::port_name(name) {
                check.report(
                    Code::InvalidTargetPort,
                    &target_field,
                    format!("{name:?} is not valid: {fault}"),
                );
            }
            TargetPort::Name(Arc::clone(name))
        }
    };
    let node_field = field.key("nodePort");
    let node_port = port.node_port.filter(|&number| number != 0).map(|number| {
        if !matches!(type_, "NodePort" | "LoadBalancer") {
            check.report(
                Code::NodePortNotAllowed,
                &node_field,
                format!("may not be used when `type` is '{type_}'"),
            );
        } else if !(30_000..=32_767).contains(&number) {
            let range = "provided port is not in the valid range";
            check.report(
                Code::NodePortRange,
                &node_field,
                format!("{number}: {range}: it is 30000-32767"),
            );
        }
        u16::try_from(number).unwrap_or_default()
    });
    Port { name: name.into(), protocol, port: number, target, node_port }
}

fn duplicates(ports: &[Port], spec: &core_v1::ServiceSpec, check: &mut Check<'_>) {
    let field = |index| FieldPath::from("spec.ports").index(index);
    for (index, port) in ports.iter().enumerate() {
        if ports.len() > 1
            && spec.ports[index]
                .name
                .as_deref()
                .unwrap_or_default()
                .is_empty()
        {
            check.report(Code::Required, &field(index).key("name"), "required value");
        }
        let before = &ports[..index];
        if !port.name.is_empty() && before.iter().any(|other| other.name == port.name) {
            check.report(
                Code::Duplicate,
                &field(index).key("name"),
                format!("duplicate value: {:?}", port.name),
            );
        }
        let same = |other: &Port| other.protocol == port.protocol && other.port == port.port;
        if before.iter().any(same) {
            let text = format!("duplicate value: port {}, protocol {}", port.port, port.protocol);
            check.report(Code::Duplicate, &field(index), text);
        }
        let same = |other: &Port| {
            other.protocol == port.protocol
                && port.node_port.is_some()
                && other.node_port == port.node_port
        };
        if before.iter().any(same) {
            check.report(Code::Duplicate, &field(index).key("nodePort"), "duplicate value");
        }
    }
}

/// Reads `[port=]address:port,…`.
fn short_form(object: &core_v1::Service, check: &mut Check<'_>) -> Option<Vec<ShortEndpoint>> {
    let text = object.metadata.annotations.get(ENDPOINTS_ANNOTATION)?;
    let field = FieldPath::from("metadata.annotations").key(ENDPOINTS_ANNOTATION);
    let mut endpoints = Vec::new();
    for entry in text
        .split(',')
        .map(str::trim)
        .filter(|entry| !entry.is_empty())
    {
        let (port, address) = match entry.split_once('=') {
            Some((port, address)) => (Some(port.trim()), address.trim()),
            None => (None, entry),
        };
        let port = port.map(|port| match port.parse() {
            Ok(number) => ShortPort::Number(number),
            Err(_) => ShortPort::Name(port.into()),
        });
        let known = |short: &ShortPort| {
            object.spec.ports.iter().any(|port| match short {
                ShortPort::Number(number) => port.port == Some((*number).into()),
                ShortPort::Name(name) => port.name.as_deref() == Some(name),
            })
        };
        match address.parse::<SocketAddr>() {
            _ if port.as_ref().is_some_and(|port| !known(port)) => {
                check.report(
                    Code::InvalidEndpointsAnnotation,
                    &field,
                    format!("{entry:?} names no port of this Service"),
                );
            }
            Ok(address) if address.port() != 0 => endpoints.push(ShortEndpoint { port, address }),
            _ => {
                let text = format!("{entry:?} is not [port=]address:port, such as 127.0.0.1:8081");
                check.report(Code::InvalidEndpointsAnnotation, &field, text);
            }
        }
    }
    Some(endpoints)
}
