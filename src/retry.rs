//! The retry thread: once a second a look at memory, and at what the planes have to do by time.
//!
//! A thread of its own, since it may wait for a commit, and the control thread waits for nobody.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use portico_proxy::MemoryWatch;
use tokio_util::sync::CancellationToken;

use crate::compiler::lock;
use crate::planes::Planes;
use crate::shared::Shared;

/// Looks until `close` or the end of the process.
pub(crate) fn run(
    shared: &Shared,
    (planes, memory): (&Mutex<Planes>, &MemoryWatch),
    close: &CancellationToken,
) {
    while !close.is_cancelled() {
        let ended = shared
            .readiness
            .wait(RETRY_PERIOD, |progress| progress.ending);
        if ended {
            return;
        }
        memory.look();
        let mut planes = lock(planes);
        planes.retry(Instant::now());
        planes.publish(&shared.planes);
    }
}

/// Between two looks.
const RETRY_PERIOD: Duration = Duration::from_secs(1);
