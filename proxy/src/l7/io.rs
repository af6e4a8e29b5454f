//! The bytes of a client's connection, as hyper reads and writes them.
//!
//! The one place where everything that a client sends passes before it is parsed: a stricter codec
//! or guard stands here. Today it keeps the connection's [`Watch`] and nothing else.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;

use super::watch::Watch;

/// A client's connection.
pub(crate) struct DownstreamIo<S> {
    inner: TokioIo<S>,
    watch: Arc<Watch>,
}

impl<S> DownstreamIo<S> {
    pub(crate) fn new(stream: S, watch: Arc<Watch>) -> Self {
        Self { inner: TokioIo::new(stream), watch }
    }
}

impl<S: tokio::io::AsyncRead + Unpin> Read for DownstreamIo<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.inner).poll_read(cx, buffer);
        if polled.is_ready() {
            self.watch.read();
        }
        polled
    }
}

impl<S: tokio::io::AsyncWrite + Unpin> Write for DownstreamIo<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write(cx, bytes);
        if polled.is_ready() {
            self.watch.written();
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write_vectored(cx, bytes);
        if polled.is_ready() {
            self.watch.written();
        }
        polled
    }
}
