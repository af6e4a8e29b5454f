//! What an idle connection through a front costs: two sockets, one task and no buffer, whatever it
//! has carried before (`reliability` G10).
//!
//! A binary of its own, so that no other test's memory is counted. Both ends of every connection
//! live in this process too, but in the kernel's memory alone.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use portico_config::model::{ObjectName, Protocol};
use portico_config::snapshot::{Endpoint, Front, FrontKind, PortId, Reach};
use portico_config::snapshot::{Service, ServicePort, Snapshot};
use portico_proxy::{Options, Proxy};
use tokio_util::sync::CancellationToken;

/// One Service with a front and an endpoint.
fn snapshot(front: SocketAddr, endpoint: SocketAddr) -> Arc<Snapshot> {
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
    let kind = FrontKind::ClusterIp;
    let front = Front { address: front, protocol: Protocol::Tcp, kind, port: id };
    Arc::new(Snapshot {
        services: [(name, Arc::new(service))].into(),
        fronts: Arc::new(vec![front]),
        ..Snapshot::default()
    })
}

/// A connection through the front: both of its ends.
fn open(front: SocketAddr, endpoint: &TcpListener) -> (TcpStream, TcpStream) {
    let near = TcpStream::connect(front).expect("the front listens");
    let far = endpoint.accept().expect("portico dials").0;
    for side in [&near, &far] {
        side.set_read_timeout(Some(Duration::from_secs(30)))
            .expect("a time above zero");
    }
    (near, far)
}

/// Carries `count` bytes there and back, one way after the other.
fn exchange((near, far): &(TcpStream, TcpStream), count: usize) {
    let sent = vec![7; count];
    for (mut from, mut to) in [(near, far), (far, near)] {
        let sent = &sent;
        std::thread::scope(|scope| {
            scope.spawn(move || from.write_all(sent).expect("it is taken"));
            let mut got = vec![0; count];
            to.read_exact(&mut got).expect("every byte comes");
            assert!(got == *sent);
        });
    }
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
fn an_idle_connection_holds_no_buffer_whatever_it_carried() {
    let descriptors = portico_net::limit::raise_descriptor_limit();
    // Four descriptors each: both ends, and portico's two.
    let count = usize::try_from(descriptors / 8)
        .unwrap_or(usize::MAX)
        .min(CONNECTIONS);
    let endpoint = TcpListener::bind("127.0.0.1:0").unwrap();
    let probe = TcpListener::bind("127.80.0.1:0").unwrap();
    let front = probe.local_addr().unwrap();
    drop(probe);
    let options = Options { workers: 1, descriptors, ..Options::default() };
    let (mut proxy, mut workers) = Proxy::new(options);
    let stop = CancellationToken::new();
    let worker = workers.pop().unwrap();
    let until = stop.clone();
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build_local(tokio::runtime::LocalOptions::default())
            .expect("a test may have a runtime");
        runtime.block_on(worker.run(until, Duration::ZERO));
    });
    let prepared = proxy.prepare(&snapshot(front, endpoint.local_addr().unwrap()));
    proxy.commit(prepared);

    // What is there once, whoever comes, is there before the first look.
    let first = open(front, &endpoint);
    exchange(&first, BULK_BYTES);
    let before = resident_bytes();
    let all: Vec<_> = (0..count).map(|_| open(front, &endpoint)).collect();
    for connection in &all {
        exchange(connection, 64);
    }
    let each = resident_bytes().saturating_sub(before) / count;
    eprintln!("{each} bytes per idle connection, of {count}");
    assert!(each <= 4 * 1024, "{each} bytes per idle connection");

    for connection in all.iter().take(BULKY) {
        exchange(connection, BULK_BYTES);
    }
    let each = resident_bytes().saturating_sub(before) / count;
    eprintln!("{each} bytes each after some carried {BULK_BYTES} bytes both ways");
    assert!(each <= 8 * 1024, "{each} bytes per idle connection");
    drop(all);
    stop.cancel();
    thread.join().unwrap();
}

/// Enough that what does not grow with them is little.
const CONNECTIONS: usize = 1_000;
/// How many of them carry much.
const BULKY: usize = 100;
/// More than the kernel holds for a receiver that is slow.
const BULK_BYTES: usize = 1 << 20;
