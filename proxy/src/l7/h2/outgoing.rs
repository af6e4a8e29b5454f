//! A body on its way out: what the state machine writes with HTTP/1.1's framing, sent as DATA and
//! trailers. The same for responses to clients and for requests to backends.
//!
//! ```text
//! Head ─begin─▶ Sized │ Chunked ─last byte─▶ Done        Head ─open─▶ Tunnel ─close─▶ Done
//! ```
//!
//! Invariants: no more is taken than the peer's window and the send buffer have room for; what did not
//! end is never ended.

use std::io;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::{Reason, SendStream};
use http::HeaderMap;

use super::chunks::{Chunks, END_BYTES, Step};
use super::{broken, odd};
use crate::l7::h1::framing::Length;

/// What is sent behind a head.
#[derive(Default)]
pub(super) struct Outgoing {
    send: Option<SendStream<Bytes>>,
    state: State,
    /// What follows the body.
    trailers: Option<Box<HeaderMap>>,
}

#[derive(Default)]
enum State {
    /// The head has not been sent.
    #[default]
    Head,
    /// So many bytes are to come.
    Sized(u64),
    Chunked(Chunks),
    /// Bytes go as they are, until somebody ends it.
    Tunnel,
    Done,
}

/// Whether nothing follows a head.
pub(super) fn is_empty(length: Length) -> bool {
    matches!(length, Length::Absent | Length::Exact(0))
}

impl Outgoing {
    /// The head was sent, and said that it ends the stream where the body is empty.
    pub(super) fn begin(&mut self, send: SendStream<Bytes>, length: Length) -> io::Result<()> {
        self.send = Some(send);
        self.state = match length {
            _ if is_empty(length) => State::Done,
            Length::Chunked => State::Chunked(Chunks::default()),
            Length::Exact(bytes) => State::Sized(bytes),
            // The state machine frames all that it sends to HTTP/1.1.
            Length::Absent | Length::UntilClose => return Err(broken()),
        };
        Ok(())
    }

    /// The head was sent, and said that what follows is a tunnel.
    pub(super) fn open(&mut self, send: SendStream<Bytes>) {
        self.send = Some(send);
        self.state = State::Tunnel;
    }

    /// Ends a tunnel's half; nothing where that was done.
    pub(super) fn close(&mut self) -> io::Result<()> {
        match self.state {
            State::Tunnel => self.send(&[], true),
            _ => Ok(()),
        }
    }

    pub(super) fn awaits_head(&self) -> bool {
        matches!(self.state, State::Head)
    }

    /// Whether everything has been sent.
    pub(super) fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// What is sent behind the body's end.
    pub(super) fn trail(&mut self, trailers: Box<HeaderMap>) {
        self.trailers = Some(trailers);
    }

    /// The stream, once the head was sent.
    pub(super) fn stream(&mut self) -> Option<&mut SendStream<Bytes>> {
        self.send.as_mut()
    }

    /// Gives up what was begun; nothing where nothing was.
    pub(super) fn reset(&mut self, reason: Reason) {
        if let Some(send) = &mut self.send {
            send.send_reset(reason);
        }
    }

    /// Takes some of the body.
    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.state {
            State::Sized(left) => {
                let left = *left;
                let wanted =
                    usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
                let room = ready!(self.poll_room(cx, wanted))?;
                let left = left - room as u64;
                self.state = State::Sized(left);
                self.send(&bytes[..room], left == 0)?;
                Poll::Ready(Ok(room))
            }
            State::Chunked(chunks) => match chunks.step(bytes).map_err(odd)? {
                Step::Frame(taken) => Poll::Ready(Ok(taken)),
                step @ (Step::Data(wanted) | Step::Last(wanted)) => {
                    let room = ready!(self.poll_room(cx, wanted))?;
                    if step == Step::Last(room) {
                        self.send(&bytes[..room], true)?;
                        return Poll::Ready(Ok(room + END_BYTES));
                    }
                    self.send(&bytes[..room], false)?;
                    if let State::Chunked(chunks) = &mut self.state {
                        chunks.sent(room);
                    }
                    Poll::Ready(Ok(room))
                }
                Step::End(taken) => {
                    self.send(&[], true)?;
                    Poll::Ready(Ok(taken))
                }
            },
            State::Tunnel => {
                let room = ready!(self.poll_room(cx, bytes.len()))?;
                self.send(&bytes[..room], false)?;
                Poll::Ready(Ok(room))
            }
            State::Head | State::Done => Poll::Ready(Err(broken())),
        }
    }

    /// Room in the peer's window and the send buffer for some of `wanted` bytes, at least for one.
    fn poll_room(&mut self, cx: &mut Context<'_>, wanted: usize) -> Poll<io::Result<usize>> {
        let send = self.send.as_mut().ok_or_else(broken)?;
        send.reserve_capacity(wanted);
        loop {
            match send.capacity() {
                0 => {}
                room => return Poll::Ready(Ok(room.min(wanted))),
            }
            match ready!(send.poll_capacity(cx)) {
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Poll::Ready(Err(broken())),
            }
        }
    }

    /// Sends one piece of the body, and behind the last one the trailers, if there are any.
    fn send(&mut self, data: &[u8], last: bool) -> io::Result<()> {
        let send = self.send.as_mut().ok_or_else(broken)?;
        let trailers = if last { self.trailers.take() } else { None };
        let ends = last && trailers.is_none();
        if !data.is_empty() || ends {
            let data = Bytes::copy_from_slice(data);
            send.send_data(data, ends).map_err(|_| broken())?;
        }
        if let Some(trailers) = trailers {
            send.send_trailers(*trailers).map_err(|_| broken())?;
        }
        if last {
            self.state = State::Done;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use http::{Request, Response};

    use super::*;

    /// A response's body that is written in pieces of `size`, as the client gets it: its data, whether
    /// the stream ended with the last of them, and its trailers.
    async fn passed(
        body: &[u8],
        size: usize,
        trailers: Option<HeaderMap>,
    ) -> (Vec<u8>, bool, bool) {
        let (near, far) = tokio::io::duplex(4096);
        let client = async {
            let (mut sender, connection) = h2::client::handshake(near).await.unwrap();
            let exchange = async {
                let request = Request::get("http://a.test/").body(()).unwrap();
                let (response, _) = sender.send_request(request, true).unwrap();
                let mut got = response.await.unwrap().into_body();
                let (mut data, mut at_once) = (Vec::new(), false);
                while let Some(piece) = got.data().await {
                    data.extend_from_slice(&piece.unwrap());
                    at_once = got.is_end_stream();
                }
                (data, at_once, got.trailers().await.unwrap().is_some())
            };
            tokio::select! {
                _ = connection => panic!("the server has left"),
                got = exchange => got,
            }
        };
        let server = async {
            let mut connection = h2::server::handshake(far).await.unwrap();
            let (_request, mut respond) = connection.accept().await.unwrap().unwrap();
            let send = respond.send_response(Response::new(()), false).unwrap();
            let mut out = Outgoing::default();
            out.begin(send, Length::Chunked).unwrap();
            if let Some(trailers) = trailers {
                out.trail(Box::new(trailers));
            }
            for mut piece in body.chunks(size) {
                while !piece.is_empty() {
                    let taken = poll_fn(|cx| out.poll_write(cx, piece)).await.unwrap();
                    piece = &piece[taken..];
                }
            }
            assert!(out.is_done());
            while connection.accept().await.is_some() {}
        };
        tokio::join!(client, server).0
    }

    #[tokio::test]
    async fn what_ends_a_body_goes_with_its_last_data() {
        let body = b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
        let trailers = || {
            let status = ("grpc-status".parse().unwrap(), "0".parse().unwrap());
            Some(HeaderMap::from_iter([status]))
        };
        for (case, size, trailers, at_once) in [
            ("whole", 64, None, true),
            ("byte by byte", 1, None, false),
            ("trailers behind it", 64, trailers(), false),
            ("trailers, byte by byte", 1, trailers(), false),
        ] {
            let trails = trailers.is_some();
            let got = passed(body, size, trailers).await;
            let (data, last) = (got.0, got.1);
            assert_eq!(data, b"abcde", "{case}");
            assert_eq!(got.2, trails, "http-proxy 1.22: {case}");
            assert!(!at_once || last, "{case}");
        }
    }
}
