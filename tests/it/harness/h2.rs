//! A server that speaks HTTP/2 alone, plain or in TLS, and gRPC's health protocol over it.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;

use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::{Builder, LocalOptions};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// What is answered; trailers only where there is a body or a trailer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Vec<(&'static str, &'static str)>,
}

/// A running server; it ends with this value.
pub(crate) struct Server {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

/// What answers a request with its body.
type Answers = dyn Fn(&Request<()>, &[u8]) -> Answer;

impl Server {
    /// Answers every request, in TLS where there is a configuration for it.
    pub(crate) fn serve(
        tls: Option<Arc<ServerConfig>>,
        answers: impl Fn(&Request<()>, &[u8]) -> Answer + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener
            .local_addr()
            .expect("a bound socket has an address");
        listener.set_nonblocking(true).expect("a TCP socket");
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            let runtime = Builder::new_current_thread()
                .enable_all()
                .build_local(LocalOptions::default())
                .expect("a runtime");
            let answers: Rc<Answers> = Rc::new(answers);
            runtime.block_on(async {
                tokio::select! {
                    () = stopped.cancelled() => {}
                    () = accept(listener, tls.map(TlsAcceptor::from), answers) => {}
                }
            });
        });
        Self { address, stop, thread: Some(thread) }
    }

    /// `grpc.health.v1`: the status of each service, by its name; none for one that it does not know.
    pub(crate) fn health(status: impl Fn(&str) -> Option<u8> + Send + 'static) -> Self {
        Self::serve(None, move |request, body| {
            let is_asked = request.uri().path() == "/grpc.health.v1.Health/Check"
                && request.method() == http::Method::POST
                && request.headers()["content-type"] == "application/grpc"
                && request.headers()["te"] == "trailers";
            // A frame, and in it field 1 where the name is not empty.
            let name = body.get(7..).unwrap_or_default();
            let name = String::from_utf8_lossy(name);
            match status(&name).filter(|_| is_asked) {
                Some(status) => Answer {
                    status: 200,
                    body: vec![0, 0, 0, 0, 2, 8, status],
                    trailers: vec![("grpc-status", "0")],
                },
                None => Answer {
                    status: 200,
                    body: Vec::new(),
                    trailers: vec![("grpc-status", "5"), ("grpc-message", "unknown service")],
                },
            }
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, answers: Rc<Answers>) {
    let listener = tokio::net::TcpListener::from_std(listener).expect("a listener of this thread");
    while let Ok((stream, _)) = listener.accept().await {
        let (tls, answers) = (tls.clone(), Rc::clone(&answers));
        tokio::task::spawn_local(async move {
            match tls {
                None => converse(stream, &*answers).await,
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        converse(stream, &*answers).await;
                    }
                }
            }
        });
    }
}

/// Answers one request after the other until the client has had enough.
async fn converse(stream: impl AsyncRead + AsyncWrite + Unpin, answers: &Answers) {
    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        let (head, mut body) = request.into_parts();
        let mut read = Vec::new();
        // A body comes while the connection is being driven, which `accept` does.
        while !body.is_end_stream() {
            tokio::select! {
                data = body.data() => match data {
                    Some(Ok(data)) => read.extend_from_slice(&data),
                    _ => break,
                },
                next = connection.accept() => drop(next),
            }
        }
        let answer = answers(&Request::from_parts(head, ()), &read);
        let mut response = Response::new(());
        *response.status_mut() = answer.status.try_into().expect("a status");
        let headers = response.headers_mut();
        headers.insert("content-type", HeaderValue::from_static("application/grpc"));
        let Ok(mut sending) = respond.send_response(response, false) else { return };
        let mut trailers = HeaderMap::new();
        for (name, value) in answer.trailers {
            trailers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let _ = sending.send_data(answer.body.into(), trailers.is_empty());
        if !trailers.is_empty() {
            let _ = sending.send_trailers(trailers);
        }
    }
}
