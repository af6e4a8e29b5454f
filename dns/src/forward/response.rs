//! What an upstream said, in the form in which it is kept and told to clients (`dns 4.1`, `dns 4.2`).
//!
//! ```text
//! reply ─read─▶ Response: records as they came, where their TTLs stand, how long they live
//!                  └─write─▶ header and question of the client, records, our OPT
//! ```
//!
//! Invariants: pure; what is written never exceeds the client's limit and no record is split. The
//! question is as long as it was, so that compression pointers stay right.

use std::time::Duration;

use super::message::{Ask, Record, expand, record};
use super::rebind::is_private;
use crate::question::{Edns, HEADER, NXDOMAIN, SERVFAIL};
use crate::reply::{OPT, TRUNCATED};
use crate::wire::{A, AAAA, CNAME, SOA, is_within, u16_at, u32_at};

/// What was said of one question.
#[derive(Clone, Debug)]
pub(crate) struct Response {
    /// AA, AD and TC of the header, and the low four bits of the response code.
    flags: u16,
    /// The other bits of the response code, from the OPT record.
    extended_rcode: u8,
    /// EDE options, whole (RFC 8914).
    errors: Box<[u8]>,
    /// Records, as they stood behind the question.
    records: Box<[u8]>,
    /// Per section how many, and where in `records` they end.
    sections: [Section; 3],
    /// Where in `records` TTLs stand.
    ttls: Box<[u16]>,
    /// How long it may be kept; none: not at all.
    life: Option<Life>,
    /// Whether its answer leads to a private network.
    holds_private: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Section {
    count: u16,
    end: usize,
}

/// How long a response may be kept.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Life {
    pub(crate) time: Duration,
    /// Whether it says that something is not there.
    pub(crate) is_denial: bool,
}

/// Who is told, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Client<'a> {
    pub(crate) id: u16,
    /// The flags of the question.
    pub(crate) flags: u16,
    /// The question as it was spelt.
    pub(crate) question: &'a [u8],
    pub(crate) kind: u16,
    pub(crate) edns: Option<Edns>,
    /// The most octets that it takes.
    pub(crate) limit: usize,
}

/// How old a response is when it is told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Age {
    /// It has just come.
    New,
    /// It was kept for this many seconds.
    Kept(u32),
    /// It has expired and stands in (RFC 8767).
    Stale,
}

impl Response {
    /// Reads a reply that belongs to `ask`; none where it is malformed.
    pub(crate) fn read(ask: &Ask, message: &[u8]) -> Option<Self> {
        let begin = ask.question_end();
        let flags = u16_at(message, 2)?;
        let mut response =
            Self { flags: flags & (AUTHORITATIVE | TRUNCATED | AUTHENTIC | 15), ..Self::empty() };
        let mut ttls = Vec::new();
        let (mut at, mut kept, mut found_opt) = (begin, begin, false);
        for (index, section) in response.sections.iter_mut().enumerate() {
            for _ in 0..u16_at(message, 6 + 2 * index)? {
                let record = record(message, at)?;
                at = record.end;
                if record.kind == OPT_RECORD {
                    let [extended_rcode, ..] = message.get(record.ttl_at..)?.first_chunk::<4>()?;
                    response.extended_rcode = *extended_rcode;
                    response.errors = errors(message.get(record.data..record.end)?);
                    found_opt = true;
                } else if !found_opt {
                    // What stands behind an OPT would move and is not needed (RFC 2181 §9).
                    ttls.push(u16::try_from(record.ttl_at - begin).ok()?);
                    let is_answer = index == 0;
                    let data = message.get(record.data..record.end).unwrap_or_default();
                    response.holds_private |= is_answer && is_private(record.kind, data);
                    (section.count, kept) = (section.count + 1, at);
                }
            }
            section.end = kept - begin;
        }
        response.records = message.get(begin..kept)?.into();
        response.ttls = ttls.into();
        response.life = response.life(ask, message);
        Some(response)
    }

    /// A response code alone.
    pub(crate) fn bare(rcode: u8) -> Self {
        Self { flags: u16::from(rcode), ..Self::empty() }
    }

    /// What is said where no upstream said anything; `error` is its EDE.
    pub(crate) fn failure(error: u16) -> Self {
        let [high, low] = error.to_be_bytes();
        Self {
            flags: SERVFAIL.into(),
            errors: [0, 15, 0, 2, high, low].into(),
            life: Some(Life { time: FAILURE, is_denial: true }),
            ..Self::empty()
        }
    }

    /// What is said in the place of a reply that leads to a private network: nothing of that type.
    pub(crate) fn blocked() -> Self {
        Self {
            errors: [0, 15, 0, 2, 0, BLOCKED].into(),
            life: Some(Life { time: FAILURE, is_denial: true }),
            ..Self::empty()
        }
    }

    /// One that lives this long, for tests of what keeps it.
    #[cfg(test)]
    pub(crate) fn living(time: Duration, records: &[u8]) -> Self {
        let life = Some(Life { time, is_denial: false });
        Self { life, records: records.into(), ..Self::empty() }
    }

    fn empty() -> Self {
        Self {
            flags: 0,
            extended_rcode: 0,
            errors: Box::default(),
            records: Box::default(),
            sections: [Section::default(); 3],
            ttls: Box::default(),
            life: None,
            holds_private: false,
        }
    }

    /// How long it may be kept.
    pub(crate) fn lifetime(&self) -> Option<Life> {
        self.life
    }

    /// Whether the upstream had more to say than fits a datagram.
    pub(crate) fn is_truncated(&self) -> bool {
        self.flags & TRUNCATED != 0
    }

    /// The response code with its extended bits.
    pub(crate) fn rcode(&self) -> u16 {
        u16::from(self.extended_rcode) << 4 | self.flags & 15
    }

    /// Whether its answer has an address of a private network.
    pub(crate) fn holds_private(&self) -> bool {
        self.holds_private
    }

    /// Whether it says that nothing could be found out.
    pub(crate) fn is_failure(&self) -> bool {
        self.rcode() == u16::from(SERVFAIL)
    }

    /// Octets that it takes in memory, about.
    pub(crate) fn size(&self) -> usize {
        size_of::<Self>() + self.records.len() + self.errors.len() + 2 * self.ttls.len()
    }

    /// Writes the reply to `client` into `out`, which is empty; the low four bits of its code.
    pub(crate) fn write(&self, client: &Client<'_>, age: Age, out: &mut Vec<u8>) -> u8 {
        let errors = self.errors_told(client, age);
        let opt = client.edns.map_or(0, |_| OPT + errors.len());
        out.extend_from_slice(&[0; HEADER]);
        out.extend_from_slice(client.question);
        let room = client.limit.saturating_sub(out.len() + opt);
        let (sections, end, is_cut) = self.fit(client.kind, room);
        let begin = out.len();
        out.extend_from_slice(self.records.get(..end).unwrap_or_default());
        self.age_ttls(age, out.get_mut(begin..).unwrap_or_default());
        let mut flags = RESPONSE | client.flags & ECHOED | AVAILABLE | self.flags & AUTHENTIC;
        if age == Age::New {
            flags |= self.flags & AUTHORITATIVE;
        }
        if is_cut {
            flags |= TRUNCATED;
        }
        // An extended code has no place without an OPT.
        let rcode = match client.edns {
            None if self.extended_rcode != 0 => SERVFAIL.into(),
            _ => self.flags & 15,
        };
        let additionals = sections[2] + u16::from(client.edns.is_some());
        let words = [client.id, flags | rcode, 1, sections[0], sections[1], additionals];
        for (place, word) in out.chunks_exact_mut(2).zip(words) {
            place.copy_from_slice(&word.to_be_bytes());
        }
        if let Some(edns) = client.edns {
            put_opt(out, edns, self.extended_rcode, &errors);
        }
        u8::try_from(rcode).unwrap_or(0)
    }

    /// The EDE options for `client`; none where they alone would not fit.
    pub(crate) fn errors_told(&self, client: &Client<'_>, age: Age) -> Vec<u8> {
        let mut errors = match client.edns {
            Some(_) => self.errors.to_vec(),
            None => Vec::new(),
        };
        if age == Age::Stale {
            let code = if self.rcode() == u16::from(NXDOMAIN) { 19 } else { 3 };
            errors.extend_from_slice(&[0, 15, 0, 2, 0, code]);
        }
        let longest = client
            .limit
            .saturating_sub(HEADER + client.question.len() + OPT);
        if errors.len() > longest { Vec::new() } else { errors }
    }

    /// How much of it fits: records of each section, their octets, and whether TC says that more
    /// was there (`dns 3.3`).
    fn fit(&self, kind: u16, room: usize) -> ([u16; 3], usize, bool) {
        let [answers, authorities, additionals] = self.sections;
        if additionals.end <= room {
            return ([answers.count, authorities.count, additionals.count], additionals.end, false);
        }
        // The additional section goes first, and is not missed.
        if authorities.end <= room {
            return ([answers.count, authorities.count, 0], authorities.end, false);
        }
        if !matches!(kind, A | AAAA) {
            return ([0; 3], 0, true);
        }
        let (mut count, mut end) = (0, 0);
        while count < answers.count {
            match record(&self.records, end) {
                Some(record) if record.end <= room => (count, end) = (count + 1, record.end),
                _ => break,
            }
        }
        ([count, 0, 0], end, true)
    }

    fn age_ttls(&self, age: Age, records: &mut [u8]) {
        let seconds = match age {
            Age::New => return,
            Age::Kept(seconds) => seconds,
            Age::Stale => 0,
        };
        for at in self.ttls.iter().map(|at| usize::from(*at)) {
            // Sections that were left out have no TTL.
            let Some(place) = records.get_mut(at..at + 4) else { break };
            let before = u32_at(place, 0).unwrap_or(0);
            let after = if age == Age::Stale { STALE_TTL } else { before.saturating_sub(seconds) };
            place.copy_from_slice(&after.to_be_bytes());
        }
    }

    /// The records of answer and authority with their names written out, aged, for a reply whose
    /// question is another (`dns 1.7`): in wire form, each with its section.
    pub(crate) fn written_out(&self, ask: &Ask, age: Age) -> Vec<(usize, Vec<u8>)> {
        let mut message = vec![0; HEADER];
        message.extend_from_slice(&ask.name);
        message.extend_from_slice(&[0; 4]);
        let begin = message.len();
        message.extend_from_slice(&self.records);
        self.age_ttls(age, message.get_mut(begin..).unwrap_or_default());
        let (mut all, mut at) = (Vec::new(), begin);
        for (section, count) in self.sections.iter().map(|it| it.count).enumerate().take(2) {
            for _ in 0..count {
                let Some(record) = record(&message, at) else { return all };
                at = record.end;
                all.extend(write_out(&message, &record).map(|it| (section, it)));
            }
        }
        all
    }

    /// RFC 2308, RFC 9520 and RFC 8020: what may be kept, and how long.
    fn life(&self, ask: &Ask, message: &[u8]) -> Option<Life> {
        if self.is_truncated() {
            return None;
        }
        let (mut shortest, mut found, mut at) = (MOST_SECONDS, false, ask.question_end());
        let mut last = ask.name.to_vec();
        for _ in 0..self.sections[0].count {
            let record = record(message, at)?;
            at = record.end;
            shortest = shortest.min(record.ttl_seconds);
            found |= record.kind == ask.kind;
            let mut owner = Vec::new();
            if record.kind == CNAME && ask.kind != CNAME {
                expand(message, record.at, &mut owner)?;
                if owner == last {
                    last.clear();
                    expand(message, record.data, &mut last)?;
                }
            }
        }
        let seconds = match self.rcode() {
            0 if found => return life(shortest, false),
            0 | 3 => shortest
                .min(self.denial(message, at, &last)?)
                .min(MOST_DENIAL_SECONDS),
            2 => return Some(Life { time: FAILURE, is_denial: true }),
            _ => return None,
        };
        life(seconds, true)
    }

    /// How long the SOA of a zone that holds `name` lets a denial live.
    fn denial(&self, message: &[u8], mut at: usize, name: &[u8]) -> Option<u32> {
        for _ in 0..self.sections[1].count {
            let record = record(message, at)?;
            at = record.end;
            let mut owner = Vec::new();
            if record.kind == SOA {
                expand(message, record.at, &mut owner)?;
                let minimum = u32_at(message, record.end.checked_sub(4)?)?;
                return is_within(name, &owner).then(|| record.ttl_seconds.min(minimum));
            }
        }
        None
    }
}

/// Appends our OPT with these options.
pub(crate) fn put_opt(out: &mut Vec<u8>, edns: Edns, extended_rcode: u8, options: &[u8]) {
    out.extend_from_slice(&[0, 0, 41]);
    out.extend_from_slice(&edns.own_size.to_be_bytes());
    let dnssec_ok = if edns.dnssec_ok { 0x80 } else { 0 };
    out.extend_from_slice(&[extended_rcode, 0, dnssec_ok, 0]);
    out.extend_from_slice(&u16::try_from(options.len()).unwrap_or(0).to_be_bytes());
    out.extend_from_slice(options);
}

fn life(seconds: u32, is_denial: bool) -> Option<Life> {
    (seconds > 0).then(|| Life { time: Duration::from_secs(seconds.into()), is_denial })
}

/// The EDE options of an OPT record's data.
fn errors(mut data: &[u8]) -> Box<[u8]> {
    let mut errors = Vec::new();
    while let (Some(code), Some(length)) = (u16_at(data, 0), u16_at(data, 2)) {
        let length = 4 + usize::from(length);
        let Some((option, rest)) = data.split_at_checked(length) else { break };
        if code == EDE && errors.len() + length <= MOST_ERROR_OCTETS {
            errors.extend_from_slice(option);
        }
        data = rest;
    }
    errors.into()
}

/// One record without compression; none where its data may hold names that cannot be written out.
fn write_out(message: &[u8], record: &Record) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let owner_end = expand(message, record.at, &mut out)?;
    out.extend_from_slice(message.get(owner_end..owner_end + 8)?);
    let length_at = out.len();
    out.extend_from_slice(&[0, 0]);
    match record.kind {
        CNAME | DNAME => {
            expand(message, record.data, &mut out)?;
        }
        SOA => {
            let second = expand(message, record.data, &mut out)?;
            let numbers = expand(message, second, &mut out)?;
            out.extend_from_slice(message.get(numbers..record.end)?);
        }
        // RFC 3597 §4: types since then hold no compressed names.
        A | AAAA | RRSIG | NSEC | NSEC3 => {
            out.extend_from_slice(message.get(record.data..record.end)?)
        }
        _ => return None,
    }
    let length = u16::try_from(out.len() - length_at - 2).ok()?;
    out.get_mut(length_at..length_at + 2)?
        .copy_from_slice(&length.to_be_bytes());
    Some(out)
}

const RESPONSE: u16 = 0x8000;
const AUTHORITATIVE: u16 = 0x0400;
const AVAILABLE: u16 = 0x0080;
const AUTHENTIC: u16 = 0x0020;
/// RD and CD, repeated from the question.
const ECHOED: u16 = 0x0110;
const OPT_RECORD: u16 = 41;
const EDE: u16 = 15;
/// Its code for what a policy keeps back (RFC 8914).
const BLOCKED: u8 = 15;
const DNAME: u16 = 39;
const RRSIG: u16 = 46;
const NSEC: u16 = 47;
const NSEC3: u16 = 50;
/// EDE options of one response; their texts may be long.
const MOST_ERROR_OCTETS: usize = 256;
/// The longest life of what is there, and of what is not, and of a failure (RFC 9520).
const MOST_SECONDS: u32 = 3600;
const MOST_DENIAL_SECONDS: u32 = 1800;
const FAILURE: Duration = Duration::from_secs(5);
/// TTL of what has expired (RFC 8767 §5.11).
const STALE_TTL: u32 = 30;

#[cfg(test)]
mod tests;
