//! What the echo server answers over HTTP/1.1 and HTTP/2: the request as it came, and the few paths
//! that do something else (`ingress 4`).

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http::header::{CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, UPGRADE};
use http::{Method, Request, Response, StatusCode, Version};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use portico_config::model::parse_duration;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Notify;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_util::task::TaskTracker;
use tracing::{debug, info};

use super::EchoOptions;
use super::io::{ForHyper, ForTokio};
use super::retry::{Attempt, Retries};
use super::secure::Seen;
use super::upgrade;

/// What every connection of a server knows.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) options: EchoOptions,
    /// The port of the HTTP listener, which answers name.
    pub(super) port: u16,
    /// That of the TLS listener; 0: there is none.
    pub(super) tls_port: u16,
    pub(super) retries: Retries,
    pub(super) tasks: TaskTracker,
}

/// One connection.
pub(super) struct Peer {
    pub(super) shared: Rc<Shared>,
    pub(super) address: SocketAddr,
    pub(super) tls: Option<Seen>,
    /// Whether nothing but the echo is served, and to HTTP/2 alone.
    pub(super) h2c_alone: bool,
    /// Told that the connection is to be reset.
    pub(super) reset: Notify,
}

/// Serves a connection until it ends, or is to be reset: then false.
pub(super) async fn serve<S>(stream: S, peer: Rc<Peer>, http2: bool) -> bool
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let answers = Rc::clone(&peer);
    let service = service_fn(move |request| {
        let peer = Rc::clone(&answers);
        async move { Ok::<_, Infallible>(respond(request, &peer).await) }
    });
    let io = ForHyper(stream);
    let served = async {
        if http2 {
            let builder =
                hyper::server::conn::http2::Builder::new(Local(peer.shared.tasks.clone()));
            return builder.serve_connection(io, service).await;
        }
        hyper::server::conn::http1::Builder::new()
            .half_close(true)
            .title_case_headers(true)
            .serve_connection(io, service)
            .with_upgrades()
            .await
    };
    tokio::select! {
        result = served => {
            debug!(peer = %peer.address, ?result, "echo connection ended");
            true
        }
        () = peer.reset.notified() => false,
    }
}

/// Where hyper puts the streams of HTTP/2: on this thread.
#[derive(Clone)]
struct Local(TaskTracker);

impl<F: Future<Output = ()> + 'static> hyper::rt::Executor<F> for Local {
    fn execute(&self, stream: F) {
        self.0.spawn_local(stream);
    }
}

/// The answer to one request.
async fn respond(mut request: Request<Incoming>, peer: &Rc<Peer>) -> Response<Full<Bytes>> {
    if peer.h2c_alone && request.version() != Version::HTTP_2 {
        let agreed = upgrade::agree(request, peer).await;
        return agreed.unwrap_or_else(|| plain(400, "Expected h2c request\n"));
    }
    let query = request.uri().query().unwrap_or_default().to_owned();
    let path = request.uri().path().replace("//", "/");
    if !peer.h2c_alone {
        if path == "/ws" && request.headers().contains_key(UPGRADE) {
            return socket(&mut request, peer);
        }
        if path == "/health" {
            return plain(200, "OK");
        }
        if let Some(code) = path.strip_prefix("/status/") {
            return status(request.uri(), code);
        }
    }
    info!("Echoing back request made to {} to client ({})", request.uri(), peer.address);
    if path.starts_with("/retry/") && !peer.h2c_alone {
        match peer.shared.retries.judge(&query).await {
            Attempt::Succeeds => {}
            Attempt::Fails(code) => return plain(code, ""),
            Attempt::Wrong(why) => return plain(400, why),
            Attempt::Resets => {
                peer.reset.notify_one();
                std::future::pending::<()>().await;
            }
        }
    }
    match delay(&mut request, &query).await {
        Ok(delay) => tokio::time::sleep(delay).await,
        Err(message) => return plain(500, &json!({ "message": message }).to_string()),
    }
    // The body is read to its end, so that the connection can be used again.
    while let Some(Ok(_)) = request.body_mut().frame().await {}
    echo(&request, peer)
}

/// `/status/NNN`, if that is all that the target is.
fn status(uri: &http::Uri, code: &str) -> Response<Full<Bytes>> {
    let code = code.parse().ok().filter(|_| uri.query().is_none());
    match code {
        Some(code @ 200..=999) => plain(code, ""),
        _ => plain(400, ""),
    }
}

/// How long to wait: `delay` of the query, or of a form.
async fn delay(request: &mut Request<Incoming>, query: &str) -> Result<Duration, String> {
    if let Some(text) = parameter(query, "delay") {
        return parse_duration(text);
    }
    let is_form = |value: &HeaderValue| {
        value
            .as_bytes()
            .starts_with(b"application/x-www-form-urlencoded")
    };
    let form = request.headers().get(CONTENT_TYPE).is_some_and(is_form);
    if !form || matches!(*request.method(), Method::GET | Method::HEAD) {
        return Ok(Duration::ZERO);
    }
    let body = Limited::new(request.body_mut(), MAX_FORM_BYTES)
        .collect()
        .await;
    let body = body.map_err(|error| error.to_string())?.to_bytes();
    let text = String::from_utf8_lossy(&body);
    parameter(&text, "delay").map_or(Ok(Duration::ZERO), parse_duration)
}

/// The value of a parameter of a query or form.
pub(super) fn parameter<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .find(|(other, _)| *other == name)
        .map(|(_, value)| value)
}

/// Agrees to a WebSocket, and sends its messages back until it ends.
fn socket(request: &mut Request<Incoming>, peer: &Peer) -> Response<Full<Bytes>> {
    let Some(key) = request.headers().get("sec-websocket-key") else {
        return plain(400, "Sec-WebSocket-Key is required\n");
    };
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert("connection", HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    if let Ok(accept) = derive_accept_key(key.as_bytes()).parse() {
        headers.insert("sec-websocket-accept", accept);
    }
    let (upgrade, address) = (hyper::upgrade::on(request), peer.address);
    peer.shared.tasks.spawn_local(async move {
        let Ok(upgraded) = upgrade.await else { return };
        info!("established websocket connection {address}");
        let stream = ForTokio(upgraded);
        let mut socket = WebSocketStream::from_raw_socket(stream, Role::Server, None).await;
        while let Some(Ok(message)) = socket.next().await {
            let done = match message {
                Message::Text(_) | Message::Binary(_) => socket.send(message).await,
                _ => socket.flush().await,
            };
            if done.is_err() {
                return;
            }
        }
    });
    response
}

/// The request as it came.
fn echo<B>(request: &Request<B>, peer: &Peer) -> Response<Full<Bytes>> {
    let options = &peer.shared.options;
    let uri = request.uri();
    let mut headers: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in request.headers().iter().filter(|(name, _)| *name != HOST) {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        headers
            .entry(canonical(name.as_str()))
            .or_default()
            .push(value);
    }
    let host = request.headers().get(HOST).map(HeaderValue::as_bytes);
    let authority = uri
        .authority()
        .map(|authority| authority.as_str().as_bytes());
    let mut body = json!({
        "path": uri.path_and_query().map_or("/", |target| target.as_str()),
        "host": String::from_utf8_lossy(host.or(authority).unwrap_or_default()),
        "method": request.method().as_str(),
        "proto": format!("{:?}", request.version()),
        "headers": headers,
        "httpPort": peer.shared.port.to_string(),
        "namespace": options.namespace,
        "ingress": options.ingress,
        "service": options.service,
        "pod": options.name,
    });
    if let (Some(tls), Some(body)) = (&peer.tls, body.as_object_mut()) {
        body.insert("tls".to_owned(), tls.json());
    }
    let mut response = plain(200, &indented(&body));
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    set_headers(request.headers(), response.headers_mut());
    response
}

/// With one blank for each level.
fn indented(body: &serde_json::Value) -> String {
    let mut out = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b" ");
    let mut writer = serde_json::Serializer::with_formatter(&mut out, formatter);
    // A value of texts and lists is always written.
    let _ = serde::Serialize::serialize(body, &mut writer);
    String::from_utf8_lossy(&out).into_owned() + "\n"
}

/// `X-Echo-Set-Header: Name:value,Name2:value2`; the same name again adds to its value.
fn set_headers(asked: &HeaderMap, set: &mut HeaderMap) {
    for line in asked.get_all("x-echo-set-header") {
        for pair in line.to_str().unwrap_or_default().split(',') {
            let pair = pair.trim();
            let (name, value) = pair.split_once(':').unwrap_or((pair, ""));
            let Ok(name) = name.parse::<HeaderName>() else { continue };
            let before = set.get(&name).and_then(|value| value.to_str().ok());
            let value = match before {
                Some(before) => format!("{before},{}", value.trim()),
                None => value.trim().to_owned(),
            };
            if let Ok(value) = HeaderValue::from_str(&value) {
                set.insert(name, value);
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

fn plain(status: u16, body: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.to_owned().into()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
    response
        .headers_mut()
        .insert(http::header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// Of a form.
const MAX_FORM_BYTES: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_path_is_exactly_that() {
        for (target, want) in
            [("/status/503", 503), ("/status/503?a", 400), ("/status/x", 400), ("/status/99", 400)]
        {
            let uri: http::Uri = target.parse().unwrap();
            let code = uri.path().strip_prefix("/status/").unwrap();
            assert_eq!(status(&uri, code).status(), want, "ingress 4: {target}");
        }
    }

    #[test]
    fn headers_are_set_on_request_and_added_to() {
        assert_eq!(canonical("x-forwarded-for"), "X-Forwarded-For");
        let (mut asked, mut set) = (HeaderMap::new(), HeaderMap::new());
        for line in ["X-A:1, X-B:2", "x-a: 3:4"] {
            asked.append("x-echo-set-header", HeaderValue::from_static(line));
        }
        set_headers(&asked, &mut set);
        assert_eq!((&set["x-a"], &set["x-b"]), (&"1,3:4".parse().unwrap(), &"2".parse().unwrap()));
    }

    #[test]
    fn parameters_are_found_by_their_whole_name() {
        assert_eq!(parameter("adelay=1&delay=2s", "delay"), Some("2s"));
        assert_eq!(parameter("delay", "delay"), None);
    }
}
