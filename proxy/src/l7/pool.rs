//! Idle connections to endpoints, per worker, newest first (`http-proxy 5.1` to `5.3`).
//!
//! Invariants: a connection is here only between a finished response and the next request; at most
//! [`MAX_PER_ENDPOINT`] and [`MAX_PER_WORKER`]; one over which anything came meanwhile, a byte or the
//! end, is never handed out (`http-proxy 2.12`, `5.8`); none is here that may know who its client is
//! (`http-proxy 5.4`). An endpoint that left keeps none: its
//! connections age out within [`MAX_IDLE_TICKS`].

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use portico_net::tls_dial::ClientStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::h2::backend;
use super::secured::Secured;
use super::watch::Ticker;

/// One connection to an endpoint.
#[derive(Debug)]
pub(crate) struct Backend {
    /// What is said over it.
    pub(crate) stream: Stream,
    /// Where it leads.
    pub(crate) endpoint: SocketAddr,
    /// What it was made with; none: in the clear.
    pub(crate) secured: Option<Rc<Secured>>,
    /// Requests that it has carried.
    pub(crate) served: u32,
    /// Whether it may know who its client is, and is no other client's (`http-proxy 5.4`).
    pub(crate) knows_client: bool,
}

impl Backend {
    /// One that has carried nothing yet.
    pub(crate) fn new(stream: Stream, endpoint: SocketAddr, secured: Option<Rc<Secured>>) -> Self {
        Self { stream, endpoint, secured, served: 0, knows_client: false }
    }

    /// Whether nothing came since its last response: no byte, no end. Costs no system call where
    /// nothing did.
    pub(crate) fn is_quiet(&mut self) -> bool {
        match &mut self.stream {
            Stream::Plain(stream) => {
                let seen = stream.try_read(&mut [0; 1]);
                matches!(seen, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
            }
            // It carries one request and is never at rest.
            Stream::Http2(_) => false,
            // A ticket may come at any time, and is nothing that was said.
            Stream::Tls(stream) => {
                let (mut byte, mut cx) = ([0; 1], Context::from_waker(Waker::noop()));
                let mut buffer = ReadBuf::new(&mut byte);
                Pin::new(&mut **stream)
                    .poll_read(&mut cx, &mut buffer)
                    .is_pending()
            }
        }
    }
}

/// How bytes reach an endpoint.
#[derive(Debug)]
pub(crate) enum Stream {
    /// As they are.
    Plain(TcpStream),
    /// Through TLS.
    Tls(Box<ClientStream>),
    /// As one stream of a connection of HTTP/2, which other requests share.
    Http2(Box<backend::Stream>),
}

impl Stream {
    /// The stream of HTTP/2, if it is one.
    pub(crate) fn http2(&mut self) -> Option<&mut backend::Stream> {
        match self {
            Self::Http2(stream) => Some(stream),
            Self::Plain(_) | Self::Tls(_) => None,
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(&mut **stream).poll_read(cx, buffer),
            Self::Http2(stream) => Pin::new(&mut **stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(&mut **stream).poll_write(cx, bytes),
            Self::Http2(stream) => Pin::new(&mut **stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(&mut **stream).poll_flush(cx),
            Self::Http2(stream) => Pin::new(&mut **stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(&mut **stream).poll_shutdown(cx),
            Self::Http2(stream) => Pin::new(&mut **stream).poll_shutdown(cx),
        }
    }
}

/// The idle connections of one worker.
pub(crate) struct Pool {
    ticker: Ticker,
    idle: RefCell<Idle>,
}

#[derive(Default)]
struct Idle {
    plain: Stacks,
    /// By what they were made with.
    secured: FastMap<Rc<Secured>, Stacks>,
    count: usize,
}

type FastMap<K, V> = HashMap<K, V, foldhash::fast::RandomState>;
type Stacks = FastMap<SocketAddr, Vec<Parked>>;

struct Parked {
    backend: Backend,
    since: u32,
}

impl Pool {
    pub(crate) fn new(ticker: Ticker) -> Self {
        Self { ticker, idle: RefCell::default() }
    }

    /// The newest live connection to an endpoint.
    pub(crate) fn take(
        &self,
        endpoint: SocketAddr,
        secured: Option<&Rc<Secured>>,
    ) -> Option<Backend> {
        let mut idle = self.idle.borrow_mut();
        let stacks = match secured {
            None => &mut idle.plain,
            Some(secured) => idle.secured.get_mut(secured)?,
        };
        let stack = stacks.get_mut(&endpoint)?;
        let mut taken = 0;
        let found = loop {
            let Some(mut parked) = stack.pop() else { break None };
            taken += 1;
            if parked.backend.is_quiet() {
                break Some(parked.backend);
            }
        };
        idle.count -= taken;
        found
    }

    /// Keeps a connection for the next request, whosever that is; drops it where there is no room, or
    /// where it has carried enough or may know its client.
    pub(crate) fn put(&self, backend: Backend) {
        if backend.knows_client || matches!(backend.stream, Stream::Http2(_)) {
            return;
        }
        let since = self.ticker.now();
        let mut idle = self.idle.borrow_mut();
        if idle.count >= MAX_PER_WORKER || backend.served >= MAX_REQUESTS {
            return;
        }
        let stacks = match &backend.secured {
            None => &mut idle.plain,
            Some(secured) => idle.secured.entry(Rc::clone(secured)).or_default(),
        };
        let stack = stacks.entry(backend.endpoint).or_default();
        if stack.len() < MAX_PER_ENDPOINT {
            stack.push(Parked { backend, since });
            idle.count += 1;
        }
    }

    /// Drops what has been idle for too long or was closed; called at each tick.
    pub(crate) fn sweep(&self) {
        let (now, most) = (self.ticker.now(), self.ticker.at_rest(MAX_IDLE_TICKS));
        let mut idle = self.idle.borrow_mut();
        let mut count = 0;
        let mut sweep = |stacks: &mut Stacks| {
            stacks.retain(|_, stack| {
                stack.retain_mut(|parked| now - parked.since <= most && parked.backend.is_quiet());
                count += stack.len();
                !stack.is_empty()
            });
            !stacks.is_empty()
        };
        sweep(&mut idle.plain);
        idle.secured.retain(|_, stacks| sweep(stacks));
        idle.count = count;
    }
}

/// `http-proxy 5.2`.
const MAX_PER_ENDPOINT: usize = 100;
const MAX_PER_WORKER: usize = 1024;
const MAX_IDLE_TICKS: u32 = 30;
/// Requests over one connection (`http-proxy 5.3`).
const MAX_REQUESTS: u32 = 10_000;
