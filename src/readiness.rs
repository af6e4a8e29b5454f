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
    let degraded = listeners
        .iter()
        .filter_map(|listener| match &listener.state {
            ListenerState::Degraded(reason) => Some(format!("{listener}: {reason}")),
            ListenerState::Serving | ListenerState::Draining => None,
        });
    list(&mut body, "degraded", degraded, MAX_LISTED);
    let of = |severity: Severity| {
        let found = published.diagnostics.iter();
        found
            .filter(move |diagnostic| diagnostic.severity() == severity)
            .map(ToString::to_string)
    };
    list(&mut body, "refused", of(Severity::Error), MAX_LISTED);
    list(&mut body, "warned", of(Severity::Warning), MAX_WARNINGS);
    body
}

/// A line for each, up to a limit, and how many more there are.
fn list(body: &mut String, what: &str, mut lines: impl Iterator<Item = String>, most: usize) {
    for line in lines.by_ref().take(most) {
        let _ = writeln!(body, "{what}: {line}");
    }
    match lines.count() {
        0 => {}
        left_out => drop(writeln!(body, "{what}: {left_out} more")),
    }
}

/// Degraded listeners, and refused objects, listed one by one.
const MAX_LISTED: usize = 1_000;
/// What is used as it is written: a large cluster's dump has thousands, and balancers ask each second.
const MAX_WARNINGS: usize = 100;

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
    fn degraded_listeners_refused_objects_and_warnings_are_listed() {
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
             refused: error[P0203]: broken\nwarned: warning[P0703]: odd\n"
        );
    }

    #[test]
    fn a_long_list_is_cut_and_counted() {
        for (code, most, want) in [
            (Code::Required, MAX_LISTED, "refused: 3 more\n"),
            (Code::Cycle, MAX_WARNINGS, "warned: 3 more\n"),
        ] {
            let body = report(READY, &published(&vec![(code, "odd"); most + 3]), &[]);
            assert_eq!(body.lines().count(), 1 + most + 1);
            assert!(body.ends_with(want));
        }
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
