//! The PROXY header before a connection: the one that a front requires, and the one that an endpoint
//! is sent.
//!
//! What it says of the client is what policies, source ranges and the choice of an endpoint see, as
//! if the client had come itself. Invariants: only a trusted peer is listened to, and for
//! [`DEADLINE`] at most; where a header is required nothing is carried without one.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use portico_config::model::ProxyVersion;
use portico_net::proxy_protocol::{Header, Preface, Version, encode, receive};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// For whom a connection stands that must begin with a header; none: for its peer itself.
pub(crate) async fn take(stream: &mut TcpStream, is_trusted: bool) -> io::Result<Option<Header>> {
    if !is_trusted {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "no trusted proxy"));
    }
    match tokio::time::timeout(DEADLINE, receive(stream)).await?? {
        Preface::Proxied(header) => Ok(Some(header)),
        Preface::Local => Ok(None),
    }
}

/// Tells an endpoint which client a connection stands for.
pub(super) async fn send(
    stream: &mut TcpStream,
    (source, destination): (SocketAddr, SocketAddr),
    version: ProxyVersion,
) -> io::Result<()> {
    let version = match version {
        ProxyVersion::V1 => Version::V1,
        ProxyVersion::V2 => Version::V2,
    };
    stream
        .write_all(&encode(&Header { source, destination }, version))
        .await
}

/// How long a header may take.
const DEADLINE: Duration = Duration::from_secs(5);
