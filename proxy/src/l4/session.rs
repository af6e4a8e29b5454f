//! UDP sessions: which endpoint a client's datagrams go to, and for how long (`services 4.7`).
//!
//! ```text
//! datagram ─ask─▶ Forward │ Open ─▶ open │ Repick ─▶ open        answer ─▶ answered
//! ```
//!
//! A session ends 30 s after its last datagram, 120 s once both directions repeated; when it is
//! found that its endpoint serves no more; or when a fuller table needs its place, which [`fair`]
//! decides. Whether an endpoint serves is asked only where the front's stamp is another than the
//! session's. Invariants: no I/O, no clock (`now` is an argument), at most `most` sessions, one for
//! each key. Choosing an endpoint, and sockets, are `udp`'s work.

mod fair;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use self::fair::Order;
use crate::upstream::SessionEnd;

/// A front of one worker; no other front of that worker ever has the same.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct FrontId(pub(crate) u64);

/// Whose session it is.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Key {
    /// The front that was asked.
    pub(crate) front: FrontId,
    /// At which of its addresses.
    pub(crate) local: IpAddr,
    /// By whom.
    pub(crate) client: SocketAddr,
}

/// The place of a session in its table; given out again once that session has ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct SessionId(pub(crate) u32);

/// One client's way to one endpoint.
#[derive(Debug)]
pub(crate) struct Session<T> {
    pub(crate) key: Key,
    /// Where its datagrams go.
    pub(crate) endpoint: SocketAddr,
    /// What the shell keeps for it.
    pub(crate) value: T,
    /// The front's stamp when the endpoint was last found to serve.
    stamp: u64,
    last: Instant,
    /// Datagrams from the client, and from the endpoint, as far as anybody counts.
    asked: u8,
    answered: u8,
    /// Whether the client asked and no answer came since.
    is_waiting: bool,
    /// Whether the host of the endpoint said that nobody listens there.
    is_refused: bool,
    /// Whether a sweep found the endpoint gone, and left it the time to answer.
    is_stale: bool,
}

/// A session that is no more in its table.
#[derive(Debug)]
pub(crate) struct Ended<T> {
    pub(crate) session: Session<T>,
    pub(crate) why: SessionEnd,
}

/// What to do with a datagram.
#[derive(Debug)]
pub(crate) enum Ask<T> {
    /// Send it to the endpoint of this session.
    Forward(SessionId),
    /// Choose an endpoint: there is no session.
    Open,
    /// Choose an endpoint: there was a session, and it has ended.
    Repick(Ended<T>),
}

/// The sessions of one worker.
#[derive(Debug)]
pub(crate) struct SessionTable<T> {
    /// Seeded, since clients choose what is hashed.
    index: HashMap<Key, u32>,
    slots: Vec<Option<Session<T>>>,
    free: Vec<u32>,
    order: Order,
    waiting: usize,
    most: usize,
    /// Where the next part of a sweep begins.
    swept: usize,
}

impl<T> SessionTable<T> {
    /// A table of at most `most` sessions, at least one.
    pub(crate) fn new(most: usize) -> Self {
        Self {
            index: HashMap::new(),
            slots: Vec::new(),
            free: Vec::new(),
            order: Order::default(),
            waiting: 0,
            most: most.max(1),
            swept: 0,
        }
    }

    /// What to do with `count` datagrams of a client, given the stamp of its front and, asked where
    /// that is new to the session, whether an endpoint still serves.
    pub(crate) fn ask(
        &mut self,
        key: &Key,
        count: usize,
        stamp: u64,
        serves: impl FnOnce(SocketAddr) -> bool,
        now: Instant,
    ) -> Ask<T> {
        let Some(&place) = self.index.get(key) else { return Ask::Open };
        let id = SessionId(place);
        let Some(session) = self.slot_mut(id) else { return Ask::Open };
        let why = if session.is_refused {
            Some(SessionEnd::Refused)
        } else if session.is_idle(now) {
            Some(SessionEnd::Idle)
        } else if session.stamp != stamp && !serves(session.endpoint) {
            Some(SessionEnd::Endpoint)
        } else {
            None
        };
        if let Some(why) = why {
            return self.end(id, why).map_or(Ask::Open, Ask::Repick);
        }
        (session.stamp, session.is_stale) = (stamp, false);
        session.asked = session.asked.saturating_add(saturate(count));
        session.last = now;
        let newly = !std::mem::replace(&mut session.is_waiting, true);
        self.waiting += usize::from(newly);
        self.order.touch(place);
        Ask::Forward(id)
    }

    /// Makes room for one session more where there is none: the session that had it has ended.
    pub(crate) fn make_room(&mut self) -> Option<Ended<T>> {
        (self.len() >= self.most).then(|| self.evict()).flatten()
    }

    /// Ends the session that [`fair`] says goes first.
    pub(crate) fn evict(&mut self) -> Option<Ended<T>> {
        let victim = self.order.victim()?;
        self.end(SessionId(victim), SessionEnd::Limit)
    }

    /// Enters a session that `count` datagrams opened. There must be room, and none of that key.
    pub(crate) fn open(
        &mut self,
        key: Key,
        count: usize,
        endpoint: SocketAddr,
        stamp: u64,
        value: T,
        now: Instant,
    ) -> SessionId {
        let session = Session {
            key,
            endpoint,
            value,
            stamp,
            last: now,
            asked: saturate(count),
            answered: 0,
            is_waiting: true,
            is_refused: false,
            is_stale: false,
        };
        let place = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            u32::try_from(self.slots.len() - 1).expect("descriptors are far fewer than 2^32")
        });
        if let Some(slot) = self.slots.get_mut(place as usize) {
            *slot = Some(session);
        }
        self.index.insert(key, place);
        self.order.join(place, key.client.ip());
        self.waiting += 1;
        SessionId(place)
    }

    /// Notes `count` datagrams from the endpoint.
    pub(crate) fn answered(&mut self, id: SessionId, count: usize, now: Instant) {
        let Some(session) = self.slot_mut(id) else { return };
        session.answered = session.answered.saturating_add(saturate(count));
        session.last = now;
        session.is_refused = false;
        let waited = std::mem::replace(&mut session.is_waiting, false);
        self.waiting -= usize::from(waited);
        self.order.answered(id.0);
    }

    /// Notes that nobody listens at the endpoint: the next datagram goes elsewhere.
    pub(crate) fn refused(&mut self, id: SessionId) {
        if let Some(session) = self.slot_mut(id) {
            session.is_refused = true;
            let waited = std::mem::replace(&mut session.is_waiting, false);
            self.waiting -= usize::from(waited);
        }
    }

    /// Ends a session.
    pub(crate) fn end(&mut self, id: SessionId, why: SessionEnd) -> Option<Ended<T>> {
        let session = self.slots.get_mut(id.0 as usize)?.take()?;
        self.index.remove(&session.key);
        self.order.leave(id.0);
        self.waiting -= usize::from(session.is_waiting);
        self.free.push(id.0);
        Some(Ended { session, why })
    }

    /// Looks at the next `part` places: sessions that are idle end, and those for which `judge`,
    /// asked with key, stamp and endpoint, says why; else it says the stamp of now. Where only the
    /// endpoint is gone and the client waits, the session stays for the time of one sweep, so that
    /// what was asked before the change can be answered. True once the last place was looked at;
    /// the next call begins anew.
    pub(crate) fn sweep(
        &mut self,
        part: usize,
        now: Instant,
        mut judge: impl FnMut(&Key, u64, SocketAddr) -> Result<u64, SessionEnd>,
        mut ended: impl FnMut(Ended<T>),
    ) -> bool {
        let first = self.swept;
        let last = first.saturating_add(part).min(self.slots.len());
        for place in first..last {
            let Some(Some(session)) = self.slots.get_mut(place) else { continue };
            let why = match judge(&session.key, session.stamp, session.endpoint) {
                Err(SessionEnd::Endpoint) if session.is_waiting && !session.is_stale => {
                    session.is_stale = true;
                    continue;
                }
                Err(why) => why,
                Ok(_) if session.is_idle(now) => SessionEnd::Idle,
                Ok(stamp) => {
                    session.stamp = stamp;
                    continue;
                }
            };
            let place = u32::try_from(place).unwrap_or(u32::MAX);
            self.end(SessionId(place), why).map(&mut ended);
        }
        let is_done = last == self.slots.len();
        self.swept = if is_done { 0 } else { last };
        is_done
    }

    /// A session of the table.
    pub(crate) fn session(&self, id: SessionId) -> Option<&Session<T>> {
        self.slots.get(id.0 as usize)?.as_ref()
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    /// How many wait for an answer.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting
    }

    fn slot_mut(&mut self, id: SessionId) -> Option<&mut Session<T>> {
        self.slots.get_mut(id.0 as usize)?.as_mut()
    }
}

impl<T> Session<T> {
    fn is_idle(&self, now: Instant) -> bool {
        let repeated = self.asked > 1 && self.answered > 1;
        let most = if repeated { IDLE_REPEATED } else { IDLE_ONCE };
        now.saturating_duration_since(self.last) >= most
    }
}

fn saturate(count: usize) -> u8 {
    u8::try_from(count).unwrap_or(u8::MAX)
}

/// After a single exchange (`services 4.7`).
const IDLE_ONCE: Duration = Duration::from_secs(30);
/// Once both directions repeated.
const IDLE_REPEATED: Duration = Duration::from_secs(120);
