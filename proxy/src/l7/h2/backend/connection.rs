//! A connection of HTTP/2 to a backend: who may put a request on it, and the task that carries its
//! frames.
//!
//! ```text
//! Serving ─GOAWAY │ age│ requests─▶ no new request ─last stream─▶ closed      no pong ─▶ closed
//! ```
//!
//! A ping goes out only with a request that follows a long silence: servers of gRPC send away who
//! pings them without need. Invariants: no more streams than the backend says and [`MAX_STREAMS`], but
//! for those that wait for room, [`MAX_WAITING`] at most.

use std::cell::{Cell, RefCell, RefMut};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{Ping, SendStream};
use http::Request;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Notify;
use tracing::debug;

use super::stream::Stream;
use crate::l7::fields::Line;
use crate::l7::watch::{Phase, Ticker, Watch};

/// What the streams and the task of one connection share.
pub(super) struct Connection {
    sender: RefCell<SendRequest<Bytes>>,
    /// The places of the fields of the head that is being read.
    lines: RefCell<Vec<Line>>,
    signals: Rc<Signals>,
    ticker: Ticker,
    secure: bool,
    /// Streams on it.
    open: Cell<usize>,
    /// All that ever were.
    begun: Cell<u32>,
    /// The tick on which its last stream ended.
    rests_since: Cell<u32>,
    /// The tick on which anything came.
    heard: Cell<u32>,
    end: u32,
}

/// What is said between the connection's task and the others.
#[derive(Default)]
pub(super) struct Signals {
    /// Whether the connection has ended.
    dead: Cell<bool>,
    /// Whether it is to show that it lives.
    doubted: Cell<bool>,
    /// Whether the backend has said how many streams it takes.
    answered: Cell<bool>,
    /// The backend has said so, or the connection has ended.
    news: Notify,
    waker: RefCell<Option<Waker>>,
}

impl Connection {
    /// One that was just made; `secure`: through TLS.
    pub(super) fn new(sender: SendRequest<Bytes>, ticker: &Ticker, secure: bool) -> Self {
        let now = ticker.now();
        Self {
            sender: RefCell::new(sender),
            lines: RefCell::default(),
            signals: Rc::default(),
            ticker: ticker.clone(),
            secure,
            open: Cell::new(0),
            begun: Cell::new(0),
            rests_since: Cell::new(now),
            heard: Cell::new(now),
            end: now.saturating_add(AGE_TICKS),
        }
    }

    pub(super) fn signals(&self) -> Rc<Signals> {
        Rc::clone(&self.signals)
    }

    pub(super) fn is_secure(&self) -> bool {
        self.secure
    }

    /// Whether it takes requests at all.
    pub(super) fn is_usable(&self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        !self.signals.dead.get()
            && self.begun.get() < MAX_REQUESTS
            && self.ticker.now() < self.end
            && !matches!(self.sender.borrow_mut().poll_ready(&mut cx), Poll::Ready(Err(_)))
    }

    /// Whether a request would be sent at once; else whether it may wait for that.
    pub(super) fn has_room(&self) -> bool {
        self.open.get() < self.limit()
    }

    pub(super) fn may_wait(&self) -> bool {
        self.open.get() < self.limit() + MAX_WAITING
    }

    fn limit(&self) -> usize {
        self.sender
            .borrow()
            .current_max_send_streams()
            .min(MAX_STREAMS)
    }

    /// Whether nobody has used it for too long.
    pub(super) fn is_stale(&self) -> bool {
        let most = self.ticker.at_rest(MAX_IDLE_TICKS);
        self.open.get() == 0 && self.ticker.now() - self.rests_since.get() > most
    }

    /// Takes a place for a request; and whether it was at rest.
    pub(super) fn enter(self: &Rc<Self>) -> (bool, Stream) {
        let rested = self.open.get() == 0 && self.begun.get() > 0;
        self.open.set(self.open.get() + 1);
        self.begun.set(self.begun.get() + 1);
        if self.ticker.now() - self.heard.get() > SILENT_TICKS {
            self.signals.doubt();
        }
        (rested, Stream::new(Rc::clone(self)))
    }

    /// Takes no more requests: it may know one of its clients (`http-proxy 5.4`).
    pub(super) fn retire(&self) {
        self.begun.set(MAX_REQUESTS);
    }

    /// Gives a place back.
    pub(super) fn leave(&self) {
        self.open.set(self.open.get().saturating_sub(1));
        self.rests_since.set(self.ticker.now());
    }

    /// Room for the places of a head's fields.
    pub(super) fn lines(&self) -> RefMut<'_, Vec<Line>> {
        self.lines.borrow_mut()
    }

    /// Notes that something came.
    pub(super) fn heard(&self) {
        self.heard.set(self.ticker.now());
    }

    /// Sends a request's head; `ended`: it is all.
    pub(super) fn send(
        &self,
        request: Request<()>,
        ended: bool,
    ) -> Result<(ResponseFuture, SendStream<Bytes>), h2::Error> {
        // A handle of its own: one that waits for room must not keep others from asking.
        let mut sender = self.sender.borrow().clone();
        sender.send_request(request, ended)
    }
}

impl Signals {
    /// Waits until the backend has said how many streams it takes; false: it never will.
    pub(super) async fn answered(&self) -> bool {
        while !self.answered.get() && !self.dead.get() {
            self.news.notified().await;
        }
        self.answered.get()
    }

    fn doubt(&self) {
        self.doubted.set(true);
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }

    fn wake_me(&self, cx: &Context<'_>) {
        let mut waker = self.waker.borrow_mut();
        match &mut *waker {
            Some(waker) => waker.clone_from(cx.waker()),
            None => *waker = Some(cx.waker().clone()),
        }
    }
}

/// Carries a connection's frames until it ends: at the latest once nobody holds its [`Connection`].
pub(super) async fn carry<S>(
    mut connection: h2::client::Connection<S, Bytes>,
    signals: Rc<Signals>,
    ticker: Ticker,
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut pings = connection.ping_pong();
    // The time that a ping has, while one is out.
    let mut out: Option<Rc<Watch>> = None;
    std::future::poll_fn(|cx| {
        signals.wake_me(cx);
        if let Some(pings) = &mut pings {
            if signals.doubted.take() && out.is_none() && pings.send_ping(Ping::opaque()).is_ok() {
                out = Some(ticker.watch(Phase::Pong));
            }
            if out.is_some() && pings.poll_pong(cx).is_ready() {
                out = None;
            }
        }
        if out
            .as_ref()
            .is_some_and(|watch| watch.poll_expired(cx).is_ready())
        {
            debug!("a backend's connection of HTTP/2 is dead");
            return Poll::Ready(());
        }
        let polled = Pin::new(&mut connection).poll(cx);
        if !signals.answered.get() && connection.max_concurrent_send_streams() > 0 {
            signals.answered.set(true);
            signals.news.notify_one();
        }
        polled.map(|ended| debug!(?ended, "a backend's connection of HTTP/2 ended"))
    })
    .await;
    signals.dead.set(true);
    signals.news.notify_one();
}

/// Of one connection (`http-proxy 5.5`).
const MAX_STREAMS: usize = 100;
/// Requests that wait for a stream, where an endpoint has all the connections that it may have.
const MAX_WAITING: usize = 100;
/// Over one connection (`http-proxy 5.3`).
const MAX_REQUESTS: u32 = 10_000;
/// An hour.
const AGE_TICKS: u32 = 3600;
/// Without a stream (`http-proxy 5.2`).
const MAX_IDLE_TICKS: u32 = 30;
/// After so long a silence a connection is asked whether it lives.
const SILENT_TICKS: u32 = 30;
