//! The endpoints of one Service by label: which addresses and ports each name has.
//!
//! Sorted lists rather than maps: most Services have few endpoints, and a full build sees all of
//! them. Invariants: pure; labels are in lower case, once each, in the order of names on the wire; a
//! label that no name can have, or for which there is no room, is none.

use std::borrow::Cow;
use std::net::IpAddr;

use portico_config::snapshot::service::Service;

/// Endpoints by label; a target is its place in the order of labels.
#[derive(Debug)]
pub(crate) struct Targets<'a> {
    labels: Vec<Cow<'a, str>>,
    /// The ready addresses of each target, sorted, once each.
    addresses: Vec<(usize, IpAddr)>,
    /// For each port of the Service in turn, where its ready endpoints lead.
    by_port: Vec<Vec<(usize, u16)>>,
    /// The same of all ports, sorted by target.
    all: Vec<(usize, u16)>,
    /// Whether a label had no room.
    pub(crate) is_cut: bool,
}

/// A label, its addresses and its ports, each with the target itself.
pub(crate) type Named<'a> = (&'a str, &'a [(usize, IpAddr)], &'a [(usize, u16)]);

impl<'a> Targets<'a> {
    /// The endpoints of `service` whose labels are at most `longest` octets.
    pub(crate) fn new(service: &'a Service, longest: usize) -> Self {
        let named = service.addresses.iter().map(|known| &*known.label);
        let ready = service.ports.iter().flat_map(|port| {
            let ready = port.endpoints.iter().filter(|endpoint| endpoint.ready);
            ready.map(|endpoint| &*endpoint.label)
        });
        let mut labels: Vec<&str> = named.chain(ready).filter(|label| is_label(label)).collect();
        let before = labels.len();
        labels.retain(|label| label.len() <= longest);
        let is_cut = labels.len() < before;
        let mut labels: Vec<Cow<'_, str>> = labels.into_iter().map(lower).collect();
        labels.sort_unstable_by(|a, b| order(a, b));
        labels.dedup();
        let mut targets =
            Self { labels, addresses: Vec::new(), by_port: Vec::new(), all: Vec::new(), is_cut };
        let known = service.addresses.iter();
        targets.addresses = known
            .filter_map(|known| Some((targets.find(&known.label)?, known.address)))
            .collect();
        targets.addresses.sort_unstable();
        targets.addresses.dedup();
        for port in &service.ports {
            let ready = port.endpoints.iter().filter(|endpoint| endpoint.ready);
            let pairs: Vec<_> = ready
                .filter_map(|endpoint| {
                    Some((targets.find(&endpoint.label)?, endpoint.address.port()))
                })
                .collect();
            targets.all.extend_from_slice(&pairs);
            targets.by_port.push(pairs);
        }
        targets.all.sort_unstable();
        targets
    }

    /// Each label with its addresses and its pairs of itself and a port, in order.
    pub(crate) fn each(&self) -> impl Iterator<Item = Named<'_>> {
        let (mut addresses, mut pairs) = (&self.addresses[..], &self.all[..]);
        self.labels.iter().enumerate().map(move |(target, label)| {
            let own = take(&mut addresses, |(of, _)| *of == target);
            (&**label, own, take(&mut pairs, |(of, _)| *of == target))
        })
    }

    /// Each address with its target, in the order of addresses.
    pub(crate) fn by_address(&self) -> Vec<(IpAddr, usize)> {
        let turned = self
            .addresses
            .iter()
            .map(|(target, address)| (*address, *target));
        let mut turned: Vec<_> = turned.collect();
        turned.sort_unstable();
        turned
    }

    /// The ready endpoints of every port, before those that are the same become one.
    pub(crate) fn all(&self) -> &[(usize, u16)] {
        &self.all
    }

    /// Those of the ports one by one.
    pub(crate) fn by_port(&self) -> &[Vec<(usize, u16)>] {
        &self.by_port
    }

    fn find(&self, label: &str) -> Option<usize> {
        let label = lower(label);
        self.labels
            .binary_search_by(|known| order(known, &label))
            .ok()
    }
}

/// The items at the front that are `of` one target.
fn take<'a, T>(rest: &mut &'a [T], of: impl Fn(&T) -> bool) -> &'a [T] {
    let count = rest.iter().take_while(|item| of(item)).count();
    let (taken, left) = rest.split_at(count);
    *rest = left;
    taken
}

fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
}

fn lower(label: &str) -> Cow<'_, str> {
    if label.bytes().any(|octet| octet.is_ascii_uppercase()) {
        label.to_ascii_lowercase().into()
    } else {
        label.into()
    }
}

/// The order of labels on the wire, where the length stands first.
fn order(a: &str, b: &str) -> std::cmp::Ordering {
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}
