//! Our own load generator for bytes over connections that stay: `tcp-load`.
//!
//! It is a closed loop: every connection has one request under way. One thread takes
//! the answers in the connections' order, so that it makes two system calls per exchange and no
//! more; it blocks only while the server owes it an answer, so the server is never without work.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::message::{Message, TIMEOUT};

/// What a run of the generator did; printed as one line, and read back from it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Exchanges {
    /// Requests that were answered with the same bytes.
    pub(crate) done: u64,
    /// Connections that broke, timed out or brought other bytes.
    pub(crate) errors: u64,
    /// How long it took.
    pub(crate) seconds: f64,
}

impl fmt::Display for Exchanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { done, errors, seconds } = self;
        write!(f, "exchanges {done} errors {errors} seconds {seconds:.6}")
    }
}

impl Exchanges {
    /// Reads the line that `Display` writes.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_ascii_whitespace();
        let mut after = |name: &str| {
            words
                .next()
                .filter(|word| *word == name)
                .and_then(|_| words.next())
        };
        Some(Self {
            done: after("exchanges")?.parse().ok()?,
            errors: after("errors")?.parse().ok()?,
            seconds: after("seconds")?.parse().ok()?,
        })
    }
}

/// Exchanges 64 bytes over `connections` for `length`; fails if a connection cannot be opened.
pub(crate) fn load(address: SocketAddr, connections: usize, length: Duration) -> Result<Exchanges> {
    let mut clients = (0..connections)
        .map(|_| Client::connect(address))
        .collect::<io::Result<Vec<_>>>()
        .with_context(|| format!("connecting to {address}"))?;
    let start = Instant::now();
    let (mut done, mut errors) = (0_u64, 0_u64);
    let mut number = 0_u64;
    clients.retain_mut(|client| client.send(&mut number).is_ok());
    errors += (connections - clients.len()) as u64;
    while start.elapsed() < length && !clients.is_empty() {
        clients.retain_mut(|client| {
            let carried_on = client.receive().and_then(|()| client.send(&mut number));
            match carried_on {
                Ok(()) => done += 1,
                Err(_) => errors += 1,
            }
            carried_on.is_ok()
        });
    }
    Ok(Exchanges { done, errors, seconds: start.elapsed().as_secs_f64() })
}

struct Client {
    stream: TcpStream,
    /// The one under way.
    request: Message,
}

impl Client {
    fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        Ok(Self { stream, request: Message::new(0) })
    }

    fn send(&mut self, number: &mut u64) -> io::Result<()> {
        *number += 1;
        self.request = Message::new(*number);
        self.request.send(&mut self.stream)
    }

    fn receive(&mut self) -> io::Result<()> {
        self.request.receive(&mut self.stream)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::echo::Echo;
    use crate::message::MESSAGE_BYTES;
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::thread;

    fn listen() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    #[test]
    fn the_line_of_a_run_is_read_back() {
        let run = Exchanges { done: 123_456, errors: 2, seconds: 5.25 };
        assert_eq!(Exchanges::parse(&run.to_string()), Some(run));
        for line in ["", "exchanges", "exchanges x errors 0 seconds 1", "errors 0 exchanges 1"] {
            assert_eq!(Exchanges::parse(line), None, "{line}");
        }
    }

    #[test]
    fn the_generator_counts_what_the_backend_echoes() {
        let (listener, address) = listen();
        let mut echo = Echo::over(vec![listener]).unwrap();
        thread::spawn(move || echo.serve());
        let run = load(address, 3, Duration::from_millis(50)).unwrap();
        assert!(run.done >= 3, "{run}");
        assert_eq!(run.errors, 0, "{run}");
        assert!(run.seconds >= 0.05, "{run}");
    }

    #[test]
    fn other_bytes_and_closed_connections_are_errors() {
        let (listener, address) = listen();
        thread::spawn(move || {
            let (mut wrong, _) = listener.accept().unwrap();
            let (closed, _) = listener.accept().unwrap();
            drop(closed);
            wrong.write_all(&[b'x'; MESSAGE_BYTES]).unwrap();
            wrong.read_to_end(&mut Vec::new())
        });
        let run = load(address, 2, TIMEOUT).unwrap();
        assert_eq!((run.done, run.errors), (0, 2), "{run}");
    }
}
