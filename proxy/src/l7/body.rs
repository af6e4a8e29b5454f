//! Bodies on their way: bounded towards the backend, complete or visibly broken towards the client.

use std::cell::Cell;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use super::pool::{Pool, Sender};
use super::watch::{Phase, Watch};

/// Why a body ended before its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    /// The client or the backend broke it off.
    #[error(transparent)]
    Broken(#[from] hyper::Error),
    /// It is longer than [`MAX_REQUEST_BODY_BYTES`].
    #[error("request body is longer than {MAX_REQUEST_BODY_BYTES} bytes")]
    TooLong,
}

/// What is sent to a backend.
#[derive(Debug)]
pub(crate) enum RequestBody {
    /// Nothing.
    Empty,
    /// What the client sends, as it comes; trailers are dropped.
    Streaming { incoming: Incoming, left: u64, uploaded: Rc<Cell<bool>> },
}

impl RequestBody {
    /// The body of a client's request.
    pub(crate) fn new(incoming: Incoming) -> Self {
        if incoming.is_end_stream() {
            Self::Empty
        } else {
            Self::Streaming { incoming, left: MAX_REQUEST_BODY_BYTES, uploaded: Rc::default() }
        }
    }

    /// Becomes true once everything was taken for sending; none for nothing.
    pub(crate) fn uploaded(&self) -> Option<Rc<Cell<bool>>> {
        match self {
            Self::Empty => None,
            Self::Streaming { uploaded, .. } => Some(Rc::clone(uploaded)),
        }
    }

    /// Whether the client already says that it is too long.
    pub(crate) fn is_too_long(&self) -> bool {
        self.size_hint().lower() > MAX_REQUEST_BODY_BYTES
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Self::Streaming { incoming, left, uploaded } = &mut *self else {
            return Poll::Ready(None);
        };
        loop {
            return match std::task::ready!(Pin::new(&mut *incoming).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) if data.len() as u64 > *left => {
                        Poll::Ready(Some(Err(BodyError::TooLong)))
                    }
                    Ok(data) => {
                        *left -= data.len() as u64;
                        uploaded.set(incoming.is_end_stream());
                        Poll::Ready(Some(Ok(Frame::data(data))))
                    }
                    Err(_trailers) => continue,
                },
                Some(Err(error)) => Poll::Ready(Some(Err(error.into()))),
                None => {
                    uploaded.set(true);
                    Poll::Ready(None)
                }
            };
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Streaming { incoming, .. } => incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Streaming { incoming, .. } => incoming.size_hint(),
        }
    }
}

/// What is sent to a client.
pub(crate) enum ResponseBody {
    /// An answer of our own.
    Own(Option<Bytes>),
    /// What a backend sends, as it comes.
    Streaming {
        incoming: Incoming,
        /// The connection that it comes over, given back at the end.
        lease: Option<Lease>,
        watch: Arc<Watch>,
    },
}

/// A connection in use; it goes back to the pool only from a finished response.
pub(crate) struct Lease {
    pub(crate) pool: Rc<Pool>,
    pub(crate) endpoint: SocketAddr,
    pub(crate) sender: Sender,
    /// Whether the request was sent whole; none: it had no body.
    pub(crate) uploaded: Option<Rc<Cell<bool>>>,
}

impl ResponseBody {
    /// A backend's body over a leased connection.
    pub(crate) fn new(incoming: Incoming, lease: Option<Lease>, watch: Arc<Watch>) -> Self {
        let mut body = Self::Streaming { incoming, lease, watch };
        if body.is_end_stream() {
            body.finish();
        }
        body
    }

    fn finish(&mut self) {
        if let Self::Streaming { lease, watch, .. } = self {
            if let Some(Lease { pool, endpoint, sender, uploaded }) = lease.take() {
                // A response that came before the end of the upload leaves the rest of it behind.
                if uploaded.is_none_or(|uploaded| uploaded.get()) {
                    pool.put(endpoint, sender);
                }
            }
            watch.enter(Phase::Idle);
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let (incoming, watch) = match &mut *self {
            Self::Own(bytes) => return Poll::Ready(bytes.take().map(|b| Ok(Frame::data(b)))),
            Self::Streaming { incoming, watch, .. } => (incoming, watch),
        };
        loop {
            return match std::task::ready!(Pin::new(&mut *incoming).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => {
                        watch.enter(Phase::Busy);
                        if incoming.is_end_stream() {
                            self.finish();
                        }
                        Poll::Ready(Some(Ok(Frame::data(data))))
                    }
                    Err(_trailers) => continue,
                },
                Some(Err(error)) => Poll::Ready(Some(Err(error.into()))),
                None => {
                    self.finish();
                    Poll::Ready(None)
                }
            };
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Own(bytes) => bytes.is_none(),
            Self::Streaming { incoming, .. } => incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Own(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |b| b.len() as u64)),
            Self::Streaming { incoming, .. } => incoming.size_hint(),
        }
    }
}

/// A longer body gets 413 (ingress-nginx's `proxy-body-size`).
pub(crate) const MAX_REQUEST_BODY_BYTES: u64 = 1 << 20;
