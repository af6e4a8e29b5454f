//! Ingress over HTTP, HTTPS and WebSocket (`http-proxy 1.26, 1.29, 3.1, 5.1, 7.2`).

use std::io::Write;
use std::net::TcpStream;

use crate::harness::http::{Client, get};
use crate::harness::pod::Pod;
use crate::harness::portico::Portico;
use crate::services::service;

/// An Ingress with one rule per `(host, pathType, path, service)`.
pub(crate) fn ingress(name: &str, rules: &[(&str, &str, &str, &str)], tls: &str) -> String {
    let mut text = format!(
        "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata:\n  name: {name}\nspec:\n{tls}  \
         rules:\n"
    );
    for (host, kind, path, service) in rules {
        text.push_str(&format!(
            "  - host: \"{host}\"\n    http:\n      paths:\n      - path: {path}\n        pathType: \
             {kind}\n        backend: {{service: {{name: {service}, port: {{number: 80}}}}}}\n"
        ));
    }
    text
}

#[test]
fn host_and_path_choose_the_service() {
    let (a, b, c) = (Pod::http("a"), Pod::http("b"), Pod::http("c"));
    let manifests = [
        service("a", "ClusterIP", 80, &[&a]),
        service("b", "ClusterIP", 80, &[&b]),
        service("c", "ClusterIP", 80, &[&c]),
        ingress(
            "site",
            &[
                ("shop.test", "Prefix", "/", "a"),
                ("shop.test", "Prefix", "/cart", "b"),
                ("shop.test", "Exact", "/cart", "c"),
                ("*.shop.test", "Prefix", "/", "c"),
            ],
            "",
        ),
    ]
    .join("---\n");
    let portico = Portico::with(&[("all.yaml", &manifests)]).start();
    for (host, path, status, pod) in [
        ("shop.test", "/", 200, "a"),
        ("SHOP.test", "/", 200, "a"),
        ("shop.test:8080", "/cartoon", 200, "a"),
        ("shop.test", "/cart/1", 200, "b"),
        ("shop.test", "/cart/", 200, "b"),
        ("shop.test", "/cart", 200, "c"),
        ("shop.test", "/x/../cart", 200, "c"),
        ("de.shop.test", "/", 200, "c"),
        ("a.de.shop.test", "/", 404, ""),
        ("other.test", "/", 404, ""),
    ] {
        let answer = get(portico.http(), host, path);
        assert_eq!(answer.status, status, "{host}{path}");
        if status == 200 {
            assert_eq!(answer.text(), pod, "{host}{path}");
        }
    }
}

#[test]
fn missing_parts_are_503_and_heal() {
    let rules = [("web.test", "Prefix", "/", "web")];
    let portico = Portico::with(&[("i.yaml", &ingress("i", &rules, ""))]).start();
    assert_eq!(get(portico.http(), "web.test", "/").status, 503, "no Service");
    portico.edit("s.yaml", &service("web", "ClusterIP", 80, &[]));
    let pod = Pod::http("web");
    portico.edit("s.yaml", &service("web", "ClusterIP", 80, &[&pod]));
    assert_eq!(get(portico.http(), "web.test", "/").text(), "web");
}

#[test]
fn forwarding_headers_are_ours_and_hop_by_hop_headers_end_here() {
    let pod = Pod::http("web");
    let rules = [("web.test", "Prefix", "/", "web")];
    let manifests =
        [service("web", "ClusterIP", 80, &[&pod]), ingress("i", &rules, "")].join("---\n");
    let portico = Portico::with(&[("all.yaml", &manifests)]).start();
    let head = "GET /headers HTTP/1.1\r\nHost: web.test\r\nX-Forwarded-For: 6.6.6.6\r\n\
                Connection: x-secret\r\nX-Secret: 1\r\nProxy: evil\r\nX-Kept: yes\r\n\r\n";
    let answer = Client::connect(portico.http()).request(head, b"").unwrap();
    let seen = answer.text().to_ascii_lowercase();
    for want in ["x-forwarded-for: 127.0.0.1\r", "x-forwarded-proto: http\r", "x-kept: yes\r"] {
        assert!(seen.contains(want), "{want} in {seen}");
    }
    for gone in ["x-secret", "\nproxy:", "x-forwarded-for: 6.6.6.6"] {
        assert!(!seen.contains(gone), "{gone} in {seen}");
    }
    assert!(seen.contains("x-original-forwarded-for: 6.6.6.6"), "{seen}");
    assert_eq!(answer.header("server"), Some("portico"));
}

#[test]
fn clients_and_pods_keep_their_connections() {
    let pod = Pod::http("web");
    let rules = [("web.test", "Prefix", "/", "web")];
    let manifests =
        [service("web", "ClusterIP", 80, &[&pod]), ingress("i", &rules, "")].join("---\n");
    let portico = Portico::with(&[("all.yaml", &manifests)])
        .workers(1)
        .start();
    let mut client = Client::connect(portico.http());
    for _ in 0..50 {
        assert_eq!(client.get("web.test", "/").unwrap().status, 200);
    }
    assert_eq!(pod.connections(), 1);
}

#[test]
fn bodies_pass_whole_in_both_directions() {
    let pod = Pod::http("web");
    let rules = [("web.test", "Prefix", "/", "web")];
    let manifests =
        [service("web", "ClusterIP", 80, &[&pod]), ingress("i", &rules, "")].join("---\n");
    let portico = Portico::with(&[("all.yaml", &manifests)]).start();
    let body: Vec<u8> = (0..900_000_u32).map(|n| n.to_le_bytes()[1]).collect();
    let head =
        format!("POST /up HTTP/1.1\r\nHost: web.test\r\nContent-Length: {}\r\n\r\n", body.len());
    let answer = Client::connect(portico.http())
        .request(&head, &body)
        .unwrap();
    assert_eq!(&answer.body[..3], b"web");
    assert!(answer.body[3..] == body[..], "every byte came back");
}

#[test]
fn requests_that_mean_two_things_are_refused_before_a_pod_sees_them() {
    let pod = Pod::http("web");
    let rules = [("", "Prefix", "/", "web")];
    let manifests = [service("web", "ClusterIP", 80, &[&pod]), ingress("i", &rules, "")]
        .join("---\n")
        .replace("host: \"\"\n    http", "http");
    let portico = Portico::with(&[("all.yaml", &manifests)]).start();
    for (case, head, status) in [
        ("no Host", "GET / HTTP/1.1\r\n\r\n", 400),
        ("two Hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        ("userinfo", "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", 400),
        ("climbing", "GET /../x HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("bad escape", "GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("NUL escape", "GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("CONNECT", "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", 405),
        ("TRACE", "TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", 405),
    ] {
        let answer = Client::connect(portico.http()).request(head, b"").unwrap();
        assert_eq!(answer.status, status, "{case}");
    }
    assert_eq!(pod.connections(), 0);
}

#[test]
fn a_web_socket_passes_and_lives_through_a_reload() {
    let pod = Pod::serve(std::net::Ipv4Addr::LOCALHOST.into(), |stream| {
        let Ok(mut socket) = tokio_tungstenite::tungstenite::accept(stream) else { return };
        while let Ok(message) = socket.read() {
            if message.is_close() || socket.send(message).is_err() {
                return;
            }
        }
    });
    let rules = [("ws.test", "Prefix", "/", "ws")];
    let text = [service("ws", "ClusterIP", 80, &[&pod]), ingress("i", &rules, "")].join("---\n");
    let portico = Portico::with(&[("all.yaml", &text)]).start();
    let stream = TcpStream::connect(portico.http()).unwrap();
    let (mut socket, _) =
        tokio_tungstenite::tungstenite::client("ws://ws.test/chat", stream).unwrap();
    for round in ["one", "two"] {
        socket.send(round.into()).unwrap();
        assert_eq!(socket.read().unwrap().to_text().unwrap(), round);
        portico.edit(
            "all.yaml",
            &text
                .replace("/chat", "/chat2")
                .replace("name: i", "name: j"),
        );
    }
}

#[test]
fn the_server_name_chooses_the_certificate() {
    let pod = Pod::http("web");
    let rules = [("one.test", "Prefix", "/", "web"), ("two.test", "Prefix", "/", "web")];
    let tls = "  tls:\n  - {hosts: [one.test], secretName: one}\n";
    let (secret, certificate) = secret("one", &["one.test"]);
    let manifests =
        [service("web", "ClusterIP", 80, &[&pod]), ingress("i", &rules, tls), secret].join("---\n");
    let portico = Portico::with(&[("all.yaml", &manifests)]).start();
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    std::fs::File::create(&ca)
        .unwrap()
        .write_all(certificate.as_bytes())
        .unwrap();
    let port = portico.https().port();
    let curl = |host: &str| {
        let to = format!("{host}:{port}:{}", portico.https().ip());
        let url = format!("https://{host}:{port}/");
        let ca = ca.to_str().unwrap();
        crate::harness::process::tool(
            "curl",
            &["-sS", "--max-time", "30", "--resolve", &to, "--cacert", ca, &url],
        )
    };
    let Some(good) = curl("one.test") else { return };
    assert_eq!(String::from_utf8_lossy(&good.stdout), "web", "{good:?}");
    let other = curl("two.test").unwrap();
    assert!(!other.status.success(), "the default certificate is not the one of one.test");
}

/// A `kubernetes.io/tls` Secret for these names, and its certificate in PEM.
pub(crate) fn secret(name: &str, hosts: &[&str]) -> (String, String) {
    let hosts: Vec<_> = hosts.iter().map(|&host| host.to_owned()).collect();
    let signed = rcgen::generate_simple_self_signed(hosts).unwrap();
    let indent = |pem: &str| {
        pem.lines()
            .map(|line| format!("    {line}\n"))
            .collect::<String>()
    };
    let certificate = signed.cert.pem();
    let text = format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}}}\ntype: kubernetes.io/tls\n\
         stringData:\n  tls.crt: |\n{}  tls.key: |\n{}",
        indent(&certificate),
        indent(&signed.signing_key.serialize_pem())
    );
    (text, certificate)
}

#[test]
fn the_status_of_each_ingress_says_what_serves_and_what_does_not() {
    let (a, b) = (Pod::http("a"), Pod::http("b"));
    let annotate = |text: String, annotation: &str| {
        let line = format!("  annotations: {{nginx.ingress.kubernetes.io/{annotation}}}\nspec:\n");
        text.replacen("spec:\n", &line, 1)
    };
    let second = [
        ("web.test", "Prefix", "/", "b"),
        ("web.test", "Exact", "/own", "b"),
        ("web.test", "Prefix", "/gone", "missing"),
    ];
    let foreign = ingress("d-foreign", &[("d.test", "Prefix", "/", "a")], "");
    let manifests = [
        service("a", "ClusterIP", 80, &[&a]),
        service("b", "ClusterIP", 80, &[&b]),
        ingress("a-first", &[("web.test", "Prefix", "/", "a")], ""),
        ingress("b-second", &second, ""),
        annotate(
            ingress("c-closed", &[("c.test", "Prefix", "/", "a")], ""),
            "allowlist-source-range: ten",
        ),
        foreign.replacen("spec:\n", "spec:\n  ingressClassName: other\n", 1),
    ]
    .join("---\n");
    let portico = Portico::with(&[("all.yaml", &manifests)]).start();
    let admin = portico.admin();
    let answer = get(admin, &admin.to_string(), "/api/v1/ingresses");
    let json: serde_json::Value = serde_json::from_str(answer.text()).unwrap();
    let of = |name: &str| {
        let all = json["ingresses"].as_array().unwrap();
        all.iter().find(|it| it["name"] == name).unwrap().clone()
    };
    let location = |name: &str, path: &str| {
        let ingress = of(name);
        let all = ingress["locations"].as_array().unwrap();
        all.iter().find(|it| it["path"] == path).unwrap().clone()
    };
    for (name, path, state, endpoints, reason) in [
        ("a-first", "/", "open", Some(1), None),
        ("b-second", "/", "shadowed", None, Some("default/a-first")),
        ("b-second", "/own", "open", Some(1), None),
        ("b-second", "/gone", "open", Some(0), Some("missing")),
        ("c-closed", "/", "closed", Some(1), Some("allowlist-source-range")),
    ] {
        let got = location(name, path);
        assert_eq!(got["state"], state, "ingress 1.8: {name} {path}");
        assert_eq!(got["endpoints"].as_u64(), endpoints, "{name} {path}");
        let said = got["reason"].as_str();
        assert!(said.is_some() == reason.is_some(), "{name} {path}: {said:?}");
        assert!(
            said.unwrap_or_default()
                .contains(reason.unwrap_or_default()),
            "{said:?}"
        );
    }
    assert_eq!(of("d-foreign")["served"], false, "ingress 1.7");
    assert_eq!(of("d-foreign")["status"]["loadBalancer"]["ingress"], serde_json::json!([]));
    let at = &of("a-first")["status"]["loadBalancer"]["ingress"][0];
    assert_eq!(at["ip"], "127.0.0.1");
    let ports: Vec<_> = at["ports"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| &it["port"])
        .collect();
    assert!(ports.contains(&&portico.http().port().into()), "{ports:?}");
}
