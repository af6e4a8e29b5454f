//! The loops of one worker: datagrams in batches, messages in streams.
//!
//! One table per batch or message, from one atomic load. TCP is bounded in connections, per client
//! and in time (`dns 3.4`); answers keep their order, so a connection has one message in hand.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use portico_net::accept::accept_loop;
use portico_net::datagram::Batch;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

use crate::answer::{Outcome, Transport, answer};
use crate::metrics::Metrics;
use crate::table::AnswerTable;

/// What every loop of a worker shares.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    /// The answers of now.
    pub(crate) table: Arc<ArcSwap<AnswerTable>>,
    pub(crate) metrics: Metrics,
    /// Workers, which share the limits between them.
    pub(crate) workers: usize,
}

/// Answers datagrams until `stop`.
pub(crate) async fn datagrams(socket: UdpSocket, shared: Shared, stop: CancellationToken) {
    let mut batch = Batch::default();
    let mut errors = 0_u32;
    loop {
        let received = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            received = socket.async_io(Interest::READABLE, || batch.receive(&socket)) => received,
        };
        if let Err(error) = received {
            // An earlier reply that found nobody is reported here, once; anything that goes on
            // must not spin.
            errors = errors.saturating_add(1);
            if errors > BURST_OF_ERRORS {
                warn!(%error, "receiving datagrams paused");
                tokio::time::sleep(PAUSE).await;
            }
            continue;
        }
        errors = 0;
        answer_all(&mut batch, &shared);
        // What cannot be sent now is lost, as any datagram may be; waiting is bounded.
        let sent = socket.async_io(Interest::WRITABLE, || batch.send(&socket));
        if let Ok(Err(error)) = timeout(PAUSE, sent).await {
            warn!(%error, "sending datagrams failed");
        }
        tokio::task::yield_now().await;
    }
}

/// Loads the table for this batch alone: who waits for datagrams keeps no old one alive.
fn answer_all(batch: &mut Batch, shared: &Shared) {
    let table = shared.table.load();
    for index in 0..batch.len() {
        if let Some((message, peer, local, reply)) = batch.datagram(index) {
            let outcome = answer(message, peer, local, Transport::Udp, &table, reply);
            shared
                .metrics
                .count(Transport::Udp, peer.is_ipv6(), outcome);
        }
    }
}

/// Answers connections until `stop`; those that are open end with their message in hand.
/// `end` closes even those.
pub(crate) async fn streams(
    listener: TcpListener,
    shared: Shared,
    stop: CancellationToken,
    end: CancellationToken,
) {
    let open = Rc::new(RefCell::new(Open::default()));
    let connections = TaskTracker::new();
    accept_loop(listener, stop.cancelled(), async |stream, peer| {
        let Some(place) = Open::enter(&open, peer.ip(), shared.workers) else {
            shared.metrics.refused_connections.inc();
            return;
        };
        let (shared, stop, end) = (shared.clone(), stop.clone(), end.clone());
        connections.spawn_local(async move {
            let _place = place;
            // An error is the client's: it went away or was too slow.
            let served = connection(stream, peer, &shared, &stop);
            drop(end.run_until_cancelled(served).await);
        });
    })
    .await;
    connections.close();
    connections.wait().await;
}

async fn connection(
    mut stream: TcpStream,
    peer: SocketAddr,
    shared: &Shared,
    stop: &CancellationToken,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let local = stream.local_addr()?.ip();
    let (mut message, mut reply, mut framed) = (Vec::new(), Vec::new(), Vec::new());
    loop {
        // One octet begins a message, and from then on it has its own time.
        let first = tokio::select! {
            biased;
            first = timeout(IDLE, stream.read_u8()) => first??,
            () = stop.cancelled() => return Ok(()),
        };
        timeout(MESSAGE, async {
            let length = u16::from_be_bytes([first, stream.read_u8().await?]);
            if usize::from(length) < crate::question::HEADER {
                return Err(io::ErrorKind::InvalidData.into());
            }
            message.resize(usize::from(length), 0);
            stream.read_exact(&mut message).await
        })
        .await??;
        let outcome =
            answer(&message, peer, local, Transport::Tcp, &shared.table.load(), &mut reply);
        shared
            .metrics
            .count(Transport::Tcp, peer.is_ipv6(), outcome);
        if outcome == Outcome::Ignored {
            return Ok(());
        }
        framed.clear();
        framed.extend(u16::try_from(reply.len()).unwrap_or(0).to_be_bytes());
        framed.extend_from_slice(&reply);
        timeout(MESSAGE, stream.write_all(&framed)).await??;
    }
}

/// The connections of a worker by client.
#[derive(Debug, Default)]
struct Open {
    total: usize,
    by_client: HashMap<IpAddr, usize>,
}

/// One of them, until dropped.
#[derive(Debug)]
struct Place {
    open: Rc<RefCell<Open>>,
    client: IpAddr,
}

impl Open {
    fn enter(open: &Rc<RefCell<Self>>, client: IpAddr, workers: usize) -> Option<Place> {
        let mut inner = open.borrow_mut();
        let known = inner.by_client.get(&client).copied().unwrap_or(0);
        if inner.total >= CONNECTIONS.div_ceil(workers) || known >= PER_CLIENT.div_ceil(workers) {
            return None;
        }
        inner.total += 1;
        inner.by_client.insert(client, known + 1);
        Some(Place { open: Rc::clone(open), client })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.open.borrow_mut();
        open.total -= 1;
        let left = open.by_client.get(&self.client).copied().unwrap_or(1) - 1;
        if left == 0 {
            open.by_client.remove(&self.client);
        } else {
            open.by_client.insert(self.client, left);
        }
    }
}

const IDLE: Duration = Duration::from_secs(10);
const MESSAGE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(100);
const BURST_OF_ERRORS: u32 = 32;
/// Connections of one listener over all workers, and of one client.
const CONNECTIONS: usize = 1024;
const PER_CLIENT: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_has_a_limit_and_gets_its_place_back() {
        let open = Rc::new(RefCell::new(Open::default()));
        let client = IpAddr::from([127, 0, 0, 1]);
        let mut places: Vec<_> = (0..PER_CLIENT)
            .map(|_| Open::enter(&open, client, 1).unwrap())
            .collect();
        assert!(Open::enter(&open, client, 1).is_none());
        assert!(Open::enter(&open, IpAddr::from([127, 0, 0, 2]), 1).is_some());
        places.pop();
        assert!(Open::enter(&open, client, 1).is_some());
        drop(places);
        assert_eq!((open.borrow().total, open.borrow().by_client.len()), (0, 0));
    }
}
