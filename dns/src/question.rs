//! Reads a query from the wire: the order of checks of `dns 3.1`, and nothing of answers.
//!
//! Invariants: no I/O, no allocation; nothing is sized by a header count; every read is checked
//! against the message's end. A question never holds a compression pointer.

use crate::options::{COOKIE, has_cookie};
use crate::wire::u16_at;

/// A query that may be looked up.
#[derive(Debug)]
pub(crate) struct Query<'a> {
    /// The question as sent: name, type, class.
    pub(crate) question: &'a [u8],
    /// The name in lower case, with its final zero.
    pub(crate) key: Name,
    /// QTYPE.
    pub(crate) kind: u16,
    /// QCLASS.
    pub(crate) class: u16,
    /// What the OPT record says, where there is one.
    pub(crate) edns: Option<Edns>,
}

/// A name on the wire, at most 255 octets.
#[derive(Clone, Debug)]
pub(crate) struct Name {
    bytes: [u8; 255],
    length: usize,
}

impl Name {
    /// Labels with their lengths and the final zero.
    pub(crate) fn wire(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

/// The part of an OPT record that decides something.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Edns {
    /// The largest datagram that the client takes.
    pub(crate) size: u16,
    /// The largest that we send, and say that we take.
    pub(crate) own_size: u16,
    /// EDNS version, 0 is the only one.
    pub(crate) version: u8,
    /// DNSSEC OK, copied.
    pub(crate) dnssec_ok: bool,
    /// Whether it holds options, which may want room in the reply.
    pub(crate) has_options: bool,
}

/// What a message turned out to be.
#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "it lives on the stack for one message; a box allocates"
)]
pub(crate) enum Read<'a> {
    /// Not to be answered at all.
    Ignore,
    /// Answered with an error; the question is repeated where it could be read.
    Fault { rcode: u8, question: &'a [u8], edns: Option<Edns> },
    /// A question.
    Query(Query<'a>),
}

/// FORMERR.
pub(crate) const FORMERR: u8 = 1;
/// SERVFAIL.
pub(crate) const SERVFAIL: u8 = 2;
/// NXDOMAIN.
pub(crate) const NXDOMAIN: u8 = 3;
/// NOTIMP.
pub(crate) const NOTIMP: u8 = 4;
/// REFUSED.
pub(crate) const REFUSED: u8 = 5;
/// Bytes of a header.
pub(crate) const HEADER: usize = 12;

/// Reads `message`; `own_size` is the largest datagram that we send.
pub(crate) fn read(message: &[u8], own_size: u16) -> Read<'_> {
    let fault = |rcode, question, edns| Read::Fault { rcode, question, edns };
    let Some(flags) = u16_at(message, 2) else { return Read::Ignore };
    if message.len() < HEADER || flags & 0x8000 != 0 {
        return Read::Ignore;
    }
    if flags & 0x7800 != 0 {
        return fault(NOTIMP, &[], None);
    }
    let count = |at| u16_at(message, at).unwrap_or(0);
    if count(4) != 1 {
        // A client may ask for a cookie alone (RFC 7873 §5.4).
        let is_bare = [4, 6, 8].into_iter().all(|at| count(at) == 0);
        let edns = options(message, HEADER, usize::from(count(10)), own_size)
            .ok()
            .flatten();
        return match edns.filter(|edns| is_bare && edns.version == 0 && has_cookie(message)) {
            Some(edns) => fault(0, &[], Some(edns)),
            None => fault(FORMERR, &[], None),
        };
    }
    let Some((key, end)) = question_name(message) else { return fault(FORMERR, &[], None) };
    let (Some(kind), Some(class)) = (u16_at(message, end), u16_at(message, end + 2)) else {
        return fault(FORMERR, &[], None);
    };
    let question = message.get(HEADER..end + 4).unwrap_or_default();
    // IXFR alone carries a record in authority.
    if count(6) != 0 || (count(8) != 0 && kind != 251) {
        return fault(FORMERR, question, None);
    }
    let records = usize::from(count(8)) + usize::from(count(10));
    match options(message, end + 4, records, own_size) {
        Ok(edns) => Read::Query(Query { question, key, kind, class, edns }),
        Err(Malformed) => fault(FORMERR, question, None),
    }
}

struct Malformed;

/// Walks the records after the question for the one OPT.
fn options(
    message: &[u8],
    mut at: usize,
    records: usize,
    own_size: u16,
) -> Result<Option<Edns>, Malformed> {
    let mut found = None;
    for _ in 0..records {
        let (owner_end, is_root) = skip_name(message, at).ok_or(Malformed)?;
        let kind = u16_at(message, owner_end).ok_or(Malformed)?;
        let size = u16_at(message, owner_end + 2).ok_or(Malformed)?;
        let extended = u16_at(message, owner_end + 4).ok_or(Malformed)?;
        let flags = u16_at(message, owner_end + 6).ok_or(Malformed)?;
        let length = usize::from(u16_at(message, owner_end + 8).ok_or(Malformed)?);
        let data = owner_end + 10;
        let rdata = message.get(data..data + length).ok_or(Malformed)?;
        at = data + length;
        if kind != 41 {
            continue;
        }
        if found.is_some() || !is_root || !whole_options(rdata) {
            return Err(Malformed);
        }
        let [_, version] = extended.to_be_bytes();
        let (dnssec_ok, has_options) = (flags & 0x8000 != 0, !rdata.is_empty());
        found = Some(Edns { size, own_size, version, dnssec_ok, has_options });
    }
    Ok(found)
}

/// Whether every option ends within the record, and a cookie is as long as one may be (RFC 7873).
fn whole_options(mut rdata: &[u8]) -> bool {
    while !rdata.is_empty() {
        let (Some(code), Some(length)) = (u16_at(rdata, 0), u16_at(rdata, 2)) else { return false };
        if code == COOKIE && !matches!(length, 8 | 16..=40) {
            return false;
        }
        let Some(rest) = rdata.get(4 + usize::from(length)..) else { return false };
        rdata = rest;
    }
    true
}

/// The lower-cased name of the question and where it ends.
fn question_name(message: &[u8]) -> Option<(Name, usize)> {
    let mut at = HEADER;
    loop {
        let length = usize::from(*message.get(at)?);
        if length > 63 {
            return None;
        }
        at += 1 + length;
        if at - HEADER > 255 {
            return None;
        }
        if length == 0 {
            break;
        }
    }
    let mut name = Name { bytes: [0; 255], length: at - HEADER };
    let target = name.bytes.get_mut(..name.length)?;
    target.copy_from_slice(message.get(HEADER..at)?);
    // Length octets are below 64 and so never letters.
    target.make_ascii_lowercase();
    Some((name, at))
}

/// Past a record's owner, and whether it is the root; a pointer ends it and is not followed.
pub(crate) fn skip_name(message: &[u8], start: usize) -> Option<(usize, bool)> {
    let mut at = start;
    loop {
        match *message.get(at)? {
            0 => return Some((at + 1, at == start)),
            length @ 1..=63 => at += 1 + usize::from(length),
            0xc0.. => return message.get(at + 1).map(|_| (at + 2, false)),
            _ => return None,
        }
    }
}
