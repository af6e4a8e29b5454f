//! Another service that says whether a request may pass (`http-proxy 0.2, 3.7`).

use std::io::{BufReader, Write};
use std::net::{Ipv4Addr, TcpStream};

use crate::annotations::annotated;
use crate::front_door::ingress;
use crate::harness::http::{Answer, Client};
use crate::harness::pod::{Pod, head};
use crate::harness::portico::Portico;
use crate::services::service;

/// A service that lets in who has a good token.
fn judge() -> Pod {
    Pod::serve(Ipv4Addr::LOCALHOST.into(), |stream| while judge_one(&stream).is_some() {})
}

fn judge_one(mut stream: &TcpStream) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let head = head(&mut reader)?;
    let value = |name: &str| {
        let mut lines = head.lines();
        let line = lines.find(|line| line.to_ascii_lowercase().starts_with(&format!("{name}: ")));
        line.map_or("", |line| &line[name.len() + 2..])
    };
    let (status, more) = match value("x-token") {
        "good" => ("204 No Content", "X-User: ann\r\nX-Other: 1\r\nSet-Cookie: s=1\r\n"),
        "bad" => ("403 Forbidden", "Set-Cookie: s=2\r\n"),
        "odd" => ("418 Teapot", ""),
        "told" => ("200 OK", ""),
        _ => ("401 Unauthorized", "WWW-Authenticate: Bearer realm=\"j\"\r\nSet-Cookie: s=3\r\n"),
    };
    let names = ["x-original-url", "x-original-method", "x-auth-request-redirect", "x-real-ip"];
    let said: Vec<&str> = names.iter().map(|name| value(name)).collect();
    let line = head.lines().next()?;
    let told = format!("{line} {} {}", value("host"), said.join(" "));
    let body = if status.starts_with("204") { "" } else { "no" };
    let length = if body.is_empty() { String::new() } else { "Content-Length: 2\r\n".to_owned() };
    let answer = format!("HTTP/1.1 {status}\r\n{more}X-Told: {told}\r\n{length}\r\n{body}");
    let body = if line.starts_with("HEAD") { body.len() } else { 0 };
    stream
        .write_all(&answer.as_bytes()[..answer.len() - body])
        .ok()
}

fn ask(portico: &Portico, host: &str, path: &str, fields: &str) -> Answer {
    let head = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n");
    Client::connect(portico.http()).request(&head, b"").unwrap()
}

fn token(token: &str) -> String {
    format!("X-Token: {token}\r\nX-User: eve\r\n")
}

const BY_NAME: (&str, &str) = ("auth-url", "http://judge.default.svc.cluster.local/check?u=$uri");
const FIELDS: (&str, &str) = ("auth-response-headers", "X-User, X-Told");

#[test]
fn another_service_says_who_may_pass() {
    let (pod, judge) = (Pod::http("web"), judge());
    let outside = format!("http://{}/check", judge.address);
    let sign_in = ("auth-signin", "https://login.test/start");
    let manifests = [
        service("web", "ClusterIP", 80, &[&pod]),
        service("judge", "ClusterIP", 80, &[&judge]),
        annotated("name", "name.test", &[BY_NAME, FIELDS], ""),
        annotated("own", "own.test", &[("auth-url", "https://$host/judge"), FIELDS], ""),
        ingress("judge", &[("own.test", "Prefix", "/judge", "judge")], ""),
        annotated("outside", "outside.test", &[("auth-url", &outside), FIELDS], ""),
        annotated("login", "login.test", &[BY_NAME, sign_in, ("enable-cors", "true")], ""),
        annotated("moved", "moved.test", &[BY_NAME, ("permanent-redirect", "https://n.test")], ""),
        annotated("open", "open.test", &[], ""),
    ]
    .join("---\n");
    let portico = Portico::with(&[("all.yaml", &manifests)]).start();
    for host in ["name.test", "own.test", "outside.test"] {
        for (given, status) in [("good", 200), ("bad", 403), ("odd", 500), ("", 401)] {
            let answer = ask(&portico, host, "/", &token(given));
            assert_eq!(answer.status, status, "ingress 2.4: auth-url: {host} {given:?}");
        }
        let answer = ask(&portico, host, "/headers", &token("good"));
        let seen = answer.text().to_ascii_lowercase();
        assert!(seen.contains("x-user: ann\r\n"), "ingress 2.4: auth-response-headers: {seen}");
        assert!(!seen.contains("eve") && !seen.contains("x-other"), "in place of the client's");
        assert_eq!(answer.header("set-cookie"), Some("s=1"), "{host}");
        let told = seen
            .lines()
            .find(|line| line.starts_with("x-told"))
            .unwrap();
        let (url, client) = (format!("http://{host}/headers get /headers"), "127.0.0.1");
        assert!(told.contains(&url) && told.ends_with(client), "ingress 2.4: auth-url: {told}");
    }
    for (host, status) in [("name.test", 400), ("open.test", 200)] {
        let twice = format!("{}Authorization: a\r\nAuthorization: b\r\n", token("good"));
        let answer = ask(&portico, host, "/", &twice);
        assert_eq!(answer.status, status, "RFC 9110 11.6.2: one of them, whoever looks: {host}");
    }
    let told = ask(&portico, "name.test", "/headers", &token("told"));
    let line = "X-Told: GET /check?u=/headers HTTP/1.1 judge.default.svc.cluster.local ";
    assert!(!told.text().contains("X-User"), "absent in the answer: removed");
    assert!(told.text().contains(line), "ingress 2.4: auth-url: {}", told.text());
    let refused = ask(&portico, "name.test", "/", "");
    assert_eq!(refused.header("www-authenticate"), Some("Bearer realm=\"j\""));
    assert_eq!(refused.header("set-cookie"), None, "ingress 2.4: not with 401");
    assert_eq!(refused.text(), "401 Unauthorized\n", "a body of portico's own");
    let login = ask(&portico, "login.test", "/a?b=c", "");
    assert_eq!(login.status, 302, "ingress 2.4: auth-signin");
    let want = "https://login.test/start?rd=http://login.test%2Fa%3Fb%3Dc";
    assert_eq!(login.header("location"), Some(want));
    assert_eq!(login.header("set-cookie"), Some("s=3"), "ingress 2.4: auth-signin: cookies");
    assert_eq!(login.header("access-control-allow-origin"), Some("*"), "and CORS");
    assert_eq!(ask(&portico, "moved.test", "/", "").status, 401, "ingress 1.10: before redirects");
    assert_eq!(ask(&portico, "moved.test", "/", &token("good")).status, 301, "ingress 1.10");
    assert_eq!(ask(&portico, "open.test", "/", "").status, 200, "a neighbour");
}

#[test]
fn what_cannot_be_asked_keeps_everybody_out() {
    let (pod, judge) = (Pod::http("web"), judge());
    // Nobody listens there any more.
    let gone = judge.address;
    drop(judge);
    let gone = format!("http://{gone}/");
    let missing = ("auth-url", "http://nobody.default.svc.cluster.local/");
    let any_host = annotated("any", "any.test", &[("auth-url", "http://$host/check")], "");
    let any_host = any_host.replace("  - host: \"any.test\"\n    http:", "  - http:");
    let map = |name: &str, line: &str| {
        format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{{line}}}\n")
    };
    let set = |name| [("auth-url", "http://loop.test/"), ("auth-proxy-set-headers", name)];
    let manifests = [
        service("web", "ClusterIP", 80, &[&pod]),
        annotated("missing", "missing.test", &[missing], ""),
        annotated("gone", "gone.test", &[("auth-url", &gone)], ""),
        annotated("loop", "loop.test", &[("auth-url", "http://loop.test/")], ""),
        annotated("cloud", "cloud.test", &[("auth-url", "http://169.254.169.254/latest")], ""),
        annotated("odd", "odd.test", &[("auth-url", "http://a.test/$nothing")], ""),
        annotated("nomap", "nomap.test", &set("nothing"), ""),
        annotated("badmap", "badmap.test", &set("bad"), ""),
        map("bad", "Host: evil.test"),
        any_host,
        annotated("open", "open.test", &[], ""),
    ]
    .join("---\n");
    let portico = Portico::with(&[("all.yaml", &manifests)]).start();
    for (host, status) in [
        ("missing.test", 500),
        ("gone.test", 500),
        ("loop.test", 500),
        ("cloud.test", 500),
        ("odd.test", 503),
        ("nomap.test", 503),
        ("badmap.test", 503),
        ("whatever.a.client.says.test", 500),
        ("localhost", 500),
        ("open.test", 200),
    ] {
        let answer = ask(&portico, host, "/", "");
        assert_eq!(answer.status, status, "ingress 2.4, 6.7: auth-url: {host}");
    }
}

#[test]
fn the_admin_listener_is_nobody_to_ask_or_to_tell() {
    let pod = Pod::http("web");
    let text = [service("web", "ClusterIP", 80, &[&pod]), annotated("open", "open.test", &[], "")];
    let first = annotated("asks", "asks.test", &[("auth-url", "http://gone.invalid/")], "");
    let files = [("all.yaml", &*text.join("---\n")), ("asks.yaml", &first)];
    let portico = Portico::with(&files).start();
    let admin = portico.admin();
    for host in [admin.ip().to_string(), format!("[::ffff:{}]", admin.ip()), "localhost".to_owned()]
    {
        let url = format!("http://{host}:{}/livez", admin.port());
        let asks = annotated("asks", "asks.test", &[("auth-url", &url)], "");
        let mirrors = annotated("tells", "tells.test", &[("mirror-target", &url)], "");
        portico.edit("asks.yaml", &[asks, mirrors].join("---\n"));
        assert_eq!(ask(&portico, "asks.test", "/", "").status, 500, "reliability 2.11.1: {url}");
        let failed = "portico_l7_mirrored_total{outcome=\"failed\"}";
        let before = portico.metric(failed);
        assert_eq!(ask(&portico, "tells.test", "/", "").status, 200, "{url}");
        crate::harness::eventually("the copy is not sent", || {
            (portico.metric(failed) > before).then_some(())
        });
    }
}

#[test]
fn a_question_says_what_a_config_map_adds() {
    let (pod, judge) = (Pod::http("web"), judge());
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: said}\ndata: {X-Token: good}\n";
    let asks = [BY_NAME, ("auth-proxy-set-headers", "said"), ("auth-method", "HEAD"), FIELDS];
    let manifests = [
        service("web", "ClusterIP", 80, &[&pod]),
        service("judge", "ClusterIP", 80, &[&judge]),
        annotated("asks", "asks.test", &asks, ""),
    ]
    .join("---\n");
    let portico = Portico::with(&[("all.yaml", &manifests), ("map.yaml", map)]).start();
    let answer = ask(&portico, "asks.test", "/headers", "X-Token: bad\r\n");
    assert_eq!(answer.status, 200, "ingress 2.5: auth-proxy-set-headers");
    assert!(answer.text().contains("HEAD /check"), "ingress 2.5: auth-method: {}", answer.text());
    portico.edit("map.yaml", &map.replace("good", "bad"));
    let answer = ask(&portico, "asks.test", "/headers", "X-Token: good\r\n");
    assert_eq!(answer.status, 403, "an edit counts at once");
    portico.edit("map.yaml", &map.replace("said", "other"));
    assert_eq!(ask(&portico, "asks.test", "/", "").status, 503, "ingress 2.1: it is gone");
}

#[test]
fn settings_say_which_hosts_outside_may_be_asked() {
    let (pod, judge) = (Pod::http("web"), judge());
    let here = format!("http://{}/", judge.address);
    let there = format!("http://[::1]:{}/", judge.address.port());
    let manifests = [
        service("web", "ClusterIP", 80, &[&pod]),
        annotated("here", "here.test", &[("auth-url", &here)], ""),
        annotated("there", "there.test", &[("auth-url", &there)], ""),
        annotated("own", "own.test", &[("auth-url", "http://open.test/")], ""),
        annotated("open", "open.test", &[], ""),
    ]
    .join("---\n");
    let portico = Portico::with(&[("all.yaml", &manifests)])
        .adjust(|settings| settings.front_door.outbound_hosts = vec!["127.0.0.1".into()])
        .start();
    for (host, status) in
        [("here.test", 200), ("there.test", 503), ("own.test", 200), ("open.test", 200)]
    {
        let answer = ask(&portico, host, "/", &token("good"));
        assert_eq!(answer.status, status, "ingress 6.7: outboundHosts: {host}");
    }
}

#[test]
fn who_is_asked_over_tls_outside_has_to_prove_its_name() {
    let authority = crate::backend_tls::Authority::new();
    let judge = Pod::https("judge", &authority.server("127.0.0.1", None));
    let pod = Pod::http("web");
    let url = format!("https://{}/", judge.address);
    let asks = |name: &str| annotated(name, &format!("{name}.test"), &[("auth-url", &url)], "");
    let off = "  annotations:\n    portico.dev/auth-url-verify: \"off\"\n";
    let manifests = [
        service("web", "ClusterIP", 80, &[&pod]),
        asks("verified"),
        asks("any").replacen("  annotations:\n", off, 1),
    ]
    .join("---\n");
    let portico = Portico::with(&[("all.yaml", &manifests)]).start();
    for (host, status) in [("verified.test", 500), ("any.test", 200)] {
        assert_eq!(ask(&portico, host, "/", "").status, status, "ingress 2.4: auth-url: {host}");
    }
}
