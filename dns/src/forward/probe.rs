//! What is asked of upstreams for our own sake: whether one that failed works again, and whether
//! one leads back to us (`dns 4.1`).
//!
//! A loop is found by a name that nobody can guess: it is asked once before an upstream is first used,
//! and whoever asks it of us is that upstream. Invariants: one task for each upstream and purpose
//! over all workers; each ends when the upstream is gone or the process ends.

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use super::Forwarder;
use super::message::Ask;
use super::upstream::Upstream;
use crate::wire::LONGEST_NAME;

/// Names that were asked to find loops, and of whom; of all workers.
#[derive(Debug, Default)]
pub(crate) struct Traps(Mutex<VecDeque<Trap>>);

#[derive(Debug)]
struct Trap {
    name: Box<[u8]>,
    upstream: Arc<Upstream>,
    is_sprung: bool,
}

impl Traps {
    fn set(&self, name: &[u8], upstream: &Arc<Upstream>) {
        let mut traps = self.lock();
        while traps.len() >= MOST_TRAPS {
            traps.pop_front();
        }
        let upstream = Arc::clone(upstream);
        traps.push_back(Trap { name: name.into(), upstream, is_sprung: false });
    }

    /// The upstream that `name` was asked of, if it is such a name.
    pub(crate) fn spring(&self, name: &[u8], kind: u16) -> Option<Arc<Upstream>> {
        if kind != HINFO {
            return None;
        }
        let mut traps = self.lock();
        let trap = traps.iter_mut().find(|trap| *trap.name == *name)?;
        trap.is_sprung = true;
        Some(Arc::clone(&trap.upstream))
    }

    /// Takes a name back; whether it was asked of us.
    fn take(&self, name: &[u8]) -> bool {
        let mut traps = self.lock();
        let Some(place) = traps.iter().position(|trap| *trap.name == *name) else { return false };
        traps.remove(place).is_some_and(|trap| trap.is_sprung)
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Trap>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Forwarder {
    /// Notes that `upstream` asked us what we asked it.
    pub(crate) fn found_loop(&self, upstream: &Upstream) {
        if upstream.set_looped(true) {
            self.shared.metrics.loops.inc();
            warn!(
                upstream = %upstream.address,
                "this upstream leads back here: it is not asked until it does no more"
            );
        }
    }

    /// Finds out whether `upstream` leads back to us, where nobody has; again while it does.
    pub(crate) fn check_loop(self: &Rc<Self>, upstream: &Arc<Upstream>) {
        if !upstream.begin_check() {
            return;
        }
        let (this, upstream) = (Rc::clone(self), Arc::clone(upstream));
        self.background(async move {
            loop {
                this.look_for_loop(&upstream).await;
                if !upstream.is_looped() {
                    return;
                }
                tokio::select! {
                    () = upstream.gone.cancelled() => return,
                    () = sleep(CHECK_AGAIN) => {}
                }
            }
        });
    }

    async fn look_for_loop(&self, upstream: &Arc<Upstream>) {
        let Ok(secret) = self.exchange.random.borrow_mut().octets() else { return };
        let Some(name) = trap_name(secret, &upstream.suffix) else { return };
        self.shared.traps.set(&name, upstream);
        let name_of = name.clone().into();
        let ask = Ask { name: name_of, kind: HINFO, flags: RD, dnssec_ok: false, route: 0 };
        // What it says is of no interest, and a loop never says anything.
        let asked = timeout(PROBE, self.exchange.run(upstream, &ask)).await;
        let is_sprung = self.shared.traps.take(&name);
        if !is_sprung && upstream.set_looped(false) {
            info!(upstream = %upstream.address, "this upstream leads back here no more");
        }
        if matches!(asked, Ok(Ok(_))) {
            upstream.has_replied();
        }
    }

    /// An exchange has failed: asks until there is any reply, unless somebody does already.
    pub(crate) fn probe(self: &Rc<Self>, upstream: &Arc<Upstream>) {
        if !upstream.begin_probes() {
            return;
        }
        let (this, upstream) = (Rc::clone(self), Arc::clone(upstream));
        self.background(async move {
            let mut pause = FIRST_PAUSE;
            loop {
                let root = [0].into();
                let ask = Ask { name: root, kind: NS, flags: RD, dnssec_ok: false, route: 0 };
                let asked = timeout(PROBE, this.exchange.run(&upstream, &ask)).await;
                if matches!(asked, Ok(Ok(_))) {
                    if !upstream.is_up() && !upstream.is_looped() {
                        info!(upstream = %upstream.address, "this upstream answers again");
                    }
                    upstream.has_replied();
                    break;
                }
                if upstream.has_failed_probe() {
                    warn!(upstream = %upstream.address, "this upstream does not answer");
                }
                tokio::select! {
                    () = upstream.gone.cancelled() => break,
                    () = sleep(pause) => {}
                }
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            upstream.end_probes();
        });
    }
}

/// `<random>.<random>.<suffix>` in lower case; none where that is too long for a name.
fn trap_name(secret: [u8; 16], suffix: &[u8]) -> Option<Vec<u8>> {
    let mut name = Vec::with_capacity(34 + suffix.len());
    for half in secret.chunks_exact(8) {
        name.push(16);
        let digits = half.iter().flat_map(|octet| [octet >> 4, octet & 15]);
        name.extend(digits.map(|digit| if digit < 10 { b'0' + digit } else { b'a' - 10 + digit }));
    }
    name.extend_from_slice(suffix);
    (name.len() <= LONGEST_NAME).then_some(name)
}

const RD: u16 = 0x0100;
const NS: u16 = 2;
const HINFO: u16 = 13;
/// For one probe.
const PROBE: Duration = Duration::from_secs(2);
/// Between probes, at first and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// How often an upstream is looked at again that leads back here.
const CHECK_AGAIN: Duration = Duration::from_secs(30);
/// Names out at once: upstreams of a few changes of the settings.
const MOST_TRAPS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forward::metrics::Metrics;

    #[test]
    fn a_trap_is_sprung_by_its_own_name_alone() {
        let traps = Traps::default();
        let upstream = Upstream::new("192.0.2.1".parse().unwrap(), &[0], &Metrics::new());
        let name = trap_name([0xa7; 16], &[0]).unwrap();
        assert_eq!(name, b"\x10a7a7a7a7a7a7a7a7\x10a7a7a7a7a7a7a7a7\0");
        traps.set(&name, &upstream);
        assert!(traps.spring(&name, 1).is_none(), "another type");
        assert!(traps.spring(b"\x01a\0", HINFO).is_none(), "another name");
        assert!(Arc::ptr_eq(&traps.spring(&name, HINFO).unwrap(), &upstream));
        assert!(traps.take(&name) && !traps.take(&name));
        for _ in 0..2 * MOST_TRAPS {
            traps.set(&name, &upstream);
        }
        assert_eq!(traps.lock().len(), MOST_TRAPS);
        assert!(trap_name([0; 16], &[7; 230]).is_none(), "no room for it");
    }
}
