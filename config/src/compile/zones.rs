//! What the resolver is authoritative for: zones, namespaces and Ingress hosts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::ingress::{Owned, aliases};
use super::{Inputs, Objects};
use crate::model::HostPattern;
use crate::snapshot::{HostRecord, Zones};

/// The zones with the serial of before; whoever sees a change counts it up.
pub(super) fn compile(objects: &Objects, owned: &[Owned<'_>], inputs: &Inputs<'_>) -> Zones {
    let settings = inputs.settings;
    let mut addresses: Vec<_> = settings.http.iter().map(|address| address.ip()).collect();
    addresses.sort_unstable();
    addresses.dedup();
    // `dns 2`: of two Ingresses with one host the first in object order names it; an alias name
    // stands behind every written one.
    let mut hosts: BTreeMap<HostPattern, HostRecord> = BTreeMap::new();
    for written in [true, false] {
        for (object, ingress) in owned {
            for rule in &ingress.rules {
                let names = match &rule.host {
                    HostPattern::Any => Vec::new(),
                    host if written => vec![host.clone()],
                    HostPattern::Exact(name) => aliases(name, settings),
                    HostPattern::Wildcard(_) => Vec::new(),
                };
                for host in names {
                    let record = HostRecord {
                        host: host.clone(),
                        addresses: addresses.clone(),
                        ingress: object.valid.name.clone(),
                    };
                    hosts.entry(host).or_insert(record);
                }
            }
        }
    }
    let names = &settings.names;
    let exposed: BTreeSet<Arc<str>> = names.namespaces.iter().cloned().collect();
    let has_names = |name: &&Arc<str>| exposed.is_empty() || exposed.contains(*name);
    let namespaces = objects.namespaces.keys().filter(has_names);
    let reverse = [&settings.service_cidrs, &settings.cluster_cidrs, &names.reverse_cidrs];
    let previous = &inputs.previous.zones;
    Zones {
        cluster_domains: settings.cluster_domains.clone(),
        alias_zones: settings.alias_zones.clone(),
        reverse: reverse.into_iter().flatten().copied().collect(),
        hosts: hosts.into_values().collect(),
        namespaces: namespaces.map(Arc::clone).collect(),
        exposed: exposed.clone(),
        pods: names.pods,
        ignore_empty_service: names.ignore_empty_service,
        ttl_seconds: settings.dns_ttl_seconds,
        serial: previous.serial,
    }
}
