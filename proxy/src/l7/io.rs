//! What L7 asks of a client's connection, plain or over TLS, and the bytes that the connections of
//! one worker share.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::{HeaderMap, StatusCode};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use portico_net::tls_accept::Stream;

use super::fields::Line;
use super::h1::chunked::{ROOM_BEFORE, ROOM_BEHIND};
use super::preface::Begun;

/// A client's connection.
pub(crate) trait Downstream: AsyncRead + AsyncWrite + Unpin {
    /// Whether its close alone tells the client that this is the end, as a plain connection's does: no
    /// goodbye is owed before, and no call for it.
    const ENDS_BY_CLOSE: bool = false;

    /// Makes the coming close a reset: what was sent is not all.
    fn reset(&self);

    /// Whether the client speaks HTTP/2.
    fn is_http2(&self) -> bool {
        false
    }

    /// Resolves once the client is known to want no response any more, where a codec says so beside
    /// the bytes. Polled while a response is awaited or on its way.
    fn poll_gone(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }

    /// Whether an answer of a backend to a handshake means to this client what it says; `accept` is what
    /// the backend made of the key. Asked of those that asked for a WebSocket.
    fn agrees(&self, _status: StatusCode, _accept: Option<&[u8]>) -> bool {
        true
    }

    /// The trailers of the request, once its body has been read to the end; only a codec that has
    /// some beside the bytes gives any.
    fn take_trailers(&mut self) -> Option<Box<HeaderMap>> {
        None
    }

    /// What follows the response's body, given before its end is written; dropped where the client's
    /// codec has no room for it (`http-proxy 1.22`).
    fn give_trailers(&mut self, _: Box<HeaderMap>) {}
}

impl Downstream for TcpStream {
    const ENDS_BY_CLOSE: bool = true;

    fn reset(&self) {
        portico_net::copy::reset(self);
    }
}

impl Downstream for Stream<Begun<TcpStream>> {
    fn reset(&self) {
        portico_net::copy::reset(self.get_ref().0.inner());
    }
}

/// Reads into `bytes`; 0 at the end.
pub(crate) fn poll_read(
    stream: &mut (impl AsyncRead + Unpin),
    cx: &mut Context<'_>,
    bytes: &mut [u8],
) -> Poll<io::Result<usize>> {
    let mut buffer = ReadBuf::new(bytes);
    ready!(Pin::new(stream).poll_read(cx, &mut buffer))?;
    Poll::Ready(Ok(buffer.filled().len()))
}

/// Writes all of `bytes` from `sent` on, which moves with what was taken. What was not told to the
/// transport yet is: ready means sent.
pub(crate) fn poll_send(
    stream: &mut (impl AsyncWrite + Unpin),
    cx: &mut Context<'_>,
    bytes: &[u8],
    sent: &mut usize,
) -> Poll<io::Result<()>> {
    while let Some(rest @ [_, ..]) = bytes.get(*sent..) {
        match ready!(Pin::new(&mut *stream).poll_write(cx, rest))? {
            0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            taken => *sent += taken,
        }
    }
    Pin::new(stream).poll_flush(cx)
}

/// What the connections of one worker share, each for the time of one poll.
#[derive(Debug)]
pub(crate) struct Scratch {
    /// What one read brings, with room around it to frame it where it lies.
    pub(crate) bytes: RefCell<Box<[u8]>>,
    /// The places of the fields of the head that is being read.
    pub(crate) lines: RefCell<Vec<Line>>,
    /// Buffers that nobody uses.
    spare: RefCell<Vec<Vec<u8>>>,
}

impl Default for Scratch {
    fn default() -> Self {
        Self {
            bytes: RefCell::new(vec![0; ROOM_BEFORE + READ_BYTES + ROOM_BEHIND].into()),
            lines: RefCell::default(),
            spare: RefCell::default(),
        }
    }
}

impl Scratch {
    /// An empty buffer.
    pub(crate) fn take(&self) -> Vec<u8> {
        self.spare.borrow_mut().pop().unwrap_or_default()
    }

    /// Gives a buffer back.
    pub(crate) fn put(&self, mut buffer: Vec<u8>) {
        let mut spare = self.spare.borrow_mut();
        let fits = (1..=MAX_SPARE_BYTES).contains(&buffer.capacity());
        if fits && spare.len() < MAX_SPARE {
            buffer.clear();
            spare.push(buffer);
        }
    }
}

/// What one read takes at most.
pub(crate) const READ_BYTES: usize = 64 * 1024;
/// Buffers that wait for their next use.
const MAX_SPARE: usize = 64;
const MAX_SPARE_BYTES: usize = 16 * 1024;
