//! What the control side and the workers pay while nothing happens: memory per listener, and old
//! views that must be freed although no connection and no further reload comes.
//!
//! A binary of its own, so that no other test's memory is counted.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use portico_config::model::{ObjectName, Protocol};
use portico_config::snapshot::{Endpoint, Front, FrontKind, PortId, Reach};
use portico_config::snapshot::{Service, ServicePort, Snapshot};
use portico_proxy::{Options, Proxy, Worker};
use tokio_util::sync::CancellationToken;

/// One Service with a front on each of `fronts`, and one endpoint.
fn snapshot(fronts: &[SocketAddr], endpoint: SocketAddr) -> Arc<Snapshot> {
    let name = ObjectName::new("default", "web");
    let id = PortId { service: name.clone(), name: "".into(), protocol: Protocol::Tcp };
    let id = Arc::new(id);
    let endpoint = Endpoint {
        address: endpoint,
        ready: true,
        serving: true,
        terminating: false,
        node: None,
        zone: None,
        label: "a".into(),
        pod: None,
        hints: None,
        weight: 1,
    };
    let port = ServicePort {
        id: Arc::clone(&id),
        port: 80,
        node_port: None,
        endpoints: vec![endpoint],
        traffic: Arc::default(),
    };
    let service = Service {
        name: name.clone(),
        reach: Reach::Headless,
        ports: vec![Arc::new(port)],
        addresses: Vec::new(),
        traffic: Arc::default(),
    };
    let front = |address: &SocketAddr| Front {
        address: *address,
        protocol: Protocol::Tcp,
        kind: FrontKind::ClusterIp,
        port: Arc::clone(&id),
    };
    Arc::new(Snapshot {
        services: [(name, Arc::new(service))].into(),
        fronts: Arc::new(fronts.iter().map(front).collect()),
        ..Snapshot::default()
    })
}

fn start(worker: Worker, stop: &CancellationToken) -> JoinHandle<()> {
    let stop = stop.clone();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build_local(tokio::runtime::LocalOptions::default())
            .expect("a test may have a runtime");
        runtime.block_on(worker.run(stop, Duration::ZERO));
    })
}

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

fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux has it");
    let pages = statm
        .split(' ')
        .nth(1)
        .and_then(|it| it.parse::<usize>().ok());
    pages.expect("the second column is a number") * 4096
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
        let prepared = proxy.prepare(&snapshot(fronts, to));
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
