//! Where manifests come from.
//!
//! A source knows bytes and names, no Kubernetes. It reports changed files; lack of information
//! (an I/O error, a vanished folder) is never a deletion.

pub mod files;
pub mod memory;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

/// What a source says happened, in one batch that belongs together.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// Files with new content, in any order.
    pub written: Vec<(Arc<PathBuf>, Arc<[u8]>)>,
    /// Those of `written` that may be half written: where one of them does not make sense, ask for
    /// it again by [`Source::look_again`] before it counts.
    pub doubtful: BTreeSet<Arc<PathBuf>>,
    /// Files that are gone for certain.
    pub removed: Vec<Arc<PathBuf>>,
    /// Files and folders that cannot be read, with the reason in words; what was read of them
    /// before stays. The list is complete: what is not named any more can be read again.
    pub unreadable: Vec<(Arc<PathBuf>, String)>,
}

/// The reason of a path that never was there.
pub(crate) const ABSENT: &str = "does not exist";

/// Something that delivers manifests: everything at first, then each change.
pub trait Source: Send {
    /// Everything there is now. Called once, before [`Source::next`].
    fn load(&mut self) -> Changes;

    /// Waits for the next batch, debounced and complete; `None` ends the source.
    fn next(&mut self) -> Option<Changes>;

    /// Says which doubtful files of the last batch seemed half written. Each is delivered again a
    /// moment later, then as one that counts. Called after each batch, mostly with none.
    fn look_again(&mut self, _files: &[Arc<PathBuf>]) {}

    /// A handle with which other threads wake or end the source.
    fn control(&self) -> Control;
}

/// Wakes or ends a [`Source`] from another thread.
#[derive(Clone, Debug)]
pub struct Control {
    sender: std::sync::mpsc::SyncSender<Command>,
}

/// What a [`Control`] asks for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Command {
    /// Read everything again and compare by content (SIGHUP).
    Rescan,
    /// End: `next` returns `None`.
    Stop,
}

impl Control {
    /// A control and the end that the source listens to.
    pub(crate) fn new() -> (Self, std::sync::mpsc::Receiver<Command>) {
        let (sender, receiver) = std::sync::mpsc::sync_channel(8);
        (Self { sender }, receiver)
    }

    /// Asks for a full comparison with what is on disk; does nothing if one is already asked for.
    pub fn rescan(&self) {
        let _ = self.sender.try_send(Command::Rescan);
    }

    /// Ends the source.
    pub fn stop(&self) {
        let _ = self.sender.send(Command::Stop);
    }
}
