//! `clusterIP`, `clusterIPs`, `externalName` and `externalIPs`.

use std::net::IpAddr;
use std::sync::Arc;

use super::{Draft, ServiceType, text};
use crate::diagnostic::Code;
use crate::location::FieldPath;
use crate::validate::check::{Check, invalid};
use crate::validate::{address, names};

/// How a Service is reached.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Exposure {
    /// By addresses; those that the manifest asks for.
    ClusterIp(Vec<IpAddr>),
    /// By the names of its endpoints.
    Headless,
    /// As another name, lower case, without a trailing dot.
    ExternalName(Arc<str>),
}

pub(super) fn exposure(draft: &Draft<'_>, check: &mut Check<'_>) -> Exposure {
    if draft.is(ServiceType::ExternalName) {
        return external_name(draft, check);
    }
    if let (Some(_), Some(_)) = (text(&draft.spec.external_name), draft.type_) {
        ignored(draft, "externalName", "when `type` is not 'ExternalName'", check);
    }
    if draft.headless {
        headless(draft, check);
        return Exposure::Headless;
    }
    Exposure::ClusterIp(cluster_ips(draft, check))
}

/// `services 3`: an ExternalName Service has a name and no address.
fn external_name(draft: &Draft<'_>, check: &mut Check<'_>) -> Exposure {
    let spec = draft.spec;
    let forbidden = "may not be set for ExternalName services";
    let plural = draft.root.key("clusterIPs");
    if !spec.cluster_ips.is_empty() {
        check.report(Code::ExternalNameForbids, &plural, forbidden);
    } else if text(&spec.cluster_ip).is_some() {
        let written = draft.root.key("clusterIP");
        check.report_as(Code::ExternalNameForbids, &plural, &written, forbidden);
    }
    if !spec.ip_families.is_empty() {
        check.report(Code::ExternalNameForbids, &draft.root.key("ipFamilies"), forbidden);
    }
    if text(&spec.ip_family_policy).is_some() {
        check.report(Code::ExternalNameForbids, &draft.root.key("ipFamilyPolicy"), forbidden);
    }
    if !spec.external_ips.is_empty() {
        ignored(draft, "externalIPs", "when `type` is 'ExternalName'", check);
    }
    let field = draft.root.key("externalName");
    let written = spec.external_name.as_deref().unwrap_or_default();
    let name = written.to_ascii_lowercase();
    let name = name.strip_suffix('.').unwrap_or(&name);
    if name.is_empty() {
        check.required(&field);
    } else if let Err(fault) = names::domain(written.strip_suffix('.').unwrap_or(written)) {
        match names::domain(name) {
            Ok(()) => {
                let help = format!("write {name}");
                check.advise(Code::InvalidName, &field, invalid(written, fault), help);
            }
            Err(_) => check.invalid(Code::InvalidName, &field, written, fault),
        }
    }
    Exposure::ExternalName(name.into())
}

fn headless(draft: &Draft<'_>, check: &mut Check<'_>) {
    let all = &draft.spec.cluster_ips;
    let plural = draft.root.key("clusterIPs");
    let written = written(draft, 0);
    if all.len() > 1 || text(&draft.spec.cluster_ip).is_some_and(|ip| ip != "None") {
        let text = "'None' must be the first and only value";
        check.report_as(Code::ClusterIpsDisagree, &plural, &written, text);
    }
    agree(draft, check);
    if let Some(type_ @ (ServiceType::NodePort | ServiceType::LoadBalancer)) = draft.type_ {
        let text = format!("may not be set to 'None' for {} services", type_.name());
        check.report_as(Code::HeadlessNotAllowed, &plural.index(0), &written, text);
    }
    let spec = draft.spec;
    for (field, set) in [
        ("externalIPs", !spec.external_ips.is_empty()),
        ("loadBalancerIP", text(&spec.load_balancer_ip).is_some()),
        ("sessionAffinity", spec.session_affinity.as_deref() == Some("ClientIP")),
    ] {
        if set {
            ignored(draft, field, "for headless services", check);
        }
    }
}

fn cluster_ips(draft: &Draft<'_>, check: &mut Check<'_>) -> Vec<IpAddr> {
    let plural = draft.root.key("clusterIPs");
    let all = requested(draft);
    agree(draft, check);
    if all.len() > 2 {
        check.report(Code::ClusterIpsDisagree, &plural, "may only hold up to 2 values");
    }
    let mut addresses = Vec::new();
    for (index, text) in all.iter().enumerate() {
        if *text == "None" {
            let text = "'None' must be the first and only value";
            check.report_as(Code::ClusterIpsDisagree, &plural, &plural.index(index), text);
            continue;
        }
        addresses.extend(check.address_as(&plural.index(index), &written(draft, index), text));
    }
    if address::repeat_a_family(addresses.iter().copied()) {
        let text = "may specify no more than one IP for each IP family";
        check.report(Code::ClusterIpsDisagree, &plural, text);
    }
    addresses
}

/// `clusterIP` and the first of `clusterIPs` are one.
fn agree(draft: &Draft<'_>, check: &mut Check<'_>) {
    let Some(first) = draft.spec.cluster_ips.first() else { return };
    let plural = draft.root.key("clusterIPs");
    match text(&draft.spec.cluster_ip) {
        None => check.advise(
            Code::ClusterIpsDisagree,
            &plural,
            "must be empty when `clusterIP` is not specified",
            format!("add `clusterIP: {first}`"),
        ),
        Some(single) if single != first => {
            check.report(Code::ClusterIpsDisagree, &plural, "first value must match `clusterIP`");
        }
        Some(_) => {}
    }
}

/// `clusterIPs`, for which `clusterIP` alone stands in.
fn requested<'a>(draft: &Draft<'a>) -> Vec<&'a str> {
    let spec = draft.spec;
    match spec.cluster_ips.is_empty() {
        true => text(&spec.cluster_ip).into_iter().collect(),
        false => spec.cluster_ips.iter().map(String::as_str).collect(),
    }
}

/// Where an entry of `clusterIPs` is written.
pub(super) fn written(draft: &Draft<'_>, index: usize) -> FieldPath {
    match draft.spec.cluster_ips.is_empty() {
        true => draft.root.key("clusterIP"),
        false => draft.root.key("clusterIPs").index(index),
    }
}

/// `spec.externalIPs`: never this host's own loopback, which no other host can reach.
pub(super) fn external_ips(draft: &Draft<'_>, check: &mut Check<'_>) -> Vec<IpAddr> {
    let field = draft.root.key("externalIPs");
    let mut addresses = Vec::new();
    for (index, text) in draft.spec.external_ips.iter().enumerate() {
        let field = field.index(index);
        let Some(address) = check.address(&field, text) else { continue };
        if check.usable(&field, address, false) && !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    addresses
}

/// A field without effect.
pub(super) fn ignored(draft: &Draft<'_>, field: &str, when: &str, check: &mut Check<'_>) {
    let field = draft.root.key(field);
    check.report(Code::FieldIgnored, &field, format!("is ignored {when}"));
}
