//! Copies of requests (`ingress 2.5`: `mirror-target`): what they are, where they go, and that they
//! are in nobody's way.

use std::io::{BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use crate::annotations::annotated;
use crate::front_door::ingress;
use crate::harness::http::{Answer, Client};
use crate::harness::pod::{Pod, request};
use crate::harness::portico::Portico;
use crate::harness::{PATIENCE, eventually};
use crate::services::service;

/// A request as it came: its head in lower case, and its body.
type Heard = (String, Vec<u8>);

/// A pod that hears requests, and says that it is broken.
fn ear() -> (Pod, Receiver<Heard>) {
    let (tell, heard) = sync_channel(16);
    let pod = Pod::serve(Ipv4Addr::LOCALHOST.into(), move |stream| {
        let mut reader = BufReader::new(stream);
        while hear(&mut reader, &tell).is_some() {}
    });
    (pod, heard)
}

fn hear(reader: &mut BufReader<TcpStream>, tell: &SyncSender<Heard>) -> Option<()> {
    let (head, body) = request(reader)?;
    tell.send((head.to_ascii_lowercase(), body)).ok()?;
    let answer = "HTTP/1.1 500 Broken\r\nContent-Length: 4\r\nX-Copy: yes\r\n\r\ncopy";
    reader.get_mut().write_all(answer.as_bytes()).ok()
}

fn ask(portico: &Portico, head: &str, body: &[u8]) -> Answer {
    Client::connect(portico.http()).request(head, body).unwrap()
}

/// Waits until so many copies have come to this.
fn comes_to(portico: &Portico, outcome: &str, count: u64) {
    let series = format!("portico_l7_mirrored_total{{outcome=\"{outcome}\"}}");
    eventually(&series, || (portico.metric(&series) == count).then_some(()));
}

#[test]
fn a_copy_goes_to_a_service_an_ingress_or_a_host_outside() {
    let (web, (copy, heard)) = (Pod::http("web"), ear());
    let outside = format!("http://{}/v1/$request_uri", copy.address);
    let host = ("mirror-host", "shadow.test");
    let manifests = [
        service("web", "ClusterIP", 80, &[&web]),
        service("copy", "ClusterIP", 80, &[&copy]),
        annotated(
            "a",
            "service.test",
            &[("mirror-target", "http://copy.default.svc/v1$request_uri"), host],
            "",
        ),
        annotated("b", "outside.test", &[("mirror-target", &outside), host], ""),
        annotated(
            "c",
            "own.test",
            &[("mirror-target", "https://own.shadow.test/v1$request_uri"), host],
            "",
        ),
        ingress(
            "d",
            &[
                ("own.shadow.test", "Prefix", "/v1", "copy"),
                ("shadow.test", "Prefix", "/v1", "copy"),
            ],
            "",
        ),
    ]
    .join("---\n");
    let portico = Portico::with(&[("all.yaml", &manifests)]).start();
    for (number, name) in (1..).zip(["service.test", "outside.test", "own.test"]) {
        let body = format!("a body for {name}");
        let head = format!(
            "POST /a?b=%2f HTTP/1.1\r\nHost: {name}\r\nContent-Length: {}\r\nCookie: c=1\r\n\
             X-Request-ID: id-{number}\r\nConnection: x-hop\r\nX-Hop: 1\r\n\r\n",
            body.len()
        );
        let answer = ask(&portico, &head, body.as_bytes());
        assert_eq!((answer.status, answer.header("x-copy")), (200, None), "{name}");
        assert_eq!(answer.text(), format!("web{body}"), "{name}");
        let (head, copied) = heard.recv_timeout(PATIENCE).expect("a copy comes");
        assert!(head.starts_with("post /v1/a?b=%2f http/1.1\r\n"), "{head}");
        for line in [
            "host: shadow.test".to_owned(),
            "cookie: c=1".to_owned(),
            format!("x-request-id: id-{number}"),
            "x-forwarded-for: 127.0.0.1".to_owned(),
        ] {
            assert!(head.contains(&format!("\r\n{line}\r\n")), "ingress 2.5: {line} in {head}");
        }
        assert!(!head.contains("x-hop"), "{head}");
        assert_eq!(copied, body.as_bytes(), "{name}");
        comes_to(&portico, "sent", number);
    }
}

#[test]
fn only_requests_that_may_pass_are_copied_and_without_what_is_not_to_be() {
    let (web, (copy, heard)) = (Pod::http("web"), ear());
    let target = ("mirror-target", "http://copy.default.svc/$request_uri");
    let manifests = [
        service("web", "ClusterIP", 80, &[&web]),
        service("copy", "ClusterIP", 80, &[&copy]),
        annotated("out", "out.test", &[target, ("denylist-source-range", "127.0.0.0/8")], ""),
        annotated("short", "short.test", &[target, ("proxy-body-size", "3")], ""),
        annotated("bare", "bare.test", &[target, ("mirror-request-body", "off")], ""),
        annotated("closed", "closed.test", &[target, ("auth-type", "basic")], ""),
        annotated("chunks", "chunks.test", &[target], ""),
    ]
    .join("---\n");
    let portico = Portico::with(&[("all.yaml", &manifests)]).start();
    let post = |host: &str| {
        let head = format!("POST /{host} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 4\r\n\r\n");
        ask(&portico, &head, b"body").status
    };
    for (host, status) in
        [("out.test", 403), ("short.test", 413), ("closed.test", 503), ("bare.test", 200)]
    {
        assert_eq!(post(host), status, "{host}");
    }
    let (head, body) = heard.recv_timeout(PATIENCE).unwrap();
    assert!(head.starts_with("post /bare.test "), "the first that may pass: {head}");
    assert!(body.is_empty() && !head.contains("content-length"), "ingress 2.5: {head}");
    let head = "PUT / HTTP/1.1\r\nHost: chunks.test\r\nTransfer-Encoding: chunked\r\n\r\n";
    ask(&portico, head, b"2\r\nbo\r\n2\r\ndy\r\n0\r\n\r\n");
    let (head, body) = heard.recv_timeout(PATIENCE).unwrap();
    assert_eq!(body, b"body", "a body is one however it came: {head}");
    let socket = "GET / HTTP/1.1\r\nHost: chunks.test\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
                  Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    ask(&portico, socket, b"");
    let head = "GET /last HTTP/1.1\r\nHost: chunks.test\r\n\r\n";
    ask(&portico, head, b"");
    let (head, _) = heard.recv_timeout(PATIENCE).unwrap();
    assert!(head.starts_with("get /last "), "a tunnel is not copied: {head}");
    comes_to(&portico, "sent", 3);
}

#[test]
fn who_gets_copies_is_in_nobodys_way() {
    let web = Pod::http("web");
    // Takes connections and never says a word.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silence = format!("http://{}/", silent.local_addr().unwrap());
    // Nobody listens there any more.
    let gone = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let gone = format!("http://{gone}/");
    let metadata = "http://169.254.169.254/";
    let manifests = [
        service("web", "ClusterIP", 80, &[&web]),
        annotated(
            "silent",
            "silent.test",
            &[("mirror-target", &silence), ("proxy-body-size", "0")],
            "",
        ),
        annotated("gone", "gone.test", &[("mirror-target", &gone)], ""),
        annotated("guarded", "guarded.test", &[("mirror-target", metadata)], ""),
    ]
    .join("---\n");
    let portico = Portico::with(&[("all.yaml", &manifests)])
        .workers(1)
        .start();
    let get = |host: &str| format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
    for (number, host) in (1..).zip(["gone.test", "guarded.test"]) {
        assert_eq!(ask(&portico, &get(host), b"").status, 200, "{host}");
        comes_to(&portico, "failed", number);
    }
    let body = vec![b'x'; (256 << 10) + 1];
    let head =
        format!("POST / HTTP/1.1\r\nHost: silent.test\r\nContent-Length: {}\r\n\r\n", body.len());
    assert_eq!(ask(&portico, &head, &body).body.len(), body.len() + 3);
    comes_to(&portico, "dropped", 1);
    // The first ones wait for an answer: in the end there are more than there may be.
    let mut client = Client::connect(portico.http());
    eventually("a copy too many", || {
        for _ in 0..64 {
            assert_eq!(client.request(&get("silent.test"), b"").unwrap().status, 200);
        }
        let dropped = portico.metric("portico_l7_mirrored_total{outcome=\"dropped\"}");
        (dropped > 1).then_some(())
    });
    drop(silent);
}
