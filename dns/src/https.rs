//! Messages of DNS over HTTPS (RFC 8484; `dns 3.4`): somebody else speaks HTTP, this answers.
//!
//! Invariants: what is answered here goes through the same list of clients, the same answers and the
//! same counters as a message over TLS; a reply may be kept by the client no longer than its records.

use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::answer::{Outcome, Transport};
use crate::forward::message::record;
use crate::forward::{Begun, Forwarder};
use crate::question::{HEADER, skip_name};
use crate::serve::{Ends, Shared};
use crate::tally::{Tally, TallyEnds};
use crate::wire::{u16_at, u32_at};

/// Answers messages that came by other ways than the resolver's own listeners, on one worker.
#[derive(Clone, Debug)]
pub struct Resolver {
    shared: Shared,
    forwarder: Rc<Forwarder>,
    /// Counters of clients over IPv4 and over IPv6.
    tallies: [Arc<Tally>; 2],
}

/// A reply, and how long it may be kept.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Answered {
    /// The reply.
    pub message: Vec<u8>,
    /// Seconds: the least TTL of its records, for a negative answer that of its SOA; 0 for an error.
    pub max_age_seconds: u32,
}

impl Resolver {
    pub(crate) fn new(shared: Shared, forwarder: Rc<Forwarder>) -> Self {
        let tallies = ["1", "2"].map(|family| {
            let server = "https://".to_owned();
            shared
                .tallies
                .begin(TallyEnds { server, proto: "tcp", family })
        });
        Self { shared, forwarder, tallies }
    }

    /// Counts that a request was answered with this status of HTTP.
    pub fn told(&self, status: u16) {
        self.shared.metrics.https.told(status);
    }

    /// Answers a message of `client` that came to the address `local`; none where it is no question.
    pub async fn answer(&self, message: &[u8], client: IpAddr, local: IpAddr) -> Option<Answered> {
        let peer = SocketAddr::new(client, 0);
        let ends = Ends { peer, local, transport: Transport::Https, idle: Duration::ZERO };
        let (mut reply, request, began) = (Vec::new(), message.len(), Instant::now());
        let begun = {
            let now = self.shared.now();
            now.answer(message, ends, &self.forwarder, &mut reply)
        };
        let notes = self.shared.log.begin();
        let noted = notes.map(|notes| (notes, ends.noted(message)));
        let (message, outcome) = match begun {
            Begun::Said(outcome) => (reply, outcome),
            Begun::Waits(waiting) => {
                // Ends with whoever waits here.
                let gone = CancellationToken::new();
                let _gone = gone.clone().drop_guard();
                let (tell, told) = oneshot::channel();
                self.forwarder.wait(gone, async move {
                    let _ = tell.send(waiting.reply().await);
                });
                told.await.ok()?
            }
        };
        let tally = &self.tallies[usize::from(client.is_ipv6())];
        tally.count_late(outcome, request, message.len(), began);
        if matches!(outcome, Outcome::Ignored(_)) {
            return None;
        }
        if let Some((mut notes, noted)) = noted {
            notes.add(noted, &message, began.elapsed());
        }
        let max_age_seconds = max_age_seconds(&message).unwrap_or(0);
        Some(Answered { message, max_age_seconds })
    }
}

/// RFC 8484 5.1: the least TTL of the answer section; without one, what the SOA says of negative
/// answers (RFC 2308 5).
fn max_age_seconds(reply: &[u8]) -> Option<u32> {
    let rcode = reply.get(3)? & 0x0f;
    if !matches!(rcode, NO_ERROR | NX_DOMAIN) || u16_at(reply, 4)? != 1 {
        return None;
    }
    let mut at = skip_name(reply, HEADER)?.0 + 4;
    let answers = u16_at(reply, 6)?;
    let mut least = None;
    for _ in 0..answers {
        let found = record(reply, at)?;
        let ttl = found.ttl_seconds;
        least = Some(least.map_or(ttl, |least: u32| least.min(ttl)));
        at = found.end;
    }
    for _ in 0..u16_at(reply, 8)? {
        let found = record(reply, at)?;
        if least.is_none() && found.kind == SOA {
            let minimum = u32_at(reply, found.end.checked_sub(4)?)?;
            return Some(found.ttl_seconds.min(minimum));
        }
        at = found.end;
    }
    least
}

const NO_ERROR: u8 = 0;
const NX_DOMAIN: u8 = 3;
const SOA: u16 = 6;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::put_record;

    /// A reply with the records of each section.
    fn reply(rcode: u8, answers: &[(u16, u32)], soa: Option<(u32, u32)>) -> Vec<u8> {
        let count = |n: usize| u8::try_from(n).unwrap();
        let authorities = count(soa.iter().count());
        let mut out = vec![0, 1, 0x80, rcode, 0, 1, 0, count(answers.len()), 0, authorities, 0, 0];
        out.extend([1, b'a', 0, 0, 1, 0, 1]);
        for (kind, ttl) in answers {
            put_record(&mut out, &[&[0xc0, 12]], *kind, *ttl, &[&[127, 0, 0, 1]]);
        }
        if let Some((ttl, minimum)) = soa {
            let parts: [&[u8]; 3] = [&[0, 0], &[0; 16], &minimum.to_be_bytes()];
            put_record(&mut out, &[&[0]], SOA, ttl, &parts);
        }
        out
    }

    #[test]
    fn a_reply_is_kept_as_long_as_its_shortest_record() {
        for (case, reply, want) in [
            ("one", reply(0, &[(1, 5)], None), Some(5)),
            ("the least", reply(0, &[(5, 30), (1, 7), (1, 9)], Some((1, 1))), Some(7)),
            ("no name", reply(3, &[], Some((60, 30))), Some(30)),
            ("no data", reply(0, &[], Some((20, 30))), Some(20)),
            ("an alias to nothing", reply(3, &[(5, 8)], Some((3, 3))), Some(8)),
            ("no SOA", reply(0, &[], None), None),
            ("an error", reply(2, &[], Some((60, 30))), None),
            ("cut off", reply(0, &[(1, 5)], None)[..30].to_vec(), None),
            ("nothing", Vec::new(), None),
        ] {
            assert_eq!(max_age_seconds(&reply), want, "RFC 8484 5.1: {case}");
        }
    }
}
