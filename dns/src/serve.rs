//! The loops of one worker: datagrams in batches, messages in streams.
//!
//! One table per batch or message, from one atomic load. TCP is bounded in connections, per client
//! and in time (`dns 3.4`). Whatever waits for upstreams does so in a task of its own.

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

use crate::acl::{self, Access};
use crate::answer::{Outcome, Transport, answer_beyond};
use crate::coredns::Tallies;
use crate::forward::{self, Begun, Forwarder, OpenTo, Waiting};
use crate::metrics::Metrics;
use crate::options::{Extras, Manners};
use crate::places::Places;
use crate::query_log::{Logging, Noted, client_size};
use crate::question::{NXDOMAIN, REFUSED};
use crate::rewrite::Rewrites;
use crate::stream::connection;
use crate::table::AnswerTable;
use crate::tally::{Batched, Tally};
use crate::transfer::Transfers;

/// What every loop of a worker shares.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    /// The answers of now.
    pub(crate) table: Arc<ArcSwap<AnswerTable>>,
    /// Who may ask now.
    pub(crate) acl: Arc<ArcSwap<Access>>,
    pub(crate) metrics: Metrics,
    /// Where loops that begin get counters from.
    pub(crate) tallies: Tallies,
    /// The counters of this loop.
    pub(crate) tally: Arc<Tally>,
    /// What clients' options are answered with.
    pub(crate) manners: Arc<ArcSwap<Manners>>,
    /// Certificates of now.
    pub(crate) certificates: Arc<ArcSwap<CertificateTable>>,
    /// Names that are asked as if they were others.
    pub(crate) rewrites: Arc<ArcSwap<Rewrites>>,
    /// Which questions are logged.
    pub(crate) log: Arc<Logging>,
    /// What is known of names elsewhere.
    pub(crate) forward: Arc<forward::Shared>,
    /// Who may have whole zones.
    pub(crate) transfers: Arc<Transfers>,
    /// Connections of one listener, and of one client, on each worker.
    pub(crate) connections: (usize, usize),
}

/// Who asks, where, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ends {
    pub(crate) peer: SocketAddr,
    pub(crate) local: IpAddr,
    pub(crate) transport: Transport,
    /// How long a connection may idle; nothing where there is none.
    pub(crate) idle: Duration,
}

impl Ends {
    /// What the log says of `message` beside its reply.
    pub(crate) fn noted(&self, message: &[u8]) -> Noted {
        let Self { peer, transport, .. } = *self;
        Noted { peer, transport, request: message.len(), size: client_size(message) }
    }
}

/// What answers at one moment: from a batch or message to the next it may be something else.
pub(crate) struct Moment<'a> {
    shared: &'a Shared,
    table: Guard<Arc<AnswerTable>>,
    acl: Guard<Arc<Access>>,
    rewrites: Guard<Arc<Rewrites>>,
    /// For whom names elsewhere are forwarded.
    open: OpenTo,
}

impl Shared {
    /// What answers now. Who waits for questions keeps none.
    pub(crate) fn now(&self) -> Moment<'_> {
        let open = self.forward.open();
        let (table, acl, rewrites) = (self.table.load(), self.acl.load(), self.rewrites.load());
        Moment { shared: self, table, acl, rewrites, open }
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
        let Ends { peer, transport, .. } = ends;
        if !self.acl.allows(peer.ip()) {
            let denied = self
                .acl
                .deny(message, (peer, transport), self.table.udp_size, reply);
            return Begun::Said(denied);
        }
        let begun = match self.rewrites.apply(message, ends, self.table.udp_size) {
            None => self.begin(message, ends, forwarder, reply),
            Some((other, restore)) => {
                // Its size is seen to when it is turned back.
                let ends = Ends { transport: Transport::Tcp, ..ends };
                self.begin(&other, ends, forwarder, reply)
                    .under(restore, reply)
            }
        };
        match Extras::of(message, ends, || self.shared.manners.load_full()) {
            Some(extras) => begun.with(extras, reply),
            None => begun,
        }
    }

    /// Whether others are asked for `client`.
    fn forwards(&self, client: IpAddr) -> bool {
        let is_open = match self.open {
            OpenTo::Nobody => false,
            OpenTo::Few => self.shared.forward.is_open_to(client),
            OpenTo::All => true,
        };
        is_open && self.acl.forwards(client)
    }

    /// Says what the table knows, or begins to ask somebody else.
    fn begin(
        &self,
        message: &[u8],
        ends: Ends,
        forwarder: &Rc<Forwarder>,
        reply: &mut Vec<u8>,
    ) -> Begun {
        let (begun, goes_on) = self.begin_beyond(0, message, ends, forwarder, reply);
        if !goes_on {
            return begun;
        }
        let (message, shared) = (message.to_vec(), self.shared.clone());
        Further { denied: 1, message, ends, shared }.after(begun, forwarder, reply)
    }

    /// The same where so many names of a search path have been denied; whether it goes on.
    fn begin_beyond(
        &self,
        denied: usize,
        message: &[u8],
        ends: Ends,
        forwarder: &Rc<Forwarder>,
        reply: &mut Vec<u8>,
    ) -> (Begun, bool) {
        let Ends { peer, local, transport, .. } = ends;
        let table = self.table.seen_by(peer.ip());
        let outcome = answer_beyond(denied, message, (peer, local), transport, table, reply);
        let is_open = self.forwards(peer.ip());
        let goes_on = is_open && matches!(outcome, Outcome::Elsewhere { goes_on: true, .. });
        let begun = match outcome {
            Outcome::Elsewhere { .. } if is_open => {
                let from = (peer.ip(), transport, table.udp_size);
                forwarder.begin(message, from, outcome, reply)
            }
            // Others are asked, and not for this client.
            Outcome::Elsewhere { rcode: REFUSED, .. } if self.open == OpenTo::All => {
                Begun::Said(acl::refuse(message, (peer, transport), table.udp_size, reply))
            }
            outcome => Begun::Said(outcome),
        };
        if let (true, Begun::Said(_), Some(flags)) = (is_open, &begun, reply.get_mut(3)) {
            *flags |= RECURSION_AVAILABLE;
        }
        (begun, goes_on)
    }
}

/// A question whose search path goes on when upstreams deny a name of it.
struct Further {
    denied: usize,
    message: Vec<u8>,
    ends: Ends,
    shared: Shared,
}

impl Further {
    /// What comes of `begun`: it goes on at once if that is denied by what is kept, or nobody is asked
    /// about it, and later if it is denied then.
    fn after(self, begun: Begun, forwarder: &Rc<Forwarder>, reply: &mut Vec<u8>) -> Begun {
        match begun {
            Begun::Said(
                Outcome::Reply { rcode: NXDOMAIN, .. } | Outcome::Elsewhere { rcode: NXDOMAIN, .. },
            ) => self.begin(forwarder, reply),
            Begun::Waits(mut waiting) => {
                let forwarder = Rc::clone(forwarder);
                waiting.go_on(move |reply| self.begin(&forwarder, reply));
                Begun::Waits(waiting)
            }
            said => said,
        }
    }

    fn begin(mut self, forwarder: &Rc<Forwarder>, reply: &mut Vec<u8>) -> Begun {
        let Self { denied, ref message, ends, .. } = self;
        let now = self.shared.now();
        let (begun, goes_on) = now.begin_beyond(denied, message, ends, forwarder, reply);
        drop(now);
        self.denied += 1;
        // As often as there are domains, which are few.
        if goes_on { self.after(begun, forwarder, reply) } else { begun }
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
        shared.tally.shed.add(batch.unsent() as u64);
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
    let mut notes = shared.log.begin();
    for index in 0..batch.len() {
        if let Some((message, peer, local, reply)) = batch.datagram(index) {
            let idle = Duration::ZERO;
            let ends = Ends { peer, local, transport: Transport::Udp, idle };
            match now.answer(message, ends, forwarder, reply) {
                Begun::Said(outcome) => {
                    shared.tally.count(outcome, message.len(), reply.len());
                    batched.push(outcome);
                    if let Some(notes) = &mut notes {
                        notes.add(ends.noted(message), reply, began.elapsed());
                    }
                }
                Begun::Waits(waiting) => {
                    reply.clear();
                    let noted = notes.as_ref().map(|_| ends.noted(message));
                    let late = Late { ends, began, request: message.len(), noted };
                    let late = late.send(*waiting, shared.clone(), Rc::clone(socket));
                    forwarder.wait(CancellationToken::new(), late);
                }
            }
        }
    }
    batched.took(&shared.tally, began);
}

/// A question that waits for upstreams.
#[derive(Debug)]
pub(crate) struct Late {
    pub(crate) ends: Ends,
    pub(crate) began: Instant,
    /// Octets of the message.
    pub(crate) request: usize,
    /// What the log says of it; none where nothing is logged.
    pub(crate) noted: Option<Noted>,
}

impl Late {
    /// The reply, once it is there, counted and logged.
    pub(crate) async fn reply(self, waiting: Waiting, shared: &Shared) -> Vec<u8> {
        let (reply, outcome) = waiting.reply().await;
        let (request, length) = (self.request, reply.len());
        shared
            .tally
            .count_late(outcome, request, length, self.began);
        if let (Some(noted), Some(mut notes)) = (self.noted, shared.log.begin()) {
            notes.add(noted, &reply, self.began.elapsed());
        }
        reply
    }

    /// Sends what one client has waited for.
    async fn send(self, waiting: Waiting, shared: Shared, socket: Rc<UdpSocket>) {
        let ends = self.ends;
        let reply = self.reply(waiting, &shared).await;
        let send = || send_from(&*socket, &reply, ends.peer, ends.local);
        // What cannot be sent is lost, as any datagram may be.
        let sent = timeout(PAUSE, socket.async_io(Interest::WRITABLE, send)).await;
        if !matches!(sent, Ok(Ok(_))) {
            shared.tally.shed.add(1);
        }
    }
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
    let places = Places::new(shared.connections, shared.metrics.connections.clone());
    let connections = TaskTracker::new();
    accept_loop(listener, stop.cancelled(), async |stream, peer| {
        // Where there is none, the connection is closed at once.
        let Some(place) = places.enter(peer.ip(), Instant::now()) else { return };
        let (shared, forwarder) = (shared.clone(), Rc::clone(&forwarder));
        let (tls, stop, end) = (tls.clone(), stop.clone(), end.clone());
        let served_by = place.served_by();
        let task = connections.spawn_local(async move {
            let served = async {
                stream.set_nodelay(true)?;
                let local = stream.local_addr()?.ip();
                let ends = |transport| Ends { peer, local, transport, idle: place.idle() };
                let Some(tls) = tls else {
                    let ends = ends(Transport::Tcp);
                    return connection(stream, ends, &place, &shared, &forwarder, &stop).await;
                };
                let stream = tls_accept::accept(stream, &tls).await;
                let stream = stream.inspect_err(|_| shared.metrics.tls_errors.inc())?;
                let ends = ends(Transport::Tls);
                connection(stream, ends, &place, &shared, &forwarder, &stop).await
            };
            // An error is the client's: it went away or was too slow.
            drop(end.run_until_cancelled(served).await);
        });
        served_by(task.abort_handle());
    })
    .await;
    connections.close();
    connections.wait().await;
}

const RECURSION_AVAILABLE: u8 = 0x80;
const PAUSE: Duration = Duration::from_millis(100);
const BURST_OF_ERRORS: u32 = 32;
