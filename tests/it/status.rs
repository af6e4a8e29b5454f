//! `portico status` against an instance in this process (`ingress 1.8`).

use std::process::Output;

use crate::front_door::ingress;
use crate::harness::http::get;
use crate::harness::pod::Pod;
use crate::harness::portico::Portico;
use crate::harness::process::run;
use crate::services::service;

/// Ingresses of every state; `b` comes behind `a` and loses one path to it.
fn manifests(pods: &[Pod; 2]) -> String {
    let annotated = |name: &str, path: &str, annotations: &str| {
        let host = format!("{name}.test");
        let line = format!("  annotations: {{{annotations}}}\nspec:\n");
        ingress(name, &[(&host, "Prefix", path, "one")], "").replacen("spec:\n", &line, 1)
    };
    let prefix = "nginx.ingress.kubernetes.io";
    let second = [
        ("a.test", "Prefix", "/", "two"),
        ("a.test", "Exact", "/own", "two"),
        ("a.test", "Prefix", "/gone", "missing"),
    ];
    let rest = ingress("rest", &[("rest.test", "Exact", "/x", "one")], "").replacen(
        "spec:\n",
        "spec:\n  defaultBackend: {service: {name: two, port: {number: 80}}}\n",
        1,
    );
    let foreign = ingress("foreign", &[("foreign.test", "Prefix", "/", "one")], "");
    [
        service("one", "ClusterIP", 80, &[&pods[0], &pods[1]]),
        service("two", "ClusterIP", 80, &[&pods[1]]),
        ingress("a", &[("a.test", "Prefix", "/", "one")], ""),
        ingress("b", &second, ""),
        annotated("closed", "/", &format!("{prefix}/allowlist-source-range: ten")),
        annotated("quirky", "/q", "portico.dev/nginx-quirks: \"true\""),
        annotated("canary", "/", &format!("{prefix}/canary: \"true\"")),
        ingress("a-next", &[("a.test", "Prefix", "/", "two")], "").replacen(
            "spec:\n",
            &format!("  annotations: {{{prefix}/canary: \"true\"}}\nspec:\n"),
            1,
        ),
        rest,
        foreign.replacen("spec:\n", "spec:\n  ingressClassName: other\n", 1),
    ]
    .join("---\n")
}

/// What the command says of a portico, and its exit code.
fn status(portico: &Portico, more: &[&str]) -> (String, String, Option<i32>) {
    let admin = portico.admin().to_string();
    let Output { status, stdout, stderr } = run(&[&["status", "--admin", &admin], more].concat());
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (text(stdout), text(stderr), status.code())
}

/// Each line with one blank between words.
fn words(text: &str) -> Vec<String> {
    let lines = text.lines();
    lines
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect()
}

#[test]
fn each_ingress_of_a_running_portico_is_shown_as_it_is() {
    let pods = ["one", "two"].map(Pod::http);
    let portico = Portico::with(&[("all.yaml", &manifests(&pods))]).start();
    let (text, errors, code) = status(&portico, &[]);
    assert_eq!((code, &*errors), (Some(0), ""), "{text}");
    let at = format!("127.0.0.1:{},{}", portico.http().port(), portico.https().port());
    let lines = words(&text);
    assert_eq!(
        lines[0],
        "NAMESPACE NAME CLASS OWNER ADDRESS HOST PATH SERVICE ENDPOINTS MODE STATE"
    );
    for want in [
        format!("default a - portico {at} a.test / default/one:80 2 spec open"),
        format!("default a-next - portico {at} a.test / default/two:80 1 spec open"),
        format!("default b - portico {at} a.test /own default/two:80 1 spec open"),
        format!("default b - portico {at} a.test /gone - 0 spec open: no Service `missing` in namespace default"),
        format!("default b - portico {at} a.test / - - spec shadowed: served by default/a"),
        format!("default quirky - portico {at} quirky.test /q default/one:80 2 nginx open"),
        format!("default canary - portico {at} - - - - - serves nothing: no path of it is in use"),
        format!("default rest - portico {at} rest.test (rest) default/two:80 1 spec open"),
        "default foreign other - - - - - - - left: there is no IngressClass other, and ingress.classNames does not list it"
            .to_owned(),
    ] {
        assert!(lines.contains(&want), "ingress 1.8: {want} in:\n{}", lines.join("\n"));
    }
    let closed = lines.iter().find(|line| line.contains(" closed ")).unwrap();
    let reason = "spec closed: annotation nginx.ingress.kubernetes.io/allowlist-source-range";
    assert!(closed.contains(reason), "ingress 1.8: {closed}");
    // It tells what requests meet.
    for (host, path, want) in [
        ("a.test", "/gone", 503),
        ("closed.test", "/", 503),
        ("rest.test", "/else", 200),
        ("canary.test", "/", 404),
        ("foreign.test", "/", 404),
    ] {
        assert_eq!(get(portico.http(), host, path).status, want, "{host}{path}");
    }
    let (wide, ..) = status(&portico, &["-o", "wide", "a"]);
    let wide = words(&wide);
    let want = format!(
        "default a - portico {at} a.test / Prefix default/one:80 2 default/a-next spec open"
    );
    assert_eq!(wide[1..], [want], "ingress 1.8");
}

#[test]
fn a_program_reads_the_same_and_names_choose() {
    let pods = ["one", "two"].map(Pod::http);
    let portico = Portico::with(&[("all.yaml", &manifests(&pods))]).start();
    let names = |more: &[&str]| -> (Vec<String>, String, Option<i32>) {
        let (text, errors, code) = status(&portico, &[&["-o", "json"], more].concat());
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        let all = json["ingresses"].as_array().unwrap().iter();
        let name = |it: &serde_json::Value| it["name"].as_str().unwrap().to_owned();
        (all.map(name).collect(), errors, code)
    };
    let (all, _, code) = names(&[]);
    assert_eq!((all.len(), code), (8, Some(0)), "{all:?}");
    let (some, errors, code) = names(&["default/closed", "foreign"]);
    assert_eq!((&some[..], code), (&["closed".to_owned(), "foreign".to_owned()][..], Some(0)));
    assert_eq!(errors, "");
    let (none, errors, code) = names(&["shop/closed"]);
    assert_eq!((none.len(), code), (0, Some(1)), "an Ingress that is named is to be there");
    assert!(errors.contains("shop/closed: there is no such Ingress"), "{errors}");
    let (none, errors, code) = names(&["-n", "shop"]);
    assert_eq!((none.len(), code), (0, Some(0)));
    assert!(errors.contains("there is no Ingress in namespace shop"), "{errors}");
}
