//! The answers of one generation, encoded: what a query's name and type lead to.
//!
//! A body is everything after the question. The question's length is fixed per name, so pointers
//! into it are constants (`c00c` is the owner) and the client's spelling survives. Invariants:
//! immutable once built, keys are lower-case wire names, a look-up allocates nothing. Filling the
//! table is `build`'s work.

use std::collections::HashMap;
use std::net::IpAddr;

use foldhash::fast::RandomState;

/// All names that we answer.
#[derive(Debug, Default)]
pub(crate) struct AnswerTable {
    pub(crate) names: HashMap<Box<[u8]>, Node, RandomState>,
    /// `*.suffix` hosts by suffix.
    pub(crate) wildcards: HashMap<Box<[u8]>, Node, RandomState>,
    /// The zones that we are authoritative for, longest first.
    pub(crate) zones: Vec<Box<[u8]>>,
    /// TTL of every local record.
    pub(crate) ttl_seconds: u32,
    /// SOA serial.
    pub(crate) serial: u32,
}

/// A name that exists, even if it has no records.
#[derive(Clone, Debug, Default)]
pub(crate) struct Node {
    /// One per type; a type without a body is NODATA.
    pub(crate) bodies: Vec<Body>,
    /// A and AAAA are the address that the query came to.
    pub(crate) asked: bool,
    /// A name of the zone's own: no host takes it (`dns 2`).
    pub(crate) generated: bool,
}

/// The records of one type.
#[derive(Clone, Debug, Default)]
pub(crate) struct Body {
    /// TYPE.
    pub(crate) kind: u16,
    /// Response code; that of the last name of a CNAME chain (`dns 1.7`).
    pub(crate) rcode: u8,
    /// Answers that keep their place.
    pub(crate) lead: Vec<u8>,
    /// Answers of equal length that take turns.
    pub(crate) rows: Vec<u8>,
    /// Length of one of them, 0 without.
    pub(crate) row_length: usize,
    /// The SOA behind a chain that ends in nothing.
    pub(crate) authority: Vec<u8>,
    /// Left out first where space is short.
    pub(crate) additional: Vec<u8>,
}

/// Where a name leads.
#[derive(Debug)]
pub(crate) enum Found<'a> {
    /// It exists; inside a zone whose wire name has this length, or a zone of its own.
    Node(&'a Node, Option<usize>),
    /// A zone of this length is ours and has no such name.
    Missing(Option<usize>),
    /// Not ours.
    Outside,
}

impl AnswerTable {
    /// What `key`, a lower-case wire name, leads to: exact before wildcard.
    pub(crate) fn find(&self, key: &[u8]) -> Found<'_> {
        let zone = self.zone_of(key);
        let wildcard = || self.wildcards.get(parent(key)?);
        match (self.names.get(key).or_else(wildcard), zone) {
            (Some(node), zone) => Found::Node(node, zone),
            (None, Some(_)) => Found::Missing(zone),
            (None, None) => Found::Outside,
        }
    }

    /// The length of the longest zone that holds `key`.
    pub(crate) fn zone_of(&self, key: &[u8]) -> Option<usize> {
        self.zones
            .iter()
            .find(|zone| is_within(key, zone))
            .map(|zone| zone.len())
    }

    /// The SOA of a negative answer, owned by the name at `offset` of the message (`dns 1.8`).
    pub(crate) fn soa(&self, offset: usize, zone_length: usize) -> Vec<u8> {
        let zone = pointer(offset);
        self.soa_record(&zone, &zone, zone_length)
    }

    /// An SOA record with `zone` written as given behind the names in it.
    pub(crate) fn soa_record(&self, owner: &[u8], zone: &[u8], zone_length: usize) -> Vec<u8> {
        // A name of its own may be too long to have another below it.
        let (server, mailbox): (&[u8], &[u8]) = if zone_length > LONGEST_ZONE {
            (b"", b"")
        } else {
            (b"\x02ns\x03dns", b"\x0ahostmaster")
        };
        let mut data = [server, zone, mailbox, zone].concat();
        for number in [self.serial, 7200, 1800, 86_400, self.ttl_seconds] {
            data.extend(number.to_be_bytes());
        }
        record(owner, SOA, self.ttl_seconds.min(300), &data)
    }
}

/// The name without its first label; none for the root.
pub(crate) fn parent(name: &[u8]) -> Option<&[u8]> {
    match name.first() {
        None | Some(0) => None,
        Some(&length) => name.get(1 + usize::from(length)..),
    }
}

/// Whether `name` is `zone` or below it.
pub(crate) fn is_within(mut name: &[u8], zone: &[u8]) -> bool {
    while name.len() > zone.len() {
        let Some(rest) = parent(name) else { return false };
        name = rest;
    }
    name == zone
}

/// A compression pointer.
pub(crate) fn pointer(offset: usize) -> [u8; 2] {
    let offset = u16::try_from(offset).unwrap_or(0) & 0x3fff;
    (0xc000 | offset).to_be_bytes()
}

/// One record; `data` of ours always fits 16 bits.
pub(crate) fn record(owner: &[u8], kind: u16, ttl_seconds: u32, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).unwrap_or(u16::MAX);
    let mut bytes = owner.to_vec();
    bytes.extend(kind.to_be_bytes());
    bytes.extend([0, 1]);
    bytes.extend(ttl_seconds.to_be_bytes());
    bytes.extend(length.to_be_bytes());
    bytes.extend_from_slice(data);
    bytes
}

/// The A or AAAA records among `addresses`, as `kind` says.
pub(crate) fn rows(ttl_seconds: u32, kind: u16, addresses: &[IpAddr], owner: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for address in addresses {
        match (kind, address) {
            (A, IpAddr::V4(v4)) => bytes.extend(record(owner, A, ttl_seconds, &v4.octets())),
            (AAAA, IpAddr::V6(v6)) => bytes.extend(record(owner, AAAA, ttl_seconds, &v6.octets())),
            _ => {}
        }
    }
    bytes
}

pub(crate) const A: u16 = 1;
pub(crate) const NS: u16 = 2;
pub(crate) const CNAME: u16 = 5;
pub(crate) const SOA: u16 = 6;
pub(crate) const PTR: u16 = 12;
pub(crate) const TXT: u16 = 16;
pub(crate) const AAAA: u16 = 28;
pub(crate) const SRV: u16 = 33;
/// Longest zone below which `hostmaster` still has room.
pub(crate) const LONGEST_ZONE: usize = 240;
