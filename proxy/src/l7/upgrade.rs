//! A WebSocket once both sides have agreed: bytes both ways, no frame is looked at.
//!
//! It ends when both sides have said everything, when one breaks off, or when nothing came either way
//! for the tunnel's idle time. Which requests may become one is `request`'s, what the backend must
//! answer the codec's, what is counted of it `h1::tunnel`'s; a connection whose TLS is passed through is
//! carried here too.

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tracing::debug;

use super::io::Downstream;
#[cfg(test)]
use super::panics::provoked;
use super::pool::Backend;
use super::watch::{Phase, Watch};

/// What a tunnel came to.
#[derive(Debug)]
pub(crate) struct Carried {
    /// Bytes from the client to the backend.
    pub(crate) received_bytes: u64,
    /// Bytes from the backend to the client.
    pub(crate) sent_bytes: u64,
    pub(crate) end: End,
}

/// How it ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum End {
    /// Both sides had said everything.
    Both,
    /// One of them broke off, or the client gave it up.
    Broken,
    /// Nothing came for too long.
    Idle,
}

/// Carries bytes until both sides have ended, the client gave it up, or nothing came for the tunnel's
/// idle time. `early` came from the client before the backend agreed. A drain does not cut it before
/// the drain's own deadline.
pub(crate) async fn tunnel<S: Downstream>(
    client: &mut S,
    backend: Backend,
    early: Vec<u8>,
    watch: &Rc<Watch>,
) -> Carried {
    watch.enter(Phase::Tunnel);
    let (received, sent) = (Cell::new(early.len() as u64), Cell::new(0));
    let client = RefCell::new(client);
    let mut watched = Watched { inner: &client, watch, received: &received, sent: &sent };
    let mut backend = backend.stream;
    let mut carried = pin!(async {
        backend.write_all(&early).await?;
        drop(early);
        tokio::io::copy_bidirectional(&mut watched, &mut backend).await
    });
    let ended = std::future::poll_fn(|cx| {
        #[cfg(test)]
        provoked::reach(provoked::Point::Tunnelling);
        match carried.as_mut().poll(cx) {
            // Nobody reads on from a client that ended its half, but it may give up the other one.
            Poll::Pending if client.borrow_mut().poll_gone(cx).is_ready() => {
                Poll::Ready(End::Broken)
            }
            Poll::Pending => watch.poll_expired(cx).map(|()| End::Idle),
            Poll::Ready(Ok(_)) => Poll::Ready(End::Both),
            Poll::Ready(Err(error)) => {
                debug!(%error, "tunnel broke off");
                Poll::Ready(End::Broken)
            }
        }
    });
    let end = ended.await;
    Carried { received_bytes: received.get(), sent_bytes: sent.get(), end }
}

/// A stream whose bytes keep a watch from expiring; both directions count. It is borrowed for the time
/// of one poll.
struct Watched<'a, S> {
    inner: &'a RefCell<&'a mut S>,
    watch: &'a Watch,
    /// Bytes from the client, and to it.
    received: &'a Cell<u64>,
    sent: &'a Cell<u64>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<'_, S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut **self.inner.borrow_mut()).poll_read(cx, buffer);
        if polled.is_ready() {
            let count = buffer.filled().len().saturating_sub(before);
            self.received.set(self.received.get() + count as u64);
            self.watch.read();
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<'_, S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut **self.inner.borrow_mut()).poll_write(cx, bytes);
        if let Poll::Ready(Ok(count)) = &polled {
            self.sent.set(self.sent.get() + *count as u64);
            self.watch.written();
        }
        polled
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut **self.inner.borrow_mut()).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut **self.inner.borrow_mut()).poll_shutdown(cx)
    }
}
