//! Our own load generator and backend for WebSocket: `websocket-load` and `websocket-echo`.
//!
//! A connection is upgraded once (RFC 6455 section 4) and then carries frames of 64 bytes there and back, one
//! under way: a closed loop, as that of `tcp`. What goes over it are frames as a browser and a server send
//! them, masked one way and plain the other (section 5), since what is between might look.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::message::TIMEOUT;
use crate::scenario::HOST;
use crate::tcp::Exchanges;

/// Exchanges frames over `connections` for `length`; fails if a connection cannot be upgraded.
pub(crate) fn load(address: SocketAddr, connections: usize, length: Duration) -> Result<Exchanges> {
    let mut clients = (0..connections)
        .map(|_| Client::upgrade(address))
        .collect::<io::Result<Vec<_>>>()
        .with_context(|| format!("upgrading a connection to {address}"))?;
    let start = Instant::now();
    let (mut done, mut number) = (0_u64, 0_u32);
    clients.retain_mut(|client| client.send(&mut number).is_ok());
    let mut errors = (connections - clients.len()) as u64;
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

/// One frame there and back.
pub(crate) fn probe(address: SocketAddr) -> io::Result<()> {
    let mut client = Client::upgrade(address)?;
    client.send(&mut 0)?;
    client.receive()
}

struct Client {
    stream: TcpStream,
    /// What is under way.
    payload: [u8; PAYLOAD_BYTES],
}

impl Client {
    fn upgrade(address: SocketAddr) -> io::Result<Self> {
        let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        let request = format!(
            "GET / HTTP/1.1\r\nHost: {HOST}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n"
        );
        stream.write_all(request.as_bytes())?;
        let head = head(&mut stream)?;
        if !head.starts_with("HTTP/1.1 101 ") || !head.contains(ACCEPT) {
            return Err(io::Error::other(format!("answered {head}")));
        }
        Ok(Self { stream, payload: [b'.'; PAYLOAD_BYTES] })
    }

    fn send(&mut self, number: &mut u32) -> io::Result<()> {
        *number = number.wrapping_add(1);
        let mask = number.to_be_bytes();
        for (place, byte) in self.payload.iter_mut().zip(mask) {
            *place = byte;
        }
        let mut frame = Vec::with_capacity(2 + mask.len() + PAYLOAD_BYTES);
        frame.extend([FINAL_BINARY, MASKED | PAYLOAD_LENGTH]);
        frame.extend(mask);
        frame.extend(masked(self.payload, mask));
        self.stream.write_all(&frame)
    }

    fn receive(&mut self) -> io::Result<()> {
        let mut frame = [0; 2 + PAYLOAD_BYTES];
        self.stream.read_exact(&mut frame)?;
        match frame.split_at(2) {
            ([FINAL_BINARY, PAYLOAD_LENGTH], payload) if payload == self.payload => Ok(()),
            _ => Err(io::Error::other("another frame")),
        }
    }
}

/// Sends back the frames that come, until the process is ended.
pub(crate) fn echo(address: SocketAddr) -> Result<()> {
    let listener = TcpListener::bind(address).with_context(|| format!("listening on {address}"))?;
    for stream in listener.incoming() {
        match stream {
            Ok(stream) => drop(thread::spawn(move || serve(stream))),
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => return Err(error).context("accepting a connection"),
        }
    }
    Ok(())
}

/// Upgrades a connection of [`Client`], and sends its frames back without their masks.
fn serve(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    if !head(&mut stream)?.contains(KEY) {
        return Err(io::Error::other("another key"));
    }
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: {ACCEPT}\r\n\r\n"
    );
    stream.write_all(answer.as_bytes())?;
    loop {
        let mut start = [0; 6];
        stream.read_exact(&mut start)?;
        let [FINAL_BINARY, length, mask @ ..] = start else {
            return Err(io::Error::other("another frame"));
        };
        let mut payload = [0; PAYLOAD_BYTES];
        if length != MASKED | PAYLOAD_LENGTH {
            return Err(io::Error::other("a frame of another length"));
        }
        stream.read_exact(&mut payload)?;
        let mut frame = Vec::with_capacity(2 + PAYLOAD_BYTES);
        frame.extend([FINAL_BINARY, PAYLOAD_LENGTH]);
        frame.extend(masked(payload, mask));
        stream.write_all(&frame)?;
    }
}

/// RFC 6455 5.3; done twice it is undone.
fn masked(mut payload: [u8; PAYLOAD_BYTES], mask: [u8; 4]) -> [u8; PAYLOAD_BYTES] {
    for (byte, mask) in payload.iter_mut().zip(mask.into_iter().cycle()) {
        *byte ^= mask;
    }
    payload
}

/// The head of a message, and not a byte behind it, which would be a frame's.
fn head(stream: &mut TcpStream) -> io::Result<String> {
    let (mut head, mut byte) = (Vec::new(), [0; 1]);
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() > MAX_HEAD_BYTES {
            return Err(io::Error::other("a long head"));
        }
        stream.read_exact(&mut byte)?;
        head.extend(byte);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

/// The example of RFC 6455 1.3, with what answers it.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
const PAYLOAD_BYTES: usize = 64;
const PAYLOAD_LENGTH: u8 = 64;
const FINAL_BINARY: u8 = 0x82;
const MASKED: u8 = 0x80;
const MAX_HEAD_BYTES: usize = 16 * 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    fn served(serve: fn(TcpStream) -> io::Result<()>) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                thread::spawn(move || serve(stream));
            }
        });
        address
    }

    #[test]
    fn frames_come_back_over_an_upgraded_connection() {
        let address = served(serve);
        probe(address).unwrap();
        let run = load(address, 3, Duration::from_millis(50)).unwrap();
        assert!(run.done >= 3, "{run}");
        assert_eq!(run.errors, 0, "{run}");
    }

    #[test]
    fn a_server_that_does_not_upgrade_is_an_error() {
        let address = served(|mut stream| {
            head(&mut stream)?;
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        });
        assert!(probe(address).is_err());
        assert!(load(address, 1, Duration::ZERO).is_err());
    }

    #[test]
    fn a_mask_undoes_itself() {
        let payload = [7; PAYLOAD_BYTES];
        assert_ne!(masked(payload, [1, 2, 3, 4]), payload);
        assert_eq!(masked(masked(payload, [1, 2, 3, 4]), [1, 2, 3, 4]), payload);
    }
}
