//! Annotations of ingress-nginx over real connections: what they keep out, and where they lead.

use crate::front_door::{ingress, secret};
use crate::harness::http::{Client, get};
use crate::harness::pod::Pod;
use crate::harness::portico::Portico;
use crate::services::service;

/// An Ingress for one host, with annotations of ingress-nginx.
pub(crate) fn annotated(name: &str, host: &str, annotations: &[(&str, &str)], tls: &str) -> String {
    let text = ingress(name, &[(host, "Prefix", "/", "web")], tls);
    let lines: String = annotations
        .iter()
        .map(|(name, value)| format!("    nginx.ingress.kubernetes.io/{name}: \"{value}\"\n"))
        .collect();
    text.replacen("spec:\n", &format!("  annotations:\n{lines}spec:\n"), 1)
}

#[test]
fn what_cannot_be_guarded_is_closed_and_neighbours_are_open() {
    let pod = Pod::http("web");
    let manifests = [
        service("web", "ClusterIP", 80, &[&pod]),
        annotated("asks", "asks.test", &[("auth-url", "auth.test")], ""),
        annotated("lists", "lists.test", &[("allowlist-source-range", "ten")], ""),
        annotated("tunes", "tunes.test", &[("proxy-body-size", "ten")], ""),
        annotated("open", "open.test", &[], ""),
    ]
    .join("---\n");
    let portico = Portico::with(&[("all.yaml", &manifests)]).start();
    for (host, status) in
        [("asks.test", 503), ("lists.test", 503), ("tunes.test", 200), ("open.test", 200)]
    {
        assert_eq!(get(portico.http(), host, "/").status, status, "ingress 2.1: {host}");
    }
    let service = service("web", "ClusterIP", 80, &[&pod]);
    let healed = annotated("lists", "lists.test", &[("allowlist-source-range", "127.0.0.0/8")], "");
    portico.edit("all.yaml", &[service, healed].join("---\n"));
    assert_eq!(get(portico.http(), "lists.test", "/").status, 200, "it opens by itself");
}

#[test]
fn lists_and_lengths_keep_out_who_and_what_they_name() {
    let pod = Pod::http("web");
    let manifests = [
        service("web", "ClusterIP", 80, &[&pod]),
        annotated("in", "in.test", &[("allowlist-source-range", "10.0.0.0/8, 127.0.0.1")], ""),
        annotated("out", "out.test", &[("allowlist-source-range", "10.0.0.0/8")], ""),
        annotated("not", "not.test", &[("denylist-source-range", "127.0.0.0/8")], ""),
        annotated("short", "short.test", &[("proxy-body-size", "4b")], ""),
        annotated("any", "any.test", &[("proxy-body-size", "0")], ""),
    ]
    .join("---\n");
    let portico = Portico::with(&[("all.yaml", &manifests)]).start();
    for (host, status) in [("in.test", 200), ("out.test", 403), ("not.test", 403)] {
        assert_eq!(get(portico.http(), host, "/").status, status, "ingress 2.4: {host}");
    }
    let long = vec![b'x'; (1 << 20) + 1];
    for (host, body, status) in [
        ("short.test", &b"1234"[..], 200),
        ("short.test", b"12345", 413),
        ("in.test", &long[1..], 200),
        ("in.test", &long, 413),
        ("any.test", &long, 200),
    ] {
        let head =
            format!("POST / HTTP/1.1\r\nHost: {host}\r\nContent-Length: {}\r\n\r\n", body.len());
        let answer = Client::connect(portico.http())
            .request(&head, body)
            .unwrap();
        assert_eq!(answer.status, status, "ingress 2.4: {host} with {} bytes", body.len());
    }
}

#[test]
fn redirects_lead_where_they_say() {
    let pod = Pod::http("web");
    let (web_tls, _) = secret("web-tls", &["safe.test", "plain.test"]);
    let entry = |host: &str| format!("  tls:\n  - hosts: [{host}]\n    secretName: web-tls\n");
    let manifests = [
        service("web", "ClusterIP", 80, &[&pod]),
        web_tls,
        annotated("safe", "safe.test", &[], &entry("safe.test")),
        annotated("plain", "plain.test", &[("ssl-redirect", "false")], &entry("plain.test")),
        annotated("force", "force.test", &[("force-ssl-redirect", "true")], ""),
        annotated(
            "gone",
            "gone.test",
            &[("permanent-redirect", "https://new.test$request_uri")],
            "",
        ),
        annotated("root", "root.test", &[("app-root", "/start")], ""),
        annotated(
            "path",
            "path.test",
            &[("app-root", "/start"), ("relative-redirects", "true")],
            "",
        ),
        annotated(
            "port",
            "port.test",
            &[("force-ssl-redirect", "true"), ("use-port-in-redirects", "true")],
            "",
        ),
    ]
    .join("---\n");
    let portico = Portico::with(&[("all.yaml", &manifests)]).start();
    for (host, path, status, location) in [
        ("safe.test", "/a?b=c", 308, "https://safe.test/a?b=c".to_owned()),
        ("safe.test:8080", "/a/", 308, "https://safe.test/a".to_owned()),
        ("force.test", "/", 308, "https://force.test".to_owned()),
        ("gone.test", "/x?y", 301, "https://new.test/x?y".to_owned()),
        ("root.test", "/", 302, "http://root.test/start".to_owned()),
        ("path.test", "/", 302, "/start".to_owned()),
        ("port.test", "/a", 308, "https://port.test:443/a".to_owned()),
    ] {
        let answer = get(portico.http(), host, path);
        let got = (answer.status, answer.header("location").unwrap_or_default().to_owned());
        assert_eq!(got, (status, location), "http-proxy 4.10, 7.12: {host}{path}");
    }
    for (host, path) in [("plain.test", "/"), ("root.test", "/other")] {
        assert_eq!(get(portico.http(), host, path).text(), "web", "ingress 2.4: {host}{path}");
    }
}

#[test]
fn patterns_choose_and_rewrites_change_the_path() {
    let (web, api) = (Pod::http("web"), Pod::http("api"));
    let site = |name: &str, path: &str, annotations: &[(&str, &str)]| {
        let text = annotated(name, "site.test", annotations, "");
        text.replace("path: /\n", &format!("path: {path}\n"))
            .replace("pathType: Prefix", "pathType: ImplementationSpecific")
            .replace("name: web, port", "name: api, port")
    };
    let manifests = [
        service("web", "ClusterIP", 80, &[&web]),
        service("api", "ClusterIP", 80, &[&api]),
        annotated("rest", "site.test", &[], ""),
        site("api", "/api(/|$)(.*)", &[("rewrite-target", "/$2"), ("x-forwarded-prefix", "/api")]),
        site("versions", "/v[0-9]+", &[("use-regex", "true")]),
        site("broken", "/odd/(", &[("use-regex", "true")]),
        // Before `rest` in object order, and no reason to close it.
        site("all-broken", "/(", &[("use-regex", "true")]),
    ]
    .join("---\n");
    let portico = Portico::with(&[("all.yaml", &manifests)]).start();
    for (path, status, pod) in [
        ("/", 200, "web"),
        ("/apix", 200, "web"),
        ("/api/users?id=1", 200, "api"),
        ("/api", 200, "api"),
        ("/v1/x", 200, "api"),
        ("/v1x", 200, "web"),
        ("/odd/x", 503, ""),
        ("/odd", 503, ""),
        ("/oddly", 200, "web"),
    ] {
        let answer = get(portico.http(), "site.test", path);
        assert_eq!(answer.status, status, "ingress 2.2: {path}");
        if status == 200 {
            assert_eq!(answer.text(), pod, "ingress 2.2: {path}");
        }
    }
    let seen = get(portico.http(), "site.test", "/api/headers")
        .text()
        .to_owned();
    assert!(seen.contains("GET /headers HTTP/1.1\r\n"), "ingress 2.4: rewrite-target: {seen}");
    assert!(seen.contains("\r\nX-Forwarded-Prefix: /api\r\n"), "ingress 2.4: {seen}");
}

#[test]
fn a_host_has_other_names_that_no_rule_takes() {
    let (web, other) = (Pod::http("web"), Pod::http("other"));
    let (web_tls, _) = secret("web-tls", &["shop.test", "www.shop.test", "alias.test"]);
    let entry = "  tls:\n  - hosts: [shop.test]\n    secretName: web-tls\n";
    let names = [
        ("server-alias", "alias.test, *.aliases.test, taken.test"),
        ("from-to-www-redirect", "true"),
        ("ssl-redirect", "false"),
    ];
    let www = [("from-to-www-redirect", "true")];
    let manifests = [
        service("web", "ClusterIP", 80, &[&web]),
        service("other", "ClusterIP", 80, &[&other]),
        web_tls,
        annotated("shop", "shop.test", &names, entry),
        annotated("www", "www.bare.test", &www, ""),
        annotated("both", "both.test", &www, ""),
        ingress(
            "others",
            &[("taken.test", "Prefix", "/", "other"), ("www.both.test", "Prefix", "/", "other")],
            "",
        ),
    ]
    .join("---\n");
    let portico = Portico::with(&[("all.yaml", &manifests)]).start();
    for (host, want) in [
        ("shop.test", "web"),
        ("alias.test", "web"),
        ("a.aliases.test", "web"),
        ("taken.test", "other"),
        ("both.test", "web"),
        ("www.both.test", "other"),
    ] {
        assert_eq!(get(portico.http(), host, "/").text(), want, "ingress 2.4: {host}");
    }
    for (host, path, location) in [
        ("www.shop.test", "/a?b=c", "http://shop.test/a?b=c"),
        ("www.shop.test:8080", "/a/", "http://shop.test:8080/a"),
        ("bare.test", "/", "http://www.bare.test"),
    ] {
        let answer = get(portico.http(), host, path);
        let got = (answer.status, answer.header("location"));
        assert_eq!(got, (308, Some(location)), "ingress 2.4: {host}{path}");
    }
    let told = portico.warnings();
    let taken = told
        .iter()
        .filter(|it| it.contains("taken.test is the host of a rule"));
    assert_eq!(taken.count(), 1, "ingress 2.4: server-alias: {told:?}");
    let snapshot = portico.snapshot();
    for name in ["shop.test", "www.shop.test", "alias.test"] {
        assert!(snapshot.certificates.exact.contains_key(name), "its certificate is for {name}");
    }
}

#[test]
fn what_backends_say_of_places_is_put_in_other_words() {
    let pod = Pod::serve(std::net::Ipv4Addr::LOCALHOST.into(), |stream| {
        let mut reader = std::io::BufReader::new(stream);
        let mut line = String::new();
        while matches!(std::io::BufRead::read_line(&mut reader, &mut line), Ok(1..)) {
            if line == "\r\n" {
                let said = "HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\
                            Location: http://inner.test/app/x\r\n\
                            Set-Cookie: a=1; Domain=inner.test; Path=/app/x; Secure\r\n\r\n";
                let writer = reader.get_mut();
                if std::io::Write::write_all(writer, said.as_bytes()).is_err() {
                    return;
                }
            }
            line.clear();
        }
    });
    let swaps = [
        ("proxy-redirect-from", "http://inner.test/app"),
        ("proxy-redirect-to", "https://shop.test"),
        ("proxy-cookie-domain", "inner.test shop.test"),
        ("proxy-cookie-path", "/app/ /"),
    ];
    let manifests = [
        service("web", "ClusterIP", 80, &[&pod]),
        annotated("shop", "shop.test", &swaps, ""),
        annotated("plain", "plain.test", &[], ""),
    ]
    .join("---\n");
    let portico = Portico::with(&[("all.yaml", &manifests)]).start();
    for (host, location, cookie) in [
        ("shop.test", "https://shop.test/x", "a=1; Domain=shop.test; Path=/x; Secure"),
        ("plain.test", "http://inner.test/app/x", "a=1; Domain=inner.test; Path=/app/x; Secure"),
    ] {
        let answer = get(portico.http(), host, "/");
        assert_eq!(answer.header("location"), Some(location), "ingress 2.5: proxy-redirect");
        assert_eq!(answer.header("set-cookie"), Some(cookie), "ingress 2.5: proxy-cookie");
    }
}
