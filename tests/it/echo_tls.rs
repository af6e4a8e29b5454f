//! What `portico echo` says of TLS: whom it was called, what it was shown, and lines over it
//! (`ingress 4`).

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use portico::command::echo::{self, EchoOptions, Serves};
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};

use crate::annotations::annotated;
use crate::backend_tls::Authority;
use crate::client_certs::client;
use crate::harness::PATIENCE;
use crate::harness::http::get;
use crate::harness::portico::Portico;

const ANY: &str = "127.0.0.1:0";

#[test]
fn whom_it_was_called_and_what_it_was_shown_is_told() {
    let authority = Authority::new();
    let tls = authority.server_for(&[]);
    let server = echo::start(EchoOptions {
        tls: Some((ANY.parse().unwrap(), tls)),
        ..EchoOptions::default()
    });
    let server = server.expect("free ports");
    let pair = authority.sign("portico.test");
    let over_tls = ("backend-protocol", "HTTPS");
    let shows = [
        over_tls,
        ("proxy-ssl-secret", "pair"),
        ("proxy-ssl-server-name", "on"),
        ("proxy-ssl-name", "deep.test"),
    ];
    let service = format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: web, annotations: {{portico.dev/endpoints: \
         \"{}\"}}}}\nspec: {{ports: [{{port: 80}}]}}\n",
        server.tls.unwrap()
    );
    let manifests = [
        service,
        authority.secret("pair", Some(&pair)),
        annotated("shows", "shows.test", &shows, ""),
        annotated("silent", "silent.test", &[over_tls], ""),
    ]
    .join("---\n");
    let portico = Portico::with(&[("all.yaml", &manifests)]).start();
    let said = |host: &str| -> serde_json::Value {
        let answer = get(portico.http(), host, "/");
        let all: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        all["tls"].clone()
    };
    let bare = |pem: &str| pem.split_whitespace().collect::<String>();
    let shown = said("shows.test");
    assert_eq!(shown["serverName"], "deep.test", "ingress 4");
    let certificates = shown["peerCertificates"].as_array().unwrap();
    let first = bare(certificates[0].as_str().unwrap());
    assert_eq!((certificates.len(), first), (1, bare(&pair.0.pem())), "ingress 4");
    let silent = said("silent.test");
    assert_eq!(silent["serverName"], "", "ingress 4");
    assert_eq!(silent["peerCertificates"], serde_json::Value::Null, "ingress 4");
    assert_eq!(silent["negotiatedProtocol"], serde_json::Value::Null, "nothing was agreed on");
}

#[test]
fn lines_are_answered_over_tls_too() {
    let authority = Authority::new();
    let server = echo::start(EchoOptions {
        tls: Some((ANY.parse().unwrap(), authority.server_for(&[]))),
        serves: Serves::Lines,
        ..EchoOptions::default()
    });
    let server = server.expect("free ports");
    let stream = TcpStream::connect(server.tls.unwrap()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let name = ServerName::try_from("somebody.test").unwrap();
    let session = ClientConnection::new(client(&authority, None), name).unwrap();
    let mut reader = BufReader::new(StreamOwned::new(session, stream));
    reader.get_mut().write_all(b"IS_TLS\nTEST\n").unwrap();
    let mut next = || {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        line
    };
    for want in ["Gateway API Test TCP Server\n", "true\n"] {
        assert_eq!(next(), want, "ingress 4");
    }
    let said: serde_json::Value = serde_json::from_str(&next()).unwrap();
    assert_eq!(said["isTLS"], true, "ingress 4");
    assert_eq!(said["tls"]["version"], "TLSv1.3", "ingress 4");
    assert_eq!(said["tls"]["serverName"], "somebody.test", "ingress 4");
    let suite = said["tls"]["cipherSuite"].as_str().unwrap();
    assert!(suite.starts_with("TLS_AES"), "ingress 4: {suite}");
}
