//! How much an endpoint has at once: requests in progress, requests that wait, and what the others
//! hear (`http-proxy 5.12`).

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;

use crate::front_door::ingress;
use crate::harness::eventually;
use crate::harness::http::{Answer, Client, get};
use crate::harness::pod::Pod;
use crate::harness::portico::Portico;
use crate::services::service;

/// A door that requests wait at until it is opened.
#[derive(Clone, Default)]
struct Door(Arc<(Mutex<bool>, Condvar, AtomicUsize)>);

impl Door {
    fn wait(&self) {
        let (open, opened, came) = &*self.0;
        came.fetch_add(1, Ordering::SeqCst);
        let waits = opened.wait_while(open.lock().unwrap(), |open| !*open);
        drop(waits.unwrap());
    }

    fn open(&self) {
        let (open, opened, _) = &*self.0;
        *open.lock().unwrap() = true;
        opened.notify_all();
    }

    /// How many requests came.
    fn came(&self) -> usize {
        self.0.2.load(Ordering::SeqCst)
    }
}

/// A pod that answers each request with its name once the door is open.
fn behind(door: &Door, name: &'static str) -> Pod {
    let door = door.clone();
    Pod::serve(Ipv4Addr::LOCALHOST.into(), move |stream| {
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        while matches!(reader.read_line(&mut line), Ok(1..)) {
            if line == "\r\n" {
                door.wait();
                let length = name.len();
                let said = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{name}");
                if reader.get_mut().write_all(said.as_bytes()).is_err() {
                    return;
                }
            }
            line.clear();
        }
    })
}

fn bounded(name: &str, bounds: &[(&str, &str)], pods: &[&Pod]) -> String {
    let lines: String = bounds
        .iter()
        .map(|(key, value)| format!("    portico.dev/{key}: \"{value}\"\n"))
        .collect();
    let text = service(name, "ClusterIP", 80, pods);
    text.replacen("  annotations:\n", &format!("  annotations:\n{lines}"), 1)
}

/// Asks on a thread of its own.
fn ask(portico: &Portico, host: &'static str) -> JoinHandle<Answer> {
    let http = portico.http();
    std::thread::spawn(move || get(http, host, "/"))
}

fn pending(portico: &Portico) -> u64 {
    portico
        .metric("portico_l7_requests_pending{port=\"\",protocol=\"tcp\",service=\"default/web\"}")
}

const OVERFLOWS: &str =
    "portico_l7_overflows_total{port=\"\",protocol=\"tcp\",service=\"default/web\"}";

#[test]
fn what_an_endpoint_has_no_place_for_waits_and_what_may_not_wait_is_told_at_once() {
    let door = Door::default();
    let slow = behind(&door, "slow");
    let other = Pod::http("other");
    let bounds = [("max-endpoint-requests", "1"), ("max-endpoint-pending", "1")];
    let rules = [("web.test", "Prefix", "/", "web"), ("other.test", "Prefix", "/", "other")];
    let manifests = [
        bounded("web", &bounds, &[&slow]),
        service("other", "ClusterIP", 80, &[&other]),
        ingress("i", &rules, ""),
    ]
    .join("---\n");
    let portico = Portico::with(&[("all.yaml", &manifests)])
        .workers(2)
        .start();
    let first = ask(&portico, "web.test");
    eventually("the first is in progress", || (door.came() == 1).then_some(()));
    let second = ask(&portico, "web.test");
    eventually("the second waits", || (pending(&portico) == 1).then_some(()));
    let third = get(portico.http(), "web.test", "/");
    let heard = (third.status, third.header("retry-after"));
    assert_eq!(heard, (503, Some("1")), "http-proxy 5.12: the queue is full");
    assert_eq!(get(portico.http(), "other.test", "/").text(), "other", "reliability 3.16");
    assert_eq!((door.came(), portico.metric(OVERFLOWS)), (1, 1));
    door.open();
    for (which, asked) in [("first", first), ("second", second)] {
        assert_eq!(asked.join().unwrap().text(), "slow", "http-proxy 5.12: the {which}");
    }
    assert_eq!(pending(&portico), 0);
    assert_eq!(get(portico.http(), "web.test", "/").text(), "slow", "there is room again");
}

#[test]
fn another_endpoint_takes_what_the_first_has_no_place_for() {
    let door = Door::default();
    let (slow, spare) = (behind(&door, "slow"), Pod::http("spare"));
    let weight = format!("{}=0", spare.address);
    let bounds = [("max-endpoint-requests", "1"), ("weight", &weight)];
    let manifests = [
        bounded("web", &bounds, &[&slow, &spare]),
        ingress("i", &[("web.test", "Prefix", "/", "web")], ""),
    ]
    .join("---\n");
    let portico = Portico::with(&[("all.yaml", &manifests)]).start();
    let first = ask(&portico, "web.test");
    eventually("the first is in progress", || (door.came() == 1).then_some(()));
    for _ in 0..3 {
        assert_eq!(get(portico.http(), "web.test", "/").text(), "spare", "http-proxy 5.12");
    }
    door.open();
    assert_eq!(first.join().unwrap().text(), "slow");
    assert_eq!(get(portico.http(), "web.test", "/").text(), "slow", "its turn again");
}

#[test]
fn settings_bound_the_endpoints_of_all_services() {
    let door = Door::default();
    let slow = behind(&door, "slow");
    let manifests = [
        service("web", "ClusterIP", 80, &[&slow]),
        ingress("i", &[("web.test", "Prefix", "/", "web")], ""),
    ]
    .join("---\n");
    let portico = Portico::with(&[("all.yaml", &manifests)])
        .adjust(|settings| {
            settings.front_door.max_endpoint_requests = 2;
            settings.front_door.max_endpoint_pending = 0;
        })
        .start();
    let held = [ask(&portico, "web.test"), ask(&portico, "web.test")];
    eventually("both are in progress", || (door.came() == 2).then_some(()));
    assert_eq!(get(portico.http(), "web.test", "/").status, 503, "http-proxy 5.12");
    door.open();
    for asked in held {
        assert_eq!(asked.join().unwrap().status, 200);
    }
}

#[test]
fn who_waits_for_a_place_waits_no_longer_than_for_a_connection() {
    let door = Door::default();
    let slow = behind(&door, "slow");
    let host =
        crate::annotations::annotated("i", "web.test", &[("proxy-connect-timeout", "1")], "");
    let manifests = [bounded("web", &[("max-endpoint-requests", "1")], &[&slow]), host];
    let portico = Portico::with(&[("all.yaml", &manifests.join("---\n"))]).start();
    let first = ask(&portico, "web.test");
    eventually("the first is in progress", || (door.came() == 1).then_some(()));
    let late = get(portico.http(), "web.test", "/");
    let heard = (late.status, late.header("retry-after"));
    assert_eq!(heard, (503, Some("1")), "http-proxy 5.12: its time is over");
    assert_eq!((door.came(), pending(&portico)), (1, 0), "it left the queue");
    door.open();
    assert_eq!(first.join().unwrap().status, 200);
}

#[test]
fn a_tunnel_keeps_its_place() {
    let agreeing = Pod::serve(Ipv4Addr::LOCALHOST.into(), |stream: TcpStream| {
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        while matches!(reader.read_line(&mut line), Ok(1..)) {
            if line == "\r\n" {
                let said = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n\
                            Upgrade: websocket\r\n\r\n";
                let _ = reader.get_mut().write_all(said.as_bytes());
            }
            line.clear();
        }
    });
    let bounds = [("max-endpoint-requests", "1"), ("max-endpoint-pending", "0")];
    let manifests = [
        bounded("web", &bounds, &[&agreeing]),
        ingress("i", &[("web.test", "Prefix", "/", "web")], ""),
    ]
    .join("---\n");
    let portico = Portico::with(&[("all.yaml", &manifests)]).start();
    let head = "GET / HTTP/1.1\r\nHost: web.test\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
                Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    let open = || {
        let mut client = Client::connect(portico.http());
        client.send(head.as_bytes()).unwrap();
        (client.answer().map(|answer| answer.status).ok(), client)
    };
    let (status, tunnel) = open();
    assert_eq!(status, Some(101));
    assert_eq!(open().0, Some(503), "http-proxy 1.29: tunnels are in progress");
    drop(tunnel);
    eventually("the tunnel ended", || (open().0 == Some(101)).then_some(()));
}

#[test]
fn an_endpoint_that_breaks_off_what_is_not_sent_again_is_put_out() {
    let broken = Pod::serve(Ipv4Addr::LOCALHOST.into(), |stream: TcpStream| {
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        while matches!(reader.read_line(&mut line), Ok(1..)) && line != "\r\n" {
            line.clear();
        }
    });
    let good = Pod::http("good");
    let manifests = [
        service("web", "ClusterIP", 80, &[&broken, &good]),
        ingress("i", &[("web.test", "Prefix", "/", "web")], ""),
    ]
    .join("---\n");
    let portico = Portico::with(&[("all.yaml", &manifests)]).start();
    let post = || {
        let head = "POST / HTTP/1.1\r\nHost: web.test\r\nContent-Length: 0\r\n\r\n";
        Client::connect(portico.http())
            .request(head, b"")
            .unwrap()
            .status
    };
    let statuses: Vec<u16> = (0..10).map(|_| post()).collect();
    let failed = statuses.iter().filter(|&&status| status == 502).count();
    assert_eq!(failed, 5, "http-proxy 5.12: {statuses:?}");
    assert!((0..6).all(|_| post() == 200), "it is tried last");
    let ejections =
        "portico_endpoint_ejections_total{port=\"\",protocol=\"tcp\",service=\"default/web\"}";
    assert_eq!(portico.metric(ejections), 1);
}
