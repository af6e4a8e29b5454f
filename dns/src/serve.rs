//! The loops of one worker: datagrams in batches, messages in streams.
//!
//! One table per batch or message, from one atomic load. TCP is bounded in connections, per client
//! and in time (`dns 3.4`). Whatever waits for upstreams does so in a task of its own.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, Guard};
use portico_config::snapshot::CertificateTable;
use portico_net::accept::accept_loop;
use portico_net::datagram::{Batch, send_from};
use portico_net::tls_accept;
use rustls::ServerConfig;
use tokio::io::Interest;
use tokio::net::{TcpListener, UdpSocket};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

use crate::acl::{self, Acl};
use crate::answer::{Outcome, Transport, answer};
use crate::coredns::Tallies;
use crate::forward::{self, Begun, Forwarder, Waiting};
use crate::metrics::Metrics;
use crate::options::{Extras, Manners};
use crate::stream::connection;
use crate::table::AnswerTable;
use crate::tally::{Batched, Tally};

/// What every loop of a worker shares.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    /// The answers of now.
    pub(crate) table: Arc<ArcSwap<AnswerTable>>,
    /// Who may ask now.
    pub(crate) acl: Arc<ArcSwap<Acl>>,
    pub(crate) metrics: Metrics,
    /// Where loops that begin get counters from.
    pub(crate) tallies: Tallies,
    /// The counters of this loop.
    pub(crate) tally: Arc<Tally>,
    /// What clients' options are answered with.
    pub(crate) manners: Arc<ArcSwap<Manners>>,
    /// Certificates of now.
    pub(crate) certificates: Arc<ArcSwap<CertificateTable>>,
    /// What is known of names elsewhere.
    pub(crate) forward: Arc<forward::Shared>,
    /// Connections of one listener, and of one client, on each worker.
    pub(crate) connections: (usize, usize),
}

/// Who asks, where, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ends {
    pub(crate) peer: SocketAddr,
    pub(crate) local: IpAddr,
    pub(crate) transport: Transport,
}

/// What answers at one moment: from a batch or message to the next it may be something else.
pub(crate) struct Moment<'a> {
    manners: &'a ArcSwap<Manners>,
    table: Guard<Arc<AnswerTable>>,
    acl: Guard<Arc<Acl>>,
    /// Whether names elsewhere are forwarded.
    is_open: bool,
}

impl Shared {
    /// What answers now. Who waits for questions keeps none.
    pub(crate) fn now(&self) -> Moment<'_> {
        let is_open = self.forward.is_open();
        let (table, acl) = (self.table.load(), self.acl.load());
        Moment { manners: &self.manners, table, acl, is_open }
    }
}

impl Moment<'_> {
    /// Answers one message into `reply`, or begins to ask somebody else.
    pub(crate) fn answer(
        &self,
        message: &[u8],
        ends: Ends,
        forwarder: &Rc<Forwarder>,
        reply: &mut Vec<u8>,
    ) -> Begun {
        let Ends { peer, local, transport } = ends;
        if !self.acl.allows(peer.ip()) {
            return Begun::Said(acl::refuse(message, peer, transport, reply));
        }
        let outcome = answer(message, peer, local, transport, &self.table, reply);
        let begun = match outcome {
            Outcome::Elsewhere { .. } if self.is_open => {
                forwarder.begin(message, transport, outcome, reply)
            }
            outcome => Begun::Said(outcome),
        };
        if let (true, Begun::Said(_), Some(flags)) = (self.is_open, &begun, reply.get_mut(3)) {
            *flags |= RECURSION_AVAILABLE;
        }
        match Extras::of(message, ends, || self.manners.load_full()) {
            Some(extras) => begun.with(extras, reply),
            None => begun,
        }
    }
}

/// Answers datagrams until `stop`.
pub(crate) async fn datagrams(
    socket: UdpSocket,
    shared: Shared,
    forwarder: Rc<Forwarder>,
    stop: CancellationToken,
) {
    let socket = Rc::new(socket);
    let mut batch = Batch::default();
    let mut batched = Batched::default();
    let mut errors = 0_u32;
    loop {
        let received = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            received = socket.async_io(Interest::READABLE, || batch.receive(&*socket)) => received,
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
        answer_all(&mut batch, &shared, &forwarder, &socket, &mut batched);
        // What cannot be sent now is lost, as any datagram may be; waiting is bounded.
        let sent = socket.async_io(Interest::WRITABLE, || batch.send(&*socket));
        if let Ok(Err(error)) = timeout(PAUSE, sent).await {
            warn!(%error, "sending datagrams failed");
        }
        tokio::task::yield_now().await;
    }
}

/// Answers a batch from one moment; what has to be asked elsewhere is sent when it is known.
fn answer_all(
    batch: &mut Batch,
    shared: &Shared,
    forwarder: &Rc<Forwarder>,
    socket: &Rc<UdpSocket>,
    batched: &mut Batched,
) {
    let began = Instant::now();
    let now = shared.now();
    for index in 0..batch.len() {
        if let Some((message, peer, local, reply)) = batch.datagram(index) {
            let ends = Ends { peer, local, transport: Transport::Udp };
            match now.answer(message, ends, forwarder, reply) {
                Begun::Said(outcome) => {
                    shared.tally.count(outcome, message.len(), reply.len());
                    batched.push(outcome);
                }
                Begun::Waits(waiting) => {
                    reply.clear();
                    let late = late(
                        *waiting,
                        ends,
                        shared.clone(),
                        Rc::clone(socket),
                        (message.len(), began),
                    );
                    forwarder.wait(CancellationToken::new(), late);
                }
            }
        }
    }
    batched.took(&shared.tally, began);
}

/// Sends what one client has waited for.
async fn late(
    waiting: Waiting,
    ends: Ends,
    shared: Shared,
    socket: Rc<UdpSocket>,
    (request, began): (usize, Instant),
) {
    let (reply, outcome) = waiting.reply().await;
    shared
        .tally
        .count_late(outcome, request, reply.len(), began);
    let send = || send_from(&*socket, &reply, ends.peer, ends.local);
    // What cannot be sent is lost, as any datagram may be.
    drop(timeout(PAUSE, socket.async_io(Interest::WRITABLE, send)).await);
}

/// Answers connections until `stop`; those that are open end with their message in hand.
/// `end` closes even those.
pub(crate) async fn streams(
    listener: TcpListener,
    tls: Option<Arc<ServerConfig>>,
    shared: Shared,
    forwarder: Rc<Forwarder>,
    stop: CancellationToken,
    end: CancellationToken,
) {
    let open = Rc::new(RefCell::new(Open::default()));
    let connections = TaskTracker::new();
    accept_loop(listener, stop.cancelled(), async |stream, peer| {
        let Some(place) = Open::enter(&open, peer.ip(), shared.connections) else {
            shared.metrics.refused_connections.inc();
            return;
        };
        let (shared, forwarder) = (shared.clone(), Rc::clone(&forwarder));
        let (tls, stop, end) = (tls.clone(), stop.clone(), end.clone());
        connections.spawn_local(async move {
            let _place = place;
            let served = async {
                stream.set_nodelay(true)?;
                let local = stream.local_addr()?.ip();
                let Some(tls) = tls else {
                    let ends = Ends { peer, local, transport: Transport::Tcp };
                    return connection(stream, ends, &shared, &forwarder, &stop).await;
                };
                let stream = tls_accept::accept(stream, &tls).await;
                let stream = stream.inspect_err(|_| shared.metrics.tls_errors.inc())?;
                let ends = Ends { peer, local, transport: Transport::Tls };
                connection(stream, ends, &shared, &forwarder, &stop).await
            };
            // An error is the client's: it went away or was too slow.
            drop(end.run_until_cancelled(served).await);
        });
    })
    .await;
    connections.close();
    connections.wait().await;
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
    /// A place for a client, where there are at most `most` in all and for one client.
    fn enter(
        open: &Rc<RefCell<Self>>,
        client: IpAddr,
        (most, most_of_client): (usize, usize),
    ) -> Option<Place> {
        let mut inner = open.borrow_mut();
        let known = inner.by_client.get(&client).copied().unwrap_or(0);
        if inner.total >= most || known >= most_of_client {
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

const RECURSION_AVAILABLE: u8 = 0x80;
const PAUSE: Duration = Duration::from_millis(100);
const BURST_OF_ERRORS: u32 = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_has_a_limit_and_gets_its_place_back() {
        let open = Rc::new(RefCell::new(Open::default()));
        let client = IpAddr::from([127, 0, 0, 1]);
        let enter = |client| Open::enter(&open, client, (4, 3));
        let mut places: Vec<_> = (0..3).map(|_| enter(client).unwrap()).collect();
        assert!(enter(client).is_none(), "dns 3.4: of one client");
        places.push(enter(IpAddr::from([127, 0, 0, 2])).unwrap());
        assert!(enter(IpAddr::from([127, 0, 0, 3])).is_none(), "dns 3.4: in all");
        places.swap_remove(0);
        assert!(enter(client).is_some());
        drop(places);
        assert_eq!((open.borrow().total, open.borrow().by_client.len()), (0, 0));
    }
}
