//! Hosts of Ingresses and Services to names and records (`dns 2`): written hosts before derived ones, each once.
//!
//! Invariants: pure; whether a name of the zones' own hides a host is decided where both meet, in
//! `build`.

use std::collections::HashMap;

use portico_config::model::HostPattern;
use portico_config::snapshot::{HostRecord, Zones};

use crate::block::{Block, FIRST, Node, WHOLE, Writer};
use crate::service::{flags, put_addresses};
use crate::table::Wildcards;
use crate::wire::{parent, wire};

/// What the hosts of a snapshot bring.
#[derive(Debug, Default)]
pub(crate) struct Hosts {
    /// Each name with its node; none for a parent that has no records.
    pub(crate) names: HashMap<Box<[u8]>, Option<Block>>,
    /// `*.suffix` by suffix.
    pub(crate) wildcards: Wildcards,
}

impl Hosts {
    /// The hosts of `zones`; `zone_of` is the length of the zone that a name is in.
    pub(crate) fn new(zones: &Zones, zone_of: impl Fn(&[u8]) -> Option<usize>) -> Self {
        let mut hosts = Self::default();
        let ttl_seconds = zones.ttl_seconds;
        let mut derived = Vec::new();
        for host in &zones.hosts {
            match &host.host {
                HostPattern::Any => {}
                HostPattern::Wildcard(suffix) => {
                    let Some(suffix) = wire(suffix) else { continue };
                    // Parents of the hosts exist inside a zone.
                    if zone_of(&suffix).is_some() {
                        hosts.names.entry(suffix.clone().into()).or_default();
                        hosts.parents(&suffix, &zone_of);
                    }
                    let block = encode(&suffix, host, ttl_seconds);
                    hosts.wildcards.entry(suffix.into()).or_insert(block);
                }
                HostPattern::Exact(exact) => {
                    hosts.exact(exact, host, ttl_seconds, &zone_of);
                    if !exact.contains('.') {
                        let aliases = zones.alias_zones.iter();
                        let names = aliases.map(|zone| format!("{exact}.{zone}"));
                        derived.extend(names.map(|name| (name, host)));
                    }
                }
            }
        }
        for (name, host) in derived {
            hosts.exact(&name, host, ttl_seconds, &zone_of);
        }
        hosts
    }

    fn exact(
        &mut self,
        name: &str,
        host: &HostRecord,
        ttl_seconds: u32,
        zone_of: &impl Fn(&[u8]) -> Option<usize>,
    ) {
        let Some(name) = wire(name) else { return };
        // A parent of other hosts has no records yet and may still become a host.
        if self.names.get(name.as_slice()).is_none_or(is_empty) {
            let block = encode(&name, host, ttl_seconds);
            self.names.insert(name.clone().into(), Some(block));
            self.parents(&name, zone_of);
        }
    }

    fn parents(&mut self, name: &[u8], zone_of: &impl Fn(&[u8]) -> Option<usize>) {
        let Some(zone) = zone_of(name) else { return };
        let mut above = parent(name);
        while let Some(ancestor) = above.filter(|ancestor| ancestor.len() >= zone) {
            if self.names.contains_key(ancestor) {
                break;
            }
            self.names.insert(ancestor.into(), None);
            above = parent(ancestor);
        }
    }
}

fn is_empty(known: &Option<Block>) -> bool {
    known.as_ref().is_none_or(|block| {
        let node = Node::new(block, FIRST);
        node.flags() == 0 && node.bodies().next().is_none()
    })
}

fn encode(name: &[u8], host: &HostRecord, ttl_seconds: u32) -> Block {
    let ttl_seconds = host.ttl_seconds.unwrap_or(ttl_seconds);
    if let Some(target) = host.alias.as_deref().and_then(wire) {
        let mut writer = Writer::new();
        writer.node(&[name], WHOLE);
        writer.alias(ttl_seconds, &target);
        return writer.finish();
    }
    let mut addresses = host.addresses.clone();
    addresses.sort_unstable();
    addresses.dedup();
    let mut writer = Writer::new();
    writer.node(&[name], flags(&addresses));
    put_addresses(&mut writer, &mut Vec::new(), ttl_seconds, &addresses);
    writer.finish()
}
