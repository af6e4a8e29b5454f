//! Certificates that change under load: nobody notices but by the new certificate (`http-proxy 7.5`,
//! `reliability` G19).

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::KeyPair;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use crate::annotations::annotated;
use crate::backend_tls::{Authority, pair_secret};
use crate::harness::pod::Pod;
use crate::harness::portico::Portico;
use crate::harness::secure::trusting;
use crate::harness::{PATIENCE, eventually};
use crate::reload::Load;
use crate::services::service;

type Pair = (rcgen::Certificate, KeyPair);

/// A client that keeps no tickets, so that each handshake shows a certificate.
fn client(authority: &Authority) -> Arc<ClientConfig> {
    let mut config = trusting(&authority.pem()).with_no_client_auth();
    config.resumption = rustls::client::Resumption::disabled();
    Arc::new(config)
}

/// A connection through TLS to `web.test`.
struct Kept(StreamOwned<ClientConnection, TcpStream>);

impl Kept {
    fn connect(https: SocketAddr, config: &Arc<ClientConfig>) -> Self {
        let stream = TcpStream::connect(https).expect("a connection");
        stream
            .set_read_timeout(Some(PATIENCE))
            .expect("a valid timeout");
        let name = ServerName::try_from("web.test").expect("a name");
        let session = ClientConnection::new(Arc::clone(config), name).expect("a session");
        Self(StreamOwned::new(session, stream))
    }

    /// One request; whether the connection goes on.
    fn ask(&mut self) -> bool {
        let head = b"GET / HTTP/1.1\r\nHost: web.test\r\n\r\n";
        self.0.write_all(head).expect("the connection lives");
        let mut answer = Vec::new();
        let mut piece = [0; 1024];
        while !answer.ends_with(b"\r\n\r\nweb") {
            match self.0.read(&mut piece).expect("the connection lives") {
                0 => panic!("it ended: {answer:?}"),
                count => answer.extend_from_slice(&piece[..count]),
            }
        }
        assert!(answer.starts_with(b"HTTP/1.1 200 "), "{answer:?}");
        !answer
            .windows(19)
            .any(|it| it.eq_ignore_ascii_case(b"\r\nconnection: close"))
    }

    /// What the server has shown.
    fn certificate(&self) -> Vec<u8> {
        let chain = self.0.conn.peer_certificates().expect("a full handshake");
        chain[0].to_vec()
    }
}

/// A Secret of this certificate and this key, which may not fit each other.
fn secret(certificate: &Pair, key: &Pair) -> String {
    pair_secret(&certificate.0, &key.1)
}

#[test]
fn a_certificate_that_changes_under_load_fails_no_handshake_and_ends_no_connection() {
    let authority = Authority::new();
    let pairs: Vec<Pair> = (0..5).map(|_| authority.sign("web.test")).collect();
    let pod = Pod::http("web");
    let entry = "  tls:\n  - hosts: [web.test]\n    secretName: pair\n";
    let site = [service("web", "ClusterIP", 80, &[&pod]), annotated("web", "web.test", &[], entry)]
        .join("---\n");
    let first = secret(&pairs[0], &pairs[0]);
    let portico = Portico::with(&[("site.yaml", &site), ("pair.yaml", &first)]).start();
    let https = portico.https();
    let config = client(&authority);
    let known: Vec<Vec<u8>> = pairs.iter().map(|(leaf, _)| leaf.der().to_vec()).collect();
    // Which pair a handshake that begins now must not be older than.
    let live = Arc::new(AtomicUsize::new(0));

    let mut load = Load::default();
    for _ in 0..2 {
        let (live, known, config) = (Arc::clone(&live), known.clone(), Arc::clone(&config));
        load.client("handshakes", move || {
            let before = live.load(Ordering::SeqCst);
            let mut new = Kept::connect(https, &config);
            new.ask();
            let after = live.load(Ordering::SeqCst);
            let shown = new.certificate();
            let number = known.iter().position(|it| *it == shown);
            let number = number.expect("one of the pairs, and its key");
            // The one that was live, or one that has become so meanwhile: edits are counted once they
            // are applied, so that one more may be.
            let is_of_its_time = (before..=after + 1).any(|it| it % known.len() == number);
            assert!(is_of_its_time, "pair {number} between {before} and {after}");
        });
    }
    let kept_config = Arc::clone(&config);
    let mut kept = Kept::connect(https, &config);
    load.client("kept", move || {
        if !kept.ask() {
            kept = Kept::connect(https, &kept_config);
        }
    });
    for swap in 1..=SWAPS {
        let (old, new) = (&pairs[(swap - 1) % 5], &pairs[swap % 5]);
        match swap % 3 {
            // One file at a time: the key first, or the certificate.
            0 => portico.edit("pair.yaml", &secret(old, new)),
            1 => portico.edit("pair.yaml", &secret(new, old)),
            _ => {}
        }
        portico.edit("pair.yaml", &secret(new, new));
        live.store(swap, Ordering::SeqCst);
        let before = load.counts();
        eventually("each client has come through", || load.is_past(&before, 1).then_some(()));
    }
    for (kind, count) in load.stop() {
        assert!(count >= SWAPS as u64, "{kind}: {count} is no load");
    }
    assert_eq!(portico.errors(), Vec::<String>::new(), "the last pair is a good one");
}

/// How often the certificate changes.
const SWAPS: usize = 60;

#[test]
fn a_pair_that_does_not_fit_leaves_the_last_one_that_did() {
    let authority = Authority::new();
    let (one, two) = (authority.sign("web.test"), authority.sign("web.test"));
    let pod = Pod::http("web");
    let entry = "  tls:\n  - hosts: [web.test]\n    secretName: pair\n";
    let site = [service("web", "ClusterIP", 80, &[&pod]), annotated("web", "web.test", &[], entry)]
        .join("---\n");
    let portico =
        Portico::with(&[("site.yaml", &site), ("pair.yaml", &secret(&one, &one))]).start();
    let config = client(&authority);
    let shown = || {
        let mut new = Kept::connect(portico.https(), &config);
        new.ask();
        new.certificate()
    };
    assert_eq!(shown(), one.0.der().to_vec());
    portico.edit("pair.yaml", &secret(&two, &one));
    assert_eq!(shown(), one.0.der().to_vec(), "http-proxy 7.5: the last good one");
    assert_eq!(portico.errors().len(), 1, "{:?}", portico.errors());
    portico.edit("pair.yaml", &secret(&two, &two));
    assert_eq!(shown(), two.0.der().to_vec(), "http-proxy 7.5: from the next handshake on");
}
