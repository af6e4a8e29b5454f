//! The admin listener: metrics, probes and the API, on the control thread.
//!
//! Bound before the first load, so that `/livez` and `/readyz` always answer; taken, it is tried
//! again each second. Invariants: only GET and HEAD; only for a Host that is an IP literal or
//! `localhost`, so that no web page reaches it through rebound DNS (`reliability 2.11`); at most
//! [`MAX_CONNECTIONS`], each at most [`CONNECTION_TIME`] long; no Secret's value in any answer.

mod explain;
mod hosts;
mod policy;
mod ingresses;
mod probes;
mod snapshot;

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HOST, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::service::service_fn;
use portico_net::limit::Reserve;
use portico_net::listeners::{ListenerState, ListenerStatus};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, info, warn};

use crate::http_io::HttpIo;
use crate::readiness;
use crate::shared::Shared;

pub(crate) use snapshot::render as snapshot_json;

/// The admin sockets: those that are open and those to try again.
#[derive(Debug)]
pub(crate) struct Sockets {
    open: Vec<TcpListener>,
    missing: Vec<SocketAddr>,
}

impl Sockets {
    /// Opens what can be opened and says so in `shared`.
    pub(crate) fn bind(addresses: &[SocketAddr], shared: &Shared) -> Self {
        let mut sockets = Self { open: Vec::new(), missing: Vec::new() };
        let mut statuses = Vec::new();
        for &address in addresses {
            let (status, listener) = open(address);
            if let ListenerState::Degraded(reason) = &status.state {
                warn!("admin {address}/tcp is degraded: {reason}");
                sockets.missing.push(address);
            }
            statuses.push(status);
            sockets.open.extend(listener);
        }
        shared.admin.store(Arc::new(statuses));
        sockets
    }
}

/// Tries one socket.
fn open(address: SocketAddr) -> (ListenerStatus, Option<TcpListener>) {
    let bound = portico_net::bind::tcp(address, 1)
        .map_err(|error| error.to_string())
        .and_then(|mut sockets| sockets.pop().ok_or_else(|| "no socket".to_owned()));
    let status = |address, state| ListenerStatus {
        role: "admin",
        address,
        protocol: "tcp",
        serves: None,
        state,
    };
    match bound {
        Ok(socket) => {
            let real = socket.local_addr().unwrap_or(address);
            (status(real, ListenerState::Serving), Some(socket))
        }
        Err(reason) => (status(address, ListenerState::Degraded(reason)), None),
    }
}

/// Serves until `close` is cancelled.
pub(crate) async fn serve(sockets: Sockets, shared: &Arc<Shared>, close: &CancellationToken) {
    let tracker = TaskTracker::new();
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    for socket in sockets.open {
        accept(socket, shared, close, &tracker, &places);
    }
    let mut missing = sockets.missing;
    while !missing.is_empty() {
        tokio::select! {
            () = close.cancelled() => break,
            () = tokio::time::sleep(RETRY_PERIOD) => {}
        }
        missing.retain(|&address| {
            let (status, Some(socket)) = open(address) else { return true };
            info!("admin {address}/tcp serves");
            let mut statuses = Vec::clone(&shared.admin.load());
            if let Some(old) = statuses.iter_mut().find(|old| old.address == address) {
                *old = status;
            }
            shared.admin.store(Arc::new(statuses));
            accept(socket, shared, close, &tracker, &places);
            false
        });
    }
    close.cancelled().await;
    tracker.close();
    let _ = tokio::time::timeout(LAST_WORDS, tracker.wait()).await;
}

fn accept(
    socket: TcpListener,
    shared: &Arc<Shared>,
    close: &CancellationToken,
    tracker: &TaskTracker,
    places: &Arc<Semaphore>,
) {
    let listener = match tokio::net::TcpListener::from_std(socket) {
        Ok(listener) => listener,
        Err(error) => return warn!(%error, "the admin socket cannot be used"),
    };
    let (shared, close) = (Arc::clone(shared), close.clone());
    let (connections, places) = (tracker.clone(), Arc::clone(places));
    tracker.spawn_local(async move {
        let stop = close.clone().cancelled_owned();
        // When clients of the planes took every descriptor, somebody will want to look.
        let reserve = Reserve::new(RESERVE);
        portico_net::accept::accept_with(listener, reserve, stop, async |stream, peer| {
            let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                return debug!(%peer, "admin connection refused: all places are taken");
            };
            let (shared, close) = (Arc::clone(&shared), close.clone());
            connections.spawn_local(async move {
                let _place = place;
                let io = HttpIo { stream: Arc::new(stream) };
                let service = service_fn(|request| {
                    let response = answer(&request, &shared);
                    async move { Ok::<_, Infallible>(response) }
                });
                let connection = hyper::server::conn::http1::Builder::new()
                    .max_buf_size(MAX_HEAD_BYTES)
                    .serve_connection(io, service);
                tokio::select! {
                    result = tokio::time::timeout(CONNECTION_TIME, connection) => {
                        debug!(%peer, ?result, "admin connection ended");
                    }
                    () = close.cancelled() => {}
                }
            });
        })
        .await;
    });
}

/// The answer to one request; the body of a request is never read.
fn answer<B>(request: &Request<B>, shared: &Shared) -> Response<Full<Bytes>> {
    let host = request
        .headers()
        .get(HOST)
        .and_then(|host| host.to_str().ok());
    if !host.is_some_and(hosts::is_local_name) {
        return text(
            StatusCode::FORBIDDEN,
            "the admin listener answers to an IP address or localhost as Host only\n".to_owned(),
        );
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "GET or HEAD\n".to_owned());
        response
            .headers_mut()
            .insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    match request.uri().path() {
        "/livez" => text(StatusCode::OK, "ok\n".to_owned()),
        "/readyz" => {
            let progress = shared.readiness.progress();
            let status = match progress.is_ready() {
                true => StatusCode::OK,
                false => StatusCode::SERVICE_UNAVAILABLE,
            };
            let published = shared.publication.load();
            text(status, readiness::report(progress, &published, &shared.listeners()))
        }
        "/metrics" => typed(
            StatusCode::OK,
            "text/plain; version=0.0.4; charset=utf-8",
            shared.metrics.encode(&shared.listeners()),
        ),
        "/api/v1/snapshot" => {
            let mut json = snapshot::render(&shared.publication.load(), &shared.listeners());
            // Alive, so no part of what `portico diff` compares.
            json["ejected"] = serde_json::json!(shared.ejections.at(Instant::now()));
            typed(StatusCode::OK, "application/json", format!("{json:#}\n"))
        }
        "/api/v1/ingresses" => {
            let published = shared.publication.load();
            let json = ingresses::render(&published.snapshot, &shared.listeners());
            typed(StatusCode::OK, "application/json", format!("{json:#}\n"))
        }
        "/api/v1/probes" => {
            let json = probes::render(&shared.probes.read(), Instant::now(), SystemTime::now());
            typed(StatusCode::OK, "application/json", format!("{json:#}\n"))
        }
        "/api/v1/explain" => {
            let query = request.uri().query().unwrap_or_default();
            match explain::answer(shared, query) {
                Ok(json) => typed(StatusCode::OK, "application/json", format!("{json:#}\n")),
                Err(reason) => text(StatusCode::BAD_REQUEST, format!("{reason}\n")),
            }
        }
        _ => text(StatusCode::NOT_FOUND, format!("not here; there are:\n{PATHS}")),
    }
}

fn text(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    typed(status, "text/plain; charset=utf-8", body)
}

fn typed(status: StatusCode, kind: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

const PATHS: &str = "/livez\n/readyz\n/metrics\n/api/v1/snapshot\n/api/v1/ingresses\n/api/v1/probes\n/api/v1/explain\n";
const MAX_CONNECTIONS: usize = 64;
/// Descriptors that are held for its connections.
const RESERVE: usize = 8;
const MAX_HEAD_BYTES: usize = 8 * 1024;
const CONNECTION_TIME: Duration = Duration::from_secs(10);
const RETRY_PERIOD: Duration = Duration::from_secs(1);
/// Answers that are being written at the end may take this long.
const LAST_WORDS: Duration = Duration::from_secs(1);
