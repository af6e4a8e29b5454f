//! One TCP connection through a front.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use portico_net::copy::{Cut, Progress, relay, reset};
use portico_net::limit::is_exhausted;
use portico_net::stream::StreamOptions;
use tokio::net::TcpStream;
use tracing::debug;

use super::{Worker, preface};
use crate::upstream::{Caller, DialError, Fault, Open, Port, Refusal, Upstream, Way};
use crate::view::Admission;

/// The addresses of a flow, as its client sees them.
#[derive(Clone, Copy, Debug)]
struct Flow {
    client: SocketAddr,
    destination: SocketAddr,
}

impl Worker {
    /// Carries one connection that came in at `front` until both sides have ended. Without an
    /// endpoint that answers, it is reset at once (`services 4.2`). One that should get no answer has
    /// had one from the kernel before it is seen here, so it is reset as well.
    pub(crate) async fn serve(
        &self,
        mut downstream: TcpStream,
        peer: SocketAddr,
        front: SocketAddr,
    ) {
        let Some((mut admission, patience)) = self.admit(front, peer.ip()) else {
            return reset(&downstream);
        };
        admission.port.state.connections.0.fetch_add(1, Relaxed);
        let mut flow = Flow { client: peer, destination: front };
        if admission.port.traffic().proxy_protocol.accepts {
            match preface::take(&mut downstream, self.trusts(peer.ip())).await {
                Ok(Some(header)) => {
                    flow = Flow { client: header.source, destination: header.destination };
                }
                Ok(None) => {}
                Err(error) => {
                    debug!(%peer, port = %admission.port.state.id, %error, "no PROXY header");
                    admission.port.state.unproxied.fetch_add(1, Relaxed);
                    return reset(&downstream);
                }
            }
            // For the client that the header names, and by the view of now.
            match self.admit(front, flow.client.ip()) {
                Some((anew, _)) => admission = anew,
                None => return reset(&downstream),
            }
        }
        let Admission { port, way } = admission;
        let state = &port.state;
        let Some(_open) = port.open_connection() else {
            state.over_limit.fetch_add(1, Relaxed);
            return reset(&downstream);
        };
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
        let Some((upstream, stream, open)) = connect(&port, way, &flow, self.stream).await else {
            state.rejected.fetch_add(1, Relaxed);
            return reset(&downstream);
        };
        state.active.0.fetch_add(1, Relaxed);
        let ended = relay(downstream, stream, patience, |progress| match progress {
            Progress::Answered => open.answered(),
            Progress::Carried { received, sent } => {
                state.bytes_received.0.fetch_add(received, Relaxed);
                state.bytes_sent.0.fetch_add(sent, Relaxed);
            }
        });
        if let Err(cut) = ended.await {
            debug!(port = %state.id, endpoint = %upstream.address, %cut, "ended in a reset");
            if let Cut::Upstream { is_unanswered: true, .. } = cut {
                let caller = Caller { client: flow.client.ip(), now: Instant::now() };
                port.failed((Some(way), caller), upstream, Fault::Break, caller.now);
            }
        }
        state.active.0.fetch_sub(1, Relaxed);
        drop(open);
    }
}

/// The first endpoint of the set that answers, in turn; each is tried once, before any byte is carried.
async fn connect<'a>(
    port: &'a Port,
    way: Way,
    flow: &Flow,
    options: StreamOptions,
) -> Option<(&'a Upstream, TcpStream, Open)> {
    let mut caller = Caller { client: flow.client.ip(), now: Instant::now() };
    for upstream in port.choose_from(way, caller) {
        // It counts from the dial on: whoever chooses meanwhile shall know.
        let open = upstream.open();
        let dial = dial(port, upstream.address, flow, options);
        let dialed = tokio::time::timeout(CONNECT_TIMEOUT, dial).await;
        let took = caller.now.elapsed();
        let why = match dialed {
            Ok(Ok(stream)) => {
                port.connected(caller, upstream, took);
                return Some((upstream, stream, open));
            }
            Ok(Err(error)) if is_exhausted(&error) => {
                // No other endpoint would fare better, and none is to blame.
                debug!(%error, "no descriptor to dial");
                port.undialed(DialError::Local);
                return None;
            }
            Ok(Err(error)) => {
                debug!(endpoint = %upstream.address, %error, "dial failed");
                DialError::of(&error)
            }
            Err(_) => {
                debug!(endpoint = %upstream.address, "dial timed out");
                DialError::Timeout
            }
        };
        caller.now += took;
        port.failed((Some(way), caller), upstream, Fault::Dial(why), caller.now);
    }
    None
}

/// Opens a connection to one endpoint, and says for whom where the Service asks for that.
async fn dial(
    port: &Port,
    endpoint: SocketAddr,
    flow: &Flow,
    options: StreamOptions,
) -> io::Result<TcpStream> {
    let mut stream = options.dial(endpoint).await?;
    if let Some(version) = port.traffic().proxy_protocol.sends {
        preface::send(&mut stream, (flow.client, flow.destination), version).await?;
    }
    Ok(stream)
}

/// For each endpoint (`reliability 4`).
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
