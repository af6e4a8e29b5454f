//! One listener of the resolver on the control side: opened for all workers, or tried again (`dns 3.7`).
//!
//! Invariants: UDP and TCP share a port; a port that is taken is degraded and waits twice as long each
//! time. What is done with the sockets is `local`'s and `serve`'s work.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use portico_net::bind::{self, BindError};
use portico_net::datagram::tell_local_address;
use portico_net::listeners::ListenerState;
use rustls::ServerConfig;
use tracing::warn;

/// One worker's sockets of one listener.
#[derive(Debug)]
pub(crate) enum Sockets {
    Plain { udp: UdpSocket, tcp: TcpListener },
    Tls(TcpListener, Arc<ServerConfig>),
}

#[derive(Debug)]
pub(crate) struct Listener {
    /// As asked for, then as bound.
    pub(crate) address: SocketAddr,
    /// How handshakes are made, where it is one over TLS.
    pub(crate) tls: Option<Arc<ServerConfig>>,
    pub(crate) state: ListenerState,
    /// Bound and not yet given to the workers.
    pub(crate) opened: Vec<Sockets>,
    /// When it is tried again, and how long it waits then.
    pub(crate) due: Option<Instant>,
    backoff: Duration,
}

impl Listener {
    /// One that is not opened yet.
    pub(crate) fn new(address: SocketAddr, tls: Option<Arc<ServerConfig>>) -> Self {
        let state = ListenerState::Degraded("not opened yet".to_owned());
        Self { address, tls, state, opened: Vec::new(), due: None, backoff: FIRST_BACKOFF }
    }

    /// Opens it for all workers, or says when it is tried again.
    pub(crate) fn open(&mut self, workers: usize, now: Instant) {
        let opened = match &self.tls {
            Some(config) => open_tls(self.address, workers, config),
            None => open(self.address, workers),
        };
        match opened {
            Ok((address, sockets)) => {
                self.address = address;
                self.opened = sockets;
                self.state = ListenerState::Serving;
                self.due = None;
            }
            Err(error) => {
                warn!(address = %self.address, %error, "dns listener is degraded");
                self.state = ListenerState::Degraded(error.to_string());
                self.due = Some(now + self.backoff);
                self.backoff = (self.backoff * 2).min(LONGEST_BACKOFF);
            }
        }
    }
}

/// UDP and TCP on one port; where the kernel chooses it, TCP may find it taken: chosen again.
fn open(address: SocketAddr, workers: usize) -> Result<(SocketAddr, Vec<Sockets>), BindError> {
    let failed = |error: io::Error| BindError {
        reason: format!("{address}/udp: {error}"),
        remedy: "it is tried again".to_owned(),
        kind: error.kind(),
    };
    let mut attempt = 1;
    loop {
        let udp = bind::udp(address, workers)?;
        let first = udp.first().expect("at least one socket is opened");
        let chosen = first.local_addr().map_err(failed)?;
        for socket in &udp {
            tell_local_address(socket).map_err(failed)?;
        }
        match bind::tcp(chosen, workers) {
            Ok(tcp) => {
                let pairs = udp.into_iter().zip(tcp);
                return Ok((
                    chosen,
                    pairs
                        .map(|(udp, tcp)| Sockets::Plain { udp, tcp })
                        .collect(),
                ));
            }
            Err(error) if address.port() != 0 || attempt == PORT_ATTEMPTS => return Err(error),
            Err(_) => attempt += 1,
        }
    }
}

fn open_tls(
    address: SocketAddr,
    workers: usize,
    config: &Arc<ServerConfig>,
) -> Result<(SocketAddr, Vec<Sockets>), BindError> {
    let sockets = bind::tcp(address, workers)?;
    let first = sockets.first().expect("at least one socket is opened");
    let chosen = first.local_addr().unwrap_or(address);
    Ok((
        chosen,
        sockets
            .into_iter()
            .map(|tcp| Sockets::Tls(tcp, Arc::clone(config)))
            .collect(),
    ))
}

const FIRST_BACKOFF: Duration = Duration::from_secs(1);
const LONGEST_BACKOFF: Duration = Duration::from_secs(30);
/// Ports tried until one is free for both protocols.
const PORT_ATTEMPTS: u32 = 8;
