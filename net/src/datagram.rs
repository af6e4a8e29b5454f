//! Datagrams in batches: up to [`BATCH`] received and sent with one system call each.
//!
//! [`Batch`] answers what it receives, [`send_from`] what took longer; an [`Arena`] passes it on between sockets. A reply leaves from the address that was asked (`dns 3.4`): the kernel says it beside each
//! datagram (`IP_PKTINFO`, `IPV6_RECVPKTINFO`) and is told it again. Invariants: the arena is
//! allocated once; a question longer than [`LONGEST`] is never handed out, since the kernel cut it;
//! nothing here blocks. What a datagram means is its plane's work.
#![allow(unsafe_code, reason = "recvmmsg, sendmmsg and control messages have no safe wrapper")]

mod arena;
mod connect;
mod refuse;
mod reply;

use std::io;
use std::mem::{size_of, zeroed};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd};

use socket2::SockRef;

pub use arena::{Arena, Destination, Received, Sent};
pub use connect::{ConnectError, connect};
pub use refuse::{refuse, take};
pub use reply::send_from;

/// Datagrams per system call.
pub const BATCH: usize = 32;
/// Largest datagram taken.
pub const LONGEST: usize = 4096;

/// What was received, and the replies to it.
#[derive(Debug)]
pub struct Batch {
    slots: Vec<Slot>,
    received: usize,
    replies: usize,
    refused: usize,
}

#[derive(Clone, Debug)]
struct Slot {
    arena: Vec<u8>,
    length: usize,
    peer: SocketAddr,
    local: IpAddr,
    /// Interface of a link-local address, which means nothing without.
    interface: u32,
    reply: Vec<u8>,
}

/// Room for one packet-information message, aligned as the kernel wants it.
#[derive(Clone, Copy)]
#[repr(align(8))]
struct Control([u8; CONTROL]);

/// Makes the kernel say which address each datagram of `socket` was sent to.
pub fn tell_local_address(socket: &std::net::UdpSocket) -> io::Result<()> {
    let on: libc::c_int = 1;
    let (level, option) = match socket.local_addr()? {
        SocketAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_PKTINFO),
        SocketAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO),
    };
    let length = length_of(size_of::<libc::c_int>());
    // SAFETY: the descriptor is open while `socket` lives, and `on` is an int of `length` bytes.
    let result = unsafe {
        libc::setsockopt(socket.as_raw_fd(), level, option, (&raw const on).cast(), length)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

impl Default for Batch {
    fn default() -> Self {
        let nowhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        let slot = Slot {
            arena: vec![0; LONGEST],
            length: 0,
            peer: nowhere,
            local: nowhere.ip(),
            interface: 0,
            reply: Vec::new(),
        };
        Self { slots: vec![slot; BATCH], received: 0, replies: 0, refused: 0 }
    }
}

impl Batch {
    /// Receives what waits on `socket`, at most [`BATCH`]; `WouldBlock` where nothing does. Drops
    /// what an earlier batch left.
    pub fn receive(&mut self, socket: &impl AsFd) -> io::Result<usize> {
        (self.received, self.replies, self.refused) = (0, 0, 0);
        let bound = SockRef::from(socket).local_addr()?.as_socket();
        let bound = bound.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |address| address.ip());
        // SAFETY: all-zero bytes are valid values of these plain C structures.
        let (mut names, mut vectors, mut headers): (
            [libc::sockaddr_storage; BATCH],
            [libc::iovec; BATCH],
            [libc::mmsghdr; BATCH],
        ) = unsafe { (zeroed(), zeroed(), zeroed()) };
        let mut controls = [Control([0; CONTROL]); BATCH];
        let parts = self
            .slots
            .iter_mut()
            .zip(&mut names)
            .zip(&mut vectors)
            .zip(&mut controls);
        for ((((slot, name), vector), control), header) in parts.zip(&mut headers) {
            vector.iov_base = slot.arena.as_mut_ptr().cast();
            vector.iov_len = slot.arena.len();
            header.msg_hdr.msg_name = (&raw mut *name).cast();
            header.msg_hdr.msg_namelen = length_of(size_of::<libc::sockaddr_storage>());
            header.msg_hdr.msg_iov = vector;
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_control = control.0.as_mut_ptr().cast();
            header.msg_hdr.msg_controllen = CONTROL;
        }
        let descriptor = socket.as_fd().as_raw_fd();
        // SAFETY: every header points to a name, a vector, an arena and a control buffer of the
        // stated lengths that outlive the call, each used by one header.
        let count = unsafe {
            libc::recvmmsg(
                descriptor,
                headers.as_mut_ptr(),
                length_of(BATCH),
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
            )
        };
        self.received = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
        for ((slot, name), header) in self
            .slots
            .iter_mut()
            .zip(&names)
            .zip(&headers)
            .take(self.received)
        {
            let cut = header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0;
            slot.length = if cut { 0 } else { (header.msg_len as usize).min(LONGEST) };
            slot.reply.clear();
            // A datagram without a readable address gets no reply: port 0 is no destination.
            slot.peer = read_name(name).unwrap_or_else(|| SocketAddr::new(bound, 0));
            (slot.local, slot.interface) = read_local(&header.msg_hdr).unwrap_or((bound, 0));
        }
        Ok(self.received)
    }

    /// How many were received and not dropped.
    pub fn len(&self) -> usize {
        self.received
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.received == 0
    }

    /// Datagram `index` and what its reply is written to: the bytes (empty where it was too
    /// long), its sender, the address it was sent to, and an emptied buffer. A buffer that stays
    /// empty sends nothing.
    pub fn datagram(&mut self, index: usize) -> Option<(&[u8], SocketAddr, IpAddr, &mut Vec<u8>)> {
        let slot = self.slots.get_mut(..self.received)?.get_mut(index)?;
        let bytes = slot.arena.get(..slot.length).unwrap_or_default();
        slot.reply.clear();
        Some((bytes, slot.peer, slot.local, &mut slot.reply))
    }

    /// Sends the replies that were written and not yet sent; `WouldBlock` where the socket is
    /// full: call again. A reply that the kernel refuses is dropped, its client asks again.
    pub fn send(&mut self, socket: &impl AsFd) -> io::Result<()> {
        while self.replies < self.received {
            match self.send_some(socket.as_fd().as_raw_fd()) {
                Ok(done) => self.replies = done,
                Err((_, error)) if error.kind() == io::ErrorKind::WouldBlock => return Err(error),
                Err((_, error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Err((refused, _)) => {
                    (self.replies, self.refused) = (refused + 1, self.refused + 1);
                }
            }
        }
        Ok(())
    }

    /// Replies that did not leave: the kernel refused them, or they were not sent at all.
    pub fn unsent(&self) -> usize {
        let rest = self.slots.get(self.replies..self.received);
        let waiting = rest.unwrap_or_default().iter();
        self.refused + waiting.filter(|slot| !slot.reply.is_empty()).count()
    }

    /// Sends from the first unsent reply; returns how many slots are done, or the slot that failed.
    fn send_some(&mut self, descriptor: libc::c_int) -> Result<usize, (usize, io::Error)> {
        // SAFETY: all-zero bytes are valid values of these plain C structures.
        let (mut names, mut vectors, mut headers): (
            [libc::sockaddr_storage; BATCH],
            [libc::iovec; BATCH],
            [libc::mmsghdr; BATCH],
        ) = unsafe { (zeroed(), zeroed(), zeroed()) };
        let mut controls = [Control([0; CONTROL]); BATCH];
        let waiting: Vec<usize> = (self.replies..self.received)
            .filter(|index| {
                self.slots
                    .get(*index)
                    .is_some_and(|slot| !slot.reply.is_empty())
            })
            .collect();
        let Some(&first) = waiting.first() else { return Ok(self.received) };
        let parts = waiting
            .iter()
            .zip(&mut names)
            .zip(&mut vectors)
            .zip(&mut controls);
        for ((((index, name), vector), control), header) in parts.zip(&mut headers) {
            let Some(slot) = self.slots.get_mut(*index) else { continue };
            vector.iov_base = slot.reply.as_mut_ptr().cast();
            vector.iov_len = slot.reply.len();
            header.msg_hdr.msg_namelen = write_name(name, slot.peer);
            header.msg_hdr.msg_name = (&raw mut *name).cast();
            header.msg_hdr.msg_iov = vector;
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_control = control.0.as_mut_ptr().cast();
            header.msg_hdr.msg_controllen = CONTROL;
            write_local(&mut header.msg_hdr, slot.local, slot.interface);
        }
        // SAFETY: the first `waiting.len()` headers were filled above with pointers to buffers of
        // the stated lengths that outlive the call; the kernel only reads them.
        let sent = unsafe {
            libc::sendmmsg(
                descriptor,
                headers.as_mut_ptr(),
                length_of(waiting.len()),
                libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
            )
        };
        match usize::try_from(sent) {
            Ok(sent) => Ok(waiting.get(sent).copied().unwrap_or(self.received)),
            Err(_) => Err((first, io::Error::last_os_error())),
        }
    }
}

fn read_name(name: &libc::sockaddr_storage) -> Option<SocketAddr> {
    match libc::c_int::from(name.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says that the kernel wrote a sockaddr_in, which fits the storage.
            let v4 = unsafe { &*(&raw const *name).cast::<libc::sockaddr_in>() };
            let ip = Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr));
            Some(SocketAddrV4::new(ip, u16::from_be(v4.sin_port)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: the family says that the kernel wrote a sockaddr_in6, which fits the storage.
            let v6 = unsafe { &*(&raw const *name).cast::<libc::sockaddr_in6>() };
            let (port, ip) = (u16::from_be(v6.sin6_port), v6.sin6_addr.s6_addr.into());
            Some(SocketAddrV6::new(ip, port, v6.sin6_flowinfo, v6.sin6_scope_id).into())
        }
        _ => None,
    }
}

fn write_name(name: &mut libc::sockaddr_storage, address: SocketAddr) -> libc::socklen_t {
    let address = socket2::SockAddr::from(address);
    let length = address.len();
    // SAFETY: both sides are at least `length` bytes long, being socket address storages, and do
    // not overlap.
    unsafe {
        std::ptr::copy_nonoverlapping(
            address.as_ptr().cast::<u8>(),
            (&raw mut *name).cast::<u8>(),
            length as usize,
        );
    }
    length
}

/// The address that a datagram was sent to, from its control messages.
fn read_local(header: &libc::msghdr) -> Option<(IpAddr, u32)> {
    // SAFETY: `header` holds the control buffer and length that the kernel filled; the CMSG macros
    // stay within it, and data is read unaligned only after level and type said what it is.
    unsafe {
        let mut message = libc::CMSG_FIRSTHDR(header);
        while !message.is_null() {
            match ((*message).cmsg_level, (*message).cmsg_type) {
                (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                    let info: libc::in_pktinfo = libc::CMSG_DATA(message)
                        .cast::<libc::in_pktinfo>()
                        .read_unaligned();
                    return Some((
                        Ipv4Addr::from(u32::from_be(info.ipi_spec_dst.s_addr)).into(),
                        0,
                    ));
                }
                (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                    let info = libc::CMSG_DATA(message)
                        .cast::<libc::in6_pktinfo>()
                        .read_unaligned();
                    let ip = std::net::Ipv6Addr::from(info.ipi6_addr.s6_addr);
                    let interface = if ip.is_unicast_link_local() { info.ipi6_ifindex } else { 0 };
                    return Some((ip.into(), interface));
                }
                _ => message = libc::CMSG_NXTHDR(header, message),
            }
        }
    }
    None
}

/// Tells the kernel to send from `local`; `header` holds a zeroed buffer of [`CONTROL`] bytes.
fn write_local(header: &mut libc::msghdr, local: IpAddr, interface: u32) {
    // SAFETY: the buffer has room for the larger of both messages (`CONTROL`), so CMSG_FIRSTHDR is
    // in it and not null, and data is written within it, unaligned.
    unsafe {
        let message = libc::CMSG_FIRSTHDR(header);
        let size = match local {
            IpAddr::V4(v4) => {
                let mut info: libc::in_pktinfo = zeroed();
                info.ipi_spec_dst.s_addr = u32::from(v4).to_be();
                (*message).cmsg_level = libc::IPPROTO_IP;
                (*message).cmsg_type = libc::IP_PKTINFO;
                libc::CMSG_DATA(message)
                    .cast::<libc::in_pktinfo>()
                    .write_unaligned(info);
                length_of(size_of::<libc::in_pktinfo>())
            }
            IpAddr::V6(v6) => {
                let mut info: libc::in6_pktinfo = zeroed();
                info.ipi6_addr.s6_addr = v6.octets();
                info.ipi6_ifindex = interface;
                (*message).cmsg_level = libc::IPPROTO_IPV6;
                (*message).cmsg_type = libc::IPV6_PKTINFO;
                libc::CMSG_DATA(message)
                    .cast::<libc::in6_pktinfo>()
                    .write_unaligned(info);
                length_of(size_of::<libc::in6_pktinfo>())
            }
        };
        (*message).cmsg_len = libc::CMSG_LEN(size) as usize;
        header.msg_controllen = libc::CMSG_SPACE(size) as usize;
    }
}

/// A size that is a small constant, as the kernel's types have it.
fn length_of(size: usize) -> u32 {
    u32::try_from(size).expect("sizes of structures and batches are far below 4 GiB")
}

/// At least `CMSG_SPACE` of `in6_pktinfo`, the larger of both.
const CONTROL: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    /// Waits for readiness through a peek, which blocks no longer than the time-out.
    fn receive(batch: &mut Batch, socket: &UdpSocket) -> usize {
        socket
            .set_read_timeout(Some(std::time::Duration::from_secs(10)))
            .unwrap();
        socket.peek_from(&mut [0]).unwrap();
        batch.receive(socket).unwrap()
    }

    #[test]
    fn replies_leave_from_the_address_that_was_asked() {
        let server = UdpSocket::bind("0.0.0.0:0").unwrap();
        tell_local_address(&server).unwrap();
        let port = server.local_addr().unwrap().port();
        for asked in [Ipv4Addr::LOCALHOST, Ipv4Addr::new(127, 4, 5, 6)] {
            let client = UdpSocket::bind("127.0.0.1:0").unwrap();
            // A connected socket takes datagrams of that one address alone.
            client.connect((asked, port)).unwrap();
            client
                .set_read_timeout(Some(std::time::Duration::from_secs(10)))
                .unwrap();
            client.send(b"question").unwrap();
            let mut batch = Batch::default();
            assert_eq!(receive(&mut batch, &server), 1);
            let (bytes, peer, local, reply) = batch.datagram(0).unwrap();
            assert_eq!((bytes, peer), (&b"question"[..], client.local_addr().unwrap()));
            assert_eq!(local, IpAddr::from(asked));
            reply.extend_from_slice(b"answer");
            batch.send(&server).unwrap();
            let mut buffer = [0; 16];
            let length = client.recv(&mut buffer).unwrap();
            assert_eq!(&buffer[..length], b"answer");
        }
    }

    #[test]
    fn a_batch_is_bounded_and_skips_what_is_not_answered() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        tell_local_address(&server).unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client
            .set_read_timeout(Some(std::time::Duration::from_secs(10)))
            .unwrap();
        for number in 0..=32 {
            client
                .send_to(&[number], server.local_addr().unwrap())
                .unwrap();
        }
        let mut batch = Batch::default();
        assert_eq!(receive(&mut batch, &server), BATCH);
        for index in (0..BATCH).step_by(2) {
            let (bytes, _, _, reply) = batch.datagram(index).unwrap();
            reply.extend_from_slice(bytes);
        }
        batch.send(&server).unwrap();
        let mut buffer = [0; 8];
        for number in (0..32).step_by(2) {
            assert_eq!((client.recv(&mut buffer).unwrap(), buffer[0]), (1, number));
        }
        assert_eq!(receive(&mut batch, &server), 1);
        assert!(batch.datagram(1).is_none());
        let error = batch.receive(&server).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        assert!(batch.is_empty());
    }

    #[test]
    fn what_the_kernel_does_not_take_is_counted_and_the_rest_is_sent() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        tell_local_address(&server).unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        let patience = std::time::Duration::from_secs(10);
        client.set_read_timeout(Some(patience)).unwrap();
        for _ in 0..2 {
            client.send_to(b"q", server.local_addr().unwrap()).unwrap();
        }
        let mut batch = Batch::default();
        // Loopback delivers at once, so both are there.
        assert_eq!(receive(&mut batch, &server), 2);
        // No datagram is as long as that.
        batch.datagram(0).unwrap().3.resize(70_000, 7);
        batch.datagram(1).unwrap().3.extend_from_slice(b"a");
        assert_eq!(batch.unsent(), 2, "before they are sent");
        batch.send(&server).unwrap();
        assert_eq!(batch.unsent(), 1);
        let mut buffer = [0; 8];
        assert_eq!((client.recv(&mut buffer).unwrap(), buffer[0]), (1, b'a'));
    }

    #[test]
    fn a_datagram_that_was_cut_is_handed_out_empty() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client
            .send_to(&[7; LONGEST + 1], server.local_addr().unwrap())
            .unwrap();
        let mut batch = Batch::default();
        assert_eq!(receive(&mut batch, &server), 1);
        assert!(batch.datagram(0).unwrap().0.is_empty());
    }

    #[test]
    fn ipv6_replies_leave_from_the_address_asked_too() {
        let Ok(server) = UdpSocket::bind("[::1]:0") else {
            eprintln!("skipped: this host has no IPv6");
            return;
        };
        tell_local_address(&server).unwrap();
        let client = UdpSocket::bind("[::1]:0").unwrap();
        client.connect(server.local_addr().unwrap()).unwrap();
        client
            .set_read_timeout(Some(std::time::Duration::from_secs(10)))
            .unwrap();
        client.send(b"6").unwrap();
        let mut batch = Batch::default();
        assert_eq!(receive(&mut batch, &server), 1);
        batch.datagram(0).unwrap().3.push(9);
        batch.send(&server).unwrap();
        assert_eq!(client.recv(&mut [0; 4]).unwrap(), 1);
    }
}
