//! A TCP stream as hyper wants it, for the small servers of the process: admin and echo.
//!
//! The data plane has its own, faster way; here simplicity counts. The stream is shared so that a
//! handler may still reach the socket, such as to reset it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use hyper::rt::{Read, ReadBufCursor, Write};
use tokio::net::TcpStream;

/// A shared stream with hyper's traits.
#[derive(Debug)]
pub(crate) struct HttpIo {
    /// The stream; others may hold it too.
    pub(crate) stream: Arc<TcpStream>,
}

impl Read for HttpIo {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut cursor: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let mut buffer = [0; CHUNK_BYTES];
        let room = cursor.remaining().min(CHUNK_BYTES);
        loop {
            ready!(self.stream.poll_read_ready(context))?;
            match self.stream.try_read(&mut buffer[..room]) {
                Ok(count) => {
                    cursor.put_slice(&buffer[..count]);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl Write for HttpIo {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.stream.poll_write_ready(context))?;
            match self.stream.try_write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(socket2::SockRef::from(&*self.stream).shutdown(std::net::Shutdown::Write))
    }
}

/// Read at most at once.
const CHUNK_BYTES: usize = 8 * 1024;
