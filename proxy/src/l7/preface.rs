//! Which HTTP a client without TLS speaks: the first bytes say so (`http-proxy 1.27`).
//!
//! Only the whole preface of HTTP/2 makes a connection one of HTTP/2; all else is HTTP/1's, to be served
//! or refused. An upgrade to h2c is not offered.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::Worker;
use super::io::{READ_BYTES, poll_read};
use super::watch::Watch;

/// Reads what a client sends first into its inbox, as far as it has to be known; little more than
/// nothing if it leaves or takes too long, which is for the codec to find out.
pub(crate) fn poll_begin(
    (stream, inbox): (&mut (impl AsyncRead + Unpin), &mut Vec<u8>),
    worker: &Worker,
    watch: &Watch,
    cx: &mut Context<'_>,
) -> Poll<()> {
    let mut bytes = worker.scratch.bytes.borrow_mut();
    loop {
        match poll_read(stream, cx, &mut bytes[..READ_BYTES]) {
            Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(()),
            Poll::Ready(Ok(count)) => {
                if inbox.capacity() == 0 {
                    *inbox = worker.scratch.take();
                }
                inbox.extend_from_slice(&bytes[..count]);
            }
            Poll::Pending if worker.is_draining() && inbox.is_empty() => return Poll::Ready(()),
            Poll::Pending => return watch.poll_expired(cx),
        }
        if inbox.len() >= PREFACE.len() || !PREFACE.starts_with(inbox) {
            return Poll::Ready(());
        }
    }
}

/// Whether a connection that begins so is one of HTTP/2.
pub(crate) fn is_http2(begin: &[u8]) -> bool {
    begin.starts_with(PREFACE)
}

/// A connection of which something was read already.
pub(crate) struct Begun<S> {
    begin: Vec<u8>,
    given: usize,
    inner: S,
}

impl<S> Begun<S> {
    /// `begin` comes before what `inner` still brings.
    pub(crate) fn new(begin: Vec<u8>, inner: S) -> Self {
        Self { begin, given: 0, inner }
    }

    /// What it is a connection of.
    pub(crate) fn inner(&self) -> &S {
        &self.inner
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Begun<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let rest = &this.begin[this.given..];
        if rest.is_empty() {
            return Pin::new(&mut this.inner).poll_read(cx, buffer);
        }
        let count = rest.len().min(buffer.remaining());
        buffer.put_slice(&rest[..count]);
        this.given += count;
        if this.given == this.begin.len() {
            (this.begin, this.given) = (Vec::new(), 0);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Begun<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

/// RFC 9113 3.4.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
