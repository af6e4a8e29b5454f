//! One Service to its names and records, the same for all zones.
//!
//! Invariants: pure; every name is relative to the zone and lower case; what is longer than the zone
//! leaves room for is left out, and then the zones may not share the block.

use std::net::IpAddr;

use portico_config::snapshot::service::{Reach, Service};

use crate::block::{ASKED, Block, CLUSTER, WHOLE, Writer};
use crate::targets::Targets;
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
    let targets = Targets::new(service, room.saturating_sub(home.len() + 1));
    let mut encoder = Encoder {
        writer: Writer::new(),
        is_cut: targets.is_cut,
        places: Vec::new(),
        home,
        home_at: 0,
        room,
        ttl_seconds,
        targets,
        ports: Vec::new(),
        scratch: Vec::new(),
    };
    let exists = match &service.reach {
        Reach::ExternalName(target) => encoder.external(target),
        Reach::ClusterIp(addresses) => {
            encoder.endpoints();
            encoder.cluster(service, addresses);
            encoder.reverse(addresses);
            true
        }
        // Without a ready endpoint the name does not exist (`dns 1.4`).
        Reach::Headless if service.addresses.is_empty() => false,
        Reach::Headless => {
            encoder.endpoints();
            encoder.headless(service);
            encoder.reverse(&[]);
            true
        }
    };
    let is_cut = encoder.is_cut;
    Encoded { block: exists.then(|| encoder.writer.finish()), is_cut }
}

struct Encoder<'a> {
    writer: Writer,
    home: Vec<u8>,
    /// Where its node is, once written.
    home_at: u32,
    room: usize,
    ttl_seconds: u32,
    targets: Targets<'a>,
    /// Where the node of each target is.
    places: Vec<u32>,
    /// `_port._proto.N` that are written.
    ports: Vec<Vec<u8>>,
    scratch: Vec<u8>,
    is_cut: bool,
}

impl Encoder<'_> {
    fn external(&mut self, target: &str) -> bool {
        // An address is no name (`dns 1.7`).
        let target = target.trim_end_matches('.');
        if target.parse::<IpAddr>().is_ok() {
            return false;
        }
        self.begin_home(&[]);
        if let Some(target) = wire(target).filter(|target| target.len() > 1) {
            self.writer.alias(self.ttl_seconds, &target);
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
        let addresses: Vec<_> = service
            .addresses
            .iter()
            .map(|known| known.address)
            .collect();
        self.begin_home(&addresses);
        self.addresses(addresses);
        self.services(self.placed(self.targets.all()));
        for index in 0..self.targets.by_port().len() {
            let pairs = self
                .targets
                .by_port()
                .get(index)
                .map(|pairs| self.placed(pairs));
            if let (Some(port), Some(pairs)) = (service.ports.get(index), pairs)
                && !pairs.is_empty()
            {
                self.port(&port.id.name, port.id.protocol.label(), pairs);
            }
        }
    }

    /// The names of single endpoints, and the SRV records of each (`dns 1.3`, `dns 1.5`).
    fn endpoints(&mut self) {
        let mut addresses = Vec::new();
        let mut ports = Vec::new();
        for (label, known, pairs) in self.targets.each() {
            addresses.clear();
            addresses.extend(known.iter().map(|(_, address)| *address));
            let length = u8::try_from(label.len()).unwrap_or(0);
            let name: [&[u8]; 3] = [&[length], label.as_bytes(), &self.home];
            let at = self.writer.node(&name, flags(&addresses));
            put_addresses(&mut self.writer, &mut self.scratch, self.ttl_seconds, &addresses);
            ports.clear();
            ports.extend(pairs.iter().map(|(_, port)| (at, *port)));
            put_services(&mut self.writer, &mut ports);
            self.places.push(at);
        }
    }

    /// Pairs of target and port with the target's place.
    fn placed(&self, pairs: &[(usize, u16)]) -> Vec<(u32, u16)> {
        let place = |(target, port): &(usize, u16)| Some((*self.places.get(*target)?, *port));
        pairs.iter().filter_map(place).collect()
    }

    /// The reverse names of the Service's addresses (`dns 1.6`).
    fn reverse(&mut self, cluster: &[IpAddr]) {
        let owners = self.targets.by_address();
        for same in owners.chunk_by(|a, b| a.0 == b.0) {
            let Some((address, _)) = same.first() else { continue };
            // A ClusterIP leads to the Service alone, whatever else has the address.
            if !cluster.contains(address) {
                let place = |(_, target): &(IpAddr, usize)| self.places.get(*target).copied();
                let places: Vec<u32> = same.iter().filter_map(place).collect();
                self.pointers(*address, 0, &places);
            }
        }
        for (index, address) in cluster.iter().enumerate() {
            if !cluster.iter().take(index).any(|before| before == address) {
                self.pointers(*address, CLUSTER, &[self.home_at]);
            }
        }
    }

    fn pointers(&mut self, address: IpAddr, flag: u8, places: &[u32]) {
        self.scratch.clear();
        put_reverse_name(&mut self.scratch, address);
        self.writer.node(&[&self.scratch], WHOLE | flag);
        self.writer.pointers(PTR, places);
    }

    fn begin_home(&mut self, addresses: &[IpAddr]) {
        self.home_at = self.writer.node(&[&self.home], flags(addresses));
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
            self.writer.node(&[&above], 0);
            self.ports.push(above);
        }
        if !self.ports.contains(&name) {
            self.writer.node(&[&name], 0);
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

    /// SRV of the node begun last.
    fn services(&mut self, mut pairs: Vec<(u32, u16)>) {
        put_services(&mut self.writer, &mut pairs);
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

/// SRV records for the node begun last: the weight counts pairs before those that are the same
/// become one (`dns 1.5`).
fn put_services(writer: &mut Writer, pairs: &mut Vec<(u32, u16)>) {
    if pairs.is_empty() {
        return;
    }
    let weight = u16::try_from((100 / pairs.len()).max(1)).unwrap_or(1);
    pairs.sort_unstable();
    pairs.dedup();
    writer.services(SRV, weight, pairs);
}
