//! TLS that is passed on to a backend as it came (`ingress 2.4`: ssl-passthrough, `http-proxy 7.10`).
//!
//! Nothing of it is understood but the name that its ClientHello asks for; so the log has one line for
//! the connection, with that name and the bytes of both directions (`http-proxy 9.1`).

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use http::StatusCode;
use tokio::net::TcpStream;
use tracing::debug;

use super::Worker;
use super::access::{Entry, Flag, Tried};
use super::account::Account;
use super::agreed::Agreed;
use super::failure::Failure;
use super::forward::Peer;
use super::pool::Backend;
use super::upgrade::{End, tunnel};
use super::watch::Phase;
use crate::upstream::{Caller, Open, Port};
use crate::view::{Rule, Target};

/// Where the TLS of a host goes.
pub(super) struct Passed {
    pub(super) target: Target<Arc<Port>>,
    /// By which rule.
    pub(super) rule: Option<Arc<Rule>>,
}

/// What the log says of a connection, where there is one.
type Noted = Option<Box<Entry>>;

impl Worker {
    /// Carries a connection to a backend as it came, `begin` first, which asks for a name.
    pub(super) async fn pass_on(
        self: Rc<Self>,
        mut stream: TcpStream,
        (begin, name): (Vec<u8>, Option<String>),
        Passed { target, rule }: Passed,
        mut from: Peer,
    ) {
        let access = self.access.as_ref();
        let name = name.as_deref().unwrap_or_default();
        let mut entry = access.map(|access| access.begin_passed(name));
        if entry.is_some() {
            from.agreed = Some(Box::new(Agreed::unseen(name)));
        }
        let begun = Some(Instant::now());
        let mut account = Account { rule, begun, ..Account::default() };
        let reached = match target {
            Target::Port(port) => {
                if let Some(entry) = &mut entry {
                    entry.goes_to((&port.state.id, port.number()), from.client);
                }
                self.reach(&port, &from, &mut entry).await
            }
            Target::Missing | Target::Resource => Err(Failure::NoEndpoint),
        };
        let flag = match reached {
            Ok((backend, _open)) => {
                account.status = StatusCode::OK.as_u16();
                let watch = self.ticker.watch(Phase::Waiting);
                let carried = tunnel(&mut stream, backend, begin, &watch).await;
                account.carried(&carried, None);
                match carried.end {
                    End::Both => None,
                    End::Broken => Some(Flag::Cut),
                    End::Idle => Some(Flag::Idle),
                }
            }
            Err(why) => {
                debug!(peer = %from.client, "no endpoint takes the TLS that is passed on");
                account.status = why.status().as_u16();
                account.took = account
                    .begun
                    .map(|begun| begun.elapsed())
                    .unwrap_or_default();
                Some(Flag::of(why))
            }
        };
        if let (Some(mut entry), Some(access)) = (entry, access) {
            if let Some(flag) = flag {
                entry.flag(flag);
            }
            access.end(entry, account, &from);
        }
    }

    /// A connection to the first endpoint that takes one, and its place there.
    async fn reach(
        &self,
        port: &Port,
        from: &Peer,
        entry: &mut Noted,
    ) -> Result<(Backend, Open), Failure> {
        let caller = Caller { client: from.client, now: Instant::now() };
        let mut failure = Failure::NoEndpoint;
        for upstream in port.choose(caller, <_>::default()) {
            let Some(open) = upstream.enter(port.bounds(self.bounds)) else {
                port.state.overflows.fetch_add(1, Relaxed);
                failure = Failure::Full;
                continue;
            };
            let asked = Instant::now();
            let dialed = self
                .dial(upstream.address, None, self.door.timeouts.connect)
                .await;
            if let Some(entry) = entry {
                entry.tries(upstream.address, asked);
                match &dialed {
                    Ok(_) => entry.connected(false),
                    Err(why) => entry.tried(&Tried::failed(why.failure)),
                }
            }
            match dialed {
                Ok(backend) => {
                    port.answered((upstream, <_>::default()), caller.now, Instant::now);
                    return Ok((backend, open));
                }
                Err(why) => {
                    failure = why.failure;
                    why.tell(port, upstream, Caller { now: Instant::now(), ..caller });
                }
            }
        }
        Err(failure)
    }
}
