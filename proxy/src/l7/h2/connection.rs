//! A client's HTTP/2 connection: its streams, its limits and its end.
//!
//! ```text
//! preface ─▶ Serving ─drain │ age │ requests │ rest─▶ GOAWAY, ping, GOAWAY ─last stream─▶ closed
//!               └── glitches ─▶ GOAWAY ENHANCE_YOUR_CALM ─▶ closed        no pong ─▶ closed
//! ```
//!
//! One task per connection carries frames; each stream has a task of its own. Invariants: no more than
//! [`MAX_LIVE`] streams are worked on, those included that the client reset and whose backend has not
//! noticed yet; whoever resets more than it asks is sent away.

use std::cell::{Cell, RefCell, RefMut};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use h2::server::Connection;
use h2::{Ping, PingPong, Reason, RecvStream};
use http::Request;
use tokio::io::{AsyncRead, AsyncWrite};
use tracing::debug;

use super::stream::Stream;
use super::{MAX_STREAMS, settings};
use crate::l7::Worker;
use crate::l7::fields::Line;
use crate::l7::forward::Peer;
use crate::l7::h1::server;
use crate::l7::watch::{Phase, Watch};

/// Serves a connection of HTTP/2, from its preface on.
pub(crate) fn serve<S>(
    io: S,
    worker: Rc<Worker>,
    from: Rc<Peer>,
) -> Pin<Box<impl Future<Output = ()> + use<S>>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    // What a handshake needs is not kept for what comes after it.
    let begun = Box::pin(begin(io, worker, from));
    Box::pin(async move {
        let Some(mut serving) = begun.await else { return };
        std::future::poll_fn(|cx| serving.poll(cx)).await;
        let glitches = serving.streams.glitches.get().into();
        serving
            .worker
            .metrics
            .h2_glitches
            .fetch_add(glitches, Relaxed);
    })
}

/// Waits for the preface; none: it does not come.
async fn begin<S>(io: S, worker: Rc<Worker>, from: Rc<Peer>) -> Option<Box<Serving<S>>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let watch = worker.ticker.watch(Phase::Head);
    let mut handshake = pin!(settings().handshake::<_, Bytes>(io));
    let connection = std::future::poll_fn(|cx| match handshake.as_mut().poll(cx) {
        Poll::Pending => watch.poll_expired(cx).map(|()| None),
        Poll::Ready(done) => Poll::Ready(done.ok()),
    });
    let mut connection = connection.await?;
    let ping = connection.ping_pong()?;
    watch.enter(Phase::Quiet);
    let (end, busy) = (worker.last_tick(), worker.ticker.now());
    Some(Box::new(Serving {
        connection,
        ping,
        worker,
        from,
        watch,
        streams: Rc::default(),
        end,
        busy,
        state: State::Serving,
        pinged: false,
    }))
}

struct Serving<S> {
    connection: Connection<S, Bytes>,
    ping: PingPong,
    worker: Rc<Worker>,
    from: Rc<Peer>,
    watch: Rc<Watch>,
    streams: Rc<Streams>,
    /// The tick after which it is old.
    end: u32,
    /// The last tick on which there was a stream.
    busy: u32,
    state: State,
    /// Whether a ping is out.
    pinged: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    Serving,
    /// The client was told that no new stream is taken.
    Leaving,
    /// It was told to leave at once.
    Expelled,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Serving<S> {
    /// Ready once the connection has ended.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            self.streams.wake_me(cx);
            if self.pinged && self.ping.poll_pong(cx).is_ready() {
                self.pinged = false;
                self.watch.renew(Phase::Quiet);
            }
            if self.watch.poll_expired(cx).is_ready() && !self.survive() {
                return Poll::Ready(());
            }
            self.judge();
            let live = self.streams.live.get();
            let accepted = match live < MAX_LIVE {
                true => ready!(self.connection.poll_accept(cx)),
                false => match ready!(self.connection.poll_closed(cx)) {
                    Ok(()) => None,
                    Err(error) => Some(Err(error)),
                },
            };
            match accepted {
                Some(Ok((request, respond))) => self.begin(request, respond),
                Some(Err(error)) => {
                    debug!(%error, "HTTP/2 connection ended");
                    return Poll::Ready(());
                }
                None => return Poll::Ready(()),
            }
        }
    }

    /// The watch has expired: whether the connection goes on.
    fn survive(&mut self) -> bool {
        if self.pinged || self.state == State::Expelled {
            return false;
        }
        // An error says that one is out already, whose pong then comes.
        let _ = self.ping.send_ping(Ping::opaque());
        self.pinged = true;
        self.watch.renew(Phase::Pong);
        true
    }

    /// Whether the connection is to end, and how.
    fn judge(&mut self) {
        let now = self.worker.ticker.now();
        if self.streams.live.get() > 0 {
            self.busy = now;
        }
        if self.state != State::Expelled && self.streams.is_abuse() {
            self.state = State::Expelled;
            self.worker.metrics.h2_expelled.fetch_add(1, Relaxed);
            self.connection.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
            return self.watch.renew(Phase::Pong);
        }
        let served = self.streams.begun.get() > 0;
        let over = self.worker.is_draining()
            || (self.worker.is_closing() && served)
            || now > self.end
            || now - self.busy >= self.worker.ticker.ticks(Phase::Idle)
            || self.streams.begun.get() as usize >= self.worker.door.max_requests_per_connection;
        if self.state == State::Serving && over {
            self.state = State::Leaving;
            self.worker.metrics.h2_left.fetch_add(1, Relaxed);
            self.connection.graceful_shutdown();
        }
    }

    /// Serves one stream on a task of its own.
    fn begin(&self, request: Request<RecvStream>, respond: h2::server::SendResponse<Bytes>) {
        let random = || self.worker.next_random();
        let stream = Stream::new(request, respond, Live::new(&self.streams), random);
        let from = Rc::clone(&self.from);
        let connection = server::Connection::new(stream, &self.worker, from);
        self.worker.connections.spawn_local(served(connection));
    }
}

/// Serves one stream.
#[expect(clippy::manual_async_fn, reason = "an async fn has room for what it is given twice")]
fn served(mut connection: server::Connection<Stream>) -> impl Future<Output = ()> {
    async move { connection.run().await }
}

/// What the tasks of one connection know of each other.
#[derive(Debug, Default)]
struct Streams {
    /// Those that are worked on.
    live: Cell<usize>,
    /// All that ever began.
    begun: Cell<u32>,
    /// Those that the client gave up before it was answered.
    glitches: Cell<u32>,
    /// The connection's task.
    waker: RefCell<Option<Waker>>,
    /// The places of the fields of the head that is being read.
    lines: RefCell<Vec<Line>>,
}

impl Streams {
    /// Notes a stream that the client gave up before it was answered.
    fn glitch(&self) {
        self.glitches.set(self.glitches.get() + 1);
    }

    /// `http-proxy 6.4`.
    fn is_abuse(&self) -> bool {
        let (glitches, begun) = (self.glitches.get(), self.begun.get());
        glitches > MAX_GLITCHES && glitches > begun / 2
    }

    fn wake_me(&self, cx: &Context<'_>) {
        let mut waker = self.waker.borrow_mut();
        match &mut *waker {
            Some(waker) => waker.clone_from(cx.waker()),
            None => *waker = Some(cx.waker().clone()),
        }
    }
}

/// One stream's place among those that are worked on.
pub(super) struct Live(Rc<Streams>);

impl Live {
    /// That of a stream whose connection has no other.
    #[cfg(any(test, feature = "bench"))]
    pub(super) fn alone() -> Self {
        Self::new(&Rc::default())
    }

    fn new(streams: &Rc<Streams>) -> Self {
        streams.live.set(streams.live.get() + 1);
        streams.begun.set(streams.begun.get() + 1);
        Self(Rc::clone(streams))
    }

    /// Notes that the client gave it up before it was answered.
    pub(super) fn glitch(&self) {
        self.0.glitch();
    }

    /// Room for the places of a head's fields.
    pub(super) fn lines(&self) -> RefMut<'_, Vec<Line>> {
        self.0.lines.borrow_mut()
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        let live = self.0.live.get() - 1;
        self.0.live.set(live);
        let waker = self.0.waker.borrow();
        // It waits for room, for the last one, or is to judge who gave up.
        if (live == 0 || live + 1 == MAX_LIVE || self.0.is_abuse())
            && let Some(waker) = &*waker
        {
            waker.wake_by_ref();
        }
    }
}

/// Streams whose requests are worked on (`http-proxy 6.3`): twice what may be open.
const MAX_LIVE: usize = 2 * MAX_STREAMS as usize;
/// Streams that a client may give up before it is answered, and more where it gives up fewer than half.
const MAX_GLITCHES: u32 = 100;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::l7::sizes;

    #[test]
    fn the_task_of_a_stream_is_small() {
        let stream = size_of::<Stream>();
        assert!(stream <= 320, "{stream}");
        let task = sizes::of(served);
        assert!(task <= 656, "{task}");
    }

    #[test]
    fn who_gives_up_more_than_it_asks_is_sent_away() {
        for (glitches, begun, want) in [
            (100, 100, false),
            (101, 101, true),
            (101, 202, false),
            (102, 202, true),
            (0, 0, false),
        ] {
            let streams = Streams::default();
            streams.begun.set(begun);
            (0..glitches).for_each(|_| streams.glitch());
            assert_eq!(streams.is_abuse(), want, "http-proxy 6.4: {glitches} of {begun}");
        }
    }
}
