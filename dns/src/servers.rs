//! Who the cluster zones say that they are served by (`dns 1.8`): the Services that lead to the resolver itself.
//!
//! A Service leads there where one of its ready endpoints is a listener of the resolver, by address and
//! port: on one machine many programs have the same address. Invariants: pure; what is known depends on
//! the Services that are there, not on the order in which they came; names are relative to the zone.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use portico_config::model::ObjectName;
use portico_config::snapshot::{Reach, Service};

use crate::service::home;
use crate::targets::Targets;
use crate::wire::LONGEST_NAME;

/// A name without its zone, and the addresses that it has.
type Named = (Vec<u8>, Vec<IpAddr>);

/// The Services that lead to the resolver.
#[derive(Debug)]
pub(crate) struct Servers {
    listen: Box<[SocketAddr]>,
    by_service: BTreeMap<ObjectName, Vec<Named>>,
    has_changed: bool,
}

impl Servers {
    /// None yet, of a resolver that listens there.
    pub(crate) fn new(listen: &[SocketAddr]) -> Self {
        Self { listen: listen.into(), by_service: BTreeMap::new(), has_changed: false }
    }

    /// Takes a Service that has names.
    pub(crate) fn add(&mut self, service: &Service) {
        if self.has(service) {
            let names = names(service);
            if !names.is_empty() {
                self.by_service.insert(service.name.clone(), names);
                self.has_changed = true;
            }
        }
    }

    /// Forgets one.
    pub(crate) fn remove(&mut self, service: &Service) {
        self.has_changed |= self.by_service.remove(&service.name).is_some();
    }

    /// Whether [`Servers::names`] may say something else than when this was last asked.
    pub(crate) fn take_news(&mut self) -> bool {
        std::mem::take(&mut self.has_changed)
    }

    /// Their names, a few of them; none where no Service leads here.
    pub(crate) fn names(&self) -> impl Iterator<Item = (&[u8], &[IpAddr])> {
        let names = self.by_service.values().flatten().take(MOST_NAMES);
        names.map(|(name, addresses)| (&name[..], &addresses[..]))
    }

    fn has(&self, service: &Service) -> bool {
        let mut endpoints = service.ports.iter().flat_map(|port| &port.endpoints);
        endpoints.any(|endpoint| endpoint.ready && self.is_own(endpoint.address))
    }

    fn is_own(&self, address: SocketAddr) -> bool {
        let is_at = |listener: IpAddr| {
            let any = listener.is_unspecified() && listener.is_ipv4() == address.is_ipv4();
            listener == address.ip() || (any && address.ip().is_loopback())
        };
        let mut listen = self.listen.iter();
        listen.any(|it| it.port() == address.port() && is_at(it.ip()))
    }
}

/// The Service itself; of a headless one its endpoints.
fn names(service: &Service) -> Vec<Named> {
    let Some(home) = home(service, LONGEST_NAME) else { return Vec::new() };
    match &service.reach {
        Reach::ClusterIp(addresses) if addresses.is_empty() => Vec::new(),
        Reach::ClusterIp(addresses) => vec![(home, addresses.clone())],
        Reach::Headless => {
            let targets = Targets::new(service, LONGEST_LABEL);
            let name = |label: &str| {
                // A target's label is one of at most 63 octets.
                let length = u8::try_from(label.len()).unwrap_or(0);
                [&[length], label.as_bytes(), &home].concat()
            };
            let each = targets.each().take(MOST_NAMES);
            each.map(|(label, addresses, _)| {
                (name(label), addresses.iter().map(|(_, address)| *address).collect())
            })
            .collect()
        }
        Reach::ExternalName(_) => Vec::new(),
    }
}

/// As many as the root has: clients need one that answers.
const MOST_NAMES: usize = 13;
const LONGEST_LABEL: usize = 63;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_is_known_by_address_and_port() {
        let servers = |listen: &str| Servers::new(&[listen.parse().unwrap()]);
        for (listen, address, want) in [
            ("127.0.0.1:1053", "127.0.0.1:1053", true),
            ("127.0.0.1:1053", "127.0.0.1:8080", false),
            ("127.0.0.1:1053", "127.0.0.2:1053", false),
            ("0.0.0.0:53", "127.0.0.7:53", true),
            ("0.0.0.0:53", "10.0.0.1:53", false),
            ("0.0.0.0:53", "[::1]:53", false),
            ("[::]:53", "[::1]:53", true),
        ] {
            let is_own = servers(listen).is_own(address.parse().unwrap());
            assert_eq!(is_own, want, "dns 1.8: {listen} {address}");
        }
    }
}
