//! Copies of requests that go to another place too, and whose answers nobody reads (`ingress 2.5`:
//! `mirror-target`).
//!
//! ```text
//! order ─▶ Copied ─body, as the backend gets it─▶ whole ─▶ sent │ failed
//!                  └ too many, too long ─▶ dropped
//! ```
//!
//! Invariants: a copy is begun where its request may pass, and sent when all of the request has come,
//! on a task of its own: the request is neither kept waiting nor failed by it. Copies, their bodies and
//! the time that one takes have limits.

use std::cell::Cell;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use portico_config::model::Mirror;
use tracing::debug;

use super::Worker;
use super::calls::is_call;
use super::errand::{Errand, insert};
use super::forward::{self, Added, Announced};
use super::order::Incoming;
use super::request::{Checked, is_idempotent};
use super::secured::bare;
use super::trust::Seen;

/// The copies of one worker.
#[derive(Debug, Default)]
pub(crate) struct Copies {
    open: Rc<Cell<usize>>,
}

/// One request's copy, as far as it has come.
#[derive(Debug)]
pub(crate) struct Copied {
    mirror: Arc<Mirror>,
    head: Vec<u8>,
    body: Vec<u8>,
    /// Whether the body is more than what is copied of one.
    too_long: bool,
    client: IpAddr,
    local: IpAddr,
    to_head: bool,
    idempotent: bool,
    _place: Place,
}

/// What became of copies.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Answered.
    pub(crate) sent: AtomicU64,
    /// Not answered in time, or not at all.
    pub(crate) failed: AtomicU64,
    /// Not sent: there were too many, or the body was too long.
    pub(crate) dropped: AtomicU64,
}

/// A copy's place among all of its worker.
#[derive(Debug)]
struct Place(Rc<Cell<usize>>);

impl Copies {
    fn take(&self) -> Option<Place> {
        let open = self.open.get();
        (open < MOST_OPEN).then(|| {
            self.open.set(open + 1);
            Place(Rc::clone(&self.open))
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}

/// Whose request is copied, and how it may be sent.
struct Original {
    client: IpAddr,
    /// Which of our addresses it came to.
    local: IpAddr,
    /// Whether its method is HEAD.
    to_head: bool,
    /// Whether it may arrive twice.
    idempotent: bool,
}

impl Worker {
    /// What of a request goes to another place too. A tunnel is not copied, nor is a call of gRPC.
    pub(super) fn copied(
        &self,
        (mirror, path): (&Arc<Mirror>, String),
        authority: Option<&str>,
        added: &Added<'_>,
    ) -> Option<Box<Copied>> {
        let Incoming { asked, from, websocket, .. } = added.incoming;
        if *websocket || is_call(asked.method, asked.fields) {
            return None;
        }
        let seen = Seen::new(from, added.told);
        let original = Original {
            client: seen.client,
            local: from.local,
            to_head: asked.method == "HEAD",
            idempotent: is_idempotent(asked.method),
        };
        self.copy(mirror, original, |head| {
            let body = Announced::Nothing;
            let incoming = Incoming { asked: *asked, from, body, expects: false, websocket: false };
            let checked = Checked { host: "".into(), authority, path: path.into(), query: None };
            let added = Added {
                incoming: &incoming,
                host: Some(&mirror.host),
                prefix: None,
                closes: false,
                http2: false,
                ..*added
            };
            forward::to_upstream(head, &checked, &added);
        })
    }

    /// Begins a copy whose head, which announces no body, `write` writes; none where there are too
    /// many.
    fn copy(
        &self,
        mirror: &Arc<Mirror>,
        original: Original,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Option<Box<Copied>> {
        let Some(place) = self.copies.take() else {
            self.metrics.copies.dropped.fetch_add(1, Relaxed);
            return None;
        };
        let mut head = Vec::new();
        write(&mut head);
        let Original { client, local, to_head, idempotent } = original;
        Some(Box::new(Copied {
            mirror: Arc::clone(mirror),
            head,
            body: Vec::new(),
            too_long: false,
            client,
            local,
            to_head,
            idempotent,
            _place: place,
        }))
    }
}

impl Copied {
    /// Lines that the backend gets too, once it is known that the request may pass.
    pub(crate) fn insert(&mut self, lines: &[u8]) {
        insert(&mut self.head, lines);
    }

    /// Takes some of the body.
    pub(crate) fn take(&mut self, data: &[u8]) {
        if !self.mirror.with_body {
            return;
        }
        self.too_long |= self.body.len() + data.len() > MOST_BODY_BYTES;
        match self.too_long {
            true => self.body = Vec::new(),
            false => self.body.extend_from_slice(data),
        }
    }

    /// Sends it, now that all of its request is known.
    pub(crate) fn send(mut self: Box<Self>, worker: &Rc<Worker>) {
        if self.too_long {
            worker.metrics.copies.dropped.fetch_add(1, Relaxed);
            return;
        }
        if !self.body.is_empty() {
            let line = format!("Content-Length: {}\r\n", self.body.len());
            insert(&mut self.head, line.as_bytes());
            self.head.append(&mut self.body);
        }
        let worker = Rc::clone(worker);
        let tracker = worker.connections.clone();
        tracker.spawn_local(async move {
            let errand = self.errand();
            let answered = tokio::time::timeout(PATIENCE, worker.run(&errand)).await;
            let counts = &worker.metrics.copies;
            match answered {
                Ok(Some(_)) => counts.sent.fetch_add(1, Relaxed),
                Ok(None) | Err(_) => {
                    debug!(host = %self.mirror.host, "a copy of a request has no answer");
                    counts.failed.fetch_add(1, Relaxed)
                }
            }
        });
    }

    fn errand(&self) -> Errand<'_> {
        let mirror = &*self.mirror;
        Errand {
            request: &self.head,
            place: &mirror.place,
            tls: mirror.tls,
            listed: mirror.listed,
            verifies: true,
            host: bare(&mirror.authority),
            original: &[],
            client: self.client,
            local: self.local,
            to_head: self.to_head,
            idempotent: self.idempotent,
            wanted: &[],
        }
    }
}

/// Of one worker, from the head of a request to the answer to its copy.
const MOST_OPEN: usize = 128;
/// Of one copy; of all of a worker 32 MiB.
const MOST_BODY_BYTES: usize = 256 << 10;
/// From the first connection to the end of the answer.
const PATIENCE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_has_so_many_copies_and_no_more() {
        let copies = Copies::default();
        let mut all: Vec<_> = (0..MOST_OPEN).map(|_| copies.take()).collect();
        assert!(all.iter().all(Option::is_some) && copies.take().is_none());
        all.pop();
        assert!(copies.take().is_some(), "ingress 2.5");
    }
}
