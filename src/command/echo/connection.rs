//! A listener of the echo server and its connections: what each is taken for, and how it ends.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsFd;
use std::rc::Rc;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error};

use super::http::{self, Peer, Shared};
use super::secure::Seen;
use super::{Serves, grpc, lines};

/// What a listener takes its connections for.
#[derive(Clone)]
pub(super) enum Way {
    Plain,
    PriorKnowledge,
    Tls(TlsAcceptor),
}

/// Serves the connections of one listener until `stop`.
pub(super) async fn accept(
    socket: TcpListener,
    shared: Rc<Shared>,
    way: Way,
    stop: CancellationToken,
) {
    let listener = match tokio::net::TcpListener::from_std(socket) {
        Ok(listener) => listener,
        Err(error) => return error!(%error, "a bound socket cannot be used"),
    };
    let ended = stop.clone().cancelled_owned();
    portico_net::accept::accept_loop(listener, ended, async |stream, peer| {
        let (inside, stop, way) = (Rc::clone(&shared), stop.clone(), way.clone());
        shared.tasks.spawn_local(async move {
            let _ = stream.set_nodelay(true);
            tokio::select! {
                () = connection(stream, peer, inside, way) => {}
                () = stop.cancelled() => {}
            }
        });
    })
    .await;
}

async fn connection(stream: TcpStream, address: SocketAddr, shared: Rc<Shared>, way: Way) {
    // A handle of its own: the connection may have to be reset under whoever serves it.
    let Ok(socket) = stream.as_fd().try_clone_to_owned() else { return };
    let ended = match way {
        Way::Plain => serve(stream, address, shared, None).await,
        Way::PriorKnowledge => {
            let http2 = is_http2(&stream).await;
            let peer = Peer { shared, address, tls: None, h2c_alone: true, reset: Notify::new() };
            http::serve(stream, Rc::new(peer), http2).await
        }
        Way::Tls(acceptor) => match acceptor.accept(stream).await {
            Ok(stream) => {
                let seen = Seen::of(stream.get_ref().1);
                serve(stream, address, shared, Some(seen)).await
            }
            Err(error) => return debug!(%address, %error, "TLS handshake failed"),
        },
    };
    if !ended {
        let _ = SockRef::from(&socket).set_linger(Some(Duration::ZERO));
    }
}

/// Serves a connection; false: it is to be reset.
async fn serve<S>(stream: S, address: SocketAddr, shared: Rc<Shared>, tls: Option<Seen>) -> bool
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    match shared.options.serves {
        Serves::Http => {
            let http2 = tls.as_ref().is_some_and(|seen| seen.protocol == "h2");
            let peer = Peer { shared, address, tls, h2c_alone: false, reset: Notify::new() };
            return http::serve(stream, Rc::new(peer), http2).await;
        }
        Serves::Grpc => grpc::serve(stream, address, shared, tls).await,
        Serves::Lines => {
            let result = lines::serve(stream, shared, tls).await;
            debug!(%address, ?result, "answered lines");
        }
        Serves::Bytes | Serves::Datagrams => {
            let (mut reader, mut writer) = tokio::io::split(stream);
            let result = tokio::io::copy(&mut reader, &mut writer).await;
            debug!(%address, ?result, "echoed bytes");
        }
    }
    true
}

/// Whether a connection begins like HTTP/2: no method of HTTP/1.1 begins so.
async fn is_http2(stream: &TcpStream) -> bool {
    let mut begin = [0; 3];
    loop {
        match stream.peek(&mut begin).await {
            Ok(3..) => return &begin == b"PRI",
            Ok(1..) => tokio::time::sleep(PAUSE).await,
            Ok(0) | Err(_) => return false,
        }
    }
}

/// Until more of the first bytes have come.
const PAUSE: Duration = Duration::from_millis(1);
