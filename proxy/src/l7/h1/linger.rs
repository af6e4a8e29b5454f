//! The end of a connection whose client may still be sending (`http-proxy 8.8`).
//!
//! Closed at once, the unread bytes would make the kernel reset it, and the reset may destroy the
//! answer on its way. So: end our half, read on for a little, then close.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::l7::io::Downstream;

/// Ends our half and discards what comes, within limits.
pub(super) async fn linger<S: Downstream>(stream: &mut S) {
    let discard = async {
        if stream.shutdown().await.is_err() {
            return;
        }
        let mut piece = [0; 4096];
        let mut left = MAX_BYTES;
        while let Ok(count @ 1..) = stream.read(&mut piece).await {
            left = left.saturating_sub(count);
            if left == 0 {
                return;
            }
        }
    };
    let _ = tokio::time::timeout(MAX_TIME, discard).await;
}

const MAX_BYTES: usize = 64 * 1024;
const MAX_TIME: Duration = Duration::from_secs(2);
