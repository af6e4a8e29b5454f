//! EndpointSlice and Endpoints (`services 2.2`, `services 2.3`): one shape for both.

use std::net::IpAddr;
use std::sync::Arc;

use super::{Check, names, parse_address, unsupported};
use crate::api::core_v1::{self, EndpointPort};
use crate::api::discovery_v1;
use crate::diagnostic::Code;
use crate::location::FieldPath;
use crate::model::Protocol;

/// Addresses × ports behind one Service.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct EndpointSet {
    /// The Service's name; none: the slice belongs to no Service.
    pub(crate) service: Option<Arc<str>>,
    /// Whether it came from an Endpoints object, which counts only where no selector is.
    pub(crate) mirrored: bool,
    /// Groups of addresses with the ports that each of them has.
    pub(crate) groups: Vec<(Vec<SetEndpoint>, Vec<SetPort>)>,
}

/// One address.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SetEndpoint {
    /// Only the first address of an endpoint is used.
    pub(crate) address: IpAddr,
    /// `conditions.ready`, absent: true.
    pub(crate) ready: bool,
    /// `conditions.serving`, absent: true.
    pub(crate) serving: bool,
    /// `conditions.terminating`, absent: false.
    pub(crate) terminating: bool,
    /// DNS label.
    pub(crate) hostname: Option<Arc<str>>,
    /// Node.
    pub(crate) node: Option<Arc<str>>,
    /// Zone.
    pub(crate) zone: Option<Arc<str>>,
    /// Pod behind it.
    pub(crate) pod: Option<Arc<str>>,
}

/// One port; joined to the Service's by name and protocol, never by number.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SetPort {
    /// Name, empty for the unnamed one.
    pub(crate) name: Arc<str>,
    /// Protocol.
    pub(crate) protocol: Protocol,
    /// Number.
    pub(crate) port: u16,
}

pub(super) fn slice(slice: &discovery_v1::EndpointSlice, check: &mut Check<'_>) -> EndpointSet {
    let service = slice.metadata.labels.get("kubernetes.io/service-name");
    if service.is_none() {
        let field = FieldPath::from("metadata.labels");
        check.report(
            Code::SliceWithoutService,
            &field,
            "has no label kubernetes.io/service-name, so no Service uses it",
        );
    }
    let type_ = slice.address_type.as_deref();
    let field = FieldPath::from("addressType");
    match type_ {
        Some("IPv4" | "IPv6") => {}
        Some("FQDN") => check.report(Code::FqdnNotUsed, &field, "FQDN addresses are not used"),
        Some(other) => {
            check.report(Code::Unsupported, &field, unsupported(other, &["FQDN", "IPv4", "IPv6"]))
        }
        None => check.report(Code::Required, &field, "required value"),
    }
    let mut endpoints = Vec::new();
    for (index, endpoint) in slice.endpoints.iter().enumerate() {
        let field = FieldPath::from("endpoints").index(index).key("addresses");
        let Some(address) = endpoint.addresses.first() else {
            check.report(Code::NoAddress, &field, "must contain at least 1 address");
            continue;
        };
        let address = match (type_, parse_address(address)) {
            (Some("IPv4"), Some(address @ IpAddr::V4(_)))
            | (Some("IPv6"), Some(address @ IpAddr::V6(_))) => address,
            (Some(family @ ("IPv4" | "IPv6")), _) => {
                check.report(
                    Code::AddressFamily,
                    &field.index(0),
                    format!("{address:?} must be an {family} address"),
                );
                continue;
            }
            _ => continue,
        };
        let conditions = &endpoint.conditions;
        endpoints.push(SetEndpoint {
            address,
            ready: conditions.ready.unwrap_or(true),
            serving: conditions.serving.unwrap_or(true),
            terminating: conditions.terminating.unwrap_or(false),
            hostname: hostname(&endpoint.hostname, &field, check),
            node: endpoint.node_name.as_deref().map(Into::into),
            zone: endpoint.zone.as_deref().map(Into::into),
            pod: pod(endpoint.target_ref.as_ref()),
        });
    }
    let ports = ports(&slice.ports, &FieldPath::from("ports"), check);
    EndpointSet {
        service: service.map(|name| name.as_str().into()),
        mirrored: false,
        groups: vec![(endpoints, ports)],
    }
}

pub(super) fn endpoints(object: &core_v1::Endpoints, check: &mut Check<'_>) -> EndpointSet {
    let mut groups = Vec::new();
    for (index, subset) in object.subsets.iter().enumerate() {
        let field = FieldPath::from("subsets").index(index);
        if subset.addresses.is_empty() && subset.not_ready_addresses.is_empty() {
            check.report(
                Code::NoAddress,
                &field,
                "must specify `addresses` or `notReadyAddresses`",
            );
        }
        let mut found = Vec::new();
        for (list, name, ready) in [
            (&subset.addresses, "addresses", true),
            (&subset.not_ready_addresses, "notReadyAddresses", false),
        ] {
            for (index, address) in list.iter().enumerate() {
                let field = field.key(name).index(index);
                let Some(ip) = check.address(&field.key("ip"), &address.ip) else { continue };
                found.push(SetEndpoint {
                    address: ip,
                    ready,
                    serving: true,
                    terminating: false,
                    hostname: hostname(&address.hostname, &field, check),
                    node: address.node_name.as_deref().map(Into::into),
                    zone: None,
                    pod: pod(address.target_ref.as_ref()),
                });
            }
        }
        groups.push((found, ports(&subset.ports, &field.key("ports"), check)));
    }
    let skip = object
        .metadata
        .labels
        .get("endpointslice.kubernetes.io/skip-mirror");
    let service = skip
        .is_none_or(|value| value != "true")
        .then_some(object.metadata.name.as_str());
    EndpointSet { service: service.map(Into::into), mirrored: true, groups }
}

fn ports(ports: &[EndpointPort], field: &FieldPath, check: &mut Check<'_>) -> Vec<SetPort> {
    let mut found: Vec<SetPort> = Vec::new();
    for (index, port) in ports.iter().enumerate() {
        let field = field.index(index);
        let name: Arc<str> = port.name.as_deref().unwrap_or_default().into();
        if !name.is_empty()
            && let Err(fault) = names::label(&name)
        {
            check.report(Code::InvalidName, &field.key("name"), fault);
        }
        let protocol = check.protocol(&field.key("protocol"), port.protocol.as_deref());
        if found
            .iter()
            .any(|other| other.name == name && other.protocol == protocol)
        {
            check.report(Code::Duplicate, &field.key("name"), format!("duplicate value: {name:?}"));
        }
        // `services 2.2`: a port without a number names no endpoint.
        let Some(number) = port.port.filter(|&number| number != 0) else { continue };
        let port = check.port(&field.key("port"), number);
        found.push(SetPort { name, protocol, port });
    }
    found
}

fn hostname(name: &Option<String>, field: &FieldPath, check: &mut Check<'_>) -> Option<Arc<str>> {
    let name = name.as_deref().filter(|name| !name.is_empty())?;
    if let Err(fault) = names::label(name) {
        check.report(Code::InvalidName, &field.key("hostname"), fault);
    }
    Some(name.into())
}

fn pod(target: Option<&core_v1::TargetRef>) -> Option<Arc<str>> {
    let target = target.filter(|target| target.kind.as_deref() == Some("Pod"))?;
    target.name.as_deref().map(Into::into)
}
