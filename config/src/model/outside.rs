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

/// Whether an address is one of a link or a cloud's metadata, of many hosts or of none: what only the
/// surroundings of this machine have is dialed where settings list its host, and nowhere else
/// (`reliability 2.12.2`). One of IPv4 counts in whatever form it is written in IPv6.
pub fn is_surroundings(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_surroundings_v4(address),
        IpAddr::V6(address) => {
            let is_odd = address.is_unicast_link_local()
                || address.is_multicast()
                || address.is_unspecified()
                || METADATA.contains(&address);
            is_odd || translated(address).is_some_and(is_surroundings_v4)
        }
    }
}

fn is_surroundings_v4(address: Ipv4Addr) -> bool {
    // What begins with 0 is this host, with 240 or more nobody.
    let is_none = matches!(address.octets(), [0 | 240.., ..]);
    let is_odd = address.is_link_local() || address.is_multicast();
    is_none || is_odd || METADATA_V4.contains(&address)
}

/// The address of IPv4 that a translator makes of one (RFC 6052).
fn translated(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [0x64, 0xff9b, 0, 0, 0, 0, high, low] = address.segments() else { return None };
    let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
    Some(Ipv4Addr::new(a, b, c, d))
}

/// Of clouds whose metadata are not link-local.
const METADATA: [Ipv6Addr; 2] = [
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
];
const METADATA_V4: [Ipv4Addr; 2] =
    [Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(168, 63, 129, 16)];

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
            ("0.1.2.3", true),
            ("224.0.0.1", true),
            ("240.0.0.1", true),
            ("255.255.255.255", true),
            ("ff02::1", true),
            ("100.100.100.200", true),
            ("168.63.129.16", true),
            ("fd20:ce::254", true),
            ("64:ff9b::169.254.169.254", true),
            ("64:ff9b::192.0.2.1", false),
            ("100.64.0.1", false),
            ("fd00::1", false),
            ("127.0.0.1", false),
            ("192.0.2.1", false),
            ("2001:db8::1", false),
        ] {
            assert_eq!(is_surroundings(address.parse().unwrap()), want, "ingress 6.7: {address}");
        }
    }
}
