//! Datagrams on their way through: received from some sockets, sent on by others, not copied.
//!
//! One arena serves all sockets of a thread, one after the other. Invariants: at most [`BATCH`]
//! datagrams at a time, each with room for the largest that exists, so that none is cut in silence;
//! memory is reserved at the first receipt, and pages count only once something was written there;
//! nothing here blocks.
#![allow(unsafe_code, reason = "recvmmsg and sendmmsg have no safe wrapper")]

use std::fmt;
use std::io;
use std::mem::{size_of, zeroed};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::ops::Range;
use std::os::fd::AsRawFd;

use super::{BATCH, CONTROL, Control, length_of, read_local, read_name, write_local, write_name};

/// Datagrams in hand.
#[derive(Default)]
pub struct Arena {
    bytes: Vec<u8>,
    slots: Vec<Slot>,
    calls: Calls,
}

/// What system calls are told: it points to parts of the arena and of itself during a call alone.
#[derive(Default)]
struct Calls {
    names: Vec<libc::sockaddr_storage>,
    vectors: Vec<libc::iovec>,
    controls: Vec<Control>,
    headers: Vec<libc::mmsghdr>,
}

/// One datagram, without its bytes.
#[derive(Clone, Copy, Debug)]
struct Slot {
    length: usize,
    is_cut: bool,
    peer: SocketAddr,
    local: Option<IpAddr>,
    interface: u32,
}

/// One datagram that was received.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Received<'a> {
    /// What it carries; only its beginning where it `is_cut`.
    pub bytes: &'a [u8],
    /// Whether it was longer than any datagram that is taken.
    pub is_cut: bool,
    /// Who sent it, without a flow label; port 0 where the socket is connected.
    pub peer: SocketAddr,
    /// The address it was sent to, where the socket tells it.
    pub local: Option<IpAddr>,
}

/// Whom a datagram is sent to, and from where.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Destination {
    /// The receiver.
    pub peer: SocketAddr,
    /// The address it leaves from; none: the one that the socket is bound to.
    pub local: Option<IpAddr>,
}

/// What became of datagrams that were to be sent.
#[derive(Debug)]
pub struct Sent {
    /// How many the kernel took.
    pub count: usize,
    /// Why it took no more, if it did not take all.
    pub error: Option<io::Error>,
}

impl Arena {
    /// Forgets what is in hand.
    pub fn clear(&mut self) {
        self.slots.clear();
    }

    /// Forgets datagram `first` and all behind it.
    pub fn forget(&mut self, first: usize) {
        self.slots.truncate(first);
    }

    /// How many are in hand.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether none is in hand.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// How many more fit.
    pub fn room(&self) -> usize {
        BATCH - self.slots.len()
    }

    /// Receives from a socket that is not connected, at most `most`, behind what is in hand;
    /// `WouldBlock` where nothing waits. Without room it takes none.
    pub fn receive_from(&mut self, socket: &UdpSocket, most: usize) -> io::Result<Range<usize>> {
        self.receive_all(socket, most, true)
    }

    /// As [`receive_from`](Self::receive_from), from a connected socket: nobody asks who sent it.
    pub fn receive(&mut self, socket: &UdpSocket, most: usize) -> io::Result<Range<usize>> {
        self.receive_all(socket, most, false)
    }

    fn receive_all(
        &mut self,
        socket: &UdpSocket,
        most: usize,
        with_peer: bool,
    ) -> io::Result<Range<usize>> {
        if self.bytes.is_empty() {
            self.bytes = vec![0; STRIDE * BATCH];
            self.calls = Calls::new();
        }
        let first = self.slots.len();
        let most = most.min(self.room());
        if most == 0 {
            return Ok(first..first);
        }
        let calls = &mut self.calls;
        let free = self.bytes.chunks_exact_mut(STRIDE).skip(first);
        let parts = free
            .zip(&mut calls.names)
            .zip(&mut calls.vectors)
            .zip(&mut calls.controls)
            .zip(&mut calls.headers);
        for ((((bytes, name), vector), control), header) in parts.take(most) {
            *header = empty_header();
            vector.iov_base = bytes.as_mut_ptr().cast();
            vector.iov_len = LONGEST;
            header.msg_hdr.msg_iov = vector;
            header.msg_hdr.msg_iovlen = 1;
            if with_peer {
                header.msg_hdr.msg_name = (&raw mut *name).cast();
                header.msg_hdr.msg_namelen = length_of(size_of::<libc::sockaddr_storage>());
                header.msg_hdr.msg_control = control.0.as_mut_ptr().cast();
                header.msg_hdr.msg_controllen = CONTROL;
            }
        }
        // SAFETY: the first `most` headers point to names, vectors, control buffers and parts of
        // the arena of the stated lengths, each used by one header, that outlive the call.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                calls.headers.as_mut_ptr(),
                length_of(most),
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
            )
        };
        let count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
        for (header, name) in calls.headers.iter().zip(&calls.names).take(count) {
            let local = if with_peer { read_local(&header.msg_hdr) } else { None };
            // Where the kernel wrote no name, there is one of an earlier call.
            let has_name = header.msg_hdr.msg_namelen > 0;
            let peer = if with_peer && has_name { read_name(name) } else { None };
            self.slots.push(Slot {
                length: (header.msg_len as usize).min(LONGEST),
                is_cut: header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0,
                peer: peer.map_or(NOBODY, without_flow),
                local: local.map(|(ip, _)| ip),
                interface: local.map_or(0, |(_, interface)| interface),
            });
        }
        Ok(first..self.slots.len())
    }

    /// Datagram `index` of those in hand.
    pub fn datagram(&self, index: usize) -> Option<Received<'_>> {
        let slot = self.slots.get(index)?;
        let bytes = self
            .bytes
            .get(index * STRIDE..)?
            .get(..slot.length)
            .unwrap_or_default();
        Some(Received { bytes, is_cut: slot.is_cut, peer: slot.peer, local: slot.local })
    }

    /// Says where datagram `index` goes when it is sent by [`send_to`](Self::send_to).
    pub fn address(&mut self, index: usize, destination: Destination) {
        if let Some(slot) = self.slots.get_mut(index) {
            (slot.peer, slot.local) = (destination.peer, destination.local);
        }
    }

    /// Sends datagrams on a connected socket, in their order, until one is not taken.
    pub fn send(&mut self, socket: &UdpSocket, range: Range<usize>) -> Sent {
        if let (1, Some(datagram)) = (range.len(), self.datagram(range.start)) {
            return match socket.send(datagram.bytes) {
                Ok(_) => Sent { count: 1, error: None },
                Err(error) => Sent { count: 0, error: Some(error) },
            };
        }
        self.send_all(socket, range, false)
    }

    /// Sends datagrams where [`address`](Self::address) said, in their order, until one is not
    /// taken.
    pub fn send_to(&mut self, socket: &UdpSocket, range: Range<usize>) -> Sent {
        self.send_all(socket, range, true)
    }

    fn send_all(&mut self, socket: &UdpSocket, range: Range<usize>, with_peer: bool) -> Sent {
        let mut count = 0;
        while count < range.len() {
            match self.send_some(socket, range.start + count..range.end, with_peer) {
                Ok(0) => break, // beyond what is in hand
                Ok(sent) => count += sent,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Sent { count, error: Some(error) },
            }
        }
        Sent { count, error: None }
    }

    fn send_some(
        &mut self,
        socket: &UdpSocket,
        range: Range<usize>,
        with_peer: bool,
    ) -> io::Result<usize> {
        let calls = &mut self.calls;
        let mut filled = 0;
        let slots = self.slots.get(range.clone()).unwrap_or_default().iter();
        let parts = slots
            .zip(self.bytes.chunks_exact(STRIDE).skip(range.start))
            .zip(&mut calls.names)
            .zip(&mut calls.vectors)
            .zip(&mut calls.controls)
            .zip(&mut calls.headers);
        for (((((slot, bytes), name), vector), control), header) in parts {
            *header = empty_header();
            // The kernel only reads what a header for sending points to.
            vector.iov_base = bytes.as_ptr().cast_mut().cast();
            vector.iov_len = slot.length;
            header.msg_hdr.msg_iov = vector;
            header.msg_hdr.msg_iovlen = 1;
            if with_peer {
                header.msg_hdr.msg_namelen = write_name(name, slot.peer);
                header.msg_hdr.msg_name = (&raw mut *name).cast();
                if let Some(local) = slot.local {
                    *control = Control([0; CONTROL]);
                    header.msg_hdr.msg_control = control.0.as_mut_ptr().cast();
                    header.msg_hdr.msg_controllen = CONTROL;
                    write_local(&mut header.msg_hdr, local, slot.interface);
                }
            }
            filled += 1;
        }
        // SAFETY: the first `filled` headers were filled above with pointers to buffers of the
        // stated lengths that outlive the call; the kernel only reads them.
        let sent = unsafe {
            libc::sendmmsg(
                socket.as_raw_fd(),
                calls.headers.as_mut_ptr(),
                length_of(filled),
                libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
            )
        };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    }
}

impl Calls {
    fn new() -> Self {
        // SAFETY: all-zero bytes are valid values of these plain C structures.
        let (name, vector) = unsafe { (zeroed(), zeroed()) };
        Self {
            names: vec![name; BATCH],
            vectors: vec![vector; BATCH],
            controls: vec![Control([0; CONTROL]); BATCH],
            headers: (0..BATCH).map(|_| empty_header()).collect(),
        }
    }
}

impl fmt::Debug for Arena {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arena")
            .field("slots", &self.slots)
            .finish_non_exhaustive()
    }
}

fn empty_header() -> libc::mmsghdr {
    // SAFETY: all-zero bytes are a valid value of this plain C structure.
    unsafe { zeroed() }
}

/// A flow label tells packets apart, not clients.
fn without_flow(mut peer: SocketAddr) -> SocketAddr {
    if let SocketAddr::V6(v6) = &mut peer {
        v6.set_flowinfo(0);
    }
    peer
}

const NOBODY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// No datagram is longer, whatever its family (65,507 octets over IPv4).
const LONGEST: usize = 65_535;

/// From one datagram to the next: a cache line more than needed, so that the beginnings of many
/// small datagrams do not fall on the same lines of the cache.
const STRIDE: usize = 65_600;

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn pair() -> (UdpSocket, UdpSocket) {
        let (server, client) = (bound("127.0.0.1:0"), bound("127.0.0.1:0"));
        client.connect(server.local_addr().unwrap()).unwrap();
        (server, client)
    }

    fn bound(address: &str) -> UdpSocket {
        let socket = UdpSocket::bind(address).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        socket
    }

    /// Waits for the first through a peek, which blocks no longer than the time-out.
    fn receive_from(arena: &mut Arena, socket: &UdpSocket) -> Range<usize> {
        socket.peek_from(&mut [0]).unwrap();
        arena.receive_from(socket, BATCH).unwrap()
    }

    #[test]
    fn datagrams_of_every_length_pass_unchanged_and_keep_their_borders() {
        let (server, client) = pair();
        let (far, near) = pair();
        let mut arena = Arena::default();
        for length in [0, 1, 1_472, 9_000, 65_507] {
            let datagram: Vec<u8> = (0..length)
                .map(|n: u32| n.to_le_bytes()[0] ^ n.to_le_bytes()[1])
                .collect();
            client.send(&datagram).unwrap();
            client.send(b"next").unwrap();
            arena.clear();
            while arena.len() < 2 {
                receive_from(&mut arena, &server);
            }
            let got = arena.datagram(0).unwrap();
            assert!(got.bytes == datagram && !got.is_cut, "{length}");
            assert_eq!(got.peer, client.local_addr().unwrap());
            let sent = arena.send(&near, 0..2);
            assert!(sent.error.is_none() && sent.count == 2, "{sent:?}");
            let mut buffer = vec![0; LONGEST];
            assert_eq!(far.recv(&mut buffer).unwrap(), datagram.len());
            assert!(buffer[..datagram.len()] == datagram, "{length}");
            assert_eq!(far.recv(&mut buffer).unwrap(), 4);
        }
    }

    #[test]
    fn a_full_arena_takes_no_more_until_it_is_cleared() {
        let (server, client) = pair();
        for number in 0..=32_u8 {
            client.send(&[number]).unwrap();
        }
        let mut arena = Arena::default();
        while arena.room() > 0 {
            receive_from(&mut arena, &server);
        }
        assert_eq!((arena.len(), arena.receive_from(&server, BATCH).unwrap()), (32, 32..32));
        assert!(arena.datagram(32).is_none());
        arena.clear();
        assert_eq!(receive_from(&mut arena, &server), 0..1);
        assert_eq!(arena.datagram(0).unwrap().bytes, [32]);
        let nothing = arena.receive_from(&server, BATCH).unwrap_err();
        assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn what_several_sockets_received_leaves_by_one() {
        let front = bound("127.0.0.1:0");
        let (one, to_one) = pair();
        let (two, to_two) = pair();
        let clients = [bound("127.0.0.1:0"), bound("127.0.0.1:0")];
        one.connect(to_one.local_addr().unwrap()).unwrap();
        two.connect(to_two.local_addr().unwrap()).unwrap();
        to_one.send(b"1").unwrap();
        to_two.send(b"2").unwrap();
        let mut arena = Arena::default();
        for socket in [&one, &two] {
            socket.peek(&mut [0]).unwrap();
            arena.receive(socket, 8).unwrap();
        }
        for (index, client) in clients.iter().enumerate() {
            let peer = client.local_addr().unwrap();
            arena.address(index, Destination { peer, local: None });
        }
        assert_eq!(arena.send_to(&front, 0..2).count, 2);
        for (client, want) in clients.iter().zip([b"1", b"2"]) {
            let mut buffer = [0; 4];
            let (length, peer) = client.recv_from(&mut buffer).unwrap();
            assert_eq!((&buffer[..length], peer), (&want[..], front.local_addr().unwrap()));
        }
    }

    #[test]
    fn a_wildcard_socket_answers_from_the_address_that_was_asked() {
        let server = bound("0.0.0.0:0");
        super::super::tell_local_address(&server).unwrap();
        let asked = SocketAddr::from(([127, 4, 5, 6], server.local_addr().unwrap().port()));
        let client = bound("127.0.0.1:0");
        client.connect(asked).unwrap();
        client.send(b"question").unwrap();
        let mut arena = Arena::default();
        receive_from(&mut arena, &server);
        let got = arena.datagram(0).unwrap();
        assert_eq!(got.local, Some(asked.ip()));
        let destination = Destination { peer: got.peer, local: got.local };
        arena.address(0, destination);
        assert_eq!(arena.send_to(&server, 0..1).count, 1);
        assert_eq!(client.recv(&mut [0; 16]).unwrap(), 8);
    }

    #[test]
    fn a_refused_datagram_is_told_and_those_before_it_are_counted() {
        let (server, client) = pair();
        let (gone, near) = pair();
        client.send(b"a").unwrap();
        let mut arena = Arena::default();
        receive_from(&mut arena, &server);
        drop(gone);
        let first = arena.send(&near, 0..1);
        let second = arena.send(&near, 0..1);
        assert_eq!((first.count, second.count), (1, 0));
        assert_eq!(second.error.unwrap().kind(), io::ErrorKind::ConnectionRefused);
    }
}
