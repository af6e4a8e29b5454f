//! Every name of a generation by one hash, in shards that generations share.
//!
//! ```text
//! name ─hash─▶ shard ─probe─▶ entry ─▶ node in its object's block
//! ```
//!
//! A change copies the shards that it touches, a list of entries of 24 octets each, and nothing
//! else. Invariants: a look-up hashes once, probes one shard and allocates nothing; each name stands
//! once, at the highest of its levels.

use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry as Place;

use crate::block::{Block, Node};
use crate::wire::LONGEST_NAME;

/// Why a name exists; of several reasons the highest counts (`dns 2`: hosts yield to the zones' own
/// names).
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Level {
    /// A parent of hosts.
    HostParent,
    /// A host.
    Host,
    /// A parent of names of the zones' own, which has no records.
    Parent,
    /// A name of a zone, a Service or an address.
    Own,
    /// A name that settings or a hosts file say; the table alone has such, never the draft.
    Static,
}

/// A name of the table.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// What holds its node.
    pub(crate) block: Block,
    /// Where in the block.
    pub(crate) at: u32,
    /// Which of [`Names::suffixes`] follows the node's name.
    pub(crate) suffix: u16,
    /// Why it is there.
    pub(crate) level: Level,
}

/// All names, each with where its node is.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    /// A power of two of them.
    shards: Box<[Arc<HashTable<Entry>>]>,
    hasher: RandomState,
    /// What follows the names in blocks: the forward zones, then nothing.
    suffixes: Arc<[Box<[u8]>]>,
    length: usize,
}

impl Entry {
    /// Its node.
    pub(crate) fn node(&self) -> Node<'_> {
        Node::new(&self.block, self.at)
    }
}

impl Names {
    /// No names, and room for about `expected`.
    pub(crate) fn new(suffixes: Arc<[Box<[u8]>]>, expected: usize) -> Self {
        let count = (expected / PER_SHARD)
            .next_power_of_two()
            .clamp(1, MOST_SHARDS);
        // Some shards get more than their share, and growing costs more than a little room.
        let room = expected.div_ceil(count);
        let shard = || Arc::new(HashTable::with_capacity(room));
        let shards = (0..count).map(|_| shard()).collect();
        Self { shards, hasher: RandomState::default(), suffixes, length: 0 }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.length
    }

    /// Whether there are so many more than expected that the shards have become long.
    pub(crate) fn is_crowded(&self) -> bool {
        self.shards.len() < MOST_SHARDS && self.length > self.shards.len() * PER_SHARD * 4
    }

    /// What follows the names in blocks.
    pub(crate) fn suffix(&self, index: u16) -> &[u8] {
        self.suffixes
            .get(usize::from(index))
            .map(|suffix| &**suffix)
            .unwrap_or_default()
    }

    /// The primary zone: that of PTR answers.
    pub(crate) fn primary(&self) -> &[u8] {
        if self.suffixes.len() > 1 { self.suffix(0) } else { &[] }
    }

    /// Whether `zone` is one of the forward zones.
    pub(crate) fn is_forward(&self, zone: &[u8]) -> bool {
        let mut forward = self.suffixes.iter().take(usize::from(self.whole()));
        forward.any(|known| **known == *zone)
    }

    /// The suffix of names that lie in their block whole.
    pub(crate) fn whole(&self) -> u16 {
        u16::try_from(self.suffixes.len().saturating_sub(1)).unwrap_or(u16::MAX)
    }

    /// The entry of `key`, a lower-case wire name.
    pub(crate) fn find(&self, key: &[u8]) -> Option<&Entry> {
        let hash = self.hasher.hash_one(key);
        self.shards
            .get(self.shard(hash))?
            .find(hash, |entry| is_named(entry, &self.suffixes, key))
    }

    /// Puts `entry` at `key`, in place of one that is not above it; of two of the zones' own the
    /// first stays. Whether it did.
    pub(crate) fn put(&mut self, key: &[u8], entry: Entry) -> bool {
        let hash = self.hasher.hash_one(key);
        let index = self.shard(hash);
        let (hasher, suffixes) = (&self.hasher, &self.suffixes);
        let Some(shard) = self.shards.get_mut(index).map(Arc::make_mut) else { return false };
        let found = shard.entry(
            hash,
            |entry| is_named(entry, suffixes, key),
            |entry| hash_of(entry, suffixes, hasher),
        );
        match found {
            Place::Occupied(known) if known.get().level > entry.level => false,
            Place::Occupied(known) if known.get().level == Level::Own => false,
            Place::Occupied(mut known) => {
                *known.get_mut() = entry;
                true
            }
            Place::Vacant(place) => {
                place.insert(entry);
                self.length += 1;
                true
            }
        }
    }

    /// Puts `entry` at `key`, whatever is there.
    pub(crate) fn replace(&mut self, key: &[u8], entry: Entry) {
        self.remove(key);
        self.put(key, entry);
    }

    /// Takes `key` out.
    pub(crate) fn remove(&mut self, key: &[u8]) {
        let hash = self.hasher.hash_one(key);
        let index = self.shard(hash);
        let suffixes = &self.suffixes;
        let Some(shard) = self.shards.get_mut(index).map(Arc::make_mut) else { return };
        if let Ok(known) = shard.find_entry(hash, |entry| is_named(entry, suffixes, key)) {
            known.remove();
            self.length -= 1;
        }
    }

    /// Every entry, in no order.
    #[cfg(test)]
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.shards.iter().flat_map(|shard| shard.iter())
    }

    /// How many parts there are that can be walked by themselves.
    pub(crate) fn shards(&self) -> usize {
        self.shards.len()
    }

    /// Every entry of one of them, in no order.
    pub(crate) fn in_shard(&self, index: usize) -> impl Iterator<Item = &Entry> {
        self.shards
            .get(index)
            .into_iter()
            .flat_map(|shard| shard.iter())
    }

    /// Shards take bits of the hash that the table inside neither starts from nor compares.
    fn shard(&self, hash: u64) -> usize {
        usize::try_from(hash >> 32 & 0xff_ffff).unwrap_or(0) & (self.shards.len() - 1)
    }
}

fn is_named(entry: &Entry, suffixes: &[Box<[u8]>], key: &[u8]) -> bool {
    let name = entry.node().name();
    let suffix = suffixes.get(usize::from(entry.suffix));
    key.strip_prefix(name)
        .is_some_and(|rest| suffix.is_some_and(|suffix| *rest == **suffix))
}

fn hash_of(entry: &Entry, suffixes: &[Box<[u8]>], hasher: &RandomState) -> u64 {
    let mut key = [0; LONGEST_NAME];
    let name = entry.node().name();
    let suffix = suffixes
        .get(usize::from(entry.suffix))
        .map(|suffix| &**suffix)
        .unwrap_or_default();
    let length = name.len() + suffix.len();
    for (octet, from) in key.iter_mut().zip(name.iter().chain(suffix)) {
        *octet = *from;
    }
    hasher.hash_one(key.get(..length).unwrap_or_default())
}

/// Names of a shard: a change copies as many for each name that it touches.
const PER_SHARD: usize = 512;
/// Shards of a table: a generation copies as many pointers.
const MOST_SHARDS: usize = 1 << 14;
