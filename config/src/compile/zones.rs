//! What the resolver is authoritative for: zones, namespaces, hosts of Ingresses and Services.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use super::ingress::{Owned, aliases};
use super::other_names;
use super::services::Services;
use super::{Inputs, Objects};
use crate::model::{ClusterIps, HostPattern, Names, ObjectName, Settings, StaticRecord};
use crate::snapshot::{HostOwner, HostRecord, Reach, Zones};
use crate::validate::{Hosts, Kind, LoadBalancerIngress, Service, Target};

/// The zones with the serial of before; whoever sees a change counts it up.
pub(super) fn compile(
    objects: &Objects,
    services: &Services,
    owned: &[Owned<'_>],
    inputs: &Inputs<'_>,
) -> Zones {
    let settings = inputs.settings;
    let mut hosts = BTreeMap::new();
    of_ingresses(owned, settings, &mut hosts);
    of_services(objects, services, settings, &mut hosts);
    let names = &settings.names;
    let exposed: BTreeSet<Arc<str>> = names.namespaces.iter().cloned().collect();
    let has_names = |name: &&Arc<str>| exposed.is_empty() || exposed.contains(*name);
    let namespaces = objects.namespaces.keys().filter(has_names);
    let reverse = [&settings.service_cidrs, &settings.cluster_cidrs, &names.reverse_cidrs];
    let previous = &inputs.previous.zones;
    Zones {
        cluster_domains: settings.cluster_domains.clone(),
        alias_zones: settings.alias_zones.clone(),
        host_suffixes: names.host_suffixes.clone(),
        reverse: reverse.into_iter().flatten().copied().collect(),
        hosts: hosts.into_values().collect(),
        records: records(names, inputs),
        fallthrough: names.fallthrough.clone(),
        autopath: names.autopath,
        namespaces: namespaces.map(Arc::clone).collect(),
        exposed: exposed.clone(),
        pods: names.pods,
        ignore_empty_service: names.ignore_empty_service,
        ttl_seconds: settings.dns_ttl_seconds,
        serial: previous.serial,
    }
}

/// Records of settings, then of hosts files; the list of before where it is the same.
fn records(names: &Names, inputs: &Inputs<'_>) -> Arc<[StaticRecord]> {
    let all = || names.records.iter().chain(inputs.hosts);
    let before = &inputs.previous.zones.records;
    if all().eq(before.iter()) { Arc::clone(before) } else { all().cloned().collect() }
}

type Records = BTreeMap<HostPattern, HostRecord>;

/// `dns 2`: of two Ingresses with one host the first in object order names it; an alias name
/// stands behind every written one.
fn of_ingresses(owned: &[Owned<'_>], settings: &Settings, hosts: &mut Records) {
    let mut listeners: Vec<_> = settings.http.iter().map(|address| address.ip()).collect();
    listeners.sort_unstable();
    listeners.dedup();
    for written in [true, false] {
        for (object, ingress) in owned.iter().filter(|(_, ingress)| !ingress.is_nameless) {
            let addresses = match status_counts(settings) && !ingress.status.is_empty() {
                true => &ingress.status,
                false => &listeners,
            };
            let names = ingress.rules.iter().flat_map(|rule| match &rule.host {
                HostPattern::Any => Vec::new(),
                host if written => vec![host.clone()],
                HostPattern::Exact(name) => aliases(name, settings),
                HostPattern::Wildcard(_) => Vec::new(),
            });
            let others = if written { Vec::new() } else { other_names::asked(ingress) };
            for host in others.into_iter().chain(names) {
                let record = HostRecord {
                    host: host.clone(),
                    addresses: addresses.clone(),
                    alias: None,
                    ttl_seconds: None,
                    owner: HostOwner::Ingress(object.valid.name.clone()),
                };
                hosts.entry(host).or_insert(record);
            }
        }
    }
}

/// Names of Services of type LoadBalancer, behind those of Ingresses; the older Service first.
fn of_services(objects: &Objects, services: &Services, settings: &Settings, hosts: &mut Records) {
    for written in [true, false] {
        for object in objects.named.values() {
            let Kind::Service(service) = &object.valid.kind else { continue };
            let Some(asked) = service.hosts.as_deref() else { continue };
            let name = &object.valid.name;
            let (addresses, alias) = place(name, service, asked, services, settings);
            if addresses.is_empty() && alias.is_none() {
                continue;
            }
            let names = if written { asked.names.clone() } else { derived(name, asked, settings) };
            for host in names {
                let record = HostRecord {
                    host: host.clone(),
                    addresses: addresses.clone(),
                    alias: alias.clone(),
                    ttl_seconds: asked.ttl_seconds,
                    owner: HostOwner::Service(name.clone()),
                };
                hosts.entry(host).or_insert(record);
            }
        }
    }
}

/// `<service>.<namespace>.<suffix>`, and written names of one label in alias zones.
fn derived(name: &ObjectName, asked: &Hosts, settings: &Settings) -> Vec<HostPattern> {
    let suffixes = match &settings.names.host_suffixes[..] {
        [] => &settings.alias_zones[..],
        suffixes => suffixes,
    };
    let own = suffixes.iter().map(|suffix| {
        let host = format!("{}.{}.{suffix}", name.name, name.namespace);
        HostPattern::Exact(host.into())
    });
    let aliased = asked.names.iter().flat_map(|host| match host {
        HostPattern::Exact(host) => aliases(host, settings),
        HostPattern::Any | HostPattern::Wildcard(_) => Vec::new(),
    });
    own.chain(aliased).collect()
}

/// Where a Service is: where its annotation leads; else what its status says, where that counts;
/// else its external addresses; else where portico listens for it.
fn place(
    name: &ObjectName,
    service: &Service,
    asked: &Hosts,
    services: &Services,
    settings: &Settings,
) -> (Vec<IpAddr>, Option<Arc<str>>) {
    let status = service
        .load_balancer
        .iter()
        .flat_map(|balancer| &balancer.ingress);
    let status = status
        .filter(|_| status_counts(settings))
        .map(|place| match place {
            LoadBalancerIngress::Ip { address, .. } => Target::Address(*address),
            LoadBalancerIngress::Hostname(name) => Target::Name(Arc::clone(name)),
        });
    let targets = if asked.targets.is_empty() { status.collect() } else { asked.targets.clone() };
    let addresses: Vec<IpAddr> = targets
        .iter()
        .filter_map(|target| match target {
            Target::Address(address) => Some(*address),
            Target::Name(_) => None,
        })
        .collect();
    if !addresses.is_empty() {
        return (addresses, None);
    }
    let alias = targets.into_iter().find_map(|target| match target {
        Target::Name(name) => Some(name.to_ascii_lowercase().trim_end_matches('.').into()),
        Target::Address(_) => None,
    });
    if alias.is_some() || !service.external_ips.is_empty() {
        let addresses = if alias.is_some() { Vec::new() } else { service.external_ips.clone() };
        return (addresses, alias);
    }
    match services.get(name).map(|service| &service.reach) {
        Some(Reach::ClusterIp(addresses)) => (addresses.clone(), None),
        _ => (Vec::new(), None),
    }
}

/// A dump of production must not send a laptop there.
fn status_counts(settings: &Settings) -> bool {
    settings.cluster_ips != ClusterIps::Map
}
