//! Idle connections to endpoints, per worker, newest first (`http-proxy 5.1` to `5.3`).
//!
//! Invariants: a connection is here only between a finished response and the next request; at most
//! [`MAX_PER_ENDPOINT`] and [`MAX_PER_WORKER`]; one that the endpoint closed is never handed out.
//! An endpoint that left keeps none: its connections age out within [`MAX_IDLE_TICKS`].

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::SocketAddr;

use hyper::client::conn::http1::SendRequest;

use super::body::RequestBody;
use super::watch::Ticker;

/// What sends a request over one connection.
pub(crate) type Sender = SendRequest<RequestBody>;

/// The idle connections of one worker.
pub(crate) struct Pool {
    ticker: Ticker,
    idle: RefCell<Idle>,
}

#[derive(Default)]
struct Idle {
    stacks: HashMap<SocketAddr, Vec<Parked>, foldhash::fast::RandomState>,
    count: usize,
}

struct Parked {
    sender: Sender,
    since: u32,
}

impl Pool {
    pub(crate) fn new(ticker: Ticker) -> Self {
        Self { ticker, idle: RefCell::default() }
    }

    /// The newest live connection to an endpoint.
    pub(crate) fn take(&self, endpoint: SocketAddr) -> Option<Sender> {
        let mut idle = self.idle.borrow_mut();
        let stack = idle.stacks.get_mut(&endpoint)?;
        let mut taken = 0;
        let found = loop {
            let Some(parked) = stack.pop() else { break None };
            taken += 1;
            if !parked.sender.is_closed() {
                break Some(parked.sender);
            }
        };
        idle.count -= taken;
        found
    }

    /// Keeps a connection for the next request; drops it where there is no room.
    pub(crate) fn put(&self, endpoint: SocketAddr, sender: Sender) {
        if sender.is_closed() {
            return;
        }
        let since = self.ticker.now();
        let mut idle = self.idle.borrow_mut();
        if idle.count >= MAX_PER_WORKER {
            return;
        }
        let stack = idle.stacks.entry(endpoint).or_default();
        if stack.len() < MAX_PER_ENDPOINT {
            stack.push(Parked { sender, since });
            idle.count += 1;
        }
    }

    /// Drops what has been idle for too long or was closed; called at each tick.
    pub(crate) fn sweep(&self) {
        let now = self.ticker.now();
        let mut idle = self.idle.borrow_mut();
        let mut count = 0;
        idle.stacks.retain(|_, stack| {
            stack.retain(|parked| {
                now - parked.since <= MAX_IDLE_TICKS && !parked.sender.is_closed()
            });
            count += stack.len();
            !stack.is_empty()
        });
        idle.count = count;
    }
}

/// `http-proxy 5.2`.
const MAX_PER_ENDPOINT: usize = 100;
const MAX_PER_WORKER: usize = 1024;
const MAX_IDLE_TICKS: u32 = 30;
