//! Many sockets, one place to wait for all of them.
//!
//! A set of its own inside the runtime's: a socket costs no task, no timer and no memory of ours,
//! and one system call says which of them have something. Level-triggered: a socket that was not
//! read to its end is named again. Invariants: at most [`MOST`] at a time, so that the others of
//! the thread have their turn; a socket leaves the set when it is closed.
#![allow(unsafe_code, reason = "no dependency has a safe epoll")]

use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Sockets under a number each, to wait for.
#[derive(Debug)]
pub struct ReadySet {
    epoll: AsyncFd<OwnedFd>,
}

impl ReadySet {
    /// An empty set; called on the runtime that will wait for it. Fails without a descriptor.
    pub fn new() -> io::Result<Self> {
        // SAFETY: the call takes no pointer; its result is checked before it is used.
        let descriptor = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if descriptor < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor was just opened, and nobody else owns it.
        let epoll = unsafe { OwnedFd::from_raw_fd(descriptor) };
        // SAFETY: the descriptor belongs to the registration from here on, and closes with it.
        let epoll = unsafe { AsyncFd::register_with_interest(epoll, Interest::READABLE) };
        Ok(Self { epoll: epoll.map_err(io::Error::from)? })
    }

    /// Adds a socket, named by `token` from now on until it is closed.
    pub fn add(&self, socket: &impl AsFd, token: u64) -> io::Result<()> {
        let events = u32::try_from(libc::EPOLLIN).unwrap_or_default();
        let mut event = libc::epoll_event { events, u64: token };
        // SAFETY: both descriptors are open during the call, and `event` is a valid event that the
        // kernel copies.
        let result = unsafe {
            libc::epoll_ctl(
                self.epoll.as_raw_fd(),
                libc::EPOLL_CTL_ADD,
                socket.as_fd().as_raw_fd(),
                &raw mut event,
            )
        };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Waits until a socket has something to read or an error to tell, and puts the tokens of
    /// those that do into `tokens`, which it empties first.
    pub async fn wait(&self, tokens: &mut Vec<u64>) -> io::Result<()> {
        let look = |epoll: &OwnedFd| look(epoll, tokens);
        self.epoll.async_io(Interest::READABLE, look).await
    }
}

/// Which sockets are ready now; `WouldBlock` where none is.
fn look(epoll: &OwnedFd, tokens: &mut Vec<u64>) -> io::Result<()> {
    let mut events = [libc::epoll_event { events: 0, u64: 0 }; MOST];
    let most = libc::c_int::try_from(MOST).unwrap_or(1);
    // SAFETY: the descriptor is open during the call, which writes at most `most` events into an
    // array of that many.
    let count = unsafe { libc::epoll_wait(epoll.as_raw_fd(), events.as_mut_ptr(), most, 0) };
    tokens.clear();
    match usize::try_from(count) {
        Err(_) => Err(io::Error::last_os_error()),
        Ok(0) => Err(io::ErrorKind::WouldBlock.into()),
        Ok(count) => {
            tokens.extend(events.iter().take(count).map(|event| event.u64));
            Ok(())
        }
    }
}

/// Sockets named at one time.
pub const MOST: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    fn socket() -> UdpSocket {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        socket
    }

    fn poke(socket: &UdpSocket) {
        let other = UdpSocket::bind("127.0.0.1:0").unwrap();
        other.send_to(b"x", socket.local_addr().unwrap()).unwrap();
    }

    #[tokio::test]
    async fn a_socket_is_named_until_it_is_read_and_again_when_more_comes() {
        let set = ReadySet::new().unwrap();
        let sockets = [socket(), socket(), socket()];
        for (token, socket) in (7..).zip(&sockets) {
            set.add(socket, token).unwrap();
        }
        let mut tokens = Vec::new();
        for _ in 0..3 {
            poke(&sockets[2]);
            set.wait(&mut tokens).await.unwrap();
            assert_eq!(tokens, [9]);
            poke(&sockets[0]);
            set.wait(&mut tokens).await.unwrap();
            tokens.sort_unstable();
            assert_eq!(tokens, [7, 9]);
            for socket in [&sockets[0], &sockets[2]] {
                socket.recv(&mut [0]).unwrap();
            }
            let nothing = std::time::Duration::from_millis(1);
            let waited = tokio::time::timeout(nothing, set.wait(&mut tokens)).await;
            assert!(waited.is_err(), "{tokens:?}");
        }
    }

    #[tokio::test]
    async fn a_socket_that_is_closed_is_not_named_any_more() {
        let set = ReadySet::new().unwrap();
        let (stays, goes) = (socket(), socket());
        set.add(&stays, 1).unwrap();
        set.add(&goes, 2).unwrap();
        poke(&goes);
        drop(goes);
        poke(&stays);
        let mut tokens = Vec::new();
        set.wait(&mut tokens).await.unwrap();
        assert_eq!(tokens, [1]);
    }
}
