//! Signals, for code that is not asynchronous.
//!
//! TERM, INT and QUIT end, HUP reads again, USR1 has logs begin their files anew, PIPE is ignored by Rust's start-up code.

use std::io;

use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// What the process was asked to do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Event {
    /// End; holds the signal's number.
    End(u8),
    /// Read the manifests again.
    Rescan,
    /// Begin the files of logs anew.
    Reopen,
    /// A part of the process died.
    Failed,
}

/// The process's signals; once made they no longer have their default effect.
#[derive(Debug)]
pub(crate) struct Signals {
    runtime: Runtime,
    terminate: Signal,
    interrupt: Signal,
    quit: Signal,
    hangup: Signal,
    user1: Signal,
}

impl Signals {
    /// Takes the signals over; fails where the kernel refuses a handler.
    pub(crate) fn new() -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let inside = runtime.enter();
        let terminate = signal(SignalKind::terminate())?;
        let interrupt = signal(SignalKind::interrupt())?;
        let quit = signal(SignalKind::quit())?;
        let hangup = signal(SignalKind::hangup())?;
        let user1 = signal(SignalKind::user_defined1())?;
        drop(inside);
        Ok(Self { runtime, terminate, interrupt, quit, hangup, user1 })
    }

    /// Waits for the next thing to do.
    pub(crate) fn wait(&mut self, failed: &CancellationToken) -> Event {
        let Self { runtime, terminate, interrupt, quit, hangup, user1 } = self;
        runtime.block_on(async {
            tokio::select! {
                _ = terminate.recv() => Event::End(15),
                _ = interrupt.recv() => Event::End(2),
                _ = quit.recv() => Event::End(3),
                _ = hangup.recv() => Event::Rescan,
                _ = user1.recv() => Event::Reopen,
                () = failed.cancelled() => Event::Failed,
            }
        })
    }
}
