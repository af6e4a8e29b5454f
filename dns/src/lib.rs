//! The resolver: own UDP and TCP loops over a table of encoded answers.
//!
//! ```text
//! control:  Snapshot ─▶ AnswerTable ─commit─▶        workers: datagram or message ─▶ answer
//! ```
//!
//! [`Dns`] stays on the control side, one [`Worker`] moves to each worker thread.

mod wire;
mod zones;
mod options;
mod question;
mod block;
mod names;
mod pods;
mod table;
mod targets;
mod service;
mod servers;
mod hosts;
mod draft;
mod statics;
mod views;
mod build;
mod reply;
mod answer;
mod special;
mod autopath;
mod rewrite;
mod acl;
mod cache;
mod forward;
mod tally;
mod coredns;
mod plugins;
mod metrics;
mod query_log;
mod explain;
mod stream;
mod tls;
mod places;
mod transfer;
mod serve;
mod https;
mod listener;
mod local;
#[cfg(any(test, feature = "bench"))]
mod hold;
#[cfg(feature = "bench")]
#[doc(hidden)]
pub mod bench;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use ipnet::IpNet;
use portico_config::model::{
    Forwarding, QueryLog, Rewrite, Settings, StaticRecord, private_networks,
};
use portico_config::snapshot::{CertificateTable, Snapshot};
use portico_net::line_log::Reopen;
use portico_net::listeners::ListenerStatus;
use tokio::sync::mpsc;
use tracing::warn;

pub use explain::{Asking, Explained, Explainer, explain};
pub use https::{Answered, Resolver};
pub use local::{Local, Worker};
pub use options::CookieSecret;

use crate::acl::Access;
use crate::build::Tables;
use crate::coredns::Tallies;
use crate::listener::{Listener, Sockets};
use crate::metrics::Metrics;
use crate::options::Manners;
use crate::rewrite::Rewrites;
use crate::serve::Shared;
use crate::table::AnswerTable;
use crate::tally::{Tally, TallyEnds};
use crate::transfer::Transfers;

/// What the resolver is told by settings.
#[derive(Clone, Debug)]
pub struct Options {
    /// Worker threads, at least 1.
    pub workers: usize,
    /// Listeners, UDP and TCP each.
    pub listen: Vec<SocketAddr>,
    /// Listeners over TLS.
    pub tls: Vec<SocketAddr>,
    /// Networks whose clients are answered.
    pub allow: Vec<IpNet>,
    /// Whether others hear nothing.
    pub drop_denied: bool,
    /// What NSID is answered with.
    pub nsid: Option<Arc<str>>,
    /// The secret of cookies that several servers share; none: one of this start.
    pub cookie_secret: Option<CookieSecret>,
    /// TCP and TLS connections of a listener at once.
    pub connections: usize,
    /// How many of them one client has.
    pub connections_per_client: usize,
    /// Names that are asked as if they were others.
    pub rewrites: Vec<Rewrite>,
    /// Networks whose clients may have whole zones.
    pub transfer_to: Vec<IpNet>,
    /// Which questions are logged.
    pub log: QueryLog,
    /// Tells that log to begin its file anew.
    pub reopen: Reopen,
    /// Who is asked about names that are not ours.
    pub forwarding: Forwarding,
    /// Addresses of this host's interfaces: what a listener on all of them is called by.
    pub own: Vec<IpAddr>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            workers: 1,
            listen: Vec::new(),
            tls: Vec::new(),
            allow: private_networks(),
            drop_denied: false,
            nsid: None,
            cookie_secret: None,
            connections: 1024,
            connections_per_client: 64,
            rewrites: Vec::new(),
            transfer_to: Vec::new(),
            log: QueryLog::default(),
            reopen: Reopen::default(),
            forwarding: Forwarding::off(),
            own: Vec::new(),
        }
    }
}

/// The control side of the resolver.
#[derive(Debug)]
pub struct Dns {
    workers: Vec<mpsc::Sender<Sockets>>,
    listeners: Vec<Listener>,
    shared: Shared,
    forward: forward::Control,
    log: query_log::Control,
    tables: Tables,
    own: Vec<IpAddr>,
    /// The static records that were counted last.
    records: Arc<[StaticRecord]>,
    /// Tables of before that a worker may still hold: freed here, never on a worker.
    retired: Vec<Arc<AnswerTable>>,
    has_tried: bool,
}

/// The answers of the next snapshot, encoded, not yet given.
#[derive(Debug)]
pub struct Prepared {
    table: Arc<AnswerTable>,
    certificates: Arc<CertificateTable>,
    records: Arc<[StaticRecord]>,
}

impl Dns {
    /// The resolver and one [`Worker`] for each worker thread.
    pub fn new(options: Options) -> (Self, Vec<Worker>) {
        let count = options.workers.max(1);
        let tallies = Tallies::new();
        let shared = Shared {
            table: Arc::default(),
            acl: Arc::new(ArcSwap::from_pointee(Access::new(
                (&options.allow, options.drop_denied),
                &options.forwarding.allow,
            ))),
            metrics: Metrics::new(),
            tallies: tallies.clone(),
            tally: Arc::new(Tally::new(TallyEnds::nowhere())),
            forward: forward::Shared::new(),
            rewrites: Arc::new(ArcSwap::from_pointee(Rewrites(options.rewrites))),
            log: Arc::default(),
            transfers: Arc::new(Transfers::new(&options.transfer_to)),
            manners: Arc::new(ArcSwap::from_pointee(Manners::new(
                options.nsid,
                options.cookie_secret,
            ))),
            certificates: Arc::default(),
            connections: (
                options.connections.div_ceil(count),
                options.connections_per_client.div_ceil(count),
            ),
        };
        let capacity = (options.listen.len() + options.tls.len()).max(1);
        let (senders, workers) = (0..count)
            .map(|_| {
                let (sender, sockets) = mpsc::channel(capacity);
                (sender, Worker { sockets, shared: shared.clone() })
            })
            .unzip();
        let plain = options.listen.into_iter().map(|it| Listener::new(it, None));
        let config = (!options.tls.is_empty()).then(|| tls::config(&shared.certificates));
        let tls = options.tls.into_iter();
        let tls = tls.map(|it| Listener::new(it, config.clone()));
        let listeners = plain.chain(tls).collect();
        let forward = forward::Control::new(Arc::clone(&shared.forward), options.forwarding);
        let counts = shared.metrics.log.clone();
        let to = (Arc::clone(&shared.log), options.reopen);
        let log = query_log::Control::new(to, options.log, counts);
        let dns = Self {
            workers: senders,
            listeners,
            forward,
            log,
            shared,
            tables: Tables::new(tallies.zones),
            own: options.own,
            records: Arc::default(),
            retired: Vec::new(),
            has_tried: false,
        };
        (dns, workers)
    }

    /// Takes what of `settings` may change while portico runs.
    pub fn follow(&mut self, settings: &Settings) {
        let asking = (&settings.dns_allow[..], settings.dns_drop_denied);
        let acl = Access::new(asking, &settings.forwarding.allow);
        if **self.shared.acl.load() != acl {
            self.shared.acl.store(Arc::new(acl));
        }
        if self.shared.rewrites.load().0 != settings.dns_rewrites {
            let rewrites = Rewrites(settings.dns_rewrites.clone());
            self.shared.rewrites.store(Arc::new(rewrites));
        }
        let manners = self.shared.manners.load();
        if let Some(manners) = manners.named(settings.dns_nsid.clone()) {
            self.shared.manners.store(Arc::new(manners));
        }
        self.shared.transfers.follow(&settings.dns_transfer_to);
        let plugins = plugins::enabled(settings);
        self.shared.tallies.plugins.store(Arc::new(plugins));
        self.log.follow(&settings.dns_log.rules);
        self.forward.follow(&settings.forwarding, Instant::now());
    }

    /// Opens the sockets. Until the first [`Dns::commit`] no name is known, and every question is
    /// answered SERVFAIL (`dns 1.2`).
    pub fn open(&mut self) {
        if !std::mem::replace(&mut self.has_tried, true) {
            let now = Instant::now();
            for listener in &mut self.listeners {
                listener.open(self.workers.len(), now);
            }
            let listen = self.listeners.iter().map(|listener| listener.address);
            self.forward.listening(listen.collect(), now);
            self.hand_out();
        }
    }

    /// Encodes the answers of `snapshot`, of what changed alone where that is enough.
    pub fn prepare(&mut self, snapshot: &Arc<Snapshot>) -> Prepared {
        self.open();
        let plain = self.listeners.iter().filter(|it| it.tls.is_none());
        let mut listen: Vec<SocketAddr> = plain.map(|it| it.address).collect();
        let others = |listener: &SocketAddr| {
            let is_own = |own: &&IpAddr| !own.is_loopback() && own.is_ipv4() == listener.is_ipv4();
            let own = self.own.iter().filter(is_own);
            let own = own.map(|own| SocketAddr::new(*own, listener.port()));
            if listener.ip().is_unspecified() { own.collect() } else { Vec::new() }
        };
        let others: Vec<_> = listen.iter().flat_map(others).collect();
        listen.extend(others);
        let certificates = Arc::clone(&snapshot.certificates);
        let records = Arc::clone(&snapshot.zones.records);
        Prepared { table: self.tables.next(snapshot, &listen), certificates, records }
    }

    /// Answers from now on what `prepared` says.
    pub fn commit(&mut self, prepared: Prepared) {
        let names = i64::try_from(prepared.table.names.len()).unwrap_or(i64::MAX);
        self.shared.metrics.names.set(names);
        if !Arc::ptr_eq(&self.records, &prepared.records) {
            self.shared.metrics.records(&prepared.records);
            self.records = prepared.records;
        }
        self.shared.certificates.store(prepared.certificates);
        let retired = self.shared.table.swap(prepared.table);
        self.retired.push(retired);
        self.free_retired();
    }

    /// Tries to open what could not be opened before; cheap when nothing is due.
    pub fn retry(&mut self, now: Instant) {
        for listener in &mut self.listeners {
            if listener.due.is_some_and(|due| due <= now) {
                listener.open(self.workers.len(), now);
            }
        }
        self.forward.retry(now);
        self.free_retired();
        self.hand_out();
    }

    /// Every listener of the resolver and how it is.
    pub fn listeners(&self) -> Vec<ListenerStatus> {
        let status = |listener: &Listener, protocol| ListenerStatus {
            role: if listener.tls.is_some() { "dns-tls" } else { "dns" },
            address: listener.address,
            protocol,
            serves: None,
            state: listener.state.clone(),
        };
        // Before the first `prepare` nothing was tried, so there is nothing to report.
        let tried = self.listeners.iter().filter(|_| self.has_tried);
        tried
            .flat_map(|listener| {
                let udp = (listener.tls.is_none()).then(|| status(listener, "udp"));
                udp.into_iter().chain([status(listener, "tcp")])
            })
            .collect()
    }

    /// What tells why a name is answered as it is, as long as this runs.
    pub fn explainer(&self) -> Explainer {
        let Shared { table, acl, forward, rewrites, .. } = &self.shared;
        let (table, acl, forward) = (Arc::clone(table), Arc::clone(acl), Arc::clone(forward));
        Explainer { table, acl, forward, rewrites: Arc::clone(rewrites) }
    }

    /// The resolver's metrics, for the process's registry.
    pub fn collectors(&self) -> [Box<dyn prometheus::core::Collector>; 4] {
        [
            Box::new(self.shared.metrics.clone()),
            Box::new(self.shared.tallies.clone()),
            Box::new(self.shared.forward.collector()),
            Box::new(self.shared.transfers.metrics()),
        ]
    }

    /// A worker holds a table while it answers one batch or message, and lets it go before it waits:
    /// few are left here, until the next look.
    fn free_retired(&mut self) {
        self.retired.retain(|table| Arc::strong_count(table) > 1);
        let held = i64::try_from(self.retired.len()).unwrap_or(i64::MAX);
        self.shared.metrics.retired.set(held);
    }

    fn hand_out(&mut self) {
        for listener in &mut self.listeners {
            for (sender, sockets) in self.workers.iter().zip(listener.opened.drain(..)) {
                // Each listener is handed out once, and the channel holds as many: it fails only
                // where the worker has ended.
                if sender.try_send(sockets).is_err() {
                    warn!(address = %listener.address, "a dns worker has ended");
                }
            }
        }
    }
}
