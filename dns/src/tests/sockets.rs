//! The resolver's own loops over real sockets.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream, UdpSocket};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::*;
use crate::{Dns, Options, Worker};

/// Runs the workers' loops on a local runtime while `client` runs on a thread of its own.
pub(super) fn with_server(listen: &str, client: impl FnOnce(SocketAddr) + Send + 'static) {
    let options =
        Options { workers: 2, listen: vec![listen.parse().unwrap()], ..Options::default() };
    let (mut dns, workers) = Dns::new(options);
    assert!(dns.listeners().is_empty(), "nothing is open before the first snapshot");
    let prepared = dns.prepare(&Arc::new(snapshot()));
    dns.commit(prepared);
    let listeners = dns.listeners();
    assert_eq!(listeners[0].address, listeners[1].address, "UDP and TCP share a port");
    let stop = CancellationToken::new();
    let mut address = listeners[0].address;
    if address.ip().is_unspecified() {
        address.set_ip([127, 3, 2, 1].into());
    }
    let threads: Vec<_> = workers
        .into_iter()
        .map(|worker| {
            let stop = stop.clone();
            std::thread::spawn(move || serve(worker, stop))
        })
        .collect();
    let result = std::thread::spawn(move || client(address)).join();
    stop.cancel();
    for thread in threads {
        thread.join().unwrap();
    }
    if let Err(panic) = result {
        std::panic::resume_unwind(panic);
    }
}

pub(super) fn serve(worker: Worker, stop: CancellationToken) {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(Default::default())
        .unwrap()
        .block_on(async { worker.on_thread().run(stop, Duration::from_secs(5)).await });
}

pub(super) fn read_framed(stream: &mut TcpStream) -> Vec<u8> {
    let mut length = [0; 2];
    stream.read_exact(&mut length).unwrap();
    let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut message).unwrap();
    message
}

pub(super) fn framed(message: &[u8]) -> Vec<u8> {
    [&u16::try_from(message.len()).unwrap().to_be_bytes()[..], message].concat()
}

#[test]
fn datagrams_are_answered_from_the_address_asked() {
    with_server("0.0.0.0:0", |address| {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(address).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        for name in ["any.example", "ns.dns.cluster.local"] {
            socket.send(&[0; 5]).unwrap();
            socket.send(&query(name, A)).unwrap();
            let mut buffer = [0; 2048];
            let length = socket.recv(&mut buffer).unwrap();
            let reply = Message::from_vec(&buffer[..length]).unwrap();
            assert_eq!(reply.answers[0].data.to_string(), "127.3.2.1", "dns 2: {name}");
        }
    });
}

#[test]
fn streams_take_many_split_and_last_messages() {
    with_server("127.0.0.1:0", |address| {
        let connect = || {
            let stream = TcpStream::connect(address).unwrap();
            stream
                .set_read_timeout(Some(Duration::from_secs(10)))
                .unwrap();
            stream.set_nodelay(true).unwrap();
            stream
        };
        let mut stream = connect();
        let message = query("many.default.svc.cluster.local", A);
        let two = [framed(&message), framed(&message)].concat();
        stream.write_all(&two).unwrap();
        for _ in 0..2 {
            assert_eq!(
                Message::from_vec(&read_framed(&mut stream))
                    .unwrap()
                    .answers
                    .len(),
                120
            );
        }
        for byte in framed(&message) {
            stream.write_all(&[byte]).unwrap();
        }
        assert_eq!(
            Message::from_vec(&read_framed(&mut stream))
                .unwrap()
                .answers
                .len(),
            120
        );
        stream.write_all(&framed(&message)).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        assert_eq!(
            Message::from_vec(&read_framed(&mut stream))
                .unwrap()
                .answers
                .len(),
            120
        );
        assert_eq!(stream.read(&mut [0]).unwrap(), 0, "dns 3.4: closed after a half-close");
        for bad in [&[0, 0][..], &[0, 11]] {
            let mut stream = connect();
            stream.write_all(bad).unwrap();
            assert_eq!(stream.read(&mut [0]).unwrap(), 0, "dns 3.4: {bad:?} closes");
        }
    });
}

#[test]
fn a_taken_port_is_degraded_and_tried_again() {
    // Held for both protocols, so that no neighbour takes the other one meanwhile.
    let holder = std::iter::repeat_with(|| {
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let tcp = std::net::TcpListener::bind(udp.local_addr().unwrap());
        tcp.map(|tcp| (udp, tcp))
    });
    let holder = holder.take(100).find_map(Result::ok).unwrap();
    let address = holder.0.local_addr().unwrap();
    let (mut dns, _workers) = Dns::new(Options { listen: vec![address], ..Options::default() });
    let prepared = dns.prepare(&Arc::new(snapshot()));
    dns.commit(prepared);
    let state = |dns: &Dns| dns.listeners()[0].state.clone();
    assert!(matches!(state(&dns), portico_net::listeners::ListenerState::Degraded(_)), "dns 3.7");
    drop(holder);
    let now = std::time::Instant::now();
    dns.retry(now);
    assert!(
        matches!(state(&dns), portico_net::listeners::ListenerState::Degraded(_)),
        "not due yet"
    );
    dns.retry(now + Duration::from_secs(2));
    assert_eq!(state(&dns), portico_net::listeners::ListenerState::Serving);
}
