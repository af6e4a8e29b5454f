//! Values that were made to become configuration, of the classes that ingress-nginx has been attacked with
//! (`ingress 6.12`): each becomes a type or nothing, closes its own location at most, and leaves its
//! neighbours open.

use crate::annotations::annotated;
use crate::front_door::{ingress, secret};
use crate::guards::users;
use crate::harness::http::get;
use crate::harness::pod::Pod;
use crate::harness::portico::Portico;
use crate::harness::process::{program, run, tool};
use crate::services::service;

/// What a location answers: closed, and why is told; or as without the value, and that is told.
const CLOSED: u16 = 503;
const OPEN: u16 = 200;
/// Nobody signs for the certificates that its host asks for.
const KEPT_OUT: u16 = 403;

/// The class, an annotation, its value, and the status of its location.
type Row = (&'static str, &'static str, &'static str, u16);

const ROWS: &[Row] = &[
    ("2021-25742", "configuration-snippet", "content_by_lua_block { os.execute(\"id\") }", OPEN),
    ("2021-25742, a guard", "server-snippet", "access_by_lua_block { ngx.exit(200) }", CLOSED),
    ("2023-5043", "configuration-snippet", "}\nlocation /evil {\nreturn 200 evil;", CLOSED),
    ("2023-5044", "permanent-redirect", "https://a.test;}location/evil{return200evil;}", CLOSED),
    (
        "2023-5044, with blanks",
        "temporal-redirect",
        "https://a.test;}location ~* \"^/evil(/|$)(.*)\" {content_by_lua 'os.execute(\"id\")';}",
        CLOSED,
    ),
    ("2024-7646", "auth-url", "http://a.test/\r;return 200 evil;", CLOSED),
    ("2024-7646, a guard behind it", "configuration-snippet", "gzip on;\rdeny all;", CLOSED),
    ("2025-1097", "auth-tls-match-cn", "CN=a#(\n){}\n}}\nssl_engine evil;\n", CLOSED),
    ("2025-1098", "mirror-target", "http://a.test/#;\n}\n}\nssl_engine evil;\n", OPEN),
    ("2025-1098, its host", "mirror-host", "a.test;\n}\nssl_engine evil;\n", OPEN),
    ("2025-15566", "auth-proxy-set-headers", "default/evil", CLOSED),
    ("2025-15566, of answers", "custom-headers", "default/evil", CLOSED),
    ("2025-24513", "auth-secret", "../../../etc/nginx/nginx", CLOSED),
    ("2025-24513, for TLS", "auth-tls-secret", "../../etc/nginx", CLOSED),
    ("2025-24514", "auth-url", "http://a.test/#;load_module evil;\n", CLOSED),
    ("2026-1580", "auth-method", "GET;\nreturn 200 evil", CLOSED),
    ("2026-3288", "rewrite-target", "/$1\";return 200 evil;#", CLOSED),
    ("2026-4342", "upstream-vhost", "a.test\";return 200 evil;#", CLOSED),
    ("an address", "allowlist-source-range", "0.0.0.0/0;\nallow all", CLOSED),
    ("a realm", "auth-realm", "a\";\nauth_basic off;#", CLOSED),
    ("fields of an answer", "auth-response-headers", "X-A;\nX-B: $evil", CLOSED),
    ("a variable", "auth-url", "http://$evil.test/", CLOSED),
    ("a protocol", "backend-protocol", "HTTP;\nreturn 200 evil", OPEN),
    ("a protocol that is not spoken", "backend-protocol", "FCGI", CLOSED),
    ("a pattern of a name", "server-alias", "~^(.*)$ {", OPEN),
    ("a start", "app-root", "/x;\nreturn 200 evil", OPEN),
    ("an origin", "cors-allow-origin", "https://a.test\r\nX-Evil: 1", OPEN),
    ("a cookie", "session-cookie-name", "a; Domain=evil.test\r\nX-Evil: 1", OPEN),
    ("words of a backend", "proxy-redirect-from", "http://a/;\nreturn 200 evil", OPEN),
    ("a Secret of others", "auth-secret", "other/users", CLOSED),
    ("a Secret of others, by its name", "auth-secret", "users", CLOSED),
    ("a Secret of others, for clients", "auth-tls-secret", "other/tls", KEPT_OUT),
    ("a Secret of others, for TLS", "proxy-ssl-secret", "other/tls", CLOSED),
    ("a map of others", "custom-headers", "other/fields", CLOSED),
    ("a map of others, to ask with", "auth-proxy-set-headers", "other/fields", CLOSED),
    ("a Service of others", "default-backend", "other/web", CLOSED),
];

/// What makes the annotation be about something.
fn beside(annotation: &str) -> &'static [(&'static str, &'static str)] {
    match annotation {
        "auth-secret" | "auth-realm" => &[("auth-type", "basic")],
        "auth-method" | "auth-response-headers" | "auth-proxy-set-headers" => {
            &[("auth-url", "http://web.default.svc/")]
        }
        "mirror-host" => &[("mirror-target", "http://web.default.svc/")],
        "cors-allow-origin" => &[("enable-cors", "true")],
        "session-cookie-name" => &[("affinity", "cookie")],
        _ => &[],
    }
}

/// What stands between double quotes of YAML for a text.
fn quoted(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
    escaped.replace('\n', "\\n").replace('\r', "\\r")
}

/// An Ingress with values as they are.
fn with(name: &str, host: &str, annotations: &[(&str, &str)]) -> String {
    let quoted: Vec<_> = annotations
        .iter()
        .map(|(name, value)| (*name, quoted(value)))
        .collect();
    let quoted: Vec<_> = quoted
        .iter()
        .map(|(name, value)| (*name, &**value))
        .collect();
    annotated(name, host, &quoted, "")
}

/// The locations of all rows beside one that is open, and what hostile values name.
fn manifests(pod: &Pod) -> String {
    let elsewhere = |text: String| text.replacen("metadata: {", "metadata: {namespace: other, ", 1);
    let map = |name: &str, line: &str| {
        format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{{line}}}\n")
    };
    let mut all = vec![
        service("web", "ClusterIP", 80, &[pod]),
        with("open", "open.test", &[]),
        map("evil", "X-Frame-Options: \"a\\r\\nX-Evil: 1\""),
        elsewhere(map("fields", "X-Frame-Options: DENY")),
        elsewhere(users("users", "ann:{PLAIN}secret")),
        elsewhere(secret("tls", &["a.test"]).0),
    ];
    for (at, (_, name, value, _)) in ROWS.iter().enumerate() {
        let annotations = [&[(*name, *value)], beside(name)].concat();
        all.push(with(&format!("row-{at}"), &format!("row-{at}.test"), &annotations));
    }
    all.join("---\n")
}

#[test]
fn a_hostile_value_closes_its_own_location_at_most() {
    let pod = Pod::http("web");
    let portico = Portico::with(&[("all.yaml", &manifests(&pod))])
        .adjust(|settings| {
            settings.front_door.allowed_response_headers = vec!["x-frame-options".into()];
        })
        .start();
    let told = [portico.warnings(), portico.errors()].concat();
    for (at, (class, name, _, status)) in ROWS.iter().enumerate() {
        let answer = get(portico.http(), &format!("row-{at}.test"), "/evil");
        assert_eq!(answer.status, *status, "ingress 6.12: {class}: {name}");
        let evil = |(key, value): &(String, String)| key == "X-Evil" || value.contains("evil");
        assert!(!answer.headers.iter().any(evil), "ingress 6.12: {class}: {:?}", answer.headers);
        assert!(!answer.text().contains("evil"), "ingress 6.12: {class}: {}", answer.text());
        let object = format!("default/row-{at}:");
        let is_told = |text: &String| text.contains(&object) && text.contains(*name);
        assert!(told.iter().any(is_told), "ingress 6.12: {class} is told: {told:#?}");
        assert_eq!(get(portico.http(), "open.test", "/").text(), "web", "neighbours: {class}");
    }
}

#[test]
fn a_hostile_path_is_a_text_or_a_pattern_and_nothing_else() {
    let pod = Pod::http("web");
    let path = |name: &str, kind: &str, path: &str, annotations: &[(&str, &str)]| {
        with(name, &format!("{name}.test"), annotations)
            .replace("path: /\n", &format!("path: \"{}\"\n", quoted(path)))
            .replace("pathType: Prefix", &format!("pathType: {kind}"))
    };
    let evil = "/a;}location /evil{return 200 evil;}#";
    let pattern = [("use-regex", "true")];
    let manifests = [
        service("web", "ClusterIP", 80, &[&pod]),
        with("open", "open.test", &[]),
        path("text", "Prefix", evil, &[]),
        path("exact", "Exact", evil, &[]),
        path("specific", "ImplementationSpecific", evil, &[]),
        path("pattern", "ImplementationSpecific", evil, &pattern),
        path("broken", "ImplementationSpecific", "/a\" { return 200 evil; (", &pattern),
        path("large", "ImplementationSpecific", "/(?:[a-z]{1000}){1000}", &pattern),
    ]
    .join("---\n");
    let portico = Portico::with(&[("all.yaml", &manifests)]).start();
    for (host, status) in [
        ("text.test", 404),
        ("exact.test", 404),
        ("specific.test", 404),
        // What is no pattern closes what it is for.
        ("pattern.test", 503),
        ("broken.test", 503),
        ("large.test", 503),
        ("open.test", 200),
    ] {
        let answer = get(portico.http(), host, "/evil");
        assert_eq!(answer.status, status, "ingress 6.12: 2021-25745, 2026-24512: {host}");
        assert!(!answer.text().contains("evil"), "ingress 6.12: {host}");
    }
}

/// What no path of a manifest is about goes to the open location of the same backend.
#[test]
fn a_guard_stands_over_every_way_to_write_its_path() {
    let pod = Pod::http("web");
    let deny = [("denylist-source-range", "0.0.0.0/0,::/0")];
    let mut all = vec![service("web", "ClusterIP", 80, &[&pod]), with("open", "a.test", &[])];
    let written = ["/~a", "/%7eb", "/\u{fc}", "/c d", "/e{f}", "/%67", "/h%2ci", "/j?k"];
    for (at, path) in written.iter().enumerate() {
        let guarded = with(&format!("guard-{at}"), "a.test", &deny);
        all.push(guarded.replace("path: /\n", &format!("path: \"{}\"\n", quoted(path))));
    }
    // In this one anything may stand.
    let odd = with("odd", "a.test", &deny).replace("path: /\n", "path: //l/./m\n");
    all.push(odd.replace("pathType: Prefix", "pathType: ImplementationSpecific"));
    let portico = Portico::with(&[("all.yaml", &all.join("---\n"))]).start();
    for path in [
        "/~a",
        "/%7Ea",
        "/%7ea/x",
        "/~b",
        "/%7eb",
        "/%C3%BC",
        "/%c3%bc/",
        "/c%20d",
        "/e{f}",
        "/e%7Bf%7d",
        "/e{f%7d/",
        "/g",
        "/%67/",
        "/h%2ci",
        "/h%2Ci",
        "/j%3fk",
        "/l/m",
        "//l//m",
        "/l/./m/n",
    ] {
        let status = get(portico.http(), "a.test", path).status;
        assert_eq!(status, 403, "ingress 1.2, 6.6: {path}");
    }
    for path in ["/", "/a", "/c", "/e", "/h", "/j?k", "/l"] {
        assert_eq!(get(portico.http(), "a.test", path).status, 200, "a neighbour: {path}");
    }
}

#[test]
fn a_hostile_name_refuses_its_object_alone() {
    let pod = Pod::http("web");
    let one = |name: &str| ingress(name, &[(&format!("{name}.test"), "Prefix", "/", "web")], "");
    let tls = |text: String, secret: &str| {
        text.replacen("spec:\n", &format!("spec:\n  tls: [{{secretName: \"{secret}\"}}]\n"), 1)
    };
    let key = "metadata:\n  annotations: {\"nginx.ingress.kubernetes.io/x;}evil{\": a}\n";
    let class = "spec:\n  ingressClassName: \"nginx;}evil{\"\n";
    let objects = [
        ("host", one("host").replace("\"host.test\"", "\"host.test;}evil{\"")),
        ("secret", tls(one("secret"), "../../etc/nginx")),
        ("abroad", tls(one("abroad"), "other/tls")),
        ("backend", one("backend").replace("name: web, port", "name: \"web;}evil{\", port")),
        ("port", one("port").replace("number: 80", "name: \"80;}evil{\"")),
        ("key", one("key").replacen("metadata:\n", key, 1)),
        ("class", one("class").replacen("spec:\n", class, 1)),
    ];
    let mut all = vec![service("web", "ClusterIP", 80, &[&pod]), one("open")];
    all.extend(objects.iter().map(|(_, text)| text.clone()));
    let portico = Portico::with(&[("all.yaml", &all.join("---\n"))]).start();
    let told = portico.errors();
    for (name, _) in &objects {
        let object = format!("default/{name}:");
        assert!(told.iter().any(|text| text.contains(&object)), "ingress 6.12: {name}: {told:#?}");
        let status = get(portico.http(), &format!("{name}.test"), "/evil").status;
        assert_eq!(status, 404, "ingress 6.12: 2021-25746: {name} is left out");
    }
    assert_eq!(get(portico.http(), "open.test", "/").text(), "web", "neighbours");
}

/// CVE-2026-24514: whatever has no end is refused where its limit is, and neighbours are served.
#[test]
fn what_has_no_end_closes_or_is_left_out() {
    let pod = Pod::http("web");
    let lists = "10.0.0.0/8,".repeat(1_001);
    let template = format!("http://a.test/{}", "$uri".repeat(33));
    let lines = "gzip on;\n".repeat(20_000) + "deny all;";
    let names = (0..1_001)
        .map(|number| format!("n{number}.test,"))
        .collect::<String>();
    let long = "x".repeat(256 << 10);
    let rows: &[(&str, &str, &str, u16)] = &[
        ("list", "allowlist-source-range", &lists, CLOSED),
        ("template", "auth-url", &template, CLOSED),
        ("lines", "configuration-snippet", &lines, CLOSED),
        ("origins", "cors-allow-origin", &"https://a.test,".repeat(1_001), OPEN),
        ("names", "server-alias", &names, OPEN),
        ("long", "auth-realm", &long, 404),
    ];
    let mut all = vec![service("web", "ClusterIP", 80, &[&pod]), with("open", "open.test", &[])];
    for (name, annotation, value, _) in rows {
        all.push(with(name, &format!("{name}.test"), &[(annotation, value)]));
    }
    let path = |number: u16| {
        format!(
            "      - path: /p{number}/[a-z]+\n        pathType: ImplementationSpecific\n        \
             backend: {{service: {{name: web, port: {{number: 80}}}}}}\n"
        )
    };
    let patterns = with("patterns", "patterns.test", &[("use-regex", "true")]);
    all.push(patterns + &(0..=1_000).map(path).collect::<String>());
    let portico = Portico::with(&[("all.yaml", &all.join("---\n"))]).start();
    for (path, status) in [("/p0/a", 200), ("/p999/a", 200), ("/p1000/a", 503), ("/", 200)] {
        let got = get(portico.http(), "patterns.test", path).status;
        assert_eq!(got, status, "ingress 6.2: patterns of a host: {path}");
    }
    let told = [portico.warnings(), portico.errors()].concat();
    assert!(told.len() < 300, "of many findings few are kept: {}", told.len());
    for (name, _, _, status) in rows {
        let host = format!("{name}.test");
        assert_eq!(get(portico.http(), &host, "/").status, *status, "ingress 6.9, 6.12: {name}");
        let object = format!("default/{name}:");
        assert!(told.iter().any(|text| text.contains(&object)), "ingress 6.12: {name} is told");
    }
    assert_eq!(get(portico.http(), "n1000.test", "/").status, 404, "ingress 6.9: one too many");
    assert_eq!(get(portico.http(), "n999.test", "/").status, 200, "ingress 6.9: the last");
    assert_eq!(get(portico.http(), "open.test", "/").text(), "web", "neighbours");
}

/// CVE-2025-1974: to look at hostile manifests runs nothing, asks nobody, and needs no network.
#[test]
fn a_check_of_hostile_manifests_is_the_same_without_a_network() {
    let pod = Pod::http("web");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("all.yaml");
    std::fs::write(&file, manifests(&pod)).unwrap();
    let arguments = ["check", "--format", "json", file.to_str().unwrap()];
    let here = run(&arguments);
    assert_eq!(here.status.code(), Some(1), "ingress 3: something is refused");
    let program = program();
    let program = program.to_str().unwrap();
    let alone = [&["--map-root-user", "--net", program], &arguments[..]].concat();
    let Some(alone) = tool("unshare", &alone) else { return };
    assert_eq!(alone.status.code(), Some(1), "ingress 3, 6.12: {alone:?}");
    assert!(alone.stdout == here.stdout, "ingress 3, 6.12: the same without a network");
}
