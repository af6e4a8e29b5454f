//! Our own load generators for short connections: `connect-load` and `http-close-load`.
//!
//! A closed loop: every place has one connection under way, which is opened, carries 64 bytes there
//! and back, and is closed by the client; or carries a request that asks for the end, and is closed by the
//! server behind its answer. One thread takes the places in order, as that of `tcp`.
//!
//! A closed connection keeps its port for a minute (TIME_WAIT), so clients come from many loopback
//! addresses in turn; behind the server, many backend addresses do the same for it.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use socket2::{Domain, Socket, Type};

use crate::answer::Answer;
use crate::message::{Message, TIMEOUT};
use crate::scenario::HOST;
use crate::tcp::Exchanges;

/// Opens, uses and closes connections in `places` at once for `length`; fails where there is
/// nobody at all to connect to.
pub(crate) fn load(address: SocketAddr, places: usize, length: Duration) -> Result<Exchanges> {
    run::<Short>(address, places, length)
}

/// As [`load`], with requests that close.
pub(crate) fn load_http(address: SocketAddr, places: usize, length: Duration) -> Result<Exchanges> {
    run::<Request>(address, places, length)
}

/// A connection under way.
trait Connection: Sized {
    /// Connects as number `number` and sends a request.
    fn open(address: SocketAddr, number: u64) -> io::Result<Self>;
    /// Takes the answer and closes, or sees it closed.
    fn finish(self) -> io::Result<()>;
}

fn run<C: Connection>(address: SocketAddr, places: usize, length: Duration) -> Result<Exchanges> {
    let mut number = 0;
    let mut open = || {
        number += 1;
        C::open(address, number)
    };
    let start = Instant::now();
    let (mut done, mut errors) = (0_u64, 0_u64);
    let mut places = (0..places)
        .map(|_| open().map(Some))
        .collect::<io::Result<Vec<_>>>()
        .with_context(|| format!("connecting to {address}"))?;
    // At least one round, however late the first answers are.
    loop {
        for place in &mut places {
            match place.take().map(C::finish) {
                Some(Ok(())) => done += 1,
                Some(Err(_)) => errors += 1,
                None => {}
            }
            match open() {
                Ok(connection) => *place = Some(connection),
                Err(_) => errors += 1,
            }
        }
        if start.elapsed() >= length {
            break;
        }
    }
    for connection in places.into_iter().flatten() {
        match connection.finish() {
            Ok(()) => done += 1,
            Err(_) => errors += 1,
        }
    }
    Ok(Exchanges { done, errors, seconds: start.elapsed().as_secs_f64() })
}

/// A connection whose request is sent.
struct Short {
    stream: TcpStream,
    request: Message,
}

impl Connection for Short {
    fn open(address: SocketAddr, number: u64) -> io::Result<Self> {
        let (mut stream, request) = (from(address, number)?, Message::new(number));
        request.send(&mut stream)?;
        Ok(Self { stream, request })
    }

    fn finish(mut self) -> io::Result<()> {
        self.request.receive(&mut self.stream)
    }
}

/// A connection of one request over HTTP.
struct Request(TcpStream);

impl Connection for Request {
    fn open(address: SocketAddr, number: u64) -> io::Result<Self> {
        let mut stream = from(address, number)?;
        let head = format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes())?;
        Ok(Self(stream))
    }

    fn finish(mut self) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(ANSWER_BYTES);
        (&mut self.0)
            .take(MAX_ANSWER_BYTES)
            .read_to_end(&mut bytes)?;
        match Answer::read(&bytes)? {
            Some(Answer { status: 200, length, .. }) if length == bytes.len() => Ok(()),
            _ => Err(io::Error::other("an answer that is no success, or not whole")),
        }
    }
}

/// Connection `number` to `address`, from one of many addresses; nothing on it takes longer than
/// [`TIMEOUT`].
pub(crate) fn from(address: SocketAddr, number: u64) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_read_timeout(Some(TIMEOUT))?;
    // Of the connect, too.
    socket.set_write_timeout(Some(TIMEOUT))?;
    if address.is_ipv4() && address.ip().is_loopback() {
        socket.bind(&SocketAddr::new(source(number), 0).into())?;
    }
    socket.connect(&address.into())?;
    Ok(socket.into())
}

/// The address that connection `number` comes from: 127.0.1.1 to 127.0.1.32.
fn source(number: u64) -> IpAddr {
    let last = u8::try_from(number % SOURCES).unwrap_or(0);
    Ipv4Addr::new(127, 0, 1, last + 1).into()
}

const SOURCES: u64 = 32;
/// Room for an answer of 64 bytes with its head,
const ANSWER_BYTES: usize = 1_024;
/// and the most that is taken of one.
const MAX_ANSWER_BYTES: u64 = 64 << 10;

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
    fn every_connection_that_is_answered_counts() {
        let (listener, address) = listen();
        let mut echo = Echo::over(vec![listener]).unwrap();
        thread::spawn(move || echo.serve());
        let run = load(address, 3, Duration::ZERO).unwrap();
        assert_eq!((run.done, run.errors), (6, 0), "{run}");
    }

    #[test]
    fn other_bytes_and_closed_connections_are_errors() {
        let (listener, address) = listen();
        let server = thread::spawn(move || {
            let (mut wrong, _) = listener.accept().unwrap();
            wrong.write_all(&[b'x'; MESSAGE_BYTES]).unwrap();
            wrong.read_to_end(&mut Vec::new()).unwrap();
            drop(listener.accept().unwrap());
        });
        let run = load(address, 1, Duration::ZERO).unwrap();
        server.join().unwrap();
        assert_eq!((run.done, run.errors), (0, 2), "{run}");
    }

    #[test]
    fn a_request_counts_once_its_answer_is_whole_and_the_connection_is_closed() {
        let (listener, address) = listen();
        let server = thread::spawn(move || {
            for answer in [
                "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
                "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no",
                "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n",
                "",
            ] {
                let (mut stream, _) = listener.accept().unwrap();
                let mut head = [0; 1_024];
                let read = stream.read(&mut head).unwrap();
                assert!(head[..read].ends_with(b"Connection: close\r\n\r\n"));
                stream.write_all(answer.as_bytes()).unwrap();
            }
        });
        let [first, second] = [(); 2].map(|()| load_http(address, 1, Duration::ZERO).unwrap());
        server.join().unwrap();
        assert_eq!((first.done, first.errors, second.done, second.errors), (1, 1, 0, 2));
    }

    #[test]
    fn nobody_to_connect_to_is_no_measurement() {
        let held = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        held.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())
            .unwrap();
        let address = held.local_addr().unwrap().as_socket().unwrap();
        assert!(load(address, 1, Duration::ZERO).is_err());
    }

    #[test]
    fn clients_come_from_addresses_in_turn() {
        assert_eq!(source(0), source(32));
        assert_eq!(source(31), IpAddr::from([127, 0, 1, 32]));
    }
}
