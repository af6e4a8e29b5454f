//! The compile thread: takes work one piece after the other and puts what comes of it in effect.
//!
//! Invariants: the planes are changed before anybody is told; a panic leaves the last snapshot
//! serving; nobody who reads the publication waits for a compilation. Where work comes from is
//! `work`'s, the order of the planes is `planes`'.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use portico_config::diagnostic::{Diagnostic, Severity};
use portico_config::model::Probed;
use portico_config::pipeline::{Pipeline, Update};
use portico_config::publish::Published;
use tokio::sync::watch;
use tracing::{debug, error, info};

use crate::planes::Planes;
use crate::seeker::Sought;
use crate::settings::Told;
use crate::shared::Shared;
use crate::state::State;
use crate::work::Work;
use crate::{findings, sentence, telemetry};

/// What a compilation was for.
#[derive(Clone, Copy)]
enum Cause {
    /// Edits of this many files.
    Files(usize),
    /// Verdicts about this many Pods.
    Probes(usize),
    /// This many hosts outside, found elsewhere.
    Hosts(usize),
}

/// The compile thread's state.
pub(crate) struct Compiler {
    pub(crate) pipeline: Pipeline,
    pub(crate) state: State,
    pub(crate) planes: Arc<Mutex<Planes>>,
    pub(crate) shared: Arc<Shared>,
    /// Who is to be probed.
    pub(crate) probed: watch::Sender<Arc<Probed>>,
    /// Which hosts outside are to be found.
    pub(crate) sought: watch::Sender<Arc<Sought>>,
    pub(crate) past: Past,
}

/// What has been applied and told before.
#[derive(Default)]
pub(crate) struct Past {
    /// What is wrong with the settings file as it is now.
    told: Vec<Diagnostic>,
    /// The findings that the log has already told.
    known: Arc<[Diagnostic]>,
    applied: bool,
}

impl Compiler {
    /// Does one piece of work; whatever goes wrong inside, the last snapshot serves on.
    pub(crate) fn take_guarded(&mut self, work: Work) {
        if catch_unwind(AssertUnwindSafe(|| self.take(work))).is_err() {
            self.shared.metrics.load_failed();
            error!("portico failed to apply a change; the last snapshot serves on");
        }
    }

    fn take(&mut self, work: Work) {
        let begun = Instant::now();
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        match work {
            Work::Manifests(changes, verdict) => {
                let files = changes.written.len() + changes.removed.len();
                let mut update = self.pipeline.apply(changes, now);
                // The source goes on meanwhile; it is gone only where the process ends.
                let _ = verdict.try_send(std::mem::take(&mut update.look_again));
                self.apply(update, Cause::Files(files), begun, now);
            }
            Work::Settings(told) => {
                self.take_settings(*told);
                // Before the first manifests there is nothing to serve differently.
                if self.past.applied {
                    let update = self.pipeline.compile(now);
                    self.apply(update, Cause::Files(1), begun, now);
                }
            }
            Work::Probes(verdicts) => {
                let pods = verdicts.len();
                self.pipeline.take_verdicts(verdicts);
                let update = self.pipeline.compile(now);
                self.apply(update, Cause::Probes(pods), begun, now);
            }
            Work::Hosts(found) => {
                let hosts = found.len();
                self.pipeline.take_found(found);
                let update = self.pipeline.compile(now);
                self.apply(update, Cause::Hosts(hosts), begun, now);
            }
        }
    }

    fn take_settings(&mut self, told: Told) {
        self.past.told = told.findings;
        let Some(options) = told.options else {
            self.shared.metrics.settings_refused();
            return;
        };
        if !told.changed.is_empty() {
            info!("settings changed: {}", told.changed.join(", "));
        }
        telemetry::filter(&options.log_level);
        let mut planes = lock(&self.planes);
        planes.proxy.limit_connections(options.max_connections);
        planes.proxy.limit_memory(options.max_memory);
        planes
            .proxy
            .answer_queries_for(&options.settings.dns_doh_hosts);
        planes.routes.follow(&options.settings);
        planes.dns.follow(&options.settings);
        drop(planes);
        self.pipeline.reconfigure(Arc::new(options.settings));
    }

    fn apply(&mut self, update: Update, cause: Cause, begun: Instant, now: u64) {
        let diagnostics = self.with_told(update.diagnostics);
        let changed = update.changed || !self.past.applied;
        let published =
            Published { snapshot: update.snapshot, diagnostics: Arc::clone(&diagnostics) };
        if changed {
            let mut planes = lock(&self.planes);
            let (Cause::Files(count) | Cause::Probes(count) | Cause::Hosts(count)) = cause;
            planes.change(&published.snapshot, count);
            planes.publish(&self.shared.planes);
            drop(planes);
            // Nobody has edited what is there at the start.
            if self.past.applied {
                let before = &self.shared.publication.load().snapshot;
                let metrics = &self.shared.metrics;
                metrics.programmed(before, &published.snapshot, begun.elapsed());
            }
        }
        let took = begun.elapsed();
        self.shared.metrics.loaded(&published, changed, took, now);
        findings::tell_new(&self.past.known, &diagnostics);
        let news = changed.then_some(&update.changes[..]);
        let sentence = sentence::reload(news, &self.past.known, &diagnostics);
        self.past.known = diagnostics;
        let refused = count(&self.past.known, Severity::Error);
        let generation = published.snapshot.generation;
        let services = published.snapshot.services.len();
        let assignments = Arc::clone(&published.snapshot.assignments);
        self.shared.publication.store(published);
        // Counted before anybody is told: who waits for the first batch must not see it come twice.
        if let Cause::Files(_) = cause {
            self.shared.batches.fetch_add(1, Ordering::SeqCst);
        }
        self.shared
            .readiness
            .update(|progress| progress.applied = true);
        self.past.applied = true;
        let took_ms = (took.as_secs_f64() * 10_000.0).round() / 10.0;
        match (sentence, cause) {
            (Some(text), Cause::Files(files)) => {
                info!(generation, services, files, refused, took_ms, "{text}");
            }
            (None, Cause::Files(files)) => {
                debug!(generation, files, refused, "read again, nothing to change");
            }
            // The prober has said it, by the names of Pods.
            (text, Cause::Probes(_)) => {
                debug!(generation, took_ms, "probed: {}", text.unwrap_or_default());
            }
            // So has the seeker, by the names of hosts.
            (text, Cause::Hosts(_)) => {
                debug!(generation, took_ms, "hosts outside: {}", text.unwrap_or_default());
            }
        }
        self.state.save(&assignments);
        if let Some(probed) = self.pipeline.take_probed() {
            self.probed.send_replace(Arc::new(probed));
        }
        let sought = self.pipeline.sought();
        self.sought.send_if_modified(|before| {
            let differs = **before != sought;
            if differs {
                *before = Arc::new(sought);
            }
            differs
        });
    }

    /// The findings about the settings file and those about manifests.
    fn with_told(&self, manifests: Arc<[Diagnostic]>) -> Arc<[Diagnostic]> {
        if self.past.told.is_empty() {
            return manifests;
        }
        self.past
            .told
            .iter()
            .chain(manifests.iter())
            .cloned()
            .collect()
    }
}

/// The planes, whoever panicked while it had them: between prepare and commit they serve as before.
pub(crate) fn lock(planes: &Mutex<Planes>) -> MutexGuard<'_, Planes> {
    planes.lock().unwrap_or_else(PoisonError::into_inner)
}

fn count(diagnostics: &[Diagnostic], severity: Severity) -> usize {
    diagnostics
        .iter()
        .filter(|diagnostic| diagnostic.severity() == severity)
        .count()
}
