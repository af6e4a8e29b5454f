//! The answers of one generation: what a query's name leads to.
//!
//! Invariants: immutable; keys are lower-case wire names; a look-up allocates nothing. What differs
//! from one generation to the next without an edit, the serial, is kept here alone and written when
//! an answer needs it. Filling the table is `build`'s work, writing an answer `answer`'s.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use foldhash::fast::RandomState;
use portico_config::snapshot::zone::Chaos;

use crate::autopath::Autopath;
use crate::block::{Block, FIRST, Node};
use crate::names::Names;
use crate::pods::Pods;
use crate::reply::UDP_SIZE;
use crate::views::Views;
use crate::wire::{LONGEST_ZONE, SOA, is_within, parent, put_record};
use crate::zones::Zone;

/// All names that we answer.
#[derive(Clone, Debug)]
pub(crate) struct AnswerTable {
    pub(crate) names: Names,
    /// `*.suffix` hosts by suffix.
    pub(crate) wildcards: Arc<Wildcards>,
    /// The same of static records, for all depths.
    pub(crate) deep_wildcards: Arc<Wildcards>,
    /// Which Pods have names.
    pub(crate) pods: Pods,
    /// The zones that we are authoritative for, longest first.
    pub(crate) zones: Arc<[Box<[u8]>]>,
    /// Whose search path is walked.
    pub(crate) autopath: Autopath,
    /// In these, names that do not exist are asked of others.
    pub(crate) fallthrough: Arc<[Box<[u8]>]>,
    /// Whether it was made from a snapshot: before that, what is not known is not denied.
    pub(crate) is_loaded: bool,
    /// What clients of some networks see instead.
    pub(crate) views: Views,
    /// Where each of them is counted.
    pub(crate) numbers: Arc<[Zone]>,
    /// The largest datagram that is sent.
    pub(crate) udp_size: u16,
    /// Whether a static `*.suffix` is for names of one label more alone.
    pub(crate) are_wildcards_shallow: bool,
    /// What is told of the server itself; none: nothing.
    pub(crate) chaos: Option<Arc<Chaos>>,
    /// TTL of every local record.
    pub(crate) ttl_seconds: u32,
    /// SOA serial.
    pub(crate) serial: u32,
}

pub(crate) type Wildcards = HashMap<Box<[u8]>, Block, RandomState>;

/// Where a name leads.
#[derive(Debug)]
pub(crate) enum Found<'a> {
    /// It exists; its node, and what of its name is not in the block.
    Node(Node<'a>, &'a [u8]),
    /// It is a Pod's, of this address.
    Pod(IpAddr),
    /// A zone of this length is ours and has no such name.
    Missing(usize),
    /// Not ours.
    Outside,
}

impl Default for AnswerTable {
    fn default() -> Self {
        Self {
            names: Names::new(Arc::default(), 0),
            wildcards: Arc::default(),
            deep_wildcards: Arc::default(),
            pods: Pods::default(),
            zones: Arc::default(),
            autopath: Autopath::default(),
            fallthrough: Arc::default(),
            is_loaded: false,
            views: Views::default(),
            numbers: Arc::default(),
            udp_size: UDP_SIZE,
            are_wildcards_shallow: false,
            chaos: None,
            ttl_seconds: 0,
            serial: 0,
        }
    }
}

impl AnswerTable {
    /// What `key`, a lower-case wire name, leads to: exact before wildcard.
    pub(crate) fn find(&self, key: &[u8]) -> Found<'_> {
        if let Some(entry) = self.names.find(key) {
            return Found::Node(entry.node(), self.names.suffix(entry.suffix));
        }
        if let Some(block) = self.deep_wildcard(key) {
            return Found::Node(Node::new(block, FIRST), b"");
        }
        let wildcard = parent(key)
            .filter(|_| !self.wildcards.is_empty())
            .and_then(|suffix| self.wildcards.get(suffix));
        match (wildcard, self.zone_of(key)) {
            (Some(block), _) => Found::Node(Node::new(block, FIRST), b""),
            (None, Some(zone)) => match self.pods.find(key, zone, &self.names) {
                Some(address) => Found::Pod(address),
                None => Found::Missing(zone),
            },
            (None, None) => Found::Outside,
        }
    }

    /// What a static `*.suffix` says of `key`, which is no name itself: the nearest name above it
    /// decides (RFC 4592 §3.3.1), or the next alone where settings say so.
    fn deep_wildcard(&self, key: &[u8]) -> Option<&Block> {
        if self.deep_wildcards.is_empty() {
            return None;
        }
        let mut above = parent(key);
        while let Some(name) = above {
            if let Some(block) = self.deep_wildcards.get(name) {
                return Some(block);
            }
            if self.are_wildcards_shallow || self.names.find(name).is_some() {
                return None;
            }
            above = parent(name);
        }
        None
    }

    /// Whether others are asked about `key`, which no zone of ours has (`dns 4.5`).
    pub(crate) fn falls_through(&self, key: &[u8]) -> bool {
        self.fallthrough.iter().any(|zone| is_within(key, zone))
    }

    /// The length of the longest zone that holds `key`.
    pub(crate) fn zone_of(&self, key: &[u8]) -> Option<usize> {
        self.zones
            .iter()
            .find(|zone| is_within(key, zone))
            .map(|zone| zone.len())
    }

    /// Where a question for `key` is counted. Where the length of its zone is known, few names have
    /// to be compared; 0 stands for any.
    pub(crate) fn counted_as(&self, key: &[u8], length: usize) -> Zone {
        let is_zone = |zone: &[u8]| (length == 0 || zone.len() == length) && is_within(key, zone);
        let place = self.zones.iter().position(|zone| is_zone(zone));
        let number = place.and_then(|place| self.numbers.get(place));
        number.copied().unwrap_or(Zone::HOST)
    }

    /// The TTL of the alias that `node`, found under `key`, is, and the name that is meant; one of
    /// itself leads nowhere (`dns 1.7`).
    pub(crate) fn alias<'a>(&self, node: &Node<'a>, key: &[u8]) -> Option<(u32, &'a [u8])> {
        node.alias().filter(|(_, target)| *target != key)
    }

    /// Appends the SOA of a zone whose name is `zone`, as long as `length` when written out
    /// (`dns 1.8`).
    pub(crate) fn put_soa(&self, out: &mut Vec<u8>, zone: &[u8], length: usize) {
        // A name of its own may be too long to have another below it.
        let (server, mailbox): (&[u8], &[u8]) =
            if length > LONGEST_ZONE { (b"", b"") } else { (b"\x02ns\x03dns", b"\x0ahostmaster") };
        let mut numbers = [0; 20];
        let values = [self.serial, 7200, 1800, 86_400, self.ttl_seconds];
        for (place, value) in numbers.chunks_exact_mut(4).zip(values) {
            place.copy_from_slice(&value.to_be_bytes());
        }
        let data = [server, zone, mailbox, zone, &numbers];
        put_record(out, &[zone], SOA, self.ttl_seconds.min(300), &data);
    }
}
