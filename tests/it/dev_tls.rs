//! `--dev-tls`: hosts without a certificate have one that a person can make a browser trust.

use std::sync::{Arc, LazyLock};

use rustls::ClientConnection;
use rustls::pki_types::ServerName;

use crate::front_door::ingress;
use crate::harness::pod::Pod;
use crate::harness::portico::Portico;
use crate::harness::process::run;
use crate::harness::secure::trusting;
use crate::services::service;

static STATE: LazyLock<tempfile::TempDir> = LazyLock::new(|| tempfile::tempdir().unwrap());

/// Whether who trusts `ca` believes the https listener that it is `name`.
fn believes(portico: &Portico, ca: &str, name: &'static str) -> bool {
    let config = trusting(ca).with_no_client_auth();
    let name = ServerName::try_from(name).unwrap();
    let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = std::net::TcpStream::connect(portico.https()).unwrap();
    while client.is_handshaking() {
        if client.complete_io(&mut stream).is_err() {
            return false;
        }
    }
    true
}

#[test]
fn who_trusts_its_ca_trusts_every_host_that_a_rule_names() {
    let folder = STATE.path().to_str().unwrap();
    let printed = run(&["ca", "export", "--state-dir", folder]);
    assert!(printed.status.success(), "{printed:?}");
    let ca = String::from_utf8(printed.stdout).unwrap();
    let pod = Pod::http("web");
    let rules = [("web.test", "Prefix", "/", "web"), ("*.deep.test", "Prefix", "/", "web")];
    let manifests =
        [service("web", "ClusterIP", 80, &[&pod]), ingress("i", &rules, "")].join("---\n");
    // A restart in between: what was trusted stays so.
    for _ in 0..2 {
        let portico = Portico::with(&[("all.yaml", &manifests)])
            .told(|options| {
                options.settings.dev_tls = true;
                options.state_dir = Some(STATE.path().to_owned());
            })
            .start();
        for (name, want) in [
            ("web.test", true),
            ("a.deep.test", true),
            ("nobody.test", false),
            ("deep.test", false),
        ] {
            assert_eq!(believes(&portico, &ca, name), want, "{name}");
        }
    }
    let again = run(&["ca", "export", "--state-dir", folder]);
    assert_eq!(String::from_utf8(again.stdout).unwrap(), ca);
    assert!(
        !run(&["ca", "export", "--state-dir", "off"])
            .status
            .success()
    );
}
