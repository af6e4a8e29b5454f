//! The server's side of a TLS handshake: versions, limits and time; never which certificate.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::server::{NoServerSessionStorage, ResolvesServerCert};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// How handshakes are made: TLS 1.2 and 1.3, tickets that all workers share, no early data.
///
/// Fails only where the provider lacks its own defaults.
pub fn server_config(
    certificates: Arc<dyn ResolvesServerCert>,
    protocols: &[&[u8]],
) -> Result<Arc<ServerConfig>, rustls::Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(certificates);
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    config.ticketer = aws_lc_rs::Ticketer::new()?;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 1;
    config.max_early_data_size = 0;
    Ok(Arc::new(config))
}

/// A client's connection behind the handshake.
pub type Stream = TlsStream<TcpStream>;

/// Makes the handshake, ClientHello included, within [`HANDSHAKE_TIMEOUT`].
pub async fn accept(stream: TcpStream, config: &Arc<ServerConfig>) -> io::Result<Stream> {
    let handshake = TlsAcceptor::from(Arc::clone(config)).accept(stream);
    tokio::time::timeout(HANDSHAKE_TIMEOUT, handshake).await?
}

/// From the connection's begin to the handshake's end (`reliability 4`).
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
