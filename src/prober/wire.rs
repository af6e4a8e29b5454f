//! A probe's connection: where it goes, plain or in TLS, and how hyper sees it.
//!
//! Invariants: the address that is dialled is the one that was looked at (`reliability 2.12.1`), and
//! is no listener of the admin side; a connection is reset when it is let go, so that no probe leaves
//! a socket in TIME-WAIT; a certificate is not looked at, as the kubelet does not. The deadline is
//! the caller's.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use hyper::rt::{Read, ReadBufCursor, Write};
use portico_net::tls_verify::Anybody;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, Error};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;

/// Says whether an address is one of portico's own that no probe may reach.
pub(crate) type IsForbidden = dyn Fn(SocketAddr) -> bool + Send + Sync;

/// Opens connections.
pub(super) struct Wire {
    tls: Arc<ClientConfig>,
    is_forbidden: Box<IsForbidden>,
}

/// A connection, whatever it is made of.
pub(super) trait Bytes: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Bytes for T {}

/// A connection in TLS, and whether its peer has chosen HTTP/2.
pub(super) struct Secured {
    pub(super) stream: Box<dyn Bytes>,
    pub(super) is_h2: bool,
}

impl Wire {
    /// Fails only where the provider lacks its own defaults.
    pub(super) fn new(is_forbidden: Box<IsForbidden>) -> Result<Self, Error> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = Arc::new(Anybody::new(provider.signature_verification_algorithms));
        let mut tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self { tls: Arc::new(tls), is_forbidden })
    }

    /// Connects to the first address of `host` that answers; fails with the reason of the last.
    pub(super) async fn dial(&self, host: &str, port: u16) -> Result<TcpStream, String> {
        let host = host.trim_matches(['[', ']']);
        let mut reason = format!("{host} has no address");
        let found = tokio::net::lookup_host((host, port)).await;
        for address in found.map_err(|error| format!("{host}: {error}"))? {
            match self.connect(address).await {
                Ok(stream) => return Ok(stream),
                Err(why) => reason = format!("dial {address}: {why}"),
            }
        }
        Err(reason)
    }

    /// Begins TLS; `host` is the name that the peer is asked for, if it is one.
    pub(super) async fn secure(&self, host: &str, stream: TcpStream) -> Result<Secured, String> {
        let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned());
        let name = name.map_err(|error| format!("{host}: {error}"))?;
        let connector = TlsConnector::from(Arc::clone(&self.tls));
        let stream = connector.connect(name, stream).await;
        let stream = stream.map_err(|error| format!("TLS: {error}"))?;
        let is_h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        Ok(Secured { stream: Box::new(stream), is_h2 })
    }

    async fn connect(&self, address: SocketAddr) -> Result<TcpStream, String> {
        if let Some(reason) = portico_net::dial::why_not(address.ip()) {
            return Err(reason.to_owned());
        }
        if (self.is_forbidden)(address) {
            return Err("it is portico's admin listener".to_owned());
        }
        let socket = match address.ip() {
            IpAddr::V4(_) => TcpSocket::new_v4(),
            IpAddr::V6(_) => TcpSocket::new_v6(),
        };
        let opened = async {
            let socket = socket?;
            socket.set_zero_linger()?;
            let stream = socket.connect(address).await?;
            stream.set_nodelay(true)?;
            Ok(stream)
        };
        opened.await.map_err(|error: io::Error| error.to_string())
    }
}

/// A connection with hyper's traits.
pub(super) struct HttpIo(pub(super) Box<dyn Bytes>);

impl Read for HttpIo {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut cursor: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let mut bytes = [0; CHUNK_BYTES];
        let room = cursor.remaining().min(CHUNK_BYTES);
        let mut buffer = ReadBuf::new(&mut bytes[..room]);
        match ready!(Pin::new(&mut self.get_mut().0).poll_read(context, &mut buffer)) {
            Ok(()) => cursor.put_slice(buffer.filled()),
            // The end without close_notify: as Go's client, which many servers count on.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {}
            Err(error) => return Poll::Ready(Err(error)),
        }
        Poll::Ready(Ok(()))
    }
}

impl Write for HttpIo {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().0).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_flush(context)
    }

    /// Does nothing: the reset that follows takes the peer's socket out of FIN-WAIT too, where a FIN
    /// would leave it in TIME-WAIT, on this host as often as not.
    fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Read at most at once.
const CHUNK_BYTES: usize = 8 * 1024;
