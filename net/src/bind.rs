//! Opening the sockets of a front: one per worker on the same address.
//!
//! A front is first bound once *without* `SO_REUSEPORT` and closed again: so two porticos never
//! share a front in silence, and whoever holds it is noticed. Only then the sockets of all workers
//! are opened, before any of them is polled. A front of one socket is not shared at all: there the
//! first bind is the one that stays. Who opens what, and when it is tried again, is the planes' work.

mod holder;

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::any_ip;
use crate::stream::StreamOptions;

use self::holder::Holders;

/// Why a front could not be opened, with the way out.
#[derive(Debug, thiserror::Error)]
#[error("{reason}; {remedy}")]
pub struct BindError {
    /// What the kernel said, in words.
    pub reason: String,
    /// What the user can do.
    pub remedy: String,
    /// The kind, for those who decide by it.
    pub kind: io::ErrorKind,
}

/// Opens `sockets` TCP listeners on `address`, non-blocking, with a backlog of [`BACKLOG`].
///
/// Port 0 lets the kernel choose once; all sockets share the chosen port.
pub fn tcp(address: SocketAddr, sockets: usize) -> Result<Vec<TcpListener>, BindError> {
    Batch::default().tcp(address, sockets)
}

/// Many fronts in a row: what the system says about who holds which port is read once for all.
#[derive(Debug, Default)]
pub struct Batch {
    holders: Holders,
    options: StreamOptions,
}

impl Batch {
    /// Connections that its listeners accept will have these options.
    pub fn new(options: StreamOptions) -> Self {
        Self { holders: Holders::default(), options }
    }

    /// As [`tcp`].
    pub fn tcp(
        &mut self,
        address: SocketAddr,
        sockets: usize,
    ) -> Result<Vec<TcpListener>, BindError> {
        let opened = match sockets {
            0 | 1 => listen(address, false, &self.options).map(|socket| vec![socket]),
            _ => probe(address, Type::STREAM).and_then(|real| {
                let listen = |_| listen(real, true, &self.options);
                (0..sockets).map(listen).collect()
            }),
        };
        opened.map_err(|error| explain(&mut self.holders, &error, address, "tcp"))
    }

    /// As [`udp`].
    pub fn udp(
        &mut self,
        address: SocketAddr,
        sockets: usize,
    ) -> Result<Vec<UdpSocket>, BindError> {
        probe(address, Type::DGRAM)
            .and_then(|real| {
                let sockets = 0..sockets.max(1);
                sockets
                    .map(|_| Ok(open(real, Type::DGRAM, true)?.into()))
                    .collect()
            })
            .map_err(|error| explain(&mut self.holders, &error, address, "udp"))
    }
}

fn listen(address: SocketAddr, shared: bool, options: &StreamOptions) -> io::Result<TcpListener> {
    let socket = open(address, Type::STREAM, shared)?;
    options.apply(&socket);
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Opens `sockets` UDP sockets on `address`, non-blocking; port 0 as in [`tcp`].
pub fn udp(address: SocketAddr, sockets: usize) -> Result<Vec<UdpSocket>, BindError> {
    Batch::default().udp(address, sockets)
}

/// Binds once without sharing, so that a foreign holder is an error; returns the real address.
fn probe(address: SocketAddr, kind: Type) -> io::Result<SocketAddr> {
    let socket = open(address, kind, false)?;
    if kind == Type::STREAM {
        socket.listen(1)?;
    }
    socket
        .local_addr()?
        .as_socket()
        .ok_or_else(|| io::Error::from(io::ErrorKind::AddrNotAvailable))
}

fn open(address: SocketAddr, kind: Type, shared: bool) -> io::Result<Socket> {
    let protocol = if kind == Type::STREAM { Protocol::TCP } else { Protocol::UDP };
    let socket = Socket::new(Domain::for_address(address), kind.nonblocking(), Some(protocol))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    if kind == Type::STREAM {
        // Connections of the process before this one may still be in TIME_WAIT.
        socket.set_reuse_address(true)?;
    }
    if shared {
        socket.set_reuse_port(true)?;
    }
    let bound = socket.bind(&SockAddr::from(address));
    match (bound, address.ip()) {
        (Err(error), IpAddr::V6(ip))
            if error.kind() == io::ErrorKind::AddrNotAvailable && any_ip::is_routed(ip) =>
        {
            socket.set_freebind_v6(true)?;
            socket.bind(&SockAddr::from(address))?;
        }
        (bound, _) => bound?,
    }
    Ok(socket)
}

fn explain(
    holders: &mut Holders,
    error: &io::Error,
    address: SocketAddr,
    protocol: &'static str,
) -> BindError {
    let kind = error.kind();
    let (reason, remedy) = match kind {
        io::ErrorKind::AddrInUse => {
            let holder = holders.of(address, protocol);
            let wildcard = holder
                .as_deref()
                .is_some_and(|holder| holder.contains("every address"));
            let by = holder.map_or_else(String::new, |holder| format!(" by {holder}"));
            let remedy = if wildcard {
                "tell that program to bind 127.0.0.1 only, or choose another port"
            } else {
                "stop the program that holds it, or choose another port"
            };
            (format!("{address}/{protocol} is taken{by}"), remedy.to_owned())
        }
        io::ErrorKind::PermissionDenied => (
            format!("{address}/{protocol} may not be bound by this user"),
            "ports below 1024 need CAP_NET_BIND_SERVICE (setcap cap_net_bind_service=+ep), or \
             choose a port from 1024 up"
                .to_owned(),
        ),
        io::ErrorKind::AddrNotAvailable => (
            format!("{} is no address of this host", address.ip()),
            "add the address to an interface, or choose one that the host has".to_owned(),
        ),
        _ => (format!("{address}/{protocol}: {error}"), "it is tried again".to_owned()),
    };
    BindError { reason, remedy, kind }
}

/// Connections that wait to be accepted, per socket.
const BACKLOG: i32 = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    fn loopback() -> SocketAddr {
        "127.0.0.1:0".parse().unwrap()
    }

    #[test]
    fn the_sockets_of_a_front_share_one_port() {
        let sockets = tcp(loopback(), 3).unwrap();
        let addresses: Vec<_> = sockets.iter().map(|s| s.local_addr().unwrap()).collect();
        assert_eq!(addresses, vec![addresses[0]; 3]);
    }

    #[test]
    fn a_front_that_is_taken_names_its_holder_even_if_the_holder_shares() {
        let held = tcp(loopback(), 2).unwrap();
        let address = held[0].local_addr().unwrap();
        let error = tcp(address, 2).unwrap_err();
        assert_eq!(error.kind, io::ErrorKind::AddrInUse);
        let own = format!("pid {}", std::process::id());
        assert!(error.reason.contains(&own), "{error}");
    }

    #[test]
    fn a_front_of_one_socket_is_shared_with_nobody() {
        let held = tcp(loopback(), 1).unwrap();
        let address = held[0].local_addr().unwrap();
        assert_eq!(tcp(address, 2).unwrap_err().kind, io::ErrorKind::AddrInUse);
        assert!(listen(address, true, &StreamOptions::default()).is_err());
    }

    #[test]
    fn every_taken_front_of_a_batch_names_its_own_holder() {
        let wildcard = TcpListener::bind("0.0.0.0:0").unwrap();
        let exact = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = |held: &TcpListener| held.local_addr().unwrap().port();
        let mut batch = Batch::default();
        for (address, want) in [
            (SocketAddr::from(([127, 9, 9, 9], port(&wildcard))), "every address"),
            (SocketAddr::from(([127, 0, 0, 1], port(&exact))), "this address"),
        ] {
            let error = batch.tcp(address, 2).unwrap_err();
            let own = format!("pid {}", std::process::id());
            assert!(error.reason.contains(&own) && error.reason.contains(want), "{error}");
        }
    }

    #[test]
    fn a_wildcard_holder_is_told_to_bind_loopback() {
        let held = TcpListener::bind("0.0.0.0:0").unwrap();
        let port = held.local_addr().unwrap().port();
        let error = tcp(SocketAddr::from(([127, 9, 9, 9], port)), 1).unwrap_err();
        assert!(error.remedy.contains("127.0.0.1"), "{error}");
    }

    #[test]
    fn an_address_of_another_host_is_explained() {
        let error = udp("192.0.2.1:5353".parse().unwrap(), 1).unwrap_err();
        assert_eq!(error.kind, io::ErrorKind::AddrNotAvailable);
    }
}
