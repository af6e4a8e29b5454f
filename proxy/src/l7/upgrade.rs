//! A WebSocket once both sides have agreed: bytes both ways, no frame is looked at.

use std::sync::Arc;
use std::time::Duration;

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tracing::debug;

use super::watch::Watch;

/// Carries bytes until both sides have ended, or nothing came for the tunnel's idle time, which
/// the client's I/O keeps in `watch`. A drain does not cut it before the drain's own deadline.
pub(crate) async fn tunnel(client: OnUpgrade, backend: OnUpgrade, watch: &Arc<Watch>) {
    let (client, backend) = match tokio::try_join!(client, backend) {
        Ok(sides) => sides,
        Err(error) => return debug!(%error, "upgrade came to nothing"),
    };
    let (mut client, mut backend) = (TokioIo::new(client), TokioIo::new(backend));
    let copy = tokio::io::copy_bidirectional(&mut client, &mut backend);
    let idle = async {
        let mut interval = tokio::time::interval(IDLE_CHECK);
        while !watch.is_expired() {
            interval.tick().await;
        }
    };
    tokio::select! {
        result = copy => debug!(?result, "tunnel ended"),
        () = idle => debug!("tunnel was idle for too long"),
    }
}

const IDLE_CHECK: Duration = Duration::from_secs(30);
