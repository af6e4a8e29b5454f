//! A worker that is short of memory, or late, over real sockets.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use portico_config::model::FrontDoor;

use super::super::one_worker::{Plane, eventually};
use crate::pressure::Mark;

/// A connection that goes on as long as it may.
struct Client(TcpStream);

impl Client {
    fn of(plane: &Plane) -> Self {
        let stream = TcpStream::connect(plane.door).unwrap();
        let patience = Some(Duration::from_secs(30));
        stream.set_read_timeout(patience).unwrap();
        Self(stream)
    }

    fn send(&mut self) {
        let request = b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";
        self.0.write_all(request).unwrap();
    }

    /// The head of the next response; its body is read too.
    fn head(&mut self) -> String {
        let mut got = Vec::new();
        let mut byte = [0];
        while !got.ends_with(b"\r\n\r\n") {
            assert_eq!(self.0.read(&mut byte).unwrap(), 1, "a response comes");
            got.push(byte[0]);
        }
        let head = String::from_utf8(got).unwrap();
        let mut lengths = head
            .lines()
            .filter_map(|line| line.strip_prefix("Content-Length: "));
        let length = lengths.next().unwrap().parse().unwrap();
        self.0.read_exact(&mut vec![0; length]).unwrap();
        head
    }

    fn ask(&mut self) -> String {
        self.send();
        self.head()
    }
}

const CLOSES: &str = "\r\nConnection: close\r\n";

#[test]
fn connections_end_with_their_next_response_where_memory_is_shorter() {
    let plane = Plane::start();
    let pressure = &plane.proxy.memory_watch().0;
    let persists = || !Client::of(&plane).ask().contains(CLOSES);
    assert!(persists());
    pressure.l7.pressure.reach(Mark::Thrifty);
    let mut kept = Client::of(&plane);
    assert!(!kept.ask().contains(CLOSES));
    pressure.l7.pressure.reach(Mark::Closing);
    eventually(|| !persists());
    let last = kept.ask();
    assert!(last.starts_with("HTTP/1.1 200 ") && last.contains(CLOSES), "http-proxy 8.4: {last}");
    assert_eq!(kept.0.read(&mut [0]).unwrap(), 0, "and ends");
    pressure.l7.pressure.reach(Mark::Ample);
    eventually(persists);
}

#[test]
fn requests_get_503_and_nobody_is_accepted_where_memory_is_out() {
    let plane = Plane::start();
    let pressure = &plane.proxy.memory_watch().0;
    let mut clients: Vec<Client> = (0..3).map(|_| Client::of(&plane)).collect();
    for client in &mut clients {
        assert!(client.ask().starts_with("HTTP/1.1 200 "));
    }
    pressure.l7.pressure.reach(Mark::Shedding);
    let mut refused = 0;
    for client in &mut clients {
        let mut head = client.ask();
        while head.starts_with("HTTP/1.1 200 ") && !head.contains(CLOSES) {
            head = client.ask();
        }
        assert!(head.contains(CLOSES), "http-proxy 8.4: {head}");
        // The one that was in when the worker noticed is served to its end.
        if head.starts_with("HTTP/1.1 503 ") {
            assert!(head.contains("\r\nRetry-After: 1\r\n"), "http-proxy 8.4: {head}");
            refused += 1;
        }
    }
    assert!(refused >= 2, "{refused}");
    assert_eq!(plane.metric("portico_l7_shed_total"), refused);
    drop(clients);
    eventually(|| plane.metric("portico_l7_connections_active") == 0);
    let mut late = Client::of(&plane);
    late.send();
    let ended = plane.metric("portico_l7_connections_active");
    assert_eq!(ended, 0, "it waits where the kernel holds it");
    pressure.l7.pressure.reach(Mark::Ample);
    assert!(late.head().starts_with("HTTP/1.1 200 "), "and is served then");
}

#[test]
fn a_worker_that_is_late_for_long_turns_requests_away() {
    // Nothing is ever done at the very moment that it is due.
    let lag = Some(Duration::ZERO);
    let plane = Plane::told(FrontDoor { max_loop_lag: lag, ..FrontDoor::default() });
    let mut client = Client::of(&plane);
    let mut head = client.ask();
    while head.starts_with("HTTP/1.1 200 ") {
        head = client.ask();
    }
    assert!(head.starts_with("HTTP/1.1 503 ") && head.contains(CLOSES), "http-proxy 8.4: {head}");
    assert_eq!(plane.metric("portico_l7_shed_total"), 1);
}
