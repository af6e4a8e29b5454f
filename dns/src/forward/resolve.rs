//! One question put to upstreams: one after the other, until one says something that counts.
//!
//! ```text
//! order ─▶ looped? said already? ─▶ exchange ─▶ reply: told │ fails over ─▶ the next │ TOTAL is over
//!                                        └ fault, no reply ─▶ probe ─┘
//! ```
//!
//! What is said over the wire is `exchange`'s, whether an upstream works `upstream`'s and `probe`'s.

use std::rc::Rc;
use std::time::Duration;

use tokio::time::{Instant, timeout};
use tracing::debug;

use super::Forwarder;
use super::message::Ask;
use super::response::Response;
use super::routes::Route;

impl Forwarder {
    /// Asks one upstream after the other until one says something; what settings take for its own fault
    /// counts where no other says anything else.
    pub(super) async fn resolve(self: &Rc<Self>, ask: &Ask, route: &Route) -> Response {
        let order = route.order(&mut self.random.borrow_mut());
        if order.first().is_none_or(|first| !first.is_up()) {
            self.shared.metrics.all_down.inc();
            // Probes go on, and the first reply to one makes it asked again.
            if route.is_failfast {
                return Response::failure(NO_REACHABLE_AUTHORITY);
            }
        }
        let deadline = Instant::now() + TOTAL;
        let mut failed = Response::failure(NO_REACHABLE_AUTHORITY);
        let mut has_said = vec![false; order.len()];
        // A datagram may be lost: even a single upstream is asked again.
        let tries = order.iter().zip(0..).cycle();
        for (upstream, place) in tries.take(order.len().max(LEAST_TRIES)) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            // Who has said something would say it again.
            let said: Option<&mut bool> = has_said.get_mut(place);
            if upstream.is_looped() || said.as_deref() == Some(&true) {
                continue;
            }
            self.check_loop(upstream);
            match timeout(TRY.min(left), self.exchange.run(upstream, ask)).await {
                Ok(Ok(response)) => {
                    upstream.has_replied();
                    if route.filters_private && response.holds_private() {
                        self.shared.metrics.rebindings.inc();
                        return Response::blocked();
                    }
                    if !route.fails_over(response.rcode()) {
                        return response;
                    }
                    failed = response;
                    said.into_iter().for_each(|said| *said = true);
                    continue;
                }
                Ok(Err(fault)) => {
                    debug!(upstream = %upstream.address, %fault, "an upstream failed");
                    if !has_said.contains(&true) {
                        failed = Response::failure(NETWORK_ERROR);
                    }
                }
                Err(_) => upstream
                    .metrics
                    .exchanged(None, TRY.min(left).as_secs_f64()),
            }
            self.probe(upstream);
        }
        failed
    }
}

/// EDE: no upstream said anything, or the network said that it cannot be reached (RFC 8914).
pub(super) const NO_REACHABLE_AUTHORITY: u16 = 22;
const NETWORK_ERROR: u16 = 23;
/// For one try.
const TRY: Duration = Duration::from_secs(2);
/// For all of them: less than the five seconds after which clients give up.
pub(super) const TOTAL: Duration = Duration::from_millis(4500);
/// Even where there are fewer upstreams.
const LEAST_TRIES: usize = 3;
