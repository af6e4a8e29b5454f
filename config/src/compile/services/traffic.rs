//! How a Service's traffic is treated, out of its manifest, the settings and what was allocated.

use crate::compile::{Inputs, finding};
use crate::diagnostic::{Code, Diagnostic};
use crate::location::FieldPath;
use crate::model::{ClusterIps, IpFamily, Settings};
use crate::snapshot::Traffic;
use crate::validate::{Exposure, FamilyPolicy, InUse, LoadBalancerIngress, Service};

/// The families that a Service has here, the primary one first: those that it asks for, as far as
/// there is a service CIDR or it brings its own address; empty: it does not say (`services 1.5`).
pub(super) fn families(service: &Service, settings: &Settings) -> Vec<IpFamily> {
    let asked = &service.families;
    let mut wanted = asked.requested.clone();
    let cidrs = settings.service_cidrs.iter();
    let cidrs = cidrs.map(|cidr| IpFamily::of(cidr.addr()));
    let is_single = asked.policy == FamilyPolicy::Single;
    if wanted.is_empty() {
        match cidrs.clone().next() {
            Some(first) if !is_single => wanted.push(first),
            _ => return wanted,
        }
    }
    if !is_single && wanted.len() == 1 {
        wanted.push(wanted[0].other());
    }
    let own = match &service.exposure {
        Exposure::ClusterIp(addresses) => &addresses[..],
        // A name alone needs no network.
        Exposure::Headless | Exposure::ExternalName(_) => return wanted,
    };
    let is_served = |family: &IpFamily| {
        cidrs.clone().any(|other| other == *family)
            || own.iter().any(|address| IpFamily::of(*address) == *family)
    };
    let primary = wanted[0];
    wanted.retain(is_served);
    if wanted.is_empty() { vec![primary] } else { wanted }
}

/// What is asked for and has no network here.
pub(super) fn unserved(
    object: &InUse,
    service: &Service,
    inputs: &Inputs<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let required = service.families.policy == FamilyPolicy::RequireDual;
    let two = required || service.families.requested.len() == 2;
    if !two || !matches!(service.exposure, Exposure::ClusterIp(_)) {
        return;
    }
    let served = families(service, inputs.settings);
    if let [only] = served[..] {
        let missing = only.other();
        let text = format!("{missing} is asked for and not served: no service CIDR is {missing}");
        let field = if required { "spec.ipFamilyPolicy" } else { "spec.ipFamilies" };
        let found = finding(Code::FamilyNotServed, object, field, text);
        let example = if missing == IpFamily::V6 { "fd00:96::/108" } else { "127.96.0.0/16" };
        diagnostics.push(found.help(format!("add `--service-cidr {example}` to have both")));
    }
}

/// How its traffic is treated.
pub(super) fn traffic(
    object: &InUse,
    service: &Service,
    health_check_node_port: Option<u16>,
    inputs: &Inputs<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Traffic {
    let families = families(service, inputs.settings);
    let has_address = matches!(service.exposure, Exposure::ClusterIp(_));
    let mut external_ips = if has_address { service.external_ips.clone() } else { Vec::new() };
    external_ips.retain(|address| {
        let family = IpFamily::of(*address);
        let is_served = families.is_empty() || families.contains(&family);
        if !is_served {
            let at = service
                .external_ips
                .iter()
                .position(|other| other == address);
            let field = FieldPath::from("spec.externalIPs").index(at.unwrap_or_default());
            let text = format!("{address} is not used: the Service has no {family}");
            diagnostics.push(finding(Code::FamilyNotServed, object, field, text));
        }
        is_served
    });
    if service.connections.proxy_protocol.accepts && inputs.settings.trusted_proxies.is_empty() {
        let field = FieldPath::from("metadata.annotations").key("portico.dev/proxy-protocol");
        let text = "no proxy is trusted: every connection is refused";
        let found = finding(Code::NoTrustedProxy, object, field, text);
        let help = "name the proxies that send the header, such as `--trusted-proxies 10.0.0.0/24`";
        diagnostics.push(found.help(help));
    }
    let balancer = service.load_balancer.as_ref();
    // A dump of production must not send a laptop there.
    let status_counts = inputs.settings.cluster_ips != ClusterIps::Map;
    let ingress = balancer.map_or(&[][..], |balancer| &balancer.ingress);
    let vips = ingress.iter().filter_map(|place| match place {
        LoadBalancerIngress::Ip { address, vip: true } if status_counts => Some(*address),
        _ => None,
    });
    let of_service = |address: &std::net::IpAddr| {
        families.is_empty() || families.contains(&IpFamily::of(*address))
    };
    Traffic {
        internal: service.traffic.internal,
        external: service.traffic.external,
        external_ips,
        load_balancer_ips: vips.filter(of_service).collect(),
        source_ranges: balancer.map_or_else(Vec::new, |balancer| balancer.source_ranges.clone()),
        affinity_timeout: service.traffic.affinity_timeout,
        balance: service.balancing.balance,
        slow_start: service.balancing.slow_start,
        health_check_node_port,
        max_connections: service.connections.most,
        max_endpoint_requests: service.connections.endpoint_requests,
        max_endpoint_pending: service.connections.endpoint_pending,
        proxy_protocol: service.connections.proxy_protocol,
        other_proxy: service.other_proxy.clone(),
        // The short form names what it means, of whatever family.
        families: if service.short_form.is_some() { Vec::new() } else { families },
    }
}
