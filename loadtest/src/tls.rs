//! TLS as a client: our own load generator for handshakes, `tls-load`, and a probe.
//!
//! ```text
//! connect, hello ─▶ server's flight ─▶ finished, close ─▶ end of stream
//! ```
//!
//! A closed loop of places, each with one connection under way, taken in order by one thread. Every
//! handshake is a full one of TLS 1.3 over X25519: sessions are never resumed. The certificate is not
//! verified, which saves the generator what a server pays to sign, so that one core of it can keep
//! one core of a server busy. Invariant: a handshake counts once the server has ended the stream
//! after it, so that its last step is done as well.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::version::TLS13;
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, Stream, StreamOwned,
};

use crate::connect;
use crate::scenario::HOST;
use crate::tcp::Exchanges;

/// Shakes hands in `places` at once for `length`; fails where there is nobody to connect to.
pub(crate) fn load(address: SocketAddr, places: usize, length: Duration) -> Result<Exchanges> {
    let config = client()?;
    let mut number = 0;
    let mut open = || {
        number += 1;
        Handshake::open(address, &config, number)
    };
    let start = Instant::now();
    let (mut done, mut errors) = (0_u64, 0_u64);
    let mut places = (0..places)
        .map(|_| open())
        .collect::<io::Result<Vec<_>>>()
        .with_context(|| format!("connecting to {address}"))?;
    let wanted = places.len();
    while !places.is_empty() {
        let over = start.elapsed() >= length;
        let mut next = Vec::with_capacity(wanted);
        for place in places {
            match place.step() {
                Ok(Some(goes_on)) => next.push(goes_on),
                Ok(None) => done += 1,
                Err(_) => errors += 1,
            }
        }
        while !over && next.len() < wanted {
            match open() {
                Ok(new) => next.push(new),
                Err(_) => {
                    errors += 1;
                    break;
                }
            }
        }
        places = next;
    }
    Ok(Exchanges { done, errors, seconds: start.elapsed().as_secs_f64() })
}

/// One GET over TLS; anything but 200 is an error.
pub(crate) fn probe(address: SocketAddr) -> io::Result<()> {
    let config = client().map_err(io::Error::other)?;
    let mut stream = connect::from(address, 0)?;
    let mut session = session(&config)?;
    let mut tls = Stream::new(&mut session, &mut stream);
    let request = format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n");
    tls.write_all(request.as_bytes())?;
    let mut answer = [0; 12];
    tls.read_exact(&mut answer)?;
    match &answer {
        b"HTTP/1.1 200" => Ok(()),
        other => Err(io::Error::other(format!("answered {}", String::from_utf8_lossy(other)))),
    }
}

/// `stream` under TLS; hands are shaken with the first bytes.
pub(crate) fn over(
    stream: TcpStream,
    config: &Arc<ClientConfig>,
) -> io::Result<StreamOwned<ClientConnection, TcpStream>> {
    Ok(StreamOwned::new(session(config)?, stream))
}

/// A client that wants TLS 1.3 over X25519, and believes any certificate.
pub(crate) fn client() -> Result<Arc<ClientConfig>> {
    let provider = CryptoProvider {
        kx_groups: vec![aws_lc_rs::kx_group::X25519],
        ..aws_lc_rs::default_provider()
    };
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&TLS13])
        .context("setting TLS up")?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody))
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

fn session(config: &Arc<ClientConfig>) -> io::Result<ClientConnection> {
    let name = ServerName::try_from(HOST).map_err(io::Error::other)?;
    ClientConnection::new(config.clone(), name).map_err(io::Error::other)
}

/// A connection whose hello is sent, and later one whose close is.
struct Handshake {
    stream: TcpStream,
    session: ClientConnection,
    closed: bool,
}

impl Handshake {
    fn open(address: SocketAddr, config: &Arc<ClientConfig>, number: u64) -> io::Result<Self> {
        let mut stream = connect::from(address, number)?;
        stream.set_nodelay(true)?;
        let mut session = session(config)?;
        while session.wants_write() {
            session.write_tls(&mut stream)?;
        }
        Ok(Self { stream, session, closed: false })
    }

    /// Waits for what the server sends next and answers it; None once the server has ended the stream.
    fn step(mut self) -> io::Result<Option<Self>> {
        if self.closed {
            // Tickets, and the server's own goodbye.
            let mut rest = [0; 2_048];
            while self.stream.read(&mut rest)? > 0 {}
            return Ok(None);
        }
        while self.session.is_handshaking() {
            self.session.complete_io(&mut self.stream)?;
        }
        self.session.send_close_notify();
        while self.session.wants_write() {
            self.session.write_tls(&mut self.stream)?;
        }
        self.stream.shutdown(Shutdown::Write)?;
        self.closed = true;
        Ok(Some(self))
    }
}

/// Takes every server for who it says to be: nothing is protected here, time is measured.
#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::certificate::Certificate;
    use rustls::pki_types::PrivateKeyDer;
    use rustls::pki_types::pem::PemObject as _;
    use rustls::{ServerConfig, ServerConnection};
    use std::net::TcpListener;
    use std::thread;

    /// A server that shakes hands, answers requests, and ends each connection when its client does.
    pub(crate) fn serve() -> SocketAddr {
        let made = Certificate::make(&[HOST]).unwrap();
        let chain = vec![CertificateDer::from_pem_slice(made.chain.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(made.key.as_bytes()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        let config = Arc::new(config);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let config = config.clone();
                thread::spawn(move || {
                    let mut session = ServerConnection::new(config).unwrap();
                    let mut tls = Stream::new(&mut session, &mut stream);
                    let mut head = [0; 1_024];
                    while tls.read(&mut head).is_ok_and(|length| length > 0) {
                        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
                        if tls.write_all(answer).is_err() {
                            return;
                        }
                    }
                });
            }
        });
        address
    }

    #[test]
    fn a_handshake_counts_when_the_server_has_ended_it() {
        let address = serve();
        probe(address).unwrap();
        let run = load(address, 3, Duration::from_millis(50)).unwrap();
        assert!(run.done >= 3, "{run}");
        assert_eq!(run.errors, 0, "{run}");
    }

    #[test]
    fn a_server_that_speaks_no_tls_is_an_error() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                drop(stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n"));
            }
        });
        let run = load(address, 2, Duration::ZERO).unwrap();
        assert_eq!((run.done, run.errors), (0, 2), "{run}");
        assert!(probe(address).is_err());
    }
}
