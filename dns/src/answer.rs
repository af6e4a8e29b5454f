//! One message in, at most one message out: what the table says of a question (`dns 1`, `dns 3`).
//!
//! Invariants: no I/O, no clock, no panic on any input. How sections fit is `reply`'s work.

use std::net::{IpAddr, SocketAddr};

use crate::block::{APEX, ASKED, Body, Node};
use crate::options::RESERVE;
use crate::question::{Edns, FORMERR, HEADER, NOTIMP, NXDOMAIN, Query, REFUSED, Read, read};
use crate::reply::{Reply, row_length};
use crate::special::is_special;
use crate::table::{AnswerTable, Found};
use crate::wire::{
    A, AAAA, CNAME, OWNER, PTR, SOA, SRV, TXT, pointer, put_address, put_record, record_count,
    u32_at,
};
use crate::zones::Zone;

/// How a message came.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Transport {
    /// One datagram.
    Udp,
    /// Length-prefixed in a stream.
    Tcp,
    /// The same behind TLS.
    Tls,
    /// The body of a request over HTTPS.
    Https,
}

/// What became of a message, for the counters.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Outcome {
    /// Nothing is sent; it is counted there.
    Ignored(Zone),
    /// `out` holds a reply.
    Reply {
        /// The low four bits of the response code.
        rcode: u8,
        /// What was asked.
        heard: Heard,
    },
    /// `out` holds what is said where nobody else is asked: the name, or the one that an alias of ours
    /// leads to, is not ours.
    Elsewhere {
        /// As above.
        rcode: u8,
        /// As above.
        heard: Heard,
        /// Whether the search path goes on where that is denied (`dns 1.12`).
        goes_on: bool,
    },
}

/// What is counted of a question.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Heard {
    /// QTYPE, 0 where it could not be read.
    pub(crate) kind: u16,
    /// Whose name it is.
    pub(crate) zone: Zone,
    /// DNSSEC OK.
    pub(crate) dnssec_ok: bool,
}

impl Heard {
    /// Of nobody's name.
    pub(crate) fn dropped(kind: u16, edns: Option<Edns>) -> Self {
        let dnssec_ok = edns.is_some_and(|edns| edns.dnssec_ok);
        Self { kind, zone: Zone::DROPPED, dnssec_ok }
    }

    /// The same in `zone`.
    pub(crate) fn within(self, zone: Zone) -> Self {
        Self { zone, ..self }
    }
}

/// Answers `message` into `out`, which is emptied first.
pub(crate) fn answer(
    message: &[u8],
    peer: SocketAddr,
    local: IpAddr,
    transport: Transport,
    table: &AnswerTable,
    out: &mut Vec<u8>,
) -> Outcome {
    answer_beyond(0, message, (peer, local), transport, table, out)
}

/// The same where so many names elsewhere on the client's search path have been denied (`dns 1.12`).
pub(crate) fn answer_beyond(
    denied: usize,
    message: &[u8],
    (peer, local): (SocketAddr, IpAddr),
    transport: Transport,
    table: &AnswerTable,
    out: &mut Vec<u8>,
) -> Outcome {
    out.clear();
    if is_reflector(peer, transport) {
        return Outcome::Ignored(Zone::DROPPED);
    }
    let (rcode, heard) = match read(message, table.udp_size) {
        Read::Ignore => return Outcome::Ignored(Zone::DROPPED),
        Read::Fault { rcode, question, edns } => {
            let mut reply = Reply::begin(message, question, edns, out);
            reply.rcode = rcode;
            (reply.finish(), Heard::dropped(0, edns))
        }
        Read::Query(query) => {
            let mut reply = Reply::begin(message, query.question, query.edns, out);
            reply.limit = limit(transport, query.edns);
            reply.denied = denied;
            reply.query(&query, (peer.ip(), local), table);
            let heard = Heard::dropped(query.kind, query.edns).within(reply.zone);
            let (is_elsewhere, goes_on) = (reply.is_elsewhere, reply.goes_on);
            let rcode = reply.finish();
            if is_elsewhere {
                return Outcome::Elsewhere { rcode, heard, goes_on };
            }
            (rcode, heard)
        }
    };
    Outcome::Reply { rcode, heard }
}

/// The most octets of a reply (`dns 3.3`).
pub(crate) fn limit(transport: Transport, edns: Option<Edns>) -> usize {
    let most = match (transport, edns) {
        (Transport::Tcp | Transport::Tls | Transport::Https, _) => usize::from(u16::MAX),
        (Transport::Udp, None) => 512,
        (Transport::Udp, Some(edns)) => usize::from(edns.size.clamp(512, edns.own_size.max(512))),
    };
    // What options may take is kept free.
    match edns.is_some_and(|edns| edns.has_options) {
        true => most - RESERVE,
        false => most,
    }
}

/// Whether the message is from a port whose service answers whatever comes: a loop (`dns 3.1`).
pub(crate) fn is_reflector(peer: SocketAddr, transport: Transport) -> bool {
    transport == Transport::Udp && matches!(peer.port(), 0 | 7 | 13 | 17 | 19 | 37)
}

impl Reply<'_> {
    /// `client` asks, and came to `local`.
    fn query(&mut self, query: &Query<'_>, (client, local): (IpAddr, IpAddr), table: &AnswerTable) {
        if query.edns.is_some_and(|edns| edns.version > 0) {
            self.extended_rcode = 1;
            return;
        }
        match (query.class, query.kind) {
            (1, 253 | 254) => self.rcode = NOTIMP,
            (1, 0 | 41 | 128..=250) => self.rcode = FORMERR,
            (1, 251 | 252) => self.refuse(PROHIBITED),
            (1, kind) => match table.find(query.key.wire()) {
                Found::Outside => self.outside(query, table),
                Found::Missing(zone) => {
                    self.zone = table.counted_as(query.key.wire(), zone);
                    self.flags |= AUTHORITATIVE;
                    if self.autopath(query.key.wire(), zone, kind, client, table) {
                        return;
                    }
                    self.rcode = NXDOMAIN;
                    self.negative(query.key.wire(), table, Some(zone));
                    self.is_elsewhere = table.falls_through(query.key.wire());
                }
                Found::Pod(address) => {
                    self.zone = table.counted_as(query.key.wire(), 0);
                    self.flags |= AUTHORITATIVE;
                    self.pod(query.key.wire(), kind, table, address);
                }
                Found::Node(node, suffix) => {
                    self.zone = table.counted_as(query.key.wire(), suffix.len());
                    self.flags |= AUTHORITATIVE;
                    self.node(query.key.wire(), kind, local, table, node, suffix);
                }
            },
            (CH, TXT) => self.chaos(query.key.wire(), table),
            _ => self.refuse(NOT_AUTHORITATIVE),
        }
    }

    /// What the server says of itself (`dns 3.9`), where settings let it.
    fn chaos(&mut self, key: &[u8], table: &AnswerTable) {
        let text = table.chaos.as_ref().and_then(|chaos| match key {
            b"\x07version\x04bind\0" | b"\x07version\x06server\0" => Some(VERSION),
            b"\x08hostname\x04bind\0" | b"\x02id\x06server\0" => chaos.server.as_deref(),
            _ => None,
        });
        let Some((text, length)) = text.and_then(|it| Some((it, u8::try_from(it.len()).ok()?)))
        else {
            return self.refuse(NOT_AUTHORITATIVE);
        };
        self.flags |= AUTHORITATIVE;
        self.out.extend_from_slice(&OWNER);
        // TXT, CH, a TTL of 0 (RFC 4892 §3).
        self.out
            .extend_from_slice(&[0, 16, 0, 3, 0, 0, 0, 0, 0, length + 1, length]);
        self.out.extend_from_slice(text.as_bytes());
        self.answers = 1;
    }

    pub(crate) fn refuse(&mut self, error: u16) {
        self.rcode = REFUSED;
        self.error = Some(error);
    }

    /// What a Pod's name says of `kind` (`dns 1.9`).
    fn pod(&mut self, key: &[u8], kind: u16, table: &AnswerTable, address: IpAddr) {
        let start = self.out.len();
        match kind {
            ANY => self.out.extend_from_slice(HINFO),
            kind => put_address(self.out, &[&OWNER], kind, table.ttl_seconds, address),
        }
        if self.out.len() > start {
            self.answers = 1;
        } else {
            self.negative(key, table, table.zone_of(key));
        }
    }

    /// What `node`, found under `key`, says of `kind`; `suffix` is the part of names in its block
    /// that does not lie there.
    fn node(
        &mut self,
        key: &[u8],
        kind: u16,
        local: IpAddr,
        table: &AnswerTable,
        node: Node<'_>,
        suffix: &[u8],
    ) {
        let start = self.out.len();
        match kind {
            ANY => {
                self.out.extend_from_slice(HINFO);
                self.answers = 1;
                return;
            }
            A | AAAA if node.is(ASKED) => {
                put_address(self.out, &[&OWNER], kind, table.ttl_seconds, local);
                if self.out.len() > start {
                    self.answers = 1;
                    return;
                }
            }
            SOA if node.is(APEX) => {
                table.put_soa(self.out, &OWNER, key.len());
                self.answers = 1;
                self.fit(start);
                return;
            }
            CNAME | A | AAAA => {
                if let Some(target) = table.alias(&node, key) {
                    return self.chain(kind, table, target);
                }
            }
            _ => {}
        }
        match node.body(kind) {
            Some(Body::Rows(rows)) => self.rows(rows, kind, &OWNER),
            Some(Body::Literal { lead, additional }) => {
                self.out.extend_from_slice(lead);
                self.answers = record_count(lead);
                if self.fit(start) {
                    let before = self.out.len();
                    self.out.extend_from_slice(additional);
                    self.additionals = record_count(additional);
                    self.fit_additionals(before);
                }
            }
            Some(Body::Services(weight, pairs)) => {
                self.services(key.len(), table, node, suffix, weight, pairs);
                if self.fit(start) {
                    self.targets(key, node, suffix, pairs);
                }
            }
            Some(Body::Pointers(targets)) => {
                let zone = table.names.primary();
                for target in targets.chunks_exact(4).filter_map(|place| u32_at(place, 0)) {
                    let data = [node.beside(target).name(), zone];
                    put_record(self.out, &[&OWNER], PTR, table.ttl_seconds, &data);
                    self.answers += 1;
                }
                self.fit(start);
            }
            Some(Body::Alias) | None => self.negative(key, table, table.zone_of(key)),
        }
    }

    /// SRV records, in the zone that was asked (`dns 1.5`), as it was spelt (`dns 1.11`); the name of
    /// the question has `length` octets.
    fn services(
        &mut self,
        length: usize,
        table: &AnswerTable,
        node: Node<'_>,
        suffix: &[u8],
        weight: u16,
        pairs: &[u8],
    ) {
        for pair in pairs.chunks_exact(PAIR) {
            // What is too long already will be cut as a whole.
            if self.out.len() > self.limit {
                return;
            }
            let target = node.beside(u32_at(pair, 0).unwrap_or(0)).name();
            let port = pair.get(4..).unwrap_or_default();
            let data = [&[0, 0], &weight.to_be_bytes()[..], port, target, suffix];
            put_record(self.out, &[&OWNER], SRV, table.ttl_seconds, &data);
            // The name was found below `suffix`, so its question ends in it.
            let end = HEADER + length;
            let place = self.out.len() - suffix.len();
            self.out.copy_within(end - suffix.len()..end, place);
            self.answers += 1;
        }
    }

    /// The addresses of SRV targets. Their names end in the part of the question that is the
    /// Service's; never so in SRV data (RFC 2782).
    fn targets(&mut self, key: &[u8], node: Node<'_>, suffix: &[u8], pairs: &[u8]) {
        let before = self.out.len();
        let home = node.home().name().len();
        let base = pointer(HEADER + key.len().saturating_sub(home + suffix.len()));
        let mut last = None;
        for place in pairs.chunks_exact(PAIR).filter_map(|pair| u32_at(pair, 0)) {
            if self.out.len() > self.limit {
                break;
            }
            if last.replace(place) == Some(place) {
                continue;
            }
            let target = node.beside(place);
            let name = target.name();
            let label = name
                .get(..name.len().saturating_sub(home))
                .unwrap_or_default();
            for kind in [A, AAAA] {
                let Some(Body::Rows(rows)) = target.body(kind) else { continue };
                for row in rows.chunks_exact(row_length(kind)) {
                    self.out.extend_from_slice(label);
                    self.out.extend_from_slice(&base);
                    self.out
                        .extend_from_slice(row.get(OWNER.len()..).unwrap_or_default());
                    self.additionals += 1;
                }
            }
        }
        self.fit_additionals(before);
    }

    /// A CNAME, and behind it what we know of its target (`dns 1.7`).
    pub(crate) fn chain(&mut self, kind: u16, table: &AnswerTable, first: (u32, &[u8])) {
        let start = self.out.len();
        let mut owner = OWNER;
        let (mut ttl_seconds, mut current) = first;
        for length in 1..=LONGEST_CHAIN {
            let at = self.out.len() + RECORD;
            put_record(self.out, &[&owner], CNAME, ttl_seconds, &[current]);
            self.answers += 1;
            owner = pointer(at);
            if kind == CNAME {
                break;
            }
            let end = self.out.len();
            let node = match table.find(current) {
                Found::Outside => {
                    self.is_elsewhere = !is_special(current);
                    break;
                }
                Found::Missing(zone) => {
                    self.rcode = NXDOMAIN;
                    self.absolute_soa(table, current, Some(zone));
                    self.is_elsewhere = table.falls_through(current);
                    break;
                }
                Found::Pod(address) => {
                    put_address(self.out, &[&owner], kind, table.ttl_seconds, address);
                    if self.out.len() == end {
                        self.absolute_soa(table, current, table.zone_of(current));
                    } else {
                        self.answers += 1;
                    }
                    break;
                }
                Found::Node(node, _) => node,
            };
            match (table.alias(&node, current), node.body(kind)) {
                (Some(target), _) if length < LONGEST_CHAIN => (ttl_seconds, current) = target,
                (Some(_), _) => break,
                _ if node.is(ASKED) => break,
                (None, Some(Body::Rows(rows))) if self.out.len() <= self.room() => {
                    return self.rows(rows, kind, &owner);
                }
                (None, Some(_)) => break,
                (None, None) => {
                    self.absolute_soa(table, current, table.zone_of(current));
                    break;
                }
            }
        }
        self.is_elsewhere &= self.fit(start) && kind != CNAME;
    }

    /// The SOA of a negative answer to `key`.
    pub(crate) fn negative(&mut self, key: &[u8], table: &AnswerTable, zone: Option<usize>) {
        // A host outside every zone is a zone of its own (`dns 2`).
        let length = zone.unwrap_or(key.len()).min(key.len());
        table.put_soa(self.out, &pointer(HEADER + key.len() - length), length);
        self.authorities = 1;
    }

    /// The SOA of a name that the question does not hold.
    fn absolute_soa(&mut self, table: &AnswerTable, name: &[u8], zone: Option<usize>) {
        let start = name.len() - zone.unwrap_or(name.len()).min(name.len());
        let zone = name.get(start..).unwrap_or_default();
        table.put_soa(self.out, zone, zone.len());
        self.authorities = 1;
    }
}

/// The class of what servers say of themselves.
const CH: u16 = 3;
/// At most 255 octets.
const VERSION: &str = concat!("portico-", env!("CARGO_PKG_VERSION"));
/// AA.
pub(crate) const AUTHORITATIVE: u16 = 0x0400;
/// CNAMEs that are followed (`dns 1.7`).
const LONGEST_CHAIN: usize = 10;
/// Octets of a record in front of its data, behind an owner that is a pointer.
const RECORD: usize = 12;
/// Octets of one SRV target.
const PAIR: usize = 6;
pub(crate) const ANY: u16 = 255;
/// EDE: the client may not ask this.
pub(crate) const PROHIBITED: u16 = 18;
/// EDE: we are not ready yet.
pub(crate) const NOT_READY: u16 = 14;
/// EDE: nobody who knows the name is asked.
pub(crate) const NOT_AUTHORITATIVE: u16 = 20;
/// The one answer to ANY (RFC 8482): TTL 8482.
pub(crate) const HINFO: &[u8] =
    b"\xc0\x0c\x00\x0d\x00\x01\x00\x00\x21\x22\x00\x1b\x0dANY obsoleted\x0cSee RFC 8482";
