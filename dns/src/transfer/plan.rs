//! The records of one zone, one after the other, from the table that answers questions.
//!
//! ```text
//! SOA · apex · ns.dns · zones below · Services and hosts by name, with wildcards · SOA
//! ```
//!
//! Each record has its owner relative to the question, which every message repeats. Invariants: a name
//! that static records or a zone below have taken over is not told twice; the octets of one name at a time
//! are held, never those of the zone. Not in it: names of Pods, which are made when they are asked for,
//! and reverse names.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;

use crate::block::{ASKED, Block, Body, FIRST, Node, WHOLE, nodes};
use crate::names::Entry;
use crate::reply::row_length;
use crate::table::{AnswerTable, Wildcards};
use crate::wire::{
    A, AAAA, CNAME, LONGEST_NAME, NS, OWNER, PTR, SRV, below, is_within, put_address, put_record,
    u16_at, u32_at,
};

/// What is still to be told of a zone.
#[derive(Debug)]
pub(crate) struct Plan {
    table: Arc<AnswerTable>,
    zone: Box<[u8]>,
    /// What `0.0.0.0` means to this client.
    local: IpAddr,
    /// The one SOA is enough.
    is_current: bool,
    stage: Stage,
    items: Vec<Item>,
    /// Records that are ready, and where each ends.
    octets: Vec<u8>,
    ends: Vec<usize>,
    next: usize,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stage {
    Begin,
    Apex,
    Server,
    Below,
    Item(usize),
    End,
}

/// What brings names: a Service with all of its own, or a name by itself.
#[derive(Debug)]
struct Item {
    /// By which they are ordered; of a name by itself the owner.
    key: Box<[u8]>,
    block: Block,
    /// Where the node of the one name is; none for a Service.
    at: Option<u32>,
    suffix: u16,
}

impl Plan {
    /// That of `zone`, an apex of `table`.
    pub(crate) fn new(
        table: Arc<AnswerTable>,
        zone: &[u8],
        local: IpAddr,
        is_current: bool,
    ) -> Self {
        Self {
            table,
            zone: zone.into(),
            local,
            is_current,
            stage: Stage::Begin,
            items: Vec::new(),
            octets: Vec::new(),
            ends: Vec::new(),
            next: 0,
        }
    }

    /// Looks for all that brings names; others of the worker run between two parts of the table.
    pub(crate) async fn prepare(&mut self) {
        if self.is_current {
            return;
        }
        let table = Arc::clone(&self.table);
        let mut services = HashSet::new();
        for shard in 0..table.names.shards() {
            for entry in table.names.in_shard(shard) {
                self.note(entry, &mut services);
            }
            if shard % SHARDS_AT_ONCE == SHARDS_AT_ONCE - 1 {
                tokio::task::yield_now().await;
            }
        }
        for (wildcards, others) in
            [(&table.deep_wildcards, None), (&table.wildcards, Some(&table.deep_wildcards))]
        {
            self.note_wildcards(wildcards, others.map(|others| &**others));
        }
        self.items.sort_unstable_by(|a, b| a.key.cmp(&b.key));
    }

    fn note(&mut self, entry: &Entry, services: &mut HashSet<(usize, u16)>) {
        let Entry { block, at, suffix, .. } = entry;
        let end = self.table.names.suffix(*suffix);
        if end.is_empty() {
            let name = entry.node().name();
            let is_said = entry.node().bodies().next().is_some() || entry.node().is(ASKED);
            // The apex and its server have places of their own.
            if is_said && name != &*self.zone && name != self.server() && self.is_own(name) {
                let (key, block) = (name.into(), Arc::clone(block));
                self.items
                    .push(Item { key, block, at: Some(*at), suffix: *suffix });
            }
        } else if is_within(end, &self.zone) || is_within(&self.zone, end) {
            let place = Arc::as_ptr(block).cast::<u8>().addr();
            if services.insert((place, *suffix)) {
                let key = [Node::new(block, FIRST).home().name(), end].concat().into();
                let (block, suffix) = (Arc::clone(block), *suffix);
                self.items.push(Item { key, block, at: None, suffix });
            }
        }
    }

    /// `*.suffix`; one that `others` have too is theirs.
    fn note_wildcards(&mut self, wildcards: &Wildcards, others: Option<&Wildcards>) {
        for (name, block) in wildcards {
            let is_hidden = others.is_some_and(|others| others.contains_key(name));
            if !is_hidden && self.is_own(name) {
                let key = [b"\x01*", &**name].concat().into();
                let (block, suffix) = (Arc::clone(block), self.table.names.whole());
                self.items
                    .push(Item { key, block, at: Some(FIRST), suffix });
            }
        }
    }

    /// The next record.
    pub(crate) fn peek(&mut self) -> Option<&[u8]> {
        while self.next >= self.ends.len() {
            if !self.fill() {
                return None;
            }
        }
        let begin = self
            .next
            .checked_sub(1)
            .and_then(|before| self.ends.get(before));
        self.octets
            .get(begin.copied().unwrap_or(0)..*self.ends.get(self.next)?)
    }

    /// Goes on to the one behind it.
    pub(crate) fn advance(&mut self) {
        self.next += 1;
    }

    /// Makes the records of the next name; false where there is none left.
    fn fill(&mut self) -> bool {
        self.octets.clear();
        self.ends.clear();
        self.next = 0;
        let table = Arc::clone(&self.table);
        let find = |name: &[u8]| table.names.find(name);
        self.stage = match self.stage {
            Stage::Begin => {
                self.soa();
                if self.is_current { Stage::End } else { Stage::Apex }
            }
            Stage::Apex => {
                if let Some(entry) = find(&self.zone.clone()) {
                    self.node(&self.zone.clone(), entry.node(), b"");
                }
                Stage::Server
            }
            Stage::Server => {
                let server = self.server();
                if let Some(entry) = find(&server).filter(|_| self.is_own(&server)) {
                    self.node(&server, entry.node(), b"");
                }
                Stage::Below
            }
            Stage::Below => {
                self.zones_below();
                Stage::Item(0)
            }
            Stage::Item(index) => match self.items.get_mut(index) {
                Some(item) => {
                    // It is needed once; its place goes with the plan.
                    let (key, block) = (std::mem::take(&mut item.key), Arc::clone(&item.block));
                    let item = Item { key, block, ..*item };
                    self.item(&item);
                    Stage::Item(index + 1)
                }
                None => {
                    self.soa();
                    Stage::End
                }
            },
            Stage::End => return false,
        };
        true
    }

    fn item(&mut self, item: &Item) {
        let table = Arc::clone(&self.table);
        let suffix = table.names.suffix(item.suffix);
        if let Some(at) = item.at {
            return self.node(&item.key, Node::new(&item.block, at), suffix);
        }
        for node in nodes(&item.block).filter(|node| !node.is(WHOLE)) {
            let owner = [node.name(), suffix].concat();
            // A record of settings, or another object, may have taken it.
            let is_this = |entry: &&Entry| {
                Arc::ptr_eq(&entry.block, &item.block)
                    && (entry.at, entry.suffix) == (node.at(), item.suffix)
            };
            if table.names.find(&owner).filter(is_this).is_some() && self.is_own(&owner) {
                self.node(&owner, node, suffix);
            }
        }
    }

    /// All records of `owner`, as `answer` tells them.
    fn node(&mut self, owner: &[u8], node: Node<'_>, suffix: &[u8]) {
        let table = Arc::clone(&self.table);
        let ttl_seconds = table.ttl_seconds;
        let lead = self.relative(owner);
        if node.alias().is_some() {
            if let Some((ttl_seconds, target)) = table.alias(&node, owner) {
                put_record(&mut self.octets, &[&lead], CNAME, ttl_seconds, &[target]);
                self.end();
            }
            return;
        }
        let asked = [A, AAAA].map(|kind| {
            let before = self.octets.len();
            if node.is(ASKED) {
                put_address(&mut self.octets, &[&lead], kind, ttl_seconds, self.local);
            }
            let is_said = self.octets.len() > before;
            if is_said {
                self.end();
            }
            (kind, is_said)
        });
        for (kind, ..) in node.bodies() {
            if !asked.contains(&(kind, true)) {
                self.body(&lead, kind, node, suffix);
            }
        }
    }

    fn body(&mut self, lead: &[u8], kind: u16, node: Node<'_>, suffix: &[u8]) {
        let ttl_seconds = self.table.ttl_seconds;
        match node.body(kind) {
            Some(Body::Rows(rows)) => self.copies(lead, rows.chunks_exact(row_length(kind))),
            Some(Body::Literal { lead: records, .. }) => self.copies(lead, each(records)),
            Some(Body::Services(weight, pairs)) => {
                for pair in pairs.chunks_exact(PAIR) {
                    let target = node.beside(u32_at(pair, 0).unwrap_or(0)).name();
                    let port = pair.get(4..).unwrap_or_default();
                    let data = [&[0, 0], &weight.to_be_bytes()[..], port, target, suffix];
                    put_record(&mut self.octets, &[lead], SRV, ttl_seconds, &data);
                    self.end();
                }
            }
            Some(Body::Pointers(places)) => {
                let table = Arc::clone(&self.table);
                for place in places.chunks_exact(4).filter_map(|place| u32_at(place, 0)) {
                    let data = [node.beside(place).name(), table.names.primary()];
                    put_record(&mut self.octets, &[lead], PTR, ttl_seconds, &data);
                    self.end();
                }
            }
            Some(Body::Alias) | None => {}
        }
    }

    /// Records whose owner is the question, under another one.
    fn copies<'a>(&mut self, lead: &[u8], records: impl Iterator<Item = &'a [u8]>) {
        for record in records {
            self.octets.extend_from_slice(lead);
            self.octets
                .extend_from_slice(record.get(OWNER.len()..).unwrap_or_default());
            self.end();
        }
    }

    /// Whom to ask about zones of ours that are cut out of this one.
    fn zones_below(&mut self) {
        let table = Arc::clone(&self.table);
        let zones = || table.zones.iter().map(|zone| &**zone);
        let is_cut = |inner: &&[u8]| {
            let above = zones().find(|zone| zone != inner && is_within(inner, zone));
            above.is_some_and(|above| *above == *self.zone)
        };
        let cut: Vec<_> = zones().filter(is_cut).collect();
        for zone in cut {
            let (lead, ttl_seconds) = (self.relative(zone), table.ttl_seconds);
            let Some(server) = below(&["ns", "dns"], zone, LONGEST_NAME) else { continue };
            put_record(&mut self.octets, &[&lead], NS, ttl_seconds, &[&server]);
            self.end();
            if let Some(entry) = table.names.find(&server) {
                self.node(&server, entry.node(), b"");
            }
        }
    }

    fn soa(&mut self) {
        self.table
            .put_soa(&mut self.octets, &OWNER, self.zone.len());
        self.end();
    }

    fn end(&mut self) {
        self.ends.push(self.octets.len());
    }

    fn server(&self) -> Vec<u8> {
        below(&["ns", "dns"], &self.zone, LONGEST_NAME).unwrap_or_default()
    }

    /// Whether `name` is in this zone and in no other within it.
    fn is_own(&self, name: &[u8]) -> bool {
        self.table.zone_of(name) == Some(self.zone.len()) && is_within(name, &self.zone)
    }

    /// `name` with a pointer to the question in the place of the zone.
    fn relative(&self, name: &[u8]) -> Vec<u8> {
        let length = name.len().saturating_sub(self.zone.len());
        [name.get(..length).unwrap_or_default(), &OWNER].concat()
    }
}

/// Each of the records that we encoded with the question as their owner.
fn each(mut records: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let length = OWNER.len() + 10 + usize::from(u16_at(records, OWNER.len() + 8)?);
        let (record, rest) = records.split_at_checked(length)?;
        records = rest;
        Some(record)
    })
}

/// Octets of one SRV target.
const PAIR: usize = 6;
/// Parts of the table that are looked at before others run: some ten thousand names.
const SHARDS_AT_ONCE: usize = 32;
