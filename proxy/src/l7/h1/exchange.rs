//! One request and its response: endpoints in turn until one answers, then bytes both ways.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use http::StatusCode;
use tokio::time::Sleep;

use super::Facts;
use super::chunked::ROOM_BEFORE;
use super::download::{Download, Ended};
use super::server::{After, Connection};
use super::upload::{Fault, Upload};
use crate::l7::exchange::{Failure, MAX_TRIES};
use crate::l7::io::{Downstream, READ_BYTES, poll_read};
use crate::l7::metrics::class;
use crate::l7::pool::Backend;
use crate::upstream::{Caller, Fault as Breakdown, Port};

impl<S: Downstream> Connection<S> {
    /// Sends a request to the endpoints of `port` in turn until one answers, and passes the answer
    /// on (`http-proxy 5.9`).
    pub(super) async fn forward(
        &mut self,
        port: Arc<Port>,
        mut upload: Upload,
        facts: &Facts,
    ) -> After {
        if let Err(fault) = upload.begin(&mut self.inbox, &self.worker.scratch) {
            return self.refuse(&port, fault, facts).await;
        }
        let mut failure = Failure::NoEndpoint;
        let mut caller = Caller { client: self.from.client, now: Instant::now() };
        let mut choice = port.choose(caller).take(MAX_TRIES);
        let mut next = choice.next();
        while let Some(upstream) = next {
            let (endpoint, _open) = (upstream.address, upstream.open());
            let pooled = self.worker.pool.take(endpoint, facts.secured());
            let reused = pooled.is_some();
            let dialed = match pooled {
                Some(backend) => Ok(backend),
                None => Box::pin(self.worker.dial(endpoint, facts.secured())).await,
            };
            let mut backend = match dialed {
                Ok(backend) => backend,
                Err(why) => {
                    caller.now = Instant::now();
                    if why.blames {
                        port.failed((None, caller), upstream, Breakdown::Dial, caller.now);
                    }
                    failure = why.failure;
                    next = choice.next();
                    continue;
                }
            };
            if reused {
                self.worker.metrics.reused.0.fetch_add(1, Relaxed);
            }
            backend.served += 1;
            let mut download = Download::new(self.worker.scratch.take());
            let ended = self
                .pass(&mut upload, &mut download, &mut backend, facts)
                .await;
            match ended {
                Ended::Failed { .. } | Ended::Refused(_) if download.is_midway() => {
                    return After::Cut;
                }
                Ended::Failed { failure: why, silent } => {
                    failure = why;
                    let again = silent && facts.idempotent && upload.is_whole();
                    if why == Failure::TimedOut || !(again || upload.is_unsent()) {
                        break;
                    }
                    upload.rewind();
                    // A connection that had died at rest says nothing of its endpoint.
                    if !reused {
                        caller.now = Instant::now();
                        port.failed((None, caller), upstream, Breakdown::Break, caller.now);
                        next = choice.next();
                    }
                }
                Ended::Refused(status) => {
                    return self.refuse(&port, Fault::Refused(status), facts).await;
                }
                Ended::Cut => return After::Cut,
                Ended::Sent | Ended::Upgraded => {
                    port.answered(upstream, caller.now, Instant::now);
                    port.state.answers[class(download.status)].fetch_add(1, Relaxed);
                    return self.finish(ended, upload, download, backend);
                }
            }
        }
        port.state.answers[class(failure.status())].fetch_add(1, Relaxed);
        let close = !upload.is_read();
        self.own(failure.status(), close, facts).await
    }

    /// What becomes of both connections once the response has been passed on.
    fn finish(&self, ended: Ended, upload: Upload, download: Download, backend: Backend) -> After {
        if ended == Ended::Upgraded {
            return After::Tunnel(backend);
        }
        // A response that came before the end of the upload leaves the rest of it behind.
        if download.reusable && upload.is_done() {
            self.worker.pool.put(backend);
        }
        let after = match (download.close, upload.is_read()) {
            (false, _) => After::Next,
            (true, true) => After::Close,
            (true, false) => After::Linger,
        };
        self.worker.scratch.put(upload.into_buffer());
        self.worker.scratch.put(download.into_buffer());
        after
    }

    async fn refuse(&mut self, port: &Port, fault: Fault, facts: &Facts) -> After {
        let Fault::Refused(status) = fault else { return After::Cut };
        port.state.answers[class(status)].fetch_add(1, Relaxed);
        self.own(status, true, facts).await
    }

    /// Passes a request to a backend and its response to the client, both at once.
    async fn pass(
        &mut self,
        upload: &mut Upload,
        download: &mut Download,
        backend: &mut Backend,
        facts: &Facts,
    ) -> Ended {
        let mut patience = None;
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
            // Whoever has sent everything and leaves does not want the answer (`http-proxy 1.30`).
            let waits = download.is_awaited() && upload.is_read() && self.inbox.is_empty();
            if waits && self.poll_present(cx) == Poll::Ready(false) {
                return Poll::Ready(Ended::Cut);
            }
            self.watch
                .poll_expired(cx)
                .map(|()| self.expired(upload, download))
        });
        passed.await
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
