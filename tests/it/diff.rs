//! `portico diff` against an instance in this process: what it says, and that it changes nothing.

use std::fs;
use std::process::Output;

use crate::annotations::annotated;
use crate::front_door::ingress;
use crate::harness::eventually;
use crate::harness::pod::Pod;
use crate::harness::portico::Portico;
use crate::harness::process::{own_address, run};
use crate::services::service;

/// Runs `portico diff` over these manifests as the instance was started.
fn diff(portico: &Portico, manifests: &str, more: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("all.yaml");
    fs::write(&file, manifests).unwrap();
    let admin = portico.admin().to_string();
    let node = portico.node_address().to_string();
    let cidr = portico.service_cidr();
    let own = [
        "diff",
        file.to_str().unwrap(),
        "--admin",
        &format!("http://{admin}/"),
        "--service-cidr",
        &cidr,
        "--node-address",
        &node,
    ];
    run(&[&own, more].concat())
}

#[track_caller]
fn text(output: &Output, code: i32) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{text}{errors}");
    text + &errors
}

#[test]
fn what_probing_has_found_out_is_no_difference() {
    let web = Pod::http("web");
    let pod = |name: &str, host: &str, port: u16| {
        format!(
            "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, labels: {{app: web}}}}\nspec: \
             {{containers: [{{name: web, readinessProbe: {{tcpSocket: {{port: {port}}}, periodSeconds: \
             1}}}}]}}\nstatus: {{podIP: {host}}}\n"
        )
    };
    let port = web.address.port();
    let manifests = format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: web}}\nspec: {{selector: {{app: web}}, ports: \
         [{{port: 80, targetPort: {port}}}]}}\n{}{}",
        pod("good", "127.0.0.1", port),
        pod("bad", "127.0.0.2", port)
    );
    let portico = Portico::with(&[("all.yaml", &manifests)]).start();
    eventually("one of them is ready", || {
        (portico.metric("portico_prober_pods{ready=\"true\"}") == 1).then_some(())
    });
    eventually("the same manifests differ in nothing", || {
        let output = diff(&portico, &manifests, &[]);
        (output.status.code() == Some(0)).then_some(())
    });
}

#[test]
fn the_same_manifests_differ_in_nothing_and_others_by_name() {
    let (one, two) = (Pod::http("one"), Pod::http("two"));
    let rules = [("web.test", "Prefix", "/", "web")];
    let manifests = |pods: &[&Pod], path: &str| {
        let texts = [
            service("web", "NodePort", 80, pods),
            service("old", "ClusterIP", 81, pods),
            ingress("i", &rules, "").replace("/", path),
        ];
        texts
            .join("---\n")
            .replace("networking.k8s.io/shopv1", "networking.k8s.io/v1")
    };
    let served = manifests(&[&one], "/");
    let portico = Portico::with(&[("all.yaml", &served)]).start();
    let generation = portico.generation();
    assert_eq!(text(&diff(&portico, &served, &[]), 0), "no difference\n");
    let wanted = manifests(&[&two], "/").replace("name: old", "name: new");
    let found = text(&diff(&portico, &wanted, &[]), 1);
    for line in [
        "~ Service default/web".to_owned(),
        format!("    - port 80/TCP to {}", one.address),
        format!("    + port 80/TCP to {}", two.address),
        "+ Service default/new".to_owned(),
        "- Service default/old".to_owned(),
    ] {
        assert!(found.lines().any(|found| found.starts_with(&line)), "{line} in\n{found}");
    }
    assert!(!found.contains("web.test"), "the host stays as it is:\n{found}");
    let json = text(&diff(&portico, &wanted, &["--format", "json"]), 1);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let changes = json["changes"].as_array().unwrap();
    let names: Vec<_> = changes
        .iter()
        .map(|change| change["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["default/new", "default/old", "default/web"]);
    assert_eq!(portico.generation(), generation, "a diff changes nothing");
}

#[test]
fn what_annotations_would_change_is_shown_by_their_names() {
    let pod = Pod::http("pod");
    let manifests = |annotations: &[(&str, &str)]| {
        let web = annotated("i", "web.test", annotations, "");
        [service("web", "ClusterIP", 80, &[&pod]), web].join("---\n")
    };
    let before = [("limit-rps", "5"), ("rewrite-target", "/old"), ("proxy-body-size", "2m")];
    let portico = Portico::with(&[("all.yaml", &manifests(&before))]).start();
    assert_eq!(text(&diff(&portico, &manifests(&before), &[]), 0), "no difference\n");
    let after = [
        ("allowlist-source-range", "10.0.0.0/8, 192.0.2.1"),
        ("rewrite-target", "/new"),
        ("proxy-body-size", "2m"),
        ("affinity", "cookie"),
        ("session-cookie-name", "SHOP"),
        ("proxy-next-upstream", "error http_502"),
    ];
    let want = "~ host web.test\n    \
                - Prefix /: limit-rps burst 25 requests 5\n    \
                - Prefix /: limit-status 429\n    \
                - Prefix /: rewrite-target /old\n    \
                + Prefix /: affinity cookie\n    \
                + Prefix /: allowlist-source-range 10.0.0.0/8, 192.0.2.1/32\n    \
                + Prefix /: proxy-next-upstream error http_502\n    \
                + Prefix /: rewrite-target /new\n    \
                + Prefix /: session-cookie-name SHOP\n    \
                + Prefix /: session-cookie-path /\n";
    assert_eq!(text(&diff(&portico, &manifests(&after), &[]), 1), want);
    let closed = text(&diff(&portico, &manifests(&[("limit-rps", "many")]), &[]), 1);
    assert!(closed.contains("+ Prefix /: closed annotation"), "{closed}");
    assert!(!closed.contains("last good version"), "the Ingress is used, and closed: {closed}");
}

#[test]
fn what_would_be_refused_is_said_and_not_shown_as_removed() {
    let pod = Pod::http("pod");
    let good = service("web", "ClusterIP", 80, &[&pod]);
    let portico = Portico::with(&[("all.yaml", &good)]).start();
    for broken in [good.replace("port: 80\n", "port: 99999\n"), good.replace("spec:", "spec: [")] {
        let found = text(&diff(&portico, &broken, &[]), 0);
        assert!(found.contains("last good version would stay"), "{found}");
        assert!(!found.contains("- Service"), "{found}");
    }
}

#[test]
fn without_a_portico_or_manifests_it_says_what_to_do() {
    let portico = Portico::with(&[]).start();
    let nowhere = own_address().to_string();
    let no_portico = portico.http().to_string();
    let admin = portico.admin().to_string();
    for (case, arguments, want) in [
        ("nothing runs", ["diff", ".", "--admin", &nowhere], "start one with portico run"),
        ("something else runs", ["diff", ".", "--admin", &no_portico], "name the --admin address"),
        ("admin is off", ["diff", ".", "--admin", "off"], "name the address"),
        ("no manifests", ["diff", "/nowhere/at/all", "--admin", &admin], "no such file or folder"),
    ] {
        let said = text(&run(&arguments), 2);
        assert!(said.contains(want), "{case}: {said}");
    }
}
