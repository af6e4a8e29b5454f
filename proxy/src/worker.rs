//! The part of the plane that lives on one worker thread: accept loops, datagrams, and what they
//! start.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use portico_net::accept::accept_loop;
use portico_net::copy::reset;
use portico_net::limit::{Place, SourceLimit};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, error, warn};

use crate::{Shared, l4, l7, node_health};

/// What the control side asks of a worker.
#[derive(Debug)]
pub(crate) enum Command {
    /// Serve these too.
    Open(Vec<Socket>),
    /// There is a new view: let the one before go, also where no connection comes.
    Renew,
}

/// One socket for this worker, and what it serves until `stop`.
#[derive(Debug)]
pub(crate) struct Socket {
    pub(crate) socket: Bound,
    pub(crate) serve: Serve,
    pub(crate) stop: CancellationToken,
}

/// A bound socket.
#[derive(Debug)]
pub(crate) enum Bound {
    /// Listening for connections.
    Streams(std::net::TcpListener),
    /// Taking datagrams.
    Datagrams(UdpSocket),
}

impl Bound {
    /// Where it is bound.
    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Streams(listener) => listener.local_addr(),
            Self::Datagrams(socket) => socket.local_addr(),
        }
    }
}

/// What a socket serves.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Serve {
    /// The L4 front of this address.
    Front { address: SocketAddr },
    /// The health check of this address.
    HealthCheck { address: SocketAddr },
    /// Ingress.
    Http { address: SocketAddr, tls: bool },
}

/// The part of the plane that lives on one worker thread.
#[derive(Debug)]
pub struct Worker {
    shared: Arc<Shared>,
    /// Which of the workers it is, from 0.
    number: usize,
    commands: mpsc::Receiver<Command>,
    /// The log of requests, where there is one.
    access: Option<l7::Access>,
}

impl Worker {
    pub(crate) fn new(
        shared: Arc<Shared>,
        number: usize,
        commands: mpsc::Receiver<Command>,
        access: Option<l7::Access>,
    ) -> Self {
        Self { shared, number, commands, access }
    }

    /// Serves until `stop` is cancelled: then takes what is queued, stops accepting, lets open
    /// connections finish for at most `drain_timeout`, and returns. Runs on a worker's local
    /// runtime; `resolver` answers DNS over HTTPS, where it is there.
    pub async fn run(
        mut self,
        stop: CancellationToken,
        drain_timeout: Duration,
        resolver: Option<Rc<dyn l7::Resolver>>,
    ) {
        let listeners = TaskTracker::new();
        let connections = TaskTracker::new();
        let (drain, end) = (CancellationToken::new(), CancellationToken::new());
        let _end = end.clone().drop_guard();
        let tcp = Rc::new(l4::Worker::new(&self.shared.view, self.shared.stream));
        let http = l7::Worker::new(
            Arc::clone(&self.shared.view),
            (Arc::clone(&self.shared.l7), self.number),
            connections.clone(),
            drain.clone(),
            l7::Queries { hosts: Arc::clone(&self.shared.query_hosts), resolver },
            (&self.shared.front_door, self.access.take()),
        );
        let udp = datagrams(&self.shared, &end);
        let plane = Rc::new(Plane { tcp, udp, http, connections: connections.clone() });
        let shared = Arc::clone(&self.shared);
        let open = async |sockets: Vec<Socket>| {
            for (position, socket) in sockets.into_iter().enumerate() {
                if position % OPEN_BURST == OPEN_BURST - 1 {
                    tokio::task::yield_now().await;
                }
                let (shared, plane) = (Arc::clone(&shared), Rc::clone(&plane));
                listeners.spawn_local(listen(socket, shared, plane, stop.clone()));
            }
        };
        loop {
            let command = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                command = self.commands.recv() => command,
            };
            match command {
                Some(Command::Open(sockets)) => open(sockets).await,
                Some(Command::Renew) => {}
                None => break,
            }
            // After sockets too: where the queue was full, nobody could say that there is a view.
            plane.renew_view();
        }
        stop.cancelled().await;
        // Nobody waits for room in the queue any more; what is in it is accepted from once.
        self.commands.close();
        while let Some(command) = self.commands.recv().await {
            if let Command::Open(sockets) = command {
                open(sockets).await;
            }
        }
        listeners.close();
        listeners.wait().await;
        drain.cancel();
        connections.close();
        let answered = tokio::time::timeout(drain_timeout.min(LAST_ANSWERS), plane.answered());
        let drained = tokio::time::timeout(drain_timeout, connections.wait());
        if let (_, Err(_)) = tokio::join!(answered, drained) {
            warn!(connections = connections.len(), "connections are cut at the end of the drain");
        }
    }
}

struct Plane {
    tcp: Rc<l4::Worker>,
    udp: Option<Rc<l4::Udp>>,
    http: Rc<l7::Worker>,
    connections: TaskTracker,
}

impl Plane {
    fn renew_view(&self) {
        self.tcp.renew_view();
        self.http.renew_view();
        if let Some(udp) = &self.udp {
            udp.renew_view();
        }
    }

    /// Waits until no client of UDP waits for an answer.
    async fn answered(&self) {
        if let Some(udp) = &self.udp {
            udp.answered().await;
        }
    }
}

/// UDP of this worker, carried until `end`; none where the system has no descriptor for it.
fn datagrams(shared: &Shared, end: &CancellationToken) -> Option<Rc<l4::Udp>> {
    match l4::Udp::new(&shared.view, shared.sessions, &shared.sessions_evicted) {
        Ok(udp) => {
            let udp = Rc::new(udp);
            let tasks = TaskTracker::new();
            tasks.spawn_local(carry(Rc::clone(&udp), tasks.clone(), end.clone()));
            Some(udp)
        }
        Err(error) => {
            error!(%error, "this worker serves no UDP");
            None
        }
    }
}

/// Carries datagrams until `end`; after a panic, which ended one round, it begins anew.
async fn carry(udp: Rc<l4::Udp>, tasks: TaskTracker, end: CancellationToken) {
    while !end.is_cancelled() {
        let (udp, until) = (Rc::clone(&udp), end.clone());
        let carried = tasks.spawn_local(async move { until.run_until_cancelled(udp.run()).await });
        if carried.await.is_err() {
            error!("carrying datagrams ended in a panic and begins anew");
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Takes datagrams at one front until it is told to stop, or all are.
async fn take_datagrams(
    socket: UdpSocket,
    serve: Serve,
    stop: CancellationToken,
    plane: Rc<Plane>,
    all: CancellationToken,
) {
    let (Some(udp), Serve::Front { address }) = (&plane.udp, serve) else { return };
    match udp.open(socket, address) {
        Err(error) => error!(?serve, %error, "a bound socket cannot be used"),
        Ok(front) => tokio::select! {
            () = stop.cancelled() => udp.close(front),
            () = all.cancelled() => udp.refuse(front),
        },
    }
}

/// Accepts on one socket until it is told to stop, or all are.
async fn listen(socket: Socket, shared: Arc<Shared>, plane: Rc<Plane>, all: CancellationToken) {
    let Socket { socket, serve, stop } = socket;
    let socket = match socket {
        Bound::Datagrams(socket) => return take_datagrams(socket, serve, stop, plane, all).await,
        Bound::Streams(socket) => socket,
    };
    let listener = match TcpListener::from_std(socket) {
        Ok(listener) => listener,
        Err(error) => return error!(?serve, %error, "a bound socket cannot be used"),
    };
    let ending = all.clone();
    // Boxed: it is moved on twice, and each move of a large future is its size once more.
    let stopped = Box::pin(async move {
        tokio::select! {
            () = stop.cancelled() => {}
            () = all.cancelled() => {}
        }
    });
    match serve {
        Serve::Front { address } => {
            accept_loop(listener, stopped, async |stream, peer| {
                let place = shared.connections.acquire().await;
                let tcp = Rc::clone(&plane.tcp);
                plane.connections.spawn_local(async move {
                    tcp.serve(stream, peer, address).await;
                    drop(place);
                });
            })
            .await;
        }
        Serve::HealthCheck { address } => {
            accept_loop(listener, stopped, async |stream, _| {
                let place = shared.connections.acquire().await;
                let shared = Arc::clone(&shared);
                plane.connections.spawn_local(async move {
                    let view = || shared.view.load_full();
                    node_health::serve(stream, address, view, &shared.healthy).await;
                    drop(place);
                });
            })
            .await;
        }
        Serve::Http { address, tls } => {
            let door = Rc::new(l7::HttpListener { address, tls });
            accept_loop(listener, stopped, async |stream, peer| {
                let place = shared.connections.acquire().await;
                ending.run_until_cancelled(plane.http.admits()).await;
                // At the end nobody waits: what is queued is served before the listener closes.
                let handshake = match tls {
                    true => {
                        ending
                            .run_until_cancelled(shared.handshakes.acquire())
                            .await
                    }
                    false => None,
                };
                welcome((stream, peer), (&shared, &plane), &door, (place, handshake));
            })
            .await;
        }
    }
}

/// Serves a client of Ingress, behind its PROXY header where one is required; `places` are its own
/// among connections, and among handshakes that go on (`http-proxy 7.11`).
fn welcome(
    (mut stream, peer): (TcpStream, SocketAddr),
    (shared, plane): (&Arc<Shared>, &Rc<Plane>),
    door: &Rc<l7::HttpListener>,
    places: (Place, Option<Place>),
) {
    if !shared.proxy_protocol {
        return admit((stream, peer), (shared, plane), door, places);
    }
    let (shared, inside, door) = (Arc::clone(shared), Rc::clone(plane), Rc::clone(door));
    plane.connections.spawn_local(async move {
        let is_trusted = inside.tcp.trusts(peer.ip());
        match l4::take_preface(&mut stream, is_trusted).await {
            Ok(header) => {
                let client = header.map_or(peer, |header| header.source);
                admit((stream, client), (&shared, &inside), &door, places);
            }
            Err(error) => {
                debug!(%peer, address = %door.address, %error, "no PROXY header");
                shared.l7.refuse(door.tls, l7::Refusal::ProxyProtocol);
                reset(&stream);
            }
        }
    });
}

/// Serves a client that has not more connections than one may have (`http-proxy 8.2`), nor more than its
/// share of the handshakes (`http-proxy 7.11`). Proxies that are trusted stand for many clients, and so
/// does this host itself.
fn admit(
    (stream, client): (TcpStream, SocketAddr),
    (shared, plane): (&Arc<Shared>, &Rc<Plane>),
    door: &Rc<l7::HttpListener>,
    (place, handshake): (Place, Option<Place>),
) {
    let stands_for_many = || plane.tcp.trusts(client.ip()) || is_here(&stream, client);
    let enter = |sources: &SourceLimit| match sources.enter(client.ip()) {
        Some(seat) => Some(Some(seat)),
        None if stands_for_many() => Some(None),
        None => {
            sources.hit();
            shared.l7.refuse(door.tls, l7::Refusal::Limit);
            None
        }
    };
    let Some(seat) = enter(&shared.sources) else { return reset(&stream) };
    let handshake = match handshake {
        None => None,
        Some(place) => match enter(&shared.handshake_sources) {
            Some(seat) => Some(l7::Shaking::new(place, seat)),
            None => return reset(&stream),
        },
    };
    plane
        .http
        .serve(stream, client, door, (place, handshake, seat));
}

/// Whether a connection comes from the address that it came to.
fn is_here(stream: &TcpStream, peer: SocketAddr) -> bool {
    stream
        .local_addr()
        .is_ok_and(|local| local.ip().to_canonical() == peer.ip().to_canonical())
}

/// Sockets taken in a row before the worker turns to others.
const OPEN_BURST: usize = 32;
/// How long the end of the process waits for answers over UDP; many are never given.
const LAST_ANSWERS: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(100);
