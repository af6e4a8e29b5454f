//! TLS of the echo server, and what is said of it in answers.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ProtocolVersion, RootCertStore, ServerConfig, ServerConnection};
use serde_json::{Map, Value, json};

/// What one handshake came to.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    pub(super) version: &'static str,
    /// In PEM.
    pub(super) certificates: Vec<String>,
    pub(super) server_name: String,
    pub(super) protocol: String,
    pub(super) suite: String,
    pub(super) group: String,
}

impl Seen {
    pub(super) fn of(connection: &ServerConnection) -> Self {
        let protocol = connection.alpn_protocol().unwrap_or_default();
        let suite = connection.negotiated_cipher_suite();
        let suite = suite
            .and_then(|suite| suite.suite().as_str())
            .unwrap_or_default();
        let group = connection.negotiated_key_exchange_group();
        Self {
            version: match connection.protocol_version() {
                Some(ProtocolVersion::TLSv1_2) => "TLSv1.2",
                Some(ProtocolVersion::TLSv1_3) => "TLSv1.3",
                _ => "",
            },
            certificates: connection
                .peer_certificates()
                .unwrap_or_default()
                .iter()
                .map(pem)
                .collect(),
            server_name: connection.server_name().unwrap_or_default().to_owned(),
            protocol: String::from_utf8_lossy(protocol).into_owned(),
            suite: suite.replacen("TLS13_", "TLS_", 1),
            group: group.map_or_else(String::new, |group| format!("{:?}", group.name())),
        }
    }

    /// As the body of an answer has it: nothing where there is nothing.
    pub(super) fn json(&self) -> Value {
        let mut all = Map::new();
        all.insert("version".to_owned(), json!(self.version));
        if !self.certificates.is_empty() {
            all.insert("peerCertificates".to_owned(), json!(self.certificates));
        }
        all.insert("serverName".to_owned(), json!(self.server_name));
        if !self.protocol.is_empty() {
            all.insert("negotiatedProtocol".to_owned(), json!(self.protocol));
        }
        all.insert("cipherSuite".to_owned(), json!(self.suite));
        Value::Object(all)
    }
}

fn pem(certificate: &CertificateDer<'_>) -> String {
    let text = STANDARD.encode(certificate);
    let mut out = "-----BEGIN CERTIFICATE-----\n".to_owned();
    for line in text.as_bytes().chunks(64) {
        out.push_str(&String::from_utf8_lossy(line));
        out.push('\n');
    }
    out + "-----END CERTIFICATE-----\n"
}

/// A server with the pair in these files; a client certificate is verified if one is shown and there
/// are authorities.
pub(super) fn config(
    certificate: &Path,
    key: &Path,
    authorities: Option<&Path>,
    protocols: &[&[u8]],
) -> anyhow::Result<Arc<ServerConfig>> {
    let read = |path: &Path| {
        std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
    };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(certificate)?).collect();
    let chain = chain.with_context(|| format!("{}: no certificate", certificate.display()))?;
    let private = PrivateKeyDer::from_pem_slice(&read(key)?);
    let private = private.with_context(|| format!("{}: no key", key.display()))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?;
    let builder = match authorities {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for root in CertificateDer::pem_slice_iter(&read(path)?) {
                roots.add(root.with_context(|| format!("{}: no certificate", path.display()))?)?;
            }
            let clients = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
            builder.with_client_cert_verifier(clients.allow_unauthenticated().build()?)
        }
    };
    let mut config = builder.with_single_cert(chain, private)?;
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    Ok(Arc::new(config))
}
