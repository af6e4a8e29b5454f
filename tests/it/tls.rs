//! TLS from clients, from outside: which certificate a name gets, which versions, groups and protocols
//! are agreed on, and what a session of before is good for (`http-proxy 7`, `reliability 2.6`).

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, NamedGroup};

use crate::annotations::annotated;
use crate::backend_tls::{Authority, pair_secret};
use crate::front_door::{ingress, secret};
use crate::harness::PATIENCE;
use crate::harness::pod::Pod;
use crate::harness::portico::Portico;
use crate::harness::process::tool;
use crate::harness::secure::trusting;
use crate::services::service;

/// What openssl says of a connection; none: it is not installed.
fn openssl(https: SocketAddr, arguments: &[&str]) -> Option<(bool, String)> {
    let address = https.to_string();
    let all = [&["s_client", "-connect", &address], arguments].concat();
    let output = tool("openssl", &all)?;
    let text = [output.stdout, output.stderr].concat();
    Some((output.status.success(), String::from_utf8_lossy(&text).into_owned()))
}

/// The certificate in a text.
fn certificate(text: &str) -> &str {
    let begin = text
        .find("-----BEGIN CERTIFICATE-----")
        .unwrap_or(text.len());
    let end = text.find("-----END CERTIFICATE-----").unwrap_or(text.len());
    text.get(begin..end).unwrap_or_default()
}

/// `one.test` and `*.wild.test` with certificates of their own.
fn site(pod: &Pod) -> (Portico, String, String) {
    let ((one, one_pem), (wild, wild_pem)) =
        (secret("one", &["one.test"]), secret("wild", &["*.wild.test"]));
    let tls = "  tls:\n  - {hosts: [one.test], secretName: one}\n  \
               - {hosts: [\"*.wild.test\"], secretName: wild}\n";
    let rules = [("one.test", "Prefix", "/", "web"), ("*.wild.test", "Prefix", "/", "web")];
    let manifests = [service("web", "ClusterIP", 80, &[pod]), ingress("i", &rules, tls), one, wild];
    let portico = Portico::with(&[("all.yaml", &manifests.join("---\n"))]).start();
    (portico, one_pem, wild_pem)
}

#[test]
fn a_name_in_any_form_gets_its_certificate_and_others_the_default_one() {
    let pod = Pod::http("web");
    let (portico, one, wild) = site(&pod);
    let shown = |name: &[&str]| Some(certificate(&openssl(portico.https(), name)?.1).to_owned());
    let Some(default) = shown(&["-noservername"]) else { return };
    let (one, wild) = (certificate(&one), certificate(&wild));
    assert!(!default.is_empty() && default != one && default != wild);
    let long = format!("{}.test", ["a"; 125].join("."));
    for (name, want) in [
        ("one.test", one),
        ("ONE.test", one),
        ("a.wild.test", wild),
        ("a.b.wild.test", &default),
        ("wild.test", &default),
        ("other.test", &default),
        ("127.0.0.1", &default),
    ] {
        let got = shown(&["-servername", name]).unwrap();
        assert!(got == want, "http-proxy 7.2: {name} got {got}");
    }
    let got = shown(&["-servername", &long]).unwrap();
    assert!(got.is_empty() || got == default, "http-proxy 7.2: 254 bytes got {got}");
}

#[test]
fn nothing_old_is_offered_and_nothing_early_is_taken() {
    let pod = Pod::http("web");
    let (portico, ..) = site(&pod);
    for (case, arguments, agreed) in [
        ("TLS 1.3", &["-tls1_3"][..], true),
        ("TLS 1.2", &["-tls1_2"], true),
        ("TLS 1.1", &["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"], false),
        ("TLS 1.0", &["-tls1", "-cipher", "ALL:@SECLEVEL=0"], false),
        ("a cipher without forward secrecy", &["-tls1_2", "-cipher", "AES128-GCM-SHA256"], false),
        ("a group of old", &["-tls1_3", "-groups", "P-521"], false),
        ("X25519", &["-tls1_3", "-groups", "X25519"], true),
        ("P-256", &["-tls1_3", "-groups", "P-256"], true),
        ("P-384", &["-tls1_3", "-groups", "P-384"], true),
    ] {
        let arguments = [&["-servername", "one.test"], arguments].concat();
        let Some((ended_well, text)) = openssl(portico.https(), &arguments) else { return };
        assert_eq!(ended_well, agreed, "http-proxy 7.6: {case}: {text}");
        if agreed {
            assert!(text.contains("Compression: NONE"), "reliability 2.6.4: {case}");
            assert!(!text.contains("Max Early Data: 1"), "http-proxy 7.6: no early data");
        }
    }
}

/// A client that trusts `pem`, and offers these protocols.
pub(crate) fn client(pem: &str, protocols: &[&[u8]]) -> Arc<ClientConfig> {
    let mut config = trusting(pem).with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|it| it.to_vec()).collect();
    Arc::new(config)
}

/// The handshake of a client, whose first flight goes in pieces of `piece` bytes.
fn handshake(
    https: SocketAddr,
    config: &Arc<ClientConfig>,
    piece: usize,
) -> (ClientConnection, TcpStream) {
    let name = ServerName::try_from("one.test").unwrap();
    let mut session = ClientConnection::new(Arc::clone(config), name).unwrap();
    let mut stream = TcpStream::connect(https).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut hello = Vec::new();
    while session.wants_write() {
        session.write_tls(&mut hello).unwrap();
    }
    for piece in hello.chunks(piece) {
        stream.write_all(piece).unwrap();
    }
    while session.is_handshaking() {
        session.complete_io(&mut stream).unwrap();
    }
    (session, stream)
}

#[test]
fn a_key_that_no_quantum_computer_finds_is_agreed_on_however_its_hello_is_cut() {
    let authority = Authority::new();
    let pair = authority.sign("one.test");
    let pod = Pod::http("web");
    let entry = "  tls:\n  - hosts: [one.test]\n    secretName: pair\n";
    let manifests = [
        service("web", "ClusterIP", 80, &[&pod]),
        annotated("one", "one.test", &[], entry),
        authority.secret("pair", Some(&pair)),
    ]
    .join("---\n");
    let portico = Portico::with(&[("all.yaml", &manifests)]).start();
    let config = client(&authority.pem(), &[]);
    for piece in [usize::MAX, 700, 1] {
        let (session, _) = handshake(portico.https(), &config, piece);
        let group = session.negotiated_key_exchange_group().unwrap().name();
        assert_eq!(group, NamedGroup::X25519MLKEM768, "http-proxy 7.6: in pieces of {piece}");
    }
    protocols_are_what_was_agreed_on(&portico, &authority.pem());
}

fn protocols_are_what_was_agreed_on(portico: &Portico, pem: &str) {
    let ask = |offers: &[&[u8]], bytes: &[u8]| {
        let (mut session, mut stream) =
            handshake(portico.https(), &client(pem, offers), usize::MAX);
        let agreed = session.alpn_protocol().map(<[u8]>::to_vec);
        session.writer().write_all(bytes).unwrap();
        let mut answer = Vec::new();
        // To the end, whichever way it comes.
        while session
            .complete_io(&mut stream)
            .is_ok_and(|(read, written)| read + written > 0)
        {
            let mut piece = [0; 4096];
            while let Ok(count @ 1..) = session.reader().read(&mut piece) {
                answer.extend_from_slice(&piece[..count]);
            }
        }
        (agreed, answer)
    };
    let get = b"GET / HTTP/1.1\r\nHost: one.test\r\nConnection: close\r\n\r\n";
    for (case, offers) in [("nothing is offered", &[][..]), ("HTTP/1.1 alone", &[&b"http/1.1"[..]])]
    {
        let (agreed, answer) = ask(offers, get);
        assert_eq!(agreed.as_deref(), offers.first().copied(), "http-proxy 7.7: {case}");
        assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"), "http-proxy 7.7: {case}");
    }
    let (agreed, answer) = ask(&[b"h2", b"http/1.1"], get);
    assert_eq!(agreed.as_deref(), Some(&b"h2"[..]), "http-proxy 7.7");
    let is_text = answer.windows(5).any(|it| it == b"HTTP/");
    assert!(!is_text, "http-proxy 7.7: HTTP/1.1 under h2 is the end: {answer:?}");
}

/// Where openssl has kept its session with `from.test`.
fn session(portico: &Portico, folder: &Path, (from, version): (&str, &str)) -> String {
    let file = |name: &str| Path::display(&folder.join(name)).to_string();
    let (kept, host) = (file(&format!("{from}{version}")), format!("{from}.test"));
    // The ticket of TLS 1.3 comes behind the handshake.
    let head = file("head");
    std::fs::write(&head, "GET / HTTP/1.0\r\n\r\n").unwrap();
    let address = portico.https().to_string();
    let arguments = ["-servername", &host, version, "-sess_out", &kept, "-ign_eof"];
    let all = [&["s_client", "-connect", &address], &arguments[..]].concat();
    let head = std::fs::File::open(&head).unwrap();
    let command = std::process::Command::new("openssl")
        .args(all)
        .stdin(head)
        .output();
    assert!(command.is_ok(), "{command:?}");
    kept
}

/// `ssl-ciphers` and `ssl-prefer-server-ciphers`, as openssl sees them; of two Ingresses of one host the first
/// counts.
#[test]
fn a_host_speaks_the_suites_that_it_names_in_the_order_that_it_says() {
    let pod = Pod::http("web");
    let strict = "TLS13_AES_256_GCM_SHA384, TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384";
    let two = "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-GCM-SHA256";
    let own = ("ssl-prefer-server-ciphers", "true");
    let of = |name: &str, annotations: &[(&str, &str)]| {
        annotated(name, &format!("{name}.test"), annotations, "")
    };
    let second = annotated("strict2", "strict.test", &[("ssl-ciphers", two)], "");
    let manifests = [
        service("web", "ClusterIP", 80, &[&pod]),
        of("open", &[]),
        of("strict", &[("ssl-ciphers", strict)]),
        second.replace("path: /", "path: /second"),
        of("own", &[("ssl-ciphers", two), own]),
        of("theirs", &[("ssl-ciphers", two)]),
        of("words", &[("ssl-ciphers", "HIGH:!aNULL:!MD5")]),
    ]
    .join("---\n");
    let portico = Portico::with(&[("all.yaml", &manifests)]).start();
    let (old, new) = (["-tls1_2", "-cipher"], ["-tls1_3", "-ciphersuites"]);
    let (small, large) = ("ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384");
    let (both, chacha) = (
        "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305",
        "ECDHE-ECDSA-CHACHA20-POLY1305",
    );
    for (host, version, offered, want) in [
        ("open.test", old, small, Some(small)),
        ("open.test", new, "TLS_AES_128_GCM_SHA256", Some("TLS_AES_128_GCM_SHA256")),
        ("strict.test", old, small, None),
        ("strict.test", old, large, Some(large)),
        ("strict.test", new, "TLS_AES_128_GCM_SHA256", None),
        ("strict.test", new, "TLS_AES_256_GCM_SHA384", Some("TLS_AES_256_GCM_SHA384")),
        ("own.test", old, both, Some(chacha)),
        ("own.test", old, large, None),
        // Nothing of TLS 1.3 is named: all of it is there.
        ("own.test", new, "TLS_AES_128_GCM_SHA256", Some("TLS_AES_128_GCM_SHA256")),
        ("theirs.test", old, both, Some(small)),
        ("words.test", old, small, Some(small)),
    ] {
        let arguments = [&["-servername", host], &version[..], &[offered]].concat();
        let Some((_, text)) = openssl(portico.https(), &arguments) else { return };
        let spoken = text
            .split("Cipher is ")
            .nth(1)
            .and_then(|rest| rest.lines().next());
        let spoken = spoken.filter(|suite| *suite != "(NONE)");
        assert_eq!(spoken, want, "ingress 2.5: ssl-ciphers: {host}: {offered}: {text}");
    }
    let told = portico.warnings();
    let is_told = |words: &str| told.iter().any(|it| it.contains(words));
    assert!(is_told("`ssl-ciphers` of strict.test is that of Ingress default/strict"), "{told:?}");
    assert!(is_told("holds more than the names of suites"), "ingress 2.5: expressions: {told:?}");
    let folder = tempfile::tempdir().unwrap();
    for (from, to, want) in
        [("strict", "strict", true), ("open", "strict", false), ("strict", "open", false)]
    {
        let kept = session(&portico, folder.path(), (from, "-tls1_2"));
        let host = format!("{to}.test");
        let arguments = ["-servername", &host, "-tls1_2", "-sess_in", &kept];
        let (_, text) = openssl(portico.https(), &arguments).unwrap();
        assert_eq!(text.contains("Reused, TLS"), want, "http-proxy 7.4: {from} at {to}: {text}");
    }
}

/// Each way to ask for certificates has tickets of its own, and so has asking for none; a name of
/// another host is none of a ticket's.
#[test]
fn a_session_is_resumed_only_where_the_same_is_asked() {
    let (signs, other) = (Authority::new(), Authority::new());
    let pod = Pod::http("web");
    let hosts = ["open", "also", "must", "optional", "others"].map(|name| format!("{name}.test"));
    let pair = signs.sign_for(&hosts);
    let entry = |host: &str| format!("  tls:\n  - hosts: [{host}]\n    secretName: pair\n");
    let asking = |name: &str, annotations: &[(&str, &str)]| {
        let host = format!("{name}.test");
        annotated(name, &host, annotations, &entry(&host))
    };
    let manifests = [
        service("web", "ClusterIP", 80, &[&pod]),
        pair_secret(&pair.0, &pair.1),
        signs.secret("signers", None),
        other.secret("strangers", None),
        asking("open", &[]),
        asking("also", &[]),
        asking("must", &[("auth-tls-secret", "signers")]),
        asking(
            "optional",
            &[("auth-tls-secret", "signers"), ("auth-tls-verify-client", "optional_no_ca")],
        ),
        asking("others", &[("auth-tls-secret", "strangers")]),
    ]
    .join("---\n");
    let portico = Portico::with(&[("all.yaml", &manifests)]).start();
    let folder = tempfile::tempdir().unwrap();
    if openssl(portico.https(), &[]).is_none() {
        return;
    }
    for version in ["-tls1_2", "-tls1_3"] {
        for (from, to, want) in [
            ("open", "open", true),
            ("must", "must", true),
            ("open", "must", false),
            ("open", "optional", false),
            ("must", "open", false),
            ("must", "others", false),
            ("must", "optional", false),
            ("optional", "must", false),
            ("others", "must", false),
        ] {
            let kept = session(&portico, folder.path(), (from, version));
            let host = format!("{to}.test");
            let arguments = ["-servername", &host, version, "-sess_in", &kept];
            let (_, text) = openssl(portico.https(), &arguments).unwrap();
            let resumed = text.contains("Reused, TLS");
            assert!(resumed || text.contains("New, TLS"), "{text}");
            assert_eq!(resumed, want, "http-proxy 7.4: {version}: {from} at {to}: {text}");
        }
    }
}

#[test]
fn a_backend_that_speaks_before_its_handshake_or_breaks_off_is_not_believed() {
    let authority = Authority::new();
    let tls = authority.server_for(&[]);
    let early = {
        let tls = Arc::clone(&tls);
        Pod::serve(std::net::Ipv4Addr::LOCALHOST.into(), move |mut stream| {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
            let Ok(mut session) = rustls::ServerConnection::new(Arc::clone(&tls)) else { return };
            while session.is_handshaking() && session.complete_io(&mut stream).is_ok() {}
        })
    };
    // A response to the end, which only a close of TLS's own ends.
    let says = |well: bool| {
        let tls = Arc::clone(&tls);
        Pod::serve(std::net::Ipv4Addr::LOCALHOST.into(), move |mut stream| {
            let Ok(mut session) = rustls::ServerConnection::new(Arc::clone(&tls)) else { return };
            while session.is_handshaking() && session.complete_io(&mut stream).is_ok() {}
            let mut asked = [0; 4096];
            while session.reader().read(&mut asked).is_err() {
                if session.complete_io(&mut stream).is_err() {
                    return;
                }
            }
            let _ = session.writer().write_all(b"HTTP/1.1 200 OK\r\n\r\nsome");
            if well {
                session.send_close_notify();
            }
            let _ = session.complete_io(&mut stream);
        })
    };
    let (whole, cut) = (says(true), says(false));
    let to = |name: &str| {
        let text = annotated(name, &format!("{name}.test"), &[("backend-protocol", "HTTPS")], "");
        text.replace("name: web, port", &format!("name: {name}, port"))
    };
    let manifests = [
        service("early", "ClusterIP", 80, &[&early]),
        service("whole", "ClusterIP", 80, &[&whole]),
        service("cut", "ClusterIP", 80, &[&cut]),
        to("early"),
        to("whole"),
        to("cut"),
    ]
    .join("---\n");
    let portico = Portico::with(&[("all.yaml", &manifests)]).start();
    let get = |host: &str| crate::harness::http::Client::connect(portico.http()).get(host, "/");
    assert_eq!(get("early.test").unwrap().status, 502, "http-proxy 5.7");
    assert_eq!(get("whole.test").unwrap().text(), "some", "http-proxy 2.11");
    let broken = get("cut.test");
    assert!(broken.is_err(), "http-proxy 2.11: {broken:?}");
}
