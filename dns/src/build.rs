//! Snapshot to answer table: from nothing, or from the table before and what changed.
//!
//! ```text
//! snapshot before ─┐
//!                  ├─ diff ─▶ Services, namespaces, hosts ─▶ shards that they touch ─▶ table
//! snapshot now    ─┘
//! ```
//!
//! Both ways are one: a full build is a change from nothing. A name that several objects bring
//! exists until the last of them leaves, so their number is kept beside the table ([`Draft`]).
//! Invariants: pure; what comes out depends on the snapshot alone, not on those before it; a name
//! that cannot be written on the wire is left out; a parent inside a zone exists without records
//! (`dns 2`, empty non-terminals).

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use portico_config::model::PodsMode;
use portico_config::snapshot::diff::{self, Change};
use portico_config::snapshot::{Reach, Service, Snapshot, Zones};

use crate::autopath::Autopath;
use crate::block::{APEX, Block, WHOLE, Writer};
use crate::draft::Draft;
use crate::hosts::Hosts;
use crate::names::{Level, Names};
use crate::pods::Pods;
use crate::servers::Servers;
use crate::service;
use crate::statics;
use crate::table::AnswerTable;
use crate::views::{Views, seen_from};
use crate::wire::{
    A, AAAA, LONGEST_NAME, LONGEST_ZONE, NS, OWNER, TXT, below, is_within, put_address, put_record,
    reverse_zones, wire,
};
use crate::zones::ZoneNames;

/// Makes table after table, each from the one before.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    /// Where zones are counted.
    numbers: ZoneNames,
    /// Absent before the first, and where making one was broken off.
    last: Option<Last>,
}

#[derive(Debug)]
struct Last {
    snapshot: Arc<Snapshot>,
    listen: Vec<SocketAddr>,
    zones: ForwardZones,
    servers: Servers,
    draft: Draft,
}

/// The cluster zones and their aliases, the first is primary.
#[derive(Debug)]
struct ForwardZones {
    names: Arc<[Box<[u8]>]>,
    /// Whether no zone's names can be another's too.
    are_apart: bool,
}

impl Tables {
    /// Tables whose zones have their numbers from `numbers`.
    pub(crate) fn new(numbers: ZoneNames) -> Self {
        Self { numbers, last: None }
    }

    /// The answers of `snapshot`; `listen` is where the name server itself is asked.
    pub(crate) fn next(
        &mut self,
        snapshot: &Arc<Snapshot>,
        listen: &[SocketAddr],
    ) -> Arc<AnswerTable> {
        let next = match self.last.take() {
            Some(last) if last.can_go_on(snapshot, listen) => last.go_on(snapshot),
            last => {
                // Before the new one takes its room.
                drop(last);
                Last::from_nothing(snapshot, listen, &self.numbers)
            }
        };
        let mut table = next.draft.table.clone();
        let records = &snapshot.zones.records;
        statics::lay(&seen_from(None, records), &mut table);
        table.views = Views::new(&next.draft.table, records, &self.numbers);
        let table = Arc::new(table);
        self.last = Some(next);
        table
    }
}

impl Last {
    fn from_nothing(snapshot: &Arc<Snapshot>, listen: &[SocketAddr], numbers: &ZoneNames) -> Self {
        let zones = &snapshot.zones;
        let reverse: Vec<Vec<u8>> = zones.reverse.iter().flat_map(reverse_zones).collect();
        let forward = ForwardZones::new(zones, &reverse);
        let mut suffixes = forward.names.to_vec();
        suffixes.push(Box::default());
        let mut all: Vec<Box<[u8]>> = forward.names.to_vec();
        let suffixes_of_hosts = zones.host_suffixes.iter().filter_map(|zone| wire(zone));
        let known = suffixes_of_hosts.filter(|zone| zone.len() <= LONGEST_ZONE);
        all.extend(known.map(Into::into));
        all.extend(reverse.iter().map(|zone| zone.clone().into()));
        all.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        all.dedup();
        let expected = snapshot
            .services
            .values()
            .map(|service| size(service, &forward));
        let table = AnswerTable {
            names: Names::new(suffixes.into(), expected.sum()),
            wildcards: Arc::default(),
            deep_wildcards: Arc::default(),
            pods: Pods::of(snapshot),
            numbers: numbers.number("", &all),
            zones: all.into(),
            autopath: Autopath::of(snapshot, &Autopath::default()),
            fallthrough: fallthrough(zones),
            is_loaded: true,
            views: Views::default(),
            udp_size: zones.udp_size.octets(),
            are_wildcards_shallow: zones.are_wildcards_shallow,
            chaos: zones.chaos.clone(),
            ttl_seconds: zones.ttl_seconds,
            serial: zones.serial,
        };
        let mut last = Self {
            snapshot: Arc::clone(snapshot),
            listen: listen.to_vec(),
            zones: forward,
            servers: Servers::new(listen),
            draft: Draft::new(table),
        };
        let apexes = Arc::clone(&last.draft.table.zones);
        for zone in &*apexes {
            last.apex(zone);
        }
        last.fixed();
        last.namespaces(&BTreeSet::new(), &zones.namespaces);
        for service in snapshot.services.values() {
            last.add(service);
        }
        last.hosts(zones);
        last.name_servers();
        last.draft.settle();
        last
    }

    /// Whether nothing changed that stands in every answer.
    fn can_go_on(&self, snapshot: &Snapshot, listen: &[SocketAddr]) -> bool {
        let (old, new) = (&self.snapshot.zones, &snapshot.zones);
        let same = Arc::ptr_eq(old, new)
            || (old.cluster_domains == new.cluster_domains
                && old.alias_zones == new.alias_zones
                && old.reverse == new.reverse
                && old.host_suffixes == new.host_suffixes
                && old.exposed == new.exposed
                && old.pods == new.pods
                && old.ignore_empty_service == new.ignore_empty_service
                && old.ttl_seconds == new.ttl_seconds);
        same && self.listen == listen
            && self.zones.are_apart
            && !self.draft.table.names.is_crowded()
    }

    fn go_on(mut self, snapshot: &Arc<Snapshot>) -> Self {
        let old = std::mem::replace(&mut self.snapshot, Arc::clone(snapshot));
        for change in diff::services(&old, snapshot) {
            match change {
                Change::Added(service) => self.add(service),
                Change::Removed(service) => self.remove(service),
                Change::Changed(before, after) => {
                    self.remove(before);
                    self.add(after);
                }
            }
        }
        if !Arc::ptr_eq(&old.zones, &snapshot.zones) {
            self.namespaces(&old.zones.namespaces, &snapshot.zones.namespaces);
            if old.zones.hosts != snapshot.zones.hosts {
                self.hosts(&snapshot.zones);
            }
        }
        self.name_servers();
        self.draft.settle();
        self.draft.table.autopath = Autopath::of(snapshot, &self.draft.table.autopath);
        self.draft.table.fallthrough = fallthrough(&snapshot.zones);
        self.draft.table.udp_size = snapshot.zones.udp_size.octets();
        self.draft.table.are_wildcards_shallow = snapshot.zones.are_wildcards_shallow;
        self.draft.table.chaos.clone_from(&snapshot.zones.chaos);
        self.draft.table.serial = snapshot.zones.serial;
        self.draft.table.pods = Pods::of(snapshot);
        self
    }

    /// NS of a zone and the server of its own; the SOA is written when it is asked for.
    fn apex(&mut self, zone: &[u8]) {
        let ttl = self.draft.table.ttl_seconds;
        let addresses = self.own_addresses();
        let block = apex(zone, ttl, [(OWN_SERVER, &addresses[..])].into_iter());
        self.draft.whole(zone, block, Level::Own);
        if let Some(name) = below(&["ns", "dns"], zone, LONGEST_NAME) {
            let mut writer = Writer::new();
            writer.node(&[&name], WHOLE | service::flags(&addresses));
            service::put_addresses(&mut writer, &mut Vec::new(), ttl, &addresses);
            self.draft.whole(&name, writer.finish(), Level::Own);
            self.draft.hold_parents(&name);
        }
    }

    /// NS of the cluster zones, where Services that lead here came or left (`dns 1.8`).
    fn name_servers(&mut self) {
        if !self.servers.take_news() {
            return;
        }
        let zones = Arc::clone(&self.zones.names);
        for zone in &*zones {
            let ttl = self.draft.table.ttl_seconds;
            let has_room = |(name, _): &(&[u8], _)| name.len() + zone.len() <= LONGEST_NAME;
            let mut names = self.servers.names().filter(has_room).peekable();
            let block = if names.peek().is_some() {
                apex(zone, ttl, names)
            } else {
                let addresses = self.own_addresses();
                apex(zone, ttl, [(OWN_SERVER, &addresses[..])].into_iter())
            };
            self.draft.apex(zone, block);
        }
    }

    /// The addresses of the resolver itself.
    fn own_addresses(&self) -> Vec<IpAddr> {
        let mut addresses: Vec<IpAddr> = self.listen.iter().map(SocketAddr::ip).collect();
        addresses.sort_unstable();
        addresses.dedup();
        addresses
    }

    /// What every cluster zone has.
    fn fixed(&mut self) {
        let zones = Arc::clone(&self.zones.names);
        for zone in &*zones {
            if let Some(name) = below(&["dns-version"], zone, LONGEST_NAME) {
                let mut version = Vec::new();
                put_record(&mut version, &[&OWNER], TXT, 28_800, &[b"\x051.1.0"]);
                let mut writer = Writer::new();
                writer.node(&[&name], WHOLE);
                writer.literal(TXT, &version, &[]);
                self.draft.whole(&name, writer.finish(), Level::Own);
                self.draft.hold_parents(&name);
            }
            let parents = ["svc", "pod"].map(|label| below(&[label], zone, LONGEST_NAME));
            for name in parents.into_iter().flatten() {
                self.draft.hold(&name);
                self.draft.hold_parents(&name);
            }
        }
    }

    /// `<ns>.svc` and `<ns>.pod` of the namespaces that are in one of `old` and `new` only.
    fn namespaces(&mut self, old: &BTreeSet<Arc<str>>, new: &BTreeSet<Arc<str>>) {
        let zones = Arc::clone(&self.zones.names);
        let kinds: &[&str] = match self.snapshot.zones.pods {
            PodsMode::Disabled => &["svc"],
            PodsMode::Insecure | PodsMode::Verified => &["svc", "pod"],
        };
        for namespace in old.symmetric_difference(new) {
            let names = zones.iter().flat_map(|zone| {
                let name = |kind: &&str| below(&[namespace, kind], zone, LONGEST_NAME);
                kinds.iter().filter_map(name)
            });
            for name in names {
                if new.contains(namespace) {
                    self.draft.hold(&name);
                } else {
                    self.draft.release(&name);
                }
            }
        }
    }

    fn add(&mut self, service: &Service) {
        let zones = &self.snapshot.zones;
        let is_empty = service.addresses.is_empty() && zones.ignore_empty_service;
        let is_hidden = is_empty && matches!(service.reach, Reach::ClusterIp(_));
        if is_hidden || service.is_nameless || !zones.exposes(&service.name.namespace) {
            return;
        }
        self.servers.add(service);
        let ttl_seconds = self.draft.table.ttl_seconds;
        let zones = Arc::clone(&self.zones.names);
        let room = |zone: &[u8]| LONGEST_NAME.saturating_sub(zone.len());
        let Some(least) = zones.iter().map(|zone| room(zone)).min() else { return };
        let shared = service::encode(service, least, ttl_seconds);
        for (index, zone) in (0..).zip(&*zones) {
            let block = if shared.is_cut {
                service::encode(service, room(zone), ttl_seconds).block
            } else {
                shared.block.clone()
            };
            if let Some(block) = block {
                self.draft.add(&block, index, zone);
            }
        }
    }

    fn remove(&mut self, service: &Service) {
        self.servers.remove(service);
        let zones = Arc::clone(&self.zones.names);
        for (index, zone) in (0..).zip(&*zones) {
            let room = LONGEST_NAME.saturating_sub(zone.len());
            let home = service::home(service, room).map(|home| [&home, &**zone].concat());
            if let Some(block) = home.and_then(|home| self.draft.own(&home)) {
                self.draft.remove(&block, index, zone);
            }
        }
    }

    fn hosts(&mut self, zones: &Zones) {
        let table = &self.draft.table;
        let hosts = Hosts::new(zones, |name| table.zone_of(name));
        self.draft.set_hosts(hosts);
    }
}

impl ForwardZones {
    fn new(zones: &Zones, reverse: &[Vec<u8>]) -> Self {
        let mut names: Vec<Box<[u8]>> = Vec::new();
        let written = zones.cluster_domains.iter().chain(&zones.alias_zones);
        for name in written.filter_map(|zone| wire(zone)) {
            if name.len() <= LONGEST_ZONE && !names.contains(&name.clone().into()) {
                names.push(name.into());
            }
        }
        let nested = |inner: &[u8], outer: &[u8]| inner != outer && is_within(inner, outer);
        let are_apart = names.iter().all(|one| {
            names.iter().all(|other| !nested(one, other))
                && reverse
                    .iter()
                    .all(|other| !is_within(one, other) && !is_within(other, one))
        });
        Self { names: names.into(), are_apart }
    }
}

/// The apex of `zone`: NS records that name these servers, and their addresses beside them.
fn apex<'a>(
    zone: &[u8],
    ttl_seconds: u32,
    servers: impl Iterator<Item = (&'a [u8], &'a [IpAddr])>,
) -> Block {
    let (mut lead, mut additional) = (Vec::new(), Vec::new());
    for (name, addresses) in servers {
        let name: [&[u8]; 2] = [name, &OWNER];
        put_record(&mut lead, &[&OWNER], NS, ttl_seconds, &name);
        for kind in [A, AAAA] {
            for address in addresses.iter().filter(|ip| !ip.is_unspecified()) {
                put_address(&mut additional, &name, kind, ttl_seconds, *address);
            }
        }
    }
    let mut writer = Writer::new();
    writer.node(&[zone], WHOLE | APEX);
    writer.literal(NS, &lead, &additional);
    writer.finish()
}

/// Where names that do not exist are asked of others.
fn fallthrough(zones: &Zones) -> Arc<[Box<[u8]>]> {
    let names = zones.fallthrough.iter().filter_map(|zone| wire(zone));
    names.map(Into::into).collect()
}

/// About how many names a Service brings.
fn size(service: &Service, zones: &ForwardZones) -> usize {
    let addresses = service.addresses.len();
    zones.names.len() * (2 + addresses + 2 * service.ports.len()) + addresses
}

/// What a zone names where no Service leads here.
const OWN_SERVER: &[u8] = b"\x02ns\x03dns";

/// The answers of `snapshot` from nothing.
#[cfg(test)]
pub(crate) fn build(snapshot: &Snapshot, listen: &[SocketAddr]) -> AnswerTable {
    Last::from_nothing(&Arc::new(snapshot.clone()), listen, &ZoneNames::default())
        .draft
        .table
}
