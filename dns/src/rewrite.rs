//! Names that are asked as if they were others (`dns 4.6`), and replies under the name that was asked.
//!
//! ```text
//! message ─apply─▶ another question ─answer, forward─▶ reply ─restore─▶ its question, its names
//! ```
//!
//! A reply is written anew: the question is the client's, and a name in it that is the rewritten one, or
//! ends where a suffix rule leads, is turned back, so that who compares them is content. Invariants: comes
//! after the client list; pure; without rules it costs a look at an empty list for each message; what is
//! written keeps to the client's limit and splits no record.

use portico_config::model::Rewrite;

use crate::answer::{Transport, is_reflector, limit};
use crate::forward::message::{Record, expand, record};
use crate::question::{Edns, HEADER, Query, Read, read, skip_name};
use crate::reply::{OPT, TRUNCATED};
use crate::serve::Ends;
use crate::wire::{A, AAAA, CNAME, MX, NS, OWNER, PTR, SOA, SRV, u16_at, wire};
use crate::zones::dotted;

/// The rules, the first that is about a name counts.
#[derive(Debug, Default, Eq, PartialEq)]
pub(crate) struct Rewrites(pub(crate) Vec<Rewrite>);

/// What turns a reply back.
#[derive(Debug)]
pub(crate) struct Restore {
    /// As the client spelt it.
    question: Box<[u8]>,
    /// The name that was asked, and the one that is asked instead; lower case, on the wire.
    original: Box<[u8]>,
    rewritten: Box<[u8]>,
    rule: Rewrite,
    kind: u16,
    edns: Option<Edns>,
    limit: usize,
}

impl Rewrites {
    /// The message to answer in the place of `message`; none where no rule is about its name.
    pub(crate) fn apply(
        &self,
        message: &[u8],
        ends: Ends,
        own_size: u16,
    ) -> Option<(Vec<u8>, Restore)> {
        if self.0.is_empty() || is_reflector(ends.peer, ends.transport) {
            return None;
        }
        let Read::Query(query) = read(message, own_size) else { return None };
        let is_plain = query.class == 1 && query.edns.is_none_or(|edns| edns.version == 0);
        let (rule, rewritten) = self.name(query.key.wire()).filter(|_| is_plain)?;
        let rest = message.get(HEADER + query.key.wire().len()..)?;
        let other = [message.get(..HEADER)?, &rewritten, rest].concat();
        Some((other, Restore::new(&query, rule, rewritten, ends.transport)))
    }

    /// What is asked in the place of a name on the wire, and by which rule.
    pub(crate) fn name(&self, key: &[u8]) -> Option<(&Rewrite, Vec<u8>)> {
        let name = plain(key)?;
        let found = |rule| Some((rule, Rewrite::apply(rule, &name)?));
        let (rule, name) = self.0.iter().find_map(found)?;
        let rewritten = wire(&name).filter(|rewritten| rewritten != key)?;
        Some((rule, rewritten))
    }
}

/// A name in lower case with its final dot; none where it has letters that rules could mistake.
fn plain(key: &[u8]) -> Option<String> {
    let name = dotted(key);
    let is_plain = |octet| matches!(octet, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'*' | b'.');
    name.bytes().all(is_plain).then_some(name)
}

impl Restore {
    fn new(query: &Query<'_>, rule: &Rewrite, rewritten: Vec<u8>, transport: Transport) -> Self {
        Self {
            question: query.question.into(),
            original: query.key.wire().into(),
            rewritten: rewritten.into(),
            rule: rule.clone(),
            kind: query.kind,
            edns: query.edns,
            limit: limit(transport, query.edns),
        }
    }

    /// Turns `reply`, to the rewritten question, into one to the client's; what cannot be read stays.
    pub(crate) fn restore(&self, reply: &mut Vec<u8>) {
        if let Some(restored) = self.restored(reply) {
            *reply = restored;
        }
    }

    fn restored(&self, reply: &[u8]) -> Option<Vec<u8>> {
        let (end, _) = skip_name(reply, HEADER).filter(|_| u16_at(reply, 4) == Some(1))?;
        let mut out = [reply.get(..HEADER)?, &self.question].concat();
        let (mut at, mut counts, mut is_cut) = (end + 4, [0_u16; 3], false);
        let opt = last_opt(reply).unwrap_or_default();
        let room = self
            .limit
            .saturating_sub(opt.len().max(self.edns.map_or(0, |_| OPT)));
        for (section, count) in counts.iter_mut().enumerate() {
            for _ in 0..u16_at(reply, 6 + 2 * section)? {
                let record = record(reply, at)?;
                at = record.end;
                if record.kind == OPT_RECORD || is_cut {
                    continue;
                }
                let written = self.record(reply, &record)?;
                if out.len() + written.len() > room {
                    is_cut = true;
                } else {
                    out.extend_from_slice(&written);
                    *count += 1;
                }
            }
        }
        let [answers, authorities, additionals] = counts;
        let whole = [6, 8].map(|at| u16_at(reply, at).unwrap_or(0)) == [answers, authorities];
        let mut counts = [answers, authorities, additionals];
        if !whole {
            // The additional section alone is not missed (`dns 3.3`).
            *out.get_mut(2)? |= TC;
            if !matches!(self.kind, A | AAAA) {
                out.truncate(HEADER + self.question.len());
                counts = [0; 3];
            }
        }
        counts[2] += u16::from(!opt.is_empty());
        for (place, count) in out.get_mut(6..HEADER)?.chunks_exact_mut(2).zip(counts) {
            place.copy_from_slice(&count.to_be_bytes());
        }
        out.extend_from_slice(opt);
        Some(out)
    }

    /// One record with its names turned back and written out.
    fn record(&self, reply: &[u8], record: &Record) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        let owner_end = self.name(reply, record.at, &mut out)?;
        if *out == *self.original {
            out = OWNER.to_vec();
        }
        out.extend_from_slice(reply.get(owner_end..owner_end + 8)?);
        let length_at = out.len();
        out.extend_from_slice(&[0, 0]);
        let data = |from: usize| reply.get(from..record.end);
        match record.kind {
            NS | MD | MF | CNAME | MB | MG | MR | PTR | DNAME => {
                self.name(reply, record.data, &mut out)?;
            }
            MX | AFSDB | RT | KX => {
                out.extend_from_slice(reply.get(record.data..record.data + 2)?);
                self.name(reply, record.data + 2, &mut out)?;
            }
            SRV => {
                out.extend_from_slice(reply.get(record.data..record.data + 6)?);
                self.name(reply, record.data + 6, &mut out)?;
            }
            SOA | MINFO | RP => {
                // Whose zone it is is not turned back.
                let second = expand(reply, record.data, &mut out)?;
                let rest = expand(reply, second, &mut out)?;
                out.extend_from_slice(data(rest)?);
            }
            // RFC 3597 §4: types since then hold no compressed names.
            _ => out.extend_from_slice(data(record.data)?),
        }
        let length = u16::try_from(out.len() - length_at - 2).ok()?;
        out.get_mut(length_at..length_at + 2)?
            .copy_from_slice(&length.to_be_bytes());
        Some(out)
    }

    /// Appends the name at `at`, turned back; where it ends in the message.
    fn name(&self, reply: &[u8], at: usize, out: &mut Vec<u8>) -> Option<usize> {
        let mut name = Vec::new();
        let end = expand(reply, at, &mut name)?;
        let by_rule = || wire(&self.rule.back(&plain(&name)?)?);
        match *name == *self.rewritten {
            true => out.extend_from_slice(&self.original),
            false => out.extend_from_slice(&by_rule().unwrap_or_else(|| name.clone())),
        }
        Some(end)
    }
}

/// The OPT record with which a reply ends, if it does.
fn last_opt(reply: &[u8]) -> Option<&[u8]> {
    let (length_at, length) = crate::options::opt_length(reply)?;
    // Root, type, size, code, version and flags stand before the length.
    reply.get(length_at.checked_sub(9)?..length_at + 2 + length)
}

/// TC in the octet that holds it.
const TC: u8 = TRUNCATED.to_be_bytes()[0];
const OPT_RECORD: u16 = 41;
const MD: u16 = 3;
const MF: u16 = 4;
const MB: u16 = 7;
const MG: u16 = 8;
const MR: u16 = 9;
const MINFO: u16 = 14;
const RP: u16 = 17;
const AFSDB: u16 = 18;
const RT: u16 = 21;
const KX: u16 = 36;
const DNAME: u16 = 39;
