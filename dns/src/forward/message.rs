//! Messages to and from upstreams, as octets: what is asked and which reply may be believed.
//!
//! A reply is never encoded again: its records stay as they came, and only header, question and OPT
//! are ours (`dns 4.1`). Invariants: pure; every read is checked against the message's end;
//! compression pointers are followed backwards only.

use crate::question::{HEADER, skip_name};
use crate::wire::{LONGEST_NAME, u16_at, u32_at};

/// What is asked of upstreams, whoever asks it of us.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Ask {
    /// The name on the wire, in lower case.
    pub(crate) name: Box<[u8]>,
    /// QTYPE.
    pub(crate) kind: u16,
    /// RD, AD and CD of the header, as the client sent them.
    pub(crate) flags: u16,
    /// DNSSEC OK.
    pub(crate) dnssec_ok: bool,
    /// Whose answer it is: that of everybody's upstreams, or of some network's.
    pub(crate) route: u16,
}

/// Whether a reply belongs to a query.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Match {
    /// It does.
    Same,
    /// It does but for the letters of the name, which were a secret (0x20).
    OtherCase,
    /// A refusal that repeats no question, as FORMERR may.
    Bare,
    /// It does not: forged, or late for another.
    Foreign,
}

/// A record in a message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record {
    /// Where its owner begins.
    pub(crate) at: usize,
    pub(crate) kind: u16,
    /// Where its TTL stands.
    pub(crate) ttl_at: usize,
    pub(crate) ttl_seconds: u32,
    /// Where its data begins, and where it ends.
    pub(crate) data: usize,
    pub(crate) end: usize,
}

impl Ask {
    /// What the cache finds an answer by; all that makes one differ from another.
    pub(crate) fn key(&self) -> Box<[u8]> {
        let flags = self.flags | u16::from(self.dnssec_ok);
        let words = [self.kind, flags, self.route].map(u16::to_be_bytes);
        [&self.name[..], &words.concat()].concat().into()
    }

    /// The query with `id`; `letters` decides the case of the name's letters, a bit each.
    pub(crate) fn query(&self, id: u16, letters: [u8; LETTERS], with_opt: bool) -> Vec<u8> {
        let mut query = Vec::with_capacity(HEADER + self.name.len() + 4 + OPT.len());
        query.extend_from_slice(&id.to_be_bytes());
        query.extend_from_slice(&self.flags.to_be_bytes());
        query.extend_from_slice(&[0, 1, 0, 0, 0, 0, 0, u8::from(with_opt)]);
        query.extend(self.name.iter().enumerate().map(|(index, octet)| {
            let bits = letters.get(index / 8).copied().unwrap_or(0);
            // Length octets are below 64 and so never letters.
            if bits >> (index % 8) & 1 == 1 { octet.to_ascii_uppercase() } else { *octet }
        }));
        query.extend_from_slice(&self.kind.to_be_bytes());
        query.extend_from_slice(&[0, 1]);
        if with_opt {
            query.extend_from_slice(&OPT);
            if let (true, Some(octet)) =
                (self.dnssec_ok, query.len().checked_sub(4).and_then(|at| query.get_mut(at)))
            {
                *octet = 0x80;
            }
        }
        query
    }

    /// Where the question ends in a query, and in every reply that repeats it.
    pub(crate) fn question_end(&self) -> usize {
        HEADER + self.name.len() + 4
    }
}

/// Whether `reply` answers `query`, one of ours whose question ends at `end`.
pub(crate) fn compare(query: &[u8], end: usize, reply: &[u8]) -> Match {
    let (Some(id), Some(flags)) = (reply.get(..2), u16_at(reply, 2)) else { return Match::Foreign };
    let is_reply = flags & 0xf800 == 0x8000;
    if query.get(..2) != Some(id) || !is_reply {
        return Match::Foreign;
    }
    let asked = query.get(HEADER..end);
    let repeated = reply.get(HEADER..end);
    match (u16_at(reply, 4), asked, repeated) {
        (Some(1), Some(asked), Some(repeated)) if asked == repeated => Match::Same,
        (Some(1), Some(asked), Some(repeated)) if asked.eq_ignore_ascii_case(repeated) => {
            Match::OtherCase
        }
        (Some(0), ..) if matches!(flags & 15, 1 | 4) => Match::Bare,
        _ => Match::Foreign,
    }
}

/// The record that begins at `at`.
pub(crate) fn record(message: &[u8], at: usize) -> Option<Record> {
    let (owner_end, _) = skip_name(message, at)?;
    let data = owner_end + 10;
    let end = data + usize::from(u16_at(message, owner_end + 8)?);
    message.get(data..end)?;
    Some(Record {
        at,
        kind: u16_at(message, owner_end)?,
        ttl_at: owner_end + 4,
        ttl_seconds: ttl(u32_at(message, owner_end + 4)?),
        data,
        end,
    })
}

/// Appends the name at `at` in lower case and without compression; where it ends in the message.
/// Nothing is appended where it is none.
pub(crate) fn expand(message: &[u8], at: usize, name: &mut Vec<u8>) -> Option<usize> {
    let begin = name.len();
    let end = expand_at(message, at, name, begin);
    if end.is_none() {
        name.truncate(begin);
    }
    end
}

fn expand_at(message: &[u8], at: usize, name: &mut Vec<u8>, begin: usize) -> Option<usize> {
    let (mut at, mut lowest, mut end) = (at, at, None);
    loop {
        match *message.get(at)? {
            0 => {
                name.push(0);
                let fits = name.len() - begin <= LONGEST_NAME;
                return fits.then(|| end.unwrap_or(at + 1));
            }
            length @ 1..=63 => {
                let label = message.get(at..=at + usize::from(length))?;
                name.extend(label.iter().map(u8::to_ascii_lowercase));
                at += 1 + usize::from(length);
            }
            0xc0.. => {
                let target = usize::from(u16_at(message, at)? & 0x3fff);
                // Each pointer leads before the one before it, so that none is followed twice.
                if target >= lowest {
                    return None;
                }
                end = end.or(Some(at + 2));
                (at, lowest) = (target, target);
            }
            _ => return None,
        }
        if name.len() - begin > LONGEST_NAME {
            return None;
        }
    }
}

/// RFC 2181 §8: one with the highest bit set is 0.
fn ttl(seconds: u32) -> u32 {
    if seconds > i32::MAX.unsigned_abs() { 0 } else { seconds }
}

/// Octets that decide the case of a name's letters.
pub(crate) const LETTERS: usize = 32;
/// Our OPT: the size that we take, and no option.
const OPT: [u8; 11] = [0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 0];

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_proto::op::Message;

    fn ask(name: &str, dnssec_ok: bool) -> Ask {
        let name = crate::wire::wire(name).unwrap().into();
        Ask { name, kind: 1, flags: 0x0110, dnssec_ok, route: 0 }
    }

    #[test]
    fn a_query_is_what_the_client_asked_with_an_opt_of_ours() {
        let query = ask("www.example.org", true).query(0x1234, [0xff; LETTERS], true);
        let message = Message::from_vec(&query).unwrap();
        assert_eq!(message.queries[0].name().to_string(), "WWW.EXAMPLE.ORG.");
        assert!(message.metadata.recursion_desired && message.metadata.checking_disabled);
        let edns = message.edns.unwrap();
        assert_eq!((edns.max_payload(), edns.flags().dnssec_ok), (1232, true));
        let plain = ask("www.example.org", true).query(1, [0; LETTERS], false);
        let message = Message::from_vec(&plain).unwrap();
        assert!(message.edns.is_none());
        assert_eq!(message.queries[0].name().to_string(), "www.example.org.");
    }

    #[test]
    fn only_the_reply_to_a_query_is_believed() {
        let ask = ask("a.example", false);
        let query = ask.query(0x0102, [0x55; LETTERS], true);
        let end = ask.question_end();
        type Change = fn(&mut Vec<u8>);
        let reply = |change: Change| {
            let mut reply = query.clone();
            reply[2] |= 0x80;
            change(&mut reply);
            compare(&query, end, &reply)
        };
        let cases: [(&str, Change, Match); 11] = [
            ("as asked", |_| {}, Match::Same),
            ("another id", |it| it[0] ^= 1, Match::Foreign),
            ("a query", |it| it[2] &= 0x7f, Match::Foreign),
            ("another opcode", |it| it[2] |= 0x28, Match::Foreign),
            ("another name", |it| it[13] = b'b', Match::Foreign),
            ("another case", |it| it[13] ^= 0x20, Match::OtherCase),
            ("another type", |it| it[24] = 28, Match::Foreign),
            ("two questions", |it| it[5] = 2, Match::Foreign),
            ("cut", |it| it.truncate(20), Match::Foreign),
            ("FORMERR alone", |it| (it[3], it[5]) = (1, 0), Match::Bare),
            ("NOERROR alone", |it| it[5] = 0, Match::Foreign),
        ];
        for (case, change, want) in cases {
            assert_eq!(reply(change), want, "{case}");
        }
        assert_eq!(compare(&query, end, &[]), Match::Foreign);
    }

    #[test]
    fn names_are_expanded_and_loops_are_none() {
        let message = b"\x01A\x00\x01b\xc0\x00\xc0\x03\xc0\x09\xc0\x0d\xc0\x0b\x40a";
        for (case, at, want) in [
            ("plain", 0, Some((&b"\x01a\0"[..], 3))),
            ("with a pointer", 3, Some((b"\x01b\x01a\0", 7))),
            ("two pointers", 7, Some((b"\x01b\x01a\0", 9))),
            ("to itself", 9, None),
            ("forwards", 11, None),
            ("in a circle", 13, None),
            ("an unknown label", 15, None),
            ("past the end", 99, None),
        ] {
            let mut name = vec![9];
            let end = expand(message, at, &mut name);
            assert_eq!(end.map(|end| (&name[1..], end)), want, "{case}");
            assert!(end.is_some() || name == [9], "{case}: nothing is left behind");
        }
        let long = [[&[63][..], &[b'x'; 63]].concat().repeat(5), vec![0]].concat();
        assert_eq!(expand(&long, 0, &mut Vec::new()), None, "too long");
    }
}
