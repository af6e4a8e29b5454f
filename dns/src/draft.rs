//! A table in the making, and beside it what is needed to change it: who brings what.
//!
//! A block is found again through the name that it brings, so it is counted nowhere; what several
//! objects bring is: parents, reverse names with more than one Service, hosts that a name of the
//! zones' own may hide. Invariants: every name stands at the highest level that it has; adding and
//! then removing a block leaves everything as it was.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use foldhash::fast::RandomState;

use crate::block::{APEX, Block, Body, CLUSTER, FIRST, Node, WHOLE, Writer, nodes};
use crate::hosts::Hosts;
use crate::names::{Entry, Level};
use crate::table::AnswerTable;
use crate::wire::{OWNER, PTR, parent, put_record, u32_at};

/// The table and its counts.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) table: AnswerTable,
    /// Names that exist because of others, and how many bring each.
    parents: HashMap<Box<[u8]>, u32, RandomState>,
    hosts: Hosts,
    /// Reverse names at which more than one block stands, or an apex.
    shared: HashMap<Box<[u8]>, Shared, RandomState>,
    /// Those of them that changed since [`Draft::settle`].
    unsettled: BTreeSet<Box<[u8]>>,
}

/// What stands at one reverse name.
#[derive(Debug, Default)]
struct Shared {
    /// The zone's apex, which keeps its records.
    apex: Option<Block>,
    /// By namespace and name of the Service: its block and where the PTR is in it.
    by_service: BTreeMap<Box<[u8]>, (Block, u32)>,
}

impl Draft {
    /// Begins with `table`, which has no names yet.
    pub(crate) fn new(table: AnswerTable) -> Self {
        Self {
            table,
            parents: HashMap::default(),
            hosts: Hosts::default(),
            shared: HashMap::default(),
            unsettled: BTreeSet::new(),
        }
    }

    /// Puts a name that has a block of its own.
    pub(crate) fn whole(&mut self, name: &[u8], block: Block, level: Level) {
        let suffix = self.nothing();
        self.table
            .names
            .put(name, Entry { block, at: FIRST, suffix, level });
    }

    /// Puts other records of its own at the apex of a zone.
    pub(crate) fn apex(&mut self, zone: &[u8], block: Block) {
        if let Some(shared) = self.shared.get_mut(zone) {
            shared.apex = Some(block);
            self.unsettled.insert(zone.into());
            return;
        }
        let entry = Entry { block, at: FIRST, suffix: self.nothing(), level: Level::Own };
        self.table.names.replace(zone, entry);
    }

    /// Adds the names of a Service's block in the forward zone `index`; the primary zone's bring
    /// the reverse names.
    pub(crate) fn add(&mut self, block: &Block, index: u16, zone: &[u8]) {
        let mut key = Vec::new();
        for node in nodes(block) {
            if !node.is(WHOLE) {
                key.clear();
                key.extend_from_slice(node.name());
                key.extend_from_slice(zone);
                self.own_at(&key, block, node.at(), index);
            } else if index == PRIMARY {
                self.add_reverse(block, &node);
            }
        }
        key.clear();
        key.extend_from_slice(Node::new(block, FIRST).home().name());
        key.extend_from_slice(zone);
        self.hold_parents(&key);
    }

    /// Removes what [`Draft::add`] added.
    pub(crate) fn remove(&mut self, block: &Block, index: u16, zone: &[u8]) {
        let mut key = Vec::new();
        for node in nodes(block) {
            if !node.is(WHOLE) {
                key.clear();
                key.extend_from_slice(node.name());
                key.extend_from_slice(zone);
                self.table.names.remove(&key);
                self.restore(&key);
            } else if index == PRIMARY {
                self.remove_reverse(block, &node);
            }
        }
        key.clear();
        key.extend_from_slice(Node::new(block, FIRST).home().name());
        key.extend_from_slice(zone);
        self.release_parents(&key);
    }

    /// The block that brings `name` as one of the zones' own.
    pub(crate) fn own(&self, name: &[u8]) -> Option<Block> {
        let entry = self.table.names.find(name)?;
        (entry.level == Level::Own).then(|| Arc::clone(&entry.block))
    }

    /// One object more because of which `name` exists.
    pub(crate) fn hold(&mut self, name: &[u8]) {
        if let Some(count) = self.parents.get_mut(name) {
            *count += 1;
            return;
        }
        self.parents.insert(name.into(), 1);
        self.restore(name);
    }

    /// One object less.
    pub(crate) fn release(&mut self, name: &[u8]) {
        let Some(count) = self.parents.get_mut(name) else { return };
        *count -= 1;
        if *count == 0 {
            self.parents.remove(name);
            self.restore(name);
        }
    }

    /// [`Draft::hold`] for every name between `name` and the apex of its zone.
    pub(crate) fn hold_parents(&mut self, name: &[u8]) {
        self.each_parent(name, Self::hold);
    }

    fn release_parents(&mut self, name: &[u8]) {
        self.each_parent(name, Self::release);
    }

    fn each_parent(&mut self, name: &[u8], act: fn(&mut Self, &[u8])) {
        let Some(zone) = self.table.zone_of(name) else { return };
        let mut above = parent(name);
        while let Some(ancestor) = above.filter(|ancestor| ancestor.len() > zone) {
            act(self, ancestor);
            above = parent(ancestor);
        }
    }

    /// Puts `hosts` in the place of those before.
    pub(crate) fn set_hosts(&mut self, mut hosts: Hosts) {
        let wildcards = std::mem::take(&mut hosts.wildcards);
        self.table.wildcards = Arc::new(wildcards);
        let old = std::mem::replace(&mut self.hosts, hosts);
        let left = old
            .names
            .keys()
            .filter(|name| !self.hosts.names.contains_key(*name));
        let came = self
            .hosts
            .names
            .iter()
            .filter(|(name, block)| old.names.get(*name) != Some(*block));
        let changed: Vec<Box<[u8]>> = left.chain(came.map(|(name, _)| name)).cloned().collect();
        for name in changed {
            self.restore(&name);
        }
    }

    /// Joins what stands at the reverse names that changed (`dns 1.6`).
    pub(crate) fn settle(&mut self) {
        for name in std::mem::take(&mut self.unsettled) {
            let Some(shared) = self.shared.get(&name) else { continue };
            let alone = shared.by_service.values().next();
            let (block, at) = match (&shared.apex, shared.by_service.len(), alone) {
                (Some(apex), 0, _) => (Arc::clone(apex), FIRST),
                (None, 1, Some(only)) => only.clone(),
                (None, 0, _) => {
                    self.shared.remove(&name);
                    self.table.names.remove(&name);
                    self.restore(&name);
                    continue;
                }
                _ => (self.join(&name, shared), FIRST),
            };
            let is_shared = shared.apex.is_some() || shared.by_service.len() > 1;
            if !is_shared || shared.by_service.is_empty() {
                self.shared.remove(&name);
            }
            let entry = Entry { block, at, suffix: self.nothing(), level: Level::Own };
            self.table.names.replace(&name, entry);
        }
    }

    /// All PTR records of one name, those of the first ClusterIP alone if there is one.
    fn join(&self, name: &[u8], shared: &Shared) -> Block {
        let primary = self.table.names.suffix(PRIMARY);
        let node = |(block, at): &(Block, u32)| Node::new(block, *at).is(CLUSTER);
        let cluster = shared.by_service.values().find(|place| node(place));
        let places: Vec<&(Block, u32)> = match cluster {
            Some(place) => vec![place],
            None => shared.by_service.values().collect(),
        };
        let mut lead = Vec::new();
        for (block, at) in places {
            let node = Node::new(block, *at);
            for target in targets(&node) {
                let data: [&[u8]; 2] = [node.beside(target).name(), primary];
                put_record(&mut lead, &[&OWNER], PTR, self.table.ttl_seconds, &data);
            }
            // No message holds more: such an answer is cut to nothing, as it was before.
            if lead.len() > usize::from(u16::MAX) {
                break;
            }
        }
        let mut writer = Writer::new();
        writer.node(&[name], if shared.apex.is_some() { WHOLE | APEX } else { WHOLE });
        for body in shared
            .apex
            .iter()
            .flat_map(|apex| Node::new(apex, FIRST).bodies())
        {
            writer.copy(body);
        }
        writer.literal(PTR, &lead, &[]);
        writer.finish()
    }

    fn add_reverse(&mut self, block: &Block, node: &Node<'_>) {
        let name = node.name();
        self.hold_parents(name);
        let is_alone =
            !self.shared.contains_key(name) && self.own_at(name, block, node.at(), self.nothing());
        if is_alone {
            return;
        }
        let mut shared = self.shared.remove(name).unwrap_or_else(|| self.known(name));
        shared
            .by_service
            .insert(service(block), (Arc::clone(block), node.at()));
        self.shared.insert(name.into(), shared);
        self.unsettled.insert(name.into());
    }

    /// What stands alone at `name` until now.
    fn known(&self, name: &[u8]) -> Shared {
        let mut shared = Shared::default();
        match self.table.names.find(name) {
            Some(entry) if entry.node().is(APEX) => shared.apex = Some(Arc::clone(&entry.block)),
            Some(entry) => {
                let place = (Arc::clone(&entry.block), entry.at);
                shared.by_service.insert(service(&entry.block), place);
            }
            None => {}
        }
        shared
    }

    fn remove_reverse(&mut self, block: &Block, node: &Node<'_>) {
        let name = node.name();
        if let Some(shared) = self.shared.get_mut(name) {
            shared.by_service.remove(&service(block));
            self.unsettled.insert(name.into());
        } else {
            self.table.names.remove(name);
            self.restore(name);
        }
        self.release_parents(name);
    }

    /// Puts a node of `block` at `key`; false if one of the zones' own is there already.
    fn own_at(&mut self, key: &[u8], block: &Block, at: u32, suffix: u16) -> bool {
        let entry = Entry { block: Arc::clone(block), at, suffix, level: Level::Own };
        self.table.names.put(key, entry)
    }

    /// Gives `name`, if it is none of the zones' own, the highest level that is left to it.
    fn restore(&mut self, name: &[u8]) {
        let names = &self.table.names;
        if names
            .find(name)
            .is_some_and(|entry| entry.level == Level::Own)
        {
            return;
        }
        let empty = || {
            let mut writer = Writer::new();
            writer.node(&[name], WHOLE);
            writer.finish()
        };
        let (block, level) = if self.parents.contains_key(name) {
            (empty(), Level::Parent)
        } else {
            match self.hosts.names.get(name) {
                Some(Some(block)) => (Arc::clone(block), Level::Host),
                Some(None) => (empty(), Level::HostParent),
                None => return self.table.names.remove(name),
            }
        };
        let entry = Entry { block, at: FIRST, suffix: self.nothing(), level };
        self.table.names.replace(name, entry);
    }

    /// The suffix of names that lie in their block whole.
    fn nothing(&self) -> u16 {
        self.table.names.whole()
    }
}

/// Namespace and name of the Service that a block is of: the order in which ties are broken.
fn service(block: &[u8]) -> Box<[u8]> {
    let home = Node::new(block, FIRST).home().name();
    let namespace = parent(home).unwrap_or_default();
    let name = home.get(..home.len() - namespace.len()).unwrap_or_default();
    let text = |label: &[u8]| label.get(1..).unwrap_or_default().to_vec();
    let length = namespace.first().copied().unwrap_or(0);
    let namespace = namespace.get(..=usize::from(length)).unwrap_or_default();
    [text(namespace), vec![0], text(name)].concat().into()
}

/// Where the nodes are to which a PTR leads.
fn targets(node: &Node<'_>) -> Vec<u32> {
    match node.body(PTR) {
        Some(Body::Pointers(places)) => (0..places.len() / 4)
            .filter_map(|index| u32_at(places, 4 * index))
            .collect(),
        _ => Vec::new(),
    }
}

/// The first forward zone.
const PRIMARY: u16 = 0;
