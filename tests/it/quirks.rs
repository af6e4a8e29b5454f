//! What ingress-nginx does with paths and the specification does not, with the switch off and on
//! (`ingress 2.2`).

use portico_config::model::Settings;

use crate::annotations::annotated;
use crate::harness::http::get;
use crate::harness::pod::Pod;
use crate::harness::portico::Portico;
use crate::harness::process::run;
use crate::services::service;

/// An Ingress for one path of a host.
fn path(
    name: &str,
    (host, kind, path): (&str, &str, &str),
    annotations: &[(&str, &str)],
) -> String {
    annotated(name, host, annotations, "")
        .replace("path: /\n", &format!("path: {path}\n"))
        .replace("pathType: Prefix", &format!("pathType: {kind}"))
        .replace("name: web, port", &format!("name: {name}, port"))
}

/// A Service, the type of a path, the path, and annotations.
type Rule<'a> = (&'a str, &'a str, &'a str, &'a [(&'a str, &'a str)]);

const PODS: [&str; 3] = ["one", "two", "three"];

/// All hosts of the table: each Ingress leads to the Service that it is named after, as far as its
/// name begins with one.
fn manifests(pods: &[Pod; 3]) -> String {
    const SPECIFIC: &str = "ImplementationSpecific";
    let regex = [("use-regex", "true")];
    let rewrite = [("rewrite-target", "/$1")];
    let same = [("rewrite-target", "/app")];
    let services = PODS.iter().zip(pods);
    let mut all: Vec<String> = services
        .map(|(name, pod)| service(name, "ClusterIP", 80, &[pod]))
        .collect();
    let mut host = |host: &str, rules: &[Rule<'_>]| {
        for &(pod, kind, text, annotations) in rules {
            let rule = path(pod, (&format!("{host}.test"), kind, text), annotations);
            let name = format!("name: {host}-{pod}\n");
            all.push(rule.replacen(&format!("name: {pod}\n"), &name, 1));
        }
    };
    host("regex", &[("one", SPECIFIC, "/api/v[0-9]", &regex), ("two", "Exact", "/a.b", &[])]);
    host("rewrite", &[("one", SPECIFIC, "/api/(.*)", &rewrite), ("two", "Prefix", "/shop", &[])]);
    host("same", &[("one", "Prefix", "/app", &same), ("two", "Prefix", "/shop", &[])]);
    host(
        "order",
        &[
            ("one", SPECIFIC, "/foo/bar/[a-z]{3}", &regex),
            ("two", "Prefix", "/foo/bar/bar", &[]),
            ("three", "Prefix", "/", &[]),
        ],
    );
    host("text", &[("one", SPECIFIC, "/foo", &[]), ("two", "Prefix", "/", &[])]);
    host("slash", &[("one", "Prefix", "/foo/", &[]), ("two", "Prefix", "/", &[])]);
    host("taken", &[("one", "Prefix", "/foo/", &[]), ("two", "Exact", "/foo", &[])]);
    host("element", &[("one", "Prefix", "/foo", &[]), ("two", "Prefix", "/", &[])]);
    all.join("---\n")
}

/// Who serves a path with the switch off, and who with it on; a number stands for an answer that no
/// pod gives.
const TABLE: &[(&str, &str, &str, &str)] = &[
    // A pattern ends at the border of an element, or anywhere.
    ("regex.test", "/api/v1", "one", "one"),
    ("regex.test", "/api/v10", "404", "one"),
    // One pattern makes patterns of all paths of its host, whatever their type says.
    ("regex.test", "/a.b", "two", "two"),
    ("regex.test", "/axb", "404", "two"),
    ("regex.test", "/A.B", "404", "two"),
    ("rewrite.test", "/api/x", "one", "one"),
    ("rewrite.test", "/shopping", "404", "two"),
    ("rewrite.test", "/SHOP", "404", "two"),
    // A rewrite to the path itself does not.
    ("same.test", "/shop", "two", "two"),
    ("same.test", "/shopping", "404", "404"),
    ("same.test", "/SHOP", "404", "404"),
    // By the length of the text, not by what a pattern has of letters.
    ("order.test", "/foo/bar/bar", "two", "one"),
    ("order.test", "/foo/bar/bar/x", "two", "one"),
    ("order.test", "/other", "three", "three"),
    // ImplementationSpecific without a pattern is the begin of a text.
    ("text.test", "/foo", "one", "one"),
    ("text.test", "/foobar", "two", "one"),
    ("text.test", "/foo/bar", "one", "one"),
    // A `/` at the end is part of the path, and what lacks it is sent there.
    ("slash.test", "/foo/x", "one", "one"),
    ("slash.test", "/foo", "one", "301"),
    ("slash.test", "/foobar", "two", "two"),
    ("taken.test", "/foo", "two", "two"),
    ("taken.test", "/foo/x", "one", "one"),
    // Prefix is by element either way.
    ("element.test", "/foo/x", "one", "one"),
    ("element.test", "/foobar", "two", "two"),
];

fn who(portico: &Portico, host: &str, path: &str) -> String {
    let answer = get(portico.http(), host, path);
    match answer.status {
        200 => answer.text().to_owned(),
        status => status.to_string(),
    }
}

#[test]
fn what_a_check_says_of_requests_in_either_mode_is_what_happens() {
    let pods = PODS.map(Pod::http);
    let text = manifests(&pods);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("all.yaml");
    std::fs::write(&file, &text).unwrap();
    let found = run(&["check", "--format", "json", file.to_str().unwrap()]);
    let found: Vec<serde_json::Value> = serde_json::from_slice(&found.stdout).unwrap();
    let quirky = |settings: &mut Settings| settings.front_door.nginx_quirks = true;
    let off = Portico::with(&[("all.yaml", &text)]).start();
    let on = Portico::with(&[("all.yaml", &text)]).adjust(quirky).start();
    let messages = found.iter().filter_map(|found| found["message"].as_str());
    let hosts = messages.filter_map(|text| {
        let rest = text.strip_prefix("ingress-nginx gives requests for ")?;
        rest.split_once(" to other paths: ")
    });
    let mut tried = Vec::new();
    for (host, pairs) in hosts {
        for pair in pairs.split("; ") {
            // `/a/b is for /a of default/x-one here, for /a/[a-z] of default/x-two there`
            let (request, both) = pair.split_once(" is for ").unwrap();
            let (here, there) = both.split_once(" here, for ").unwrap();
            let pod = |path: &str| {
                let name = path.trim_end_matches(" there").rsplit('-').next();
                name.unwrap().to_owned()
            };
            assert_eq!(who(&off, host, request), pod(here), "ingress 3: {pair}");
            assert_eq!(who(&on, host, request), pod(there), "ingress 3: {pair}");
        }
        tried.push(host);
    }
    assert_eq!(tried, ["order.test", "text.test"], "ingress 3: hosts of the table that change");
}

#[test]
fn quirks_are_behind_their_switch() {
    let pods = PODS.map(Pod::http);
    let text = manifests(&pods);
    let quirky = |settings: &mut Settings| settings.front_door.nginx_quirks = true;
    let off = Portico::with(&[("all.yaml", &text)]).start();
    let on = Portico::with(&[("all.yaml", &text)]).adjust(quirky).start();
    for (host, path, spec, nginx) in TABLE {
        assert_eq!(who(&off, host, path), *spec, "ingress 1.3: {host}{path}");
        assert_eq!(who(&on, host, path), *nginx, "ingress 2.2: {host}{path}");
    }
    let moved = get(on.http(), "slash.test:81", "/foo?a=b");
    let location = moved.header("location");
    assert_eq!(location, Some("http://slash.test:81/foo/?a=b"), "ingress 2.2: trailing slash");
}

#[test]
fn an_ingress_asks_for_its_hosts_and_another_may_refuse() {
    let pods = PODS.map(Pod::http);
    let services: Vec<String> = PODS
        .iter()
        .zip(&pods)
        .map(|(name, pod)| service(name, "ClusterIP", 80, &[pod]))
        .collect();
    let with = |text: String, quirks: &str| {
        let line = format!("  annotations:\n    portico.dev/nginx-quirks: \"{quirks}\"\n");
        text.replacen("  annotations:\n", &line, 1)
    };
    let rule = |host: &str| path("one", (host, "ImplementationSpecific", "/foo"), &[]);
    let named =
        |text: String, name: &str| text.replacen("name: one\n", &format!("name: {name}\n"), 1);
    let manifests = [
        services.join("---\n"),
        named(with(rule("asks.test"), "true"), "asks"),
        named(rule("silent.test"), "silent"),
        named(with(rule("both.test"), "true"), "both"),
        with(path("two", ("both.test", "Prefix", "/other"), &[]), "false"),
        named(with(rule("odd.test"), "perhaps"), "odd"),
    ]
    .join("---\n");
    let portico = Portico::with(&[("all.yaml", &manifests)]).start();
    for (host, want) in
        [("asks.test", "one"), ("silent.test", "404"), ("both.test", "404"), ("odd.test", "404")]
    {
        assert_eq!(who(&portico, host, "/foobar"), want, "ingress 2.2: {host}");
    }
    assert_eq!(who(&portico, "odd.test", "/foo"), "503", "it says where requests go");
    let told = portico.warnings();
    let refused = |text: &String| text.contains("wants none of nginx's quirks for both.test");
    assert!(told.iter().any(refused), "ingress 2.2: {told:?}");
    let admin = portico.admin();
    let status = get(admin, &admin.to_string(), "/api/v1/ingresses");
    let status: serde_json::Value = serde_json::from_slice(&status.body).unwrap();
    let modes = status["ingresses"]
        .as_array()
        .unwrap()
        .iter()
        .map(|ingress| {
            let mode = &ingress["locations"][0]["mode"];
            (ingress["name"].as_str().unwrap(), mode.as_str().unwrap())
        });
    let nginx: Vec<_> = modes.filter(|(_, mode)| *mode == "nginx").collect();
    assert_eq!(nginx, [("asks", "nginx")], "ingress 1.8");
}
