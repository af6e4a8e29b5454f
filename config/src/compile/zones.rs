//! What the resolver is authoritative for: zones, namespaces, hosts of Ingresses and Services.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::ingress::{Owned, aliases};
use super::other_names;
use super::services::Services;
use super::{Inputs, Objects};
use crate::model::{ClusterIps, HostPattern, Names, ObjectName, Publish, Settings, StaticRecord};
use crate::snapshot::zone::{Chaos, UdpSize};
use crate::snapshot::{self, HostOwner, HostRecord, Reach, Zones};
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
    of_ingresses(owned, &front(objects, services, inputs), settings, &mut hosts);
    of_services(objects, services, inputs, &mut hosts);
    let names = &settings.names;
    let exposed = exposed(objects, names);
    let has_names = |name: &&Arc<str>| exposed.as_ref().is_none_or(|it| it.contains(*name));
    let namespaces: BTreeSet<_> = objects
        .namespaces
        .keys()
        .filter(has_names)
        .cloned()
        .collect();
    let reverse = [&settings.service_cidrs, &settings.cluster_cidrs, &names.reverse_cidrs];
    let previous = &inputs.previous.zones;
    Zones {
        cluster_domains: settings.cluster_domains.clone(),
        alias_zones: settings.alias_zones.clone(),
        host_suffixes: names.host_suffixes.clone(),
        reverse: reverse.into_iter().flatten().copied().collect(),
        hosts: hosts
            .into_values()
            .filter(|record| is_published(&record.host, settings))
            .collect(),
        records: records(names, inputs),
        fallthrough: names.fallthrough.clone(),
        autopath: names.autopath,
        autopath_from: names.autopath_from.clone(),
        autopath_search: inputs.facts.search.clone(),
        namespaces,
        exposed,
        pods: names.pods,
        ignore_empty_service: names.ignore_empty_service,
        are_wildcards_shallow: names.are_wildcards_shallow,
        udp_size: UdpSize::nearest(settings.dns_udp_size),
        chaos: chaos(settings, previous.chaos.as_ref()),
        ttl_seconds: settings.dns_ttl_seconds,
        serial: previous.serial,
    }
}

/// The namespaces that have names (`dns 1.2`); none: all of them.
fn exposed(objects: &Objects, names: &Names) -> Option<BTreeSet<Arc<str>>> {
    let listed = (!names.namespaces.is_empty()).then_some(&names.namespaces);
    let Some(selector) = &names.namespace_labels else {
        return listed.map(|listed| listed.iter().cloned().collect());
    };
    let is_listed = |name: &&Arc<str>| listed.is_none_or(|listed| listed.contains(*name));
    let is_selected = |name: &&Arc<str>| selector.selects(&objects.namespace_labels(name));
    let names = objects.namespaces.keys().filter(is_listed);
    Some(names.filter(is_selected).cloned().collect())
}

/// What is told of the server itself; what was told before where it is the same.
fn chaos(settings: &Settings, before: Option<&Arc<Chaos>>) -> Option<Arc<Chaos>> {
    let chaos = Chaos { server: settings.dns_nsid.clone() };
    let same = before.filter(|before| ***before == chaos);
    let is_on = settings.dns_chaos;
    is_on.then(|| same.map_or_else(|| Arc::new(chaos), Arc::clone))
}

/// Whether a host has a name at all (`dns 2.9`).
fn is_published(host: &HostPattern, settings: &Settings) -> bool {
    let name = match host {
        HostPattern::Exact(name) | HostPattern::Wildcard(name) => name,
        HostPattern::Any => return false,
    };
    let suffixes = settings.names.host_suffixes.iter();
    let mut zones = suffixes
        .chain(&settings.alias_zones)
        .chain(&settings.cluster_domains);
    let is_within = |zone: &Arc<str>| {
        let before = name.strip_suffix(&**zone);
        before.is_some_and(|before| before.is_empty() || before.ends_with('.'))
    };
    match settings.names.publish {
        Publish::All => true,
        Publish::Suffixes => zones.any(is_within),
        Publish::Off => false,
    }
}

/// Records of settings, then of hosts files; the list of before where it is the same.
fn records(names: &Names, inputs: &Inputs<'_>) -> Arc<[StaticRecord]> {
    let all = || names.records.iter().chain(inputs.hosts);
    let before = &inputs.previous.zones.records;
    if all().eq(before.iter()) { Arc::clone(before) } else { all().cloned().collect() }
}

type Records = BTreeMap<HostPattern, HostRecord>;

/// Where a name leads: to addresses, or to another name.
type Place = (Vec<IpAddr>, Option<Arc<str>>);

/// Where Ingresses are that do not say it themselves (`dns 2.4`): where the first Service of type
/// LoadBalancer is that leads to a listener of ours; else where settings say, or those listeners are.
fn front(objects: &Objects, services: &Services, inputs: &Inputs<'_>) -> Place {
    let settings = inputs.settings;
    let fronting = objects.named.values().find_map(|object| {
        let Kind::Service(service) = &object.valid.kind else { return None };
        let joined = services.get(&object.valid.name)?;
        let place = outside(service, service.hosts.as_deref()?, inputs);
        let is_somewhere = !place.0.is_empty() || place.1.is_some();
        (is_somewhere && leads_to_ingress(joined, inputs)).then_some(place)
    });
    fronting.unwrap_or_else(|| {
        let mut addresses = settings.names.ingress_addresses.clone();
        if addresses.is_empty() {
            addresses = settings.http.iter().map(SocketAddr::ip).collect();
        }
        addresses.sort_unstable();
        addresses.dedup();
        (addresses, None)
    })
}

/// Whether a Service that leads to Ingresses, or did before, is among those that changed.
pub(super) fn moves_front(
    objects: &Objects,
    changed: &BTreeSet<ObjectName>,
    services: &Services,
    inputs: &Inputs<'_>,
) -> bool {
    let leads = |services: &Services, name: &ObjectName| {
        let service = services.get(name);
        service.is_some_and(|service| leads_to_ingress(service, inputs))
    };
    let named = objects.named.values().map(|object| &object.valid.name);
    let mut changed = named.filter(|name| changed.contains(*name));
    changed.any(|name| leads(services, name) || leads(&inputs.previous.services, name))
}

/// Whether portico's own http or https listener is a ready endpoint of `service`.
fn leads_to_ingress(service: &snapshot::Service, inputs: &Inputs<'_>) -> bool {
    let Settings { http, https, .. } = inputs.settings;
    let is_ours = |address: SocketAddr| {
        http.iter().chain(https).any(|listener| {
            let any = listener.ip().is_unspecified() && inputs.facts.can_bind(address.ip());
            listener.port() == address.port() && (any || listener.ip() == address.ip())
        })
    };
    let mut endpoints = service.ports.iter().flat_map(|port| &port.endpoints);
    endpoints.any(|endpoint| endpoint.ready && is_ours(endpoint.address))
}

/// `dns 2`: of two Ingresses with one host the first in object order names it; an alias name
/// stands behind every written one.
fn of_ingresses(owned: &[Owned<'_>], front: &Place, settings: &Settings, hosts: &mut Records) {
    for written in [true, false] {
        for (object, ingress) in owned.iter().filter(|(_, ingress)| !ingress.is_nameless) {
            let (addresses, alias) = match status_counts(settings) && !ingress.status.is_empty() {
                true => (&ingress.status, &None),
                false => (&front.0, &front.1),
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
                    alias: alias.clone(),
                    ttl_seconds: None,
                    owner: HostOwner::Ingress(object.valid.name.clone()),
                };
                hosts.entry(host).or_insert(record);
            }
        }
    }
}

/// Names of Services of type LoadBalancer, behind those of Ingresses; the older Service first.
fn of_services(objects: &Objects, services: &Services, inputs: &Inputs<'_>, hosts: &mut Records) {
    let settings = inputs.settings;
    for written in [true, false] {
        for object in objects.named.values() {
            let Kind::Service(service) = &object.valid.kind else { continue };
            let Some(asked) = service.hosts.as_deref() else { continue };
            let name = &object.valid.name;
            let (mut addresses, alias) = outside(service, asked, inputs);
            if addresses.is_empty()
                && alias.is_none()
                && let Some(Reach::ClusterIp(own)) = services.get(name).map(|it| &it.reach)
            {
                // Where portico listens for it.
                addresses.clone_from(own);
            }
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

/// Where a Service is for clients outside: where its annotation leads; else what its status says, where
/// that counts; else its external addresses.
fn outside(service: &Service, asked: &Hosts, inputs: &Inputs<'_>) -> Place {
    let is_here = status_counts(inputs.settings);
    let status = service
        .load_balancer
        .iter()
        .flat_map(|balancer| &balancer.ingress);
    let status = status.filter(|_| is_here).map(|place| match place {
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
    if alias.is_some() {
        return (Vec::new(), alias);
    }
    let external = service.external_ips.iter().copied();
    let external = external.filter(|address| is_here || inputs.facts.can_bind(*address));
    (external.collect(), None)
}

/// A dump of production must not send a laptop there.
fn status_counts(settings: &Settings) -> bool {
    settings.cluster_ips != ClusterIps::Map
}
