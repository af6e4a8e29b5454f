//! What annotations ask of exchanges with backends: who gets a canary, what is repeated, how long is
//! waited (`http-proxy 5.10, 5.13`).

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, Instant};

use crate::annotations::annotated;
use crate::harness::http::{Client, get};
use crate::harness::pod::Pod;
use crate::harness::portico::Portico;
use crate::services::service;

/// A pod that reads a head and then does something with the connection.
fn after_head(act: impl Fn(TcpStream) + Clone + Send + 'static) -> Pod {
    Pod::serve(Ipv4Addr::LOCALHOST.into(), move |stream| {
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        while matches!(reader.read_line(&mut line), Ok(1..)) && line != "\r\n" {
            line.clear();
        }
        act(reader.into_inner());
    })
}

/// A pod that answers everything with 503, and then ends the connection.
fn unavailable() -> Pod {
    after_head(|mut stream| {
        let _ = stream
            .write_all(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    })
}

/// A pod that never answers, and keeps the connection until the client leaves.
fn silent() -> Pod {
    after_head(|stream| {
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        while matches!(reader.read_line(&mut line), Ok(1..)) {
            line.clear();
        }
    })
}

fn ask(portico: &Portico, host: &str, fields: &str) -> String {
    let head = format!("GET / HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n");
    let answer = Client::connect(portico.http()).request(&head, b"").unwrap();
    answer.text().to_owned()
}

#[test]
fn a_canary_gets_who_its_rules_name_and_leaves_with_them() {
    let (main, next) = (Pod::http("main"), Pod::http("next"));
    let services =
        [service("web", "ClusterIP", 80, &[&main]), service("next", "ClusterIP", 80, &[&next])];
    let canary = |host: &str, annotations: &[(&str, &str)]| {
        let annotations = [&[("canary", "true")], annotations].concat();
        annotated(&format!("canary-{host}"), &format!("{host}.test"), &annotations, "")
            .replace("name: web, port", "name: next, port")
    };
    let main_of = |host: &str| annotated(host, &format!("{host}.test"), &[], "");
    let manifests = [
        services[0].clone(),
        services[1].clone(),
        canary("field", &[("canary-by-header", "X-Try"), ("canary-by-cookie", "try")]),
        main_of("field"),
        canary("all", &[("canary-weight", "100")]),
        main_of("all"),
        canary("none", &[]),
        main_of("none"),
        canary("alone", &[("canary-weight", "100")]),
    ]
    .join("---\n");
    let portico = Portico::with(&[("all.yaml", &manifests)]).start();
    for (host, fields, want) in [
        ("field.test", "", "main"),
        ("field.test", "X-Try: always\r\n", "next"),
        ("field.test", "X-Try: never\r\nCookie: try=always\r\n", "main"),
        ("field.test", "Cookie: a=b; try=always\r\n", "next"),
        ("all.test", "", "next"),
        ("none.test", "", "main"),
    ] {
        assert_eq!(ask(&portico, host, fields), want, "ingress 2.4: {host} {fields:?}");
    }
    assert_eq!(get(portico.http(), "alone.test", "/").status, 404, "a canary makes no host");
    let main = main_of("all");
    let without = [&services[0], &services[1], &main].map(String::as_str);
    portico.edit("all.yaml", &without.join("---\n"));
    assert_eq!(ask(&portico, "all.test", ""), "main", "the canary left");
}

#[test]
fn another_pod_is_asked_where_an_annotation_says_so() {
    let (busy, good) = (unavailable(), Pod::http("good"));
    let manifests = [
        service("web", "ClusterIP", 80, &[&busy, &good]),
        annotated("again", "again.test", &[("proxy-next-upstream", "error http_503")], ""),
        annotated(
            "once",
            "once.test",
            &[("proxy-next-upstream-tries", "1"), ("proxy-next-upstream", "http_503")],
            "",
        ),
        annotated("plain", "plain.test", &[], ""),
    ]
    .join("---\n");
    let portico = Portico::with(&[("all.yaml", &manifests)]).start();
    let statuses = |host: &str, method: &str| -> Vec<u16> {
        let head = format!("{method} / HTTP/1.1\r\nHost: {host}\r\nContent-Length: 2\r\n\r\n");
        let mut all: Vec<u16> = (0..4)
            .map(|_| {
                Client::connect(portico.http())
                    .request(&head, b"hi")
                    .unwrap()
                    .status
            })
            .collect();
        all.sort_unstable();
        all
    };
    assert_eq!(statuses("again.test", "PUT"), [200; 4], "ingress 2.4: the body is sent again");
    for (host, method, why) in [
        ("again.test", "POST", "it may have been done"),
        ("once.test", "PUT", "one try is all"),
        ("plain.test", "PUT", "nobody asked for it"),
    ] {
        assert_eq!(statuses(host, method), [200, 200, 503, 503], "ingress 2.4: {why}");
    }
    let retries = portico
        .metric("portico_l7_retries_total{port=\"\",protocol=\"tcp\",service=\"default/web\"}");
    assert_eq!(retries, 2, "http-proxy 5.11: every repeat is counted");
}

#[test]
fn settings_say_how_many_requests_are_sent_again() {
    let busy = unavailable();
    let gone = after_head(drop);
    let good = Pod::http("good");
    let manifests = [
        service("web", "ClusterIP", 80, &[&busy, &good]),
        service("half", "ClusterIP", 80, &[&gone, &good]),
        annotated("web", "web.test", &[("proxy-next-upstream", "error http_503")], ""),
        annotated("half", "half.test", &[], "").replace("name: web, port", "name: half, port"),
    ]
    .join("---\n");
    for (percent, again) in [(100, true), (0, false)] {
        let portico = Portico::with(&[("all.yaml", &manifests)])
            .adjust(move |settings| {
                settings.front_door.retry_percent = percent;
                settings.front_door.retries_per_second = 0;
            })
            .start();
        for (host, otherwise) in [("web", 503), ("half", 502)] {
            let address = portico.http();
            let mut statuses: Vec<u16> = (0..4)
                .map(|_| get(address, &format!("{host}.test"), "/").status)
                .collect();
            statuses.sort_unstable();
            let want = if again { [200; 4] } else { [200, 200, otherwise, otherwise] };
            assert_eq!(statuses, want, "http-proxy 5.11: {host} {percent}");
            let of = |name: &str| {
                let labels = format!("port=\"\",protocol=\"tcp\",service=\"default/{host}\"");
                portico.metric(&format!("portico_l7_retries_{name}{{{labels}}}"))
            };
            let want = if again { (2, 0) } else { (0, 2) };
            assert_eq!((of("total"), of("refused_total")), want, "http-proxy 5.11: {host}");
        }
    }
}

#[test]
fn a_pod_that_is_slow_is_given_up_or_another_is_asked() {
    let (slow, good) = (silent(), Pod::http("good"));
    let manifests = [
        service("web", "ClusterIP", 80, &[&slow]),
        service("both", "ClusterIP", 80, &[&slow, &good]),
        annotated("short", "short.test", &[("proxy-read-timeout", "1")], ""),
        annotated(
            "again",
            "again.test",
            &[("proxy-read-timeout", "1"), ("proxy-next-upstream", "timeout")],
            "",
        )
        .replace("name: web, port", "name: both, port"),
    ]
    .join("---\n");
    let portico = Portico::with(&[("all.yaml", &manifests)]).start();
    let began = Instant::now();
    assert_eq!(get(portico.http(), "short.test", "/").status, 504, "ingress 2.4");
    assert!(began.elapsed() >= Duration::from_secs(1), "not before its time");
    for _ in 0..2 {
        assert_eq!(get(portico.http(), "again.test", "/").text(), "good", "ingress 2.4");
    }
}
