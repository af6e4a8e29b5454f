//! What guards a location, over real connections: who may come in, how often, and what is said to
//! scripts of other origins.

use crate::annotations::annotated;
use crate::harness::http::{Answer, Client, get};
use crate::harness::pod::Pod;
use crate::harness::portico::Portico;
use crate::services::service;

/// The answer to a request with fields of its own.
fn ask(portico: &Portico, method: &str, host: &str, fields: &str) -> Answer {
    let head = format!("{method} / HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n");
    Client::connect(portico.http()).request(&head, b"").unwrap()
}

#[test]
fn scripts_of_other_origins_are_told_what_they_may_read() {
    let pod = Pod::http("web");
    let cors = ("enable-cors", "true");
    let listed = ("cors-allow-origin", "https://app.test, https://*.apps.test");
    let manifests = [
        service("web", "ClusterIP", 80, &[&pod]),
        annotated("any", "any.test", &[cors], ""),
        annotated("listed", "listed.test", &[cors, listed, ("cors-max-age", "60")], ""),
        annotated("moved", "moved.test", &[cors, ("permanent-redirect", "https://n.test")], ""),
        annotated("out", "out.test", &[cors, ("denylist-source-range", "127.0.0.0/8")], ""),
    ]
    .join("---\n");
    let portico = Portico::with(&[("all.yaml", &manifests)]).start();
    let app = "Origin: https://app.test\r\n";
    for (case, method, host, fields, status, allowed) in [
        ("anybody", "GET", "any.test", "", 200, Some("*")),
        ("asked before", "OPTIONS", "any.test", app, 204, Some("*")),
        ("listed", "GET", "listed.test", app, 200, Some("https://app.test")),
        ("listed, asked before", "OPTIONS", "listed.test", app, 204, Some("https://app.test")),
        (
            "below a listed name",
            "GET",
            "listed.test",
            "Origin: https://a.apps.test\r\n",
            200,
            Some("https://a.apps.test"),
        ),
        ("another", "GET", "listed.test", "Origin: https://evil.test\r\n", 200, None),
        (
            "another goes to the backend",
            "OPTIONS",
            "listed.test",
            "Origin: https://e\r\n",
            200,
            None,
        ),
        ("ingress 1.10: before a redirect", "OPTIONS", "moved.test", app, 204, Some("*")),
        ("on an answer of portico's own", "GET", "moved.test", app, 301, Some("*")),
        ("ingress 1.10: after the lists", "OPTIONS", "out.test", app, 403, Some("*")),
    ] {
        let answer = ask(&portico, method, host, fields);
        assert_eq!(answer.status, status, "ingress 2.4: enable-cors: {case}");
        let got = answer.header("access-control-allow-origin");
        assert_eq!(got, allowed, "ingress 2.4: cors-allow-origin: {case}");
        let credentials = answer.header("access-control-allow-credentials");
        assert_eq!(credentials, allowed.map(|_| "true"), "{case}");
    }
    let listed = ask(&portico, "GET", "listed.test", app);
    assert_eq!(listed.header("vary"), Some("Origin"), "ingress 2.4: one of many answers");
    assert_eq!(listed.header("access-control-max-age"), Some("60"));
}

#[test]
fn who_asks_too_much_is_refused_over_all_locations_of_the_ingress() {
    let pod = Pod::http("web");
    // Ten an hour and less: time does not make a difference.
    let limit = [("limit-rpm", "1"), ("limit-burst-multiplier", "2")];
    let exempt = [limit[0], limit[1], ("limit-allowlist", "127.0.0.0/8")];
    let manifests = [
        service("web", "ClusterIP", 80, &[&pod]),
        annotated("slow", "slow.test", &[limit[0], limit[1], ("enable-cors", "true")], ""),
        annotated("other", "other.test", &limit, ""),
        annotated("free", "free.test", &exempt, ""),
    ]
    .join("---\n");
    let portico = Portico::with(&[("all.yaml", &manifests)]).start();
    let statuses = |host: &str| -> Vec<u16> {
        (0..5)
            .map(|_| get(portico.http(), host, "/").status)
            .collect()
    };
    assert_eq!(statuses("slow.test"), [200, 200, 200, 429, 429], "ingress 2.4: limit-rpm");
    assert_eq!(statuses("free.test"), [200; 5], "ingress 2.5: limit-allowlist");
    let refused = ask(&portico, "GET", "slow.test", "Origin: https://app.test\r\n");
    assert_eq!(refused.header("access-control-allow-origin"), Some("*"), "ingress 2.4: on 429 too");
    let asked = ask(&portico, "OPTIONS", "slow.test", "Origin: https://app.test\r\n");
    assert_eq!(asked.status, 204, "ingress 1.10: preflight comes before the limits");
    // Another object changes: what was counted stays.
    portico.edit("more.yaml", &annotated("more", "more.test", &[], ""));
    assert_eq!(get(portico.http(), "slow.test", "/").status, 429, "a reload forgets nothing");
    assert_eq!(statuses("other.test"), [200, 200, 200, 429, 429], "each Ingress by itself");
}
