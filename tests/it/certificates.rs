//! Which certificate a host has, and that the name of a handshake chooses nothing else (`ingress 1.3`,
//! `ingress 1.6`, `ingress 1.9`).

use rcgen::{CertificateParams, KeyPair};

use crate::annotations::annotated;
use crate::backend_tls::{Authority, pem};
use crate::client_certs::{ask, client};
use crate::front_door::{ingress, secret};
use crate::harness::pod::Pod;
use crate::harness::portico::Portico;
use crate::services::service;

#[test]
fn the_name_chooses_the_certificate_and_host_the_rule() {
    let authority = Authority::new();
    let (one, two) = (Pod::http("one"), Pod::http("two"));
    let pair = authority.sign_for(&["one.test", "two.test"].map(str::to_owned));
    let entry = "  tls:\n  - hosts: [one.test, two.test]\n    secretName: pair\n";
    let manifests = [
        service("web", "ClusterIP", 80, &[&one]),
        service("two", "ClusterIP", 80, &[&two]),
        authority.secret("pair", Some(&pair)),
        annotated("one", "one.test", &[], entry),
        annotated("two", "two.test", &[("affinity", "cookie")], "")
            .replace("name: web, port", "name: two, port"),
    ]
    .join("---\n");
    let portico = Portico::with(&[("all.yaml", &manifests)]).start();
    let config = client(&authority, None);
    for (name, host, pod) in [
        ("one.test", "one.test", "one"),
        ("one.test", "two.test", "two"),
        ("two.test", "one.test", "one"),
        ("two.test", "two.test", "two"),
    ] {
        let (answer, _) = ask(portico.https(), &config, (name, host));
        let (head, seen) = answer.split_once("\r\n\r\n").unwrap();
        assert!(seen.starts_with(&format!("{pod}GET ")), "ingress 1.3: {host} over {name}: {seen}");
        for line in [
            format!("X-Forwarded-Host: {host}"),
            "X-Forwarded-Port: 443".to_owned(),
            "X-Forwarded-Proto: https".to_owned(),
            "X-Forwarded-Scheme: https".to_owned(),
            "X-Scheme: https".to_owned(),
        ] {
            assert!(seen.contains(&format!("\r\n{line}\r\n")), "ingress 1.9: {line}: {seen}");
        }
        let cookie = head
            .lines()
            .find_map(|line| line.strip_prefix("Set-Cookie: "));
        assert_eq!(cookie.is_some(), pod == "two");
        let is_secure = cookie.is_none_or(|cookie| cookie.contains("; Secure"));
        assert!(is_secure, "ingress 2.4: session-cookie-secure: {cookie:?}");
    }
}

/// A pair for a name that has been good for nothing since 2021.
fn expired(name: &str, host: &str) -> String {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new([host.to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2021, 1, 1);
    let certificate = params.self_signed(&key).unwrap();
    let head = format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}}}\nstringData:\n");
    head + &pem("tls.crt", &certificate.pem()) + &pem("tls.key", &key.serialize_pem())
}

#[test]
fn a_host_has_a_certificate_of_its_own_namespace_or_the_default_one() {
    let pod = Pod::http("web");
    let hosts = ["abroad", "bare", "old", "good", "odd"].map(|name| format!("{name}.test"));
    let rules = hosts
        .each_ref()
        .map(|host| (host.as_str(), "Prefix", "/", "web"));
    let tls = "  tls:\n  - {hosts: [abroad.test], secretName: abroad}\n  - {hosts: [bare.test]}\n  \
               - {hosts: [old.test], secretName: old}\n  - {hosts: [odd.test], secretName: odd}\n  \
               - {hosts: [good.test], secretName: good}\n";
    let abroad = secret("abroad", &["abroad.test"]).0;
    let odd = "apiVersion: v1\nkind: Secret\nmetadata: {name: odd}\nstringData: {other: key}\n";
    let manifests = [
        service("web", "ClusterIP", 80, &[&pod]),
        ingress("all", &rules, tls),
        abroad.replacen("metadata: {", "metadata: {namespace: other, ", 1),
        expired("old", "old.test"),
        odd.to_owned(),
        secret("good", &["good.test"]).0,
    ]
    .join("---\n");
    let portico = Portico::with(&[("all.yaml", &manifests)]).start();
    let snapshot = portico.snapshot();
    let mut own: Vec<_> = snapshot.certificates.exact.keys().collect();
    own.sort();
    assert_eq!(own, [&"good.test".into(), &"old.test".into()], "ingress 1.6");
    let told = portico.warnings();
    for text in ["no Secret `abroad` in namespace default", "expired", "Secret `odd`"] {
        assert!(told.iter().any(|it| it.contains(text)), "ingress 1.6: {text}: {told:?}");
    }
    for host in hosts {
        let answer = crate::harness::http::get(portico.http(), &host, "/");
        assert_eq!(answer.status, 308, "ingress 1.6: never in the clear: {host}");
    }
}
