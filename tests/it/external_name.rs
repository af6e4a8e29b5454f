//! ExternalName Services behind Ingresses: Services elsewhere, hosts outside, and what is no endpoint
//! (`ingress 1.5`, `ingress 6.7`).

use portico_config::model::Settings;

use crate::annotations::annotated;
use crate::front_door::ingress;
use crate::harness::eventually;
use crate::harness::http::{Client, get};
use crate::harness::pod::Pod;
use crate::harness::portico::Portico;
use crate::services::service;

fn external(name: &str, host: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata:\n  name: {name}\nspec:\n  type: ExternalName\n  \
         externalName: {host}\n"
    )
}

/// An Ingress of the host that is called like the Service, with a port of one's own.
fn rule(name: &str, port: u16, annotations: &[(&str, &str)]) -> String {
    annotated(&format!("to-{name}"), &format!("{name}.test"), annotations, "")
        .replace("name: web, port", &format!("name: {name}, port"))
        .replace("number: 80", &format!("number: {port}"))
}

#[test]
fn an_external_name_leads_to_the_host_that_it_names() {
    let pod = Pod::http("out");
    let port = pod.address.port();
    let manifests = [
        external("out", "localhost"),
        rule("out", port, &[]),
        external("named", "localhost"),
        rule("named", port, &[("upstream-vhost", "inner.test")]),
        external("lost", "nothing.invalid"),
        rule("lost", port, &[]),
        external("address", "127.0.0.1"),
        rule("address", port, &[]),
    ]
    .join("---\n");
    let portico = Portico::with(&[("all.yaml", &manifests)]).start();
    let found = |host: &str| {
        eventually("the host is found", || {
            let answer = get(portico.http(), host, "/headers");
            (answer.status == 200).then(|| answer.text().to_ascii_lowercase())
        })
    };
    for (host, seen) in [
        ("out.test", "\nhost: out.test\r"),
        ("named.test", "\nhost: inner.test\r"),
        ("address.test", "\nhost: address.test\r"),
    ] {
        assert!(found(host).contains(seen), "ingress 1.9: Host of {host}");
    }
    assert_eq!(get(portico.http(), "lost.test", "/").status, 503, "ingress 1.5: nowhere");
    let series = format!("{{port=\"{port}\",protocol=\"tcp\",service=\"default/address\"}}");
    let counted = portico.metric(&format!("portico_endpoints{series}"));
    assert_eq!(counted, 1, "it is counted like a Service");
    portico.edit(
        "all.yaml",
        &[external("out", "nothing.invalid"), rule("out", port, &[])].join("---\n"),
    );
    assert_eq!(get(portico.http(), "out.test", "/").status, 503, "it leads elsewhere now");
}

#[test]
fn an_external_name_leads_to_a_service_of_another_namespace() {
    let pod = Pod::http("other");
    let elsewhere =
        |text: String| text.replacen("metadata:\n", "metadata:\n  namespace: other\n", 1);
    let manifests = [
        elsewhere(service("web", "ClusterIP", 80, &[&pod])),
        external("short", "web.other.svc"),
        rule("short", 80, &[]),
        external("whole", "web.other.svc.cluster.local"),
        rule("whole", 80, &[]),
        external("twice", "whole.default.svc.cluster.local"),
        rule("twice", 80, &[]),
        external("port", "web.other.svc.cluster.local"),
        rule("port", 81, &[]),
        external("gone", "gone.other.svc.cluster.local"),
        rule("gone", 80, &[]),
        external("ping", "pong.default.svc.cluster.local"),
        external("pong", "ping.default.svc.cluster.local"),
        rule("ping", 80, &[]),
    ]
    .join("---\n");
    let portico = Portico::with(&[("all.yaml", &manifests)]).start();
    for host in ["short.test", "whole.test", "twice.test"] {
        assert_eq!(get(portico.http(), host, "/").text(), "other", "ingress 6.7: {host}");
    }
    for (host, said) in [
        ("port.test", "which has no port 81"),
        ("gone.test", "leads to Service `other/gone`, which does not exist"),
        ("ping.test", "and so on without an end"),
    ] {
        assert_eq!(get(portico.http(), host, "/").status, 503, "{host}");
        let told = portico.warnings();
        assert!(told.iter().any(|text| text.contains(said)), "{host}: {told:?}");
    }
}

#[test]
fn an_external_name_leads_nowhere_that_settings_and_surroundings_forbid() {
    let pod = Pod::http("out");
    let port = pod.address.port();
    let manifests = [
        external("metadata", "169.254.169.254"),
        rule("metadata", 80, &[]),
        external("out", "localhost"),
        rule("out", port, &[]),
    ]
    .join("---\n");
    let portico = Portico::with(&[("all.yaml", &manifests)]).start();
    assert_eq!(get(portico.http(), "metadata.test", "/").status, 503, "ingress 6.7");
    let told = portico.warnings();
    let surroundings = |text: &String| text.contains("this host's surroundings");
    assert!(told.iter().any(surroundings), "{told:?}");
    let listing = |host: &'static str| {
        move |settings: &mut Settings| settings.front_door.outbound_hosts = vec![host.into()]
    };
    let portico = Portico::with(&[("all.yaml", &manifests)])
        .adjust(listing("Localhost"))
        .start();
    eventually("a listed host is found", || {
        (get(portico.http(), "out.test", "/").status == 200).then_some(())
    });
    let portico = Portico::with(&[("all.yaml", &manifests)])
        .adjust(listing("example.com"))
        .start();
    assert_eq!(get(portico.http(), "out.test", "/").status, 503, "ingress 6.7: not listed");
    let told = portico.warnings();
    let unlisted = |text: &String| text.contains("none of the setting `ingress.outboundHosts`");
    assert!(told.iter().any(unlisted), "{told:?}");
}

#[test]
fn an_external_name_may_be_a_canary() {
    let (main, next) = (Pod::http("main"), Pod::http("next"));
    let canary =
        annotated("canary", "web.test", &[("canary", "true"), ("canary-by-header", "X-Try")], "");
    let manifests = [
        service("web", "ClusterIP", 80, &[&main]),
        ingress("main", &[("web.test", "Prefix", "/", "web")], ""),
        external("next", "127.0.0.1"),
        canary
            .replace("name: web, port", "name: next, port")
            .replace("number: 80", &format!("number: {}", next.address.port())),
    ]
    .join("---\n");
    let portico = Portico::with(&[("all.yaml", &manifests)]).start();
    for (fields, want) in [("", "main"), ("X-Try: always\r\n", "next")] {
        let head = format!("GET / HTTP/1.1\r\nHost: web.test\r\n{fields}\r\n");
        let answer = Client::connect(portico.http()).request(&head, b"").unwrap();
        assert_eq!(answer.text(), want, "ingress 2.4: canary");
    }
}
