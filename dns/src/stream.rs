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
use crate::forward::{Begun, Forwarder, Waiting};
use crate::question::HEADER;
use crate::serve::{Ends, Shared};
use crate::tally::Batched;
use crate::wire::u16_at;

/// Serves a connection until the client has no more to ask, is too slow, or `stop` finds it idle.
pub(crate) async fn connection(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    ends: Ends,
    shared: &Shared,
    forwarder: &Rc<Forwarder>,
    stop: &CancellationToken,
) -> io::Result<()> {
    let gone = CancellationToken::new();
    let _ends_those_who_wait = gone.clone().drop_guard();
    let (later, mut late) = mpsc::channel::<Vec<u8>>(MOST_IN_HAND);
    let mut incoming = Incoming::default();
    let (mut reply, mut framed) = (Vec::new(), Vec::new());
    let (mut in_hand, mut has_more) = (0, true);
    let mut deadline = Instant::now() + IDLE;
    let mut batched = Batched::default();
    loop {
        let began = std::time::Instant::now();
        while in_hand < MOST_IN_HAND && framed.len() < LONGEST_WRITE {
            let Some(message) = incoming.next()? else { break };
            match shared.now().answer(message, ends, forwarder, &mut reply) {
                Begun::Said(outcome) => {
                    shared.tally.count(outcome, message.len(), reply.len());
                    batched.push(outcome);
                    if outcome == Outcome::Ignored {
                        return Ok(());
                    }
                    frame(&reply, &mut framed);
                }
                Begun::Waits(waiting) => {
                    in_hand += 1;
                    let (shared, later) = (shared.clone(), later.clone());
                    let waits = wait(*waiting, (message.len(), began), shared, later);
                    forwarder.wait(gone.clone(), waits);
                }
            }
        }
        batched.took(&shared.tally, began);
        if !framed.is_empty() {
            timeout(MESSAGE, write(&mut stream, &framed)).await??;
            framed.clear();
            deadline = Instant::now() + if incoming.is_empty() { IDLE } else { MESSAGE };
            continue;
        }
        if !has_more && in_hand == 0 {
            // TLS says goodbye; nobody waits for it to arrive.
            return timeout(MESSAGE, stream.shutdown()).await?;
        }
        let was_empty = incoming.is_empty();
        tokio::select! {
            biased;
            Some(reply) = late.recv(), if in_hand > 0 => {
                in_hand -= 1;
                frame(&reply, &mut framed);
            }
            read = timeout_at(deadline, incoming.read(&mut stream)),
                if has_more && in_hand < MOST_IN_HAND =>
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

async fn wait(
    waiting: Waiting,
    (request, began): (usize, std::time::Instant),
    shared: Shared,
    later: mpsc::Sender<Vec<u8>>,
) {
    let (reply, outcome) = waiting.reply().await;
    shared
        .tally
        .count_late(outcome, request, reply.len(), began);
    // There is room for all who wait; it fails where the connection has ended.
    let _ = later.send(reply).await;
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

const IDLE: Duration = Duration::from_secs(10);
const MESSAGE: Duration = Duration::from_secs(10);
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
