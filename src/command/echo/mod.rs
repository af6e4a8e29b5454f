//! `portico echo`: a backend that answers what it was asked, to stand in for a pod.
//!
//! The HTTP/1.1 part of the echo protocol of Gateway API's conformance tests (`ingress 4`): JSON
//! body, `/health`, `/status/NNN`, `?delay=`, `X-Echo-Set-Header`; with `tcp`, bytes come back as
//! they are. It runs on a thread of its own and ends with its [`EchoServer`], so that the demo and
//! the tests use it in their process. WebSocket and `/retry` are not here yet.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::service::service_fn;
use portico_config::model::parse_duration;
use serde_json::json;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, info};

use super::say;
use crate::cli::EchoArgs;
use crate::exit::Exit;
use crate::http_io::HttpIo;
use crate::signal::{Event, Signals};

/// What an echo server is told.
#[derive(Clone, Debug)]
pub struct EchoOptions {
    /// Where to listen; port 0 lets the kernel choose.
    pub listen: SocketAddr,
    /// The pod's name in answers.
    pub name: String,
    /// The namespace in answers.
    pub namespace: String,
    /// The Service in answers.
    pub service: String,
    /// The Ingress in answers.
    pub ingress: String,
    /// Bytes instead of HTTP.
    pub tcp: bool,
}

/// A running echo server; it ends when dropped, with every connection.
#[derive(Debug)]
pub struct EchoServer {
    /// Where it really listens.
    pub address: SocketAddr,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl Drop for EchoServer {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Runs the command.
pub(super) fn echo(arguments: &EchoArgs) -> anyhow::Result<Exit> {
    let default = SocketAddr::from((Ipv4Addr::LOCALHOST, arguments.http_port));
    let mut signals = Signals::new().context("take over signals")?;
    let server = start(EchoOptions {
        listen: arguments.listen.unwrap_or(default),
        name: arguments.name.clone(),
        namespace: arguments.namespace.clone(),
        service: arguments.service.clone(),
        ingress: arguments.ingress.clone(),
        tcp: arguments.tcp,
    })?;
    say(&format!("listening: echo {}/tcp", server.address));
    while !matches!(signals.wait(&server.stop), Event::End(_) | Event::Failed) {}
    Ok(Exit::Fine)
}

/// Starts a server; fails where its address cannot be bound.
pub fn start(options: EchoOptions) -> anyhow::Result<EchoServer> {
    let mut sockets = portico_net::bind::tcp(options.listen, 1)?;
    let socket = sockets.pop().context("one socket was asked for")?;
    let address = socket.local_addr()?;
    let stop = CancellationToken::new();
    let ended = stop.clone();
    let thread = std::thread::Builder::new()
        .name("portico-echo".to_owned())
        .spawn(move || {
            if let Err(error) = serve(socket, options, address, &ended) {
                tracing::error!(%error, "the echo server ended");
            }
            ended.cancel();
        })?;
    Ok(EchoServer { address, stop, thread: Some(thread) })
}

fn serve(
    socket: std::net::TcpListener,
    options: EchoOptions,
    address: SocketAddr,
    stop: &CancellationToken,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(tokio::runtime::LocalOptions::default())?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(socket)?;
        let (options, tracker) = (Rc::new(options), TaskTracker::new());
        let ended = stop.clone().cancelled_owned();
        portico_net::accept::accept_loop(listener, ended, async |stream, peer| {
            let options = Rc::clone(&options);
            let stop = stop.clone();
            tracker.spawn_local(async move {
                let _ = stream.set_nodelay(true);
                tokio::select! {
                    () = connection(stream, peer, &options, address.port()) => {}
                    () = stop.cancelled() => {}
                }
            });
        })
        .await;
        Ok(())
    })
}

async fn connection(mut stream: TcpStream, peer: SocketAddr, options: &EchoOptions, port: u16) {
    if options.tcp {
        let (mut reader, mut writer) = stream.split();
        let result = tokio::io::copy(&mut reader, &mut writer).await;
        return debug!(%peer, ?result, "echoed bytes");
    }
    let io = HttpIo { stream: Arc::new(stream) };
    let service = service_fn(|mut request: Request<hyper::body::Incoming>| async move {
        // The body is read to its end, so that the connection can be used again.
        while let Some(Ok(_)) = request.body_mut().frame().await {}
        let path = request.uri().path().replace("//", "/");
        if path != "/health" && !path.starts_with("/status/") {
            info!("Echoing back request made to {} to client ({peer})", request.uri());
        }
        match delay(request.uri().query().unwrap_or_default()) {
            Ok(delay) => tokio::time::sleep(delay).await,
            Err(message) => return Ok(plain(500, json!({ "message": message }).to_string())),
        }
        Ok::<_, Infallible>(answer(&request, options, port))
    });
    let result = hyper::server::conn::http1::Builder::new()
        .half_close(true)
        .serve_connection(io, service)
        .await;
    debug!(%peer, ?result, "echo connection ended");
}

/// `delay=` of the query.
fn delay(query: &str) -> Result<Duration, String> {
    let value = query
        .split('&')
        .find_map(|pair| pair.strip_prefix("delay="));
    value.map_or(Ok(Duration::ZERO), parse_duration)
}

/// The answer to one request, its body aside.
fn answer<B>(request: &Request<B>, options: &EchoOptions, port: u16) -> Response<Full<Bytes>> {
    let target = request
        .uri()
        .path_and_query()
        .map_or("/", |target| target.as_str());
    let path = request.uri().path().replace("//", "/");
    if path == "/health" {
        return plain(200, "OK".to_owned());
    }
    if path.starts_with("/status/") {
        let code = target
            .strip_prefix("/status/")
            .and_then(|code| code.parse().ok());
        return match code {
            Some(code @ 200..=999) => plain(code, String::new()),
            _ => plain(400, String::new()),
        };
    }
    let mut headers: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in request.headers().iter().filter(|(name, _)| *name != HOST) {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        headers
            .entry(canonical(name.as_str()))
            .or_default()
            .push(value);
    }
    let host = request.headers().get(HOST).map(HeaderValue::as_bytes);
    let body = json!({
        "path": target,
        "host": String::from_utf8_lossy(host.unwrap_or_default()),
        "method": request.method().as_str(),
        "proto": format!("{:?}", request.version()),
        "headers": headers,
        "httpPort": port.to_string(),
        "namespace": options.namespace,
        "ingress": options.ingress,
        "service": options.service,
        "pod": options.name,
    });
    let mut response = plain(200, format!("{body:#}\n"));
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    set_headers(request.headers(), response.headers_mut());
    response
}

/// `X-Echo-Set-Header: Name:value,Name2:value2`.
fn set_headers(asked: &HeaderMap, set: &mut HeaderMap) {
    for line in asked.get_all("x-echo-set-header") {
        for pair in line.to_str().unwrap_or_default().split(',') {
            let pair = pair.trim();
            let (name, value) = pair.split_once(':').unwrap_or((pair, ""));
            if let (Ok(name), Ok(value)) =
                (name.parse::<HeaderName>(), HeaderValue::from_str(value.trim()))
            {
                set.append(name, value);
            }
        }
    }
}

/// Go's canonical form: `x-forwarded-for` is `X-Forwarded-For`.
fn canonical(name: &str) -> String {
    let mut upper = true;
    name.chars()
        .map(|character| {
            let now = if upper { character.to_ascii_uppercase() } else { character };
            upper = character == '-';
            now
        })
        .collect()
}

fn plain(status: u16, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
    response
        .headers_mut()
        .insert(http::header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> EchoOptions {
        EchoOptions {
            listen: "127.0.0.1:0".parse().unwrap(),
            name: "wp-1".to_owned(),
            namespace: "default".to_owned(),
            service: "mi-wp".to_owned(),
            ingress: String::new(),
            tcp: false,
        }
    }

    #[test]
    fn a_status_path_is_exactly_that() {
        for (target, want) in
            [("/status/503", 503), ("/status/503?a", 400), ("/status/x", 400), ("/health", 200)]
        {
            let request = Request::get(target).body(()).unwrap();
            assert_eq!(answer(&request, &options(), 1).status(), want, "{target}");
        }
    }

    #[test]
    fn headers_are_listed_in_canonical_form_and_set_on_request() {
        assert_eq!(canonical("x-forwarded-for"), "X-Forwarded-For");
        let request = Request::get("/a?b")
            .header("x-echo-set-header", "X-A:1, X-B:2")
            .body(())
            .unwrap();
        let response = answer(&request, &options(), 1);
        assert_eq!(response.headers()["x-a"], "1");
        assert_eq!(response.headers()["x-b"], "2");
    }

    #[test]
    fn bytes_come_back_as_they_are() {
        use std::io::{Read, Write};
        let server = start(EchoOptions { tcp: true, ..options() }).unwrap();
        let mut client = std::net::TcpStream::connect(server.address).unwrap();
        client.write_all(b"SELECT 1\n").unwrap();
        let mut back = [0; 9];
        client.read_exact(&mut back).unwrap();
        assert_eq!(&back, b"SELECT 1\n");
    }
}
