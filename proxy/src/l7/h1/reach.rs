//! A connection to the endpoint that was chosen, as good as the request needs it.
//!
//! ```text
//! the client's own, at rest ─▶ anybody's, at rest ─▶ a new one        HTTP/2: a stream of one, or of a new one
//! ```
//!
//! The first is one that the backend may know the client by (`http-proxy 5.4`): it is kept here between
//! the client's requests, and goes to nobody else. Those at rest are `pool`'s, dialling is `Worker::dial`'s;
//! the log hears of each try.

use std::net::SocketAddr;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::Facts;
use super::server::Connection;
use crate::l7::access::Tried;
use crate::l7::dial::Undialed;
use crate::l7::io::Downstream;
use crate::l7::pool::Backend;
use crate::l7::watch::Phase;
use crate::upstream::{Port, Upstream};

impl<S: Downstream> Connection<S> {
    /// A connection to an endpoint, and whether it was there already; the log hears of the try.
    pub(super) async fn connect(
        &mut self,
        (upstream, now): (&Upstream, Instant),
        facts: &Facts,
    ) -> Result<(bool, Backend), Undialed> {
        self.note(|entry| entry.tries(upstream.address, now));
        let connected = self.reach(upstream, facts).await;
        self.note(|entry| match &connected {
            Ok((reused, _)) => entry.connected(*reused),
            Err(why) => entry.tried(&Tried::failed(why.failure)),
        });
        connected
    }

    /// The same; the log hears nothing.
    async fn reach(
        &mut self,
        upstream: &Upstream,
        facts: &Facts,
    ) -> Result<(bool, Backend), Undialed> {
        let endpoint = upstream.address;
        let opened = if facts.speaks_http2() {
            if let Some(joined) = self.worker.join_stream(endpoint, facts.secured()) {
                return Ok(joined);
            }
            let patience = self.time_to_connect(facts);
            let opened = self.worker.open_stream(endpoint, facts.secured(), patience);
            Box::pin(opened).await
        } else {
            if let Some(backend) = self.rested(endpoint, facts) {
                self.worker.metrics.reused.0.fetch_add(1, Relaxed);
                return Ok((true, backend));
            }
            let patience = self.time_to_connect(facts);
            let dialed = Box::pin(self.worker.dial(endpoint, facts.secured(), patience)).await;
            dialed.map(|backend| (false, backend))
        };
        // The time of a dial is its own.
        self.watch.renew(Phase::Waiting);
        opened.map_err(|why| match facts.is_late(Instant::now()) {
            true => why.past_deadline(),
            false => why,
        })
    }

    /// A connection that is there already: the client's own, or anybody's.
    fn rested(&mut self, endpoint: SocketAddr, facts: &Facts) -> Option<Backend> {
        let known = self.known(endpoint, facts);
        known.or_else(|| self.worker.pool.take(endpoint, facts.secured()))
    }

    /// The connection over which it does, if that lives and this request may go over it.
    fn known(&mut self, endpoint: SocketAddr, facts: &Facts) -> Option<Backend> {
        let fits = |kept: &mut Box<Backend>| {
            kept.endpoint == endpoint && kept.secured.as_ref() == facts.secured()
        };
        let mut kept = self.kept.take_if(fits)?;
        kept.is_quiet().then_some(*kept)
    }

    /// The endpoint that may know the client, where the port has it.
    pub(super) fn home<'a>(&self, port: &'a Port) -> Option<&'a Upstream> {
        let kept = self.kept.as_ref()?;
        port.upstream(kept.endpoint)
    }

    /// How long a connection may take to be made.
    pub(super) fn time_to_connect(&self, facts: &Facts) -> Duration {
        let usual = match facts.timeouts().and_then(|timeouts| timeouts.connect) {
            None => self.worker.door.timeouts.connect,
            Some(0) => Duration::MAX,
            Some(seconds) => Duration::from_secs(seconds.into()),
        };
        match facts.deadline {
            None => usual,
            Some(deadline) => usual.min(deadline.saturating_duration_since(Instant::now())),
        }
    }
}
