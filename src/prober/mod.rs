//! Carries out the probes of Pods, as a kubelet would, on a thread of its own (`services 6`).
//!
//! ```text
//! compile ─Probed─▶ pods ─due─▶ waiting ─room─▶ out ─Answer─▶ pod ─verdict─▶ news ─▶ compile
//!                                                              └─▶ board, metrics
//! ```
//!
//! [`worker`] and [`pod`] decide, without I/O and clock; [`run`] and what it imports ask; [`turns`] is the
//! loop between them. Invariants: no probe runs on a thread that serves; the number of Pods costs
//! memory and no threads. That a verdict changes an endpoint is the pipeline's matter, so that names,
//! L4 and L7 agree about it.

mod worker;
mod pod;
mod news;
mod board;
mod metrics;
mod wire;
mod target;
mod http2;
mod http;
mod grpc;
mod run;
mod turns;

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::thread::JoinHandle;

use portico_config::model::Probed;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::error;

pub(crate) use board::{Board, PodReport};
pub(crate) use metrics::Metrics;
pub(crate) use pod::Report;
pub(crate) use wire::IsForbidden;

use self::turns::Prober;
use self::wire::Wire;
use crate::work::Work;

/// What the prober works with.
pub(crate) struct Around {
    /// Who is to be probed how, and what they are taken for.
    pub(crate) probed: watch::Receiver<Arc<Probed>>,
    /// Where verdicts go.
    pub(crate) works: SyncSender<Work>,
    /// Where what was found out is shown.
    pub(crate) board: Board,
    /// What is counted.
    pub(crate) metrics: Metrics,
    /// Whom no probe reaches.
    pub(crate) is_forbidden: Box<IsForbidden>,
}

/// Starts the thread; it ends with `close`, or when nobody takes verdicts any more.
pub(crate) fn start(around: Around, close: CancellationToken) -> io::Result<JoinHandle<()>> {
    let thread = std::thread::Builder::new().name("portico-prober".to_owned());
    thread.spawn(move || {
        // The last verdicts stay: what serves is worth more than what is known of it.
        match catch_unwind(AssertUnwindSafe(|| serve(around, &close))) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => error!("Pods are not probed: {error}"),
            Err(_) => error!("Pods are not probed any more: the prober died of a panic"),
        }
    })
}

fn serve(around: Around, close: &CancellationToken) -> anyhow::Result<()> {
    let Around { mut probed, works, board, metrics, is_forbidden } = around;
    let runtime = Builder::new_current_thread()
        .enable_all()
        // Hosts are looked up there.
        .max_blocking_threads(MAX_LOOK_UPS)
        .build_local(LocalOptions::default())?;
    let mut prober = Prober::new(Wire::new(is_forbidden)?, board, metrics);
    runtime.block_on(async {
        tokio::select! {
            () = close.cancelled() => {}
            () = prober.run(&mut probed, &works) => {}
        }
    });
    drop(prober);
    // Not to wait for a look-up that hangs.
    runtime.shutdown_background();
    Ok(())
}

/// Whom a server sees, like the kubelet of the version whose rules are followed.
const USER_AGENT: &str = "kube-probe/1.36";
/// Hosts that are looked up at once.
const MAX_LOOK_UPS: usize = 4;
