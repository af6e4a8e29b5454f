//! Fields of type LoadBalancer, and what a load balancer reported in the status.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::{Draft, ServiceType, exposure, ports, text};
use crate::api::core_v1;
use crate::diagnostic::Code;
use crate::location::FieldPath;
use crate::validate::check::{Check, invalid};
use crate::validate::{address, names};

/// What a load balancer is asked for, and what it answered.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LoadBalancer {
    /// `loadBalancerClass`; none: the default implementation.
    pub(crate) class: Option<Arc<str>>,
    /// `loadBalancerIP`: a deprecated wish.
    pub(crate) address: Option<IpAddr>,
    /// `loadBalancerSourceRanges`; empty: everybody.
    pub(crate) source_ranges: Vec<IpNet>,
    /// `healthCheckNodePort`, if the manifest asks for one.
    pub(crate) health_check_node_port: Option<u16>,
    /// `status.loadBalancer.ingress`.
    pub(crate) ingress: Vec<Ingress>,
}

/// One place where a load balancer answers.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Ingress {
    /// By an address.
    Ip {
        /// The address.
        address: IpAddr,
        /// `ipMode: VIP`, the default: nodes accept the address themselves. False is `Proxy`.
        vip: bool,
    },
    /// By a name, which means nothing to L4.
    Hostname(Arc<str>),
}

pub(super) fn load_balancer(draft: &Draft<'_>, check: &mut Check<'_>) -> Option<LoadBalancer> {
    let spec = draft.spec;
    let source_ranges = source_ranges(draft, check);
    let class_field = draft.root.key("loadBalancerClass");
    let class = text(&spec.load_balancer_class);
    if class.is_some() {
        only(draft, &class_field, &class_field, check);
    }
    let class = check.qualified(&class_field, class);
    let field = draft.root.key("allocateLoadBalancerNodePorts");
    if spec.allocate_load_balancer_node_ports.is_some() {
        only(draft, &field, &field, check);
    }
    let address = address(draft, check);
    let health_check_node_port = health_check(draft, check);
    let ingress = ingress(draft, check);
    draft.is(ServiceType::LoadBalancer).then_some(LoadBalancer {
        class,
        address,
        source_ranges,
        health_check_node_port,
        ingress,
    })
}

/// The field is there: then the type must be LoadBalancer.
fn only(draft: &Draft<'_>, named: &FieldPath, written: &FieldPath, check: &mut Check<'_>) {
    if draft.is_not(ServiceType::LoadBalancer) {
        let text = "may only be used when `type` is 'LoadBalancer'";
        check.report_as(Code::LoadBalancerOnly, named, written, text);
    }
}

/// The field; the annotation is checked where the field is empty, and is for clouds alone.
fn source_ranges(draft: &Draft<'_>, check: &mut Check<'_>) -> Vec<IpNet> {
    let ranges = &draft.spec.load_balancer_source_ranges;
    if ranges.is_empty() {
        if let Some(text) = draft
            .object
            .metadata
            .annotations
            .get(SOURCE_RANGES_ANNOTATION)
        {
            let field = FieldPath::from("metadata.annotations").key(SOURCE_RANGES_ANNOTATION);
            only(draft, &field, &field, check);
            for range in text.split(',').filter(|_| !text.trim().is_empty()) {
                check.cidr(&field, &field, range);
            }
        }
        return Vec::new();
    }
    // The API server spells this path with a capital.
    let named = draft.root.key("LoadBalancerSourceRanges");
    let written = draft.root.key("loadBalancerSourceRanges");
    only(draft, &named, &written, check);
    let ranges = ranges.iter().enumerate();
    ranges
        .filter_map(|(at, text)| check.cidr(&named.index(at), &written.index(at), text))
        .collect()
}

/// `loadBalancerIP` is free text to an API server: what is no address has no effect.
fn address(draft: &Draft<'_>, check: &mut Check<'_>) -> Option<IpAddr> {
    let value = text(&draft.spec.load_balancer_ip)?;
    let field = draft.root.key("loadBalancerIP");
    if draft.is_not(ServiceType::LoadBalancer) && !draft.headless {
        exposure::ignored(draft, "loadBalancerIP", "when `type` is not 'LoadBalancer'", check);
    }
    match address::parse(value) {
        Some(_) => check.address(&field, value),
        None => {
            let fault = "is no IP address and has no effect";
            check.invalid(Code::LoadBalancerIpUnusable, &field, value, fault);
            None
        }
    }
}

fn health_check(draft: &Draft<'_>, check: &mut Check<'_>) -> Option<u16> {
    let number = draft
        .spec
        .health_check_node_port
        .filter(|&number| number != 0)?;
    let field = draft.root.key("healthCheckNodePort");
    let local = text(&draft.spec.external_traffic_policy) == Some("Local");
    if draft.type_.is_some() && !(draft.is(ServiceType::LoadBalancer) && local) {
        let text =
            "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
        check.report(
            Code::HealthCheckNotAllowed,
            &field,
            format!("invalid value: {number}: {text}"),
        );
        return None;
    }
    let port = ports::node_port_range(number, &field, check)?;
    // One pool: what a port of the Service has is taken.
    if draft
        .spec
        .ports
        .iter()
        .any(|other| other.node_port == Some(number))
    {
        check.duplicate(&field, port);
    }
    Some(port)
}

fn ingress(draft: &Draft<'_>, check: &mut Check<'_>) -> Vec<Ingress> {
    let entries = &draft.object.status.load_balancer.ingress;
    let field = FieldPath::from("status.loadBalancer.ingress");
    if !entries.is_empty() {
        only(draft, &field, &field, check);
    }
    let mut found = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        found.extend(place(entry, &field.index(index), check));
    }
    found
}

fn place(
    entry: &core_v1::LoadBalancerIngress,
    field: &FieldPath,
    check: &mut Check<'_>,
) -> Option<Ingress> {
    let mode_field = field.key("ipMode");
    let mode = text(&entry.ip_mode);
    let host = text(&entry.hostname);
    if let Some(host) = host {
        let field = field.key("hostname");
        if address::parse(host).is_some() {
            let text = invalid(host, "must be a DNS name, not an IP address");
            check.advise(Code::InvalidName, &field, text, "write it as `ip`");
        } else {
            check.name(&field, host, names::domain);
        }
    }
    let Some(ip) = text(&entry.ip) else {
        if mode.is_some() {
            let text = "may not be specified when `ip` is not set";
            check.report(Code::IpModeWithoutIp, &mode_field, text);
        }
        return host.map(|host| Ingress::Hostname(host.into()));
    };
    let vip = check.choice(&mode_field, mode, &[("Proxy", false), ("VIP", true)]);
    let address = check.address(&field.key("ip"), ip)?;
    Some(Ingress::Ip { address, vip: vip.unwrap_or(true) })
}

const SOURCE_RANGES_ANNOTATION: &str = "service.beta.kubernetes.io/load-balancer-source-ranges";
