//! How many TLS handshakes go on at once, and that what ends over TLS says so (`http-proxy 7.11`).

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};

use crate::client_certs::ask;
use crate::front_door::{ingress, secret};
use crate::harness::http::get;
use crate::harness::pod::Pod;
use crate::harness::portico::{Builder, Portico};
use crate::harness::{PATIENCE, eventually};
use crate::services::service;
use crate::tls::client;

/// `one.test` over TLS, and who trusts it.
fn site(pod: &Pod) -> (Builder, String) {
    let (one, pem) = secret("one", &["one.test"]);
    let tls = "  tls:\n  - {hosts: [one.test], secretName: one}\n";
    let rules = [("one.test", "Prefix", "/", "web")];
    let manifests = [service("web", "ClusterIP", 80, &[pod]), ingress("i", &rules, tls), one];
    (Portico::with(&[("all.yaml", &manifests.join("---\n"))]), pem)
}

#[test]
fn beyond_so_many_handshakes_clients_of_tls_wait_unaccepted_and_others_do_not() {
    let pod = Pod::http("web");
    let (portico, pem) = site(&pod);
    let portico = portico
        .adjust(|settings| settings.front_door.max_tls_handshakes = 2)
        .start();
    let active = || portico.metric("portico_l7_tls_handshakes_active");
    let https = portico.https();
    // They say nothing, and have ten seconds for it.
    let [first, second] = [(); 2].map(|()| TcpStream::connect(https).unwrap());
    eventually("both are accepted", || (active() == 2).then_some(()));
    let config = client(&pem, &[b"http/1.1"]);
    let third = std::thread::spawn(move || ask(https, &config, ("one.test", "one.test")).0);
    let held = "portico_proxy_limit_exceeded_total{reason=\"tls_handshakes\"}";
    eventually("the third is held back", || (portico.metric(held) == 1).then_some(()));
    assert_eq!(get(portico.http(), "one.test", "/").status, 308, "plain clients are served");
    drop(first);
    let answer = third.join().unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "http-proxy 7.11: {answer}");
    drop(second);
    eventually("no place is lost", || (active() == 0).then_some(()));
}

#[test]
fn one_client_leaves_half_of_the_handshakes_to_others() {
    let pod = Pod::http("web");
    let (portico, pem) = site(&pod);
    let portico = portico
        .adjust(|settings| {
            settings.proxy_protocol = true;
            settings.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
            settings.front_door.max_tls_handshakes = 4;
        })
        .start();
    let come = |client: &str| {
        let mut stream = TcpStream::connect(portico.https()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let header = format!("PROXY {client} 5555 443\r\n");
        stream.write_all(header.as_bytes()).unwrap();
        stream
    };
    let series = "portico_proxy_limit_exceeded_total{reason=\"client_tls_handshakes\"}";
    let config = client(&pem, &[b"http/1.1"]);
    let silent = [(); 2].map(|()| come("TCP4 192.0.2.7 198.51.100.1"));
    let accepted = "portico_l7_connections_total{listener=\"https\"}";
    eventually("both are let in", || (portico.metric(accepted) == 2).then_some(()));
    let mut third = come("TCP4 192.0.2.7 198.51.100.1");
    let ended = third.read(&mut [0; 1]);
    assert!(!matches!(ended, Ok(1)), "http-proxy 7.11: {ended:?}");
    assert_eq!(portico.metric(series), 1);
    for other in ["TCP4 192.0.2.8 198.51.100.1", "TCP4 192.0.2.9 198.51.100.1"] {
        let name = ServerName::try_from("one.test").unwrap();
        let session = ClientConnection::new(Arc::clone(&config), name).unwrap();
        let mut stream = StreamOwned::new(session, come(other));
        let request = b"GET / HTTP/1.1\r\nHost: one.test\r\nConnection: close\r\n\r\n";
        stream.write_all(request).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "http-proxy 7.11: {answer}");
    }
    drop(silent);
    let active = || portico.metric("portico_l7_tls_handshakes_active");
    eventually("no place is lost", || (active() == 0).then_some(()));
    drop(come("TCP4 192.0.2.7 198.51.100.1"));
    assert_eq!(portico.metric(series), 1, "its places came back");
}

#[test]
fn an_end_over_tls_is_told_as_one() {
    let pod = Pod::http("web");
    let (portico, pem) = site(&pod);
    let second = Duration::from_secs(1);
    let portico = portico
        .adjust(move |settings| {
            settings.front_door.timeouts.keep_alive = second;
            settings.front_door.timeouts.request_header = second;
        })
        .start();
    let fault = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\x01";
    for (case, protocol, sent) in [
        (
            "the last answer",
            "http/1.1",
            &b"GET / HTTP/1.1\r\nHost: one.test\r\nConnection: close\r\n\r\n"[..],
        ),
        ("no request", "http/1.1", b"no request\r\n\r\n"),
        ("no other request", "http/1.1", b"GET / HTTP/1.1\r\nHost: one.test\r\n\r\n"),
        ("half a head", "http/1.1", b"GET / HTTP/1.1\r\n"),
        ("nothing", "http/1.1", b""),
        ("a fault of HTTP/2", "h2", fault),
    ] {
        let name = ServerName::try_from("one.test").unwrap();
        let config = client(&pem, &[protocol.as_bytes()]);
        let session = ClientConnection::new(Arc::clone(&config), name).unwrap();
        let stream = TcpStream::connect(portico.https()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut stream = StreamOwned::new(session, stream);
        stream.write_all(sent).unwrap();
        stream.flush().unwrap();
        // An end without close_notify is an error.
        let ended = stream.read_to_end(&mut Vec::new());
        assert!(ended.is_ok(), "http-proxy 7.11: {case}: {ended:?}");
    }
}
