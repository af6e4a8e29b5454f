//! The bytes of one try: the request to a backend and its response to the client, both at once, in one
//! poll.
//!
//! ```text
//! client ── upload ──▶ backend ── download ──▶ client      until an Ended: passed on, or why not
//! ```
//!
//! Invariants: nothing is spawned, and no timer is registered where neither `Expect` nor a call's
//! deadline asks for one; who has to act when time runs out decides whose fault it is. Framing is
//! `upload`'s and `download`'s, how long silence may last `patience`'s, what follows from how it ended
//! `exchange`'s.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::StatusCode;
use tokio::time::{Sleep, sleep_until};

use super::Facts;
use super::chunked::ROOM_BEFORE;
use super::download::{Download, Ended};
use super::floor::Floor;
use super::patience::ticks;
use super::server::Connection;
use super::upload::{Fault, Upload};
use crate::l7::failure::Failure;
use crate::l7::io::{Downstream, READ_BYTES, poll_read};
#[cfg(test)]
use crate::l7::panics::provoked;
use crate::l7::pool::Backend;

impl<S: Downstream> Connection<S> {
    /// Passes a request to a backend and its response to the client, both at once.
    pub(super) async fn pass(
        &mut self,
        upload: &mut Upload,
        download: &mut Download,
        backend: &mut Backend,
        facts: &Facts,
    ) -> Ended {
        upload.remain(facts.deadline);
        let (mut patience, mut floor) = (None, None);
        let mut deadline = facts.deadline.map(|it| Box::pin(sleep_until(it.into())));
        let passed = std::future::poll_fn(|cx| {
            loop {
                if let Poll::Ready(Err(fault)) = upload.poll(cx, self, &mut backend.stream) {
                    return Poll::Ready(self.client_fault(fault, download));
                }
                let held = upload.held;
                let streams = (&mut backend.stream, &mut *upload);
                if let Poll::Ready(ended) = download.poll(cx, self, streams, facts) {
                    return Poll::Ready(ended);
                }
                if upload.held && download.is_awaited() && is_over(&mut patience, cx) {
                    upload.held = false;
                    download.invite();
                }
                if held == upload.held {
                    break;
                }
            }
            #[cfg(test)]
            if !download.is_awaited() {
                provoked::reach(provoked::Point::Answering);
            }
            if self.is_left(upload, cx) {
                return Poll::Ready(Ended::Cut);
            }
            if !facts.is_call && self.dawdles(&mut floor, upload, download) {
                return Poll::Ready(self.expired(upload, download));
            }
            if facts.is_call || facts.terms.is_some() {
                self.watch
                    .allow(ticks(facts, &self.worker.ticker, upload, download));
            }
            if deadline
                .as_mut()
                .is_some_and(|it| it.as_mut().poll(cx).is_ready())
            {
                return Poll::Ready(match download.is_awaited() {
                    true => Ended::Failed { failure: Failure::Deadline, silent: false },
                    false => download.cut(self),
                });
            }
            self.watch
                .poll_expired(cx)
                .map(|()| self.expired(upload, download))
        });
        let ended = passed.await;
        self.tell(upload, download, ended);
        ended
    }

    /// Whether the client sends its body, or takes its response, more slowly than it may
    /// (`http-proxy 5.13`).
    fn dawdles(&self, floor: &mut Option<Floor>, upload: &Upload, download: &Download) -> bool {
        let is_response = !download.is_awaited();
        let waits = if is_response { download.is_blocked() } else { upload.awaits_client };
        if !waits && floor.is_none() {
            return false;
        }
        let bytes = if is_response { download.bytes().0 } else { upload.body_bytes() };
        let kept = floor.filter(|floor| floor.is_about(is_response));
        let floor = floor.insert(kept.unwrap_or_else(|| Floor::new(is_response, bytes)));
        let worker = &self.worker;
        floor.note(worker.ticker.now(), waits, bytes, worker.least)
    }

    /// Whether a client has left: whoever has sent everything and leaves does not want an answer, or the
    /// rest of one (`http-proxy 1.30`, `http-proxy 5.13`).
    pub(super) fn is_left(&mut self, upload: &Upload, cx: &mut Context<'_>) -> bool {
        let waits = upload.is_read() && self.inbox.is_empty();
        (waits && self.poll_present(cx) == Poll::Ready(false))
            || self.stream.poll_gone(cx).is_ready()
    }

    /// Keeps what the client sends ahead; false: it left.
    fn poll_present(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        let mut bytes = self.worker.scratch.bytes.borrow_mut();
        let room = &mut bytes[ROOM_BEFORE..ROOM_BEFORE + READ_BYTES];
        poll_read(&mut self.stream, cx, room).map(|read| match read {
            Ok(0) | Err(_) => false,
            Ok(count) => {
                self.inbox.extend_from_slice(&room[..count]);
                true
            }
        })
    }

    fn client_fault(&self, fault: Fault, download: &Download) -> Ended {
        match fault {
            Fault::Refused(status) if download.is_awaited() => Ended::Refused(status),
            Fault::Refused(_) | Fault::Gone => download.cut(self),
        }
    }

    /// Time ran out: whose fault it was depends on who was to act.
    fn expired(&self, upload: &Upload, download: &Download) -> Ended {
        match download.is_awaited() {
            true if upload.awaits_client => Ended::Refused(StatusCode::REQUEST_TIMEOUT),
            true => Ended::Failed { failure: Failure::TimedOut, silent: false },
            false => download.cut(self),
        }
    }
}

/// Whether a client that waits to send its body was kept waiting long enough (`http-proxy 1.24`).
fn is_over(patience: &mut Option<Pin<Box<Sleep>>>, cx: &mut Context<'_>) -> bool {
    let sleep = patience.get_or_insert_with(|| Box::pin(tokio::time::sleep(CONTINUE_TIMEOUT)));
    sleep.as_mut().poll(cx).is_ready()
}

/// How long a backend may think about a body that it was only told of.
const CONTINUE_TIMEOUT: Duration = Duration::from_secs(1);
