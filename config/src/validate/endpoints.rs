//! EndpointSlice and Endpoints (`services 2.2`, `services 2.3`): one shape for both.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;

use super::{Check, address, names};
use crate::api::core_v1::{self, EndpointPort};
use crate::api::discovery_v1;
use crate::api::meta::ObjectMeta;
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
    /// `resourceVersion`, then `generation`: of two entries for one address the newer counts
    /// (`services 4.6`); absent before any number.
    pub(crate) version: (Option<u64>, Option<i64>),
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
    /// `hints.forZones`; empty: no hint.
    pub(crate) for_zones: Vec<Arc<str>>,
    /// `hints.forNodes`; empty: no hint.
    pub(crate) for_nodes: Vec<Arc<str>>,
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
    /// `appProtocol`.
    pub(crate) app_protocol: Option<Arc<str>>,
}

pub(super) fn slice(slice: &discovery_v1::EndpointSlice, check: &mut Check<'_>) -> EndpointSet {
    let service = slice.metadata.labels.get(SERVICE_LABEL);
    let service = service.filter(|name| !name.is_empty());
    if service.is_none() {
        let text = format!("has no label {SERVICE_LABEL}, so no Service uses it");
        let help = format!("add `{SERVICE_LABEL}: NAME` to metadata.labels");
        let field = FieldPath::from("metadata.labels");
        check.advise(Code::SliceWithoutService, &field, text, help);
    }
    let field = FieldPath::from("addressType");
    let types = [("FQDN", Type::Fqdn), ("IPv4", Type::V4), ("IPv6", Type::V6)];
    let written = slice
        .address_type
        .as_deref()
        .filter(|text| !text.is_empty());
    let type_ = check.choice(&field, written, &types);
    if written.is_none() {
        check.required(&field);
    } else if type_ == Some(Type::Fqdn) {
        check.report(Code::FqdnNotUsed, &field, "FQDN addresses are not used");
    }
    let field = FieldPath::from("endpoints");
    if slice.endpoints.len() > MAX_ENDPOINTS {
        check.too_many(&field, slice.endpoints.len(), MAX_ENDPOINTS);
    }
    let endpoints = slice.endpoints.iter().take(MAX_ENDPOINTS).enumerate();
    let endpoints = endpoints
        .filter_map(|(index, endpoint)| self::endpoint(endpoint, type_, &field.index(index), check))
        .collect();
    let field = FieldPath::from("ports");
    let ports = ports(&slice.ports, &field, true, check);
    EndpointSet {
        service: service.map(|name| name.as_str().into()),
        mirrored: false,
        groups: vec![(endpoints, ports)],
        version: version(&slice.metadata),
    }
}

/// `addressType`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Type {
    Fqdn,
    V4,
    V6,
}

fn endpoint(
    endpoint: &discovery_v1::Endpoint,
    type_: Option<Type>,
    field: &FieldPath,
    check: &mut Check<'_>,
) -> Option<SetEndpoint> {
    let list = field.key("addresses");
    let written = &endpoint.addresses;
    if written.is_empty() {
        check.report(Code::NoAddress, &list, "must contain at least 1 address");
    } else if written.len() > MAX_ADDRESSES {
        check.too_many(&list, written.len(), MAX_ADDRESSES);
    } else if written.len() > 1 {
        let text = "only the first address of an endpoint is used";
        check.advise(
            Code::AddressesUnused,
            &list,
            text,
            "give each address an endpoint of its own",
        );
    }
    let found = written.iter().take(MAX_ADDRESSES).enumerate();
    let found: Vec<_> = found
        .map(|(index, text)| address(text, type_?, &list.index(index), check))
        .collect();
    let hostname = hostname(&endpoint.hostname, field, check);
    let node = node(&endpoint.node_name, field, check);
    let hints = endpoint.hints.as_ref();
    let field = field.key("hints");
    let zones = hints.map_or(&[][..], |hints| &hints.for_zones);
    let for_zones = self::hints(zones, &field.key("forZones"), names::label_value, check);
    let nodes = hints.map_or(&[][..], |hints| &hints.for_nodes);
    let for_nodes = self::hints(nodes, &field.key("forNodes"), names::subdomain, check);
    let conditions = &endpoint.conditions;
    Some(SetEndpoint {
        address: found.into_iter().next()??,
        ready: conditions.ready.unwrap_or(true),
        serving: conditions.serving.unwrap_or(true),
        terminating: conditions.terminating.unwrap_or(false),
        hostname,
        node,
        zone: text(&endpoint.zone),
        pod: pod(endpoint.target_ref.as_ref()),
        for_zones,
        for_nodes,
    })
}

/// An address of the slice's type; none of type FQDN is used.
fn address(text: &str, type_: Type, field: &FieldPath, check: &mut Check<'_>) -> Option<IpAddr> {
    let (family, ipv4) = match type_ {
        Type::V4 => ("IPv4", true),
        Type::V6 => ("IPv6", false),
        Type::Fqdn => {
            if let Err(fault) = names::fully_qualified(text) {
                check.invalid(Code::InvalidFqdn, field, text, fault);
            }
            return None;
        }
    };
    if address::parse(text).is_none_or(|parsed| parsed.value.is_ipv4() != ipv4) {
        check.invalid(Code::AddressFamily, field, text, format!("must be an {family} address"));
        return None;
    }
    let address = check.address(field, text)?;
    check.usable(field, address, true).then_some(address)
}

/// `hints.forZones` or `forNodes`: at most eight names, each once.
fn hints(
    hints: &[discovery_v1::NamedHint],
    field: &FieldPath,
    grammar: fn(&str) -> Result<(), &'static str>,
    check: &mut Check<'_>,
) -> Vec<Arc<str>> {
    if hints.len() > MAX_HINTS {
        check.too_many(field, hints.len(), MAX_HINTS);
        return Vec::new();
    }
    let mut found: Vec<Arc<str>> = Vec::new();
    for (index, hint) in hints.iter().enumerate() {
        let field = field.index(index).key("name");
        if found.iter().any(|name| **name == *hint.name) {
            check.duplicate(&field, &hint.name);
        }
        if let Err(fault) = grammar(&hint.name) {
            check.invalid(Code::InvalidHint, &field, &hint.name, fault);
        }
        found.push(hint.name.as_str().into());
    }
    found
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
                found.extend(mirrored(address, ready, &field.key(name).index(index), check));
            }
        }
        groups.push((found, ports(&subset.ports, &field.key("ports"), false, check)));
    }
    // A lock of a leader election is no list of endpoints.
    let metadata = &object.metadata;
    let skip = metadata
        .labels
        .get(SKIP_MIRROR_LABEL)
        .is_some_and(|value| value == "true")
        || metadata.annotations.contains_key(LEADER_ANNOTATION);
    let service = (!skip).then_some(metadata.name.as_str());
    let version = version(&object.metadata);
    EndpointSet { service: service.map(Into::into), mirrored: true, groups, version }
}

/// An address of an Endpoints object; it has neither zone nor hints.
fn mirrored(
    address: &core_v1::EndpointAddress,
    ready: bool,
    field: &FieldPath,
    check: &mut Check<'_>,
) -> Option<SetEndpoint> {
    let ip_field = field.key("ip");
    let ip = check.address(&ip_field, &address.ip);
    let ip = ip.filter(|ip| check.usable(&ip_field, *ip, true));
    let hostname = hostname(&address.hostname, field, check);
    let node = node(&address.node_name, field, check);
    Some(SetEndpoint {
        address: ip?,
        ready,
        serving: true,
        terminating: false,
        hostname,
        node,
        zone: None,
        pod: pod(address.target_ref.as_ref()),
        for_zones: Vec::new(),
        for_nodes: Vec::new(),
    })
}

/// Ports of a slice, whose names are unique, or of a subset, which names them all if several.
fn ports(
    ports: &[EndpointPort],
    field: &FieldPath,
    of_slice: bool,
    check: &mut Check<'_>,
) -> Vec<SetPort> {
    if ports.len() > MAX_PORTS {
        check.too_many(field, ports.len(), MAX_PORTS);
        return Vec::new();
    }
    let mut found: Vec<SetPort> = Vec::new();
    let mut seen = HashSet::new();
    for (index, port) in ports.iter().enumerate() {
        let field = field.index(index);
        let name = port.name.as_deref().unwrap_or_default();
        check.name(&field.key("name"), name, names::label);
        let protocol = check.protocol(&field.key("protocol"), port.protocol.as_deref());
        let other_protocol = (!of_slice).then_some(protocol);
        if name.is_empty() && ports.len() > 1 && !of_slice {
            check.required(&field.key("name"));
        } else if !seen.insert((name, other_protocol)) {
            check.duplicate(&field.key("name"), name);
        }
        let app_protocol = check.qualified(&field.key("appProtocol"), port.app_protocol.as_deref());
        let number_field = field.key("port");
        // `services 2.2`: a port without a number names no endpoint.
        let Some(number) = port.port.filter(|&number| number != 0) else {
            match of_slice {
                true => {
                    let text = "has no number, so no Service uses it";
                    check.report(Code::PortUnused, &number_field, text);
                }
                false => drop(check.port(&number_field, 0)),
            }
            continue;
        };
        let port = check.port(&number_field, number);
        found.push(SetPort { name: name.into(), protocol, port, app_protocol });
    }
    found
}

fn hostname(name: &Option<String>, field: &FieldPath, check: &mut Check<'_>) -> Option<Arc<str>> {
    let name = text(name)?;
    check.name(&field.key("hostname"), &name, names::label);
    Some(name)
}

fn node(name: &Option<String>, field: &FieldPath, check: &mut Check<'_>) -> Option<Arc<str>> {
    let name = text(name)?;
    check.name(&field.key("nodeName"), &name, names::subdomain);
    Some(name)
}

fn text(text: &Option<String>) -> Option<Arc<str>> {
    text.as_deref().filter(|t| !t.is_empty()).map(Into::into)
}

fn pod(target: Option<&core_v1::TargetRef>) -> Option<Arc<str>> {
    let target = target.filter(|target| target.kind.as_deref() == Some("Pod"))?;
    target.name.as_deref().map(Into::into)
}

fn version(metadata: &ObjectMeta) -> (Option<u64>, Option<i64>) {
    let version = metadata.resource_version.as_deref();
    (version.and_then(|text| text.parse().ok()), metadata.generation)
}

const SERVICE_LABEL: &str = "kubernetes.io/service-name";
const SKIP_MIRROR_LABEL: &str = "endpointslice.kubernetes.io/skip-mirror";
const LEADER_ANNOTATION: &str = "control-plane.alpha.kubernetes.io/leader";
/// Limits of discovery/v1 (`services 2.2`).
const MAX_ENDPOINTS: usize = 1_000;
const MAX_ADDRESSES: usize = 100;
const MAX_PORTS: usize = 20_000;
const MAX_HINTS: usize = 8;
