//! What settings say about the front door: whose word is believed, what serves what no rule is for,
//! and how long a connection goes on.

use portico_config::model::{ObjectName, ServiceTarget, Settings};

use crate::front_door::{ingress, secret};
use crate::harness::http::{Client, get};
use crate::harness::pod::Pod;
use crate::harness::portico::Portico;
use crate::services::service;

/// Two hosts of one Service: one for clients of 192.0.2.0/24 alone, one for TLS alone.
fn guarded(pod: &Pod) -> String {
    let annotated = |name: &str, annotation: &str| {
        let host = format!("{name}.test");
        let text = ingress(name, &[(&host, "Prefix", "/", "web")], "");
        let annotation = format!("  annotations: {{nginx.ingress.kubernetes.io/{annotation}}}\n");
        text.replacen("spec:\n", &format!("{annotation}spec:\n"), 1)
    };
    [
        service("web", "ClusterIP", 80, &[pod]),
        annotated("near", "allowlist-source-range: 192.0.2.0/24"),
        annotated("safe", "force-ssl-redirect: \"true\""),
    ]
    .join("---\n")
}

const CHAIN: &str = "X-Forwarded-For: 6.6.6.6, 192.0.2.7, 127.0.0.9\r\n";

/// What a client gets that says `lines`, and where it is sent.
fn ask(portico: &Portico, host: &str, lines: &str) -> (u16, String, String) {
    let head = format!("GET /headers HTTP/1.1\r\nHost: {host}\r\n{lines}\r\n");
    let answer = Client::connect(portico.http()).request(&head, b"").unwrap();
    let location = answer.header("location").unwrap_or_default().to_owned();
    (answer.status, location, answer.text().to_ascii_lowercase())
}

#[test]
fn a_trusted_proxy_is_believed_and_nobody_else() {
    let pod = Pod::http("web");
    let text = guarded(&pod);
    let secure =
        "X-Forwarded-Proto: https\r\nX-Forwarded-Host: out.test\r\nX-Forwarded-Port: 9443\r\n";
    let portico = Portico::with(&[("all.yaml", &text)]).start();
    assert_eq!(ask(&portico, "near.test", CHAIN).0, 403, "ingress 1.9: nobody is trusted");
    let (status, location, _) = ask(&portico, "safe.test", secure);
    assert_eq!(status, 308);
    assert!(location.starts_with("https://safe.test"), "{location}");

    let trusting = |full: bool| {
        move |settings: &mut Settings| {
            settings.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
            settings.front_door.full_forwarded_for = full;
        }
    };
    let portico = Portico::with(&[("all.yaml", &text)])
        .adjust(trusting(false))
        .start();
    let (status, _, seen) = ask(&portico, "near.test", CHAIN);
    assert_eq!(status, 200, "http-proxy 3.2: the last that is not trusted is the client");
    assert!(seen.contains("\nx-forwarded-for: 192.0.2.7\r"), "{seen}");
    assert!(seen.contains("\nx-real-ip: 192.0.2.7\r"), "{seen}");
    let liar = "X-Forwarded-For: 192.0.2.7, 6.6.6.6\r\n";
    assert_eq!(ask(&portico, "near.test", liar).0, 403, "never the first");
    let (status, _, seen) = ask(&portico, "safe.test", secure);
    assert_eq!(status, 200, "it came over TLS to the proxy");
    for line in ["proto: https", "scheme: https", "host: out.test", "port: 9443"] {
        assert!(seen.contains(&format!("\nx-forwarded-{line}\r")), "{line} in {seen}");
    }
    let plain = "X-Forwarded-Proto: http\r\nX-Forwarded-Host: out.test\r\n";
    let (status, location, _) = ask(&portico, "safe.test", plain);
    assert_eq!(status, 308);
    assert!(location.starts_with("https://out.test"), "the host that was asked for: {location}");

    let portico = Portico::with(&[("all.yaml", &text)])
        .adjust(trusting(true))
        .start();
    let seen = ask(&portico, "near.test", CHAIN).2;
    let want = "\nx-forwarded-for: 6.6.6.6, 192.0.2.7, 127.0.0.9, 127.0.0.1\r";
    assert!(seen.contains(want), "ingress 2.8 fullForwardedFor: {seen}");
    assert!(!seen.contains("\nforwarded: "), "http-proxy 3.3: not unless it is asked for: {seen}");
}

#[test]
fn forwarded_says_what_x_forwarded_for_says_and_nothing_that_came_as_forwarded() {
    let pod = Pod::http("web");
    let text = guarded(&pod);
    let lines = format!("Forwarded: for=9.9.9.9;proto=ftp\r\n{CHAIN}X-Forwarded-Proto: https\r\n");
    let told = |trusted: &str, full: bool| {
        let (trusted, text) = (trusted.parse().unwrap(), text.clone());
        let portico = Portico::with(&[("all.yaml", &text)])
            .adjust(move |settings| {
                settings.trusted_proxies = vec![trusted];
                settings.front_door.full_forwarded_for = full;
                settings.front_door.forwarded = true;
            })
            .start();
        let seen = ask(&portico, "safe.test", &lines);
        let mut found = seen
            .2
            .lines()
            .filter_map(|line| line.strip_prefix("forwarded: "));
        let line = found.next().map(str::to_owned);
        assert!(found.next().is_none(), "one line");
        (seen.0, line)
    };
    for (full, want) in [
        (false, "for=192.0.2.7;host=safe.test;proto=https"),
        (
            true,
            "for=6.6.6.6;host=safe.test;proto=https, for=192.0.2.7, for=127.0.0.9, \
             for=127.0.0.1;host=safe.test;proto=http",
        ),
    ] {
        assert_eq!(told("127.0.0.0/8", full), (200, Some(want.to_owned())), "http-proxy 3.3");
    }
    assert_eq!(told("192.0.2.0/24", false), (308, None), "nobody who is trusted says https");
    let portico = Portico::with(&[(
        "all.yaml",
        &guarded(&pod).replace("force-ssl-redirect", "enable-access-log"),
    )])
    .adjust(|settings| settings.front_door.forwarded = true)
    .start();
    let (status, _, seen) = ask(&portico, "safe.test", &lines);
    assert_eq!(status, 200, "{seen}");
    assert!(seen.contains("\nforwarded: for=127.0.0.1;host=safe.test;proto=http\r"), "{seen}");
}

#[test]
fn what_no_rule_is_for_goes_to_the_backend_of_settings() {
    let (web, other) = (Pod::http("web"), Pod::http("other"));
    let rules = [("web.test", "Prefix", "/here", "web")];
    let services =
        [service("web", "ClusterIP", 80, &[&web]), service("other", "ClusterIP", 80, &[&other])];
    let text = [services.join("---\n"), ingress("i", &rules, "")].join("---\n");
    let named = |port: &str| {
        let service = ObjectName::new("default", "other");
        let target = ServiceTarget { service, port: port.into() };
        move |settings: &mut Settings| settings.front_door.default_backend = Some(target)
    };
    let portico = Portico::with(&[("all.yaml", &text)])
        .adjust(named("80"))
        .start();
    for (host, path, pod) in
        [("web.test", "/here", "web"), ("web.test", "/there", "other"), ("b.test", "/", "other")]
    {
        assert_eq!(get(portico.http(), host, path).text(), pod, "ingress 1.5: {host}{path}");
    }
    let portico = Portico::with(&[("all.yaml", &text)])
        .adjust(named("81"))
        .start();
    assert_eq!(get(portico.http(), "b.test", "/").status, 503);
    let warnings = portico.warnings();
    let told = |text: &String| text.contains("ingress.defaultBackend names default/other:81");
    assert!(warnings.iter().any(told), "{warnings:?}");
}

#[test]
fn connections_and_bodies_have_the_limits_of_settings() {
    let pod = Pod::http("web");
    let rules = [("web.test", "Prefix", "/", "web")];
    let text = [service("web", "ClusterIP", 80, &[&pod]), ingress("i", &rules, "")].join("---\n");
    let portico = Portico::with(&[("all.yaml", &text)])
        .adjust(|settings| {
            settings.front_door.max_requests_per_connection = 3;
            settings.front_door.max_body_bytes = 4;
        })
        .start();
    let mut client = Client::connect(portico.http());
    for request in 1..=3 {
        let answer = client.get("web.test", "/").unwrap();
        let wanted = (request == 3).then_some("close");
        assert_eq!(answer.header("connection"), wanted, "http-proxy 3: request {request}");
    }
    for (body, status) in [(&b"1234"[..], 200), (b"12345", 413)] {
        let length = body.len();
        let head = format!("PUT / HTTP/1.1\r\nHost: web.test\r\nContent-Length: {length}\r\n\r\n");
        let answer = Client::connect(portico.http())
            .request(&head, body)
            .unwrap();
        assert_eq!(answer.status, status, "http-proxy 3: {length} bytes");
    }
}

#[test]
fn who_asks_too_much_gets_the_status_of_settings() {
    let pod = Pod::http("web");
    let text = ingress("i", &[("slow.test", "Prefix", "/", "web")], "");
    let asks = "  annotations:\n    nginx.ingress.kubernetes.io/limit-rpm: \"1\"\n    \
                nginx.ingress.kubernetes.io/limit-burst-multiplier: \"1\"\nspec:\n";
    let text = text.replacen("spec:\n", asks, 1);
    let manifests = [service("web", "ClusterIP", 80, &[&pod]), text].join("---\n");
    let portico = Portico::with(&[("all.yaml", &manifests)])
        .adjust(|settings| settings.front_door.limit_status = 503)
        .start();
    let statuses: Vec<_> = (0..3)
        .map(|_| get(portico.http(), "slow.test", "/").status)
        .collect();
    assert_eq!(statuses, [200, 200, 503], "ingress 2.4: limitStatus");
}

#[test]
fn a_host_without_a_certificate_has_that_of_settings() {
    let pod = Pod::http("web");
    let (text, _) = secret("usual", &["web.test"]);
    let rules = [("web.test", "Prefix", "/", "web")];
    let manifests =
        [service("web", "ClusterIP", 80, &[&pod]), ingress("i", &rules, ""), text].join("---\n");
    let named = |name: &'static str| {
        move |settings: &mut Settings| {
            settings.front_door.default_tls_secret = Some(ObjectName::new("default", name));
        }
    };
    let portico = Portico::with(&[("all.yaml", &manifests)])
        .adjust(named("usual"))
        .start();
    let served = |portico: &Portico| {
        let snapshot = portico.snapshot();
        snapshot
            .certificates
            .default
            .as_ref()
            .unwrap()
            .secret
            .clone()
    };
    assert_eq!(served(&portico), Some(ObjectName::new("default", "usual")), "ingress 1.6");
    let portico = Portico::with(&[("all.yaml", &manifests)])
        .adjust(named("none"))
        .start();
    assert_eq!(served(&portico), None);
    let warnings = portico.warnings();
    let told =
        |text: &String| text.contains("ingress.defaultTlsSecret: there is no Secret default/none");
    assert!(warnings.iter().any(told), "{warnings:?}");
}
