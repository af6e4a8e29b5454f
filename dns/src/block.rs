//! What one object brings to the table, packed into one piece of memory.
//!
//! ```text
//! block   home u32 · node · node …
//! node    name · flags u8 · bodies u8 · body · body …
//! body    type u16 · form u8 · length u32 · octets
//! ```
//!
//! `home` is where the node stands that the others belong to: the Service's own name. A name lies
//! without the zone that it is in, so that all zones share a block, or whole if flagged. What can
//! be derived is not stored: SRV and PTR point to the nodes of their targets. Invariants: written
//! by [`Writer`] alone, immutable then; reading allocates nothing and never leaves the block.

use std::sync::Arc;

use crate::wire::{CNAME, u16_at, u32_at};

/// Shared by all generations in which the object is the same.
pub(crate) type Block = Arc<[u8]>;

/// A and AAAA are the address that the query came to.
pub(crate) const ASKED: u8 = 1;
/// The apex of a zone: it has an SOA.
pub(crate) const APEX: u8 = 2;
/// The name is whole and stands in no zone's place.
pub(crate) const WHOLE: u8 = 4;
/// A PTR of a ClusterIP, which alone counts at its address (`dns 1.6`).
pub(crate) const CLUSTER: u8 = 8;

/// A name that exists, even if it has no records.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Node<'a> {
    /// The block that it is in.
    block: &'a [u8],
    at: usize,
}

/// The records of one type.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Body<'a> {
    /// A or AAAA records, which take turns.
    Rows(&'a [u8]),
    /// Records as they are sent.
    Literal {
        /// Answers.
        lead: &'a [u8],
        /// Left out first where space is short.
        additional: &'a [u8],
    },
    /// SRV: weight, then where the target's node is and the port, six octets each.
    Services(u16, &'a [u8]),
    /// PTR: where the targets' nodes are, four octets each.
    Pointers(&'a [u8]),
    /// The name is an alias ([`Node::alias`]), and then has no other body.
    Alias,
}

impl<'a> Node<'a> {
    /// The node that begins `at` octets into `block`.
    pub(crate) fn new(block: &'a [u8], at: u32) -> Self {
        Self { block, at: usize::try_from(at).unwrap_or(usize::MAX) }
    }

    /// Another node of the same block.
    pub(crate) fn beside(&self, at: u32) -> Self {
        Self::new(self.block, at)
    }

    /// The node that the others of the block belong to.
    pub(crate) fn home(&self) -> Self {
        self.beside(u32_at(self.block, 0).unwrap_or(FIRST))
    }

    /// Where it begins.
    pub(crate) fn at(&self) -> u32 {
        u32::try_from(self.at).unwrap_or(u32::MAX)
    }

    /// Its name, as far as it lies in the block.
    pub(crate) fn name(&self) -> &'a [u8] {
        let length = self.block.get(self.at).copied().unwrap_or(0);
        let start = self.at.saturating_add(1);
        self.block
            .get(start..start.saturating_add(usize::from(length)))
            .unwrap_or_default()
    }

    /// [`ASKED`], [`APEX`], [`WHOLE`], [`CLUSTER`].
    pub(crate) fn flags(&self) -> u8 {
        self.block.get(self.head()).copied().unwrap_or(0)
    }

    /// Whether `flag` is set.
    pub(crate) fn is(&self, flag: u8) -> bool {
        self.flags() & flag != 0
    }

    /// Its records of `kind`.
    pub(crate) fn body(&self, kind: u16) -> Option<Body<'a>> {
        self.bodies()
            .find(|(found, ..)| *found == kind)
            .and_then(|(_, form, octets)| Body::read(form, octets))
    }

    /// The TTL of the alias that it is, and the name that is meant.
    pub(crate) fn alias(&self) -> Option<(u32, &'a [u8])> {
        match self.bodies().next() {
            Some((CNAME, ALIAS, octets)) => Some((u32_at(octets, 0)?, octets.get(4..)?)),
            _ => None,
        }
    }

    /// Type, form and octets of each body.
    pub(crate) fn bodies(&self) -> impl Iterator<Item = (u16, u8, &'a [u8])> + use<'a> {
        let head = self.head();
        let block = self.block;
        let count = block.get(head + 1).copied().unwrap_or(0);
        let mut at = head + 2;
        (0..count).map_while(move |_| {
            let kind = u16_at(block, at)?;
            let form = *block.get(at + 2)?;
            let length = usize::try_from(u32_at(block, at + 3)?).ok()?;
            let octets = block.get(at + 7..(at + 7).checked_add(length)?)?;
            at += 7 + length;
            Some((kind, form, octets))
        })
    }

    fn head(&self) -> usize {
        self.at.saturating_add(1 + self.name().len())
    }

    fn end(&self) -> usize {
        let bodies: usize = self.bodies().map(|(.., octets)| 7 + octets.len()).sum();
        self.head() + 2 + bodies
    }
}

impl<'a> Body<'a> {
    fn read(form: u8, octets: &'a [u8]) -> Option<Self> {
        match form {
            ROWS => Some(Self::Rows(octets)),
            LITERAL => {
                let length = usize::try_from(u32_at(octets, 0)?).ok()?;
                let (lead, additional) = octets.get(4..)?.split_at_checked(length)?;
                Some(Self::Literal { lead, additional })
            }
            SERVICES => Some(Self::Services(u16_at(octets, 0)?, octets.get(2..)?)),
            POINTERS => Some(Self::Pointers(octets)),
            ALIAS => Some(Self::Alias),
            _ => None,
        }
    }
}

/// Every node of `block`.
pub(crate) fn nodes(block: &[u8]) -> impl Iterator<Item = Node<'_>> {
    let mut at = HEADER;
    std::iter::from_fn(move || {
        let node = (at < block.len()).then_some(Node { block, at })?;
        at = node.end();
        Some(node)
    })
}

/// Writes one block, node by node, each with its bodies behind it.
#[derive(Debug)]
pub(crate) struct Writer {
    octets: Vec<u8>,
    /// Where the last node counts its bodies.
    count_at: usize,
}

impl Writer {
    pub(crate) fn new() -> Self {
        Self { octets: FIRST.to_be_bytes().to_vec(), count_at: 0 }
    }

    /// Begins a node whose name is in parts; its place.
    pub(crate) fn node(&mut self, name: &[&[u8]], flags: u8) -> u32 {
        let at = self.octets.len();
        self.octets.push(0);
        for part in name {
            self.octets.extend_from_slice(part);
        }
        // Names are at most 255 octets by `wire::below`.
        let length = u8::try_from(self.octets.len() - at - 1).unwrap_or(0);
        if let Some(place) = self.octets.get_mut(at) {
            *place = length;
        }
        self.octets.push(flags);
        self.count_at = self.octets.len();
        self.octets.push(0);
        u32::try_from(at).unwrap_or(u32::MAX)
    }

    /// Says that the node at `at` is the one to which the others belong.
    pub(crate) fn home(&mut self, at: u32) {
        if let Some(home) = self.octets.get_mut(..HEADER) {
            home.copy_from_slice(&at.to_be_bytes());
        }
    }

    /// A or AAAA records, encoded; nothing if there are none.
    pub(crate) fn rows(&mut self, kind: u16, rows: &[u8]) {
        if !rows.is_empty() {
            self.body(kind, ROWS, &[rows]);
        }
    }

    /// Records as they are sent.
    pub(crate) fn literal(&mut self, kind: u16, lead: &[u8], additional: &[u8]) {
        let length = u32::try_from(lead.len()).unwrap_or(u32::MAX);
        self.body(kind, LITERAL, &[&length.to_be_bytes(), lead, additional]);
    }

    /// SRV records to the nodes of targets and their ports, sorted, each once.
    pub(crate) fn services(&mut self, kind: u16, weight: u16, pairs: &[(u32, u16)]) {
        self.begin(kind, SERVICES, 2 + 6 * pairs.len());
        self.octets.extend_from_slice(&weight.to_be_bytes());
        for (target, port) in pairs {
            self.octets.extend_from_slice(&target.to_be_bytes());
            self.octets.extend_from_slice(&port.to_be_bytes());
        }
    }

    /// PTR records to the nodes of targets, each once.
    pub(crate) fn pointers(&mut self, kind: u16, targets: &[u32]) {
        self.begin(kind, POINTERS, 4 * targets.len());
        for target in targets {
            self.octets.extend_from_slice(&target.to_be_bytes());
        }
    }

    /// An alias of `target`; the node's only body.
    pub(crate) fn alias(&mut self, ttl_seconds: u32, target: &[u8]) {
        self.body(CNAME, ALIAS, &[&ttl_seconds.to_be_bytes(), target]);
    }

    /// A body as another node has it, which points to no other.
    pub(crate) fn copy(&mut self, (kind, form, octets): (u16, u8, &[u8])) {
        self.body(kind, form, &[octets]);
    }

    /// The block.
    pub(crate) fn finish(self) -> Block {
        self.octets.into()
    }

    fn body(&mut self, kind: u16, form: u8, parts: &[&[u8]]) {
        self.begin(kind, form, parts.iter().map(|part| part.len()).sum());
        for part in parts {
            self.octets.extend_from_slice(part);
        }
    }

    fn begin(&mut self, kind: u16, form: u8, length: usize) {
        if let Some(count) = self.octets.get_mut(self.count_at) {
            *count = count.saturating_add(1);
        }
        self.octets.extend_from_slice(&kind.to_be_bytes());
        self.octets.push(form);
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        self.octets.extend_from_slice(&length.to_be_bytes());
    }
}

/// Where the first node begins.
pub(crate) const FIRST: u32 = 4;
const HEADER: usize = 4;
const ROWS: u8 = 0;
const LITERAL: u8 = 1;
const SERVICES: u8 = 2;
const POINTERS: u8 = 3;
const ALIAS: u8 = 4;
