//! Whether a server carries the work of a scenario: one unit of it, as its load generator will ask.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use crate::scenario::{HOST, Traffic};
use crate::{load, names, tls, websocket};

/// One unit of work of `traffic`; anything but its success is an error.
pub(crate) fn probe(traffic: Traffic, address: SocketAddr) -> io::Result<()> {
    match traffic {
        Traffic::Http => probe_http(address),
        Traffic::Tls => tls::probe(address),
        Traffic::Grpc => load::probe_grpc(address),
        Traffic::Websocket => websocket::probe(address),
        Traffic::Echo => probe_echo(address),
        Traffic::Datagrams => probe_datagrams(address),
        Traffic::Bulk => load::probe_bulk(address),
        Traffic::Names => probe_names(address),
    }
}

/// One request; anything but 200 is an error.
fn probe_http(address: SocketAddr) -> io::Result<()> {
    let mut stream = connect(address)?;
    let request = format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = [0; 12];
    stream.read_exact(&mut answer)?;
    if &answer == b"HTTP/1.1 200" {
        Ok(())
    } else {
        Err(io::Error::other(format!("answered {}", String::from_utf8_lossy(&answer))))
    }
}

/// One exchange; anything but the same bytes is an error.
fn probe_echo(address: SocketAddr) -> io::Result<()> {
    let mut stream = connect(address)?;
    stream.write_all(b"ping")?;
    let mut answer = [0; 4];
    stream.read_exact(&mut answer)?;
    if &answer == b"ping" { Ok(()) } else { Err(io::Error::other("answered other bytes")) }
}

/// One exchange of datagrams; anything but the same bytes is an error.
fn probe_datagrams(address: SocketAddr) -> io::Result<()> {
    exchange(&datagram_client(address)?)
}

/// A client of datagrams, which is one session of a server.
pub(crate) fn datagram_client(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.set_read_timeout(Some(PROBE_TIMEOUT))?;
    socket.connect(address)?;
    Ok(socket)
}

/// One datagram there and back.
pub(crate) fn exchange(socket: &UdpSocket) -> io::Result<()> {
    socket.send(b"ping")?;
    let mut answer = [0; 8];
    let length = socket.recv(&mut answer)?;
    match answer.get(..length) {
        Some(b"ping") => Ok(()),
        _ => Err(io::Error::other("answered other bytes")),
    }
}

/// One question; anything but an address is an error.
fn probe_names(address: SocketAddr) -> io::Result<()> {
    names::resolve(address, &names::probe_name(), PROBE_TIMEOUT)?
        .map(drop)
        .ok_or_else(|| io::Error::other("answered without an address"))
}

fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, PROBE_TIMEOUT)?;
    stream.set_read_timeout(Some(PROBE_TIMEOUT))?;
    Ok(stream)
}

const PROBE_TIMEOUT: Duration = Duration::from_secs(1);
