//! One Service to its names and records, the same for all zones.
//!
//! Invariants: pure; every name is relative to the zone and lower case; what is longer than the zone
//! leaves room for is left out, and then the zones may not share the block.

use std::collections::BTreeMap;
use std::net::IpAddr;

use portico_config::snapshot::service::{Reach, Service};

use crate::block::{ASKED, Block, CLUSTER, WHOLE, Writer};
use crate::wire::{A, AAAA, OWNER, PTR, SRV, below, put_address, put_reverse_name, wire};

/// The Service's name without its zone; none if it is longer than `room`.
pub(crate) fn home(service: &Service, room: usize) -> Option<Vec<u8>> {
    below(&[&service.name.name, &service.name.namespace, "svc"], &[], room)
}

/// What a Service brings.
pub(crate) struct Encoded {
    /// Its nodes; none if its name does not exist (`dns 1.4`, `dns 1.7`).
    pub(crate) block: Option<Block>,
    /// Whether something was too long for `room`.
    pub(crate) is_cut: bool,
}

/// Encodes `service` for zones that leave names `room` octets.
pub(crate) fn encode(service: &Service, room: usize, ttl_seconds: u32) -> Encoded {
    let Some(home) = home(service, room) else { return Encoded { block: None, is_cut: true } };
    let mut encoder = Encoder {
        writer: Writer::new(),
        home,
        home_at: 0,
        room,
        ttl_seconds,
        targets: BTreeMap::new(),
        ports: Vec::new(),
        scratch: Vec::new(),
        is_cut: false,
    };
    let exists = match &service.reach {
        Reach::ExternalName(target) => encoder.external(target),
        Reach::ClusterIp(addresses) => {
            encoder.endpoints(service);
            encoder.cluster(service, addresses);
            encoder.reverse(service, addresses);
            true
        }
        // Without a ready endpoint the name does not exist (`dns 1.4`).
        Reach::Headless if service.addresses.is_empty() => false,
        Reach::Headless => {
            encoder.endpoints(service);
            encoder.headless(service);
            encoder.reverse(service, &[]);
            true
        }
    };
    let is_cut = encoder.is_cut;
    Encoded { block: exists.then(|| encoder.writer.finish()), is_cut }
}

struct Encoder {
    writer: Writer,
    home: Vec<u8>,
    /// Where its node is, once written.
    home_at: u32,
    room: usize,
    ttl_seconds: u32,
    /// Endpoints by label, in the order of names on the wire.
    targets: BTreeMap<Box<[u8]>, Target>,
    /// `_port._proto.N` that are written.
    ports: Vec<Vec<u8>>,
    scratch: Vec<u8>,
    is_cut: bool,
}

/// An endpoint's name.
#[derive(Default)]
struct Target {
    addresses: Vec<IpAddr>,
    /// One for each of its ports, before those that are the same become one.
    ports: Vec<u16>,
    at: u32,
}

impl Encoder {
    fn external(&mut self, target: &str) -> bool {
        // An address is no name (`dns 1.7`).
        let target = target.trim_end_matches('.');
        if target.parse::<IpAddr>().is_ok() {
            return false;
        }
        self.begin_home(&[]);
        if let Some(target) = wire(target).filter(|target| target.len() > 1) {
            self.writer.alias(&target);
        }
        true
    }

    fn cluster(&mut self, service: &Service, addresses: &[IpAddr]) {
        self.begin_home(addresses);
        self.addresses(addresses.to_vec());
        let home_at = self.home_at;
        let to_home = |port: u16| vec![(home_at, port); addresses.len()];
        self.services(
            service
                .ports
                .iter()
                .flat_map(|port| to_home(port.port))
                .collect(),
        );
        for port in &service.ports {
            self.port(&port.id.name, port.id.protocol.label(), to_home(port.port));
        }
    }

    fn headless(&mut self, service: &Service) {
        let mut all = Vec::new();
        let mut each = Vec::new();
        for port in &service.ports {
            let mut pairs = Vec::new();
            for endpoint in port.endpoints.iter().filter(|endpoint| endpoint.ready) {
                if let Some(target) = self.target(&endpoint.label) {
                    pairs.push((target.at, endpoint.address.port()));
                }
            }
            all.extend_from_slice(&pairs);
            each.push(pairs);
        }
        let addresses: Vec<_> = service
            .addresses
            .iter()
            .map(|known| known.address)
            .collect();
        self.begin_home(&addresses);
        self.addresses(addresses);
        self.services(all);
        for (port, pairs) in service.ports.iter().zip(each) {
            if !pairs.is_empty() {
                self.port(&port.id.name, port.id.protocol.label(), pairs);
            }
        }
    }

    /// The names of single endpoints, and the SRV records of each (`dns 1.3`, `dns 1.5`).
    fn endpoints(&mut self, service: &Service) {
        for known in &service.addresses {
            if let Some(target) = self.target(&known.label) {
                target.addresses.push(known.address);
            }
        }
        for port in &service.ports {
            for endpoint in port.endpoints.iter().filter(|endpoint| endpoint.ready) {
                if let Some(target) = self.target(&endpoint.label) {
                    target.ports.push(endpoint.address.port());
                }
            }
        }
        let mut targets = std::mem::take(&mut self.targets);
        for (label, target) in &mut targets {
            let addresses = std::mem::take(&mut target.addresses);
            target.at = self
                .writer
                .node(&[&**label, &self.home].concat(), flags(&addresses));
            self.addresses(addresses);
            let pairs = target.ports.iter().map(|port| (target.at, *port));
            self.services(pairs.collect());
        }
        self.targets = targets;
    }

    /// The reverse names of the Service's addresses (`dns 1.6`).
    fn reverse(&mut self, service: &Service, cluster: &[IpAddr]) {
        // A ClusterIP leads to the Service alone, whatever else has the address.
        let mut owners: BTreeMap<IpAddr, (u8, Vec<u32>)> = BTreeMap::new();
        for known in &service.addresses {
            if let Some(at) = self.target(&known.label).map(|target| target.at) {
                owners.entry(known.address).or_default().1.push(at);
            }
        }
        for address in cluster {
            owners.insert(*address, (CLUSTER, vec![self.home_at]));
        }
        for (address, (flag, mut targets)) in owners {
            self.scratch.clear();
            put_reverse_name(&mut self.scratch, address);
            self.writer.node(&self.scratch, WHOLE | flag);
            targets.sort_unstable();
            targets.dedup();
            self.writer.pointers(PTR, &targets);
        }
    }

    /// The endpoint with `label`, lower case; none if its name is too long.
    fn target(&mut self, label: &str) -> Option<&mut Target> {
        self.scratch.clear();
        let length = u8::try_from(label.len())
            .ok()
            .filter(|length| (1..=63).contains(length))?;
        if 1 + label.len() + self.home.len() > self.room {
            self.is_cut = true;
            return None;
        }
        self.scratch.push(length);
        self.scratch
            .extend(label.bytes().map(|octet| octet.to_ascii_lowercase()));
        if !self.targets.contains_key(&self.scratch[..]) {
            self.targets
                .insert(self.scratch.clone().into(), Target::default());
        }
        self.targets.get_mut(&self.scratch[..])
    }

    fn begin_home(&mut self, addresses: &[IpAddr]) {
        self.home_at = self.writer.node(&self.home, flags(addresses));
        self.writer.home(self.home_at);
    }

    /// `_http._tcp.N` and the empty non-terminal above it; unnamed ports have no such name.
    fn port(&mut self, port: &str, protocol: &str, pairs: Vec<(u32, u16)>) {
        if port.is_empty() {
            return;
        }
        let labels = [format!("_{port}"), format!("_{protocol}")];
        let [port, protocol] = labels.each_ref().map(String::as_str);
        let Some(name) = below(&[port, protocol], &self.home, usize::MAX) else { return };
        if name.len() > self.room {
            self.is_cut = true;
            return;
        }
        if let Some(above) = below(&[protocol], &self.home, self.room)
            && !self.ports.contains(&above)
        {
            self.writer.node(&above, 0);
            self.ports.push(above);
        }
        if !self.ports.contains(&name) {
            self.writer.node(&name, 0);
            self.services(pairs);
            self.ports.push(name);
        }
    }

    /// A and AAAA of the node begun last; those of a family once each, in their order.
    fn addresses(&mut self, mut addresses: Vec<IpAddr>) {
        addresses.sort_unstable();
        addresses.dedup();
        put_addresses(&mut self.writer, &mut self.scratch, self.ttl_seconds, &addresses);
    }

    /// SRV of the node begun last (`dns 1.5`).
    fn services(&mut self, mut pairs: Vec<(u32, u16)>) {
        if pairs.is_empty() {
            return;
        }
        let weight = u16::try_from((100 / pairs.len()).max(1)).unwrap_or(1);
        pairs.sort_unstable();
        pairs.dedup();
        self.writer.services(SRV, weight, &pairs);
    }
}

/// [`ASKED`] where one of `addresses` is unspecified.
pub(crate) fn flags(addresses: &[IpAddr]) -> u8 {
    if addresses.iter().any(IpAddr::is_unspecified) { ASKED } else { 0 }
}

/// A and AAAA records of sorted addresses for the node begun last.
pub(crate) fn put_addresses(
    writer: &mut Writer,
    scratch: &mut Vec<u8>,
    ttl_seconds: u32,
    addresses: &[IpAddr],
) {
    for kind in [A, AAAA] {
        scratch.clear();
        for address in addresses.iter().filter(|ip| !ip.is_unspecified()) {
            put_address(scratch, &[&OWNER], kind, ttl_seconds, *address);
        }
        writer.rows(kind, scratch);
    }
}
