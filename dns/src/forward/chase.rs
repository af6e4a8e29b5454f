//! A CNAME of ours that leads outside, and what upstreams say of its target behind it (`dns 1.7`).
//!
//! The reply of ours and theirs have different questions, so theirs is written out without
//! compression. Invariants: pure; the response code is that of the last name (RFC 6604); where no
//! upstream says anything, SERVFAIL with the CNAME.

use super::message::{Ask, expand, record};
use super::response::{Age, Client, Response, put_opt};
use crate::answer::{Heard, Outcome};
use crate::question::{HEADER, NXDOMAIN, SERVFAIL, skip_name};
use crate::reply::{OPT, TRUNCATED};
use crate::wire::{CNAME, u16_at};

/// Where the last CNAME of our reply leads, if its answer ends in one.
pub(crate) fn target(reply: &[u8]) -> Option<Vec<u8>> {
    let (mut at, mut last) = (question_end(reply)?, None);
    for _ in 0..u16_at(reply, 6)? {
        let record = record(reply, at)?;
        at = record.end;
        last = Some(record);
    }
    let last = last.filter(|record| record.kind == CNAME)?;
    let mut name = Vec::new();
    expand(reply, last.data, &mut name)?;
    Some(name)
}

/// Whether our reply says that there is no such name.
pub(crate) fn is_denied(reply: &[u8]) -> bool {
    reply.get(3).is_some_and(|flags| flags & 0x0f == NXDOMAIN)
}

/// Turns our reply into one that says that nobody could be asked.
pub(crate) fn fail(reply: &mut [u8], heard: Heard) -> Outcome {
    let rcode = SERVFAIL;
    if let Some(octet) = reply.get_mut(3) {
        *octet = *octet & 0xf0 | rcode;
    }
    Outcome::Reply { rcode, heard }
}

/// Writes our CNAMEs, and what was said of their target, into `out`, which is empty; the low four
/// bits of the response code.
pub(crate) fn write(
    chain: &[u8],
    client: &Client<'_>,
    ask: &Ask,
    response: &Response,
    age: Age,
    out: &mut Vec<u8>,
) -> u8 {
    let end = answers_end(chain).unwrap_or(HEADER);
    out.extend_from_slice(chain.get(..end).unwrap_or_default());
    let rcode = match response.rcode() {
        0 => 0,
        3 => 3,
        _ => SERVFAIL,
    };
    let errors = response.errors_told(client, age);
    let opt = client.edns.map_or(0, |_| OPT + errors.len());
    let room = client.limit.saturating_sub(opt);
    let mut flags = u16_at(chain, 2).unwrap_or(0) & !(0x000f | TRUNCATED) | AVAILABLE;
    let mut counts = [u16_at(chain, 6).unwrap_or(0), 0];
    let records = match rcode {
        SERVFAIL => Vec::new(),
        _ => response.written_out(ask, age),
    };
    for (section, record) in records {
        if out.len() + record.len() > room {
            flags |= TRUNCATED;
            break;
        }
        out.extend_from_slice(&record);
        if let Some(count) = counts.get_mut(section) {
            *count += 1;
        }
    }
    let additionals = u16::from(client.edns.is_some());
    let words = [client.id, flags | u16::from(rcode), 1, counts[0], counts[1], additionals];
    for (place, word) in out.chunks_exact_mut(2).zip(words) {
        place.copy_from_slice(&word.to_be_bytes());
    }
    if let Some(edns) = client.edns {
        put_opt(out, edns, 0, &errors);
    }
    rcode
}

fn question_end(reply: &[u8]) -> Option<usize> {
    (u16_at(reply, 4)? == 1).then_some(())?;
    skip_name(reply, HEADER).map(|(end, _)| end + 4)
}

fn answers_end(reply: &[u8]) -> Option<usize> {
    let mut at = question_end(reply)?;
    for _ in 0..u16_at(reply, 6)? {
        at = record(reply, at)?.end;
    }
    Some(at)
}

/// RA.
const AVAILABLE: u16 = 0x0080;
