//! Records that a person wrote, laid over a table: they come before everything else (`dns 4.3`).
//!
//! ```text
//! draft's table ─clone─▶ names of records, their parents and reverse names put in place ─▶ table
//! ```
//!
//! The draft itself never sees them, so what lies below a record comes back when the record goes.
//! Invariants: pure; a look-up costs what it cost without them; an apex keeps its SOA and NS; a CNAME
//! stands alone at its name.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use portico_config::model::{RecordData, StaticRecord};

use crate::block::{APEX, Block, FIRST, WHOLE, Writer};
use crate::names::{Entry, Level};
use crate::table::{AnswerTable, Wildcards};
use crate::wire::{
    A, AAAA, LONGEST_NAME, MX, OWNER, PTR, SRV, TXT, parent, put_address, put_record,
    put_reverse_name, wire,
};

/// The records of one name.
type Set<'a> = Vec<&'a StaticRecord>;

/// Puts `records` over what `table` says.
pub(crate) fn lay(records: &[StaticRecord], table: &mut AnswerTable) {
    if records.is_empty() {
        return;
    }
    let (exact, wildcards) = sorted(records);
    let mut parents = BTreeSet::new();
    for (name, set) in &exact {
        let block = encode(name, set, table);
        put(table, name, block, Level::Static);
        parents.extend(parents_of(name, table));
    }
    for (name, lead) in reverse(&exact, table.ttl_seconds) {
        let mut writer = begin(&name, table, PTR);
        writer.literal(PTR, &lead, &[]);
        let block = writer.finish();
        put(table, &name, block, Level::Static);
        parents.extend(parents_of(&name, table));
    }
    let mut deep = Wildcards::default();
    for (suffix, set) in &wildcards {
        // A wildcard's own parent exists where the zone is ours (RFC 4592).
        parents.extend(parents_of(suffix, table));
        if table
            .zone_of(suffix)
            .is_some_and(|zone| zone < suffix.len())
        {
            parents.insert(suffix.clone());
        }
        let mut writer = Writer::new();
        writer.node(&[suffix], WHOLE);
        fill(&mut writer, set, table.ttl_seconds);
        deep.insert(suffix.as_slice().into(), writer.finish());
    }
    table.deep_wildcards = Arc::new(deep);
    for name in parents {
        if table.names.find(&name).is_none() {
            let mut writer = Writer::new();
            writer.node(&[&name], WHOLE);
            put(table, &name, writer.finish(), Level::Parent);
        }
    }
}

/// By name, and by the suffix of wildcards.
fn sorted(records: &[StaticRecord]) -> (BTreeMap<Vec<u8>, Set<'_>>, BTreeMap<Vec<u8>, Set<'_>>) {
    let (mut exact, mut wildcards) = (BTreeMap::new(), BTreeMap::new());
    for record in records {
        let (of, name) = match record.wildcard() {
            Some(suffix) => (&mut wildcards, wire(suffix)),
            None => (&mut exact, wire(&record.name)),
        };
        if let Some(name) = name {
            let set: &mut Set<'_> = of.entry(name).or_default();
            set.push(record);
        }
    }
    (exact, wildcards)
}

/// PTR records of the addresses of names, by reverse name. The loopback addresses have their own
/// rule (`dns 4.4`).
fn reverse(exact: &BTreeMap<Vec<u8>, Set<'_>>, ttl_seconds: u32) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut known = BTreeSet::new();
    let mut reverse: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
    // In the order in which they are written: the first is the name that most programs show.
    let mut all: Vec<_> = exact
        .iter()
        .flat_map(|(name, set)| set.iter().map(move |it| (name, *it)))
        .collect();
    all.sort_by_key(|(_, record)| std::ptr::from_ref(*record));
    for (name, record) in all {
        let RecordData::Address(address) = record.data else { continue };
        let is_plain = !address.is_unspecified() && !address.is_loopback();
        if is_plain && known.insert((address, name)) {
            let mut key = Vec::new();
            put_reverse_name(&mut key, address);
            let lead = reverse.entry(key).or_default();
            if lead.len() + LONGEST_NAME < MOST_OCTETS {
                put_record(
                    lead,
                    &[&OWNER],
                    PTR,
                    record.ttl_seconds.unwrap_or(ttl_seconds),
                    &[name],
                );
            }
        }
    }
    reverse
}

/// Names between `name` and the apex of its zone.
fn parents_of(name: &[u8], table: &AnswerTable) -> Vec<Vec<u8>> {
    let Some(zone) = table.zone_of(name) else { return Vec::new() };
    let above = std::iter::successors(parent(name), |name| parent(name));
    above
        .take_while(|name| name.len() > zone)
        .map(<[u8]>::to_vec)
        .collect()
}

fn put(table: &mut AnswerTable, name: &[u8], block: Block, level: Level) {
    let suffix = table.names.whole();
    table
        .names
        .replace(name, Entry { block, at: FIRST, suffix, level });
}

/// A node of `name`; an apex, and a name with records, keep what they have of other types than
/// `kind`.
fn begin(name: &[u8], table: &AnswerTable, kind: u16) -> Writer {
    let mut writer = Writer::new();
    match table.names.find(name) {
        Some(entry) if entry.node().is(APEX) || entry.level == Level::Static => {
            writer.node(&[name], WHOLE | entry.node().flags() & APEX);
            let kept = entry.node().bodies().filter(|(of, ..)| *of != kind);
            kept.for_each(|body| writer.copy(body));
        }
        _ => {
            writer.node(&[name], WHOLE);
        }
    }
    writer
}

fn encode(name: &[u8], set: &Set<'_>, table: &AnswerTable) -> Block {
    let mut writer = begin(name, table, 0);
    let is_apex = table
        .names
        .find(name)
        .is_some_and(|entry| entry.node().is(APEX));
    let is_alias = |record: &&&StaticRecord| matches!(record.data, RecordData::Alias(_));
    match is_apex {
        // An apex has records already, beside which no alias can stand.
        true => {
            let others: Set<'_> = set.iter().filter(|it| !is_alias(it)).copied().collect();
            fill(&mut writer, &others, table.ttl_seconds);
        }
        false => fill(&mut writer, set, table.ttl_seconds),
    }
    writer.finish()
}

/// The records of a name for the node begun last.
fn fill(writer: &mut Writer, set: &Set<'_>, ttl_seconds: u32) {
    let ttl = |record: &StaticRecord| record.ttl_seconds.unwrap_or(ttl_seconds);
    let alias = set.iter().find_map(|record| match &record.data {
        RecordData::Alias(target) => Some((wire(target)?, ttl(record))),
        _ => None,
    });
    if let Some((target, ttl_seconds)) = alias {
        return writer.alias(ttl_seconds, &target);
    }
    for kind in [A, AAAA, TXT, SRV, MX] {
        let of_kind = || set.iter().filter(|record| kind_of(&record.data) == kind);
        // One TTL for all records of a type (RFC 2181 §5.2).
        let Some(ttl_seconds) = of_kind().map(|record| ttl(record)).min() else { continue };
        let mut lead = Vec::new();
        let mut known = BTreeSet::new();
        for record in of_kind() {
            let mut one = Vec::new();
            put_data(&mut one, &record.data, ttl_seconds);
            if lead.len() + one.len() < MOST_OCTETS && known.insert(one.clone()) {
                lead.extend_from_slice(&one);
            }
        }
        match kind {
            A | AAAA => writer.rows(kind, &lead),
            _ => writer.literal(kind, &lead, &[]),
        }
    }
}

fn kind_of(data: &RecordData) -> u16 {
    match data {
        RecordData::Address(IpAddr::V4(_)) => A,
        RecordData::Address(IpAddr::V6(_)) => AAAA,
        RecordData::Alias(_) => 0,
        RecordData::Text(_) => TXT,
        RecordData::Service { .. } => SRV,
        RecordData::Mail { .. } => MX,
    }
}

/// One record; nothing for a target that is no name on the wire.
fn put_data(out: &mut Vec<u8>, data: &RecordData, ttl_seconds: u32) {
    let owner: [&[u8]; 1] = [&OWNER];
    match data {
        RecordData::Address(address) => {
            put_address(out, &owner, kind_of(data), ttl_seconds, *address)
        }
        RecordData::Alias(_) => {}
        RecordData::Text(texts) => {
            let mut octets = Vec::new();
            for text in texts {
                // A text has at most 255 octets.
                octets.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
                octets.extend_from_slice(text.as_bytes());
            }
            put_record(out, &owner, TXT, ttl_seconds, &[&octets]);
        }
        RecordData::Service { priority, weight, port, target } => {
            let Some(target) = wire(target) else { return };
            let [priority, weight, port] = [priority, weight, port].map(|it| it.to_be_bytes());
            put_record(out, &owner, SRV, ttl_seconds, &[&priority, &weight, &port, &target]);
        }
        RecordData::Mail { preference, exchange } => {
            let Some(exchange) = wire(exchange) else { return };
            put_record(out, &owner, MX, ttl_seconds, &[&preference.to_be_bytes(), &exchange]);
        }
    }
}

/// Of one type at one name: no message holds more.
const MOST_OCTETS: usize = 60_000;
