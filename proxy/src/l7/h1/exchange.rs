//! One request and its response: endpoints in turn until one answers, then bytes both ways.

use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use http::{HeaderValue, StatusCode};
use portico_config::model::Timeouts;
use tokio::time::{Sleep, sleep_until};
use tracing::debug;

use super::Facts;
use super::chunked::ROOM_BEFORE;
use super::download::{Download, Ended};
use super::floor::Floor;
use super::framing::Length;
use super::place::Turns;
use super::repeat::{Lost, Repeats};
use super::server::{After, Connection};
use super::upload::{Fault, Upload};
use crate::l7::access::{Flag, Tried};
use crate::l7::edits::Edits;
use crate::l7::exchange::{Failure, Undialed};
use crate::l7::io::{Downstream, READ_BYTES, poll_read};
use crate::l7::metrics::class;
use crate::l7::pages::Page;
#[cfg(test)]
use crate::l7::panics::provoked;
use crate::l7::pool::Backend;
use crate::l7::respond::Content;
use crate::l7::watch::{Phase, Ticker};
use crate::upstream::{Allowance, Caller, Fault as Breakdown, Open, Port, Upstream};

/// The status of an answer that another backend's takes the place of, and whether what the client
/// sends on is not read.
type Instead = (StatusCode, bool);

impl<S: Downstream> Connection<S> {
    /// Sends a request to the endpoints of `port` in turn until one answers, and passes the answer
    /// on (`http-proxy 5.9`).
    pub(super) async fn forward(
        &mut self,
        port: &Port,
        upload: &mut Upload,
        facts: &Facts,
    ) -> After {
        let client = facts.client.unwrap_or(self.from.client);
        // The clock was asked when the head was there.
        let begun = self.account.begun.filter(|_| !self.account.has_waited);
        let mut caller = Caller { client, now: begun.unwrap_or_else(Instant::now) };
        let repeats = Repeats::new(facts, caller.now);
        self.note(|entry| entry.goes_to((&port.state.id, port.number()), client));
        #[cfg(test)]
        provoked::reach(provoked::Point::Waiting);
        upload.keep(repeats.keeps(facts));
        let answered = match upload.begin(&mut self.inbox, &self.worker.scratch) {
            Ok(()) => {
                upload.mirror(&self.worker);
                self.ask((port, upload), (&mut caller, &repeats), facts)
                    .await
            }
            Err(fault) => Box::pin(self.refuse(fault, facts)).await,
        };
        match answered {
            Ok(after) => after,
            Err(instead) => Box::pin(self.ask_instead(instead, facts)).await,
        }
    }

    /// Passes on the answer that another backend gives in the place of one of `facts`' own.
    async fn ask_instead(&mut self, (status, close): Instead, facts: &Facts) -> After {
        let edits = facts.edits().cloned().unwrap_or_default();
        // Whether it is replaced was asked before.
        match facts.page(status, false) {
            Some(page) => {
                let page = Rc::clone(page);
                self.stand_in(&page, (status, close), edits, facts).await
            }
            None => self.own(status, close, facts).await,
        }
    }

    /// Passes on what a page says in the place of an answer with this status; `close`: what the client
    /// sends on is not read.
    pub(super) async fn stand_in(
        &mut self,
        page: &Page,
        (status, close): Instead,
        edits: Edits,
        facts: &Facts,
    ) -> After {
        self.watch.renew(Phase::Waiting);
        let other = Facts {
            to_head: facts.to_head,
            old: facts.old,
            keep: facts.keep && !close,
            idempotent: true,
            terms: Some(page.terms(edits)),
            client: facts.client,
            ..Facts::default()
        };
        let client = facts.client.unwrap_or(self.from.client);
        let mut caller = Caller { client, now: Instant::now() };
        let repeats = Repeats::new(&other, caller.now);
        let mut upload = Upload::new(page.request(status), Length::Absent, false, 0);
        let answered = self
            .ask((&page.port, &mut upload), (&mut caller, &repeats), &other)
            .await;
        match (answered, close) {
            // Nobody stands in for who stands in.
            (Err(_), _) => After::Cut,
            (Ok(After::Close), true) => After::Linger,
            (Ok(after), _) => after,
        }
    }

    /// What lives on between two points where it waits is small or elsewhere: each request in progress
    /// has room for all of it.
    async fn ask(
        &mut self,
        (port, upload): (&Port, &mut Upload),
        (caller, repeats): (&mut Caller, &Repeats),
        facts: &Facts,
    ) -> Result<After, Instead> {
        port.state.requests.fetch_add(1, Relaxed);
        let (mut failure, mut stale) = (Failure::NoEndpoint, 0);
        let mut choice = Turns::new(port.choose(*caller, facts.lead()), repeats.tries());
        let mut next = self.home(port).or_else(|| choice.next());
        let first = next.map(|upstream| upstream.address);
        while let Some(asked) = next {
            let placed = self.place(port, (asked, &mut choice), (upload, facts));
            let (upstream, open) = match placed.await {
                Ok(placed) => placed,
                Err(None) => return Ok(After::Cut),
                Err(Some(why)) => {
                    failure = why;
                    break;
                }
            };
            let at = (upstream, caller.now);
            let (reused, mut backend) = match self.connect(at, facts).await {
                Ok(connected) => connected,
                Err(why) => {
                    failure = why.failure;
                    let again = undialed((port, upstream), why, (caller, repeats));
                    next = again.then(|| choice.next()).flatten();
                    continue;
                }
            };
            backend.served += 1;
            let others = choice.clone().next().is_some();
            let asked = (upstream, first);
            let mut download = self.download(port, asked, (others, repeats), caller.now, facts);
            let passed = self.pass(upload, &mut download, &mut backend, facts);
            match passed.await.or_cut(download.is_midway()) {
                Ended::Failed { failure: why, silent } => {
                    failure = why;
                    caller.now = Instant::now();
                    let lost = self.lose(upload, why, (silent, reused), &mut backend);
                    // Whether it is sent again or not, and whoever asked.
                    if !lost.blameless {
                        port.failed((None, *caller), upstream, Breakdown::Break, caller.now);
                    }
                    let again = repeats.after(lost, caller.now);
                    if !again || !self.has_room(port, lost, caller.now) {
                        break;
                    }
                    if lost.leads_on(&mut stale) {
                        next = choice.next();
                    }
                }
                Ended::Rejected(status) => {
                    let allowed = self.worker.allowance;
                    rejected((port, upstream), status, (caller, allowed));
                    next = choice.next();
                }
                Ended::Refused(status) => {
                    return Box::pin(self.refuse(Fault::Refused(status), facts)).await;
                }
                Ended::Replaced(status) => {
                    settle(port, (upstream, status), (*caller, &download), facts);
                    return Err((status, !upload.is_read()));
                }
                Ended::Cut => return Ok(After::Cut),
                ended @ (Ended::Sent | Ended::Upgraded) => {
                    settle(port, (upstream, download.status), (*caller, &download), facts);
                    return Ok(self.finish((ended, facts), upload, download, (backend, open)));
                }
            }
            self.again(upload);
        }
        Box::pin(self.give_up(port, (failure, !upload.is_read()), facts)).await
    }

    /// Whether a request may be sent again: where that costs no backend anything, always.
    fn has_room(&self, port: &Port, lost: Lost, now: Instant) -> bool {
        lost.is_free() || port.repeat(now, self.worker.allowance)
    }

    /// What becomes of a request whose connection was lost, which may have been no more good for any.
    fn lose(
        &self,
        upload: &Upload,
        why: Failure,
        (silent, reused): (bool, bool),
        backend: &mut Backend,
    ) -> Lost {
        let stale = &self.worker.metrics.stale;
        stale.fetch_add((silent && reused).into(), Relaxed);
        Lost::new(upload, why, (silent, reused), &mut backend.stream)
    }

    /// What the answer of `upstream` comes through, `first` being asked before all; `others`: there are
    /// more to ask.
    fn download(
        &mut self,
        port: &Port,
        asked: (&Upstream, Option<SocketAddr>),
        (others, repeats): (bool, &Repeats),
        now: Instant,
        facts: &Facts,
    ) -> Download {
        self.account.asked = (!facts.is_aside()).then_some(now);
        let rejects = repeats.rejects().filter(|_| others);
        let rejects = rejects.map(|it| it.within(port.may_repeat(now, self.worker.allowance)));
        let cookie = self.cookie(port, asked, now, facts);
        Download::new(self.worker.scratch.take(), rejects, cookie).within(facts.head_limits())
    }

    /// Answers for endpoints of which none did.
    async fn give_up(
        &mut self,
        port: &Port,
        (failure, close): (Failure, bool),
        facts: &Facts,
    ) -> Result<After, Instead> {
        self.note(|entry| entry.flag(Flag::of(failure)));
        let status = failure.status();
        if failure != Failure::Full {
            return self.fail((status, close), facts).await;
        }
        port.state.overflows.fetch_add(1, Relaxed);
        if facts.page(status, false).is_some() {
            return self.fail((status, close), facts).await;
        }
        let mut edits = facts.edits().cloned().unwrap_or_default();
        edits.set("Retry-After", RETRY_AFTER);
        let what = (status, Content::Words);
        Ok(self.own_with(what, Some(&edits), close, facts).await)
    }

    /// Notes what came of one try.
    fn tell(&mut self, upload: &Upload, download: &Download, ended: Ended) {
        self.account.body_in = upload.body_bytes();
        (self.account.sent, self.account.head_out) = download.bytes();
        let answered = download.answered();
        if let Some(status) = answered {
            self.account.status = status.as_u16();
        }
        if let Some(status) = download.told.status() {
            self.account.call = Some(status);
        }
        if let Some(now) = download.answered_at {
            self.account.answered(now, download.at_once);
        }
        let status = match ended {
            Ended::Rejected(status) | Ended::Replaced(status) => Some(status),
            Ended::Failed { failure, .. } => Some(failure.status()),
            _ => answered,
        };
        self.note(|entry| {
            let (sent, head) = download.bytes();
            entry.tried(&Tried {
                status: status.map(|status| status.as_u16()),
                answered_at: download.answered_at,
                at_once: download.at_once,
                body_bytes: sent.saturating_sub(head),
            });
        });
    }

    /// The cookie for a client of `port` that `upstream` answers, `first` being asked before all.
    fn cookie(
        &self,
        port: &Port,
        (upstream, first): (&Upstream, Option<SocketAddr>),
        now: Instant,
        facts: &Facts,
    ) -> Option<HeaderValue> {
        let served = (upstream, first == Some(upstream.address));
        let random = || self.worker.next_random();
        facts.session()?.cookie(port, served, now, random)
    }

    /// A connection to an endpoint, and whether it was there already; the log hears of the try.
    async fn connect(
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

    /// The endpoint that may know the client, where the port has it.
    fn home<'a>(&self, port: &'a Port) -> Option<&'a Upstream> {
        let kept = self.kept.as_ref()?;
        port.upstream(kept.endpoint)
    }

    /// The connection over which it does, if that lives and this request may go over it.
    fn known(&mut self, endpoint: SocketAddr, facts: &Facts) -> Option<Backend> {
        let fits = |kept: &mut Box<Backend>| {
            kept.endpoint == endpoint && kept.secured.as_ref() == facts.secured()
        };
        let mut kept = self.kept.take_if(fits)?;
        kept.is_quiet().then_some(*kept)
    }

    /// A connection that is there already: the client's own, or anybody's.
    fn rested(&mut self, endpoint: SocketAddr, facts: &Facts) -> Option<Backend> {
        let known = self.known(endpoint, facts);
        known.or_else(|| self.worker.pool.take(endpoint, facts.secured()))
    }

    async fn reach(
        &mut self,
        upstream: &Upstream,
        facts: &Facts,
    ) -> Result<(bool, Backend), Undialed> {
        let endpoint = upstream.address;
        if facts.speaks_http2() {
            if let Some(joined) = self.worker.join_stream(endpoint, facts.secured()) {
                return Ok(joined);
            }
            let timeout = self.time_to_connect(facts);
            let opened = self.worker.open_stream(endpoint, facts.secured(), timeout);
            let opened = Box::pin(opened).await;
            self.watch.renew(Phase::Waiting);
            return opened.map_err(|why| match facts.is_late(Instant::now()) {
                true => Undialed { failure: Failure::Deadline, blames: false },
                false => why,
            });
        }
        if let Some(backend) = self.rested(endpoint, facts) {
            self.worker.metrics.reused.0.fetch_add(1, Relaxed);
            return Ok((true, backend));
        }
        let timeout = self.time_to_connect(facts);
        let dialed = Box::pin(self.worker.dial(endpoint, facts.secured(), timeout)).await;
        // The time of a dial is its own.
        self.watch.renew(Phase::Waiting);
        Ok((false, dialed?))
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

    /// Begins a request anew.
    fn again(&self, upload: &mut Upload) {
        upload.rewind();
        self.watch.renew(Phase::Waiting);
    }

    /// What becomes of both connections once the response has been passed on.
    fn finish(
        &mut self,
        (ended, facts): (Ended, &Facts),
        upload: &mut Upload,
        download: Download,
        (mut backend, open): (Backend, Open),
    ) -> After {
        if ended == Ended::Upgraded {
            if let Some(timeouts) = facts.timeouts() {
                let usual = self.worker.ticker.ticks(Phase::Tunnel);
                self.watch.allow_tunnel(tunnel_ticks(timeouts, usual));
            }
            return After::Tunnel(Box::new((backend, open)));
        }
        backend.knows_client |= download.binds || facts.binds;
        if backend.knows_client
            && let Some(stream) = backend.stream.http2()
        {
            stream.retire();
        }
        // A response that came before the end of the upload leaves the rest of it behind.
        if download.reusable && upload.is_done() {
            match backend.knows_client {
                true => self.kept = Some(Box::new(backend)),
                false => self.worker.pool.put(backend),
            }
        }
        let after = match (download.close, upload.is_read()) {
            (false, _) => After::Next,
            (true, true) => After::Close,
            (true, false) => After::Linger,
        };
        self.worker.scratch.put(upload.take_buffer());
        self.worker.scratch.put(download.into_buffer());
        after
    }

    async fn refuse(&mut self, fault: Fault, facts: &Facts) -> Result<After, Instead> {
        let Fault::Refused(status) = fault else { return Ok(After::Cut) };
        self.fail((status, true), facts).await
    }

    async fn fail(&mut self, (status, close): Instead, facts: &Facts) -> Result<After, Instead> {
        match facts.page(status, false) {
            Some(_) => Err((status, close)),
            None => Ok(self.own(status, close, facts).await),
        }
    }

    /// Passes a request to a backend and its response to the client, both at once.
    async fn pass(
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

/// Notes that an endpoint could not be reached; whether another one is asked.
fn undialed(
    (port, upstream): (&Port, &Upstream),
    why: Undialed,
    (caller, repeats): (&mut Caller, &Repeats),
) -> bool {
    caller.now = Instant::now();
    if why.blames {
        port.failed((None, *caller), upstream, Breakdown::Dial, caller.now);
    }
    repeats.after_dial(why.failure, caller.now)
}

/// Notes that an endpoint's answer is not passed on, since another one is asked.
fn rejected(
    (port, upstream): (&Port, &Upstream),
    status: StatusCode,
    (caller, allowed): (&mut Caller, Allowance),
) {
    caller.now = Instant::now();
    debug!(endpoint = %upstream.address, %status, "another endpoint is asked");
    port.repeat(caller.now, allowed);
}

/// Notes that an endpoint answered, with this status and as `download` has it.
fn settle(
    port: &Port,
    (upstream, status): (&Upstream, StatusCode),
    (caller, download): (Caller, &Download),
    facts: &Facts,
) {
    if download.unrepeated {
        port.state.retries.refused.fetch_add(1, Relaxed);
    }
    match download.told.is_unavailable() {
        // It says itself that it does no work (`http-proxy 6.9`).
        true => port.failed((None, caller), upstream, Breakdown::Unavailable, Instant::now()),
        false => port.answered((upstream, facts.lead()), caller.now, Instant::now),
    }
    if facts.is_aside() {
        port.state.inquiries[class(status)].fetch_add(1, Relaxed);
    }
}

/// How long may pass until the next byte: whose turn it is decides.
fn ticks(facts: &Facts, usual: &Ticker, upload: &Upload, download: &Download) -> u32 {
    if download.is_paced() {
        return u32::MAX;
    }
    let timeouts = facts.timeouts().unwrap_or_default();
    let of_client = usual.ticks(Phase::Busy);
    let of_backend = match facts.is_call {
        true => CALL_TICKS,
        false => usual.ticks(Phase::Waiting),
    };
    let is_clients = upload.awaits_client && download.is_awaited();
    match (download.is_blocked(), is_clients, upload.is_blocked()) {
        (true, ..) => of_client,
        // Both sides of a call may be silent for long.
        (false, true, _) if facts.is_call => ticks_of(timeouts.read, of_backend),
        (false, true, _) => of_client,
        (false, false, true) => ticks_of(timeouts.send, of_backend),
        (false, false, false) => ticks_of(timeouts.read, of_backend),
    }
}

/// How long a tunnel may carry nothing (`http-proxy 5`: an explicit time counts).
fn tunnel_ticks(timeouts: Timeouts, usual: u32) -> u32 {
    let given = [timeouts.send, timeouts.read].into_iter().flatten();
    let longest = given.map(|seconds| ticks_of(Some(seconds), usual)).max();
    longest.unwrap_or(usual)
}

fn ticks_of(seconds: Option<u32>, usual: u32) -> u32 {
    match seconds {
        None => usual,
        Some(0) => u32::MAX,
        Some(seconds) => seconds,
    }
}

/// Whether a client that waits to send its body was kept waiting long enough (`http-proxy 1.24`).
fn is_over(patience: &mut Option<Pin<Box<Sleep>>>, cx: &mut Context<'_>) -> bool {
    let sleep = patience.get_or_insert_with(|| Box::pin(tokio::time::sleep(CONTINUE_TIMEOUT)));
    sleep.as_mut().poll(cx).is_ready()
}

/// After how many seconds a client may come again that found no place (`http-proxy 0.4`).
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");
/// How long a backend may think about a body that it was only told of.
const CONTINUE_TIMEOUT: Duration = Duration::from_secs(1);
/// What both sides of a call of gRPC have for their next byte (`http-proxy 5`).
const CALL_TICKS: u32 = 300;
