//! One TCP connection through a front.

use std::net::SocketAddr;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use portico_net::copy::{relay, reset};
use portico_net::stream::StreamOptions;
use tokio::net::TcpStream;
use tracing::debug;

use super::Worker;
use crate::upstream::{Port, Refusal, Way};
use crate::view::Admission;

impl Worker {
    /// Carries one connection that came in at `front` until both sides have ended. Without an
    /// endpoint that answers, it is reset at once (`services 4.2`). One that should get no answer has
    /// had one from the kernel before it is seen here, so it is reset as well.
    pub(crate) async fn serve(&self, downstream: TcpStream, peer: SocketAddr, front: SocketAddr) {
        let Some((Admission { port, way }, patience)) = self.admit(front, peer.ip()) else {
            return reset(&downstream);
        };
        let state = &port.state;
        state.connections.0.fetch_add(1, Relaxed);
        let way = match way {
            Ok(way) => way,
            Err(refusal) => {
                let counter = match refusal {
                    Refusal::Reject => &state.rejected,
                    Refusal::Drop => &state.dropped,
                };
                counter.fetch_add(1, Relaxed);
                return reset(&downstream);
            }
        };
        let Some(upstream) = connect(&port, way, self.stream).await else {
            state.rejected.fetch_add(1, Relaxed);
            return reset(&downstream);
        };
        state.active.0.fetch_add(1, Relaxed);
        let ended = relay(downstream, upstream, patience, |received, sent| {
            state.bytes_received.0.fetch_add(received, Relaxed);
            state.bytes_sent.0.fetch_add(sent, Relaxed);
        });
        if let Err(error) = ended.await {
            debug!(port = %state.id, %error, "connection ended in a reset");
        }
        state.active.0.fetch_sub(1, Relaxed);
    }
}

/// The first endpoint of the set that answers, in turn; each is tried once, before any byte is carried.
async fn connect(port: &Port, way: Way, options: StreamOptions) -> Option<TcpStream> {
    for upstream in port.choose_from(way) {
        match tokio::time::timeout(CONNECT_TIMEOUT, options.dial(upstream.address)).await {
            Ok(Ok(stream)) => return Some(stream),
            Ok(Err(error)) => debug!(endpoint = %upstream.address, %error, "dial failed"),
            Err(_) => debug!(endpoint = %upstream.address, "dial timed out"),
        }
        port.state.connect_failures.fetch_add(1, Relaxed);
    }
    None
}

/// For each endpoint (`reliability 4`).
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
