//! TLS to Pods: whom portico believes, what it shows and sends, and what it refuses to serve
//! (`http-proxy 7.9`).

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer,
    DistinguishedName, DnType, IsCa, KeyPair, RevokedCertParams,
};
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

use crate::annotations::annotated;
use crate::front_door::ingress;
use crate::harness::http::{Client, get};
use crate::harness::pod::Pod;
use crate::harness::portico::Portico;
use crate::services::service;

/// Who signs.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    /// One that everybody made by himself.
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(Self::params(), key).unwrap())
    }

    /// One that this one has signed.
    pub(crate) fn below(&self) -> Self {
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::signed_by(Self::params(), key, &self.0).unwrap())
    }

    fn params() -> CertificateParams {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Another name than those of its certificates, which would else seem to have signed themselves.
        params
            .distinguished_name
            .push(DnType::CommonName, "authority");
        params
    }

    /// Its own certificate.
    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for a name, and its key.
    pub(crate) fn sign(&self, name: &str) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.0).unwrap(), key)
    }

    /// The same for several names.
    pub(crate) fn sign_for(&self, names: &[String]) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(names).unwrap();
        (params.signed_by(&key, &self.0).unwrap(), key)
    }

    /// A client's certificate for a common name, and its key, in PEM.
    pub(crate) fn client(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([]).unwrap();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        let signed = params.signed_by(&key, &self.0).unwrap();
        (signed.pem(), key.serialize_pem())
    }

    /// A client's certificate with this serial number, and its key, in PEM.
    pub(crate) fn numbered(&self, number: u64) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([]).unwrap();
        params.serial_number = Some(number.into());
        let signed = params.signed_by(&key, &self.0).unwrap();
        (signed.pem(), key.serialize_pem())
    }

    /// The list of what it has taken back, by serial number, good until the end of a year, in PEM.
    pub(crate) fn takes_back(&self, numbers: &[u64], year: i32) -> String {
        let begun = rcgen::date_time_ymd(2000, 1, 1);
        let revoked = |number: &u64| RevokedCertParams {
            serial_number: (*number).into(),
            revocation_time: begun,
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: begun,
            next_update: rcgen::date_time_ymd(year, 12, 31),
            crl_number: 1_u64.into(),
            issuing_distribution_point: None,
            revoked_certs: numbers.iter().map(revoked).collect(),
            key_identifier_method: rcgen::KeyIdMethod::Sha256,
        };
        params.signed_by(&self.0).unwrap().pem().unwrap()
    }

    /// A server called `name` that takes certificates of this authority; `between`: who signs for it.
    pub(crate) fn server(&self, name: &str, between: Option<&Self>) -> Arc<ServerConfig> {
        let (leaf, key) = between.unwrap_or(self).sign(name);
        let mut chain = vec![leaf.der().clone()];
        chain.extend(between.map(|between| between.0.der().clone()));
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let clients =
            WebPkiClientVerifier::builder_with_provider(roots.into(), Arc::clone(&provider))
                .allow_unauthenticated()
                .build()
                .unwrap();
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(clients)
            .with_single_cert(chain, PrivateKeyDer::try_from(key.serialize_der()).unwrap())
            .unwrap();
        Arc::new(config)
    }

    /// A server called `somebody.test` that offers these protocols.
    pub(crate) fn server_for(&self, protocols: &[&[u8]]) -> Arc<ServerConfig> {
        let mut config = ServerConfig::clone(&self.server("somebody.test", None));
        config.alpn_protocols = protocols.iter().map(|it| it.to_vec()).collect();
        Arc::new(config)
    }

    /// A Secret with this authority's certificate, and with a pair to show where one is given.
    pub(crate) fn secret(
        &self,
        name: &str,
        pair: Option<&(rcgen::Certificate, KeyPair)>,
    ) -> String {
        let mut text = format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}}}\nstringData:\n{}",
            pem("ca.crt", &self.0.pem())
        );
        if let Some((leaf, key)) = pair {
            text.push_str(&pem("tls.crt", &leaf.pem()));
            text.push_str(&pem("tls.key", &key.serialize_pem()));
        }
        text
    }
}

/// The Secret `pair` of a certificate and its key, and of nobody else's.
pub(crate) fn pair_secret(certificate: &rcgen::Certificate, key: &KeyPair) -> String {
    [
        "apiVersion: v1\nkind: Secret\nmetadata: {name: pair}\ntype: kubernetes.io/tls\nstringData:\n",
        &pem("tls.crt", &certificate.pem()),
        &pem("tls.key", &key.serialize_pem()),
    ]
    .concat()
}

pub(crate) fn pem(key: &str, text: &str) -> String {
    let lines: String = text.lines().map(|line| format!("    {line}\n")).collect();
    format!("  {key}: |\n{lines}")
}

/// What the Pod says of the request: its name, what it was called, certificates it was shown.
fn says(portico: &Portico, host: &str) -> Result<String, u16> {
    let answer = get(portico.http(), host, "/");
    match answer.status {
        200 => Ok(answer.text().to_owned()),
        status => Err(status),
    }
}

#[test]
fn backends_are_spoken_to_as_annotations_and_services_say() {
    let authority = Authority::new();
    let pod = Pod::https("web", &authority.server("web.test", None));
    let app = |name: &str, protocol: &str| {
        let text = service(name, "ClusterIP", 80, &[&pod]);
        text.replace("port: 80", &format!("port: 80\n    appProtocol: {protocol}"))
    };
    let manifests = [
        service("web", "ClusterIP", 80, &[&pod]),
        app("says", "https"),
        app("socket", "kubernetes.io/wss"),
        annotated("https", "https.test", &[("backend-protocol", "https")], ""),
        annotated("plain", "plain.test", &[], ""),
        annotated("auto", "auto.test", &[("backend-protocol", "AUTO_HTTP")], ""),
        annotated(
            "sends",
            "sends.test",
            &[("backend-protocol", "HTTPS"), ("proxy-ssl-server-name", "on")],
            "",
        ),
        annotated(
            "named",
            "named.test",
            &[
                ("backend-protocol", "HTTPS"),
                ("proxy-ssl-server-name", "on"),
                ("proxy-ssl-name", "other.test"),
            ],
            "",
        ),
        ingress(
            "services",
            &[("says.test", "Prefix", "/", "says"), ("socket.test", "Prefix", "/", "socket")],
            "",
        ),
    ]
    .join("---\n");
    let portico = Portico::with(&[("all.yaml", &manifests)]).start();
    for (host, want) in [
        ("https.test", Ok("web nobody 0")),
        ("says.test", Ok("web nobody 0")),
        ("socket.test", Ok("web nobody 0")),
        ("sends.test", Ok("web sends.test 0")),
        ("named.test", Ok("web other.test 0")),
        // The Pod does not understand what is said in the clear.
        ("plain.test", Err(502)),
        ("auto.test", Err(502)),
    ] {
        assert_eq!(says(&portico, host), want.map(str::to_owned), "ingress 2.4: {host}");
    }
}

#[test]
fn connections_are_shared_by_requests_that_ask_the_same() {
    let authority = Authority::new();
    let pod = Pod::https("web", &authority.server("web.test", None));
    let manifests = [
        service("web", "ClusterIP", 80, &[&pod]),
        annotated("a", "a.test", &[("backend-protocol", "HTTPS")], ""),
        annotated("b", "b.test", &[("backend-protocol", "HTTPS")], ""),
        annotated(
            "c",
            "c.test",
            &[("backend-protocol", "HTTPS"), ("proxy-ssl-server-name", "on")],
            "",
        ),
    ]
    .join("---\n");
    let portico = Portico::with(&[("all.yaml", &manifests)])
        .workers(1)
        .start();
    let mut client = Client::connect(portico.http());
    for (host, connections) in [("a.test", 1), ("b.test", 1), ("c.test", 2), ("a.test", 2)] {
        assert_eq!(client.get(host, "/").unwrap().status, 200);
        assert_eq!(pod.connections(), connections, "http-proxy 5.1: {host}");
    }
}

#[test]
fn a_backend_is_believed_only_as_far_as_it_was_said() {
    let (authority, other) = (Authority::new(), Authority::new());
    let between = authority.below();
    let (near, far) =
        (authority.server("web.test", None), authority.server("web.test", Some(&between)));
    let (near, far) = (Pod::https("near", &near), Pod::https("far", &far));
    let verified = |name: &str, secret: &str, service: &str, more: &[(&str, &str)]| {
        let mut annotations = vec![
            ("backend-protocol", "HTTPS"),
            ("proxy-ssl-verify", "on"),
            ("proxy-ssl-secret", secret),
            ("proxy-ssl-name", "web.test"),
        ];
        annotations.retain(|(name, value)| {
            !value.is_empty() && more.iter().all(|(other, _)| other != name)
        });
        annotations.extend(more.iter().filter(|(_, value)| !value.is_empty()));
        let text = annotated(name, &format!("{name}.test"), &annotations, "");
        text.replace("name: web,", &format!("name: {service},"))
    };
    let pair = authority.sign("portico.test");
    let manifests = [
        service("near", "ClusterIP", 80, &[&near]),
        service("far", "ClusterIP", 80, &[&far]),
        authority.secret("good", None),
        authority.secret("shown", Some(&pair)),
        other.secret("wrong", None),
        verified("good", "default/good", "near", &[]),
        verified("shown", "shown", "near", &[]),
        verified("wrong", "wrong", "near", &[]),
        verified("named", "good", "near", &[("proxy-ssl-name", "other.test")]),
        verified("web", "good", "near", &[("proxy-ssl-name", "")]),
        verified("far", "good", "far", &[]),
        verified("short", "good", "far", &[("proxy-ssl-verify-depth", "0")]),
        verified("none", "", "near", &[]),
        verified("missing", "missing", "near", &[]),
        verified("abroad", "elsewhere/good", "near", &[]),
    ]
    .join("---\n");
    let portico = Portico::with(&[("all.yaml", &manifests)]).start();
    for (host, want) in [
        ("good.test", Ok("near nobody 0")),
        ("shown.test", Ok("near nobody 1")),
        ("web.test", Ok("near nobody 0")),
        ("far.test", Ok("far nobody 0")),
        ("wrong.test", Err(502)),
        ("named.test", Err(502)),
        ("short.test", Err(502)),
        ("none.test", Err(503)),
        ("missing.test", Err(503)),
        ("abroad.test", Err(503)),
    ] {
        assert_eq!(says(&portico, host), want.map(str::to_owned), "ingress 2.4: {host}");
    }
    // A Secret that changes counts from the next request on; no connection of before is used.
    portico.edit(
        "all.yaml",
        &manifests.replace(&authority.secret("good", None), &other.secret("good", None)),
    );
    assert_eq!(says(&portico, "good.test"), Err(502), "http-proxy 5.6");
    portico.edit("all.yaml", &manifests.replace(&authority.secret("good", None), ""));
    assert_eq!(says(&portico, "good.test"), Err(503), "ingress 2.1: without its Secret it closes");
}
