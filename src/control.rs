//! The control thread: the admin listener, on a runtime of its own.
//!
//! So `/livez` and metrics wait for no worker and no compilation, and no worker renders them.

use std::io;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::admin;
use crate::readiness::Progress;
use crate::shared::Shared;

/// Serves the admin listener until `close`; once `failed` is cancelled readiness says so.
pub(crate) fn serve(
    sockets: admin::Sockets,
    shared: &Arc<Shared>,
    close: &CancellationToken,
    failed: &CancellationToken,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(tokio::runtime::LocalOptions::default())?;
    runtime.block_on(async {
        let watch = async {
            failed.cancelled().await;
            shared
                .readiness
                .update(|progress: &mut Progress| progress.failed = true);
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = admin::serve(sockets, shared, close) => {}
            () = watch => {}
        }
    });
    Ok(())
}
