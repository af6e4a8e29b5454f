//! A socket that keeps its address and refuses, as if nobody had bound it.
//!
//! A UDP socket that is connected takes datagrams of its peer alone. One that is connected to its
//! own address takes none, and the kernel answers whoever sends there as it answers for a closed
//! port: ICMP port unreachable, which the sender sees as `ECONNREFUSED` (`services 4.2`). The
//! address stays ours meanwhile, so taking datagrams again cannot fail for want of it.
#![allow(unsafe_code, reason = "no safe call in the dependencies dissolves a connection")]

use std::io;
use std::mem::size_of;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;

/// From now on nobody reaches `socket`; what it received before can still be read, and it can
/// still send to a given address.
pub fn refuse(socket: &UdpSocket) -> io::Result<()> {
    socket.connect(socket.local_addr()?)
}

/// Takes datagrams of everybody again. The socket must have been bound to a given port.
pub fn take(socket: &UdpSocket) -> io::Result<()> {
    let family = libc::sa_family_t::try_from(libc::AF_UNSPEC).unwrap_or(0);
    let nobody = libc::sockaddr { sa_family: family, sa_data: [0; 14] };
    let length = super::length_of(size_of::<libc::sockaddr>());
    // SAFETY: the descriptor is open while `socket` lives, and `nobody` is an address of `length`
    // bytes that the kernel only reads.
    match unsafe { libc::connect(socket.as_raw_fd(), &raw const nobody, length) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bind::udp;
    use std::net::SocketAddr;
    use std::time::Duration;

    /// What a client of `address` gets back: `ok`, if one of `servers` echoes.
    fn ask(address: SocketAddr, servers: &[UdpSocket]) -> Result<usize, io::ErrorKind> {
        let any: SocketAddr =
            if address.is_ipv4() { ([127, 0, 0, 1], 0).into() } else { ([0; 8], 0).into() };
        let client = UdpSocket::bind(any).unwrap();
        client
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        client.connect(address).unwrap();
        client.send(b"question").map_err(|error| error.kind())?;
        let mut buffer = [0; 16];
        for server in servers {
            if let Ok((length, peer)) = server.recv_from(&mut buffer) {
                server.send_to(&buffer[..length], peer).unwrap();
            }
        }
        client.recv(&mut buffer).map_err(|error| error.kind())
    }

    #[test]
    fn who_asks_a_refusing_socket_is_refused_and_is_answered_once_it_takes_again() {
        for (address, sockets) in [("127.0.0.1:0", 1), ("127.0.0.1:0", 3), ("[::1]:0", 2)] {
            let Ok(all) = udp(address.parse().unwrap(), sockets) else {
                eprintln!("skipped: this host has no {address}");
                continue;
            };
            let bound = all[0].local_addr().unwrap();
            for _ in 0..3 {
                assert_eq!(ask(bound, &all), Ok(8), "{address} {sockets}");
                all.iter().for_each(|socket| refuse(socket).unwrap());
                assert_eq!(ask(bound, &all), Err(io::ErrorKind::ConnectionRefused), "{address}");
                assert!(udp(bound, 1).is_err(), "the address is still ours");
                all.iter().for_each(|socket| take(socket).unwrap());
                assert!(all.iter().all(|it| it.local_addr().unwrap() == bound), "{address}");
            }
            assert_eq!(ask(bound, &all), Ok(8), "{address} {sockets}");
        }
    }

    #[test]
    fn a_refusing_socket_still_answers_those_who_asked_before() {
        let server = udp("127.0.0.1:0".parse().unwrap(), 1).unwrap().remove(0);
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.connect(server.local_addr().unwrap()).unwrap();
        client
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        refuse(&server).unwrap();
        server
            .send_to(b"late", client.local_addr().unwrap())
            .unwrap();
        assert_eq!(client.recv(&mut [0; 8]).unwrap(), 4);
    }
}
