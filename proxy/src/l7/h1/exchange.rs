//! One request and its response: endpoints in turn until one answers (`http-proxy 5.9`).
//!
//! ```text
//! choose ─▶ place ─▶ reach ─▶ relay ─▶ answered: settle, finish
//!   ▲         │full    │undialed  │lost, rejected
//!   └─────────┴────────┴──────────┘ another endpoint, as far as `repeat` lets │ give up: an answer of ours
//! ```
//!
//! Invariants: a client that has part of an answer gets no other; what lives on between two points
//! where it waits is small or elsewhere, since each request in progress has room for all of it. Which
//! endpoint is next is `upstream`'s to say, what another one may be asked `repeat`'s.

use std::net::SocketAddr;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use http::HeaderValue;

use super::Facts;
use super::download::{Download, Ended};
use super::outcome::{rejected, settle, undialed};
use super::patience::tunnel_ticks;
use super::persistence::After;
use super::place::Turns;
use super::repeat::{Lost, Repeats};
use super::server::Connection;
use super::stand_in::Instead;
use super::tunnel::Tunnel;
use super::upload::{Fault, Upload};
use crate::l7::access::Flag;
use crate::l7::failure::Failure;
use crate::l7::io::Downstream;
#[cfg(test)]
use crate::l7::panics::provoked;
use crate::l7::pool::Backend;
use crate::l7::respond::Content;
use crate::l7::watch::Phase;
use crate::upstream::{Caller, Fault as Breakdown, Open, Port, Upstream};

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

    /// Asks the endpoints of `port` in turn; fails where a page has an answer in the place of ours.
    pub(super) async fn ask(
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
            return After::Tunnel(Box::new(Tunnel::new(backend, open)));
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

    /// Ends a request whose client broke its own part of it.
    async fn refuse(&mut self, fault: Fault, facts: &Facts) -> Result<After, Instead> {
        let Fault::Refused(status) = fault else { return Ok(After::Cut) };
        self.fail((status, true), facts).await
    }

    /// Answers with an error, or says that a page does.
    async fn fail(&mut self, (status, close): Instead, facts: &Facts) -> Result<After, Instead> {
        match facts.page(status, false) {
            Some(_) => Err((status, close)),
            None => Ok(self.own(status, close, facts).await),
        }
    }
}

/// After how many seconds a client may come again that found no place (`http-proxy 0.4`).
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");
