//! Sockets that are connected to one peer: the kernel drops what strangers send them, and tells
//! them when nobody listens there.

use std::io;
use std::net::{SocketAddr, UdpSocket};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

/// Why there is no connected socket.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The system has no descriptor, port or memory left: the caller may free some and try again.
    #[error("no socket is left: {0}")]
    Exhausted(io::Error),
    /// No way leads to the peer.
    #[error("no way leads there: {0}")]
    Unreachable(io::Error),
}

/// A non-blocking socket on a port of its own that is connected to `peer`.
pub fn connect(peer: SocketAddr) -> Result<UdpSocket, ConnectError> {
    let kind = Type::DGRAM.nonblocking();
    let socket = Socket::new(Domain::for_address(peer), kind, Some(Protocol::UDP))
        .map_err(ConnectError::of)?;
    socket
        .connect(&SockAddr::from(peer))
        .map_err(ConnectError::of)?;
    Ok(socket.into())
}

impl ConnectError {
    fn of(error: io::Error) -> Self {
        match error.raw_os_error() {
            // EAGAIN is the kernel's word for a range of ports that is used up.
            Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM | libc::EAGAIN) => {
                Self::Exhausted(error)
            }
            _ => Self::Unreachable(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_out_is_told_from_what_cannot_be_reached() {
        for (case, code, exhausted) in [
            ("descriptors", libc::EMFILE, true),
            ("ports", libc::EAGAIN, true),
            ("no route", libc::ENETUNREACH, false),
            ("not allowed", libc::EACCES, false),
        ] {
            let error = ConnectError::of(io::Error::from_raw_os_error(code));
            assert_eq!(matches!(error, ConnectError::Exhausted(_)), exhausted, "{case}");
        }
    }

    #[test]
    fn a_connected_socket_hears_its_peer_alone() {
        let [peer, stranger] = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
        let socket = connect(peer.local_addr().unwrap()).unwrap();
        socket.send(b"hello").unwrap();
        let (_, own) = peer.recv_from(&mut [0; 8]).unwrap();
        stranger.send_to(b"stranger", own).unwrap();
        peer.send_to(b"peer", own).unwrap();
        let mut buffer = [0; 16];
        assert_eq!(socket.recv(&mut buffer).unwrap(), 4);
        assert_eq!(socket.recv(&mut buffer).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }
}
