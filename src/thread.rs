//! Threads of the control side that the process cannot do without.
//!
//! A process that lost one of them would serve on and look well while it follows no edit any more,
//! so whoever starts it shall start it anew: it ends with 70. What serves until then is untouched.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::{Builder, JoinHandle};

use tokio_util::sync::CancellationToken;
use tracing::error;

/// Starts the thread `name`; where it dies of a panic, `failed` is cancelled.
pub(crate) fn start(
    name: &'static str,
    failed: &CancellationToken,
    work: impl FnOnce() + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    let failed = failed.clone();
    Builder::new().name(name.to_owned()).spawn(move || {
        if catch_unwind(AssertUnwindSafe(work)).is_err() {
            error!("the thread {name} died of a panic");
            failed.cancel();
        }
    })
}
