//! Whether the process is ready, and what `/readyz` says about it.
//!
//! Ready: the first snapshot is applied, every listener was tried, and nobody asked to end. A
//! degraded listener or a refused object does not take readiness away: the rest serves. Waiting
//! for readiness blocks a thread, never a worker.

use std::fmt::Write;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use portico_config::diagnostic::Severity;
use portico_config::publish::Published;
use portico_net::listeners::{ListenerState, ListenerStatus};

/// How far the process is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Progress {
    /// The first snapshot serves and its listeners were tried.
    pub(crate) applied: bool,
    /// The end has begun.
    pub(crate) ending: bool,
    /// A part of the process died.
    pub(crate) failed: bool,
    /// Counts publications and retries, so that waiting threads look again.
    pub(crate) step: u64,
}

impl Progress {
    /// Whether new traffic may come.
    pub(crate) fn is_ready(self) -> bool {
        self.applied && !self.ending && !self.failed
    }
}

/// [`Progress`], to be told and waited for.
#[derive(Debug, Default)]
pub(crate) struct Readiness {
    progress: Mutex<Progress>,
    changed: Condvar,
}

impl Readiness {
    /// How far it is now.
    pub(crate) fn progress(&self) -> Progress {
        *self.lock()
    }

    /// Changes it and wakes whoever waits.
    pub(crate) fn update(&self, change: impl FnOnce(&mut Progress)) {
        let mut progress = self.lock();
        change(&mut progress);
        progress.step += 1;
        self.changed.notify_all();
    }

    /// Waits until `enough` holds, at most `timeout`; looks again after each update.
    pub(crate) fn wait(&self, timeout: Duration, mut enough: impl FnMut(Progress) -> bool) -> bool {
        let deadline = Instant::now() + timeout;
        let mut progress = self.lock();
        loop {
            if enough(*progress) {
                return true;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let waited = self.changed.wait_timeout(progress, left);
            (progress, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        // Plain values: a panic between two of them leaves nothing half done.
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The body of `/readyz`: a first line for machines, then what a person should know.
pub(crate) fn report(
    progress: Progress,
    published: &Published,
    listeners: &[Arc<ListenerStatus>],
) -> String {
    let mut body = String::new();
    body.push_str(match progress {
        Progress { failed: true, .. } => "not ready: a worker died\n",
        Progress { ending: true, .. } => "not ready: draining\n",
        Progress { applied: false, .. } => "not ready: the manifests are not applied yet\n",
        _ => "ready\n",
    });
    let mut left_out = 0;
    let degraded = listeners
        .iter()
        .filter_map(|listener| match &listener.state {
            ListenerState::Degraded(reason) => Some((listener, reason)),
            ListenerState::Serving | ListenerState::Draining => None,
        });
    for (position, (listener, reason)) in degraded.enumerate() {
        if position < MAX_LISTED {
            let _ = writeln!(body, "degraded: {listener}: {reason}");
        } else {
            left_out += 1;
        }
    }
    if left_out > 0 {
        let _ = writeln!(body, "degraded: {left_out} more");
    }
    let refused = published
        .diagnostics
        .iter()
        .filter(|diagnostic| diagnostic.severity() == Severity::Error);
    let mut left_out = 0;
    for (position, diagnostic) in refused.enumerate() {
        if position < MAX_LISTED {
            let _ = writeln!(body, "refused: {diagnostic}");
        } else {
            left_out += 1;
        }
    }
    if left_out > 0 {
        let _ = writeln!(body, "refused: {left_out} more");
    }
    body
}

/// Degraded listeners, and refused objects, listed one by one.
const MAX_LISTED: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;
    use portico_config::diagnostic::{Code, Diagnostic};

    const READY: Progress = Progress { applied: true, ending: false, failed: false, step: 1 };

    fn published(diagnostics: &[(Code, &str)]) -> Published {
        let diagnostics: Arc<[_]> = diagnostics
            .iter()
            .map(|(code, message)| Diagnostic::new(*code, *message))
            .collect();
        Published { diagnostics, ..Published::default() }
    }

    #[test]
    fn the_first_line_says_whether_traffic_may_come() {
        for (progress, want) in [
            (READY, "ready\n"),
            (
                Progress { applied: false, ..READY },
                "not ready: the manifests are not applied yet\n",
            ),
            (Progress { ending: true, ..READY }, "not ready: draining\n"),
            (Progress { failed: true, ..READY }, "not ready: a worker died\n"),
        ] {
            assert_eq!(report(progress, &Published::default(), &[]), want);
            assert_eq!(progress.is_ready(), want == "ready\n");
        }
    }

    #[test]
    fn degraded_listeners_and_refused_objects_are_listed_and_warnings_are_not() {
        let listener = ListenerStatus {
            role: "ClusterIP",
            address: "127.96.0.1:80".parse().unwrap(),
            protocol: "tcp",
            serves: Some("default/web:http/TCP".to_owned()),
            state: ListenerState::Degraded("taken; stop it".to_owned()),
        };
        let published = published(&[(Code::Required, "broken"), (Code::Cycle, "odd")]);
        assert_eq!(
            report(READY, &published, &[Arc::new(listener)]),
            "ready\ndegraded: ClusterIP 127.96.0.1:80/tcp default/web:http/TCP: taken; stop it\n\
             refused: error[P0203]: broken\n"
        );
    }

    #[test]
    fn a_long_list_of_refused_objects_is_cut_and_counted() {
        let all = vec![(Code::Required, "broken"); MAX_LISTED + 3];
        let body = report(READY, &published(&all), &[]);
        assert_eq!(body.lines().count(), 1 + MAX_LISTED + 1);
        assert!(body.ends_with("refused: 3 more\n"));
    }

    #[test]
    fn waiting_ends_with_the_update_or_the_time() {
        let readiness = Arc::new(Readiness::default());
        assert!(!readiness.wait(Duration::ZERO, Progress::is_ready));
        let other = Arc::clone(&readiness);
        let thread = std::thread::spawn(move || other.update(|progress| progress.applied = true));
        assert!(readiness.wait(Duration::from_secs(30), Progress::is_ready));
        thread.join().unwrap();
    }
}
