//! What the compile thread has to do, and the threads that say so.
//!
//! ```text
//! manifests:     source ─▶ Changes ─┐
//! settings file: source ─▶ Told    ─┼─▶ Work ─▶ compile thread
//! probes:      prober ─▶ verdicts  ─┤
//! hosts outside:  seeker ─▶ found  ─┘
//! ```
//!
//! Each batch of manifests takes a verdict back: which files seem half written. Until it comes the
//! source gathers edits. Invariants: one piece of work waits at most, so a source that is faster than the compile thread
//! joins its edits; the compile thread ends when all have.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use portico_config::model::{FoundHost, ProbeVerdict, Settings};
use portico_config::source::files::FileSource;
use portico_config::source::{Changes, Control, Source};

use tokio_util::sync::CancellationToken;

use crate::settings::{Follow, Told};
use crate::thread;

/// One piece of work.
#[derive(Debug)]
pub(crate) enum Work {
    /// Manifests have changed; the files that seem half written are wanted in return.
    Manifests(Changes, SyncSender<Vec<Arc<PathBuf>>>),
    /// The settings file has changed.
    Settings(Box<Told>),
    /// Probing Pods has found something out.
    Probes(Vec<ProbeVerdict>),
    /// Hosts outside were found elsewhere.
    Hosts(Vec<FoundHost>),
}

/// What has been started, and where its work comes out.
pub(crate) struct Started {
    pub(crate) works: Receiver<Work>,
    /// Where the prober and the seeker put their own; held by nobody else, so that work ends with them.
    pub(crate) others: SyncSender<Work>,
    pub(crate) threads: Vec<JoinHandle<()>>,
}

/// The sources, before their threads run.
pub(crate) struct Feed {
    manifests: Box<dyn Source>,
    settings: Option<(FileSource, Follow)>,
}

/// Wakes or ends every source.
#[derive(Clone, Debug)]
pub(crate) struct Controls(Vec<Control>);

impl Controls {
    /// Everything is read again and compared.
    pub(crate) fn rescan(&self) {
        self.0.iter().for_each(Control::rescan);
    }

    /// The sources end, and with them the work.
    pub(crate) fn stop(&self) {
        self.0.iter().for_each(Control::stop);
    }
}

impl Feed {
    /// Manifests from one source and, where there is one, settings from the file to follow.
    pub(crate) fn new(
        manifests: Box<dyn Source>,
        follow: Option<Follow>,
        started: &Settings,
    ) -> Self {
        let settings = follow.map(|follow| {
            let paths = vec![follow.path().to_owned()];
            (FileSource::new(paths, &started.limits, &started.reload), follow)
        });
        Self { manifests, settings }
    }

    /// Handles with which other threads wake or end the sources.
    pub(crate) fn controls(&self) -> Controls {
        let settings = self.settings.iter().map(|(source, _)| source.control());
        Controls(
            std::iter::once(self.manifests.control())
                .chain(settings)
                .collect(),
        )
    }

    /// Starts a thread for each source; fails where the system gives none. One that dies cancels
    /// `failed`.
    pub(crate) fn start(self, failed: &CancellationToken) -> io::Result<Started> {
        let (sender, works) = sync_channel(MAX_WAITING);
        let mut threads = Vec::new();
        if let Some((source, follow)) = self.settings {
            let sender = sender.clone();
            let follow = move || follow_settings(source, follow, &sender);
            threads.push(thread::start("portico-settings", failed, follow)?);
        }
        let (mut manifests, others) = (self.manifests, sender.clone());
        threads.push(thread::start("portico-source", failed, move || {
            let mut batch = Some(manifests.load());
            while let Some(changes) = batch {
                let (verdict, verdicts) = sync_channel(1);
                if sender.send(Work::Manifests(changes, verdict)).is_err() {
                    return;
                }
                // None comes where the batch could not be applied at all.
                manifests.look_again(&verdicts.recv().unwrap_or_default());
                batch = manifests.next();
            }
        })?);
        Ok(Started { works, others, threads })
    }
}

/// Reads the settings file whenever it is edited, until the source ends.
fn follow_settings(mut source: FileSource, mut follow: Follow, sender: &SyncSender<Work>) {
    let mut batch = Some(source.load());
    while let Some(changes) = batch {
        let mut read_file = follow.clone();
        let told = read(&mut read_file, &changes);
        let is_refused = told.as_ref().is_some_and(|told| told.options.is_none());
        let half_written: Vec<_> = match is_refused {
            true => changes.doubtful.iter().cloned().collect(),
            false => Vec::new(),
        };
        source.look_again(&half_written);
        if half_written.is_empty() {
            follow = read_file;
            if let Some(told) = told
                && sender.send(Work::Settings(Box::new(told))).is_err()
            {
                return;
            }
        }
        batch = source.next();
    }
}

/// What a batch of the settings file's own source says.
fn read(follow: &mut Follow, changes: &Changes) -> Option<Told> {
    if let Some((_, reason)) = changes.unreadable.first() {
        return Some(follow.lost(reason));
    }
    if let Some((_, content)) = changes.written.last() {
        return follow.edited(&Arc::clone(content));
    }
    (!changes.removed.is_empty()).then(|| follow.lost("is gone"))
}

/// Pieces of work that wait while one is done.
const MAX_WAITING: usize = 1;

#[cfg(test)]
mod tests {
    use portico_config::source::memory::MemorySource;

    use super::*;

    /// A source that does not survive its first batch.
    struct Broken(MemorySource);

    impl Source for Broken {
        fn load(&mut self) -> Changes {
            self.0.load()
        }

        fn next(&mut self) -> Option<Changes> {
            panic!("out of order");
        }

        fn control(&self) -> Control {
            self.0.control()
        }
    }

    #[test]
    fn the_death_of_a_source_ends_the_process_and_not_in_silence() {
        let failed = CancellationToken::new();
        let source = MemorySource::new([]);
        let feed = Feed::new(Box::new(Broken(source)), None, &Settings::default());
        let started = feed.start(&failed).unwrap();
        let first = started.works.recv().unwrap();
        let Work::Manifests(_, verdict) = first else { panic!("something else came first") };
        verdict.send(Vec::new()).unwrap();
        for thread in started.threads {
            thread.join().unwrap();
        }
        assert!(failed.is_cancelled());
    }
}
