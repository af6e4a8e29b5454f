//! Opening the sockets of a front: one per worker on the same address.
//!
//! A front is first bound once *without* `SO_REUSEPORT` and closed again: so two porticos never
//! share a front in silence, and whoever holds it is noticed. Only then the sockets of all workers
//! are opened, before any of them is polled. Who opens what, and when it is tried again, is
//! [`crate::listeners`]' and the planes' work.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

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
    let address = probe(address, Type::STREAM).map_err(|error| explain(&error, address, "tcp"))?;
    (0..sockets.max(1))
        .map(|_| {
            let socket = open(address, Type::STREAM, true)?;
            socket.listen(BACKLOG)?;
            Ok(socket.into())
        })
        .collect::<io::Result<_>>()
        .map_err(|error| explain(&error, address, "tcp"))
}

/// Opens `sockets` UDP sockets on `address`, non-blocking; port 0 as in [`tcp`].
pub fn udp(address: SocketAddr, sockets: usize) -> Result<Vec<UdpSocket>, BindError> {
    let address = probe(address, Type::DGRAM).map_err(|error| explain(&error, address, "udp"))?;
    (0..sockets.max(1))
        .map(|_| Ok(open(address, Type::DGRAM, true)?.into()))
        .collect::<io::Result<_>>()
        .map_err(|error| explain(&error, address, "udp"))
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
    socket.bind(&SockAddr::from(address))?;
    Ok(socket)
}

fn explain(error: &io::Error, address: SocketAddr, protocol: &str) -> BindError {
    let kind = error.kind();
    let (reason, remedy) = match kind {
        io::ErrorKind::AddrInUse => {
            let holder = holder(address, protocol);
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

/// Who listens on the port of `address`, from the kernel's socket table: `a socket on 0.0.0.0`.
fn holder(address: SocketAddr, protocol: &str) -> Option<String> {
    let table = match (protocol, address) {
        ("tcp", SocketAddr::V4(_)) => "/proc/net/tcp",
        ("tcp", SocketAddr::V6(_)) => "/proc/net/tcp6",
        (_, SocketAddr::V4(_)) => "/proc/net/udp",
        (_, SocketAddr::V6(_)) => "/proc/net/udp6",
    };
    let text = std::fs::read_to_string(table).ok()?;
    let port = format!("{:04X}", address.port());
    let inode = |row: &str| -> Option<(bool, String)> {
        let mut columns = row.split_whitespace();
        let local = columns.nth(1)?;
        let (ip, local_port) = local.split_once(':')?;
        let state = columns.nth(1)?;
        let listening = protocol == "udp" || state == "0A";
        let wildcard = ip.bytes().all(|byte| byte == b'0');
        (listening && local_port == port).then_some(())?;
        Some((wildcard, columns.nth(5)?.to_owned()))
    };
    let rows: Vec<_> = text.lines().skip(1).filter_map(inode).collect();
    let (wildcard, inode) = rows
        .iter()
        .find(|(wildcard, _)| *wildcard)
        .or_else(|| rows.first())?;
    let where_ = if *wildcard { "every address" } else { "this address" };
    Some(match process_of(inode) {
        Some(process) => format!("{process}, which listens on {where_}"),
        None => format!("a program of another user, which listens on {where_}"),
    })
}

/// `nginx (pid 812)`, as far as `/proc` lets this user see.
fn process_of(inode: &str) -> Option<String> {
    let wanted = format!("socket:[{inode}]");
    for process in std::fs::read_dir("/proc").ok()?.flatten() {
        let path = process.path();
        let pid = process.file_name().to_string_lossy().into_owned();
        if !pid.bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        let Ok(descriptors) = std::fs::read_dir(path.join("fd")) else { continue };
        for descriptor in descriptors.flatten() {
            let target = std::fs::read_link(descriptor.path()).ok();
            if target.is_some_and(|target| target.as_os_str() == wanted.as_str()) {
                let name = std::fs::read_to_string(path.join("comm")).ok()?;
                return Some(format!("{} (pid {pid})", name.trim()));
            }
        }
    }
    None
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
