//! The L4 and L7 data plane.
//!
//! ```text
//! control:  Snapshot ─prepare─▶ Prepared ─commit─▶ View          workers: accept ─▶ l4 │ l7
//!                    binds sockets        swaps, hands over               one View load each
//! ```
//!
//! [`Proxy`] stays on the control side, one [`Worker`] moves to each worker thread. Nothing is
//! closed before its successor is open; nothing in flight is cut by a reload.

mod metrics;
mod upstream;
mod ledger;
mod limiter;
mod pressure;
mod view;
mod l4;
mod l7;
mod node_health;
mod reconcile;
mod worker;
#[cfg(feature = "bench")]
#[doc(hidden)]
pub mod bench;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use arc_swap::ArcSwap;
use portico_config::model::{AccessLog, FrontDoor, LogTarget};
use portico_config::snapshot::Snapshot;
use portico_net::dev_ca::DevCa;
use portico_net::limit::{
    ConnectionLimit, MemoryLimit, SourceLimit, connections_for, sessions_for,
};
use portico_net::line_log::{Counts, LineLog, Reopen};
use portico_net::listeners::ListenerList;
use portico_net::stream::StreamOptions;
use tokio::sync::mpsc;
use tracing::{info, warn};

use crate::ledger::Ledgers;
use crate::reconcile::Listeners;
use crate::upstream::{AffinityTable, Outs};
use crate::view::{Builder, Retired, View};

pub use crate::l7::explain::{
    Answering as Handshake, Backend, Choice, Explained, Found, Ground, Imagined, Other, Outcome,
    Step, explain,
};
pub use crate::l7::{Answered, Answering, Resolver};
pub use crate::reconcile::Prepared;
pub use crate::upstream::SessionKey;
pub use crate::worker::Worker;

/// What the plane is told by settings.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Worker threads, at least 1.
    pub workers: usize,
    /// Plain Ingress listeners; port 0 lets the kernel choose.
    pub http: Vec<SocketAddr>,
    /// TLS Ingress listeners; port 0 lets the kernel choose.
    pub https: Vec<SocketAddr>,
    /// The limit of open descriptors: bounds listeners, connections and UDP sessions.
    pub descriptors: u64,
    /// How many client connections may be open at once, as far as descriptors go; none: as many as
    /// [`portico_net::limit::connections_for`] says.
    pub max_connections: Option<usize>,
    /// Memory of which Ingress does less where most of it is taken.
    pub max_memory: MemoryLimit,
    /// How many endpoints have metrics of their own; 0: nothing is counted for that.
    pub endpoint_series: usize,
    /// How many rules of Ingress have metrics of their own; others share theirs.
    pub rule_series: usize,
    /// Options of TCP connections, those that are accepted and those that are dialled.
    pub stream: StreamOptions,
    /// Hosts, in lower case, that answer DNS over HTTPS, with the [`Resolver`] of each worker.
    pub query_hosts: Vec<Arc<str>>,
    /// Whether every client of Ingress begins with a PROXY header, whose word is taken where its
    /// sender is trusted.
    pub proxy_protocol: bool,
    /// What cookies of `affinity: cookie` are made with: the same after a restart, so that clients
    /// return to their endpoints.
    pub session_key: SessionKey,
    /// Limits and timeouts of Ingress, and what is believed of trusted proxies.
    pub front_door: FrontDoor,
    /// Who signs certificates of hosts that have none.
    pub dev_ca: Option<Arc<DevCa>>,
    /// The log of requests to Ingress.
    pub access_log: AccessLog,
    /// Tells it to begin its file anew.
    pub reopen: Reopen,
}

/// The control side of the plane.
#[derive(Debug)]
pub struct Proxy {
    shared: Arc<Shared>,
    builder: Builder,
    listeners: Listeners,
    retired: Retired,
    /// Endpoints that are out, and whose return the log is to hear of.
    outs: Arc<Outs>,
    descriptors: u64,
    /// The log of requests, where there is one.
    _access: Option<LineLog>,
}

/// Which endpoints are put out since they failed again and again.
#[derive(Clone, Debug)]
pub struct Ejections(Arc<Shared>);

impl Ejections {
    /// Those that are tried last at `now`, of all ServicePorts.
    pub fn at(&self, now: Instant) -> BTreeSet<SocketAddr> {
        let view = self.0.view.load_full();
        view.ports().flat_map(|port| port.out(now)).collect()
    }
}

/// Looks how much memory is taken.
#[derive(Clone, Debug)]
pub struct MemoryWatch(Arc<Shared>);

impl MemoryWatch {
    /// Looks now, and has workers do less where memory is short; to be called every second or so, on a
    /// thread that serves nobody.
    pub fn look(&self) {
        self.0.l7.pressure.look();
    }
}

/// Says what would become of requests, by the settings that serve.
#[derive(Clone, Debug)]
pub struct Explainer(Arc<Shared>);

impl Explainer {
    /// What becomes of a request now, by the rules of `snapshot`.
    pub fn explain(&self, snapshot: &Arc<Snapshot>, imagined: &Imagined) -> Explained {
        let out = Ejections(Arc::clone(&self.0)).at(Instant::now());
        let makes_certificates = self.0.l7.dev_ca.get().is_some();
        let ground = Ground { snapshot, door: &self.0.front_door, makes_certificates, out: &out };
        explain(&ground, imagined)
    }
}

/// What control side, workers and metrics share.
#[derive(Debug)]
struct Shared {
    view: Arc<ArcSwap<View>>,
    connections: ConnectionLimit,
    /// Connections of each client of Ingress.
    sources: SourceLimit,
    /// TLS handshakes of clients of Ingress that go on.
    handshakes: ConnectionLimit,
    /// Those of each client: half of them, so that who never ends one does not keep all others out.
    handshake_sources: SourceLimit,
    stream: StreamOptions,
    /// Whether Ingress listeners require a PROXY header.
    proxy_protocol: bool,
    /// Limits and timeouts of Ingress.
    front_door: FrontDoor,
    l7: Arc<l7::Metrics>,
    /// Lines of the log of requests.
    access: Counts,
    /// Hosts that answer DNS over HTTPS.
    query_hosts: Arc<l7::QueryHosts>,
    /// Every listener and how it is.
    listeners: ArcSwap<ListenerList>,
    /// UDP sessions that one worker may have.
    sessions: usize,
    /// How often a UDP session made room for another.
    sessions_evicted: Arc<AtomicU64>,
    /// Where clients return to.
    affinity: Arc<AffinityTable>,
    /// How many endpoints may have metrics of their own.
    endpoint_series: usize,
    /// Scrapes that left endpoints out for that.
    endpoint_series_exceeded: AtomicU64,
    /// What the requests of rules without metrics of their own come to.
    shared_ledger: ledger::Shared,
    /// How often a listener found the limit of descriptors reached.
    listeners_refused: AtomicU64,
    /// Whether health checks may say that all is well.
    healthy: Arc<AtomicBool>,
    /// Views that no longer serve and that somebody still holds.
    views_retired: AtomicUsize,
}

impl Proxy {
    /// The plane and one [`Worker`] for each worker thread.
    pub fn new(options: Options) -> (Self, Vec<Worker>) {
        let most = most_connections(options.descriptors, options.max_connections);
        let threads = options.workers.max(1);
        let ledgers = Ledgers::new(threads, options.rule_series);
        let session_key = options.session_key.clone();
        let builder = Builder::new(options.endpoint_series > 0, session_key, ledgers);
        let shared = Arc::new(Shared {
            view: Arc::new(ArcSwap::from_pointee(View::default())),
            connections: ConnectionLimit::new(most),
            sources: SourceLimit::new(options.front_door.max_connections_per_client),
            handshakes: ConnectionLimit::new(options.front_door.max_tls_handshakes),
            handshake_sources: SourceLimit::new(options.front_door.max_tls_handshakes.div_ceil(2)),
            stream: options.stream,
            proxy_protocol: options.proxy_protocol,
            front_door: options.front_door.clone(),
            l7: Arc::new(l7::Metrics::new(threads)),
            access: Counts::default(),
            query_hosts: Arc::new(ArcSwap::from_pointee(options.query_hosts.clone())),
            listeners: ArcSwap::default(),
            sessions: sessions_for(options.descriptors).div_ceil(options.workers.max(1)),
            sessions_evicted: Arc::default(),
            affinity: Arc::clone(builder.affinity()),
            endpoint_series: options.endpoint_series,
            endpoint_series_exceeded: AtomicU64::default(),
            shared_ledger: builder.shared_ledger().clone(),
            listeners_refused: AtomicU64::default(),
            healthy: Arc::new(AtomicBool::new(true)),
            views_retired: AtomicUsize::default(),
        });
        if let Some(ca) = &options.dev_ca {
            // Nobody has set it before.
            let _ = shared.l7.dev_ca.set(Arc::clone(ca));
        }
        shared.l7.pressure.limit(options.max_memory);
        let log = access_log(&options, &shared.access);
        let access = log.as_ref().map(|log| l7::Access {
            format: Arc::new(options.access_log.format.clone()),
            lines: log.lines(),
        });
        let (senders, workers) = (0..threads)
            .map(|number| {
                let (sender, commands) = mpsc::channel(COMMAND_QUEUE);
                (sender, Worker::new(Arc::clone(&shared), number, commands, access.clone()))
            })
            .unzip();
        let listeners = Listeners::new(&options, senders);
        let (retired, outs) = (Retired::default(), Arc::clone(builder.outs()));
        let descriptors = options.descriptors;
        let proxy = Self { shared, builder, listeners, retired, outs, descriptors, _access: log };
        (proxy, workers)
    }

    /// Has annotations lead nowhere where `is_it` says so: to what is for the operator alone
    /// (`reliability 2.11.1`). The first word counts.
    pub fn forbid(&self, is_it: impl Fn(SocketAddr) -> bool + Send + Sync + 'static) {
        let _ = self.shared.l7.forbidden.set(l7::Forbidden::new(is_it));
    }

    /// Builds the next view and opens every socket that it needs; changes nothing that serves.
    pub fn prepare(&mut self, snapshot: &Arc<Snapshot>) -> Prepared {
        let view = self.builder.next(snapshot);
        self.listeners
            .prepare(view, &snapshot.fronts, &snapshot.health_checks)
    }

    /// Swaps the view, hands the new sockets to the workers, then drains what left.
    ///
    /// Connections that come in between wait in the backlog of sockets that already listen. Called
    /// on a thread without a runtime: it waits for room in the workers' queues.
    pub fn commit(&mut self, prepared: Prepared) {
        let Prepared { view, changes } = prepared;
        self.retired.push(self.shared.view.swap(view));
        self.listeners.commit(changes);
        self.listeners.announce_view();
        self.publish_status();
        self.sweep();
    }

    /// Tries to open what could not be opened before, frees views that the last worker let go, and
    /// tells the log of endpoints that are back; cheap when nothing is due. To be called every
    /// second or so.
    pub fn retry(&mut self, now: Instant) {
        if self.listeners.retry(now) {
            self.publish_status();
        }
        for back in self.outs.take_returned(now) {
            let (endpoint, port) = (back.endpoint, &back.port);
            info!(%endpoint, %port, "an endpoint that was out is tried like the others again");
        }
        self.sweep();
    }

    /// Lets as many client connections be open at once from now on, as [`Options::max_connections`]
    /// says. Those that are open stay.
    pub fn limit_connections(&self, max_connections: Option<usize>) {
        let most = most_connections(self.descriptors, max_connections);
        self.shared.connections.set(most);
    }

    /// Holds the process to so much memory from the next look on.
    pub fn limit_memory(&self, max_memory: MemoryLimit) {
        self.shared.l7.pressure.limit(max_memory);
    }

    /// Looks how much memory is taken, at any time and from any thread.
    pub fn memory_watch(&self) -> MemoryWatch {
        MemoryWatch(Arc::clone(&self.shared))
    }

    /// Lets these hosts, in lower case, answer DNS over HTTPS from now on.
    pub fn answer_queries_for(&self, hosts: &[Arc<str>]) {
        if **self.shared.query_hosts.load() != hosts {
            self.shared.query_hosts.store(Arc::new(hosts.to_vec()));
        }
    }

    /// To be set to false when the process begins to end: from then on health checks of Services
    /// send load balancers away, while connections are still accepted.
    pub fn healthy(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.shared.healthy)
    }

    /// Every listener of the plane and how it is; the same list while none changes.
    pub fn listeners(&self) -> ListenerList {
        self.listeners.list().clone()
    }

    /// Asks which endpoints are put out, at any time and from any thread.
    pub fn ejections(&self) -> Ejections {
        Ejections(Arc::clone(&self.shared))
    }

    /// Asks what would become of requests, at any time and from any thread.
    pub fn explainer(&self) -> Explainer {
        Explainer(Arc::clone(&self.shared))
    }

    /// The plane's metrics, for the process's registry.
    pub fn collector(&self) -> Box<dyn prometheus::core::Collector> {
        Box::new(metrics::Collector::new(Arc::clone(&self.shared)))
    }

    fn publish_status(&self) {
        let list = self.listeners.list();
        if !self.shared.listeners.load().is_same(list) {
            self.shared.listeners.store(Arc::new(list.clone()));
        }
        let refused = self.listeners.refused();
        self.shared
            .listeners_refused
            .store(refused, Ordering::Relaxed);
    }

    fn sweep(&mut self) {
        self.retired.sweep();
        let held = self.retired.len();
        self.shared.views_retired.store(held, Ordering::Relaxed);
    }
}

/// The log of requests; none where it is off or cannot begin.
fn access_log(options: &Options, counts: &Counts) -> Option<LineLog> {
    let file = match &options.access_log.target {
        LogTarget::Off => return None,
        LogTarget::Stdout => None,
        LogTarget::File(file) => Some(file.clone()),
    };
    LineLog::start(file, counts.clone(), &options.reopen)
        .inspect_err(|error| warn!(%error, "requests cannot be logged"))
        .ok()
}

/// How many connections may be open; the log hears where descriptors allow fewer than asked for.
fn most_connections(descriptors: u64, asked: Option<usize>) -> usize {
    let most = connections_for(descriptors, asked);
    if let Some(asked) = asked.filter(|asked| *asked > most) {
        warn!(asked, most, "there are descriptors for fewer connections than are asked for");
    }
    most
}

/// Commands that may wait for a worker: a snapshot's sockets pass through it in parts.
const COMMAND_QUEUE: usize = 256;
