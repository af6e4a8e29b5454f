//! Snapshot to answer table: every record of the cluster zones, their aliases and the hosts.
//!
//! Invariants: pure; a name that cannot be written on the wire is left out; a parent inside a zone
//! exists without records (`dns 2`, empty non-terminals). Looking up is `table`'s work.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

use ipnet::IpNet;
use portico_config::model::HostPattern;
use portico_config::snapshot::service::{Reach, Service};
use portico_config::snapshot::{Snapshot, Zones};

use crate::question::NXDOMAIN;
use crate::table::{
    A, AAAA, AnswerTable, Body, CNAME, LONGEST_ZONE, NS, Node, PTR, SOA, SRV, TXT, parent, pointer,
    record, rows,
};

/// Encodes `snapshot`; `listen` are the addresses that the name server itself has.
pub(crate) fn build(snapshot: &Snapshot, listen: &[IpAddr]) -> AnswerTable {
    let zones = &snapshot.zones;
    let mut builder = Builder {
        table: AnswerTable {
            ttl_seconds: zones.ttl_seconds,
            serial: zones.serial,
            ..AnswerTable::default()
        },
        aliases: HashMap::new(),
        is_generating: true,
    };
    let forward: Vec<Vec<u8>> = zones
        .cluster_domains
        .iter()
        .chain(&zones.alias_zones)
        .filter_map(|zone| wire(zone).filter(|name| name.len() <= LONGEST_ZONE))
        .collect();
    let reverse: Vec<Vec<u8>> = zones.reverse.iter().flat_map(reverse_zones).collect();
    let mut all: Vec<Box<[u8]>> = forward
        .iter()
        .chain(&reverse)
        .map(|z| z.clone().into())
        .collect();
    all.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
    all.dedup();
    builder.table.zones = all;
    for zone in forward.iter().chain(&reverse) {
        builder.apex(zone, listen);
    }
    for zone in &forward {
        builder.cluster(snapshot, zone);
    }
    if let Some(primary) = forward.first() {
        builder.reverse(snapshot, primary);
    }
    builder.is_generating = false;
    builder.hosts(zones);
    builder.chase_aliases();
    builder.table
}

struct Builder {
    table: AnswerTable,
    /// ExternalName owners and their targets, resolved last.
    aliases: HashMap<Vec<u8>, Vec<u8>>,
    /// Whether what comes into being is a name of the zone's own.
    is_generating: bool,
}

impl Builder {
    /// The node of `name`; parents up to the zone's apex come into being with it.
    fn node(&mut self, name: &[u8]) -> &mut Node {
        let fresh = Node { generated: self.is_generating, ..Node::default() };
        if !self.table.names.contains_key(name)
            && let Some(zone) = self.table.zone_of(name)
        {
            let mut above = parent(name);
            while let Some(ancestor) = above.filter(|ancestor| ancestor.len() >= zone) {
                if self.table.names.contains_key(ancestor) {
                    break;
                }
                self.table.names.insert(ancestor.into(), fresh.clone());
                above = parent(ancestor);
            }
        }
        self.table.names.entry(name.into()).or_insert(fresh)
    }

    fn put(&mut self, name: &[u8], body: Body) {
        let node = self.node(name);
        if !node.bodies.iter().any(|known| known.kind == body.kind) {
            node.bodies.push(body);
        }
    }

    fn put_addresses(&mut self, name: &[u8], addresses: &[IpAddr]) {
        let ttl_seconds = self.table.ttl_seconds;
        fill(self.node(name), ttl_seconds, addresses);
    }

    fn apex(&mut self, zone: &[u8], listen: &[IpAddr]) {
        let ttl = self.table.ttl_seconds;
        let soa = self.table.soa_record(&OWNER, &OWNER, zone.len());
        self.put(zone, Body { kind: SOA, lead: soa, ..Body::default() });
        let server = [b"\x02ns\x03dns".as_slice(), &OWNER].concat();
        let fixed: Vec<_> = listen
            .iter()
            .copied()
            .filter(|ip| !ip.is_unspecified())
            .collect();
        let additional = [A, AAAA]
            .map(|kind| rows(ttl, kind, &fixed, &server))
            .concat();
        let lead = record(&OWNER, NS, ttl, &server);
        self.put(zone, Body { kind: NS, lead, additional, ..Body::default() });
        if let Some(name) = below(&["ns", "dns"], zone) {
            self.put_addresses(&name, listen);
        }
    }

    fn cluster(&mut self, snapshot: &Snapshot, zone: &[u8]) {
        let version = record(&OWNER, TXT, 28_800, b"\x051.1.0");
        if let Some(name) = below(&["dns-version"], zone) {
            self.put(&name, Body { kind: TXT, lead: version, ..Body::default() });
        }
        let fixed = [below(&["svc"], zone), below(&["pod"], zone)];
        let namespaces = snapshot.zones.namespaces.iter().flat_map(|namespace| {
            [below(&[namespace, "svc"], zone), below(&[namespace, "pod"], zone)]
        });
        for name in fixed.into_iter().chain(namespaces).flatten() {
            self.node(&name);
        }
        for service in snapshot.services.values() {
            let labels = [&*service.name.name, &*service.name.namespace, "svc"];
            if let Some(name) = below(&labels, zone) {
                self.service(service, &name);
            }
        }
    }

    fn service(&mut self, service: &Service, name: &[u8]) {
        match &service.reach {
            Reach::ExternalName(target) => {
                // An address is no name, and a name that is its own alias leads nowhere (`dns 1.7`).
                let text = target.trim_end_matches('.');
                if text.parse::<IpAddr>().is_ok() {
                    return;
                }
                self.node(name);
                if let Some(target) = wire(text).filter(|target| target.len() > 1 && target != name)
                {
                    self.aliases.insert(name.to_vec(), target);
                }
            }
            Reach::ClusterIp(addresses) => {
                self.put_addresses(name, addresses);
                self.cluster_ports(service, addresses, name);
                self.endpoints(service, name, false);
            }
            // Without a ready endpoint the name does not exist (`dns 1.4`).
            Reach::Headless if service.addresses.is_empty() => {}
            Reach::Headless => {
                let addresses: BTreeSet<_> = service.addresses.iter().map(|a| a.address).collect();
                let addresses: Vec<_> = addresses.into_iter().collect();
                self.put_addresses(name, &addresses);
                self.endpoints(service, name, true);
            }
        }
    }

    fn cluster_ports(&mut self, service: &Service, addresses: &[IpAddr], name: &[u8]) {
        let targets = BTreeMap::from([(name.to_vec(), addresses.to_vec())]);
        let mut all = Vec::new();
        for port in &service.ports {
            let one = vec![(name.to_vec(), port.port); addresses.len()];
            if let Some(owner) = port_name(&port.id.name, port.id.protocol.label(), name) {
                self.node(&owner);
                self.put_srv(&owner, name, &one, &targets);
            }
            all.extend(one);
        }
        self.put_srv(name, name, &all, &targets);
    }

    /// The names of single endpoints, and the SRV records that lead to them.
    fn endpoints(&mut self, service: &Service, name: &[u8], headless: bool) {
        let mut labels: BTreeMap<Vec<u8>, Vec<IpAddr>> = BTreeMap::new();
        for known in &service.addresses {
            if let Some(owner) = below(&[&known.label], name) {
                labels.entry(owner).or_default().push(known.address);
            }
        }
        for (owner, addresses) in &labels {
            self.put_addresses(owner, addresses);
        }
        let mut all = Vec::new();
        let mut each: BTreeMap<Vec<u8>, Vec<(Vec<u8>, u16)>> = BTreeMap::new();
        for port in &service.ports {
            let mut pairs = Vec::new();
            for endpoint in port.endpoints.iter().filter(|endpoint| endpoint.ready) {
                let Some(owner) = below(&[&endpoint.label], name) else { continue };
                let pair = (owner.clone(), endpoint.address.port());
                each.entry(owner).or_default().push(pair.clone());
                pairs.push(pair);
            }
            if headless
                && !pairs.is_empty()
                && let Some(owner) = port_name(&port.id.name, port.id.protocol.label(), name)
            {
                self.put_srv(&owner, name, &pairs, &labels);
            }
            all.extend(pairs);
        }
        if headless {
            self.put_srv(name, name, &all, &labels);
        }
        for (owner, pairs) in &each {
            self.put_srv(owner, name, pairs, &labels);
        }
    }

    /// SRV at `owner`, a name at or below `base`, to `pairs` of target and port (`dns 1.5`).
    fn put_srv(
        &mut self,
        owner: &[u8],
        base: &[u8],
        pairs: &[(Vec<u8>, u16)],
        targets: &BTreeMap<Vec<u8>, Vec<IpAddr>>,
    ) {
        if pairs.is_empty() {
            return;
        }
        let ttl = self.table.ttl_seconds;
        let weight = u16::try_from((100 / pairs.len()).max(1))
            .unwrap_or(1)
            .to_be_bytes();
        let unique: BTreeSet<_> = pairs.iter().collect();
        let mut lead = Vec::new();
        for (target, port) in &unique {
            let data = [&[0, 0], &weight[..], &port.to_be_bytes(), target].concat();
            lead.extend(record(&OWNER, SRV, ttl, &data));
        }
        // Owners end in the part of the question that is `base`: never in SRV data (RFC 2782).
        let base_pointer = pointer(12 + owner.len() - base.len());
        let mut additional = Vec::new();
        for target in unique
            .iter()
            .map(|(target, _)| target)
            .collect::<BTreeSet<_>>()
        {
            let label = target.get(..target.len() - base.len()).unwrap_or_default();
            let target_owner = [label, &base_pointer].concat();
            let addresses = targets.get(target).map(Vec::as_slice).unwrap_or_default();
            for kind in [A, AAAA] {
                additional.extend(rows(ttl, kind, addresses, &target_owner));
            }
        }
        self.put(owner, Body { kind: SRV, lead, additional, ..Body::default() });
    }

    /// PTR records: a ClusterIP's Service, else every endpoint name with the address (`dns 1.6`).
    fn reverse(&mut self, snapshot: &Snapshot, primary: &[u8]) {
        let mut cluster: BTreeMap<IpAddr, Vec<u8>> = BTreeMap::new();
        let mut endpoints: BTreeMap<IpAddr, BTreeSet<Vec<u8>>> = BTreeMap::new();
        for service in snapshot.services.values() {
            let labels = [&*service.name.name, &*service.name.namespace, "svc"];
            let Some(name) = below(&labels, primary) else { continue };
            if let Reach::ClusterIp(addresses) = &service.reach {
                for address in addresses {
                    cluster.entry(*address).or_insert_with(|| name.clone());
                }
            }
            for known in &service.addresses {
                if let Some(target) = below(&[&known.label], &name) {
                    endpoints.entry(known.address).or_default().insert(target);
                }
            }
        }
        for (address, name) in cluster {
            endpoints.insert(address, BTreeSet::from([name]));
        }
        for (address, targets) in endpoints {
            let ttl = self.table.ttl_seconds;
            let lead = targets
                .iter()
                .flat_map(|t| record(&OWNER, PTR, ttl, t))
                .collect();
            if let Some(owner) = wire(&reverse_name(address)) {
                self.put(&owner, Body { kind: PTR, lead, ..Body::default() });
            }
        }
    }

    /// Ingress hosts; names of the zones' own win, written hosts before derived ones (`dns 2`).
    fn hosts(&mut self, zones: &Zones) {
        let mut derived = Vec::new();
        for host in &zones.hosts {
            match &host.host {
                HostPattern::Any => {}
                HostPattern::Wildcard(suffix) => {
                    let mut node = Node::default();
                    fill(&mut node, zones.ttl_seconds, &host.addresses);
                    if let Some(suffix) = wire(suffix) {
                        // Parents of the hosts exist inside a zone.
                        if self.table.zone_of(&suffix).is_some() {
                            self.node(&suffix);
                        }
                        self.table.wildcards.entry(suffix.into()).or_insert(node);
                    }
                }
                HostPattern::Exact(exact) => {
                    self.host(exact, &host.addresses);
                    if !exact.contains('.') {
                        let names = zones
                            .alias_zones
                            .iter()
                            .map(|zone| format!("{exact}.{zone}"));
                        derived.extend(names.map(|name| (name, &host.addresses)));
                    }
                }
            }
        }
        for (name, addresses) in derived {
            self.host(&name, addresses);
        }
    }

    fn host(&mut self, host: &str, addresses: &[IpAddr]) {
        let Some(name) = wire(host) else { return };
        // A parent of other hosts has no records yet and may still become a host.
        let known = self.table.names.get(name.as_slice());
        if known.is_some_and(|node| node.generated || node.asked || !node.bodies.is_empty()) {
            return;
        }
        self.put_addresses(&name, addresses);
    }

    /// Writes the CNAME of every ExternalName, and behind it what we know of its target.
    fn chase_aliases(&mut self) {
        let mut bodies = Vec::new();
        for owner in self.aliases.keys() {
            for kind in [CNAME, A, AAAA] {
                bodies.push((owner.clone(), self.chase(owner, kind)));
            }
        }
        for (owner, body) in bodies {
            self.put(&owner, body);
        }
    }

    fn chase(&self, owner: &[u8], kind: u16) -> Body {
        let ttl = self.table.ttl_seconds;
        let mut body = Body { kind, ..Body::default() };
        let mut owner_bytes = OWNER;
        let mut current = owner;
        for _ in 0..LONGEST_CHAIN {
            let Some(target) = self.aliases.get(current) else { break };
            let at = 12 + owner.len() + 4 + body.lead.len() + 12;
            body.lead.extend(record(&owner_bytes, CNAME, ttl, target));
            owner_bytes = pointer(at);
            current = target;
            if kind == CNAME {
                return body;
            }
        }
        let zone = self.table.zone_of(current);
        let node = self
            .table
            .names
            .get(current)
            .or_else(|| self.table.wildcards.get(parent(current)?));
        match (node, zone) {
            _ if self.aliases.contains_key(current) => {}
            (Some(node), _) if node.asked => {}
            (Some(node), zone) => match node.bodies.iter().find(|known| known.kind == kind) {
                Some(known) => {
                    body.rows = known
                        .rows
                        .chunks(known.row_length.max(1))
                        .flat_map(|row| {
                            [&owner_bytes[..], row.get(2..).unwrap_or_default()].concat()
                        })
                        .collect();
                    body.row_length = known.row_length;
                }
                None => body.authority = self.absolute_soa(current, zone),
            },
            (None, Some(_)) => {
                body.rcode = NXDOMAIN;
                body.authority = self.absolute_soa(current, zone);
            }
            (None, None) => {}
        }
        body
    }

    fn absolute_soa(&self, name: &[u8], zone: Option<usize>) -> Vec<u8> {
        let start = name.len() - zone.unwrap_or(name.len()).min(name.len());
        let zone = name.get(start..).unwrap_or_default();
        self.table.soa_record(zone, zone, zone.len())
    }
}

/// Gives `node` its A and AAAA records.
fn fill(node: &mut Node, ttl_seconds: u32, addresses: &[IpAddr]) {
    node.asked |= addresses.iter().any(IpAddr::is_unspecified);
    let unique: BTreeSet<_> = addresses.iter().filter(|ip| !ip.is_unspecified()).collect();
    let unique: Vec<IpAddr> = unique.into_iter().copied().collect();
    for (kind, row_length) in [(A, 16), (AAAA, 28)] {
        let rows = rows(ttl_seconds, kind, &unique, &OWNER);
        if !rows.is_empty() && !node.bodies.iter().any(|body| body.kind == kind) {
            node.bodies
                .push(Body { kind, rows, row_length, ..Body::default() });
        }
    }
}

/// `_http._tcp.N`; unnamed ports have no such name.
fn port_name(port: &str, protocol: &str, name: &[u8]) -> Option<Vec<u8>> {
    if port.is_empty() {
        return None;
    }
    below(&[&format!("_{port}"), &format!("_{protocol}")], name)
}

/// `labels` in front of `base`, lower case; none if it does not fit the wire.
fn below(labels: &[&str], base: &[u8]) -> Option<Vec<u8>> {
    let mut name = Vec::with_capacity(64 + base.len());
    for label in labels {
        let length = u8::try_from(label.len())
            .ok()
            .filter(|length| (1..=63).contains(length))?;
        name.push(length);
        name.extend(label.bytes().map(|byte| byte.to_ascii_lowercase()));
    }
    name.extend_from_slice(base);
    (name.len() <= 255).then_some(name)
}

/// A dotted name on the wire.
fn wire(name: &str) -> Option<Vec<u8>> {
    let name = name.trim_end_matches('.');
    let labels: Vec<&str> = if name.is_empty() { Vec::new() } else { name.split('.').collect() };
    below(&labels, &[0])
}

/// `1.0.96.127.in-addr.arpa`.
fn reverse_name(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(v6) => {
            let octets = v6.octets().into_iter().rev();
            let nibbles = octets.flat_map(|octet| [octet & 15, octet >> 4]);
            nibbles
                .map(|nibble| format!("{nibble:x}."))
                .collect::<String>()
                + "ip6.arpa"
        }
    }
}

/// The reverse zones of a network: one, or several where it ends within an octet or nibble.
fn reverse_zones(network: &IpNet) -> Vec<Vec<u8>> {
    let (step, labels) = match network {
        IpNet::V4(_) => (8, 4),
        IpNet::V6(_) => (4, 32),
    };
    let prefix = network.prefix_len().div_ceil(step) * step;
    let kept = usize::from(prefix / step);
    let parts = network.subnets(prefix).into_iter().flatten();
    let zone = |part: IpNet| {
        let name = wire(&reverse_name(part.network()))?;
        (0..labels - kept).try_fold(name, |name, _| parent(&name).map(<[u8]>::to_vec))
    };
    parts.filter_map(zone).collect()
}

const OWNER: [u8; 2] = [0xc0, 12];
/// CNAMEs that are followed (`dns 1.7`).
const LONGEST_CHAIN: usize = 10;
