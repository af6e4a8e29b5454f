//! A client's question, kept while others are asked about it, and its reply from what they say.

use super::chase;
use super::message::Ask;
use super::response::{Age, Client, Response};
use crate::answer::{Heard, Transport, limit};
use crate::question::{Edns, Query};

/// A client's question, kept while it waits.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) id: u16,
    pub(super) flags: u16,
    pub(super) question: Box<[u8]>,
    pub(super) heard: Heard,
    pub(super) edns: Option<Edns>,
    pub(super) limit: usize,
    /// Our own CNAMEs that lead to what is asked, as a reply (`dns 1.7`).
    pub(super) chain: Option<Vec<u8>>,
}

impl Asked {
    /// The question in `message`; `chain`: our own CNAMEs that lead there, as a reply.
    pub(super) fn new(
        message: &[u8],
        query: &Query<'_>,
        transport: Transport,
        chain: Option<Vec<u8>>,
        heard: Heard,
    ) -> Self {
        let word = |at| crate::wire::u16_at(message, at).unwrap_or(0);
        Self {
            id: word(0),
            flags: word(2),
            question: query.question.into(),
            heard,
            edns: query.edns,
            limit: limit(transport, query.edns),
            chain,
        }
    }

    /// Writes the reply, with what upstreams said of `ask`; its code, low four bits.
    pub(super) fn write(&self, ask: &Ask, response: &Response, age: Age, out: &mut Vec<u8>) -> u8 {
        let client = Client {
            id: self.id,
            flags: self.flags,
            question: &self.question,
            kind: self.heard.kind,
            edns: self.edns,
            limit: self.limit,
        };
        match &self.chain {
            Some(chain) => chase::write(chain, &client, ask, response, age, out),
            None => response.write(&client, age, out),
        }
    }
}
