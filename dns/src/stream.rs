//! One connection, plain or behind TLS (`dns 3.4`): messages as they come, replies as they are ready.
//!
//! Local answers keep the order of their questions and leave together, in one write; what upstreams
//! take longer for comes when it comes (RFC 7766 §6.2.1.1). Invariants: at most [`MOST_IN_HAND`]
//! questions wait, and nothing is read meanwhile; a message that has begun has [`MESSAGE`] to end;
//! who goes leaves nothing behind.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::answer::Outcome;
use crate::forward::{Begun, Forwarder};
use crate::places::Place;
use crate::query_log::Notes;
use crate::question::HEADER;
use crate::serve::{Ends, Late, Shared};
use crate::tally::Batched;
use crate::transfer::{self, Transfer};
use crate::wire::u16_at;

/// Serves a connection until the client has no more to ask, is too slow, or `stop` finds it idle.
pub(crate) async fn connection(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    ends: Ends,
    place: &Place,
    shared: &Shared,
    forwarder: &Rc<Forwarder>,
    stop: &CancellationToken,
) -> io::Result<()> {
    let gone = CancellationToken::new();
    let _ends_those_who_wait = gone.clone().drop_guard();
    let (later, mut late) = mpsc::channel::<Vec<u8>>(MOST_IN_HAND);
    let mut it = Connection {
        stream,
        ends,
        place,
        shared,
        forwarder,
        gone,
        later,
        incoming: Incoming::default(),
        reply: Vec::new(),
        framed: Vec::new(),
        in_hand: 0,
        batched: Batched::default(),
    };
    let mut has_more = true;
    let mut deadline = Instant::now() + place.idle();
    loop {
        if !it.answer().await? {
            return Ok(());
        }
        if !it.framed.is_empty() {
            it.flush().await?;
            let is_idle = it.incoming.is_empty();
            deadline = Instant::now() + if is_idle { place.idle() } else { MESSAGE };
            continue;
        }
        if it.in_hand == 0 {
            place.rests();
        }
        if !has_more && it.in_hand == 0 {
            // TLS says goodbye; nobody waits for it to arrive.
            return timeout(MESSAGE, it.stream.shutdown()).await?;
        }
        let was_empty = it.incoming.is_empty();
        tokio::select! {
            biased;
            Some(reply) = late.recv(), if it.in_hand > 0 => {
                it.in_hand -= 1;
                frame(&reply, &mut it.framed);
            }
            read = timeout_at(deadline, it.incoming.read(&mut it.stream)),
                if has_more && it.in_hand < MOST_IN_HAND =>
            {
                match read?? {
                    0 => has_more = false,
                    // One octet begins a message, and from then on it has its own time.
                    _ if was_empty => deadline = Instant::now() + MESSAGE,
                    _ => {}
                }
            }
            () = stop.cancelled(), if has_more && was_empty => has_more = false,
        }
    }
}

/// A connection and what is in hand of it.
struct Connection<'a, S> {
    stream: S,
    ends: Ends,
    place: &'a Place,
    shared: &'a Shared,
    forwarder: &'a Rc<Forwarder>,
    /// Ends what waits for upstreams.
    gone: CancellationToken,
    later: mpsc::Sender<Vec<u8>>,
    incoming: Incoming,
    reply: Vec<u8>,
    /// Replies that leave together.
    framed: Vec<u8>,
    /// Questions that wait.
    in_hand: usize,
    batched: Batched,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<'_, S> {
    /// Answers whole messages, as many as leave together; false where there is nothing to say to one.
    async fn answer(&mut self) -> io::Result<bool> {
        let began = std::time::Instant::now();
        let mut notes = self.shared.log.begin();
        let ends = Ends { idle: self.place.idle(), ..self.ends };
        while self.in_hand < MOST_IN_HAND && self.framed.len() < LONGEST_WRITE {
            let Some(message) = self.incoming.next()? else { break };
            self.place.works();
            let (shared, reply) = (self.shared, &mut self.reply);
            match shared.now().answer(message, ends, self.forwarder, reply) {
                Begun::Said(outcome) if transfer::is_asked(outcome) => {
                    let message = message.to_vec();
                    self.batched.took(&shared.tally, began);
                    self.transfer(&message, outcome, notes.as_mut()).await?;
                }
                Begun::Said(outcome) => {
                    shared.tally.count(outcome, message.len(), reply.len());
                    self.batched.push(outcome);
                    if matches!(outcome, Outcome::Ignored(_)) {
                        return Ok(false);
                    }
                    if let Some(notes) = &mut notes {
                        notes.add(ends.noted(message), reply, began.elapsed());
                    }
                    frame(reply, &mut self.framed);
                }
                Begun::Waits(waiting) => {
                    self.in_hand += 1;
                    let noted = notes.as_ref().map(|_| ends.noted(message));
                    let late = Late { ends, began, request: message.len(), noted };
                    let (shared, later) = (shared.clone(), self.later.clone());
                    self.forwarder.wait(self.gone.clone(), async move {
                        let reply = late.reply(*waiting, &shared).await;
                        // There is room for all who wait; it fails where the connection has ended.
                        let _ = later.send(reply).await;
                    });
                }
            }
        }
        self.batched.took(&self.shared.tally, began);
        Ok(true)
    }

    /// Sends what is ready.
    async fn flush(&mut self) -> io::Result<()> {
        timeout(MESSAGE, write(&mut self.stream, &self.framed)).await??;
        self.framed.clear();
        Ok(())
    }

    /// Sends a whole zone behind what is ready, or says why not (`dns 1.10`). A client that takes a
    /// message too slowly, or all of them, loses the connection.
    async fn transfer(
        &mut self,
        message: &[u8],
        refused: Outcome,
        notes: Option<&mut Notes>,
    ) -> io::Result<()> {
        let began = std::time::Instant::now();
        let Shared { transfers, table, tally, .. } = self.shared;
        let begun = transfers.begin(message, self.ends, table, refused, &mut self.reply);
        let (outcome, octets) = match begun {
            Err(outcome) => {
                frame(&self.reply, &mut self.framed);
                (outcome, self.reply.len())
            }
            Ok(mut transfer) => {
                let outcome = transfer.outcome();
                let all = self.send_zone(&mut transfer);
                (outcome, timeout(LONGEST_TRANSFER, all).await??)
            }
        };
        tally.count_late(outcome, message.len(), octets, began);
        if let Some(notes) = notes {
            // Of many messages the last, with the time that all of them took.
            notes.add(self.ends.noted(message), &self.reply, began.elapsed());
        }
        Ok(())
    }

    /// Sends each message once the one before has left; how many octets there were.
    async fn send_zone(&mut self, transfer: &mut Transfer) -> io::Result<usize> {
        transfer.prepare().await;
        let (mut octets, mut message) = (0, Vec::new());
        while transfer.next(&mut message) {
            std::mem::swap(&mut self.reply, &mut message);
            octets += self.reply.len();
            frame(&self.reply, &mut self.framed);
            self.flush().await?;
        }
        Ok(octets)
    }
}

async fn write(stream: &mut (impl AsyncWrite + Unpin), octets: &[u8]) -> io::Result<()> {
    stream.write_all(octets).await?;
    stream.flush().await
}

fn frame(reply: &[u8], framed: &mut Vec<u8>) {
    framed.extend(u16::try_from(reply.len()).unwrap_or(0).to_be_bytes());
    framed.extend_from_slice(reply);
}

/// Octets that were read, the messages in them one by one.
#[derive(Debug, Default)]
struct Incoming {
    buffer: Vec<u8>,
    /// Where what was not yet handed out begins.
    begin: usize,
}

impl Incoming {
    /// Reads more; how many octets came. Nothing is lost where it is given up.
    async fn read(&mut self, stream: &mut (impl AsyncRead + Unpin)) -> io::Result<usize> {
        self.buffer.drain(..self.begin);
        self.begin = 0;
        self.buffer.reserve(READ);
        stream.read_buf(&mut self.buffer).await
    }

    /// The next whole message; fails where it is too short to be one.
    fn next(&mut self) -> io::Result<Option<&[u8]>> {
        let rest = self.buffer.get(self.begin..).unwrap_or_default();
        let Some(length) = u16_at(rest, 0).map(usize::from) else { return Ok(None) };
        if length < HEADER {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let message = rest.get(2..2 + length);
        if message.is_some() {
            self.begin += 2 + length;
        }
        Ok(message)
    }

    fn is_empty(&self) -> bool {
        self.begin >= self.buffer.len()
    }
}

const MESSAGE: Duration = Duration::from_secs(10);
const LONGEST_TRANSFER: Duration = Duration::from_secs(300);
/// Questions of one connection that wait for upstreams.
const MOST_IN_HAND: usize = 64;
/// Octets read at once; one message may need more reads.
const READ: usize = 4096;
/// Octets of replies that leave in one write, about.
const LONGEST_WRITE: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn messages_are_whole_however_they_come() {
        let message = |octet: u8| [&[0, 12][..], &[octet; 12]].concat();
        let all = [message(1), message(2), message(3)].concat();
        for step in [1, 2, 5, 13, 14, 15, 42] {
            let (mut incoming, mut found) = (Incoming::default(), Vec::new());
            for mut part in all.chunks(step) {
                let length = part.len();
                assert_eq!(incoming.read(&mut part).await.unwrap(), length);
                while let Some(message) = incoming.next().unwrap() {
                    found.push(message.to_vec());
                }
            }
            assert_eq!(found, [[1; 12], [2; 12], [3; 12]], "{step} octets at a time");
            assert!(incoming.is_empty());
        }
        let mut incoming = Incoming { buffer: vec![0, 11, 0], begin: 0 };
        assert!(incoming.next().is_err(), "shorter than a header");
    }
}
