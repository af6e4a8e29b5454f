//! L7: the Ingress front door.
//!
//! ```text
//! connection ─▶ io ─▶ hyper ─▶ request ─▶ normalize ─▶ route ─▶ forward ─▶ pool │ connect ─▶ body
//!              guard          checks                                              └▶ upgrade
//! ```
//!
//! A connection and the backends' connections that serve it live and die on one worker: nothing
//! here is locked. The view is looked at once per request.

mod body;
mod connection;
mod exchange;
mod forward;
mod io;
mod metrics;
mod normalize;
mod pool;
mod request;
mod respond;
mod route;
mod tls;
mod upgrade;
mod watch;

use std::cell::{Cell, RefCell};
use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};

use arc_swap::{ArcSwap, Cache};
use http::HeaderValue;
use rustls::ServerConfig;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::upstream::Port;
use crate::view::{Target, View};

use self::forward::Via;
use self::pool::Pool;
use self::watch::{TICK, Ticker};

pub(crate) use self::metrics::Metrics;

/// One Ingress listener.
#[derive(Debug)]
pub(crate) struct HttpListener {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// Whether it speaks TLS.
    pub(crate) tls: bool,
}

/// L7 on one worker thread.
pub(crate) struct Worker {
    view: RefCell<Cache<Arc<ArcSwap<View>>, Arc<View>>>,
    metrics: Arc<Metrics>,
    connections: TaskTracker,
    drain: CancellationToken,
    ticker: Ticker,
    pool: Rc<Pool>,
    via: Via,
    random: Cell<u64>,
    tls: Option<Arc<ServerConfig>>,
}

impl Worker {
    /// L7 over the views in `view`; its connections belong to `connections` and end by `drain`.
    pub(crate) fn new(
        view: Arc<ArcSwap<View>>,
        metrics: Arc<Metrics>,
        connections: TaskTracker,
        drain: CancellationToken,
    ) -> Rc<Self> {
        let ticker = Ticker::default();
        let tls = metrics.tls.get_or_init(|| tls::config(&view).ok()).clone();
        let worker = Rc::new(Self {
            view: RefCell::new(Cache::new(view)),
            metrics,
            connections,
            drain,
            pool: Rc::new(Pool::new(ticker.clone())),
            ticker,
            via: Via::new(instance_id()),
            random: Cell::new(RandomState::new().hash_one(0_u8) | 1),
            tls,
        });
        let clock = Rc::downgrade(&worker);
        // Ends with the worker; belongs to no tracker, since nobody waits for a clock.
        tokio::task::spawn_local(async move {
            let mut interval = tokio::time::interval(TICK);
            interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
            loop {
                interval.tick().await;
                let Some(worker) = clock.upgrade() else { return };
                worker.ticker.tick();
                worker.pool.sweep();
            }
        });
        worker
    }

    /// Where a request goes now.
    fn target(&self, host: &str, path: &str) -> Option<Target<Arc<Port>>> {
        let mut view = self.view.borrow_mut();
        let view = view.load();
        route::route(&view.routes, host, path).map(|target| view.resolve(target))
    }

    /// Takes the view that serves now and lets the one before go.
    pub(crate) fn renew_view(&self) {
        self.view.borrow_mut().load();
    }

    /// 32 random hex digits; unique, not secret.
    fn request_id(&self) -> HeaderValue {
        let mut digits = [0; 32];
        for half in digits.chunks_mut(16) {
            let mut word = self.next_random();
            for digit in half {
                *digit = HEX[usize::from(word.to_le_bytes()[0] & 15)];
                word >>= 4;
            }
        }
        HeaderValue::from_bytes(&digits).unwrap_or_else(|_| HeaderValue::from_static("0"))
    }

    /// xorshift64*: fast, seeded by the operating system.
    fn next_random(&self) -> u64 {
        let mut word = self.random.get();
        word ^= word >> 12;
        word ^= word << 25;
        word ^= word >> 27;
        self.random.set(word);
        word.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}

/// What this process calls itself in `Via`: the same on all workers.
fn instance_id() -> u64 {
    static ID: OnceLock<u64> = OnceLock::new();
    *ID.get_or_init(|| RandomState::new().hash_one(0_u8))
}

const HEX: &[u8; 16] = b"0123456789abcdef";
