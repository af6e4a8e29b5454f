//! A reply in the making: sections behind header and question, cut to the transport's limit.
//!
//! Invariants: no I/O; what answers a question never exceeds the limit and no record of it is split;
//! octets are appended to the caller's buffer and nothing else is allocated. What goes into the sections is
//! `answer`'s to say.

use crate::question::{Edns, HEADER};
use crate::wire::{A, OWNER, u16_at};
use crate::zones::Zone;

/// The datagram that we take and the largest that we send, unless settings say otherwise.
pub(crate) const UDP_SIZE: u16 = 1232;

/// A reply in the making: header and question stand in `out`, sections follow in their order.
pub(crate) struct Reply<'a> {
    pub(crate) out: &'a mut Vec<u8>,
    /// The most octets that it may have, its OPT record among them.
    pub(crate) limit: usize,
    /// The message's own random ID turns the rows: no state, and every client its own order.
    id: u16,
    pub(crate) flags: u16,
    pub(crate) rcode: u8,
    questions: u16,
    pub(crate) answers: usize,
    pub(crate) authorities: usize,
    pub(crate) additionals: usize,
    pub(crate) edns: Option<Edns>,
    pub(crate) extended_rcode: u8,
    pub(crate) error: Option<u16>,
    /// Where it is counted.
    pub(crate) zone: Zone,
    /// Somebody else may know better.
    pub(crate) is_elsewhere: bool,
    /// Names elsewhere on a search path that were denied already, and are passed over.
    pub(crate) denied: usize,
    /// Whether the search path goes on behind the name elsewhere to which the reply leads.
    pub(crate) goes_on: bool,
}

impl<'a> Reply<'a> {
    /// Begins the reply to `message` in `out`, which is empty.
    pub(crate) fn begin(
        message: &[u8],
        question: &[u8],
        edns: Option<Edns>,
        out: &'a mut Vec<u8>,
    ) -> Self {
        out.extend_from_slice(&[0; HEADER]);
        out.extend_from_slice(question);
        Self {
            out,
            limit: usize::from(UDP_SIZE),
            id: u16_at(message, 0).unwrap_or(0),
            // Opcode, RD and CD are repeated; RA is said where it is known.
            flags: 0x8000 | (u16_at(message, 2).unwrap_or(0) & 0x7910),
            rcode: 0,
            questions: u16::from(!question.is_empty()),
            answers: 0,
            authorities: 0,
            additionals: 0,
            edns,
            extended_rcode: 0,
            error: None,
            zone: Zone::DROPPED,
            is_elsewhere: false,
            denied: 0,
            goes_on: false,
        }
    }

    /// A or AAAA records in turn, as many as fit (`dns 1.4`, `dns 3.3`).
    pub(crate) fn rows(&mut self, rows: &[u8], kind: u16, owner: &[u8; 2]) {
        let length = row_length(kind);
        let start = self.out.len();
        let fitting = self.room().saturating_sub(start) / length;
        let count = (rows.len() / length).min(fitting);
        if count < rows.len() / length {
            self.flags |= TRUNCATED;
        }
        let turn = match rows.len() / length {
            0 | 1 => 0,
            count => usize::from(self.id) % count * length,
        };
        let (second, first) = rows.split_at_checked(turn).unwrap_or((&[], rows));
        let kept = first.len().min(count * length);
        self.out
            .extend_from_slice(first.get(..kept).unwrap_or_default());
        self.out
            .extend_from_slice(second.get(..count * length - kept).unwrap_or_default());
        self.answers += count;
        if *owner != OWNER {
            for row in self
                .out
                .get_mut(start..)
                .unwrap_or_default()
                .chunks_exact_mut(length)
            {
                for (octet, of_owner) in row.iter_mut().zip(owner) {
                    *octet = *of_owner;
                }
            }
        }
    }

    /// Takes back all since `start` if it is too long; whether it was not.
    pub(crate) fn fit(&mut self, start: usize) -> bool {
        let fits = self.out.len() <= self.room();
        if !fits {
            self.out.truncate(start);
            (self.answers, self.authorities) = (0, 0);
            self.flags |= TRUNCATED;
        }
        fits
    }

    /// The additional section goes first where space is short, and is not missed (RFC 2181 §9).
    pub(crate) fn fit_additionals(&mut self, before: usize) {
        if self.out.len() > self.room() {
            self.out.truncate(before);
            self.additionals = 0;
        }
    }

    /// The octets up to the OPT record.
    pub(crate) fn room(&self) -> usize {
        let options = if self.edns.is_some() { OPT } else { 0 };
        self.limit.saturating_sub(options)
    }

    /// Writes the header and OPT; the low four bits of the response code.
    pub(crate) fn finish(self) -> u8 {
        let count = |number: usize| u16::try_from(number).unwrap_or(u16::MAX);
        let words = [
            self.id,
            self.flags | u16::from(self.rcode),
            self.questions,
            count(self.answers),
            count(self.authorities),
            count(self.additionals + usize::from(self.edns.is_some())),
        ];
        for (place, word) in self.out.chunks_exact_mut(2).zip(words) {
            place.copy_from_slice(&word.to_be_bytes());
        }
        if let Some(edns) = self.edns {
            self.out.extend_from_slice(&[0, 0, 41]);
            self.out.extend_from_slice(&edns.own_size.to_be_bytes());
            let dnssec_ok = if edns.dnssec_ok { 0x80 } else { 0 };
            self.out
                .extend_from_slice(&[self.extended_rcode, 0, dnssec_ok, 0]);
            match self.error {
                Some(error) => {
                    self.out.extend_from_slice(&[0, 6, 0, 15, 0, 2]);
                    self.out.extend_from_slice(&error.to_be_bytes());
                }
                None => self.out.extend_from_slice(&[0, 0]),
            }
        }
        self.rcode & 15
    }
}

/// Octets of one A or AAAA record.
pub(crate) fn row_length(kind: u16) -> usize {
    if kind == A { 16 } else { 28 }
}

/// TC.
pub(crate) const TRUNCATED: u16 = 0x0200;
/// An OPT record without options.
pub(crate) const OPT: usize = 11;
