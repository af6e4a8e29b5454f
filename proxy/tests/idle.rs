//! What the control side and the workers pay while nothing happens: memory per listener, and old
//! views that must be freed although no connection and no further reload comes.
//!
//! A binary of its own, so that no other test's memory is counted.

mod plane;

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use portico_config::model::Protocol;
use portico_proxy::{Options, Proxy};
use tokio_util::sync::CancellationToken;

use self::plane::{resident_bytes, snapshot, start};

/// The gauge of the views that are still held.
fn retired(proxy: &Proxy) -> f64 {
    let families = proxy.collector().collect();
    let family = families
        .iter()
        .find(|it| it.name() == "portico_proxy_views_retired")
        .expect("the metric is there");
    family.get_metric()[0].get_gauge().get_value()
}

/// Connects through a front; true once the endpoint has the connection.
fn passes(front: SocketAddr, endpoint: &TcpListener) -> bool {
    let _client = TcpStream::connect(front).expect("the front listens");
    endpoint.accept().is_ok()
}

#[test]
fn idle_listeners_are_small_and_idle_workers_hold_no_old_view() {
    let endpoint = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = endpoint.local_addr().unwrap();
    let port = TcpListener::bind("127.78.255.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let address = |n: usize| {
        let [low, high] = [n % 250, n / 250].map(|it| u8::try_from(it).unwrap());
        SocketAddr::from(([127, 78, high, low + 1], port))
    };
    let fronts: Vec<SocketAddr> = (0..LISTENERS).map(address).collect();
    let options = Options { workers: 1, descriptors: 4 * LISTENERS as u64, ..Options::default() };
    let (mut proxy, workers) = Proxy::new(options);
    let stop = CancellationToken::new();
    let workers: Vec<_> = workers
        .into_iter()
        .map(|worker| start(worker, &stop))
        .collect();
    let apply = |proxy: &mut Proxy, fronts: &[SocketAddr]| {
        let prepared = proxy.prepare(&snapshot(Protocol::Tcp, fronts, to));
        proxy.commit(prepared);
    };
    apply(&mut proxy, &fronts[..1]);
    assert!(passes(fronts[0], &endpoint));

    let before = resident_bytes();
    apply(&mut proxy, &fronts);
    assert!(passes(fronts[LISTENERS - 1], &endpoint), "the worker has taken every socket");
    let each = resident_bytes().saturating_sub(before) / (LISTENERS - 1);
    eprintln!("{each} bytes per listener");
    assert!(each < 4 * 1024, "{each} bytes per listener, control side included");

    for _ in 0..100 {
        apply(&mut proxy, &fronts);
    }
    let deadline = Instant::now() + Duration::from_secs(30);
    while retired(&proxy) > 0.0 {
        assert!(Instant::now() < deadline, "{} views are still held", retired(&proxy));
        std::thread::yield_now();
        proxy.retry(Instant::now());
    }
    stop.cancel();
    workers
        .into_iter()
        .for_each(|worker| worker.join().unwrap());
}

/// Enough that what does not grow with them is little.
const LISTENERS: usize = 400;
