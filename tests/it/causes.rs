//! Each cause has its status, and answers of portico's own say no more than that (`http-proxy 0.3`,
//! `0.4`).

use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};

use crate::annotations::annotated;
use crate::guards::users;
use crate::harness::http::{Answer, Client};
use crate::harness::pod::Pod;
use crate::harness::portico::Portico;
use crate::services::service;

/// A pod that says this to whoever connects, and ends.
fn says(answer: &'static str) -> Pod {
    Pod::serve(Ipv4Addr::LOCALHOST.into(), move |mut stream| {
        let _ = std::io::Read::read(&mut stream, &mut [0; 4096]);
        let _ = stream.write_all(answer.as_bytes());
    })
}

/// An Ingress for `NAME.test` whose backend is the Service `backend`.
fn to(name: &str, backend: &str, annotations: &[(&str, &str)]) -> String {
    let text = annotated(name, &format!("{name}.test"), annotations, "");
    text.replace("name: web, port", &format!("name: {backend}, port"))
}

fn ask(portico: &Portico, head: &str) -> Answer {
    Client::connect(portico.http()).request(head, b"").unwrap()
}

fn get(host: &str, lines: &str) -> String {
    format!("GET /?secret-of-the-client HTTP/1.1\r\nHost: {host}.test\r\n{lines}\r\n")
}

/// One host for each cause, and the pods behind them.
fn site() -> (Vec<Pod>, String) {
    let (web, odd, short) =
        (Pod::http("web"), says("SSH-2.0\r\n\r\n"), says("HTTP/1.1 200 OK\r\nContent-Le"));
    let silent = Pod::serve(Ipv4Addr::LOCALHOST.into(), |mut stream| {
        while let Ok(1..) = std::io::Read::read(&mut stream, &mut [0; 4096]) {}
    });
    // Nobody listens there any more.
    let dead = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let absent = service("dead", "ClusterIP", 80, &[&web])
        .replace(&web.address.to_string(), &dead.to_string());
    let manifests = [
        service("web", "ClusterIP", 80, &[&web]),
        service("odd", "ClusterIP", 80, &[&odd]),
        service("short", "ClusterIP", 80, &[&short]),
        service("silent", "ClusterIP", 80, &[&silent]),
        service("empty", "ClusterIP", 80, &[]),
        absent,
        users("users", "me:{PLAIN}secret"),
        to("web", "web", &[]),
        to("odd", "odd", &[]),
        to("short", "short", &[]),
        to("late", "silent", &[("proxy-read-timeout", "1")]),
        to("empty", "empty", &[]),
        to("dead", "dead", &[]),
        to("closed", "web", &[("allowlist-source-range", "ten")]),
        to("denied", "web", &[("denylist-source-range", "127.0.0.0/8")]),
        to("asked", "web", &[("auth-type", "basic"), ("auth-secret", "users")]),
        to("much", "web", &[("limit-rpm", "1"), ("limit-burst-multiplier", "1")]),
        to("moved", "web", &[("permanent-redirect", "https://else.test/x")]),
    ]
    .join("---\n");
    (vec![web, odd, short, silent], manifests)
}

#[test]
fn each_cause_has_its_status_and_says_nothing_else() {
    let (_pods, manifests) = site();
    let portico = Portico::with(&[("all.yaml", &manifests)]).start();
    for _ in 0..2 {
        ask(&portico, &get("much", ""));
    }
    let pass = ask(&portico, "GET /headers HTTP/1.1\r\nHost: web.test\r\n\r\n");
    let via = pass
        .text()
        .lines()
        .find_map(|line| line.strip_prefix("Via: "))
        .unwrap()
        .to_owned();
    let looped = format!("Via: {via}, {via}\r\nVia: {via}\r\n");
    for (cause, head, status) in [
        ("malformed", get("web", "a b: c\r\n"), 400),
        ("two hosts", get("web", "Host: b\r\n"), 400),
        ("no host", get("none", ""), 404),
        ("no method that may be used", get("web", "").replace("GET", "TRACE"), 405),
        ("body too large", get("web", "Content-Length: 9999999\r\n"), 413),
        ("target too large", format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(9_000)), 414),
        ("expectation", get("web", "Expect: gold\r\n"), 417),
        ("head too large", get("web", &"a: b\r\n".repeat(100)), 431),
        ("coding", get("web", "Transfer-Encoding: x\r\n"), 501),
        ("version", get("web", "").replace("HTTP/1.1", "HTTP/3.0"), 505),
        ("rate", get("much", ""), 429),
        ("denied", get("denied", ""), 403),
        ("not authenticated", get("asked", ""), 401),
        ("bad configuration", get("closed", ""), 503),
        ("no endpoint", get("empty", ""), 503),
        ("refused", get("dead", ""), 502),
        ("closed early", get("short", ""), 502),
        ("no response", get("odd", ""), 502),
        ("time", get("late", ""), 504),
        ("loop", get("web", &looped), 508),
        ("moved", get("moved", ""), 301),
    ] {
        let answer = ask(&portico, &head);
        assert_eq!(answer.status, status, "http-proxy 0.4: {cause}");
        assert_eq!(answer.header("server"), Some("portico"), "http-proxy 0.3: {cause}");
        assert!(answer.header("date").is_some(), "http-proxy 0.3: {cause}");
        let kind = answer.header("content-type").unwrap_or_default();
        assert!(kind.starts_with("text/plain"), "http-proxy 0.3: {cause}: {kind}");
        let text = answer.text();
        assert!(text.starts_with(&status.to_string()) && text.lines().count() == 1, "{text}");
        let echo = answer
            .headers
            .iter()
            .any(|(_, value)| value.contains("secret"));
        assert!(!echo && !text.contains("secret"), "http-proxy 0.3: {cause} says what came");
    }
}

#[test]
fn what_clients_make_up_makes_no_series() {
    let pod = Pod::http("web");
    let manifests = [service("web", "ClusterIP", 80, &[&pod]), to("web", "web", &[])].join("---\n");
    let portico = Portico::with(&[("all.yaml", &manifests)]).start();
    let series = || {
        let admin = portico.admin();
        let answer = crate::harness::http::get(admin, &admin.to_string(), "/metrics");
        let lines = answer.text().lines().filter(|line| !line.starts_with('#'));
        lines
            .map(|line| line.rsplit_once(' ').unwrap().0.to_owned())
            .collect::<Vec<_>>()
    };
    let ask = |from: u32, to: u32| {
        let mut client = Client::connect(portico.http());
        for number in from..to {
            for (method, host) in [("GET", "web"), ("GET", "none"), ("POST", "web"), ("X", "web")] {
                let method = if method == "X" { format!("X{number}") } else { method.to_owned() };
                let host = if host == "none" { format!("n{number}") } else { host.to_owned() };
                let head = format!(
                    "{method} /p{number} HTTP/1.1\r\nHost: {host}.test\r\nUser-Agent: u{number}\r\n\r\n"
                );
                let answer = client.request(&head, b"").unwrap();
                assert_eq!(answer.status, if host == "web" { 200 } else { 404 });
            }
        }
    };
    ask(0, 1);
    let before = series();
    ask(1, 300);
    assert_eq!(series(), before, "http-proxy 9.4, 9.5");
}

#[test]
fn a_backends_own_server_and_date_are_kept() {
    let says = says(
        "HTTP/1.1 200 OK\r\nServer: mine\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n\
         Content-Length: 0\r\n\r\n",
    );
    let manifests =
        [service("web", "ClusterIP", 80, &[&says]), to("web", "web", &[])].join("---\n");
    let portico = Portico::with(&[("all.yaml", &manifests)]).start();
    let answer = ask(&portico, &get("web", ""));
    assert_eq!(answer.header("server"), Some("mine"), "http-proxy 0.3");
    assert_eq!(answer.header("date"), Some("Thu, 01 Jan 1970 00:00:00 GMT"), "http-proxy 0.3");
}
