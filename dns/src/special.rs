//! Names that mean the same everywhere and are never asked of anybody (`dns 4.4`).
//!
//! `localhost` is this host (RFC 6761); `invalid`, `onion` (RFC 7686) and `alt` (RFC 9476) are nobody,
//! and so is `test`, unless an upstream is meant for it. Invariants: pure; a name of ours comes first.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::answer::{ANY, HINFO, NOT_AUTHORITATIVE, NOT_READY};
use crate::question::{NXDOMAIN, Query, SERVFAIL};
use crate::reply::Reply;
use crate::table::AnswerTable;
use crate::wire::{A, AAAA, OWNER, PTR, is_within, put_record};
use crate::zones::Zone;

/// Whether a name that is not ours is nobody's to ask, `test` left aside.
pub(crate) fn is_special(name: &[u8]) -> bool {
    let nobody = NOBODY.iter().filter(|zone| **zone != TEST);
    LOOPBACK.contains(&name) || nobody.chain([&LOCALHOST]).any(|zone| is_within(name, zone))
}

impl Reply<'_> {
    /// What is said of a name that is not ours.
    pub(crate) fn outside(&mut self, query: &Query<'_>, table: &AnswerTable) {
        let key = query.key.wire();
        self.zone = Zone::SPECIAL;
        if is_within(key, LOCALHOST) {
            return self.localhost(key, query.kind, table);
        }
        if LOOPBACK.contains(&key) {
            let data = (query.kind == PTR).then_some((PTR, LOCALHOST));
            return self.special(key, (query.kind, key.len()), data, table);
        }
        let nobody = NOBODY.iter().find(|zone| is_within(key, zone));
        match nobody {
            Some(zone) => {
                self.rcode = NXDOMAIN;
                self.negative(key, table, Some(zone.len()));
                self.is_elsewhere = *zone == TEST;
            }
            None if !table.is_loaded => {
                self.rcode = SERVFAIL;
                self.error = Some(NOT_READY);
            }
            None => {
                self.zone = Zone::DROPPED;
                self.refuse(NOT_AUTHORITATIVE);
                self.is_elsewhere = true;
            }
        }
    }

    fn localhost(&mut self, key: &[u8], kind: u16, table: &AnswerTable) {
        let (v4, v6) = (Ipv4Addr::LOCALHOST.octets(), Ipv6Addr::LOCALHOST.octets());
        let data: Option<(u16, &[u8])> = match kind {
            A => Some((A, &v4)),
            AAAA => Some((AAAA, &v6)),
            _ => None,
        };
        self.special(key, (kind, LOCALHOST.len()), data, table);
    }

    /// One record, or none of `kind` in a zone that is this long.
    fn special(
        &mut self,
        key: &[u8],
        (kind, zone): (u16, usize),
        data: Option<(u16, &[u8])>,
        table: &AnswerTable,
    ) {
        match data {
            _ if kind == ANY => {
                self.out.extend_from_slice(HINFO);
                self.answers = 1;
            }
            Some((kind, data)) => {
                put_record(self.out, &[&OWNER], kind, table.ttl_seconds, &[data]);
                self.answers = 1;
            }
            None => self.negative(key, table, Some(zone)),
        }
    }
}

const LOCALHOST: &[u8] = b"\x09localhost\0";
const TEST: &[u8] = b"\x04test\0";
const NOBODY: [&[u8]; 4] = [b"\x07invalid\0", b"\x05onion\0", b"\x03alt\0", TEST];
/// The reverse names of 127.0.0.1 and ::1.
const LOOPBACK: [&[u8]; 2] = [
    b"\x011\x010\x010\x03127\x07in-addr\x04arpa\0",
    b"\x011\x010\x010\x010\x010\x010\x010\x010\x010\x010\x010\x010\x010\x010\x010\x010\
      \x010\x010\x010\x010\x010\x010\x010\x010\x010\x010\x010\x010\x010\x010\x010\x010\x03ip6\x04arpa\0",
];
