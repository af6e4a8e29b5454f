//! `ipFamilies` and `ipFamilyPolicy`: what is asked for; what the cluster has is `compile`'s to say.

use super::exposure::{self, Exposure};
use super::{Draft, ServiceType, text};
use crate::diagnostic::Code;
use crate::model::IpFamily;
use crate::validate::check::{Check, invalid};

/// The IP families that a Service asks for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Families {
    /// Whether it wants a second family.
    pub(crate) policy: FamilyPolicy,
    /// In the order of `ipFamilies`, else of `clusterIPs`; empty: the cluster's first.
    pub(crate) requested: Vec<IpFamily>,
}

/// `IPFamilyPolicy`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum FamilyPolicy {
    /// One family.
    Single,
    /// A second family where the cluster has one.
    PreferDual,
    /// Two families.
    RequireDual,
}

pub(super) fn families(draft: &Draft<'_>, exposure: &Exposure, check: &mut Check<'_>) -> Families {
    let mut requested = Vec::new();
    let field = draft.root.key("ipFamilies");
    for (index, family) in draft.spec.ip_families.iter().enumerate() {
        let field = field.index(index);
        let known = [("IPv4", IpFamily::V4), ("IPv6", IpFamily::V6)];
        if family.is_empty() {
            check.unsupported(&field, family, &["IPv4", "IPv6"]);
        }
        let Some(family) = check.choice(&field, Some(family), &known) else { continue };
        if requested.contains(&family) {
            check.duplicate(&field, &draft.spec.ip_families[index]);
        } else {
            requested.push(family);
        }
    }
    let policy = policy(draft, check);
    let addresses = match exposure {
        Exposure::ClusterIp(addresses) => &addresses[..],
        _ => &[],
    };
    // A list in which a word was not understood says nothing about the addresses beside it.
    let understood = requested.len() == draft.spec.ip_families.len();
    for (index, address) in addresses.iter().enumerate().filter(|_| understood) {
        let family = IpFamily::of(*address);
        match requested.get(index) {
            None => requested.push(family),
            Some(wanted) if *wanted != family => {
                let name = if *wanted == IpFamily::V4 { "IPv4" } else { "IPv6" };
                let fault =
                    format!("expected an {name} value as indicated by `ipFamilies[{index}]`");
                let named = draft.root.key("clusterIPs").index(index);
                let written = exposure::written(draft, index);
                let text = invalid(&address.to_string(), fault);
                check.report_as(Code::FamiliesDisagree, &named, &written, text);
            }
            Some(_) => {}
        }
    }
    Families { policy, requested }
}

/// `services 2.1`: SingleStack unless a headless Service without selector says nothing.
fn policy(draft: &Draft<'_>, check: &mut Check<'_>) -> FamilyPolicy {
    let spec = draft.spec;
    let field = draft.root.key("ipFamilyPolicy");
    let written = text(&spec.ip_family_policy);
    let known = [
        ("PreferDualStack", FamilyPolicy::PreferDual),
        ("RequireDualStack", FamilyPolicy::RequireDual),
        ("SingleStack", FamilyPolicy::Single),
    ];
    let policy = match check.choice(&field, written, &known) {
        Some(policy) => policy,
        None if draft.headless && spec.selector.is_empty() => FamilyPolicy::RequireDual,
        None => FamilyPolicy::Single,
    };
    let misspelled = written.is_some_and(|text| known.iter().all(|(name, _)| *name != text));
    if policy == FamilyPolicy::Single && !misspelled && !draft.is(ServiceType::ExternalName) {
        for (what, count) in
            [("cluster IPs", spec.cluster_ips.len()), ("IP families", spec.ip_families.len())]
        {
            if count == 2 {
                let text = format!(
                    "must be 'RequireDualStack' or 'PreferDualStack' when multiple {what} are specified"
                );
                check.report(Code::FamiliesDisagree, &field, text);
            }
        }
    }
    policy
}
