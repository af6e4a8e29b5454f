//! Our own load generator and backend for datagrams: `udp-load` and `udp-echo`.
//!
//! A closed loop like that of `tcp`: every client, with a port of its own, has one datagram under
//! way. What is lost is an error once its time is over, and its client goes on.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::tcp::Exchanges;

/// Exchanges datagrams of 64 bytes by `clients` for `length`, once at least; fails where they cannot be sent.
pub(crate) fn load(address: SocketAddr, clients: usize, length: Duration) -> Result<Exchanges> {
    let mut clients = (0..clients)
        .map(|_| Client::connect(address))
        .collect::<io::Result<Vec<_>>>()
        .with_context(|| format!("sending to {address}"))?;
    let start = Instant::now();
    let (mut done, mut errors, mut number) = (0_u64, 0_u64, 0_u64);
    for client in &mut clients {
        client
            .send(&mut number)
            .with_context(|| format!("sending to {address}"))?;
    }
    // At least one round, however late the first answers are.
    loop {
        for client in &mut clients {
            match client.receive() {
                Ok(()) => done += 1,
                Err(_) => errors += 1,
            }
            // A refusal of the datagram before is told here; this one is tried once more.
            if client.send(&mut number).is_err() {
                client
                    .send(&mut number)
                    .with_context(|| format!("sending to {address}"))?;
            }
        }
        if start.elapsed() >= length {
            break;
        }
    }
    Ok(Exchanges { done, errors, seconds: start.elapsed().as_secs_f64() })
}

struct Client {
    socket: UdpSocket,
    datagram: [u8; DATAGRAM_BYTES],
}

impl Client {
    fn connect(address: SocketAddr) -> io::Result<Self> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.connect(address)?;
        socket.set_read_timeout(Some(TIMEOUT))?;
        Ok(Self { socket, datagram: [b'.'; DATAGRAM_BYTES] })
    }

    /// Sends a datagram unlike any before: an answer to another one is then seen.
    fn send(&mut self, number: &mut u64) -> io::Result<()> {
        *number += 1;
        for (place, byte) in self.datagram.iter_mut().zip(number.to_be_bytes()) {
            *place = byte;
        }
        self.socket.send(&self.datagram).map(drop)
    }

    fn receive(&mut self) -> io::Result<()> {
        let mut answer = [0; DATAGRAM_BYTES + 1];
        let length = self.socket.recv(&mut answer)?;
        if answer.get(..length) == Some(&self.datagram) {
            Ok(())
        } else {
            Err(io::Error::other("an answer to another datagram"))
        }
    }
}

/// Sends back what comes, until the process is ended; fails if it cannot bind `address`.
pub(crate) fn echo(address: SocketAddr) -> Result<()> {
    let socket = UdpSocket::bind(address).with_context(|| format!("binding {address}"))?;
    serve(&socket)
}

fn serve(socket: &UdpSocket) -> Result<()> {
    let mut buffer = [0; 2_048];
    loop {
        send_back(socket, &mut buffer)?;
    }
}

/// Sends one datagram back.
fn send_back(socket: &UdpSocket, buffer: &mut [u8]) -> Result<()> {
    match socket.recv_from(buffer) {
        // A client that went away is told by an error here, and is no reason to end.
        Ok((length, peer)) => {
            let _ = socket.send_to(buffer.get(..length).unwrap_or_default(), peer);
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        Err(error) => Err(error).context("receiving a datagram"),
    }
}

const DATAGRAM_BYTES: usize = 64;
const TIMEOUT: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread::{self, JoinHandle};

    /// Does something with each datagram, until it is dropped; its port is its own until then.
    struct Peer {
        socket: Arc<UdpSocket>,
        ends: Arc<AtomicBool>,
        thread: Option<JoinHandle<()>>,
    }

    impl Peer {
        fn start(answer: fn(&UdpSocket) -> Result<()>) -> Self {
            let socket = Arc::new(UdpSocket::bind("127.0.0.1:0").unwrap());
            let ends = Arc::new(AtomicBool::new(false));
            let (theirs, end) = (Arc::clone(&socket), Arc::clone(&ends));
            let thread = thread::spawn(move || {
                while !end.load(Ordering::Acquire) {
                    answer(&theirs).unwrap();
                }
            });
            Self { socket, ends, thread: Some(thread) }
        }

        fn address(&self) -> SocketAddr {
            self.socket.local_addr().unwrap()
        }
    }

    impl Drop for Peer {
        fn drop(&mut self) {
            self.ends.store(true, Ordering::Release);
            let wake = UdpSocket::bind("127.0.0.1:0").unwrap();
            wake.send_to(b"", self.address()).unwrap();
            let ended = self.thread.take().map(JoinHandle::join);
            if !thread::panicking() {
                ended.unwrap().unwrap();
            }
        }
    }

    #[test]
    fn the_generator_counts_what_the_backend_echoes() {
        let peer = Peer::start(|socket| send_back(socket, &mut [0; 2_048]));
        let run = load(peer.address(), 3, Duration::from_millis(50)).unwrap();
        assert!(run.done >= 3, "{run}");
        assert_eq!(run.errors, 0, "{run}");
    }

    #[test]
    fn other_bytes_are_errors() {
        let peer = Peer::start(|socket| {
            let (_, from) = socket.recv_from(&mut [0; 2_048])?;
            socket.send_to(&[b'x'; DATAGRAM_BYTES], from)?;
            Ok(())
        });
        let run = load(peer.address(), 3, Duration::ZERO).unwrap();
        assert_eq!((run.done, run.errors), (0, 3), "{run}");
    }

    #[test]
    fn silence_is_an_error_when_its_time_is_over() {
        let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
        let run = load(silent.local_addr().unwrap(), 1, Duration::ZERO).unwrap();
        assert_eq!((run.done, run.errors), (0, 1), "{run}");
        // The kernel counts in jiffies and may be one short.
        assert!(run.seconds >= TIMEOUT.as_secs_f64() * 0.95, "{run}");
    }

    #[test]
    fn a_closed_port_is_an_error_and_not_the_end() {
        let closed = UdpSocket::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let run = load(closed, 1, Duration::ZERO).unwrap();
        assert_eq!((run.done, run.errors), (0, 1), "{run}");
    }
}
