//! Which addresses nothing of portico opens a connection to, whoever asks for it (`reliability
//! 2.12.2`).
//!
//! Asked with the address that is dialled, after any look-up, so that no name leads around it. Which
//! listeners are never dialled is the caller's knowledge.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Why `address` is never dialled; none where it may be.
pub fn why_not(address: IpAddr) -> Option<&'static str> {
    let address = as_written_in_ipv4(address);
    let metadata = METADATA.contains(&address);
    match address {
        _ if address.is_unspecified() => Some("it is the unspecified address"),
        _ if address.is_multicast() => Some("it is a multicast address"),
        _ if metadata => Some("it is a cloud's metadata service"),
        IpAddr::V4(v4) if v4.is_broadcast() || v4.octets()[0] >= 240 => Some("it is reserved"),
        IpAddr::V4(v4) if v4.is_link_local() => Some("it is a link-local address"),
        IpAddr::V6(v6) if v6.is_unicast_link_local() => Some("it is a link-local address"),
        IpAddr::V4(_) | IpAddr::V6(_) => None,
    }
}

/// IPv4 inside IPv6, mapped or translated, is judged as IPv4.
fn as_written_in_ipv4(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    let translated = v6.octets()[..12] == NAT64;
    let [.., a, b, c, d] = v6.octets();
    match v6.to_ipv4_mapped() {
        Some(v4) => v4.into(),
        None if translated => Ipv4Addr::new(a, b, c, d).into(),
        None => address,
    }
}

/// 64:ff9b::/96.
const NAT64: [u8; 12] = [0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0];
/// Those that are not link-local.
const METADATA: [IpAddr; 4] = [
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_addresses_are_not_dialled_in_whatever_form() {
        for (address, dialled) in [
            ("127.0.0.1", true),
            ("10.0.0.1", true),
            ("::1", true),
            ("fd00::1", true),
            ("2001:db8::1", true),
            ("::ffff:10.0.0.1", true),
            ("0.0.0.0", false),
            ("::", false),
            ("224.0.0.1", false),
            ("ff02::1", false),
            ("255.255.255.255", false),
            ("240.0.0.1", false),
            ("169.254.169.254", false),
            ("fe80::1", false),
            ("::ffff:169.254.169.254", false),
            ("64:ff9b::a9fe:a9fe", false),
            ("64:ff9b::a00:1", true),
            ("100.100.100.200", false),
            ("168.63.129.16", false),
            ("fd00:ec2::254", false),
            ("fd20:ce::254", false),
        ] {
            let address: IpAddr = address.parse().unwrap();
            assert_eq!(why_not(address).is_none(), dialled, "reliability 2.12.2: {address}");
        }
    }
}
