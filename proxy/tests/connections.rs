//! What an idle connection through a front costs: two sockets, one task and no buffer, whatever it
//! has carried before (`reliability` G10, `http-proxy 8.3`).
//!
//! A binary of its own, so that no other test's memory is counted. Both ends of every connection
//! live in this process too, but in the kernel's memory alone.

mod plane;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use portico_config::model::Protocol;
use portico_proxy::{Options, Proxy};
use tokio_util::sync::CancellationToken;

use self::plane::{resident_bytes, snapshot, start};

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
    let thread = start(workers.pop().unwrap(), &stop);
    let prepared =
        proxy.prepare(&snapshot(Protocol::Tcp, &[front], endpoint.local_addr().unwrap()));
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
