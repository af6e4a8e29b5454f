//! The client's side of a TLS handshake: whom it trusts, never whom it calls.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// How handshakes are made: TLS 1.2 and 1.3, and certificates of these authorities.
#[derive(Clone, Debug)]
pub struct ClientTls {
    config: Arc<ClientConfig>,
}

impl ClientTls {
    /// Trusts `roots`; offers `protocols` by ALPN. Fails only where the provider lacks its own
    /// defaults.
    pub fn new(roots: RootCertStore, protocols: &[&[u8]]) -> Result<Self, rustls::Error> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        Ok(Self { config: Arc::new(config) })
    }
}

/// A connection behind the handshake.
pub type ClientStream = TlsStream<TcpStream>;

/// Makes the handshake; the certificate must be for `name`, or for `address` where there is none.
/// The caller brings the time it may take.
pub async fn dial(
    stream: TcpStream,
    tls: &ClientTls,
    name: Option<&str>,
    address: IpAddr,
) -> io::Result<ClientStream> {
    let name = match name {
        Some(name) => ServerName::try_from(name.to_owned()).map_err(io::Error::other)?,
        None => ServerName::IpAddress(address.into()),
    };
    TlsConnector::from(Arc::clone(&tls.config))
        .connect(name, stream)
        .await
}

/// The authorities that this host trusts; those that cannot be read are left out.
pub fn host_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(found.certs);
    roots
}
