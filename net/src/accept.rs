//! Accepting connections without ever spinning or giving up (`reliability 3.1`).
//!
//! Out of descriptors or memory: the listener pauses, 10 ms doubling to 1 s; the log hears of it
//! once a second at most, whichever listener it was. A connection that was aborted before it was
//! accepted costs nothing. At most [`BURST`] accepts before others may run. Who must be reachable
//! even then has a [`Reserve`].

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};
use tracing::warn;

use crate::limit::{Reserve, is_exhausted};

/// Accepts until `stop` resolves, then what is already queued, and hands each connection to
/// `serve`, which spawns. While `serve` waits, for a place under a limit, nothing is accepted.
pub async fn accept_loop(
    listener: TcpListener,
    stop: impl Future<Output = ()>,
    serve: impl AsyncFnMut(TcpStream, SocketAddr),
) {
    accept_with(listener, Reserve::default(), stop, serve).await;
}

/// As [`accept_loop`]; where no descriptor is left it gives one of `reserve` up for the connection
/// that waits, before it pauses.
pub async fn accept_with(
    listener: TcpListener,
    mut reserve: Reserve,
    stop: impl Future<Output = ()>,
    mut serve: impl AsyncFnMut(TcpStream, SocketAddr),
) {
    tokio::pin!(stop);
    let mut pause = FIRST_PAUSE;
    let mut burst = 0;
    loop {
        reserve.refill();
        let accepted = tokio::select! {
            biased;
            () = &mut stop => break,
            accepted = listener.accept() => accepted,
        };
        // Another listener may be faster than this one: it tries as often as it has something to give.
        let accepted = match accepted {
            Err(error) if is_exhausted(&error) => accept_spending(&listener, &mut reserve, error),
            accepted => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                pause = FIRST_PAUSE;
                serve(stream, peer).await;
                burst += 1;
                if burst >= BURST {
                    burst = 0;
                    tokio::task::yield_now().await;
                }
            }
            Err(error) if is_transient(&error) => {}
            Err(error) => {
                note_pause(&error, pause);
                tokio::select! {
                    () = &mut stop => break,
                    () = tokio::time::sleep(pause) => {}
                }
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
    // Handshakes that the kernel finished would be reset by the close: take them first.
    while let Some((stream, peer)) = queued(&listener) {
        serve(stream, peer).await;
    }
}

/// How often a listener of this process paused for want of descriptors or memory. One number for
/// the process, as its descriptors are.
pub fn pauses() -> u64 {
    PAUSES.load(Ordering::Relaxed)
}

/// Tries again with one descriptor more, as long as there is one to give up.
fn accept_spending(
    listener: &TcpListener,
    reserve: &mut Reserve,
    mut error: io::Error,
) -> io::Result<(TcpStream, SocketAddr)> {
    while is_exhausted(&error) && reserve.spend() {
        match try_accept(listener) {
            Ok(accepted) => return Ok(accepted),
            Err(next) => error = next,
        }
    }
    Err(error)
}

/// The next connection that waits, if any.
fn queued(listener: &TcpListener) -> Option<(TcpStream, SocketAddr)> {
    loop {
        match try_accept(listener) {
            Ok(accepted) => return Some(accepted),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
            Err(error) if is_transient(&error) => {}
            Err(_) => return None,
        }
    }
}

fn try_accept(listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
    let (socket, peer) = socket2::SockRef::from(listener).accept()?;
    socket.set_nonblocking(true)?;
    let peer = peer.as_socket().ok_or(io::ErrorKind::ConnectionAborted)?;
    Ok((TcpStream::from_std(socket.into())?, peer))
}

/// Counts a pause, and logs it where none was within the last second.
fn note_pause(error: &io::Error, pause: Duration) {
    static BEGIN: OnceLock<Instant> = OnceLock::new();
    static TOLD_SECOND: AtomicU64 = AtomicU64::new(0);
    PAUSES.fetch_add(1, Ordering::Relaxed);
    let second = BEGIN.get_or_init(Instant::now).elapsed().as_secs() + 1;
    if TOLD_SECOND.swap(second, Ordering::Relaxed) != second {
        warn!(%error, pause_ms = pause.as_millis(), pauses = pauses(), "accepting paused");
    }
}

fn is_transient(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::Interrupted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::WouldBlock
    )
}

static PAUSES: AtomicU64 = AtomicU64::new(0);
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// Accepts in a row before the worker turns to others.
const BURST: u32 = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[tokio::test]
    async fn what_is_queued_at_the_stop_is_still_served() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut clients: Vec<_> = (0..3)
            .map(|_| std::net::TcpStream::connect(address).unwrap())
            .collect();
        let mut served = Vec::new();
        accept_loop(listener, std::future::ready(()), async |stream, _| served.push(stream)).await;
        assert_eq!(served.len(), 3);
        drop(served);
        for client in &mut clients {
            assert_eq!(
                client.read(&mut [0]).unwrap(),
                0,
                "http-proxy 8.6: closed in order, not reset"
            );
        }
    }
}
