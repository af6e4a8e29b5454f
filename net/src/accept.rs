//! Accepting connections without ever spinning or giving up (`reliability 3.1`).
//!
//! Out of descriptors or memory: the listener pauses, 10 ms doubling to 1 s. A connection that was
//! aborted before it was accepted costs nothing. At most [`BURST`] accepts before others may run.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tracing::warn;

/// Accepts until `stop` resolves, then what is already queued, and hands each connection to
/// `serve`, which spawns. While `serve` waits, for a place under a limit, nothing is accepted.
pub async fn accept_loop(
    listener: TcpListener,
    stop: impl Future<Output = ()>,
    mut serve: impl AsyncFnMut(TcpStream, SocketAddr),
) {
    tokio::pin!(stop);
    let mut pause = FIRST_PAUSE;
    let mut burst = 0;
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut stop => break,
            accepted = listener.accept() => accepted,
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
                warn!(%error, pause_ms = pause.as_millis(), "accepting paused");
                tokio::select! {
                    () = &mut stop => break,
                    () = tokio::time::sleep(pause) => {}
                }
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
    // Handshakes that the kernel finished would be reset by the close: take them first.
    if let Ok(listener) = listener.into_std() {
        while let Ok((stream, peer)) = listener.accept() {
            let ready = stream
                .set_nonblocking(true)
                .and_then(|()| TcpStream::from_std(stream));
            if let Ok(stream) = ready {
                serve(stream, peer).await;
            }
        }
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
            assert_eq!(client.read(&mut [0]).unwrap(), 0, "closed in order, not reset");
        }
    }
}
