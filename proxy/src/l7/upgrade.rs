//! A WebSocket once both sides have agreed: bytes both ways, no frame is looked at.

use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tracing::debug;

use super::pool::Backend;
use super::watch::{Phase, Watch};

/// Carries bytes until both sides have ended, or nothing came for the tunnel's idle time. `early`
/// came from the client before the backend agreed. A drain does not cut it before the drain's own
/// deadline.
pub(crate) async fn tunnel<S>(client: &mut S, backend: Backend, early: Vec<u8>, watch: &Rc<Watch>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    watch.enter(Phase::Tunnel);
    let mut client = Watched { inner: client, watch };
    let mut backend = backend.stream;
    let mut carried = pin!(async {
        backend.write_all(&early).await?;
        drop(early);
        tokio::io::copy_bidirectional(&mut client, &mut backend).await
    });
    let ended = std::future::poll_fn(|cx| match carried.as_mut().poll(cx) {
        Poll::Pending => watch.poll_expired(cx).map(|()| None),
        ended => ended.map(Some),
    });
    match ended.await {
        Some(result) => debug!(?result, "tunnel ended"),
        None => debug!("tunnel was idle for too long"),
    }
}

/// A stream whose bytes keep a watch from expiring; both directions count.
struct Watched<'a, S> {
    inner: &'a mut S,
    watch: &'a Watch,
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<'_, S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut *self.inner).poll_read(cx, buffer);
        if polled.is_ready() {
            self.watch.read();
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<'_, S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut *self.inner).poll_write(cx, bytes);
        if polled.is_ready() {
            self.watch.written();
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.inner).poll_shutdown(cx)
    }
}
