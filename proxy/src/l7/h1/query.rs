//! A request that asks for a name (RFC 8484): its message, read whole, and the reply as its answer.
//!
//! At most [`MAX_MESSAGE_BYTES`] are kept of a body. Which requests are such questions is `queries`' to
//! say, what is answered the resolver's, which this crate knows as a trait alone.

use std::net::IpAddr;
use std::task::Poll;

use http::{HeaderValue, StatusCode};

use super::Facts;
use super::body::Body;
use super::chunked::ROOM_BEFORE;
use super::framing::Length;
use super::persistence::After;
use super::server::Connection;
use super::upload::Fault;
use crate::l7::edits::Edits;
use crate::l7::io::{Downstream, READ_BYTES, poll_read};
use crate::l7::queries::{Answered, MAX_MESSAGE_BYTES, Query};
use crate::l7::respond::Content;
use crate::l7::watch::Phase;

impl<S: Downstream> Connection<S> {
    /// Answers a query (RFC 8484 4.2): 200 whatever the reply says, 400 where it is no question.
    pub(super) async fn resolve(
        &mut self,
        (query, client): (Query, IpAddr),
        length: Length,
        facts: &Facts,
    ) -> After {
        let (message, close) = match query {
            Query::Whole(message) => (message, !self.skip(length, facts)),
            Query::Body => match self.collect(length, facts).await {
                Ok(message) => (message, false),
                Err(Fault::Gone) => return After::Cut,
                Err(Fault::Refused(status)) => {
                    self.worker.queries.told(status);
                    return self.own(status, true, facts).await;
                }
            },
        };
        self.watch.renew(Phase::Waiting);
        let local = self.from.local;
        let answered = match &self.worker.queries.resolver {
            Some(resolver) => resolver.answer(message, client, local).await,
            None => None,
        };
        let Some(Answered { message, max_age_seconds }) = answered else {
            self.worker.queries.told(StatusCode::BAD_REQUEST);
            return self.own(StatusCode::BAD_REQUEST, close, facts).await;
        };
        self.worker.queries.told(StatusCode::OK);
        let mut edits = Edits::default();
        if let Ok(value) = HeaderValue::try_from(format!("max-age={max_age_seconds}")) {
            edits.set("Cache-Control", value);
        }
        let content = Content::Message(&message);
        self.own_with((StatusCode::OK, content), Some(&edits), close, facts)
            .await
    }

    /// The body of a request, as long as a message may be.
    async fn collect(&mut self, length: Length, facts: &Facts) -> Result<Vec<u8>, Fault> {
        let (mut body, mut message) = (Body::new(length), Vec::new());
        if facts.expects && !self.send(CONTINUE).await {
            return Err(Fault::Gone);
        }
        loop {
            let decoded = body
                .take(&mut self.inbox)
                .map_err(|fault| Fault::Refused(fault.status()))?;
            let data = self.inbox.get(decoded.data).unwrap_or_default();
            if message.len() + data.len() > MAX_MESSAGE_BYTES {
                return Err(Fault::Refused(StatusCode::PAYLOAD_TOO_LARGE));
            }
            message.extend_from_slice(data);
            self.inbox.drain(..decoded.taken);
            if body.is_done() {
                return Ok(message);
            }
            std::future::poll_fn(|cx| self.poll_more(cx)).await?;
        }
    }

    /// Waits for more of what the client sends.
    fn poll_more(&mut self, cx: &mut std::task::Context<'_>) -> Poll<Result<(), Fault>> {
        let mut bytes = self.worker.scratch.bytes.borrow_mut();
        let room = &mut bytes[ROOM_BEFORE..ROOM_BEFORE + READ_BYTES];
        match poll_read(&mut self.stream, cx, room) {
            Poll::Ready(Ok(0) | Err(_)) => Poll::Ready(Err(Fault::Gone)),
            Poll::Ready(Ok(count)) => {
                self.watch.read();
                self.inbox.extend_from_slice(&room[..count]);
                Poll::Ready(Ok(()))
            }
            Poll::Pending => self
                .watch
                .poll_expired(cx)
                .map(|()| Err(Fault::Refused(StatusCode::REQUEST_TIMEOUT))),
        }
    }
}

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
