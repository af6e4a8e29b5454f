//! What is counted of clients beside their requests: connections, handshakes, what is no request, and
//! what goes on now (`http-proxy 9.4`).

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::annotations::annotated;
use crate::client_certs::ask;
use crate::front_door::{ingress, secret};
use crate::harness::http::{Client, get};
use crate::harness::pod::Pod;
use crate::harness::portico::Portico;
use crate::harness::{PATIENCE, eventually};
use crate::services::service;
use crate::tls::client;

/// Waits until a series has this value.
#[track_caller]
fn counts(portico: &Portico, series: &str, want: u64) {
    eventually(&format!("{series} is {want}"), || (portico.metric(series) == want).then_some(()));
}

#[test]
fn handshakes_are_counted_by_version_and_result_and_certificates_have_an_end() {
    let pod = Pod::http("web");
    let (one, pem) = secret("one", &["one.test"]);
    let tls = "  tls:\n  - {hosts: [one.test], secretName: one}\n";
    let rules = [("one.test", "Prefix", "/", "web")];
    let manifests = [service("web", "ClusterIP", 80, &[&pod]), ingress("i", &rules, tls), one];
    let portico = Portico::with(&[("all.yaml", &manifests.join("---\n"))]).start();
    let config = client(&pem, &[b"http/1.1"]);
    for _ in 0..2 {
        let (answer, _) = ask(portico.https(), &config, ("one.test", "one.test"));
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
    let mut plain = TcpStream::connect(portico.https()).unwrap();
    plain.set_read_timeout(Some(PATIENCE)).unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let _ = plain.read_to_end(&mut Vec::new());
    for (version, result) in [("1.3", "full"), ("1.3", "resumed"), ("", "failed")] {
        let labels = format!("result=\"{result}\",version=\"{version}\"");
        counts(&portico, &format!("portico_l7_tls_handshakes_total{{{labels}}}"), 1);
    }
    counts(&portico, "portico_l7_connections_total{listener=\"https\"}", 3);
    let refused = "portico_l7_connections_refused_total{listener=\"https\",reason=\"tls\"}";
    counts(&portico, refused, 1);
    let end =
        "portico_l7_certificate_expiry_timestamp_seconds{namespace=\"default\",secret=\"one\"}";
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    assert!(portico.metric(end) > now.as_secs(), "http-proxy 9.4");
    portico.edit("all.yaml", &service("web", "ClusterIP", 80, &[&pod]));
    assert_eq!(portico.metric(end), 0, "it leaves with its Secret");
}

#[test]
fn what_is_no_request_and_what_is_too_large_is_counted_by_reason() {
    let pod = Pod::http("web");
    let rules = [("web.test", "Prefix", "/", "web")];
    let text = [service("web", "ClusterIP", 80, &[&pod]), ingress("i", &rules, "")].join("---\n");
    let portico = Portico::with(&[("all.yaml", &text)]).start();
    let malformed = "portico_l7_malformed_requests_total";
    let limit = "portico_l7_limit_exceeded_total";
    let head = |line: &str, more: &str| format!("{line} HTTP/1.1\r\nHost: web.test\r\n{more}\r\n");
    for (name, reason, status, sent) in [
        (malformed, "syntax", 400, "no request\r\n\r\n".to_owned()),
        (malformed, "coding", 501, head("PUT /", "Transfer-Encoding: gzip, chunked\r\n")),
        (malformed, "version", 505, head("GET /", "").replace("HTTP/1.1", "HTTP/2.0")),
        (limit, "target", 414, head(&format!("GET /{}", "a".repeat(9_000)), "")),
        (limit, "fields", 431, head("GET /", &"A: b\r\n".repeat(101))),
        (limit, "body", 413, head("PUT /", "Content-Length: 2000000\r\n")),
    ] {
        let answer = Client::connect(portico.http()).request(&sent, b"").unwrap();
        assert_eq!(answer.status, status, "{reason}");
        counts(&portico, &format!("{name}{{reason=\"{reason}\"}}"), 1);
    }
    counts(&portico, "portico_l7_connections_total{listener=\"http\"}", 6);
}

#[test]
fn dials_that_fail_are_counted_by_reason() {
    let (silent, gone) = (Pod::serve(Ipv4Addr::LOCALHOST.into(), drop), Pod::http("gone"));
    let manifests = [
        service("web", "ClusterIP", 80, &[&silent]),
        service("gone", "ClusterIP", 80, &[&gone]),
        service("far", "ClusterIP", 8080, &[&gone]),
        annotated("tls", "tls.test", &[("backend-protocol", "HTTPS")], ""),
        ingress("i", &[("gone.test", "Prefix", "/", "gone")], ""),
    ];
    let portico = Portico::with(&[("all.yaml", &manifests.join("---\n"))]).start();
    drop(gone);
    let failures = |service: &str, reason: &str| {
        format!(
            "portico_l4_connect_failures_total{{port=\"\",protocol=\"tcp\",reason=\"{reason}\",\
             service=\"default/{service}\"}}"
        )
    };
    for (host, service, reason) in [("tls.test", "web", "tls"), ("gone.test", "gone", "refused")] {
        assert_eq!(get(portico.http(), host, "/").status, 502, "{reason}");
        counts(&portico, &failures(service, reason), 1);
    }
    let mut client = TcpStream::connect(portico.cluster_ip("default/far", 8080)).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    assert!(!matches!(client.read(&mut [0]), Ok(1)), "nobody is there");
    counts(&portico, &failures("far", "refused"), 1);
}

#[test]
fn requests_that_go_on_are_counted_until_they_end() {
    let held: Arc<Mutex<Vec<TcpStream>>> = Arc::default();
    let holding = Arc::clone(&held);
    let pod = Pod::serve(Ipv4Addr::LOCALHOST.into(), move |stream| {
        holding.lock().unwrap().push(stream);
    });
    let rules = [("web.test", "Prefix", "/", "web")];
    let text = [service("web", "ClusterIP", 80, &[&pod]), ingress("i", &rules, "")].join("---\n");
    let portico = Portico::with(&[("all.yaml", &text)]).start();
    let door = portico.http();
    let asking: Vec<_> = (0..2)
        .map(|_| std::thread::spawn(move || get(door, "web.test", "/")))
        .collect();
    let active = "portico_l7_requests_active{canary=\"\",host=\"web.test\",ingress=\"i\",\
                  namespace=\"default\",path=\"/\",port=\"\",service=\"default/web\"}";
    counts(&portico, active, 2);
    eventually("both are with the pod", || (held.lock().unwrap().len() == 2).then_some(()));
    for mut stream in held.lock().unwrap().drain(..) {
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            .unwrap();
    }
    for client in asking {
        assert_eq!(client.join().unwrap().status, 200);
    }
    counts(&portico, active, 0);
}
