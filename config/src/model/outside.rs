//! Hosts that are in no manifest: which of their addresses may be dialed, and where they were found
//! (`ingress 1.5`, `ingress 6.7`).
//!
//! Words and one rule. Who looks a name up, and when, is the process's matter; what follows from it is
//! `compile`'s.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

/// Where a host was found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FoundHost {
    /// Its name.
    pub host: Arc<str>,
    /// Its addresses, sorted; empty: nowhere.
    pub addresses: Arc<[IpAddr]>,
}

/// Whether an address is one of a link or a cloud's metadata, or none at all: what only the
/// surroundings of this machine have is dialed where settings list its host, and nowhere else.
pub fn is_surroundings(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => address.is_link_local() || address == Ipv4Addr::UNSPECIFIED,
        IpAddr::V6(address) => {
            address.is_unicast_link_local() || [METADATA, Ipv6Addr::UNSPECIFIED].contains(&address)
        }
    }
}

const METADATA: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn surroundings_are_known_in_whatever_form() {
        for (address, want) in [
            ("169.254.169.254", true),
            ("::ffff:169.254.169.254", true),
            ("fe80::1", true),
            ("fd00:ec2::254", true),
            ("0.0.0.0", true),
            ("::", true),
            ("127.0.0.1", false),
            ("192.0.2.1", false),
            ("2001:db8::1", false),
        ] {
            assert_eq!(is_surroundings(address.parse().unwrap()), want, "ingress 6.7: {address}");
        }
    }
}
