//! Names and records as octets.
//!
//! A name is its labels, each behind its length, and a final zero; ours are in lower case.
//! Invariants: pure; what does not fit the wire is none, never cut.

use std::net::IpAddr;

use ipnet::IpNet;

/// The name without its first label; none for the root.
pub(crate) fn parent(name: &[u8]) -> Option<&[u8]> {
    match name.first() {
        None | Some(0) => None,
        Some(&length) => name.get(1 + usize::from(length)..),
    }
}

/// Whether `name` is `zone` or below it.
pub(crate) fn is_within(mut name: &[u8], zone: &[u8]) -> bool {
    // Most names are told apart by their last octets; the walk finds out whether a label begins.
    if !name.ends_with(zone) {
        return false;
    }
    while name.len() > zone.len() {
        let Some(rest) = parent(name) else { return false };
        name = rest;
    }
    name.len() == zone.len()
}

/// A compression pointer.
pub(crate) fn pointer(offset: usize) -> [u8; 2] {
    let offset = u16::try_from(offset).unwrap_or(0) & 0x3fff;
    (0xc000 | offset).to_be_bytes()
}

/// Appends one record; `data` in parts, which of ours together always fit 16 bits.
pub(crate) fn put_record(
    out: &mut Vec<u8>,
    owner: &[&[u8]],
    kind: u16,
    ttl_seconds: u32,
    data: &[&[u8]],
) {
    let length: usize = data.iter().map(|part| part.len()).sum();
    for part in owner {
        out.extend_from_slice(part);
    }
    out.extend_from_slice(&kind.to_be_bytes());
    out.extend_from_slice(&[0, 1]);
    out.extend_from_slice(&ttl_seconds.to_be_bytes());
    out.extend_from_slice(&u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes());
    for part in data {
        out.extend_from_slice(part);
    }
}

/// Appends the record of `address` if it is one of `kind`, A or AAAA.
pub(crate) fn put_address(
    out: &mut Vec<u8>,
    owner: &[&[u8]],
    kind: u16,
    ttl_seconds: u32,
    address: IpAddr,
) {
    match (kind, address) {
        (A, IpAddr::V4(v4)) => put_record(out, owner, A, ttl_seconds, &[&v4.octets()]),
        (AAAA, IpAddr::V6(v6)) => put_record(out, owner, AAAA, ttl_seconds, &[&v6.octets()]),
        _ => {}
    }
}

/// Records in octets that we encoded ourselves.
pub(crate) fn record_count(mut bytes: &[u8]) -> usize {
    let mut count = 0;
    while let Some(&length) = bytes.first() {
        let owner = match length {
            0xc0.. => 2,
            0 => 1,
            label => {
                bytes = bytes.get(1 + usize::from(label)..).unwrap_or_default();
                continue;
            }
        };
        let Some(data) = u16_at(bytes, owner + 8) else { return count };
        bytes = bytes
            .get(owner + 10 + usize::from(data)..)
            .unwrap_or_default();
        count += 1;
    }
    count
}

/// `labels` in front of `base`, lower case; none if the whole is longer than `limit`.
pub(crate) fn below(labels: &[&str], base: &[u8], limit: usize) -> Option<Vec<u8>> {
    let mut name = Vec::with_capacity(64 + base.len());
    for label in labels {
        let length = u8::try_from(label.len())
            .ok()
            .filter(|length| (1..=63).contains(length))?;
        name.push(length);
        name.extend(label.bytes().map(|byte| byte.to_ascii_lowercase()));
    }
    name.extend_from_slice(base);
    (name.len() <= limit).then_some(name)
}

/// A dotted name on the wire.
pub(crate) fn wire(name: &str) -> Option<Vec<u8>> {
    let name = name.trim_end_matches('.');
    let labels: Vec<&str> = if name.is_empty() { Vec::new() } else { name.split('.').collect() };
    below(&labels, &[0], LONGEST_NAME)
}

/// Appends `1.0.96.127.in-addr.arpa` on the wire.
pub(crate) fn put_reverse_name(out: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(v4) => {
            for octet in v4.octets().into_iter().rev() {
                let digits = [octet / 100, octet / 10 % 10, octet % 10];
                let length: u8 = match octet {
                    100.. => 3,
                    10.. => 2,
                    _ => 1,
                };
                out.push(length);
                let kept = digits.iter().skip(3 - usize::from(length));
                out.extend(kept.map(|digit| b'0' + digit));
            }
            out.extend_from_slice(b"\x07in-addr\x04arpa\0");
        }
        IpAddr::V6(v6) => {
            for octet in v6.octets().into_iter().rev() {
                for nibble in [octet & 15, octet >> 4] {
                    let digit = if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 };
                    out.extend_from_slice(&[1, digit]);
                }
            }
            out.extend_from_slice(b"\x03ip6\x04arpa\0");
        }
    }
}

/// The reverse zones of a network: one, or several where it ends within an octet or nibble.
pub(crate) fn reverse_zones(network: &IpNet) -> Vec<Vec<u8>> {
    let (step, labels) = match network {
        IpNet::V4(_) => (8, 4),
        IpNet::V6(_) => (4, 32),
    };
    let prefix = network.prefix_len().div_ceil(step) * step;
    let kept = usize::from(prefix / step);
    let parts = network.subnets(prefix).into_iter().flatten();
    let zone = |part: IpNet| {
        let mut name = Vec::new();
        put_reverse_name(&mut name, part.network());
        (0..labels - kept).try_fold(name, |name, _| parent(&name).map(<[u8]>::to_vec))
    };
    parts.filter_map(zone).collect()
}

/// Two octets in network order.
pub(crate) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

/// Four octets in network order.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// The owner of an answer: the question's name.
pub(crate) const OWNER: [u8; 2] = [0xc0, 12];
/// Octets of a name.
pub(crate) const LONGEST_NAME: usize = 255;
/// Longest zone below which `hostmaster` still has room.
pub(crate) const LONGEST_ZONE: usize = 240;
pub(crate) const A: u16 = 1;
pub(crate) const NS: u16 = 2;
pub(crate) const CNAME: u16 = 5;
pub(crate) const SOA: u16 = 6;
pub(crate) const PTR: u16 = 12;
pub(crate) const MX: u16 = 15;
pub(crate) const TXT: u16 = 16;
pub(crate) const AAAA: u16 = 28;
pub(crate) const SRV: u16 = 33;
