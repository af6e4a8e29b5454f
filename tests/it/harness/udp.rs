//! UDP on both ends: a pod that answers with its name and what it was sent, and a client.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::{PATIENCE, eventually};

/// A pod that answers each datagram with `name:` and the datagram; it dies with this value.
pub(crate) struct UdpPod {
    /// Where it is.
    pub(crate) address: SocketAddr,
    datagrams: Arc<AtomicUsize>,
    number: Arc<AtomicU64>,
    stopped: Arc<AtomicBool>,
    server: Option<JoinHandle<()>>,
}

impl UdpPod {
    /// On loopback.
    pub(crate) fn echo(name: &'static str) -> Self {
        Self::echo_at(name, (Ipv4Addr::LOCALHOST, 0).into())
    }

    /// On a given address, where port 0 is any.
    pub(crate) fn echo_at(name: &'static str, address: SocketAddr) -> Self {
        let socket = UdpSocket::bind(address).expect("a free port");
        let address = socket.local_addr().expect("a bound socket has one");
        let datagrams = Arc::new(AtomicUsize::new(0));
        let stopped = Arc::new(AtomicBool::new(false));
        let number = Arc::new(AtomicU64::new(0));
        let (count, stop) = (Arc::clone(&datagrams), Arc::clone(&stopped));
        let latest = Arc::clone(&number);
        let server = std::thread::spawn(move || {
            let mut buffer = vec![0; 65_536];
            while let Ok((length, peer)) = socket.recv_from(&mut buffer) {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                count.fetch_add(1, Ordering::SeqCst);
                if let Ok(number) = buffer[..length].try_into() {
                    latest.fetch_max(u64::from_be_bytes(number), Ordering::SeqCst);
                }
                let answer = match length {
                    ..1_000 => [name.as_bytes(), b":", &buffer[..length]].concat(),
                    _ => buffer[..length].to_vec(), // as long as a datagram may be
                };
                let _ = socket.send_to(&answer, peer);
            }
        });
        Self { address, datagrams, number, stopped, server: Some(server) }
    }

    /// How many datagrams it was sent.
    pub(crate) fn datagrams(&self) -> usize {
        self.datagrams.load(Ordering::SeqCst)
    }
}

impl UdpPod {
    /// The largest number that it was sent: a datagram of eight octets is one.
    pub(crate) fn number(&self) -> u64 {
        self.number.load(Ordering::SeqCst)
    }
}

impl Drop for UdpPod {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        let any = if self.address.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" };
        let woken = UdpSocket::bind(any).and_then(|socket| socket.send_to(b"", self.address));
        if let (Ok(_), Some(server)) = (woken, self.server.take()) {
            let _ = server.join();
        }
    }
}

/// A client that is connected to one front, so that it hears nobody else.
pub(crate) struct Client {
    socket: UdpSocket,
}

impl Client {
    /// Of a front, from a port of its own.
    pub(crate) fn of(front: SocketAddr) -> Self {
        let any: IpAddr =
            if front.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { [0_u16; 8].into() };
        let socket = UdpSocket::bind((any, 0)).expect("a free port");
        socket.connect(front).expect("a way to the front");
        let client = Self { socket };
        client.wait_at_most(PATIENCE);
        client
    }

    /// Sends one datagram and waits for the answer; an error where nobody listens.
    pub(crate) fn ask(&self, datagram: &[u8]) -> io::Result<Vec<u8>> {
        self.socket.send(datagram)?;
        let mut buffer = vec![0; 65_536];
        let length = self.socket.recv(&mut buffer)?;
        buffer.truncate(length);
        Ok(buffer)
    }

    /// The name of the pod that answers.
    pub(crate) fn who(&self) -> io::Result<String> {
        let answer = self.ask(b"who")?;
        let text = String::from_utf8_lossy(&answer);
        let (name, echo) = text.split_once(':').ok_or(ErrorKind::InvalidData)?;
        if echo != "who" {
            return Err(ErrorKind::InvalidData.into());
        }
        Ok(name.to_owned())
    }

    /// As [`who`](Self::who), but asks again where no answer comes soon: datagrams may be lost.
    pub(crate) fn eventually_who(&self, what: &str) -> Result<String, ErrorKind> {
        self.wait_at_most(SOON);
        let answer = eventually(what, || match self.who() {
            Err(error) if error.kind() == ErrorKind::WouldBlock => None,
            answer => Some(answer.map_err(|error| error.kind())),
        });
        self.wait_at_most(PATIENCE);
        answer
    }

    fn wait_at_most(&self, time: Duration) {
        let set = self.socket.set_read_timeout(Some(time));
        set.expect("a valid time");
    }

    /// Its socket, for what is not one question and one answer.
    pub(crate) fn socket(&self) -> &UdpSocket {
        &self.socket
    }
}

/// How long a datagram of ours may take on a machine that is not too busy.
const SOON: Duration = Duration::from_millis(50);
