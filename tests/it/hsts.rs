//! `Strict-Transport-Security` (`ingress 1.9`): on which answers, and in place of what.

use std::io::{Read, Write};
use std::net::Ipv4Addr;

use portico_config::model::Hsts;

use crate::annotations::annotated;
use crate::front_door::{ingress, secret};
use crate::harness::http::get;
use crate::harness::pod::Pod;
use crate::harness::portico::Portico;
use crate::harness::process::tool;
use crate::services::service;

/// A pod that says something of later visits itself.
fn insisting() -> Pod {
    Pod::serve(Ipv4Addr::LOCALHOST.into(), move |mut stream| {
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(
            b"HTTP/1.1 200 OK\r\nStrict-Transport-Security: max-age=7\r\nContent-Length: 0\r\n\
              Connection: close\r\n\r\n",
        );
    })
}

/// Has one certificate, for three hosts of which one has words of its own, and none for `none.test`.
fn before(pod: &Pod, hsts: Hsts) -> Portico {
    let hosts = ["one.test", "moved.test", "own.test"];
    let tls = "  tls:\n  - {hosts: [one.test, moved.test, own.test], secretName: one}\n";
    let own = ingress("own", &[("own.test", "Prefix", "/", "web")], tls).replacen(
        "spec:\n",
        "  annotations: {portico.dev/response-headers: \"Strict-Transport-Security: max-age=1\"}\nspec:\n",
        1,
    );
    let rules = [("one.test", "Prefix", "/in", "web"), ("none.test", "Prefix", "/", "web")];
    let manifests = [
        service("web", "ClusterIP", 80, &[pod]),
        ingress("i", &rules, tls).replacen(
            "spec:\n",
            "  annotations: {nginx.ingress.kubernetes.io/ssl-redirect: \"false\"}\nspec:\n",
            1,
        ),
        annotated("moved", "moved.test", &[("permanent-redirect", "https://new.test")], tls),
        own,
        secret("one", &hosts).0,
    ]
    .join("---\n");
    Portico::with(&[("all.yaml", &manifests)])
        .adjust(|settings| settings.front_door.hsts = hsts)
        .start()
}

/// What an answer over HTTPS says of later visits; none: there is no client to ask with.
fn said(portico: &Portico, version: &str, host: &str, path: &str) -> Option<Vec<String>> {
    let port = portico.https().port();
    let to = format!("{host}:{port}:{}", portico.https().ip());
    let url = format!("https://{host}:{port}{path}");
    let arguments =
        ["-sSk", version, "--max-time", "30", "--resolve", &to, "-o", "/dev/null", "-D", "-", &url];
    let output = tool("curl", &arguments)?;
    let head = String::from_utf8_lossy(&output.stdout).to_ascii_lowercase();
    assert!(head.starts_with("http/"), "{output:?}");
    let lines = head
        .lines()
        .filter_map(|line| line.strip_prefix("strict-transport-security: "));
    Some(lines.map(str::to_owned).collect())
}

#[test]
fn answers_behind_a_certificate_of_a_secret_insist_on_https() {
    let pod = insisting();
    let portico = before(&pod, Hsts::default());
    let ours = "max-age=31536000; includesubdomains";
    for version in ["--http1.1", "--http2"] {
        for (case, host, path, want) in [
            ("in place of the backend's", "one.test", "/in", ours),
            ("on an answer of portico's own", "one.test", "/out", ours),
            ("on a redirect", "moved.test", "/", ours),
            ("not in place of the owner's", "own.test", "/", "max-age=1"),
            // The certificate is portico's own, and may be another one tomorrow.
            ("not without a Secret", "none.test", "/", "max-age=7"),
        ] {
            let Some(got) = said(&portico, version, host, path) else { return };
            assert_eq!(got, [want], "ingress 1.9: {case} {version}");
        }
    }
    let plain = get(portico.http(), "one.test", "/in");
    assert_eq!(plain.header("strict-transport-security"), Some("max-age=7"), "it came by http");
    assert_eq!(get(portico.http(), "one.test", "/out").header("strict-transport-security"), None);
}

#[test]
fn settings_say_what_is_said() {
    let pod = insisting();
    let some = Hsts { max_age_seconds: 60, include_subdomains: false, preload: true, on: true };
    for (hsts, want) in [
        (some.clone(), vec!["max-age=60; preload"]),
        // Nothing is taken away where nothing is said.
        (Hsts { on: false, ..some }, vec!["max-age=7"]),
    ] {
        let portico = before(&pod, hsts);
        let Some(got) = said(&portico, "--http1.1", "one.test", "/in") else { return };
        assert_eq!(got, want, "ingress 1.9");
    }
}
