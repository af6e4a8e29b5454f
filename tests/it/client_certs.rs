//! Certificates of clients, and TLS that is passed through: curl and rustls show what they have
//! (`ingress 2.4`: auth-tls-*, ssl-passthrough; `http-proxy 7.1, 7.3, 7.4, 7.8, 7.10`).

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, HandshakeKind, StreamOwned};

use crate::annotations::annotated;
use crate::backend_tls::{Authority, pair_secret, pem};
use crate::harness::PATIENCE;
use crate::harness::http::get;
use crate::harness::pod::Pod;
use crate::harness::portico::Portico;
use crate::harness::process::tool;
use crate::harness::secure::trusting;
use crate::services::service;

/// A Secret with who signs alone.
pub(crate) fn signers(name: &str, authority: &Authority) -> String {
    authority.secret(name, None)
}

/// A client that trusts anybody it is given, and shows a certificate, or a chain, if it has one.
pub(crate) fn client(authority: &Authority, shows: Option<(&str, &str)>) -> Arc<ClientConfig> {
    let builder = trusting(&authority.pem());
    let mut config = match shows {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = CertificateDer::pem_slice_iter(certificate.as_bytes());
            let chain = chain.collect::<Result<Vec<_>, _>>().unwrap();
            let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
            builder.with_client_auth_cert(chain, key).unwrap()
        }
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(config)
}

/// The answer to one request over a connection of its own, and how its handshake was made.
pub(crate) fn ask(
    address: SocketAddr,
    config: &Arc<ClientConfig>,
    (name, host): (&str, &str),
) -> (String, Option<HandshakeKind>) {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let session = ClientConnection::new(Arc::clone(config), name).unwrap();
    let mut stream = StreamOwned::new(session, stream);
    let head = format!("GET /headers HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    let mut piece = [0; 4096];
    // To its end, or to that of the request that comes back.
    while !(answer.contains("GET /headers HTTP/1.1\r\n") && answer.ends_with("close\r\n")) {
        match stream.read(&mut piece) {
            Ok(count @ 1..) => answer.push_str(&String::from_utf8_lossy(&piece[..count])),
            Ok(0) | Err(_) => break,
        }
    }
    (answer, stream.conn.handshake_kind())
}

fn status(answer: &str) -> u16 {
    answer
        .split(' ')
        .nth(1)
        .and_then(|code| code.parse().ok())
        .unwrap_or(0)
}

#[test]
fn a_host_lets_in_who_shows_what_it_asks_for() {
    let (signs, other) = (Authority::new(), Authority::new());
    let pod = Pod::http("web");
    let hosts = ["must", "optional", "any", "named", "page", "missing", "open", "plain"];
    let entry = |host: &str| format!("  tls:\n  - hosts: [{host}]\n    secretName: pair\n");
    let pair = signs.sign_for(&hosts.map(|host| format!("{host}.test")));
    let asking = |name: &str, more: &[(&str, &str)]| {
        let mut all = vec![("auth-tls-secret", "default/signers")];
        all.retain(|(name, _)| more.iter().all(|(other, _)| name != other));
        all.extend(more);
        annotated(name, &format!("{name}.test"), &all, &entry(&format!("{name}.test")))
    };
    let manifests = [
        service("web", "ClusterIP", 80, &[&pod]),
        signers("signers", &signs),
        pair_secret(&pair.0, &pair.1),
        asking("must", &[("auth-tls-pass-certificate-to-upstream", "true")]),
        asking("optional", &[("auth-tls-verify-client", "optional")]),
        asking("any", &[("auth-tls-verify-client", "optional_no_ca")]),
        asking("named", &[("auth-tls-match-cn", "CN=app-[0-9]+")]),
        asking("page", &[("auth-tls-error-page", "https://help.test/why")]),
        asking("missing", &[("auth-tls-secret", "nobody")]),
        asking("plain", &[("ssl-redirect", "false")]),
        annotated("open", "open.test", &[], &entry("open.test")),
    ]
    .join("---\n");
    let portico = Portico::with(&[("all.yaml", &manifests)]).start();
    let good = signs.client("app-7");
    let bad = other.client("app-7");
    let unnamed = signs.client("db-7");
    let shows = |pair: &(String, String)| client(&signs, Some((&pair.0, &pair.1)));
    let (nobody, good, bad, unnamed) =
        (client(&signs, None), shows(&good), shows(&bad), shows(&unnamed));
    for (host, who, want, says) in [
        ("must.test", &good, 200, "ssl-client-verify: SUCCESS"),
        ("must.test", &good, 200, "ssl-client-subject-dn: CN=app-7"),
        ("must.test", &good, 200, "ssl-client-issuer-dn: CN=authority"),
        ("must.test", &good, 200, "ssl-client-cert: -----BEGIN%20CERTIFICATE-----%0A"),
        ("must.test", &nobody, 400, ""),
        ("must.test", &bad, 400, ""),
        ("optional.test", &nobody, 200, "ssl-client-verify: NONE"),
        ("optional.test", &good, 200, "ssl-client-verify: SUCCESS"),
        ("optional.test", &bad, 400, ""),
        ("any.test", &bad, 200, "ssl-client-verify: FAILED:unable to verify"),
        ("any.test", &nobody, 200, "ssl-client-verify: NONE"),
        ("named.test", &good, 200, "ssl-client-verify: SUCCESS"),
        ("named.test", &unnamed, 403, ""),
        ("named.test", &nobody, 400, ""),
        ("page.test", &nobody, 302, "Location: https://help.test/why"),
        ("page.test", &good, 200, ""),
        ("missing.test", &good, 403, ""),
        ("open.test", &good, 200, ""),
    ] {
        let (answer, _) = ask(portico.https(), who, (host, host));
        assert_eq!(status(&answer), want, "ingress 2.4: {host}: {answer}");
        assert!(answer.contains(says), "ingress 2.4: {host}: {says:?} in {answer}");
    }
    // What was agreed on for one host is good for no other (`http-proxy 7.3`).
    for (name, host) in [
        ("open.test", "must.test"),
        ("must.test", "open.test"),
        ("optional.test", "must.test"),
        ("open.test", "missing.test"),
    ] {
        let want = if host == "missing.test" { 403 } else { 421 };
        let (answer, _) = ask(portico.https(), &good, (name, host));
        assert_eq!(status(&answer), want, "http-proxy 7.3: {host} over {name}: {answer}");
    }
    nobody_shows_anything_without_tls(&portico);
}

fn nobody_shows_anything_without_tls(portico: &Portico) {
    for (host, want) in [("must.test", 308), ("plain.test", 400), ("missing.test", 403)] {
        assert_eq!(get(portico.http(), host, "/").status, want, "ingress 1.10: {host}");
    }
}

#[test]
fn a_default_backend_is_not_reached_around_the_certificates_that_it_asks_for() {
    let signs = Authority::new();
    let pod = Pod::http("web");
    let hosts = ["nobody.test", "host.test", "asks.test"].map(str::to_owned);
    let pair = signs.sign_for(&hosts);
    let entry = |host: &str| format!("  tls:\n  - hosts: [{host}]\n    secretName: pair\n");
    let asks = [("auth-tls-secret", "signers")];
    let site = |name: &str, annotations: &[(&str, &str)]| {
        let host = format!("{name}.test");
        annotated(name, &host, annotations, &entry(&host)).replace("path: /\n", "path: /in\n")
    };
    // Without rules it is for every host.
    let all = annotated("all", "x.test", &asks, &entry("nobody.test"));
    let all = all[..all.find("  rules:\n").unwrap()].to_owned()
        + "  defaultBackend: {service: {name: web, port: {number: 80}}}\n";
    let manifests = [
        service("web", "ClusterIP", 80, &[&pod]),
        signers("signers", &signs),
        pair_secret(&pair.0, &pair.1),
        all,
        site("host", &[]),
        site("asks", &asks),
    ]
    .join("---\n");
    let portico = Portico::with(&[("all.yaml", &manifests)]).start();
    let (certificate, key) = signs.client("app");
    let (nobody, good) = (client(&signs, None), client(&signs, Some((&certificate, &key))));
    for (host, who, want) in [
        ("nobody.test", &nobody, 400),
        ("nobody.test", &good, 200),
        ("asks.test", &nobody, 400),
        ("asks.test", &good, 200),
        // Nobody is asked for a certificate there, so that nobody gets there.
        ("host.test", &nobody, 503),
        ("host.test", &good, 503),
    ] {
        let (answer, _) = ask(portico.https(), who, (host, host));
        assert_eq!(status(&answer), want, "ingress 1.5, 2.4: auth-tls-secret: {host}: {answer}");
    }
    let status = get(portico.http(), "host.test", "/headers").status;
    assert_eq!(status, 503, "ingress 1.5: nor in the clear");
    assert_eq!(get(portico.http(), "host.test", "/in").status, 308, "its own rules are open");
    let told = portico.errors();
    let closed = |text: &String| text.contains("default/all:") && text.contains("auth-tls-secret");
    assert!(told.iter().any(closed), "ingress 2.1: {told:?}");
}

#[test]
fn a_chain_may_be_as_long_as_it_was_said() {
    let signs = Authority::new();
    let between = signs.below();
    let pod = Pod::http("web");
    let hosts = ["usual.test", "direct.test"].map(str::to_owned);
    let pair = signs.sign_for(&hosts);
    let entry = |host: &str| format!("  tls:\n  - hosts: [{host}]\n    secretName: pair\n");
    let asks = [("auth-tls-secret", "signers"), ("auth-tls-verify-depth", "0")];
    let manifests = [
        service("web", "ClusterIP", 80, &[&pod]),
        signers("signers", &signs),
        pair_secret(&pair.0, &pair.1),
        annotated("usual", "usual.test", &asks[..1], &entry("usual.test")),
        annotated("direct", "direct.test", &asks, &entry("direct.test")),
    ]
    .join("---\n");
    let portico = Portico::with(&[("all.yaml", &manifests)]).start();
    let (near, (far, key)) = (signs.client("near"), between.client("far"));
    let near = client(&signs, Some((&near.0, &near.1)));
    let far = client(&signs, Some((&(far + &between.pem()), &key)));
    for (host, who, want) in [
        ("usual.test", &near, 200),
        ("usual.test", &far, 200),
        ("direct.test", &near, 200),
        ("direct.test", &far, 400),
    ] {
        let (answer, _) = ask(portico.https(), who, (host, host));
        let got = status(&answer);
        assert_eq!(got, want, "ingress 2.4: auth-tls-verify-depth: {host}: {answer}");
    }
}

#[test]
fn a_certificate_that_was_taken_back_is_worth_nothing() {
    let (signs, other) = (Authority::new(), Authority::new());
    let pod = Pod::http("web");
    let entry = "  tls:\n  - hosts: [web.test]\n    secretName: pair\n";
    let pair = signs.sign_for(&["web.test".to_owned(), "any.test".to_owned()]);
    let asks = [("auth-tls-secret", "signers"), ("auth-tls-verify-client", "optional_no_ca")];
    let site = [
        service("web", "ClusterIP", 80, &[&pod]),
        pair_secret(&pair.0, &pair.1),
        annotated("web", "web.test", &asks[..1], entry),
        annotated("any", "any.test", &asks, &entry.replace("web.test", "any.test")),
    ]
    .join("---\n");
    let with = |lists: Option<&str>| {
        let lists = lists.map_or_else(String::new, |lists| pem("ca.crl", lists));
        signers("signers", &signs) + &lists
    };
    let portico = Portico::with(&[("site.yaml", &site), ("signers.yaml", &with(None))]).start();
    let [back, good] = [7, 8].map(|number| signs.numbered(number));
    let shows = |pair: &(String, String)| client(&signs, Some((&pair.0, &pair.1)));
    let (back, good) = (shows(&back), shows(&good));
    let status_of = |who| status(&ask(portico.https(), who, ("web.test", "web.test")).0);
    for (case, lists, of_back, of_good) in [
        ("no list", None, 200, 200),
        ("a list", Some(signs.takes_back(&[3, 7], 2099)), 400, 200),
        ("a list of nothing", Some(signs.takes_back(&[], 2099)), 200, 200),
        ("a list of old", Some(signs.takes_back(&[7], 2001)), 400, 400),
        ("a list of others", Some(other.takes_back(&[9], 2099)), 400, 400),
        ("no list that can be read", Some("never".to_owned()), 403, 403),
        (
            "lists of all",
            Some(signs.takes_back(&[7], 2099) + &other.takes_back(&[8], 2099)),
            400,
            200,
        ),
    ] {
        portico.edit("signers.yaml", &with(lists.as_deref()));
        let got = (status_of(&back), status_of(&good));
        assert_eq!(got, (of_back, of_good), "http-proxy 7.8: {case}");
    }
    let (answer, _) = ask(portico.https(), &back, ("any.test", "any.test"));
    let says = "ssl-client-verify: FAILED:certificate revoked";
    assert!(answer.contains(says), "http-proxy 7.8: {answer}");
}

#[test]
fn a_ticket_from_before_proves_nothing() {
    let signs = Authority::new();
    let pod = Pod::http("web");
    let entry = "  tls:\n  - hosts: [web.test]\n    secretName: pair\n";
    let pair = signs.sign("web.test");
    let with = |annotations: &[(&str, &str)]| {
        [
            service("web", "ClusterIP", 80, &[&pod]),
            signers("signers", &signs),
            pair_secret(&pair.0, &pair.1),
            annotated("web", "web.test", annotations, entry),
        ]
        .join("---\n")
    };
    let portico = Portico::with(&[("all.yaml", &with(&[]))]).start();
    let nobody = client(&signs, None);
    for kind in [HandshakeKind::Full, HandshakeKind::Resumed] {
        let (answer, made) = ask(portico.https(), &nobody, ("web.test", "web.test"));
        assert_eq!((status(&answer), made), (200, Some(kind)));
    }
    portico.edit("all.yaml", &with(&[("auth-tls-secret", "signers")]));
    let (answer, made) = ask(portico.https(), &nobody, ("web.test", "web.test"));
    assert_eq!(status(&answer), 400, "http-proxy 7.4: {answer}");
    assert_ne!(made, Some(HandshakeKind::Resumed), "http-proxy 7.4");
}

#[test]
fn curl_shows_its_certificate_over_both_versions_of_http() {
    let signs = Authority::new();
    let pod = Pod::http("web");
    let pair = signs.sign("web.test");
    let entry = "  tls:\n  - hosts: [web.test]\n    secretName: pair\n";
    let manifests = [
        service("web", "ClusterIP", 80, &[&pod]),
        signers("signers", &signs),
        pair_secret(&pair.0, &pair.1),
        annotated("web", "web.test", &[("auth-tls-secret", "signers")], entry),
    ]
    .join("---\n");
    let portico = Portico::with(&[("all.yaml", &manifests)]).start();
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        Path::display(&path).to_string()
    };
    let (certificate, key) = signs.client("app-7");
    let (ca, certificate, key) =
        (file("ca", &signs.pem()), file("crt", &certificate), file("key", &key));
    let to = format!("web.test:{}:127.0.0.1", portico.https().port());
    let url = format!("https://web.test:{}/", portico.https().port());
    let common = ["-sS", "--max-time", "30", "--cacert", &ca, "--resolve", &to, "-o", "/dev/null"];
    for version in ["--http1.1", "--http2"] {
        for (shows, want) in [(true, "200"), (false, "400")] {
            let mut arguments = common.to_vec();
            arguments.extend([version, "-w", "%{http_code}", &url]);
            if shows {
                arguments.extend(["--cert", &certificate, "--key", &key]);
            }
            let Some(output) = tool("curl", &arguments) else { return };
            let said = String::from_utf8_lossy(&output.stdout);
            assert_eq!(said, want, "ingress 2.4: {version}: {output:?}");
        }
    }
}

#[test]
fn tls_is_passed_through_by_its_name() {
    let (inside, outside) = (Authority::new(), Authority::new());
    let pod = Pod::https("inside", &inside.server("deep.test", None));
    let web = Pod::http("web");
    let pair = outside.sign("web.test");
    let entry = "  tls:\n  - hosts: [web.test]\n    secretName: pair\n";
    let deep = annotated("deep", "deep.test", &[("ssl-passthrough", "true")], "")
        .replace("name: web,", "name: deep,");
    let manifests = [
        service("web", "ClusterIP", 80, &[&web]),
        service("deep", "ClusterIP", 80, &[&pod]),
        outside.secret("pair", Some(&pair)),
        deep,
        annotated("rootless", "rootless.test", &[("ssl-passthrough", "true")], "")
            .replace("path: /", "path: /a"),
        annotated("web", "web.test", &[], entry),
    ]
    .join("---\n");
    let portico = Portico::with(&[("all.yaml", &manifests)]).start();
    // Only the Pod has that certificate.
    let (answer, _) = ask(portico.https(), &client(&inside, None), ("deep.test", "deep.test"));
    assert!(answer.contains("inside deep.test 0"), "{answer}");
    let outer = client(&outside, None);
    let (answer, _) = ask(portico.https(), &outer, ("web.test", "web.test"));
    assert_eq!(status(&answer), 200, "ingress 2.4: neighbours stay: {answer}");
    let (answer, _) = ask(portico.https(), &outer, ("web.test", "deep.test"));
    assert_eq!(status(&answer), 421, "http-proxy 7.10: {answer}");
    assert_eq!(get(portico.http(), "deep.test", "/").status, 502, "plain HTTP is routed");
    let told = portico.warnings();
    assert!(
        told.iter()
            .any(|it| it.contains("rootless.test is not passed through")),
        "{told:?}"
    );
}
