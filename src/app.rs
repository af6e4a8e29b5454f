//! The running process: its threads, and their order of start and end.
//!
//! ```text
//! start: admin binds ─▶ workers ─▶ compile: work ─▶ prepare ─▶ commit proxy, dns ─▶ ready
//! end:   not ready ─▶ drain_delay ─▶ workers drain ─▶ source ends ─▶ admin closes
//! ```
//!
//! Invariants: a name is never answered before its address listens (the proxy commits first);
//! `/livez` and readers of the publication never wait for a compilation; a panic while compiling
//! leaves the last snapshot serving. Nothing is global but the log and the crypto provider, so
//! several instances may run side by side. What a thread does is in a file of its name, what planes
//! are told at start in `plane_options`.

use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
use arc_swap::ArcSwap;
use portico_config::pipeline::Pipeline;
use portico_config::publish::{Publication, Published};
use portico_config::source::Source;
use portico_dns::Dns;
use portico_net::line_log::Reopen;
use portico_net::listeners::{ListenerState, ListenerStatus};
use portico_proxy::Proxy;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::compiler::{Compiler, Past};
use crate::metrics::Metrics;
use crate::planes::Planes;
use crate::readiness::Readiness;
use crate::routes::Routes;
use crate::settings::Follow;
use crate::shared::Shared;
use crate::state::State;
use crate::work::{Controls, Feed};
use crate::worker::{self, Life};
use crate::{admin, control, host, plane_options, prober, retry, seeker, thread};

pub use crate::settings::AppOptions;

/// Starts instances.
#[derive(Clone, Copy, Debug)]
pub struct App;

/// One running instance. Its methods block the calling thread at most, they need no runtime.
///
/// Dropped without [`Running::shutdown`] it ends in the background, without waiting.
#[derive(Debug)]
pub struct Running {
    shared: Arc<Shared>,
    sources: Controls,
    life: Life,
    /// Logs that may be told to begin their files anew.
    logs: Reopen,
    drain_delay: Duration,
    /// What health checks of Services say.
    healthy: Arc<AtomicBool>,
    close: CancellationToken,
    workers: Vec<JoinHandle<()>>,
    control: Vec<JoinHandle<()>>,
}

impl App {
    /// Starts an instance that serves what `source` delivers. Returns before the first snapshot
    /// is applied; fails where the system gives no thread or no runtime.
    pub fn start(options: AppOptions, source: Box<dyn Source>) -> anyhow::Result<Running> {
        Self::start_following(options, source, None)
    }

    /// As [`App::start`], and takes the edits of a settings file while it runs.
    pub fn start_following(
        options: AppOptions,
        source: Box<dyn Source>,
        follow: Option<Follow>,
    ) -> anyhow::Result<Running> {
        // The only failure is a provider that is already there.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let settings = Arc::new(options.settings);
        let count = options.workers.max(1);
        let limits = (options.max_connections, options.endpoint_series, options.rule_series);
        let (state, assignments) = State::open(options.state_dir.as_deref());
        let logs = Reopen::default();
        let (proxy, proxy_workers) = Proxy::new(portico_proxy::Options {
            session_key: state.session_key(),
            dev_ca: plane_options::dev_ca(settings.dev_tls, options.state_dir.as_deref()),
            reopen: logs.clone(),
            max_memory: options.max_memory,
            ..plane_options::proxy(count, limits, &settings)
        });
        plane_options::doubt_names(&settings);
        let (mut dns, dns_workers) = Dns::new(portico_dns::Options {
            reopen: logs.clone(),
            ..plane_options::dns(count, &settings)?
        });
        dns.follow(&settings);
        // What is asked before manifests are read hears that it is too early.
        dns.open();
        let probe_metrics = prober::Metrics::new()?;
        let mut collectors = probe_metrics.collectors();
        collectors.push(proxy.collector());
        collectors.extend(dns.collectors());
        let shared = Arc::new(Shared {
            publication: Publication::default(),
            readiness: Readiness::default(),
            metrics: Metrics::new(collectors)?,
            probes: prober::Board::default(),
            ejections: proxy.ejections(),
            requests: proxy.explainer(),
            names: dns.explainer(),
            planes: ArcSwap::default(),
            batches: AtomicU64::new(0),
            admin: ArcSwap::default(),
        });
        let (of, own) = (Arc::downgrade(&shared), host::facts().addresses);
        let is_admin = move |shared: Arc<Shared>, address| shared.is_admin(address, &own);
        proxy.forbid(move |address| of.upgrade().is_some_and(|shared| is_admin(shared, address)));
        let feed = Feed::new(source, follow, &settings);
        let mut running = Running {
            sources: feed.controls(),
            life: Life {
                stop: CancellationToken::new(),
                drain_timeout: options.drain_timeout,
                failed: CancellationToken::new(),
            },
            logs,
            drain_delay: options.drain_delay,
            healthy: proxy.healthy(),
            close: CancellationToken::new(),
            workers: Vec::new(),
            control: Vec::new(),
            shared,
        };
        running.start_control(admin::Sockets::bind(&settings.admin, &running.shared))?;
        for (index, (proxy, dns)) in proxy_workers.into_iter().zip(dns_workers).enumerate() {
            let worker = worker::start(index, proxy, dns, running.life.clone());
            running
                .workers
                .push(worker.context("start a worker thread")?);
        }
        let mut routes = Routes::default();
        routes.follow(&settings);
        let mut pipeline = Pipeline::new(settings, host::facts(), assignments);
        pipeline.expect_probes();
        let planes = Planes { proxy, dns, routes };
        running.start_compile(pipeline, state, planes, feed, probe_metrics)?;
        Ok(running)
    }
}

impl Running {
    /// The first plain Ingress listener; with port 0 the port that the kernel chose.
    ///
    /// # Panics
    /// Where that listener is off or not tried yet: wait for readiness first.
    #[track_caller]
    pub fn http(&self) -> SocketAddr {
        self.listener("http").expect("the http listener is on")
    }

    /// The first TLS Ingress listener; as [`Running::http`].
    #[track_caller]
    pub fn https(&self) -> SocketAddr {
        self.listener("https").expect("the https listener is on")
    }

    /// The first resolver listener; as [`Running::http`].
    #[track_caller]
    pub fn dns(&self) -> SocketAddr {
        self.listener("dns").expect("the dns listener is on")
    }

    /// The admin listener; as [`Running::http`], but there from the start.
    #[track_caller]
    pub fn admin(&self) -> SocketAddr {
        self.listener("admin").expect("the admin listener is on")
    }

    /// The first listener of `role` that serves, else the first of it.
    pub fn listener(&self, role: &str) -> Option<SocketAddr> {
        let listeners = self.listeners();
        let mut of_role = listeners.iter().filter(|listener| listener.role == role);
        of_role
            .clone()
            .find(|listener| listener.state == ListenerState::Serving)
            .or_else(|| of_role.next())
            .map(|listener| listener.address)
    }

    /// Every listener and how it is.
    pub fn listeners(&self) -> Vec<Arc<ListenerStatus>> {
        self.shared.listeners()
    }

    /// What serves now, and what is wrong with the manifests.
    pub fn published(&self) -> Arc<Published> {
        self.shared.publication.load()
    }

    /// How many batches of changes were taken so far, whether they changed anything or not.
    pub fn applied(&self) -> u64 {
        self.shared.batches.load(Ordering::SeqCst)
    }

    /// Waits until the first snapshot is applied, or until the instance has failed.
    pub fn wait_ready(&self) {
        self.shared
            .readiness
            .wait(FOREVER, |progress| progress.is_ready() || progress.failed || progress.ending);
    }

    /// Waits until a publication is as `enough` wants it; false if `timeout` comes first.
    pub fn wait_for(&self, timeout: Duration, enough: impl Fn(&Published) -> bool) -> bool {
        let publication = &self.shared.publication;
        self.shared
            .readiness
            .wait(timeout, |progress| progress.applied && enough(&publication.load()))
    }

    /// Reads every manifest and the settings file again and compares.
    pub fn rescan(&self) {
        self.sources.rescan();
    }

    /// Has logs in files begin them anew, with their next lines.
    pub fn reopen_logs(&self) {
        self.logs.reopen();
    }

    /// Cancelled when a part of the process has died, so that it should end.
    pub fn failed(&self) -> &CancellationToken {
        &self.life.failed
    }

    /// Ends in order: not ready, delay, drain, join. Returns when every thread is gone.
    pub fn shutdown(mut self) {
        self.shared
            .readiness
            .update(|progress| progress.ending = true);
        self.healthy.store(false, Ordering::Relaxed);
        info!(
            delay_ms = u64::try_from(self.drain_delay.as_millis()).unwrap_or(u64::MAX),
            "draining"
        );
        // Nothing wakes this wait: it is the delay itself, in which traffic goes on.
        self.shared
            .readiness
            .wait(self.drain_delay, |progress| progress.failed);
        self.life.stop.cancel();
        join(&mut self.workers);
        self.sources.stop();
        self.close.cancel();
        join(&mut self.control);
        info!("ended");
    }

    fn start_control(&mut self, sockets: admin::Sockets) -> anyhow::Result<()> {
        let (shared, close) = (Arc::clone(&self.shared), self.close.clone());
        let failed = self.life.failed.clone();
        let thread = std::thread::Builder::new().name("portico-control".to_owned());
        self.control.push(thread.spawn(move || {
            let served = || control::serve(sockets, &shared, &close, &failed);
            let end = catch_unwind(AssertUnwindSafe(served));
            if !matches!(end, Ok(Ok(()))) {
                error!("the control thread died");
                failed.cancel();
                shared.readiness.update(|progress| progress.failed = true);
            }
        })?);
        Ok(())
    }

    fn start_compile(
        &mut self,
        pipeline: Pipeline,
        state: State,
        planes: Planes,
        feed: Feed,
        probe_metrics: prober::Metrics,
    ) -> anyhow::Result<()> {
        let memory = planes.proxy.memory_watch();
        let planes = Arc::new(Mutex::new(planes));
        let failed = self.life.failed.clone();

        let (shared, retried) = (Arc::clone(&self.shared), Arc::clone(&planes));
        let close = self.close.clone();
        self.control
            .push(thread::start("portico-retry", &failed, move || {
                retry::run(&shared, (&retried, &memory), &close);
            })?);

        let started = feed.start(&failed)?;
        self.control.extend(started.threads);
        let (probed, to_prober) = watch::channel(Arc::default());
        let (shared, own) = (Arc::clone(&self.shared), host::facts().addresses);
        let around = prober::Around {
            probed: to_prober,
            works: started.others.clone(),
            board: shared.probes.clone(),
            metrics: probe_metrics,
            is_forbidden: Box::new(move |address| shared.is_admin(address, &own)),
        };
        self.control
            .push(prober::start(around, self.close.clone())?);
        let (sought, to_seeker) = watch::channel(Arc::default());
        let seeker = seeker::start(to_seeker, started.others, self.close.clone())?;
        self.control.push(seeker);
        let (shared, works) = (Arc::clone(&self.shared), started.works);
        self.control
            .push(thread::start("portico-compile", &failed, move || {
                let past = Past::default();
                let mut compiler =
                    Compiler { pipeline, state, planes, shared, probed, sought, past };
                for work in works {
                    compiler.take_guarded(work);
                }
            })?);
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.life.stop.cancel();
        self.close.cancel();
        if !self.control.is_empty() {
            self.sources.stop();
        }
        self.shared
            .readiness
            .update(|progress| progress.ending = true);
    }
}

fn join(threads: &mut Vec<JoinHandle<()>>) {
    for thread in threads.drain(..) {
        if thread.join().is_err() {
            error!("a thread ended with a panic");
        }
    }
}

/// Longer than any process runs, short enough to add to an `Instant`.
const FOREVER: Duration = Duration::from_secs(100 * 365 * 86_400);
