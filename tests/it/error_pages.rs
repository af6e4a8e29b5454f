//! Answers of another backend in the place of errors (`ingress 2.4`: default-backend,
//! custom-http-errors).

use std::io::{BufReader, Write};
use std::net::{Ipv4Addr, TcpStream};

use portico_config::model::{ObjectName, ServiceTarget};

use crate::annotations::annotated;
use crate::harness::http::{Answer, Client};
use crate::harness::pod::{Pod, request};
use crate::harness::portico::Portico;
use crate::services::service;

/// A pod that answers `/NNN` with that status and everything else with `usual`, and sends back the
/// head that it read.
fn telling(usual: u16) -> Pod {
    Pod::serve(Ipv4Addr::LOCALHOST.into(), move |stream: TcpStream| {
        let mut reader = BufReader::new(stream);
        while let Some((head, _)) = request(&mut reader) {
            let path = head.split(' ').nth(1).unwrap_or("/");
            let status = path.get(1..4).and_then(|text| text.parse().ok());
            let content = if head.starts_with("HEAD ") { "" } else { &head };
            let answer = format!(
                "HTTP/1.1 {} Told\r\nContent-Length: {}\r\nX-Head: {}\r\n\r\n{content}",
                status.unwrap_or(usual),
                head.len(),
                head.split("\r\n").collect::<Vec<_>>().join("|"),
            );
            if reader.get_mut().write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    })
}

fn ask(portico: &Portico, host: &str, path: &str, fields: &str) -> Answer {
    let head = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n");
    Client::connect(portico.http()).request(&head, b"").unwrap()
}

/// An Ingress whose errors are those of the Service `errors`.
fn site(name: &str, annotations: &[(&str, &str)], to: &str) -> String {
    let annotations = [&[("default-backend", "errors")], annotations].concat();
    annotated(name, &format!("{name}.test"), &annotations, "")
        .replace("name: web, port", &format!("name: {to}, port"))
}

const LISTED: (&str, &str) = ("custom-http-errors", "404,403,413,502,503");

#[test]
fn errors_that_are_listed_are_answered_by_another_service() {
    let (web, errors) = (telling(200), telling(418));
    let dead = Pod::serve(Ipv4Addr::LOCALHOST.into(), |stream: TcpStream| drop(stream));
    let own = ("disable-proxy-intercept-errors", "true");
    let deny = ("denylist-source-range", "127.0.0.0/8");
    let manifests = [
        service("web", "ClusterIP", 80, &[&web]),
        service("dead", "ClusterIP", 80, &[&dead]),
        service("errors", "ClusterIP", 8080, &[&errors]),
        site("listed", &[LISTED], "web"),
        site("own", &[LISTED, own], "web"),
        site("denied", &[LISTED, own, deny], "web"),
        site("broken", &[LISTED], "dead"),
        site("short", &[LISTED, ("proxy-body-size", "4b")], "web"),
    ]
    .join("---\n");
    let portico = Portico::with(&[("all.yaml", &manifests)]).start();
    for (host, path, status, replaced) in [
        ("listed.test", "/404", 418, true),
        ("listed.test", "/500", 500, false),
        ("listed.test", "/200", 200, false),
        ("own.test", "/404", 404, false),
        ("denied.test", "/", 418, true),
        ("broken.test", "/", 418, true),
    ] {
        let answer = ask(&portico, host, path, "");
        assert_eq!(answer.status, status, "ingress 2.4: {host}{path}");
        let asked = answer.text().starts_with("GET / HTTP/1.1\r\n");
        assert_eq!(asked, replaced, "ingress 2.4: {host}{path}: {}", answer.text());
    }
    let fields = "Accept: text/html\r\nX-Request-ID: mine\r\nX-Code: 200\r\nX-Namespace: evil\r\n";
    let seen = ask(&portico, "listed.test", "/404/x?y=z", fields)
        .text()
        .to_owned();
    for field in [
        "X-Code: 404",
        "X-Format: text/html",
        "X-Original-URI: /404/x?y=z",
        "X-Namespace: default",
        "X-Ingress-Name: listed",
        "X-Service-Name: web",
        "X-Service-Port: 80",
        "X-Request-ID: mine",
        "Host: listed.test",
    ] {
        assert!(seen.contains(&format!("\r\n{field}\r\n")), "ingress 2.4: {field}: {seen}");
    }
    assert_eq!(seen.matches("X-Code:").count(), 1, "ours alone is believed: {seen}");
    assert!(!seen.contains("evil"), "ours alone is believed: {seen}");
    // The connection goes on, bodies and HEAD included.
    let mut client = Client::connect(portico.http());
    for _ in 0..2 {
        let head = "POST /404 HTTP/1.1\r\nHost: listed.test\r\nContent-Length: 3\r\n\r\n";
        let answer = client.request(head, b"xyz").unwrap();
        assert_eq!(answer.status, 418, "ingress 2.4");
        assert!(answer.text().starts_with("GET / HTTP/1.1\r\n") && !answer.text().contains("xyz"));
    }
    client
        .send(b"HEAD /404 HTTP/1.1\r\nHost: listed.test\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut rest = String::new();
    client.read_to_end(&mut rest);
    let (head, body) = rest.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 418 "), "{head}");
    assert!(head.contains("X-Head: HEAD / HTTP/1.1|"), "ingress 2.4: {head}");
    assert_eq!(body, "", "http-proxy 1.18");
    // A body that is too long is not read to its end, and the answer arrives all the same.
    let head = "POST / HTTP/1.1\r\nHost: short.test\r\nContent-Length: 500000\r\n\r\n";
    let answer = Client::connect(portico.http())
        .request(head, &[b'x'; 20_000])
        .unwrap();
    assert_eq!((answer.status, answer.header("connection")), (418, Some("close")));
    assert!(answer.text().contains("\r\nX-Code: 413\r\n"), "{}", answer.text());
}

#[test]
fn who_has_no_endpoint_is_stood_in_for() {
    let errors = telling(404);
    let manifests = |errors: &[&Pod]| {
        [
            service("web", "ClusterIP", 80, &[]).replace("portico.dev/endpoints: \"\"", "a: b"),
            service("errors", "ClusterIP", 80, errors),
            site("empty", &[], "web"),
            site("missing", &[LISTED], "nothing"),
        ]
        .join("---\n")
    };
    let portico = Portico::with(&[("all.yaml", &manifests(&[&errors]))]).start();
    for host in ["empty.test", "missing.test"] {
        let answer = ask(&portico, host, "/200/a?b=c", "Accept: application/json\r\n");
        let seen = answer.text();
        assert_eq!(answer.status, 200, "ingress 2.4: default-backend: {host}: {seen}");
        assert!(seen.starts_with("GET /200/a?b=c HTTP/1.1\r\n"), "the path is unchanged: {seen}");
        assert!(seen.contains("\r\nX-Code: 503\r\n"), "ingress 2.4: {seen}");
        assert!(seen.contains("\r\nX-Format: application/json\r\n"), "ingress 2.4: {seen}");
        assert!(!seen.contains("X-Original-URI"), "ingress 2.4: {seen}");
        let named = seen.contains("\r\nX-Service-Name: web\r\n");
        assert_eq!(named, host == "empty.test", "{seen}");
    }
    portico.edit("all.yaml", &manifests(&[]).replace("portico.dev/endpoints: \"\"", "a: b"));
    for host in ["empty.test", "missing.test"] {
        assert_eq!(ask(&portico, host, "/", "").status, 503, "ingress 2.4: no endpoint there");
    }
}

#[test]
fn the_service_of_settings_answers_errors_and_no_request_in_the_place_of_another() {
    let (web, usual) = (telling(200), telling(418));
    let site = |name: &str, to: &str| {
        annotated(name, &format!("{name}.test"), &[LISTED], "")
            .replace("name: web, port", &format!("name: {to}, port"))
    };
    let manifests = [
        service("web", "ClusterIP", 80, &[&web]),
        service("usual", "ClusterIP", 8080, &[&usual]),
        site("web", "web"),
        site("gone", "gone"),
    ]
    .join("---\n");
    let portico = Portico::with(&[("all.yaml", &manifests)])
        .adjust(|settings| {
            let service = ObjectName::new("default", "usual");
            settings.front_door.default_backend =
                Some(ServiceTarget { service, port: "8080".into() });
        })
        .start();
    for (host, path, status, code) in [
        ("web.test", "/200", 200, None),
        ("web.test", "/404", 418, Some("404")),
        ("gone.test", "/x", 418, Some("503")),
    ] {
        let answer = ask(&portico, host, path, "");
        assert_eq!(answer.status, status, "ingress 2.4: custom-http-errors: {host}{path}");
        let head = answer.header("x-head").unwrap_or_default().to_owned();
        let is_page = head.starts_with("GET / ");
        assert_eq!(is_page, code.is_some(), "asked for its own page, not for the request: {head}");
        let told = code.is_none_or(|code| head.contains(&format!("X-Code: {code}|")));
        assert!(told, "ingress 2.4: {head}");
    }
}
