//! A place at an endpoint for one request: at the one whose turn it is, at another that has room, or
//! the next that comes free (`http-proxy 5.12`).
//!
//! A request waits at a few endpoints at once, for no longer than a connection may take to be made, and
//! nobody waits for a client that has left. Who counts places, and who of those who wait is next, is
//! `upstream::room`'s.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Instant;

use tokio::time::sleep;

use super::Facts;
use super::repeat::MAX_TRIES;
use super::server::Connection;
use super::upload::Upload;
use crate::l7::failure::Failure;
use crate::l7::io::Downstream;
use crate::l7::watch::Phase;
use crate::upstream::{Bounds, Choice, Lead, Open, Port, Upstream, Waiting};

/// The endpoints that one request is sent to, in the order to try them: as many of a choice as there
/// are tries.
#[derive(Clone)]
pub(super) struct Turns<'a> {
    choice: Choice<'a>,
    left: usize,
}

/// Endpoints, and places in their queues.
type Queues<'a> = Vec<(&'a Upstream, Waiting)>;

impl<'a> Turns<'a> {
    pub(super) fn new(choice: Choice<'a>, tries: usize) -> Self {
        Self { choice, left: tries }
    }

    /// A place at the first of those that are left which has one: to pass over who is full is no try.
    fn with_room(&mut self, bounds: Bounds) -> Option<(&'a Upstream, Open)> {
        self.choice
            .find_map(|upstream| Some((upstream, upstream.enter(bounds)?)))
    }
}

impl<'a> Iterator for Turns<'a> {
    type Item = &'a Upstream;

    fn next(&mut self) -> Option<&'a Upstream> {
        self.left = self.left.checked_sub(1)?;
        self.choice.next()
    }
}

impl<S: Downstream> Connection<S> {
    /// A place for a request at `asked`, or at another endpoint where that one is full; fails with why
    /// there is none, which is nothing where the client left.
    pub(super) async fn place<'a>(
        &mut self,
        port: &'a Port,
        (asked, turns): (&'a Upstream, &mut Turns<'a>),
        (upload, facts): (&Upload, &Facts),
    ) -> Result<(&'a Upstream, Open), Option<Failure>> {
        let bounds = port.bounds(self.worker.bounds);
        if let Some(open) = asked.enter(bounds) {
            return Ok((asked, open));
        }
        Box::pin(self.seek(bounds, (asked, turns), (upload, facts))).await
    }

    /// The same where `asked` is full.
    async fn seek<'a>(
        &mut self,
        bounds: Bounds,
        (asked, turns): (&'a Upstream, &mut Turns<'a>),
        (upload, facts): (&Upload, &Facts),
    ) -> Result<(&'a Upstream, Open), Option<Failure>> {
        // Who is led to a front goes where the front leads, and nowhere else.
        let others = facts.lead() != Lead::Front;
        let rest = turns.choice.clone();
        if others && let Some(placed) = turns.with_room(bounds) {
            return Ok(placed);
        }
        // The first that has a place for it is asked.
        turns.choice = rest.clone();
        let all = std::iter::once(asked).chain(rest.take(if others { MAX_TRIES - 1 } else { 0 }));
        let queues = all.filter_map(|upstream| Some((upstream, upstream.wait(bounds)?)));
        let queues: Queues<'a> = queues.collect();
        if queues.is_empty() {
            return Err(Some(Failure::Full));
        }
        let placed = self.wait(queues, upload, facts).await;
        self.watch.renew(Phase::Waiting);
        placed
    }

    async fn wait<'a>(
        &mut self,
        mut queues: Queues<'a>,
        upload: &Upload,
        facts: &Facts,
    ) -> Result<(&'a Upstream, Open), Option<Failure>> {
        let mut time = pin!(sleep(self.time_to_connect(facts)));
        poll_fn(|cx| {
            for (upstream, waiting) in &mut queues {
                if let Poll::Ready(open) = Pin::new(waiting).poll(cx) {
                    let placed = open.map(|open| (*upstream, open));
                    return Poll::Ready(placed.ok_or(Some(Failure::Full)));
                }
            }
            if self.is_left(upload, cx) {
                return Poll::Ready(Err(None));
            }
            let late = time.as_mut().poll(cx);
            late.map(|()| match facts.deadline {
                Some(_) if facts.is_late(Instant::now()) => Err(Some(Failure::Deadline)),
                _ => Err(Some(Failure::Full)),
            })
        })
        .await
    }
}
