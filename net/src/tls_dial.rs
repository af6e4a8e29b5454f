//! The client's side of a TLS handshake: whom it trusts and what it shows, never whom it calls.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::ServerName;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::tls_verify::{Anybody, SignedBy};

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

    /// Speaks as `manner` says. Fails where no suite of it is of its versions.
    pub fn with(manner: &Manner<'_>) -> Result<Self, rustls::Error> {
        let mut provider = aws_lc_rs::default_provider();
        restrict(&mut provider, manner.suites);
        let provider = Arc::new(provider);
        let algorithms = provider.signature_verification_algorithms;
        let verifier: Arc<dyn ServerCertVerifier> = match manner.trust {
            Some((roots, depth)) => Arc::new(SignedBy::new(Arc::clone(roots), depth, algorithms)),
            None => Arc::new(Anybody::new(algorithms)),
        };
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(manner.versions)?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let mut config = match manner.identity {
            Some(key) => {
                builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::clone(key))))
            }
            None => builder.with_no_client_auth(),
        };
        config.enable_sni = manner.sends_name;
        config.alpn_protocols = manner.protocols.iter().map(|it| it.to_vec()).collect();
        Ok(Self { config: Arc::new(config) })
    }
}

/// How handshakes are made, in full.
#[derive(Debug)]
pub struct Manner<'a> {
    /// Whose signature makes a certificate good, and how many certificates may stand between; none:
    /// any certificate is taken, for any name.
    pub trust: Option<(&'a Arc<RootCertStore>, u8)>,
    /// What is shown to a server that asks.
    pub identity: Option<&'a Arc<CertifiedKey>>,
    /// Whether the name is sent.
    pub sends_name: bool,
    /// At least one.
    pub versions: &'a [&'static SupportedProtocolVersion],
    /// The only suites of their versions, by IANA number.
    pub suites: &'a [u16],
    /// Offered by ALPN.
    pub protocols: &'a [&'a [u8]],
}

/// Leaves of each version the suites that are named; all where none of them is.
pub(crate) fn restrict(provider: &mut CryptoProvider, named: &[u16]) {
    let is_named = |suite: &rustls::SupportedCipherSuite| named.contains(&suite.suite().into());
    let is_1_3 = |suite: &rustls::SupportedCipherSuite| suite.tls13().is_some();
    let restricts = [false, true].map(|new| {
        let mut all = provider.cipher_suites.iter();
        all.any(|suite| is_1_3(suite) == new && is_named(suite))
    });
    provider
        .cipher_suites
        .retain(|suite| !restricts[usize::from(is_1_3(suite))] || is_named(suite));
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
