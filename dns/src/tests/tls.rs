//! DNS over TLS at both ends: one resolver serves it, another asks it there (RFC 7858).

use std::net::UdpSocket;
use std::time::Duration;

use rcgen::{CertifiedKey as Generated, generate_simple_self_signed};
use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::CertifiedKey;

use portico_config::model::{Certificate, ForwardPolicy, Forwarding};
use portico_config::snapshot::CertificateTable;
use portico_net::tls_dial::ClientTls;
use tokio_util::sync::CancellationToken;

use super::sockets::serve;
use super::*;
use crate::{Dns, Options};

/// A certificate for `name` and for 127.0.0.1, and who trusts it.
fn certificate(name: &str) -> (Arc<Certificate>, RootCertStore) {
    let names = vec![name.to_owned(), "127.0.0.1".to_owned()];
    let Generated { cert, signing_key } = generate_simple_self_signed(names).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(cert.der().clone()).unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let key = aws_lc_rs::sign::any_supported_type(&key).unwrap();
    let certificate = Certificate {
        secret: None,
        key: Arc::new(CertifiedKey::new(vec![cert.der().clone()], key)),
        names: Vec::new(),
        not_before_seconds: 0,
        not_after_seconds: i64::MAX,
    };
    (Arc::new(certificate), roots)
}

/// A resolver that runs until its token is cancelled.
struct Running {
    dns: Dns,
    stop: CancellationToken,
    threads: Vec<std::thread::JoinHandle<()>>,
}

impl Running {
    fn start(options: Options, snapshot: Snapshot, trusts: Option<RootCertStore>) -> Self {
        let (mut dns, workers) = Dns::new(options);
        if let Some(roots) = trusts {
            let tls = ClientTls::new(roots, &[b"dot"]).unwrap();
            assert!(dns.shared.forward.trust(tls));
        }
        let prepared = dns.prepare(&Arc::new(snapshot));
        dns.commit(prepared);
        let stop = CancellationToken::new();
        let threads = workers.into_iter().map(|worker| {
            let stop = stop.clone();
            std::thread::spawn(move || serve(worker, stop))
        });
        let threads = threads.collect();
        Self { dns, stop, threads }
    }

    fn address(&self, role: &str) -> SocketAddr {
        let listeners = self.dns.listeners();
        listeners.iter().find(|it| it.role == role).unwrap().address
    }

    fn ask(&self, name: &str) -> Message {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(30)))
            .unwrap();
        socket
            .send_to(&query(name, A), self.address("dns"))
            .unwrap();
        let mut buffer = [0; 1500];
        let length = socket.recv(&mut buffer).unwrap();
        Message::from_vec(&buffer[..length]).unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
        for thread in self.threads.drain(..) {
            // A test that fails already says so itself.
            let _ = thread.join();
        }
    }
}

#[test]
fn a_resolver_is_asked_over_tls_where_its_certificate_is_right() {
    let any = || vec!["127.0.0.1:0".parse().unwrap()];
    let (shown, roots) = certificate("dns.example");
    let (_, others) = certificate("dns.example");
    let table = CertificateTable { default: Some(shown), ..CertificateTable::default() };
    let served = Snapshot { certificates: Arc::new(table), ..snapshot() };
    let server = Running::start(Options { tls: any(), ..Options::default() }, served, None);
    let to = server.address("dns-tls");
    for (case, rule, trusts, want) in [
        ("the name fits", format!("tls://{to}%dns.example"), &roots, Some("127.96.0.1")),
        ("the address fits", format!("tls://{to}"), &roots, Some("127.96.0.1")),
        ("another name", format!("tls://{to}%other.example"), &roots, None),
        ("nobody who is trusted", format!("tls://{to}%dns.example"), &others, None),
    ] {
        let forwarding = Forwarding {
            rules: vec![rule.parse().unwrap()],
            policy: ForwardPolicy::Sequential,
            ..Forwarding::default()
        };
        let options = Options { listen: any(), forwarding, ..Options::default() };
        let client = Running::start(options, Snapshot::default(), Some(trusts.clone()));
        for name in ["web.default.svc.cluster.local", "WEB.default.svc.cluster.local"] {
            let reply = client.ask(name);
            let answers: Vec<_> = reply.answers.iter().map(|it| it.data.to_string()).collect();
            assert_eq!(answers, Vec::from_iter(want), "{case}: {name}");
        }
    }
}
