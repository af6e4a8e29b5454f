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
fn what_scripts_may_do_is_said_as_written() {
    let pod = Pod::http("web");
    let written = [
        ("enable-cors", "true"),
        ("cors-allow-methods", "PUT,GET"),
        ("cors-allow-headers", "X-A, X-B"),
        ("cors-allow-credentials", "false"),
        ("cors-expose-headers", "X-C"),
        ("cors-max-age", "0"),
    ];
    let wrong = [
        written[0],
        ("cors-allow-methods", "G;T"),
        ("cors-allow-headers", "X-A; X-B"),
        ("cors-allow-credentials", "perhaps"),
        ("cors-max-age", "long"),
    ];
    let manifests = [
        service("web", "ClusterIP", 80, &[&pod]),
        annotated("written", "written.test", &written, ""),
        annotated("usual", "usual.test", &written[..1], ""),
        annotated("wrong", "wrong.test", &wrong, ""),
    ]
    .join("---\n");
    let portico = Portico::with(&[("all.yaml", &manifests)]).start();
    let names =
        ["allow-methods", "allow-headers", "allow-credentials", "expose-headers", "max-age"];
    let usual = [
        Some("GET, PUT, POST, DELETE, PATCH, OPTIONS"),
        Some(
            "DNT,Keep-Alive,User-Agent,X-Requested-With,If-Modified-Since,Cache-Control,\
             Content-Type,Range,Authorization",
        ),
        Some("true"),
        None,
        Some("1728000"),
    ];
    let said = [Some("PUT,GET"), Some("X-A, X-B"), None, Some("X-C"), Some("0")];
    for (host, want) in [("written.test", said), ("usual.test", usual), ("wrong.test", usual)] {
        for method in ["GET", "OPTIONS"] {
            let answer = ask(&portico, method, host, "Origin: https://app.test\r\n");
            let got = names.map(|name| answer.header(&format!("access-control-{name}")));
            assert_eq!(got, want, "ingress 2.4: enable-cors: {method} {host}");
        }
    }
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

/// A Secret with lines of names and hashes.
pub(crate) fn users(name: &str, lines: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}}}\nstringData:\n  auth: |\n    {lines}\n"
    )
}

#[test]
fn a_broken_secret_is_silent_until_it_is_named_and_closes_until_it_is_mended() {
    let pod = Pod::http("web");
    let asks = [("auth-type", "basic"), ("auth-secret", "users")];
    let broken = "apiVersion: v1\nkind: Secret\nmetadata: {name: users}\ndata: {auth: \"?\"}\n";
    let portico = Portico::with(&[
        ("service.yaml", &service("web", "ClusterIP", 80, &[&pod])),
        ("ingress.yaml", &annotated("web", "web.test", &[], "")),
        ("users.yaml", broken),
    ])
    .start();
    let right = "Authorization: Basic YW5uOnNlY3JldA==\r\n";
    let statuses = || ["", right].map(|fields| ask(&portico, "GET", "web.test", fields).status);
    assert_eq!(statuses(), [200, 200], "ingress 6.3: nobody names it");
    assert!(portico.errors().is_empty(), "ingress 6.3: {:?}", portico.errors());
    portico.edit("ingress.yaml", &annotated("web", "web.test", &asks, ""));
    assert_eq!(statuses(), [503, 503], "ingress 2.1: it cannot be read, so nobody comes in");
    let errors = portico.errors();
    let is_told = errors
        .iter()
        .any(|it| it.contains("data.auth: is not base64"));
    assert!(is_told, "ingress 6.3: it is told of to who names it: {errors:?}");
    portico.edit("users.yaml", &users("users", "ann:{PLAIN}secret"));
    assert_eq!(statuses(), [401, 200], "it opens by itself");
    assert!(portico.errors().is_empty(), "{:?}", portico.errors());
}

#[test]
fn who_has_no_password_stays_outside() {
    let pod = Pod::http("web");
    let basic = ("auth-type", "basic");
    let asks = [basic, ("auth-secret", "users"), ("auth-realm", "staff")];
    let moved = [asks[0], asks[1], ("permanent-redirect", "https://new.test")];
    let cors = [asks[0], asks[1], ("enable-cors", "true")];
    let manifests = [
        service("web", "ClusterIP", 80, &[&pod]),
        annotated("asks", "asks.test", &asks, ""),
        annotated("moved", "moved.test", &moved, ""),
        annotated("cors", "cors.test", &cors, ""),
        annotated("none", "none.test", &[basic, ("auth-secret", "missing")], ""),
        annotated("open", "open.test", &[], ""),
    ]
    .join("---\n");
    let bcrypt = "ann:$2b$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a";
    let files = [("all.yaml", &*manifests), ("users.yaml", &users("users", bcrypt))];
    let portico = Portico::with(&files).start();
    let right = "Authorization: Basic YW5uOnNlY3JldA==\r\n";
    for (case, host, fields, status) in [
        ("nothing sent", "asks.test", "", 401),
        ("another scheme", "asks.test", "Authorization: Bearer YW5uOnNlY3JldA==\r\n", 401),
        ("a wrong password", "asks.test", "Authorization: Basic YW5uOndyb25n\r\n", 401),
        ("an unknown user", "asks.test", "Authorization: Basic Ym9iOnNlY3JldA==\r\n", 401),
        ("the right one", "asks.test", right, 200),
        ("the right one again", "asks.test", right, 200),
        ("a wrong one after it", "asks.test", "Authorization: Basic YW5uOndyb25n\r\n", 401),
        ("ingress 1.10: asked before redirects", "moved.test", "", 401),
        ("ingress 1.10: redirects after it", "moved.test", right, 301),
        ("no such Secret", "none.test", right, 503),
        ("a neighbour", "open.test", "", 200),
    ] {
        let answer = ask(&portico, "GET", host, fields);
        assert_eq!(answer.status, status, "ingress 2.4: auth-type: {case}");
    }
    let refused = ask(&portico, "GET", "asks.test", "");
    assert_eq!(refused.header("www-authenticate"), Some("Basic realm=\"staff\""));
    let refused = ask(&portico, "GET", "cors.test", "Authorization: Basic Ym9iOnNlY3JldA==\r\n");
    let allowed = refused.header("access-control-allow-origin");
    assert_eq!((refused.status, allowed), (401, Some("*")), "ingress 2.4: enable-cors: on 401");
    let origin = "Origin: https://app.test\r\n";
    assert_eq!(ask(&portico, "OPTIONS", "cors.test", origin).status, 204, "ingress 1.10: before 8");
    let head = format!("GET /headers HTTP/1.1\r\nHost: asks.test\r\n{right}\r\n");
    let seen = Client::connect(portico.http()).request(&head, b"").unwrap();
    assert!(
        !seen.text().to_ascii_lowercase().contains("authorization"),
        "ingress 2.4: it ends here"
    );

    portico.edit("users.yaml", &users("users", "ann:{PLAIN}second"));
    let second = "Authorization: Basic YW5uOnNlY29uZA==\r\n";
    assert_eq!(
        ask(&portico, "GET", "asks.test", right).status,
        401,
        "what was right is not any more"
    );
    assert_eq!(ask(&portico, "GET", "asks.test", second).status, 200, "at once");
    portico.edit("users.yaml", &users("others", "ann:{PLAIN}second"));
    assert_eq!(ask(&portico, "GET", "asks.test", second).status, 503, "ingress 2.1: it is gone");
}

#[test]
fn each_key_of_a_secret_is_a_user_where_it_is_a_map() {
    let pod = Pod::http("web");
    let map = [("auth-type", "basic"), ("auth-secret", "map"), ("auth-secret-type", "auth-map")];
    let file = [map[0], ("auth-secret", "map")];
    let manifests = [
        service("web", "ClusterIP", 80, &[&pod]),
        annotated("map", "map.test", &map, ""),
        annotated("file", "file.test", &file, ""),
        "apiVersion: v1\nkind: Secret\nmetadata: {name: map}\n\
         stringData: {ann: \"{PLAIN}secret\", bob: \"$9$nothing\"}\n"
            .to_owned(),
    ]
    .join("---\n");
    let portico = Portico::with(&[("all.yaml", &manifests)]).start();
    for (case, host, fields, status) in [
        ("nothing sent", "map.test", "", 401),
        ("a user", "map.test", "Authorization: Basic YW5uOnNlY3JldA==\r\n", 200),
        (
            "one whose hash nobody knows",
            "map.test",
            "Authorization: Basic Ym9iOnNlY3JldA==\r\n",
            401,
        ),
        ("no key `auth`", "file.test", "Authorization: Basic YW5uOnNlY3JldA==\r\n", 503),
    ] {
        let answer = ask(&portico, "GET", host, fields);
        assert_eq!(answer.status, status, "ingress 2.4: auth-secret-type: {case}");
    }
    let told = portico.warnings();
    let skipped = |text: &String| text.contains("default/map:") && text.contains("auth-secret");
    assert!(
        told.iter().any(skipped),
        "ingress 2.4: auth-secret: a hash that is not known: {told:?}"
    );
}

#[test]
fn one_of_the_guards_is_enough_where_any_satisfies() {
    let pod = Pod::http("web");
    let any = [("auth-type", "basic"), ("auth-secret", "users"), ("satisfy", "any")];
    let (inside, outside) = ("127.0.0.0/8", "192.0.2.0/24");
    let list = |list| [any[0], any[1], any[2], ("allowlist-source-range", list)];
    let denied = [any[0], any[1], any[2], ("denylist-source-range", inside)];
    let both = [any[0], any[1], ("allowlist-source-range", outside)];
    let manifests = [
        service("web", "ClusterIP", 80, &[&pod]),
        annotated("in", "in.test", &list(inside), ""),
        annotated("out", "out.test", &list(outside), ""),
        annotated("denied", "denied.test", &denied, ""),
        annotated("none", "none.test", &any, ""),
        annotated("both", "both.test", &both, ""),
        annotated("list", "list.test", &[any[2], ("allowlist-source-range", outside)], ""),
        users("users", "ann:{PLAIN}secret"),
    ]
    .join("---\n");
    let portico = Portico::with(&[("all.yaml", &manifests)]).start();
    let right = "Authorization: Basic YW5uOnNlY3JldA==\r\n";
    for (case, host, fields, status) in [
        ("on the list", "in.test", "", 200),
        ("on the list, with a wrong password", "in.test", "Authorization: Basic YQ==\r\n", 200),
        ("not on it", "out.test", "", 401),
        ("not on it, with a password", "out.test", right, 200),
        ("denied", "denied.test", "", 401),
        ("denied, with a password", "denied.test", right, 200),
        ("no list", "none.test", "", 401),
        ("all are asked", "both.test", right, 403),
        ("a list alone", "list.test", "", 403),
    ] {
        let answer = ask(&portico, "GET", host, fields);
        assert_eq!(answer.status, status, "ingress 2.5: satisfy: {case}");
    }
}

/// An Ingress with an annotation of portico's own, whose value has these lines.
fn with_lines(name: &str, host: &str, key: &str, lines: &[&str]) -> String {
    let text = annotated(name, host, &[("enable-cors", "true")], "");
    let lines: String = lines.iter().map(|line| format!("      {line}\n")).collect();
    text.replacen("spec:\n", &format!("    portico.dev/{key}: |\n{lines}spec:\n"), 1)
}

#[test]
fn owners_set_fields_of_requests_and_answers() {
    let pod = Pod::http("web");
    let asked = ["X-Client: $remote_addr at $http_host", "Cookie:", "x-forwarded-user: staff"];
    let place = "X-Place: $req_id for $namespace/$ingress_name, $service_name:$service_port at $server_port";
    let said = ["X-Frame-Options: DENY", "X-Pod:", "Server: none of yours", place];
    let manifests = [
        service("web", "ClusterIP", 80, &[&pod]),
        with_lines("asked", "asked.test", "request-headers", &asked),
        with_lines("said", "said.test", "response-headers", &said),
        with_lines("host", "host.test", "request-headers", &["Host: evil.test"]),
    ]
    .join("---\n");
    let portico = Portico::with(&[("all.yaml", &manifests)]).start();
    let head = "GET /headers HTTP/1.1\r\nHost: asked.test\r\nCookie: a=b\r\nX-Client: evil\r\n\r\n";
    let seen = Client::connect(portico.http()).request(head, b"").unwrap();
    let seen = seen.text().to_ascii_lowercase();
    let client = seen.matches("x-client: ").count();
    assert_eq!(client, 1, "in place of the client's: {seen}");
    assert!(seen.contains("x-client: 127.0.0.1 at asked.test\r\n"), "ingress 2.1: {seen}");
    assert!(seen.contains("x-forwarded-user: staff\r\n") && !seen.contains("cookie"), "{seen}");
    let answer = ask(&portico, "GET", "said.test", "X-Request-ID: mine\r\n");
    assert_eq!(answer.header("x-frame-options"), Some("DENY"), "ingress 2.1");
    let place = format!("mine for default/said, web:80 at {}", portico.http().port());
    assert_eq!(answer.header("x-place"), Some(&*place), "ingress 2.3");
    assert_eq!(answer.header("x-pod"), None, "a line without a value takes it out");
    let servers = answer
        .headers
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case("server"));
    assert_eq!(servers.count(), 1, "in place of portico's own");
    let own = ask(&portico, "OPTIONS", "said.test", "Origin: https://a.test\r\n");
    assert_eq!((own.status, own.header("x-frame-options")), (204, Some("DENY")), "on all answers");
    assert_eq!(ask(&portico, "GET", "host.test", "").status, 503, "ingress 2.1: refused");
}

#[test]
fn a_connection_to_a_backend_carries_one_request_where_it_is_asked_to() {
    let pod = Pod::http("web");
    let manifests = [
        service("web", "ClusterIP", 80, &[&pod]),
        annotated("close", "close.test", &[("connection-proxy-header", "close")], ""),
    ]
    .join("---\n");
    let portico = Portico::with(&[("all.yaml", &manifests)]).start();
    for _ in 0..5 {
        let head = "GET /headers HTTP/1.1\r\nHost: close.test\r\n\r\n";
        let seen = Client::connect(portico.http()).request(head, b"").unwrap();
        assert!(seen.text().contains("Connection: close"), "ingress 2.5: connection-proxy-header");
    }
    assert_eq!(pod.connections(), 5, "ingress 2.5: connection-proxy-header: one for each");
}

#[test]
fn an_answer_goes_no_faster_than_its_rate() {
    let pod = Pod::http("web");
    let slow = [("limit-rate", "100"), ("limit-rate-after", "20"), ("proxy-body-size", "0")];
    let manifests =
        [service("web", "ClusterIP", 80, &[&pod]), annotated("slow", "slow.test", &slow, "")]
            .join("---\n");
    let portico = Portico::with(&[("all.yaml", &manifests)]).start();
    // 20 KiB and the first second's 100 go at once, the other 50 take half a second.
    let body = vec![b'x'; 170 << 10];
    let head =
        format!("POST / HTTP/1.1\r\nHost: slow.test\r\nContent-Length: {}\r\n\r\n", body.len());
    let began = std::time::Instant::now();
    let answer = Client::connect(portico.http())
        .request(&head, &body)
        .unwrap();
    assert_eq!(answer.body.len(), body.len() + "web".len(), "ingress 2.5: limit-rate: all of it");
    assert!(began.elapsed() >= std::time::Duration::from_millis(450), "ingress 2.5: limit-rate");
}

#[test]
fn a_config_map_sets_fields_that_settings_allow() {
    let pod = Pod::http("web");
    let map =
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: said}\ndata: {X-Frame-Options: DENY}\n";
    let manifests = [
        service("web", "ClusterIP", 80, &[&pod]),
        annotated("said", "said.test", &[("custom-headers", "default/said")], ""),
        annotated("none", "none.test", &[("custom-headers", "nothing")], ""),
        annotated("open", "open.test", &[], ""),
    ]
    .join("---\n");
    let portico = Portico::with(&[("all.yaml", &manifests), ("map.yaml", map)])
        .adjust(|settings| {
            settings.front_door.allowed_response_headers = vec!["x-frame-options".into()];
        })
        .start();
    let answer = ask(&portico, "GET", "said.test", "");
    let said = (answer.status, answer.header("x-frame-options"));
    assert_eq!(said, (200, Some("DENY")), "ingress 2.4: custom-headers");
    assert_eq!(ask(&portico, "GET", "none.test", "").status, 503, "ingress 2.4: it is missing");
    portico.edit("map.yaml", &map.replace("DENY", "DENY, X-Other: 'one'"));
    assert_eq!(ask(&portico, "GET", "said.test", "").status, 503, "ingress 2.4: not allowed");
    assert_eq!(ask(&portico, "GET", "open.test", "").status, 200, "a neighbour");
}
