//! The generator of idle connections: `idle-load` opens them, holds them, and looks whether they live.
//!
//! Invariants: every connection has carried bytes before it counts as open, and carries some more
//! before it is closed, so that one that was quietly dropped is an error. One thread, one connection
//! after the other: only their number matters.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use rustls::ClientConfig;

use crate::answer::Answer;
use crate::idle::{CONNECTIONS, raise_descriptor_limit};
use crate::scenario::HOST;
use crate::tls;

/// `loadtest idle-load`.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct IdleArgs {
    /// Where something echoes, or serves HTTP.
    address: SocketAddr,
    /// Connections to hold.
    #[arg(long, default_value_t = CONNECTIONS)]
    connections: u32,
    /// Requests in place of bytes.
    #[arg(long)]
    http: bool,
    /// Over TLS 1.3.
    #[arg(long)]
    tls: bool,
}

/// A connection that is held, with or without TLS.
trait Held: Read + Write {}
impl<T: Read + Write> Held for T {}

/// A line of the generator: `open 9000 errors 0`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Count {
    pub(crate) good: u32,
    pub(crate) errors: u32,
}

impl Count {
    /// Reads a line that begins with `name`.
    pub(crate) fn parse(line: &str, name: &str) -> Option<Self> {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        match words.as_slice() {
            [first, good, "errors", errors] if *first == name => {
                Some(Self { good: good.parse().ok()?, errors: errors.parse().ok()? })
            }
            _ => None,
        }
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} errors {}", self.good, self.errors)
    }
}

/// Opens connections, says so on `output`, waits for the end of `input`, uses them once more, says
/// how many were alive, and closes them.
pub(crate) fn hold(
    arguments: IdleArgs,
    input: &mut impl Read,
    output: &mut impl Write,
) -> Result<()> {
    raise_descriptor_limit(0)?;
    let use_once = if arguments.http { request } else { exchange };
    let tls = arguments.tls.then(tls::client).transpose()?;
    let mut held = Vec::new();
    for _ in 0..arguments.connections {
        let opened = connect(arguments.address, tls.as_ref()).and_then(|mut stream| {
            use_once(&mut *stream)?;
            Ok(stream)
        });
        held.extend(opened.ok());
    }
    let count = |good: usize, of: usize| -> Result<Count> {
        let good = u32::try_from(good).context("counting connections")?;
        let of = u32::try_from(of).context("counting connections")?;
        Ok(Count { good, errors: of - good })
    };
    let asked = usize::try_from(arguments.connections).context("counting connections")?;
    writeln!(output, "open {}", count(held.len(), asked)?).context("saying what is open")?;
    output.flush().context("saying what is open")?;
    io::copy(input, &mut io::sink()).context("waiting for the end")?;
    let opened = held.len();
    held.retain_mut(|stream| use_once(&mut **stream).is_ok());
    writeln!(output, "alive {}", count(held.len(), opened)?).context("saying what is alive")
}

fn connect(address: SocketAddr, tls: Option<&Arc<ClientConfig>>) -> io::Result<Box<dyn Held>> {
    let stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    Ok(match tls {
        Some(config) => Box::new(tls::over(stream, config)?),
        None => Box::new(stream),
    })
}

/// 64 bytes there and back.
fn exchange(stream: &mut dyn Held) -> io::Result<()> {
    let (sent, mut answer) = ([b'.'; 64], [0; 64]);
    stream.write_all(&sent)?;
    stream.read_exact(&mut answer)?;
    if answer == sent { Ok(()) } else { Err(io::Error::other("other bytes")) }
}

/// A GET and its answer, after which the connection may be used again.
fn request(stream: &mut dyn Held) -> io::Result<()> {
    write!(stream, "GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n")?;
    let mut answer = Vec::new();
    let mut buffer = [0; 1_024];
    loop {
        match length(&answer)? {
            Some(length) if answer.len() >= length => return Ok(()),
            _ if answer.len() > MAX_ANSWER_BYTES => return Err(io::Error::other("a long answer")),
            _ => {}
        }
        match stream.read(&mut buffer)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => answer.extend_from_slice(buffer.get(..read).unwrap_or_default()),
        }
    }
}

/// The length of an answer, head and body, once its head is there; anything but a 200 with a
/// Content-Length and a connection that stays is an error.
fn length(answer: &[u8]) -> io::Result<Option<usize>> {
    match Answer::read(answer)? {
        Some(Answer { status: 200, length, closes: false }) => Ok(Some(length)),
        Some(other) => Err(io::Error::other(format!("answered {}", other.status))),
        None => Ok(None),
    }
}

const TIMEOUT: Duration = Duration::from_secs(5);
const MAX_ANSWER_BYTES: usize = 16 * 1_024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::echo::Echo;
    use std::net::TcpListener;
    use std::thread;

    fn listen() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    fn run(address: SocketAddr, http: bool) -> String {
        let mut said = Vec::new();
        let arguments = IdleArgs { address, connections: 3, http, tls: false };
        hold(arguments, &mut io::empty(), &mut said).unwrap();
        String::from_utf8(said).unwrap()
    }

    #[test]
    fn connections_are_open_and_alive() {
        let (listener, address) = listen();
        let mut echo = Echo::over(vec![listener]).unwrap();
        thread::spawn(move || echo.serve());
        assert_eq!(run(address, false), "open 3 errors 0\nalive 3 errors 0\n");
    }

    #[test]
    fn a_connection_that_is_quietly_closed_is_an_error() {
        let (listener, address) = listen();
        let server = thread::spawn(move || {
            for stream in listener.incoming().take(3) {
                let (mut stream, mut bytes) = (stream.unwrap(), [0; 64]);
                stream.read_exact(&mut bytes).unwrap();
                stream.write_all(&bytes).unwrap();
            }
        });
        assert_eq!(run(address, false), "open 3 errors 0\nalive 0 errors 3\n");
        server.join().unwrap();
    }

    #[test]
    fn an_http_connection_is_open_after_a_whole_answer() {
        for (case, answer, want) in [
            ("kept", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", "open 3 errors 0"),
            (
                "closed",
                "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
                "open 0 errors 3",
            ),
            ("refused", "HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n", "open 0 errors 3"),
            ("cut short", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok", "open 0 errors 3"),
        ] {
            let (listener, address) = listen();
            let server = thread::spawn(move || {
                for stream in listener.incoming().take(3) {
                    let mut stream = stream.unwrap();
                    // All of it: what is left unread would make the close a reset.
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        let mut byte = [0; 1];
                        stream.read_exact(&mut byte).unwrap();
                        head.extend(byte);
                    }
                    stream.write_all(answer.as_bytes()).unwrap();
                }
            });
            assert!(run(address, true).starts_with(want), "{case}");
            server.join().unwrap();
        }
    }

    #[test]
    fn a_connection_over_tls_is_open_and_alive() {
        let mut said = Vec::new();
        let address = tls::tests::serve();
        let arguments = IdleArgs { address, connections: 3, http: true, tls: true };
        hold(arguments, &mut io::empty(), &mut said).unwrap();
        assert_eq!(String::from_utf8(said).unwrap(), "open 3 errors 0\nalive 3 errors 0\n");
    }

    #[test]
    fn a_line_of_the_generator_is_read_back() {
        let count = Count { good: 8_999, errors: 1 };
        assert_eq!(Count::parse(&format!("open {count}\n"), "open"), Some(count));
        for line in ["", "alive 1 errors 0", "open 1", "open x errors 0", "open 1 errors 0 more"] {
            assert_eq!(Count::parse(line, "open"), None, "{line}");
        }
    }
}
