//! Which records lead to a private network: what upstreams outside may not say of names outside
//! (`--forward-rebind-filter`, `dns 4.1`).
//!
//! Pure. An address counts however it is wrapped: mapped into IPv6, translated (RFC 6052), or as a hint
//! beside a name (RFC 9460), which some browsers follow as they follow an address.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::wire::{A, AAAA, u16_at};

/// Whether a record of this type is, or holds, an address that means another host, or none, elsewhere.
pub(crate) fn is_private(kind: u16, data: &[u8]) -> bool {
    match kind {
        A => <[u8; 4]>::try_from(data).is_ok_and(|v4| is_private_v4(v4.into())),
        AAAA => <[u8; 16]>::try_from(data).is_ok_and(|v6| is_private_v6(v6.into())),
        SVCB | HTTPS => hints_private(data).unwrap_or(false),
        _ => false,
    }
}

fn is_private_v4(v4: Ipv4Addr) -> bool {
    let is_shared = v4.octets()[0] == 100 && v4.octets()[1] & 0xc0 == 64;
    let is_near = v4.is_private() || v4.is_loopback() || v4.is_link_local();
    is_near || is_shared || v4.octets()[0] == 0
}

fn is_private_v6(v6: Ipv6Addr) -> bool {
    // Loopback and the unspecified address are 0.0.0.1 and 0.0.0.0 here.
    let translated = v6.segments()[..6] == [0x64, 0xff9b, 0, 0, 0, 0];
    let wrapped = v6
        .to_ipv4()
        .or_else(|| translated.then(|| Ipv4Addr::from_bits(low_word(v6))));
    match wrapped {
        Some(v4) => is_private_v4(v4),
        None => v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

fn low_word(v6: Ipv6Addr) -> u32 {
    u32::try_from(v6.to_bits() & u128::from(u32::MAX)).unwrap_or(0)
}

/// Whether a hint is private; none where the record is cut short.
fn hints_private(data: &[u8]) -> Option<bool> {
    // A priority, a name, then keys with values.
    let mut rest = data.get(2..)?;
    loop {
        match usize::from(*rest.first()?) {
            0 => break rest = rest.get(1..)?,
            // No name here may be compressed, which no reader has to care about.
            0xc0.. => break rest = rest.get(2..)?,
            length => rest = rest.get(1 + length..)?,
        }
    }
    let mut found = false;
    while !rest.is_empty() {
        let (key, length) = (u16_at(rest, 0)?, usize::from(u16_at(rest, 2)?));
        let value = rest.get(4..4 + length)?;
        rest = rest.get(4 + length..)?;
        found |= match key {
            IPV4_HINT => value.chunks(4).any(|it| is_private(A, it)),
            IPV6_HINT => value.chunks(16).any(|it| is_private(AAAA, it)),
            _ => false,
        };
    }
    Some(found)
}

const SVCB: u16 = 64;
const HTTPS: u16 = 65;
const IPV4_HINT: u16 = 4;
const IPV6_HINT: u16 = 6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_address_counts_however_it_is_wrapped() {
        for (address, want) in [
            ("192.0.2.1", false),
            ("10.0.0.1", true),
            ("100.64.0.1", true),
            ("169.254.169.254", true),
            ("0.0.0.0", true),
            ("2001:db8::1", false),
            ("::1", true),
            ("::", true),
            ("fe80::1", true),
            ("fd00::1", true),
            ("::ffff:127.0.0.1", true),
            ("::ffff:192.0.2.1", false),
            ("::10.0.0.1", true),
            ("64:ff9b::10.0.0.1", true),
            ("64:ff9b::192.0.2.1", false),
        ] {
            let (kind, data) = match address.parse().unwrap() {
                std::net::IpAddr::V4(v4) => (A, v4.octets().to_vec()),
                std::net::IpAddr::V6(v6) => (AAAA, v6.octets().to_vec()),
            };
            assert_eq!(is_private(kind, &data), want, "dns 4.1: {address}");
            let key = if kind == A { 4 } else { 6 };
            let length = u8::try_from(data.len()).unwrap();
            let svcb =
                [&[0, 1, 1, b'a', 0, 0, 1, 0, 1, b'x', 0, key, 0, length], &data[..]].concat();
            let pointed = [&[0, 1, 0xc0, 12, 0, key, 0, length], &data[..]].concat();
            for (kind, data) in [(SVCB, &svcb), (HTTPS, &svcb), (HTTPS, &pointed)] {
                assert_eq!(is_private(kind, data), want, "RFC 9460 7.3: {address}");
            }
            assert!(!is_private(HTTPS, &svcb[..svcb.len() - 1]), "cut short");
        }
        assert!(!is_private(16, &[10, 0, 0, 1]), "a text is no address");
    }
}
