//! One datagram by itself: a reply that was not ready when its batch was sent.
#![allow(unsafe_code, reason = "sendmsg with a control message has no safe wrapper")]

use std::io;
use std::mem::zeroed;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd};

use super::{CONTROL, Control, write_local, write_name};

/// Sends `bytes` to `peer` from the address `local`; `WouldBlock` where the socket is full.
pub fn send_from(
    socket: &impl AsFd,
    bytes: &[u8],
    peer: SocketAddr,
    local: IpAddr,
) -> io::Result<()> {
    // SAFETY: all-zero bytes are valid values of these plain C structures.
    let (mut name, mut header): (libc::sockaddr_storage, libc::msghdr) =
        unsafe { (zeroed(), zeroed()) };
    let mut control = Control([0; CONTROL]);
    // The kernel only reads what a header for sending points to.
    let mut vector =
        libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    header.msg_namelen = write_name(&mut name, peer);
    header.msg_name = (&raw mut name).cast();
    header.msg_iov = &raw mut vector;
    header.msg_iovlen = 1;
    header.msg_control = control.0.as_mut_ptr().cast();
    header.msg_controllen = CONTROL;
    let interface = match peer {
        SocketAddr::V4(_) => 0,
        SocketAddr::V6(v6) => v6.scope_id(),
    };
    write_local(&mut header, local, interface);
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: the header points to a name, a vector and a control buffer of the stated lengths,
    // which outlive the call; the kernel only reads them.
    let sent = unsafe { libc::sendmsg(socket.as_fd().as_raw_fd(), &raw const header, flags) };
    if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;
    use std::time::Duration;

    #[test]
    fn a_late_reply_leaves_from_the_address_that_was_asked() {
        let server = UdpSocket::bind("0.0.0.0:0").unwrap();
        let port = server.local_addr().unwrap().port();
        for local in ["127.0.0.1", "127.0.0.7"] {
            let client = UdpSocket::bind("127.0.0.1:0").unwrap();
            client
                .set_read_timeout(Some(Duration::from_secs(10)))
                .unwrap();
            let peer = client.local_addr().unwrap();
            let local: IpAddr = local.parse().unwrap();
            send_from(&server, b"late", peer, local).unwrap();
            let mut buffer = [0; 8];
            let (length, from) = client.recv_from(&mut buffer).unwrap();
            assert_eq!(&buffer[..length], b"late");
            assert_eq!(from, SocketAddr::new(local, port));
        }
    }
}
