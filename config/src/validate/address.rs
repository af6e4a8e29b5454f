//! IP addresses and CIDRs as manifests hold them (`services 1.6`, `services 3`).
//!
//! An API server that is new refuses what older ones stored: leading zeros, IPv4 inside IPv6, bits
//! beyond a prefix. Here all of these are read, and said to be sloppy. Pure text in, value out.

use std::net::IpAddr;

use ipnet::IpNet;

/// A value, and what a strict API server would have against the way it is written.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Parsed<T> {
    pub(super) value: T,
    pub(super) sloppy: Option<&'static str>,
}

/// Reads an address; leading zeros are decimal.
pub(super) fn parse(text: &str) -> Option<Parsed<IpAddr>> {
    let (address, sloppy) = match text.parse() {
        Ok(address) => (address, None),
        Err(_) => (IpAddr::from(decimal(text)?), Some("must not have leading 0s")),
    };
    Some(match address.to_canonical() {
        canonical if canonical == address => Parsed { value: address, sloppy },
        canonical => {
            Parsed { value: canonical, sloppy: Some("must not be an IPv4-mapped IPv6 address") }
        }
    })
}

/// Reads a CIDR; the value has no bits beyond its prefix.
pub(super) fn parse_cidr(text: &str) -> Option<Parsed<IpNet>> {
    let (address, prefix) = text.split_once('/')?;
    let parsed = parse(address)?;
    let plain = (1..=3).contains(&prefix.len()) && prefix.bytes().all(|b| b.is_ascii_digit());
    let mut length: u8 = plain.then(|| prefix.parse().ok())??;
    let mut sloppy = parsed.sloppy;
    if prefix.len() > 1 && prefix.starts_with('0') || sloppy == Some("must not have leading 0s") {
        sloppy = Some("must not have leading 0s in IP or prefix length");
    }
    if parsed.value.is_ipv4() && address.contains(':') {
        // ::ffff:10.0.0.0/104 is 10.0.0.0/8.
        length = length.checked_sub(96)?;
    }
    let network = IpNet::new(parsed.value, length).ok()?;
    if network.addr() != network.network() {
        sloppy = sloppy.or(Some("must not have bits set beyond the prefix length"));
    }
    Some(Parsed { value: network.trunc(), sloppy })
}

/// Whether two addresses are of one family.
pub(super) fn repeat_a_family(addresses: impl Iterator<Item = IpAddr>) -> bool {
    let mut seen = [false; 2];
    addresses
        .into_iter()
        .any(|address| std::mem::replace(&mut seen[usize::from(address.is_ipv4())], true))
}

/// Why neither an external address nor an endpoint can be this one.
pub(super) fn special(address: IpAddr, loopback: bool) -> Option<&'static str> {
    let (link_local, link_local_multicast) = match address {
        IpAddr::V4(v4) => (v4.is_link_local(), v4.octets()[..3] == [224, 0, 0]),
        IpAddr::V6(v6) => (v6.is_unicast_link_local(), v6.segments()[0] & 0xff0f == 0xff02),
    };
    if address.is_unspecified() {
        Some("may not be unspecified (0.0.0.0 or ::)")
    } else if address.is_loopback() && !loopback {
        Some("may not be in the loopback range (127.0.0.0/8, ::1/128)")
    } else if link_local {
        Some("may not be in the link-local range (169.254.0.0/16, fe80::/10)")
    } else if link_local_multicast {
        Some("may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)")
    } else {
        None
    }
}

/// Four decimal numbers with any leading zeros, as Go once read them.
fn decimal(text: &str) -> Option<[u8; 4]> {
    let mut octets = [0; 4];
    let mut parts = text.split('.');
    for octet in &mut octets {
        let part = parts.next()?;
        let plain = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        *octet = plain.then(|| part.parse().ok())??;
    }
    parts.next().is_none().then_some(octets)
}

#[cfg(test)]
mod tests {
    use super::{parse, parse_cidr, special};

    const ZEROS: &str = "must not have leading 0s";
    const MAPPED: &str = "must not be an IPv4-mapped IPv6 address";
    const LENGTH: &str = "must not have leading 0s in IP or prefix length";
    const BITS: &str = "must not have bits set beyond the prefix length";

    #[test]
    fn addresses_are_read_as_stored_objects_have_them() {
        for (text, want) in [
            ("10.0.1.2", Some(("10.0.1.2", None))),
            ("010.000.001.002", Some(("10.0.1.2", Some(ZEROS)))),
            ("0000010.0.0.1", Some(("10.0.0.1", Some(ZEROS)))),
            ("2001:db8::1", Some(("2001:db8::1", None))),
            ("::ffff:10.0.0.1", Some(("10.0.0.1", Some(MAPPED)))),
            ("10.0.0.256", None),
            ("10.0.0", None),
            ("10.0.0.1.2", None),
            ("10.0.0.", None),
            (" 10.0.0.1", None),
            ("+1.0.0.1", None),
            ("", None),
        ] {
            let got = parse(text).map(|parsed| (parsed.value.to_string(), parsed.sloppy));
            assert_eq!(got, want.map(|(value, sloppy)| (value.to_owned(), sloppy)), "{text:?}");
        }
    }

    #[test]
    fn cidrs_lose_the_bits_beyond_their_prefix() {
        for (text, want) in [
            ("10.0.0.0/8", Some(("10.0.0.0/8", None))),
            ("10.1.2.3/8", Some(("10.0.0.0/8", Some(BITS)))),
            ("010.0.0.0/8", Some(("10.0.0.0/8", Some(LENGTH)))),
            ("10.0.0.0/08", Some(("10.0.0.0/8", Some(LENGTH)))),
            ("::ffff:10.0.0.0/104", Some(("10.0.0.0/8", Some(MAPPED)))),
            ("::ffff:10.0.0.0/8", None),
            ("2001:db8::/64", Some(("2001:db8::/64", None))),
            ("0.0.0.0/0", Some(("0.0.0.0/0", None))),
            ("10.0.0.0/33", None),
            ("10.0.0.0/+8", None),
            ("10.0.0.0/", None),
            ("10.0.0.0", None),
            ("/8", None),
        ] {
            let got = parse_cidr(text).map(|parsed| (parsed.value.to_string(), parsed.sloppy));
            assert_eq!(got, want.map(|(value, sloppy)| (value.to_owned(), sloppy)), "{text:?}");
        }
    }

    #[test]
    fn special_addresses_are_named_by_their_range() {
        for (text, loopback, want) in [
            ("0.0.0.0", true, Some("unspecified")),
            ("::", false, Some("unspecified")),
            ("127.0.0.1", false, Some("loopback")),
            ("127.0.0.1", true, None),
            ("::1", false, Some("loopback")),
            ("169.254.1.1", true, Some("link-local range")),
            ("fe80::1", true, Some("link-local range")),
            ("224.0.0.5", true, Some("multicast")),
            ("ff02::1", true, Some("multicast")),
            ("239.0.0.1", true, None),
            ("10.0.0.1", false, None),
        ] {
            let got = special(text.parse().unwrap(), loopback);
            match want {
                Some(range) => assert!(got.is_some_and(|fault| fault.contains(range)), "{text}"),
                None => assert_eq!(got, None, "{text}"),
            }
        }
    }
}
