//! One round: what endpoints answered, then what clients ask.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use portico_config::model::Protocol;
use portico_net::datagram::{self, BATCH, ConnectError, Destination};
use portico_net::ready::ReadySet;
use tracing::debug;

use super::super::session::{Ask, FrontId, Key, SessionId};
use super::{Named, State, Upstream, ended, lose, session_token};
use crate::upstream::{self, Caller, DialError, Fault, Loss, Port, Refusal, SessionEnd, Way};

/// What a round works with.
#[derive(Clone, Copy)]
pub(super) struct Round<'a> {
    pub(super) ready: &'a ReadySet,
    pub(super) now: Instant,
}

/// Datagrams of one client that are in the arena, and where they may go.
struct Request<'a> {
    key: Key,
    range: Range<usize>,
    port: &'a Arc<Port>,
    /// The stamp of the front.
    stamp: u64,
}

impl State {
    /// Carries what waits at the sockets that `tokens` name.
    pub(super) fn carry(&mut self, tokens: &[u64], round: Round<'_>) {
        self.arena.clear();
        let mut answers = Vec::new();
        for &token in tokens {
            if let Named::Session(id) = Named::by(token) {
                if self.arena.room() < ANSWERS {
                    self.send_answers(&mut answers);
                }
                self.take_answers(id, round.now, &mut answers);
            }
        }
        self.send_answers(&mut answers);
        for &token in tokens {
            if let Named::Front(id) = Named::by(token) {
                self.take_requests(id, round);
            }
        }
    }

    /// Takes a few answers of one session into the arena, addressed to its client.
    fn take_answers(
        &mut self,
        id: SessionId,
        now: Instant,
        answers: &mut Vec<(FrontId, Range<usize>)>,
    ) {
        let Some(session) = self.sessions.session(id) else { return };
        let state = &session.value.state;
        let range = match self.arena.receive(&session.value.socket, ANSWERS) {
            Ok(range) => range,
            Err(error) if is_momentary(&error) => return,
            Err(error) => {
                let endpoint = session.endpoint;
                debug!(%endpoint, %error, "the endpoint cannot be reached");
                let Key { front, client, .. } = session.key;
                let port = self.fronts.get(&front).and_then(|it| it.port.as_ref());
                if let Some(port) = port {
                    let (caller, why) =
                        (Caller { client: client.ip(), now }, DialError::of(&error));
                    port.failed_later(caller, endpoint, why);
                }
                return self.sessions.refused(id);
            }
        };
        session.value.endpoint.answered();
        let Key { front, local, client } = session.key;
        let is_wildcard = self
            .fronts
            .get(&front)
            .is_some_and(|it| it.address.ip().is_unspecified());
        let destination = Destination { peer: client, local: is_wildcard.then_some(local) };
        let (mut bytes, mut is_cut) = (0, false);
        for index in range.clone() {
            self.arena.address(index, destination);
            if let Some(datagram) = self.arena.datagram(index) {
                (bytes, is_cut) = (bytes + datagram.bytes.len(), is_cut || datagram.is_cut);
            }
        }
        if is_cut {
            lose(state, Loss::Truncated, range.len());
            return self.arena.forget(range.start);
        }
        state.bytes_sent.0.fetch_add(bytes as u64, Relaxed);
        state.datagrams.sent.fetch_add(range.len() as u64, Relaxed);
        self.sessions.answered(id, range.len(), now);
        match answers.last_mut() {
            Some((last, all)) if *last == front => all.end = range.end,
            _ => answers.push((front, range)),
        }
    }

    /// Sends what is in the arena to clients, by the fronts that they asked.
    fn send_answers(&mut self, answers: &mut Vec<(FrontId, Range<usize>)>) {
        for (front, mut range) in answers.drain(..) {
            let Some(front) = self.fronts.get(&front) else { continue };
            while !range.is_empty() {
                let sent = self.arena.send_to(&front.socket, range.clone());
                range.start += sent.count;
                let Some(error) = sent.error else { break };
                debug!(front = %front.address, %error, "an answer was not taken");
                let lost = if is_momentary(&error) { range.len() } else { 1 };
                front.lose(Loss::Unsent, lost);
                range.start += lost;
            }
        }
        self.arena.clear();
    }

    /// Takes a batch of one front and passes it on, client by client.
    fn take_requests(&mut self, id: FrontId, round: Round<'_>) {
        self.arena.clear();
        let Some(front) = self.fronts.get(&id) else { return };
        if let Err(error) = self.arena.receive_from(&front.socket, BATCH) {
            if !is_momentary(&error) {
                debug!(front = %front.address, %error, "receiving failed");
            }
            return;
        }
        let Some(port) = front.port.clone() else { return };
        let (mut first, bound, stamp) = (0, front.address.ip(), front.stamp);
        while let Some(datagram) = self.arena.datagram(first) {
            let (client, is_cut, local) = (datagram.peer, datagram.is_cut, datagram.local);
            let mut last = first + 1;
            while let Some(next) = self.arena.datagram(last)
                && (next.peer, next.local, next.is_cut) == (client, local, is_cut)
            {
                last += 1;
            }
            let (range, key) =
                (first..last, Key { front: id, local: local.unwrap_or(bound), client });
            first = last;
            if is_cut {
                lose(&port.state, Loss::Truncated, range.len());
            } else if client.port() == 0 {
                lose(&port.state, Loss::Source, range.len());
            } else {
                self.pass_on(Request { key, range, port: &port, stamp }, round);
            }
        }
    }

    /// Sends what one client asks to the endpoint of its session, and opens one where need be.
    fn pass_on(&mut self, request: Request<'_>, round: Round<'_>) {
        let Request { key, range, port, stamp } = &request;
        let serves = |endpoint| port.serves(endpoint);
        match self
            .sessions
            .ask(key, range.len(), *stamp, serves, round.now)
        {
            Ask::Forward(id) => {
                if let Some(unsent) = self.forward(id, request, round.now) {
                    self.open(unsent, None, round);
                }
            }
            Ask::Open => self.open(request, None, round),
            Ask::Repick(past) => {
                let is_refused = past.why == SessionEnd::Refused;
                let avoid = is_refused.then_some(past.session.endpoint);
                ended(past);
                self.open(request, avoid, round);
            }
        }
    }

    /// Sends by a session; gives back what is still in hand where its endpoint refused.
    fn forward<'a>(
        &mut self,
        id: SessionId,
        request: Request<'a>,
        now: Instant,
    ) -> Option<Request<'a>> {
        let session = self.sessions.session(id)?;
        let sent = self
            .arena
            .send(&session.value.socket, request.range.clone());
        self.count(&request, sent.count);
        let error = sent.error?;
        let state = &request.port.state;
        let rest = request.range.start + sent.count..request.range.end;
        if !is_refusal(&error) {
            debug!(client = %request.key.client, %error, "a datagram was not taken");
            lose(state, Loss::Unsent, rest.len());
            return None;
        }
        if let Some(past) = self.sessions.end(id, SessionEnd::Refused) {
            let caller = Caller { client: request.key.client.ip(), now };
            let endpoint = past.session.endpoint;
            request
                .port
                .failed_later(caller, endpoint, DialError::of(&error));
            ended(past);
        }
        Some(Request { range: rest, ..request })
    }

    /// Opens a session for what a client asks, at the first endpoint that does not refuse it; not
    /// at `avoid`, unless there is no other.
    fn open(&mut self, request: Request<'_>, avoid: Option<SocketAddr>, round: Round<'_>) {
        let Request { key, range, port, .. } = &request;
        let state = &port.state;
        if self.seen.front(key.client, Protocol::Udp).is_some() {
            return lose(state, Loss::Source, range.len());
        }
        let way = match self.way(key) {
            Ok(way) => way,
            Err(Refusal::Reject) => return lose(state, Loss::NoEndpoint, range.len()),
            Err(Refusal::Drop) => return lose(state, Loss::Policy, range.len()),
        };
        let caller = Caller { client: key.client.ip(), now: round.now };
        let choice = port.choose_from(way, caller);
        let others = choice.set_len() > 1;
        let choice = choice.filter(|it| !(others && avoid == Some(it.address)));
        let mut why = Loss::NoEndpoint;
        for upstream in choice.take(TRIES) {
            let endpoint = upstream.address;
            let socket = match self.connect(endpoint) {
                Ok(socket) => socket,
                Err(ConnectError::Exhausted(error)) => {
                    debug!(%endpoint, %error, "no room for a session");
                    return lose(state, Loss::Limit, range.len());
                }
                Err(ConnectError::Unreachable(error)) => {
                    debug!(%endpoint, %error, "no way to the endpoint");
                    let fault = Fault::Dial(DialError::of(&error));
                    port.failed((Some(way), caller), upstream, fault, round.now);
                    why = Loss::Refused;
                    continue;
                }
            };
            let sent = self.arena.send(&socket, range.clone());
            // On this host a refusal is there at once; from elsewhere it comes with the answers.
            let is_refused = sent.error.as_ref().is_some_and(is_refusal);
            if is_refused || socket.take_error().is_ok_and(|error| error.is_some()) {
                let fault = Fault::Dial(DialError::Refused);
                port.failed((Some(way), caller), upstream, fault, round.now);
                why = Loss::Refused;
                continue;
            }
            port.connected(caller, upstream, Duration::ZERO);
            self.enter(&request, upstream, socket, round);
            self.count(&request, sent.count);
            return lose(state, Loss::Unsent, range.len() - sent.count);
        }
        lose(state, why, range.len());
    }

    /// From which set of its front's port a client may choose, as the view says that fronts were last
    /// compared with.
    fn way(&self, key: &Key) -> Result<Way, Refusal> {
        let front = self.fronts.get(&key.front).ok_or(Refusal::Reject)?;
        let front = (front.address, Protocol::Udp);
        let admission = self.seen.admit(front, key.client.ip());
        admission.ok_or(Refusal::Reject)?.way
    }

    /// A socket for a session to `endpoint`; what the table or the system has too few of is taken
    /// from the session that goes first.
    fn connect(&mut self, endpoint: SocketAddr) -> Result<UdpSocket, ConnectError> {
        let mut evicted = self.sessions.make_room();
        loop {
            let is_tried_again = evicted.is_some();
            if let Some(past) = evicted {
                self.evictions.fetch_add(1, Relaxed);
                ended(past);
            }
            match datagram::connect(endpoint) {
                Err(ConnectError::Exhausted(error)) if is_tried_again => {
                    return Err(ConnectError::Exhausted(error));
                }
                Err(ConnectError::Exhausted(error)) => match self.sessions.evict() {
                    None => return Err(ConnectError::Exhausted(error)),
                    some => evicted = some,
                },
                connected => return connected,
            }
        }
    }

    /// Enters the session that was just opened.
    fn enter(
        &mut self,
        request: &Request<'_>,
        chosen: &upstream::Upstream,
        socket: UdpSocket,
        round: Round<'_>,
    ) {
        let counters = &request.port.state.datagrams;
        counters.sessions.fetch_add(1, Relaxed);
        counters.active.fetch_add(1, Relaxed);
        let (state, endpoint) = (Arc::clone(&request.port.state), chosen.open());
        let upstream = Upstream { socket, state, endpoint };
        let (count, stamp, endpoint) = (request.range.len(), request.stamp, chosen.address);
        let id = self
            .sessions
            .open(request.key, count, endpoint, stamp, upstream, round.now);
        let Some(session) = self.sessions.session(id) else { return };
        let added = round.ready.add(&session.value.socket, session_token(id));
        if let Err(error) = added {
            debug!(%error, "a session cannot be waited for");
            if let Some(past) = self.sessions.end(id, SessionEnd::Limit) {
                ended(past);
            }
        }
    }

    /// Counts the first `count` datagrams of a request.
    fn count(&self, request: &Request<'_>, count: usize) {
        let taken = request.range.clone().take(count);
        let datagrams = taken.filter_map(|index| self.arena.datagram(index));
        let bytes: usize = datagrams.map(|it| it.bytes.len()).sum();
        let state = &request.port.state;
        state.bytes_received.0.fetch_add(bytes as u64, Relaxed);
        state.datagrams.received.fetch_add(count as u64, Relaxed);
    }
}

/// Nothing is wrong, only not now.
fn is_momentary(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

/// Nobody listens there, or no way leads there.
fn is_refusal(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
    )
}

/// Answers of one session taken in one round.
const ANSWERS: usize = 8;
/// Endpoints tried for one datagram (`reliability 4`).
const TRIES: usize = 3;
