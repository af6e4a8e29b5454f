//! UDP sessions at their limit and in number, on a worker of its own.
//!
//! A binary of its own, so that no other test's memory is counted.

mod plane;

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use portico_config::model::Protocol;
use portico_proxy::{Options, Proxy};
use tokio_util::sync::CancellationToken;

use self::plane::{resident_bytes, snapshot, start};

/// A plane of one worker that serves a front for `endpoint`.
struct Plane {
    proxy: Proxy,
    front: SocketAddr,
    stop: CancellationToken,
    worker: Option<JoinHandle<()>>,
}

impl Plane {
    fn start(descriptors: u64, endpoint: &UdpSocket) -> Self {
        let free = UdpSocket::bind("127.79.0.1:0").expect("a free port");
        let front = free.local_addr().expect("a bound socket has one");
        drop(free);
        let (mut proxy, mut workers) =
            Proxy::new(Options { workers: 1, descriptors, ..Options::default() });
        let stop = CancellationToken::new();
        let worker = workers.pop().map(|worker| start(worker, &stop));
        let endpoint = endpoint.local_addr().expect("a bound socket has one");
        let prepared = proxy.prepare(&snapshot(Protocol::Udp, &[front], endpoint));
        proxy.commit(prepared);
        Self { proxy, front, stop, worker }
    }

    /// The sum of a metric's series.
    fn metric(&self, name: &str) -> f64 {
        let families = self.proxy.collector().collect();
        let family = families.iter().find(|it| it.name() == name);
        let series = family.map(|it| it.get_metric()).unwrap_or_default();
        let value = |it: &prometheus::proto::Metric| {
            it.get_counter().get_value() + it.get_gauge().get_value()
        };
        series.iter().map(value).sum()
    }

    fn eventually(&self, what: &str, mut is: impl FnMut(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is(self) {
            assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
            std::thread::yield_now();
        }
    }
}

impl Drop for Plane {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(worker) = self.worker.take() {
            let _ = worker.join();
        }
    }
}

/// A socket of 127.`network`.1 on any port, that waits no longer than a test may.
fn socket(network: u16) -> UdpSocket {
    let [high, low] = network.to_be_bytes();
    let ip = IpAddr::from(Ipv4Addr::new(127, high, low, 1));
    let socket = UdpSocket::bind((ip, 0)).expect("a free port");
    let set = socket.set_read_timeout(Some(PATIENCE));
    set.expect("a valid time");
    socket
}

#[test]
fn a_flood_from_many_networks_is_bounded_and_whoever_was_answered_stays() {
    let _alone = alone();
    let endpoint = socket(0);
    let plane = Plane::start(8 * SESSIONS, &endpoint);
    let known = socket(1);
    let mut buffer = [0; 16];
    known.send_to(b"hello", plane.front).unwrap();
    let (_, session) = endpoint.recv_from(&mut buffer).unwrap();
    endpoint.send_to(b"answer", session).unwrap();
    known.recv_from(&mut buffer).unwrap();

    let sent = 20 * SESSIONS;
    for number in 0..sent {
        let stranger = socket(256 + u16::try_from(number).unwrap());
        stranger.send_to(b"flood", plane.front).unwrap();
        // One by one: a full socket would lose some, and this counts them.
        endpoint.recv_from(&mut buffer).unwrap();
    }
    plane.eventually("every session is counted", |plane| {
        plane.metric("portico_l4_udp_sessions_total") == (sent + 1) as f64
    });
    assert_eq!(plane.metric("portico_l4_udp_sessions_active"), SESSIONS as f64);
    let gone = (sent + 1 - SESSIONS) as f64;
    assert_eq!(plane.metric("portico_l4_udp_sessions_ended_total"), gone);
    assert_eq!(plane.metric("portico_proxy_limit_exceeded_total"), gone);

    known.send_to(b"hello", plane.front).unwrap();
    assert_eq!(endpoint.recv_from(&mut buffer).unwrap().1, session, "the session of before");
}

#[test]
fn a_session_is_small() {
    let _alone = alone();
    let endpoint = socket(0);
    let plane = Plane::start(100_000, &endpoint);
    let (mut buffer, mut clients) = ([0; 16], Vec::new());
    let mut open = |count: u64| {
        for _ in 0..count {
            // Held, so that no other gets its port and with it its session.
            let client = socket(2);
            client.send_to(b"hello", plane.front).unwrap();
            clients.push(client);
            endpoint.recv_from(&mut buffer).unwrap();
        }
    };
    open(64);
    let before = resident_bytes();
    open(MANY);
    plane.eventually("every session is open", |plane| {
        plane.metric("portico_l4_udp_sessions_active") == (MANY + 64) as f64
    });
    let each = resident_bytes().saturating_sub(before) / usize::try_from(MANY).unwrap();
    eprintln!("{each} bytes per session");
    assert!(each < 1024, "{each} bytes per session");
}

/// One test at a time: the memory that one counts is the process's.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

const PATIENCE: Duration = Duration::from_secs(30);
/// The limit in the first test.
const SESSIONS: u64 = 32;
/// Sessions in the second.
const MANY: u64 = 2_000;
