//! Carrying bytes between two TCP connections until both directions have ended.
//!
//! Invariants: an end in one direction becomes an end on the other side while the reverse goes on;
//! a reset becomes a reset; what cannot be written stops the reading. A direction at rest holds no
//! buffer: bytes pass through one that the thread lends for the read, and only a remainder that the
//! receiver did not take is kept, at most one buffer of it. No clock, no lock, no allocation while
//! bytes flow; a small message costs one read and one write. Whose fault a break was is said here,
//! what follows from it elsewhere.

mod buffer;
mod cut;
mod quiet;

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use self::buffer::Pending;
use self::cut::Broken;
use self::quiet::Quiet;

pub use self::cut::Cut;
pub use self::quiet::Patience;

/// What a relay tells while it runs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Progress {
    /// The first byte came from `upstream`; told once at most.
    Answered,
    /// Bytes since the last time; told at least once, at the end.
    Carried {
        /// From `downstream` to `upstream`.
        received: u64,
        /// And back.
        sent: u64,
    },
}

/// Carries bytes both ways, and tells `progress` of it.
///
/// An error is the first that either side met, or that nothing passed for as long as `patience`
/// allows; both sides are told by a reset.
///
/// Dropped before its end it resets both: what was cut must not look like an end.
pub async fn relay(
    downstream: TcpStream,
    upstream: TcpStream,
    patience: Patience,
    mut progress: impl FnMut(Progress),
) -> Result<(), Cut> {
    let mut received = Direction::default();
    let mut sent = Direction::default();
    let mut quiet = Quiet::default();
    let mut is_answered = false;
    let mut sides = Sides { downstream, upstream, is_ended: false };
    let result = std::future::poll_fn(|cx| {
        let Sides { downstream, upstream, .. } = &mut sides;
        let forward = match received.advance(cx, downstream, upstream, sent.has_ended()) {
            Ok(forward) => forward,
            Err(Broken::Reading(error)) => return Poll::Ready(Err(Cut::Downstream(error))),
            Err(Broken::Writing(error)) => {
                return Poll::Ready(Err(sides.broken_upstream(error, [&received, &sent])));
            }
        };
        let backward = match sent.advance(cx, upstream, downstream, received.has_ended()) {
            Ok(backward) => backward,
            Err(Broken::Writing(error)) => return Poll::Ready(Err(Cut::Downstream(error))),
            Err(Broken::Reading(error)) => {
                return Poll::Ready(Err(sides.broken_upstream(error, [&received, &sent])));
            }
        };
        if !is_answered && sent.bytes > 0 {
            is_answered = true;
            progress(Progress::Answered);
        }
        if received.untold() + sent.untold() > PROGRESS_BYTES {
            progress(Progress::Carried { received: received.tell(), sent: sent.tell() });
        }
        let is_half_closed = forward.is_ready() || backward.is_ready();
        if forward.is_ready() && backward.is_ready() {
            return Poll::Ready(Ok(()));
        }
        let carried = received.bytes + sent.bytes;
        ready!(quiet.poll(cx, &patience, is_half_closed, carried));
        Poll::Ready(Err(Cut::Quiet))
    })
    .await;
    progress(Progress::Carried { received: received.tell(), sent: sent.tell() });
    sides.is_ended = result.is_ok();
    result
}

/// Both connections, which are reset unless both directions have ended.
struct Sides {
    downstream: TcpStream,
    upstream: TcpStream,
    is_ended: bool,
}

impl Sides {
    /// What a break of the upstream side is. While both directions flow and no byte has come back,
    /// the client still waits; bytes and ends that nobody has read yet are looked for.
    fn broken_upstream(&self, error: io::Error, [received, sent]: [&Direction; 2]) -> Cut {
        let flow = [received.state, sent.state] == [State::Flowing; 2];
        let is_awaited = flow && sent.bytes == 0 && !cut::has_ended(&self.downstream);
        Cut::upstream(error, is_awaited && !cut::has_bytes(&self.upstream))
    }
}

impl Drop for Sides {
    fn drop(&mut self) {
        if !self.is_ended {
            reset(&self.downstream);
            reset(&self.upstream);
        }
    }
}

/// Makes the coming close of `stream` a reset.
pub fn reset(stream: &TcpStream) {
    let _ = socket2::SockRef::from(stream).set_linger(Some(std::time::Duration::ZERO));
}

/// One direction: `Flowing ─end of input─▶ Ending ─shut down─▶ Ended`.
#[derive(Default)]
struct Direction {
    state: State,
    /// What was read and not yet taken; empty at rest.
    pending: Pending,
    /// Read so far.
    bytes: u64,
    /// How many of them were told.
    told: u64,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum State {
    #[default]
    Flowing,
    Ending,
    Ended,
}

impl Direction {
    fn untold(&self) -> u64 {
        self.bytes - self.told
    }

    fn tell(&mut self) -> u64 {
        let untold = self.untold();
        self.told = self.bytes;
        untold
    }

    fn has_ended(&self) -> bool {
        self.state == State::Ended
    }

    /// Moves what can be moved now; ready once the direction has ended. `is_last`: where it ends,
    /// so does the connection, whose close tells the receiver in the same call.
    fn advance(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut TcpStream,
        to: &mut TcpStream,
        is_last: bool,
    ) -> Result<Poll<()>, Broken> {
        match self.poll(cx, from, to, is_last) {
            Poll::Ready(Ok(())) => Ok(Poll::Ready(())),
            Poll::Ready(Err(error)) => Err(error),
            Poll::Pending => Ok(Poll::Pending),
        }
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut TcpStream,
        to: &mut TcpStream,
        is_last: bool,
    ) -> Poll<Result<(), Broken>> {
        let mut rounds = 0;
        loop {
            match self.state {
                State::Ended => return Poll::Ready(Ok(())),
                State::Ending if is_last => self.state = State::Ended,
                State::Ending => {
                    let shut = ready!(Pin::new(&mut *to).poll_shutdown(cx));
                    shut.or_else(ended).map_err(Broken::Writing)?;
                    self.state = State::Ended;
                }
                State::Flowing if !self.pending.rest().is_empty() => {
                    let taken = ready!(Pin::new(&mut *to).poll_write(cx, self.pending.rest()));
                    self.pending.advance(taken.map_err(Broken::Writing)?);
                }
                State::Flowing if rounds == MAX_ROUNDS => {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                State::Flowing => {
                    rounds += 1;
                    ready!(self.pass(cx, from, to))?;
                }
            }
        }
    }

    /// One read and, at once, its write.
    fn pass(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut TcpStream,
        to: &mut TcpStream,
    ) -> Poll<Result<(), Broken>> {
        let mut lent = buffer::take();
        let mut buffer = ReadBuf::new(&mut lent);
        let read = match Pin::new(from).poll_read(cx, &mut buffer) {
            Poll::Ready(Ok(())) => buffer.filled(),
            other => {
                buffer::give(lent);
                return other.map_err(Broken::Reading);
            }
        };
        if read.is_empty() {
            self.state = State::Ending;
            buffer::give(lent);
            return Poll::Ready(Ok(()));
        }
        let count = read.len();
        self.bytes += count as u64;
        let written = match Pin::new(to).poll_write(cx, read) {
            Poll::Ready(written) => written,
            Poll::Pending => Ok(0),
        };
        match written {
            Ok(written) if written < count => self.pending = Pending::new(lent, written, count),
            Ok(_) => buffer::give(lent),
            Err(error) => {
                buffer::give(lent);
                return Poll::Ready(Err(Broken::Writing(error)));
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// The other side may have gone already: then there is nothing left to end.
fn ended(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotConnected { Ok(()) } else { Err(error) }
}

/// Reads of one direction before others of the thread may run.
const MAX_ROUNDS: u32 = 16;
/// How many bytes pass between two calls of `progress`.
const PROGRESS_BYTES: u64 = 4 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    pub(super) const FOREVER: Patience = Patience { idle: None, half_closed: None };

    pub(super) async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (near, far) = tokio::join!(TcpStream::connect(address), listener.accept());
        (near.unwrap(), far.unwrap().0)
    }

    #[tokio::test]
    async fn each_direction_ends_by_itself_and_bytes_are_counted() {
        let (mut client, downstream) = pair().await;
        let (upstream, mut server) = pair().await;
        let (mut answers, mut carried) = (0, (0, 0));
        let relay = relay(downstream, upstream, FOREVER, |progress| match progress {
            Progress::Answered => answers += 1,
            Progress::Carried { received, sent } => {
                carried = (carried.0 + received, carried.1 + sent);
            }
        });
        let work = async {
            client.write_all(b"question").await.unwrap();
            client.shutdown().await.unwrap();
            let mut question = String::new();
            server.read_to_string(&mut question).await.unwrap();
            server.write_all(b"a long answer").await.unwrap();
            server.shutdown().await.unwrap();
            let mut answer = String::new();
            client.read_to_string(&mut answer).await.unwrap();
            (question, answer)
        };
        let (result, (question, answer)) = tokio::join!(relay, work);
        result.unwrap();
        assert_eq!((&*question, &*answer), ("question", "a long answer"));
        assert_eq!((answers, carried), (1, (8, 13)));
    }

    #[tokio::test]
    async fn a_slow_reader_stops_the_reading_and_gets_every_byte() {
        let (mut client, downstream) = pair().await;
        let (upstream, mut server) = pair().await;
        let data: Vec<u8> = (0..16_u32 << 20)
            .map(|n| (n >> 8).to_le_bytes()[0])
            .collect();
        let write = async {
            client.write_all(&data).await.unwrap();
            client.shutdown().await.unwrap();
            client
        };
        let read = async {
            let mut all = Vec::new();
            server.read_to_end(&mut all).await.unwrap();
            server.shutdown().await.unwrap();
            all
        };
        let (_, _, all) = tokio::join!(relay(downstream, upstream, FOREVER, |_| {}), write, read);
        assert!(all == data);
    }

    #[tokio::test]
    async fn a_reset_becomes_a_reset() {
        let (client, downstream) = pair().await;
        let (upstream, mut server) = pair().await;
        reset(&client);
        drop(client);
        assert!(relay(downstream, upstream, FOREVER, |_| {}).await.is_err());
        let error = server.read(&mut [0]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }

    #[tokio::test]
    async fn a_relay_that_is_cut_resets_both_sides() {
        let (mut client, downstream) = pair().await;
        let (upstream, mut server) = pair().await;
        let mut relay = Box::pin(relay(downstream, upstream, FOREVER, |_| {}));
        client.write_all(b"x").await.unwrap();
        tokio::select! {
            _ = &mut relay => panic!("nobody ended it"),
            byte = server.read_u8() => assert_eq!(byte.unwrap(), b'x'),
        }
        drop(relay);
        for side in [&mut client, &mut server] {
            let error = side.read(&mut [0]).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        }
    }

    #[tokio::test]
    async fn a_relay_that_carries_nothing_for_too_long_is_reset_on_both_sides() {
        let (mut client, downstream) = pair().await;
        let (upstream, mut server) = pair().await;
        let patience = Patience { idle: Some(Duration::from_millis(40)), half_closed: None };
        let cut = relay(downstream, upstream, patience, |_| {}).await;
        assert!(matches!(cut, Err(Cut::Quiet)), "{cut:?}");
        for side in [&mut client, &mut server] {
            let error = side.read(&mut [0]).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        }
    }

    #[tokio::test]
    async fn half_closed_is_another_patience_than_open() {
        let (mut client, downstream) = pair().await;
        let (upstream, mut server) = pair().await;
        let patience = Patience { idle: None, half_closed: Some(Duration::from_millis(40)) };
        let relay = relay(downstream, upstream, patience, |_| {});
        let work = async {
            client.shutdown().await.unwrap();
            assert_eq!(server.read(&mut [0]).await.unwrap(), 0);
            let error = client.read(&mut [0]).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        };
        let (ended, ()) = tokio::join!(relay, work);
        assert!(matches!(ended, Err(Cut::Quiet)), "{ended:?}");
    }
}
