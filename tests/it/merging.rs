//! Several Ingresses of one host, and what stands for a host as a whole (`ingress 1.3` to `1.5`).

use crate::annotations::annotated;
use crate::front_door::ingress;
use crate::harness::http::{Answer, Client, get};
use crate::harness::pod::Pod;
use crate::harness::portico::Portico;
use crate::services::service;

/// The same object, made on a day of January.
fn made(text: &str, day: u8) -> String {
    let time = format!("metadata:\n  creationTimestamp: \"2026-01-{day:02}T00:00:00Z\"\n");
    text.replacen("metadata:\n", &time, 1)
}

/// The same Ingress with a default backend.
fn or_else(text: &str, service: &str) -> String {
    let backend = format!(
        "spec:\n  defaultBackend: {{service: {{name: {service}, port: {{number: 80}}}}}}\n"
    );
    text.replacen("spec:\n", &backend, 1)
}

/// An Ingress that is a default backend and nothing else.
fn catch_all(name: &str, service: &str, annotations: &[(&str, &str)]) -> String {
    let text = or_else(&annotated(name, "x.test", annotations, ""), service);
    text[..text.find("  rules:\n").unwrap()].to_owned()
}

fn at(text: &str, path: &str, service: &str) -> String {
    text.replace("path: /\n", &format!("path: {path}\n"))
        .replace("name: web, port", &format!("name: {service}, port"))
}

fn put(portico: &Portico, host: &str, path: &str, body: &str) -> Answer {
    let length = body.len();
    let head = format!("PUT {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n\r\n");
    let mut client = Client::connect(portico.http());
    client.request(&head, body.as_bytes()).unwrap()
}

/// Whether something was told that holds all of these.
fn is_told(portico: &Portico, texts: &[&str]) -> bool {
    let told = portico.warnings();
    told.iter()
        .any(|it| texts.iter().all(|text| it.contains(text)))
}

#[test]
fn of_what_is_for_a_whole_host_the_first_ingress_says_it() {
    let (web, other) = (Pod::http("web"), Pod::http("other"));
    let first = [("app-root", "/first"), ("server-alias", "one.test")];
    let second =
        [("app-root", "/second"), ("server-alias", "two.test"), ("from-to-www-redirect", "true")];
    let manifests = [
        service("web", "ClusterIP", 80, &[&web]),
        service("other", "ClusterIP", 80, &[&other]),
        // The older comes first, whatever it is called and wherever it stands.
        made(&at(&annotated("a", "host.test", &second, ""), "/a", "other"), 2),
        made(&annotated("z", "host.test", &first, ""), 1),
        // Without a date behind all that have one.
        at(&annotated("b", "host.test", &[("app-root", "/third")], ""), "/a", "web"),
    ]
    .join("---\n");
    let portico = Portico::with(&[("all.yaml", &manifests)]).start();
    let root = get(portico.http(), "host.test", "/");
    let lead = (root.status, root.header("location"));
    assert_eq!(lead, (302, Some("http://host.test/first")), "ingress 1.4: app-root");
    assert_eq!(get(portico.http(), "one.test", "/x").text(), "web", "ingress 1.4: server-alias");
    assert_eq!(get(portico.http(), "two.test", "/x").status, 404, "ingress 1.4: server-alias");
    let www = get(portico.http(), "www.host.test", "/");
    assert_eq!(www.status, 308, "ingress 1.4: the first that sets it");
    assert_eq!(get(portico.http(), "host.test", "/a").text(), "other", "ingress 1.4: of one path");
    for texts in [
        ["default/a:", "`app-root` of host.test is that of Ingress default/z"],
        ["default/b:", "`app-root` of host.test is that of Ingress default/z"],
        ["default/a:", "the aliases of host.test are those of Ingress default/z"],
        ["default/b:", "host.test /a is already served by Ingress default/a"],
    ] {
        assert!(is_told(&portico, &texts), "ingress 1.4: {texts:?}: {:?}", portico.warnings());
    }
}

#[test]
fn annotations_are_for_all_locations_of_their_ingress_and_for_no_other() {
    let pod = Pod::http("web");
    let denied = [("denylist-source-range", "127.0.0.0/8")];
    let mine = annotated("mine", "host.test", &denied, "");
    let manifests = [
        service("web", "ClusterIP", 80, &[&pod]),
        or_else(&at(&mine, "/in", "web"), "web"),
        at(&annotated("others", "host.test", &[], ""), "/out", "web"),
        // Its own default comes second for this host.
        or_else(&at(&annotated("second", "host.test", &[], ""), "/second", "web"), "web"),
        at(&annotated("foreign", "foreign.test", &denied, ""), "/", "web").replacen(
            "spec:\n",
            "spec:\n  ingressClassName: other\n",
            1,
        ),
    ]
    .join("---\n");
    let portico = Portico::with(&[("all.yaml", &manifests)]).start();
    for (path, status) in
        [("/in", 403), ("/in/x", 403), ("/anything", 403), ("/out", 200), ("/second", 200)]
    {
        assert_eq!(get(portico.http(), "host.test", path).status, status, "ingress 2.1: {path}");
    }
    assert_eq!(get(portico.http(), "foreign.test", "/").status, 404, "ingress 1.7, 2.1");
}

#[test]
fn what_no_rule_is_for_obeys_the_first_ingress_without_rules() {
    let (web, other) = (Pod::http("web"), Pod::http("other"));
    let asks = [
        ("proxy-body-size", "4b"),
        ("rewrite-target", "/elsewhere"),
        ("x-forwarded-prefix", "/was"),
        ("permanent-redirect", "https://else.test"),
        ("force-ssl-redirect", "true"),
        ("app-root", "/start"),
    ];
    let manifests = [
        service("web", "ClusterIP", 80, &[&web]),
        service("other", "ClusterIP", 80, &[&other]),
        catch_all("a-canary", "other", &[("canary", "true"), ("canary-weight", "100")]),
        catch_all("b", "web", &asks),
        catch_all("c", "other", &[]),
        at(&annotated("d", "host.test", &[], ""), "/in", "other"),
    ]
    .join("---\n");
    let portico = Portico::with(&[("all.yaml", &manifests)]).start();
    for host in ["host.test", "nobody.test"] {
        let answer = get(portico.http(), host, "/headers");
        let seen = answer.text();
        assert!(seen.starts_with("webGET /headers "), "ingress 1.5: {host}: {seen}");
        assert!(!seen.contains("X-Forwarded-Prefix"), "ingress 1.5: no rewrite: {seen}");
        assert_eq!(get(portico.http(), host, "/").text(), "web", "ingress 1.5: no redirect");
        for (body, status) in [("1234", 200), ("12345", 413)] {
            let got = put(&portico, host, "/", body).status;
            assert_eq!(got, status, "ingress 1.5: what else it asks: {host}");
        }
    }
    assert_eq!(get(portico.http(), "host.test", "/in").text(), "other");
}

#[test]
fn a_rewrite_to_the_path_itself_changes_nothing_and_text_takes_the_place_of_a_path() {
    let pod = Pod::http("web");
    let site = |name: &str, kind: &str, path: &str, target: &str| {
        let annotations = [("rewrite-target", target), ("x-forwarded-prefix", "/was")];
        at(&annotated(name, &format!("{name}.test"), &annotations, ""), path, "web")
            .replace("pathType: Prefix", &format!("pathType: {kind}"))
    };
    let manifests = [
        service("web", "ClusterIP", 80, &[&pod]),
        site("same", "Prefix", "/headers", "/headers"),
        site("text", "Prefix", "/app", "/headers$1"),
        site("exact", "Exact", "/app", "headers"),
        site("away", "ImplementationSpecific", "/app/(.*)", "https://else.test/$1"),
    ]
    .join("---\n");
    let portico = Portico::with(&[("all.yaml", &manifests)]).start();
    assert_eq!(get(portico.http(), "same.test", "/headers/x").text(), "web", "ingress 2.4");
    let same = get(portico.http(), "same.test", "/headers");
    assert!(!same.text().contains("X-Forwarded-Prefix"), "ingress 2.4: {}", same.text());
    for (host, path) in [("text.test", "/app/x?a=b"), ("exact.test", "/app?a=b")] {
        // With a query it is another path to the pod.
        assert_eq!(get(portico.http(), host, path).text(), "web", "ingress 2.4: {host}");
        let (path, _) = path.split_once('?').unwrap();
        let seen = get(portico.http(), host, path);
        let seen = seen.text();
        assert!(seen.starts_with("webGET /headers HTTP/1.1"), "ingress 2.4: {host}: {seen}");
        assert!(seen.contains("X-Forwarded-Prefix: /was\r\n"), "ingress 2.4: {host}: {seen}");
    }
    let away = get(portico.http(), "away.test", "/app/x");
    let lead = (away.status, away.header("location"));
    assert_eq!(lead, (302, Some("https://else.test/x")), "ingress 2.4: rewrite-target");
}

#[test]
fn a_location_has_one_canary_and_of_another_service() {
    let (web, next, third) = (Pod::http("web"), Pod::http("next"), Pod::http("third"));
    let canary = |name: &str, host: &str, to: &str| {
        let all =
            [("canary", "true"), ("canary-weight", "100"), ("permanent-redirect", "https://x")];
        at(&annotated(name, host, &all, ""), "/", to)
    };
    let manifests = [
        service("web", "ClusterIP", 80, &[&web]),
        service("next", "ClusterIP", 80, &[&next]),
        service("third", "ClusterIP", 80, &[&third]),
        annotated("main", "two.test", &[("proxy-body-size", "4b")], ""),
        canary("n-first", "two.test", "next"),
        canary("o-second", "two.test", "third"),
        annotated("same", "same.test", &[], ""),
        canary("same-canary", "same.test", "web"),
        annotated("exact", "type.test", &[], "").replace("pathType: Prefix", "pathType: Exact"),
        canary("type-canary", "type.test", "next"),
    ]
    .join("---\n");
    let portico = Portico::with(&[("all.yaml", &manifests)]).start();
    for (host, want) in [("two.test", "next"), ("same.test", "web"), ("type.test", "web")] {
        assert_eq!(get(portico.http(), host, "/").text(), want, "ingress 2.4: canary: {host}");
    }
    let long = put(&portico, "two.test", "/", "12345").status;
    assert_eq!(long, 413, "ingress 2.4: canary: the rest is the main's");
    for texts in [
        ["default/o-second:", "gets no canary: another canary comes first"],
        ["default/same-canary:", "gets no canary: its Service is that of the main Ingress"],
        ["default/type-canary:", "gets no canary: no other Ingress has this host, type and path"],
    ] {
        assert!(is_told(&portico, &texts), "ingress 2.4: {texts:?}: {:?}", portico.warnings());
    }
}

#[test]
fn plain_http_is_redirected_where_any_ingress_of_the_host_speaks_of_tls() {
    let pod = Pod::http("web");
    let manifests = [
        service("web", "ClusterIP", 80, &[&pod]),
        // The Secret need not be there.
        ingress(
            "entry",
            &[("host.test", "Prefix", "/a", "web")],
            "  tls: [{hosts: [host.test, \"*.wild.test\"], secretName: nowhere}, {hosts: [bare.test]}]\n",
        ),
        ingress(
            "others",
            &[
                ("host.test", "Prefix", "/b", "web"),
                ("a.wild.test", "Prefix", "/", "web"),
                ("bare.test", "Prefix", "/", "web"),
                ("plain.test", "Prefix", "/", "web"),
            ],
            "",
        ),
    ]
    .join("---\n");
    let statuses = |portico: &Portico| {
        let asked = [
            ("host.test", "/a"),
            ("host.test", "/b"),
            ("a.wild.test", "/"),
            ("bare.test", "/"),
            ("plain.test", "/"),
        ];
        asked.map(|(host, path)| get(portico.http(), host, path).status)
    };
    let portico = Portico::with(&[("all.yaml", &manifests)]).start();
    assert_eq!(statuses(&portico), [308, 308, 308, 308, 200], "ingress 2.4: ssl-redirect");
    let portico = Portico::with(&[("all.yaml", &manifests)])
        .adjust(|settings| settings.front_door.ssl_redirect = false)
        .start();
    assert_eq!(statuses(&portico), [200; 5], "ingress 2.8: sslRedirect");
}

#[test]
fn resources_are_not_found_and_classless_ingresses_are_as_settings_say() {
    let pod = Pod::http("web");
    let rule = [("bucket.test", "Prefix", "/", "web")];
    let bucket = ingress("bucket", &rule, "").replace(
        "{service: {name: web, port: {number: 80}}}",
        "{resource: {kind: Bucket, name: b}}",
    );
    let classed = ingress("classed", &[("classed.test", "Prefix", "/", "web")], "").replacen(
        "spec:\n",
        "spec:\n  ingressClassName: portico\n",
        1,
    );
    let manifests = [service("web", "ClusterIP", 80, &[&pod]), bucket, classed].join("---\n");
    let statuses = |portico: &Portico| {
        ["bucket.test", "classed.test"].map(|host| get(portico.http(), host, "/").status)
    };
    let portico = Portico::with(&[("all.yaml", &manifests)]).start();
    assert_eq!(statuses(&portico), [404, 200], "ingress 1.1: backend.resource");
    assert!(is_told(&portico, &["default/bucket:", "serves no resource backend"]));
    let portico = Portico::with(&[("all.yaml", &manifests.replace("bucket.test", "none.test"))])
        .adjust(|settings| settings.serve_classless = false)
        .start();
    let admin = portico.admin();
    let status = get(admin, &admin.to_string(), "/api/v1/ingresses");
    let status: serde_json::Value = serde_json::from_slice(&status.body).unwrap();
    let served = status["ingresses"].as_array().unwrap().iter();
    let served: Vec<_> = served
        .map(|it| (it["name"].as_str().unwrap(), it["served"].as_bool().unwrap()))
        .collect();
    assert_eq!(served, [("bucket", false), ("classed", true)], "ingress 1.7: serveClassless");
}

#[test]
fn who_is_served_follows_the_settings_about_classes() {
    let pod = Pod::http("web");
    let class = "apiVersion: networking.k8s.io/v1\nkind: IngressClass\nmetadata: {name: object}\n\
                 spec: {controller: example.com/ours}\n";
    let theirs = class
        .replace("name: object", "name: theirs")
        .replace("example.com/ours", "k8s.io/ingress-nginx");
    let of = |name: &str| {
        let text = ingress(name, &[(&format!("{name}.test"), "Prefix", "/", "web")], "");
        text.replacen("spec:\n", &format!("spec:\n  ingressClassName: {name}\n"), 1)
    };
    let names = ["mine", "nginx", "object", "theirs"];
    let mut all = vec![service("web", "ClusterIP", 80, &[&pod]), class.to_owned(), theirs];
    all.extend(names.map(of));
    let statuses = |portico: &Portico| {
        names.map(|name| get(portico.http(), &format!("{name}.test"), "/").status)
    };
    let manifests = all.join("---\n");
    let portico = Portico::with(&[("all.yaml", &manifests)]).start();
    assert_eq!(statuses(&portico), [404, 200, 404, 200], "ingress 1.7: by default");
    let portico = Portico::with(&[("all.yaml", &manifests)])
        .adjust(|settings| {
            settings.class_names = vec!["mine".into()];
            settings.controllers = vec!["example.com/ours".into()];
        })
        .start();
    assert_eq!(statuses(&portico), [200, 404, 200, 404], "ingress 2.8: classNames, controllers");
}
