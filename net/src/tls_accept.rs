//! The server's side of a TLS handshake: versions, limits and time; never which certificate.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::aws_lc_rs;
use rustls::server::{Acceptor, NoServerSessionStorage, ResolvesServerCert};
use rustls::{RootCertStore, ServerConfig, SupportedCipherSuite};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::client_cert::AnyClient;
use crate::tls_dial::restrict;

/// How handshakes are made: TLS 1.2 and 1.3, tickets that all workers share, no early data.
///
/// Fails only where the provider lacks its own defaults.
pub fn server_config(
    certificates: Arc<dyn ResolvesServerCert>,
    protocols: &[&[u8]],
) -> Result<Arc<ServerConfig>, rustls::Error> {
    particular_config(certificates, protocols, &Particulars::default())
}

/// What a host asks of its handshakes beyond what all have.
#[derive(Debug, Default)]
pub struct Particulars<'a> {
    /// A client is asked for a certificate, which is taken whatever it is worth: see
    /// [`client_cert`](crate::client_cert). Inside, whose certificates are wanted; none: anybody's.
    pub clients: Option<Option<&'a RootCertStore>>,
    /// The only suites of their versions, by IANA number, the preferred one first; a version without one
    /// here has all of its own.
    pub suites: &'a [u16],
    /// Whether that order counts, and not the client's.
    pub own_order: bool,
}

/// The same for a host that asks more. Its tickets are its own.
pub fn particular_config(
    certificates: Arc<dyn ResolvesServerCert>,
    protocols: &[&[u8]],
    particulars: &Particulars<'_>,
) -> Result<Arc<ServerConfig>, rustls::Error> {
    let Particulars { clients, suites, own_order } = *particulars;
    let mut provider = aws_lc_rs::default_provider();
    restrict(&mut provider, suites);
    let place = |suite: &SupportedCipherSuite| {
        let number = u16::from(suite.suite());
        let found = suites.iter().position(|other| *other == number);
        found.unwrap_or(suites.len())
    };
    // What is not named stays as it stands, behind what is.
    provider.cipher_suites.sort_by_key(place);
    let provider = Arc::new(provider);
    let algorithms = provider.signature_verification_algorithms;
    let builder =
        ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(hints) => {
            builder.with_client_cert_verifier(Arc::new(AnyClient::new(hints, algorithms)))
        }
    };
    let mut config = builder.with_cert_resolver(certificates);
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    config.ticketer = aws_lc_rs::Ticketer::new()?;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 1;
    config.max_early_data_size = 0;
    config.ignore_client_order = own_order;
    Ok(Arc::new(config))
}

/// A client's connection behind the handshake.
pub type Stream<S = TcpStream> = TlsStream<S>;

/// When a handshake must be over whose connection begins now.
pub fn deadline() -> Instant {
    Instant::now() + HANDSHAKE_TIMEOUT
}

/// Makes the handshake, ClientHello included, until [`deadline`].
pub async fn accept<S>(stream: S, config: &Arc<ServerConfig>) -> io::Result<Stream<S>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    accept_by(stream, config, deadline()).await
}

/// The same until another moment: that of a connection whose ClientHello was looked at.
pub async fn accept_by<S>(
    stream: S,
    config: &Arc<ServerConfig>,
    by: Instant,
) -> io::Result<Stream<S>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let handshake = TlsAcceptor::from(Arc::clone(config)).accept(stream);
    tokio::time::timeout_at(by, handshake).await?
}

/// What a client says first.
#[derive(Debug)]
pub struct Hello {
    /// As it came, and whatever came behind it.
    pub bytes: Vec<u8>,
    /// The server name in lower case, without a final dot; none: it is no ClientHello, or has none.
    pub name: Option<String>,
}

/// Reads a ClientHello and leaves it to be read again; one of more than [`MAX_HELLO_BYTES`], or that
/// has not come by then, is an error.
pub async fn hello(stream: &mut (impl AsyncRead + Unpin), by: Instant) -> io::Result<Hello> {
    tokio::time::timeout_at(by, read(stream)).await?
}

async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Hello> {
    let (mut acceptor, mut bytes) = (Acceptor::default(), Vec::new());
    loop {
        let before = bytes.len();
        if before > MAX_HELLO_BYTES {
            return Err(io::ErrorKind::InvalidData.into());
        }
        bytes.resize(before + PIECE_BYTES, 0);
        let count = stream.read(&mut bytes[before..]).await?;
        bytes.truncate(before + count);
        let mut piece = &bytes[before..];
        // The end is found by whoever makes the handshake, and told to the client.
        if piece.is_empty() {
            return Ok(Hello { bytes, name: None });
        }
        while !piece.is_empty() {
            let accepted = match acceptor.read_tls(&mut piece) {
                Ok(_) => acceptor.accept(),
                Err(_) => return Ok(Hello { bytes, name: None }),
            };
            match accepted {
                Ok(None) => {}
                Ok(Some(accepted)) => {
                    let hello = accepted.client_hello();
                    let name = hello.server_name();
                    let name = name.map(|it| it.trim_end_matches('.').to_ascii_lowercase());
                    return Ok(Hello { bytes, name });
                }
                // Whoever makes the handshake will tell the client what is wrong.
                Err(_) => return Ok(Hello { bytes, name: None }),
            }
        }
    }
}

/// From the connection's begin to the handshake's end (`reliability 4`).
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// `http-proxy 7.1`.
const MAX_HELLO_BYTES: usize = 16 * 1024;
const PIECE_BYTES: usize = 4096;

#[cfg(test)]
mod tests {
    use rustls::{ClientConfig, ClientConnection};

    use super::*;

    /// A ClientHello with this name.
    fn bytes_of(name: &'static str) -> Vec<u8> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
        let name = name.try_into().unwrap();
        let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
        let mut bytes = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut bytes).unwrap();
        }
        bytes
    }

    #[tokio::test]
    async fn a_name_is_found_however_a_hello_is_cut() {
        let whole = bytes_of("A.Test");
        for size in [1, 7, 500, whole.len()] {
            let (mut client, mut server) = tokio::io::duplex(size);
            let sent = whole.clone();
            let sending = async move {
                for piece in sent.chunks(size) {
                    tokio::io::AsyncWriteExt::write_all(&mut client, piece)
                        .await
                        .unwrap();
                }
                client
            };
            let (hello, _client) = tokio::join!(hello(&mut server, deadline()), sending);
            let hello = hello.unwrap();
            assert_eq!(hello.name.as_deref(), Some("a.test"), "http-proxy 7.6: by {size}");
            assert_eq!(hello.bytes, whole, "every byte is there to be read again");
        }
    }

    #[tokio::test]
    async fn what_is_no_hello_has_no_name_and_too_much_is_refused() {
        for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"\x16\x03\x01\x00", b""] {
            let hello = hello(&mut &bytes[..], deadline()).await.unwrap();
            assert_eq!((hello.name, &*hello.bytes), (None, bytes));
        }
        let mut endless = Vec::new();
        for _ in 0..64 {
            // Records that go on with one handshake message of 64 KiB.
            let begins = endless.is_empty();
            endless.extend([0x16, 3, 1, 2, 0]);
            let mut record = vec![0; 512];
            if begins {
                record[..4].copy_from_slice(&[1, 0, 0xff, 0xff]);
            }
            endless.extend(record);
        }
        let refused = hello(&mut &endless[..], deadline()).await;
        let name = refused.map(|hello| hello.name);
        assert!(!matches!(name, Ok(Some(_))), "http-proxy 7.1");
    }
}
