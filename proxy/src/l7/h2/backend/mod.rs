//! HTTP/2 to backends: the adapter the other way around (`http-proxy 5.5`, `6`; decision 15).
//!
//! ```text
//! h1::exchange ── head and body as HTTP/1.1 ──▶ stream ── HEADERS, DATA ──▶ connection ─▶ endpoint
//!    (one request) ◀── the same ──                     ◀── HEADERS, DATA, RST_STREAM ──
//! ```
//!
//! The connections of one worker, by endpoint and by what they were made with. One connection carries
//! many streams; another is made where all are full, [`MAX_CONNECTIONS`] at most, and requests wait
//! for a dial that is under way instead of making their own. Invariants: a connection that was told to
//! go takes no request; one without a stream for half a minute is closed.

mod head;
mod connection;
mod stream;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;
use tokio_util::task::TaskTracker;
use tracing::debug;

use self::connection::Connection;
pub(crate) use self::stream::{Stream, Unprocessed};
use crate::l7::Worker;
use crate::l7::dial::Undialed;
use crate::l7::failure::Failure;
use crate::l7::pool::{self, Backend};
use crate::l7::secured::Secured;
use crate::upstream::DialError;

/// The connections of one worker.
#[derive(Default)]
pub(crate) struct Backends {
    ends: RefCell<HashMap<Key, End, foldhash::fast::RandomState>>,
    /// Connections end with their last stream, or with the worker: nobody waits for them.
    tasks: TaskTracker,
}

#[derive(Clone, Eq, Hash, PartialEq)]
struct Key {
    endpoint: SocketAddr,
    secured: Option<Rc<Secured>>,
}

impl Key {
    /// A stream that leads there.
    fn backend(self, (rested, stream): (bool, Stream)) -> (bool, Backend) {
        let stream = pool::Stream::Http2(Box::new(stream));
        let Self { endpoint, secured } = self;
        (rested, Backend::new(stream, endpoint, secured))
    }
}

#[derive(Default)]
struct End {
    connections: Vec<Rc<Connection>>,
    /// The dial that is under way.
    dial: Option<Rc<Dial>>,
}

/// What a request finds.
enum Found {
    Room(Rc<Connection>),
    /// Somebody else makes a connection.
    Dialing(Rc<Dial>),
    /// Whoever asked makes one.
    None(Rc<Dial>),
    /// More must not wait.
    Full,
}

/// One dial, for all who wait for it.
#[derive(Default)]
struct Dial {
    failed: Cell<Option<Failure>>,
    ended: Notify,
}

impl End {
    /// A connection on which a request goes at once.
    fn free(&self) -> Option<&Rc<Connection>> {
        let mut connections = self.connections.iter();
        connections.find(|it| it.has_room() && it.is_usable())
    }
}

impl Backends {
    /// A connection on which a request goes at once.
    fn free(&self, key: &Key) -> Option<Rc<Connection>> {
        self.ends.borrow().get(key)?.free().map(Rc::clone)
    }

    fn find(&self, key: &Key) -> Found {
        let mut ends = self.ends.borrow_mut();
        let end = ends.entry(key.clone()).or_default();
        end.connections.retain(|connection| connection.is_usable());
        if let Some(free) = end.free() {
            return Found::Room(Rc::clone(free));
        }
        if let Some(dial) = &end.dial {
            return Found::Dialing(Rc::clone(dial));
        }
        if end.connections.len() < MAX_CONNECTIONS {
            let dial = Rc::<Dial>::default();
            end.dial = Some(Rc::clone(&dial));
            return Found::None(dial);
        }
        let waiting = end.connections.iter().find(|it| it.may_wait());
        waiting.map_or(Found::Full, |it| Found::Room(Rc::clone(it)))
    }

    /// A dial is over, whatever came of it.
    fn ended(&self, key: &Key, dial: &Dial, connection: Option<Rc<Connection>>) {
        if let Some(end) = self.ends.borrow_mut().get_mut(key) {
            end.connections.extend(connection);
            end.dial = None;
        }
        dial.ended.notify_waiters();
    }

    /// Closes what nobody uses; called at each tick.
    pub(crate) fn sweep(&self) {
        self.ends.borrow_mut().retain(|_, end| {
            end.connections
                .retain(|it| it.is_usable() && !it.is_stale());
            !end.connections.is_empty() || end.dial.is_some()
        });
    }
}

/// A dial that ends when it is dropped: whoever made it may leave.
struct Dialing<'a> {
    worker: &'a Worker,
    key: &'a Key,
    dial: Rc<Dial>,
    made: Option<Rc<Connection>>,
}

impl Drop for Dialing<'_> {
    fn drop(&mut self) {
        let made = self.made.take();
        self.worker.backends.ended(self.key, &self.dial, made);
    }
}

impl Worker {
    /// A stream to an endpoint on a connection that has room for it; and whether that had been at rest.
    pub(crate) fn join_stream(
        &self,
        endpoint: SocketAddr,
        secured: Option<&Rc<Secured>>,
    ) -> Option<(bool, Backend)> {
        let key = Key { endpoint, secured: secured.map(Rc::clone) };
        let connection = self.backends.free(&key)?;
        self.metrics.reused.0.fetch_add(1, Relaxed);
        Some(key.backend(connection.enter()))
    }

    /// The same where none has room, or there is none: fails as a dial does, or where too many wait
    /// already.
    pub(crate) async fn open_stream(
        &self,
        endpoint: SocketAddr,
        secured: Option<&Rc<Secured>>,
        timeout: Duration,
    ) -> Result<(bool, Backend), Undialed> {
        let key = Key { endpoint, secured: secured.map(Rc::clone) };
        let found = tokio::time::timeout(timeout, self.find_stream(&key, timeout)).await;
        let late = Undialed::without_dial(Failure::TimedOut);
        Ok(key.backend(found.unwrap_or(Err(late))?))
    }

    async fn find_stream(&self, key: &Key, timeout: Duration) -> Result<(bool, Stream), Undialed> {
        loop {
            match self.backends.find(key) {
                Found::Room(connection) => {
                    self.metrics.reused.0.fetch_add(1, Relaxed);
                    return Ok(connection.enter());
                }
                Found::Dialing(dial) => {
                    dial.ended.notified().await;
                    if let Some(failure) = dial.failed.get() {
                        // Whoever dialed has said already whose fault it is.
                        return Err(Undialed::without_dial(failure));
                    }
                }
                Found::None(dial) => return self.make(key, dial, timeout).await,
                Found::Full => return Err(Undialed::without_dial(Failure::Full)),
            }
        }
    }

    /// Makes a connection, and takes its first stream.
    async fn make(
        &self,
        key: &Key,
        dial: Rc<Dial>,
        timeout: Duration,
    ) -> Result<(bool, Stream), Undialed> {
        let mut dialing = Dialing { worker: self, key, dial, made: None };
        let made = self.connect_http2(key, timeout).await;
        let connection = made.inspect_err(|why| dialing.dial.failed.set(Some(why.failure)))?;
        let stream = connection.enter();
        dialing.made = Some(connection);
        Ok(stream)
    }

    async fn connect_http2(
        &self,
        key: &Key,
        timeout: Duration,
    ) -> Result<Rc<Connection>, Undialed> {
        let dialed = self.dial(key.endpoint, key.secured.as_ref(), timeout);
        let io = Box::pin(dialed).await?.stream;
        let handshake = settings().handshake::<_, Bytes>(io).await;
        let (sender, frames) = handshake.map_err(|error| {
            debug!(endpoint = %key.endpoint, %error, "no HTTP/2");
            Undialed::new(DialError::Other, true)
        })?;
        let connection = Rc::new(Connection::new(sender, &self.ticker, key.secured.is_some()));
        let carried = connection::carry(frames, connection.signals(), self.ticker.clone());
        self.backends.tasks.spawn_local(carried);
        // Whoever speaks HTTP/2 says first how many streams there may be.
        match connection.signals().answered().await {
            true => Ok(connection),
            false => Err(Undialed::new(DialError::Other, true)),
        }
    }
}

/// What backends are told and held to (`http-proxy 6.1`).
fn settings() -> h2::client::Builder {
    let mut builder = h2::client::Builder::new();
    builder
        .enable_push(false)
        .initial_max_send_streams(FIRST_STREAMS)
        .initial_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_send_buffer_size(super::SEND_BUFFER_BYTES)
        .max_header_list_size(MAX_HEADER_LIST_BYTES)
        .max_frame_size(super::MAX_FRAME_BYTES)
        .header_table_size(super::HEADER_TABLE_BYTES)
        .max_pending_accept_reset_streams(super::MAX_RESET_UNSEEN)
        .max_local_error_reset_streams(Some(super::MAX_FAULTY))
        .max_concurrent_reset_streams(super::MAX_RESET_KEPT)
        .reset_stream_duration(super::RESET_KEPT_FOR);
    builder
}

/// To one endpoint (`http-proxy 5.5`).
const MAX_CONNECTIONS: usize = 8;
/// Before the backend says how many it takes: none, so that this is noticed.
const FIRST_STREAMS: usize = 0;
const STREAM_WINDOW_BYTES: u32 = 256 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 4 * 1024 * 1024;
/// Of a response (`http-proxy 3`): as much as a head of HTTP/1.1.
const MAX_HEADER_LIST_BYTES: u32 = 64 * 1024;
