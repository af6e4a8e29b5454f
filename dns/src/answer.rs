//! One message in, at most one message out: header, table, size limit (`dns 3`).
//!
//! Invariants: no I/O, no clock, no panic on any input; a reply never exceeds its transport's limit
//! and no record is split.

use std::net::{IpAddr, SocketAddr};

use crate::question::{
    Edns, FORMERR, HEADER, NOTIMP, NXDOMAIN, Query, REFUSED, Read, read, u16_at,
};
use crate::table::{AnswerTable, Body, Found, Node, rows};

/// How a message came.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Transport {
    /// One datagram.
    Udp,
    /// Length-prefixed in a stream.
    Tcp,
}

/// What became of a message, for the counters.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Outcome {
    /// Nothing is sent.
    Ignored,
    /// `out` holds a reply.
    Reply {
        /// The low four bits of the response code.
        rcode: u8,
        /// QTYPE, 0 where it could not be read.
        kind: u16,
    },
}

/// The datagram that we take and the largest that we send.
pub(crate) const UDP_SIZE: u16 = 1232;

struct Reply<'a> {
    flags: u16,
    rcode: u8,
    question: &'a [u8],
    edns: Option<Edns>,
    extended_rcode: u8,
    error: Option<u16>,
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
    out.clear();
    // Ports whose services answer whatever comes: a loop (`dns 3.1`).
    if transport == Transport::Udp && matches!(peer.port(), 0 | 7 | 13 | 17 | 19 | 37) {
        return Outcome::Ignored;
    }
    let kind = match read(message) {
        Read::Ignore => return Outcome::Ignored,
        Read::Fault { rcode, question, edns } => {
            let mut reply = Reply::new(message, question, edns);
            reply.rcode = rcode;
            reply.write(message, out, Sections::default());
            0
        }
        Read::Query(query) => {
            answer_query(message, &query, local, transport, table, out);
            query.kind
        }
    };
    let rcode = out.get(3).copied().unwrap_or_default() & 15;
    Outcome::Reply { rcode, kind }
}

fn answer_query(
    message: &[u8],
    query: &Query<'_>,
    local: IpAddr,
    transport: Transport,
    table: &AnswerTable,
    out: &mut Vec<u8>,
) {
    let limit = match (transport, query.edns) {
        (Transport::Tcp, _) => usize::from(u16::MAX),
        (Transport::Udp, None) => 512,
        (Transport::Udp, Some(edns)) => usize::from(edns.size.clamp(512, UDP_SIZE)),
    };
    let mut reply = Reply::new(message, query.question, query.edns);
    let refused = |reply: &mut Reply<'_>, error| {
        reply.rcode = REFUSED;
        reply.error = Some(error);
    };
    if query.edns.is_some_and(|edns| edns.version > 0) {
        reply.extended_rcode = 1;
        return reply.write(message, out, Sections::default());
    }
    match (query.class, query.kind) {
        (1, 253 | 254) => reply.rcode = NOTIMP,
        (1, 0 | 41 | 128..=250) => reply.rcode = FORMERR,
        (1, 251 | 252) => refused(&mut reply, PROHIBITED),
        (1, kind) => match table.find(query.key.wire()) {
            Found::Outside => refused(&mut reply, NOT_AUTHORITATIVE),
            Found::Missing(zone) => {
                reply.rcode = NXDOMAIN;
                return negative(&mut reply, message, query, table, zone, out);
            }
            Found::Node(node, zone) => {
                if kind == ANY {
                    reply.flags |= AUTHORITATIVE;
                    return reply.write(
                        message,
                        out,
                        Sections { lead: HINFO, ..Sections::default() },
                    );
                }
                if node.asked {
                    let row = rows(table.ttl_seconds, kind, &[local], &[0xc0, 12]);
                    if !row.is_empty() {
                        reply.flags |= AUTHORITATIVE;
                        return reply.write(
                            message,
                            out,
                            Sections { lead: &row, ..Sections::default() },
                        );
                    }
                }
                return match body_for(node, kind) {
                    Some(body) => positive(&mut reply, message, body, limit, out),
                    None => negative(&mut reply, message, query, table, zone, out),
                };
            }
        },
        _ => refused(&mut reply, NOT_AUTHORITATIVE),
    }
    reply.write(message, out, Sections::default());
}

fn body_for(node: &Node, kind: u16) -> Option<&Body> {
    node.bodies.iter().find(|body| body.kind == kind)
}

fn negative(
    reply: &mut Reply<'_>,
    message: &[u8],
    query: &Query<'_>,
    table: &AnswerTable,
    zone: Option<usize>,
    out: &mut Vec<u8>,
) {
    let name = query.key.wire().len();
    // A host outside every zone is a zone of its own (`dns 2`).
    let start = HEADER + name - zone.unwrap_or(name).min(name);
    let soa = table.soa(start, HEADER + name - start);
    reply.flags |= AUTHORITATIVE;
    reply.write(message, out, Sections { authority: &soa, ..Sections::default() });
}

fn positive(reply: &mut Reply<'_>, message: &[u8], body: &Body, limit: usize, out: &mut Vec<u8>) {
    reply.flags |= AUTHORITATIVE;
    reply.rcode = body.rcode;
    let free = limit.saturating_sub(HEADER + reply.question.len() + reply.options_length());
    let fixed = body.lead.len() + body.authority.len();
    let whole = fixed + body.rows.len() <= free;
    let (mut rows, mut lead, mut authority): (&[u8], &[u8], &[u8]) =
        (&body.rows, &body.lead, &body.authority);
    if !whole {
        reply.flags |= TRUNCATED;
        authority = &[];
        if body.row_length == 0 || body.lead.len() > free {
            (rows, lead) = (&[], &[]);
        }
    }
    let fitting = (free - lead.len().min(free))
        .checked_div(body.row_length)
        .unwrap_or(0)
        * body.row_length;
    let additional: &[u8] = if whole && fixed + body.rows.len() + body.additional.len() <= free {
        &body.additional
    } else {
        &[]
    };
    // The message's own random ID turns the rows: no state, and every client its own order.
    let turn = match rows.len().checked_div(body.row_length) {
        Some(count) if count > 1 => {
            usize::from(u16_at(message, 0).unwrap_or(0)) % count * body.row_length
        }
        _ => 0,
    };
    let (second, first) = rows.split_at_checked(turn).unwrap_or((&[], rows));
    let kept_first = first.get(..fitting.min(first.len())).unwrap_or_default();
    let kept_second = second
        .get(..(fitting - kept_first.len()).min(second.len()))
        .unwrap_or_default();
    reply.write(
        message,
        out,
        Sections { lead, first: kept_first, second: kept_second, authority, additional },
    );
}

#[derive(Default)]
struct Sections<'a> {
    lead: &'a [u8],
    first: &'a [u8],
    second: &'a [u8],
    authority: &'a [u8],
    additional: &'a [u8],
}

impl<'a> Reply<'a> {
    fn new(message: &[u8], question: &'a [u8], edns: Option<Edns>) -> Self {
        // Opcode, RD and CD are repeated; RA stays 0: nothing is forwarded.
        let flags = 0x8000 | (u16_at(message, 2).unwrap_or(0) & 0x7910);
        Self { flags, rcode: 0, question, edns, extended_rcode: 0, error: None }
    }

    fn options_length(&self) -> usize {
        let error = if self.error.is_some() { 6 } else { 0 };
        if self.edns.is_some() { 11 + error } else { 0 }
    }

    fn write(&self, message: &[u8], out: &mut Vec<u8>, sections: Sections<'_>) {
        let answers = [sections.lead, sections.first, sections.second].map(record_count);
        let count = |number: usize| u16::try_from(number).unwrap_or(u16::MAX).to_be_bytes();
        out.extend_from_slice(message.get(..2).unwrap_or(&[0, 0]));
        out.extend((self.flags | u16::from(self.rcode)).to_be_bytes());
        out.extend(count(usize::from(!self.question.is_empty())));
        out.extend(count(answers.iter().sum()));
        out.extend(count(record_count(sections.authority)));
        out.extend(count(record_count(sections.additional) + usize::from(self.edns.is_some())));
        out.extend_from_slice(self.question);
        out.extend_from_slice(sections.lead);
        out.extend_from_slice(sections.first);
        out.extend_from_slice(sections.second);
        out.extend_from_slice(sections.authority);
        out.extend_from_slice(sections.additional);
        let Some(edns) = self.edns else { return };
        out.extend([0, 0, 41]);
        out.extend(UDP_SIZE.to_be_bytes());
        out.extend([self.extended_rcode, 0, if edns.dnssec_ok { 0x80 } else { 0 }, 0]);
        match self.error {
            Some(error) => {
                out.extend([0, 6, 0, 15, 0, 2]);
                out.extend(error.to_be_bytes());
            }
            None => out.extend([0, 0]),
        }
    }
}

/// Records in bytes that we encoded ourselves.
fn record_count(mut bytes: &[u8]) -> usize {
    let mut count = 0;
    while let Some(&length) = bytes.first() {
        match length {
            0xc0.. => {
                let Some(data) = u16_at(bytes, 10) else { return count };
                bytes = bytes.get(12 + usize::from(data)..).unwrap_or_default();
                count += 1;
            }
            0 => {
                let Some(data) = u16_at(bytes, 9) else { return count };
                bytes = bytes.get(11 + usize::from(data)..).unwrap_or_default();
                count += 1;
            }
            label => bytes = bytes.get(1 + usize::from(label)..).unwrap_or_default(),
        }
    }
    count
}

const AUTHORITATIVE: u16 = 0x0400;
const TRUNCATED: u16 = 0x0200;
const ANY: u16 = 255;
const PROHIBITED: u16 = 18;
const NOT_AUTHORITATIVE: u16 = 20;
/// The one answer to ANY (RFC 8482): TTL 8482.
const HINFO: &[u8] =
    b"\xc0\x0c\x00\x0d\x00\x01\x00\x00\x21\x22\x00\x1b\x0dANY obsoleted\x0cSee RFC 8482";
