//! What the resolver is authoritative for: zones, namespaces and Ingress hosts.

use std::collections::BTreeMap;
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
    let previous = &inputs.previous.zones;
    Zones {
        cluster_domains: settings.cluster_domains.clone(),
        alias_zones: settings.alias_zones.clone(),
        reverse: settings.service_cidrs.clone(),
        hosts: hosts.into_values().collect(),
        namespaces: objects.namespaces.keys().map(Arc::clone).collect(),
        ttl_seconds: settings.dns_ttl_seconds,
        serial: previous.serial,
    }
}
