//! Our own backend for bytes: `tcp-echo`, one thread and one epoll for all connections.
//!
//! Invariants: a connection costs this process its descriptor and a place in a map, so that
//! thousands may stay open; one that breaks is closed and nothing more. What is sent back is small
//! and was asked for by a client that reads, so a write never waits long.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;

use anyhow::{Context, Result, ensure};
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};

/// The backend, listening.
#[derive(Debug)]
pub(crate) struct Echo {
    epoll: OwnedFd,
    listeners: Vec<TcpListener>,
    /// By the number that their events carry; the listeners have the numbers below.
    open: HashMap<u64, TcpStream>,
    next: u64,
}

/// The first `count` of the addresses that follow each other from `first`.
pub(crate) fn addresses(first: Ipv4Addr, count: u32) -> impl Iterator<Item = Ipv4Addr> {
    (0..count).map(move |step| Ipv4Addr::from(u32::from(first).saturating_add(step)))
}

impl Echo {
    /// Listens on `address` and the `count - 1` after it, all with one port.
    pub(crate) fn listen(address: SocketAddr, count: u32) -> Result<Self> {
        let listen = |ip: IpAddr| {
            let address = SocketAddr::new(ip, address.port());
            TcpListener::bind(address).with_context(|| format!("listening on {address}"))
        };
        let listeners = match address.ip() {
            IpAddr::V4(first) => addresses(first, count)
                .map(|ip| listen(ip.into()))
                .collect::<Result<Vec<_>>>()?,
            first @ IpAddr::V6(_) => vec![listen(first)?],
        };
        Self::over(listeners)
    }

    /// Takes what comes to `listeners`.
    pub(crate) fn over(listeners: Vec<TcpListener>) -> Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC).context("making an epoll")?;
        for (number, listener) in (0..).zip(&listeners) {
            listener
                .set_nonblocking(true)
                .context("preparing a listener")?;
            epoll::add(&epoll, listener, EventData::new_u64(number), EventFlags::IN)
                .context("watching a listener")?;
        }
        let next = listeners.len() as u64;
        Ok(Self { epoll, listeners, open: HashMap::new(), next })
    }

    /// Sends back what comes, until the process is ended; fails when it can accept no more.
    pub(crate) fn serve(&mut self) -> Result<()> {
        let mut events: Vec<Event> = Vec::with_capacity(EVENTS);
        loop {
            events.clear();
            match epoll::wait(&self.epoll, spare_capacity(&mut events), None) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error).context("waiting for events"),
            }
            for event in &events {
                self.take(event.data.u64())?;
            }
        }
    }

    fn take(&mut self, number: u64) -> Result<()> {
        let listener = usize::try_from(number)
            .ok()
            .and_then(|index| self.listeners.get(index));
        if let Some(listener) = listener {
            while let Some(stream) = accept(listener)? {
                ensure!(self.open.len() < MAX_CONNECTIONS, "over {MAX_CONNECTIONS} connections");
                epoll::add(&self.epoll, &stream, EventData::new_u64(self.next), EventFlags::IN)
                    .context("watching a connection")?;
                self.open.insert(self.next, stream);
                self.next += 1;
            }
        } else if let Some(stream) = self.open.get_mut(&number)
            && !matches!(answer(stream), Ok(true))
        {
            // To close it ends the watch as well.
            self.open.remove(&number);
        }
        Ok(())
    }
}

/// A connection that waits to be accepted.
fn accept(listener: &TcpListener) -> Result<Option<TcpStream>> {
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nodelay(true).context("preparing a connection")?;
                return Ok(Some(stream));
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => return Err(error).context("accepting a connection"),
        }
    }
}

/// Sends back what there is; false at the end of the connection.
fn answer(stream: &mut TcpStream) -> io::Result<bool> {
    let mut buffer = [0; 4_096];
    let read = stream.read(&mut buffer)?;
    stream.write_all(buffer.get(..read).unwrap_or_default())?;
    Ok(read > 0)
}

const EVENTS: usize = 256;
const MAX_CONNECTIONS: usize = 19_000;

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn bytes_come_back_over_every_address_and_connection() {
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let mut echo = Echo::listen(SocketAddr::from(([127, 0, 0, 2], port)), 3).unwrap();
        thread::spawn(move || echo.serve());
        let mut streams: Vec<TcpStream> = (2..5)
            .chain(2..5)
            .map(|last| TcpStream::connect(SocketAddr::from(([127, 0, 0, last], port))).unwrap())
            .collect();
        streams.remove(0);
        for (stream, sent) in streams.iter_mut().zip(["a", "bc", "def", "g", "hi"]) {
            stream.write_all(sent.as_bytes()).unwrap();
        }
        for (stream, sent) in streams.iter_mut().zip(["a", "bc", "def", "g", "hi"]) {
            let mut got = vec![0; sent.len()];
            stream.read_exact(&mut got).unwrap();
            assert_eq!(got, sent.as_bytes());
        }
    }
}
