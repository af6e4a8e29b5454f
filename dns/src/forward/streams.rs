//! Open connections to upstreams over TCP and TLS: several queries each, answers in any order
//! (RFC 7766).
//!
//! They belong to one worker. Invariants: at most [`MOST_QUERIES`] wait on one connection and at most
//! [`MOST_CONNECTIONS`] are open to an upstream; one that carries nothing for [`IDLE`] is closed. A
//! query that finds its connection closed under it is the caller's to ask again.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use portico_config::model::{UpstreamAddress, UpstreamTransport};
use portico_net::stream::StreamOptions;
use portico_net::tls_dial::{self, ClientTls};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::upstream::Upstream;
use crate::wire::u16_at;

/// The connections of one worker.
#[derive(Debug)]
pub(crate) struct Streams {
    tls: Arc<OnceLock<ClientTls>>,
    open: RefCell<HashMap<UpstreamAddress, Rc<Lane>>>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// The connections to one upstream.
#[derive(Debug, Default)]
struct Lane {
    connections: RefCell<Vec<Connection>>,
    /// Held while one is opened, so that those who come meanwhile share it.
    opening: Mutex<()>,
}

#[derive(Clone, Debug)]
struct Connection {
    queries: mpsc::Sender<Vec<u8>>,
    waiting: Rc<Waiting>,
}

/// Who waits for replies on one connection.
#[derive(Debug, Default)]
struct Waiting {
    by_id: RefCell<HashMap<u16, oneshot::Sender<Vec<u8>>>>,
    /// Somebody waited in vain, and no reply has come since: the network may have forgotten the
    /// connection without a word.
    is_doubtful: Cell<bool>,
}

/// One who waits; dropped before there is a reply, the connection is doubtful.
struct Waiter<'a> {
    waiting: &'a Waiting,
    id: u16,
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        if self.waiting.by_id.borrow_mut().remove(&self.id).is_some() {
            self.waiting.is_doubtful.set(true);
        }
    }
}

impl Streams {
    /// None are open yet; those that will be run as `tasks` and end with `stop`.
    pub(crate) fn new(
        tls: Arc<OnceLock<ClientTls>>,
        tasks: TaskTracker,
        stop: CancellationToken,
    ) -> Self {
        Self { tls, open: RefCell::default(), tasks, stop }
    }

    /// The reply to `query`, which begins with its id. The caller brings the time it may take.
    pub(crate) async fn exchange(&self, upstream: &Upstream, query: &[u8]) -> io::Result<Vec<u8>> {
        let lane = self.lane(upstream);
        let id = u16_at(query, 0).unwrap_or(0);
        // One that is open may be closed by the upstream just now: then a new one is tried.
        if let Some(connection) = lane.free(id) {
            upstream.metrics.reused.inc();
            if let Ok(reply) = connection.ask(id, query).await {
                return Ok(reply);
            }
        }
        let opening = lane.opening.lock().await;
        let connection = match lane.free(id) {
            Some(connection) => connection,
            None => self.connect(&lane, upstream).await?,
        };
        drop(opening);
        connection.ask(id, query).await
    }

    /// Forgets upstreams that are gone; their connections end by themselves.
    fn lane(&self, upstream: &Upstream) -> Rc<Lane> {
        let mut open = self.open.borrow_mut();
        if let Some(lane) = open.get(&upstream.address) {
            return Rc::clone(lane);
        }
        open.retain(|_, lane| lane.is_open());
        Rc::clone(open.entry(upstream.address.clone()).or_default())
    }

    async fn connect(&self, lane: &Lane, upstream: &Upstream) -> io::Result<Connection> {
        upstream.metrics.opened.inc();
        if lane.connections.borrow().len() >= MOST_CONNECTIONS {
            return Err(io::Error::other("too many connections are open"));
        }
        let stream = StreamOptions::default()
            .dial(upstream.address.address)
            .await?;
        let (queries, receiver) = mpsc::channel(MOST_QUERIES);
        let waiting = Rc::new(Waiting::default());
        let connection = Connection { queries, waiting: Rc::clone(&waiting) };
        let (stop, gone) = (self.stop.clone(), upstream.gone.clone());
        match upstream.address.transport {
            UpstreamTransport::Tls => {
                let name = upstream.address.server_name.as_deref();
                let address = upstream.address.address.ip();
                let tls = self.tls.get().ok_or(io::ErrorKind::Unsupported)?;
                let stream = tls_dial::dial(stream, tls, name, address).await?;
                self.tasks.spawn_local(async move {
                    let carries = carry(stream, receiver, &waiting);
                    end_with(&stop, &gone, carries).await;
                    waiting.by_id.borrow_mut().clear();
                });
            }
            UpstreamTransport::Tcp | UpstreamTransport::Udp => {
                self.tasks.spawn_local(async move {
                    let carries = carry(stream, receiver, &waiting);
                    end_with(&stop, &gone, carries).await;
                    waiting.by_id.borrow_mut().clear();
                });
            }
        }
        lane.connections.borrow_mut().push(connection.clone());
        Ok(connection)
    }
}

impl Lane {
    /// A connection with room for a query of this id.
    fn free(&self, id: u16) -> Option<Connection> {
        let mut connections = self.connections.borrow_mut();
        connections.retain(|it| !it.queries.is_closed());
        let has_room = |it: &&Connection| {
            let waiting = it.waiting.by_id.borrow();
            waiting.len() < MOST_QUERIES && !waiting.contains_key(&id)
        };
        let is_sound = |it: &&Connection| !it.waiting.is_doubtful.get();
        let sound = connections.iter().find(|it| is_sound(it) && has_room(it));
        // One that is doubtful is left alone as long as another may be opened.
        let any = || connections.iter().find(has_room);
        let is_full = connections.len() >= MOST_CONNECTIONS;
        sound.or_else(|| is_full.then(any).flatten()).cloned()
    }

    fn is_open(&self) -> bool {
        let mut connections = self.connections.borrow_mut();
        connections.retain(|it| !it.queries.is_closed());
        !connections.is_empty() || self.opening.try_lock().is_err()
    }
}

impl Connection {
    async fn ask(&self, id: u16, query: &[u8]) -> io::Result<Vec<u8>> {
        let length = u16::try_from(query.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        let framed = [&length.to_be_bytes(), query].concat();
        let (sender, reply) = oneshot::channel();
        self.waiting.by_id.borrow_mut().insert(id, sender);
        let _waits = Waiter { waiting: &self.waiting, id };
        let closed = || io::Error::from(io::ErrorKind::BrokenPipe);
        self.queries.send(framed).await.map_err(|_| closed())?;
        reply.await.map_err(|_| closed())
    }
}

/// Runs a connection until it ends, the process does, or nobody names its upstream any more.
async fn end_with(
    stop: &CancellationToken,
    gone: &CancellationToken,
    carries: impl Future<Output = io::Result<()>>,
) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = gone.cancelled() => {}
        // Whoever waits hears of an error by being left alone.
        _ = carries => {}
    }
}

/// Sends queries and hands out replies, until either side has no more.
async fn carry(
    stream: impl AsyncRead + AsyncWrite,
    mut queries: mpsc::Receiver<Vec<u8>>,
    waiting: &Waiting,
) -> io::Result<()> {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let read = async {
        loop {
            let length = reader.read_u16().await?;
            let mut reply = vec![0; usize::from(length)];
            reader.read_exact(&mut reply).await?;
            let id = u16_at(&reply, 0).ok_or(io::ErrorKind::InvalidData)?;
            waiting.is_doubtful.set(false);
            if let Some(waits) = waiting.by_id.borrow_mut().remove(&id) {
                // Who gave up needs nothing.
                let _ = waits.send(reply);
            }
        }
    };
    let write = async {
        loop {
            match timeout(IDLE, queries.recv()).await {
                Ok(Some(query)) => {
                    writer.write_all(&query).await?;
                    writer.flush().await?;
                }
                Ok(None) => return Ok(()),
                Err(_) if waiting.by_id.borrow().is_empty() => return Ok(()),
                Err(_) => {}
            }
        }
    };
    tokio::select! {
        ended = read => ended,
        ended = write => ended,
    }
}

/// Queries that wait on one connection.
const MOST_QUERIES: usize = 64;
/// Connections of one worker to one upstream.
const MOST_CONNECTIONS: usize = 8;
const IDLE: Duration = Duration::from_secs(10);
