//! Who waits for upstreams: a client and its place among all who do, until there is a reply.
//!
//! ```text
//! Begun: Said │ Waits ─▶ Waiting ─reply─▶ what upstreams said │ what has expired │ further │ a failure
//! ```
//!
//! Invariants: each waits until [`TOTAL`], about; where something that has expired is known it stands in
//! as soon as upstreams are slow (RFC 8767 §5). What the client wants beyond the answer, its own name
//! and its options, is added last. How many may wait is `waits`'.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use portico_net::limit::Seat;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::Shared;
use super::client::Asked;
use super::message::Ask;
use super::resolve::{NO_REACHABLE_AUTHORITY, TOTAL};
use super::response::{Age, Response};
use crate::answer::Outcome;
use crate::options::Extras;
use crate::question::NXDOMAIN;
use crate::rewrite::Restore;

/// What became of a question at once.
pub(crate) enum Begun {
    /// The reply is written.
    Said(Outcome),
    /// It comes later.
    Waits(Box<Waiting>),
}

/// One client that waits for upstreams.
pub(crate) struct Waiting {
    client: Asked,
    /// What upstreams are asked for it.
    ask: Ask,
    /// Has what they say.
    told: oneshot::Receiver<Arc<Response>>,
    /// What stands in if they are slow or fail.
    stale: Option<Arc<Response>>,
    place: Place,
    /// What turns the reply back to the name that was asked.
    restore: Option<Restore>,
    /// What its options want of the reply.
    extras: Option<Extras>,
    /// What is done where upstreams deny the name.
    further: Option<Further>,
}

/// Begins anew, with another name; writes the reply if it is there.
type Further = Box<dyn FnOnce(&mut Vec<u8>) -> Begun>;

/// One of the places of those who wait, until dropped.
#[derive(Debug)]
pub(super) struct Place {
    shared: Arc<Shared>,
    _seat: Seat,
}

impl Begun {
    /// With the reply, which stands in `reply` if it is there, under the name that was asked.
    pub(crate) fn under(self, restore: Restore, reply: &mut Vec<u8>) -> Self {
        match self {
            Self::Said(outcome) => {
                restore.restore(reply);
                Self::Said(outcome)
            }
            Self::Waits(mut waiting) => {
                waiting.restore = Some(restore);
                Self::Waits(waiting)
            }
        }
    }

    /// With what the client's options want of the reply, which stands in `reply` if it is there.
    pub(crate) fn with(self, extras: Extras, reply: &mut Vec<u8>) -> Self {
        match self {
            Self::Said(outcome) => {
                extras.add(reply, now_seconds());
                Self::Said(outcome)
            }
            Self::Waits(mut waiting) => {
                waiting.extras = Some(extras);
                Self::Waits(waiting)
            }
        }
    }
}

impl Waiting {
    /// A client with a place, which hears what is `told` about `ask`; `stale` stands in.
    pub(super) fn new(
        (client, ask): (Asked, Ask),
        told: oneshot::Receiver<Arc<Response>>,
        stale: Option<Arc<Response>>,
        place: Place,
    ) -> Self {
        let (restore, extras, further) = (None, None, None);
        Self { client, ask, told, stale, place, restore, extras, further }
    }

    /// Where upstreams deny the name, `further` says what is answered.
    pub(crate) fn go_on(&mut self, further: impl FnOnce(&mut Vec<u8>) -> Begun + 'static) {
        self.further = Some(Box::new(further));
    }

    /// The reply, with the low four bits of its code and the type that was asked for.
    pub(crate) async fn reply(mut self) -> (Vec<u8>, Outcome) {
        let patience = if self.stale.is_some() { STALE_AFTER } else { TOTAL + GRACE };
        let told = timeout(patience, &mut self.told).await;
        let (response, age) = match (told, self.stale) {
            (Ok(Ok(response)), Some(stale)) if response.is_failure() => (stale, Age::Stale),
            (Ok(Ok(response)), _) => (response, Age::New),
            (_, Some(stale)) => (stale, Age::Stale),
            (_, None) => (Arc::new(Response::failure(NO_REACHABLE_AUTHORITY)), Age::New),
        };
        if age == Age::Stale {
            self.place.shared.cache.counts().served_stale.inc();
        }
        let mut out = Vec::new();
        let rcode = self.client.write(&self.ask, &response, age, &mut out);
        let mut outcome = Outcome::Reply { rcode, heard: self.client.heard };
        if let Some(further) = self.further.filter(|_| rcode == NXDOMAIN) {
            match further(&mut out) {
                Begun::Said(said) => outcome = said,
                Begun::Waits(next) => {
                    let next = Self { restore: self.restore, extras: self.extras, ..*next };
                    // As often as a search path has names.
                    return Box::pin(next.reply()).await;
                }
            }
        }
        if let Some(restore) = self.restore {
            restore.restore(&mut out);
        }
        if let Some(extras) = self.extras {
            extras.add(&mut out, now_seconds());
        }
        (out, outcome)
    }
}

impl Shared {
    /// A place for one more that waits; none: too many do, or too many of one client.
    pub(super) fn enter(self: &Arc<Self>, client: IpAddr) -> Option<Place> {
        let seat = self.waits.enter(client)?;
        self.metrics.waiting.inc();
        Some(Place { shared: Arc::clone(self), _seat: seat })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shared.waits.leave();
        self.shared.metrics.waiting.dec();
    }
}

/// Seconds since 1970, as cookies count them.
fn now_seconds() -> u32 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    // RFC 9018 counts modulo 2^32.
    since.map_or(0, |since| u32::try_from(since.as_secs() & 0xffff_ffff).unwrap_or(0))
}

/// For the reply to reach who waits for it.
const GRACE: Duration = Duration::from_millis(200);
/// How long upstreams may take before what has expired stands in (RFC 8767 §5).
const STALE_AFTER: Duration = Duration::from_millis(1800);
