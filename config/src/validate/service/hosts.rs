//! Names outside of the cluster that a Service of type LoadBalancer asks for (`dns 2`).
//!
//! The annotations are those of external-dns and CoreDNS. What cannot be read of one is warned of
//! and left out: the Service serves without a name too.

use std::net::IpAddr;
use std::sync::Arc;

use super::{Draft, ServiceType};
use crate::diagnostic::Code;
use crate::location::FieldPath;
use crate::model::{HostPattern, parse_duration};
use crate::validate::check::Check;
use crate::validate::names;

/// What annotations say of names.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Hosts {
    /// The names, exact or `*.suffix`.
    pub(crate) names: Vec<HostPattern>,
    /// How long their answers may be cached; none: as long as all others.
    pub(crate) ttl_seconds: Option<u32>,
    /// Where they lead instead of where the Service is.
    pub(crate) targets: Vec<Target>,
}

/// Where a name leads.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Target {
    /// To an address.
    Address(IpAddr),
    /// To another name.
    Name(Arc<str>),
}

/// The names of a Service; none where it has no load balancer or is to be left out.
pub(super) fn hosts(draft: &Draft<'_>, check: &mut Check<'_>) -> Option<Box<Hosts>> {
    let ignored = super::super::names_are_ignored(&draft.object.metadata);
    if !draft.is(ServiceType::LoadBalancer) || ignored {
        return None;
    }
    let annotation = |key: &str| {
        draft
            .object
            .metadata
            .annotations
            .get(key)
            .map(String::as_str)
    };
    let mut hosts = Hosts::default();
    for key in HOSTNAMES {
        for text in items(annotation(key)) {
            match names::domain(text).or_else(|_| names::wildcard(text)) {
                Ok(()) => hosts.names.push(HostPattern::parse(text)),
                Err(_) => refuse(key, text, "is no host name", check),
            }
        }
    }
    if let Some(text) = annotation(TTL) {
        hosts.ttl_seconds = ttl(text);
        if hosts.ttl_seconds.is_none() {
            refuse(
                TTL,
                text,
                "is no time of at most a day: whole seconds, or such as 1m30s",
                check,
            );
        }
    }
    for text in items(annotation(TARGET)) {
        match (text.parse(), names::domain(text)) {
            (Ok(address), _) => hosts.targets.push(Target::Address(address)),
            (_, Ok(())) => {
                hosts
                    .targets
                    .push(Target::Name(text.to_ascii_lowercase().into()));
            }
            _ => refuse(TARGET, text, "is neither an address nor a name", check),
        }
    }
    Some(Box::new(hosts))
}

fn items(text: Option<&str>) -> impl Iterator<Item = &str> {
    let items = text.unwrap_or_default().split(',');
    items
        .map(|item| item.trim().trim_end_matches('.'))
        .filter(|item| !item.is_empty())
        .take(MAX_ITEMS)
}

fn ttl(text: &str) -> Option<u32> {
    let seconds = match text.trim().parse() {
        Ok(seconds) => Some(seconds),
        Err(_) => u32::try_from(parse_duration(text.trim()).ok()?.as_secs()).ok(),
    };
    seconds.filter(|seconds| *seconds <= MAX_TTL_SECONDS)
}

fn refuse(key: &str, text: &str, fault: &str, check: &mut Check<'_>) {
    let field = FieldPath::from("metadata.annotations").key(key);
    check.report(Code::InvalidDnsAnnotation, &field, format!("{text:?} {fault}"));
}

/// Both are lists with commas between.
const HOSTNAMES: [&str; 2] = ["external-dns.alpha.kubernetes.io/hostname", "coredns.io/hostname"];
const TTL: &str = "external-dns.alpha.kubernetes.io/ttl";
const TARGET: &str = "external-dns.alpha.kubernetes.io/target";
/// Names, and targets, of one Service.
const MAX_ITEMS: usize = 100;
const MAX_TTL_SECONDS: u32 = 86_400;
