//! One request and its response: check, route, send to an endpoint, pass the answer on.

use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use http::header::{HOST, TRANSFER_ENCODING};
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri, Version, request};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tracing::debug;

use super::body::{Lease, RequestBody, ResponseBody};
use super::forward::{self, ForwardedFor};
use super::metrics::class;
use super::pool::Sender;
use super::request::{self as checks, Checked};
use super::respond;
use super::watch::{Phase, Watch};
use super::{HttpListener, Worker, upgrade};
use crate::upstream::Port;
use crate::view::Target;

/// What the requests of one connection share.
pub(crate) struct Exchange {
    pub(crate) worker: Rc<Worker>,
    pub(crate) watch: Arc<Watch>,
    pub(crate) from: ForwardedFor,
    pub(crate) listener: Rc<HttpListener>,
    pub(crate) permit: Rc<Option<OwnedSemaphorePermit>>,
}

/// A response and the connection that it comes over.
type Answered = (Response<Incoming>, SocketAddr, Sender);

/// Why no endpoint answered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Failure {
    /// There is none to ask.
    NoEndpoint,
    /// It refused, broke off, or answered with something that is no response.
    Bad,
    /// It did not answer in time.
    TimedOut,
    /// The client's body became too long on the way.
    TooLong,
}

impl Failure {
    fn status(self) -> StatusCode {
        match self {
            Self::NoEndpoint => StatusCode::SERVICE_UNAVAILABLE,
            Self::Bad => StatusCode::BAD_GATEWAY,
            Self::TimedOut => StatusCode::GATEWAY_TIMEOUT,
            Self::TooLong => StatusCode::PAYLOAD_TOO_LARGE,
        }
    }
}

impl Exchange {
    /// Answers one request.
    pub(crate) async fn answer(&self, request: Request<Incoming>) -> Response<ResponseBody> {
        self.watch.enter(Phase::Waiting);
        let (mut parts, incoming) = request.into_parts();
        let has_body = !incoming.is_end_stream();
        let checked = match checks::check(&parts) {
            Ok(checked) => checked,
            Err(refused) => return self.own(refused.status, refused.close),
        };
        let body = RequestBody::new(incoming);
        if body.is_too_long() {
            return self.own(StatusCode::PAYLOAD_TOO_LARGE, true);
        }
        if self.worker.via.seen(&parts.headers) >= MAX_PASSES {
            return self.own(StatusCode::LOOP_DETECTED, true);
        }
        let port = match self.worker.target(&checked.host, checked.target.path()) {
            Some(Target::Port(port)) => port,
            Some(Target::Missing) => return self.own(StatusCode::SERVICE_UNAVAILABLE, has_body),
            None | Some(Target::Resource) => return self.own(StatusCode::NOT_FOUND, has_body),
        };
        let websocket = checks::is_websocket(&parts);
        let client = parts.extensions.remove::<OnUpgrade>().filter(|_| websocket);
        let uploaded = body.uploaded();
        let request = self.to_upstream(parts, checked, body, websocket);
        let answered = self.send(&port, request).await;
        let response = match answered {
            Ok((response, endpoint, sender)) => {
                let lease =
                    Lease { pool: Rc::clone(&self.worker.pool), endpoint, sender, uploaded };
                self.pass(response, lease, client)
            }
            Err(failure) => {
                // An upload that nobody takes any more ends with the connection.
                self.watch.renew(Phase::Idle);
                respond::answer(failure.status(), has_body)
            }
        };
        port.state.answers[class(response.status())].fetch_add(1, Relaxed);
        response
    }

    /// An answer of our own.
    fn own(&self, status: StatusCode, close: bool) -> Response<ResponseBody> {
        self.worker.metrics.own_answer(status);
        self.watch.enter(Phase::Idle);
        respond::answer(status, close)
    }

    fn to_upstream(
        &self,
        mut parts: request::Parts,
        checked: Checked,
        body: RequestBody,
        websocket: bool,
    ) -> Request<RequestBody> {
        let id = || self.worker.request_id();
        let authority = checked.authority;
        let has_authority = authority.is_some();
        let via = &self.worker.via;
        forward::to_upstream(&mut parts.headers, authority, &self.from, via, id, websocket);
        if !has_authority {
            // HTTP/1.0 without Host: the address that was asked (`http-proxy 1.13`).
            let address = HeaderValue::try_from(self.listener.address.to_string());
            parts
                .headers
                .extend(address.ok().map(|address| (HOST, address)));
        }
        if !body.is_end_stream() && body.size_hint().exact().is_none() {
            // hyper's client sends no body of unknown length with GET unless told so.
            parts
                .headers
                .insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        } else {
            parts.headers.remove(TRANSFER_ENCODING);
        }
        parts.uri = Uri::from(checked.target);
        parts.version = Version::HTTP_11;
        Request::from_parts(parts, body)
    }

    /// Sends the request to the endpoints in turn until one answers (`http-proxy 5.9`).
    async fn send(
        &self,
        port: &Port,
        mut request: Request<RequestBody>,
    ) -> Result<Answered, Failure> {
        let mut failure = Failure::NoEndpoint;
        // Kept where a repetition is safe: no body, and a method that may be repeated.
        let spare = (request.body().is_end_stream() && is_idempotent(request.method()))
            .then(|| copy(&request));
        for upstream in port.choose().take(MAX_TRIES) {
            let endpoint = upstream.address;
            loop {
                let pooled = self.worker.pool.take(endpoint);
                let reused = pooled.is_some();
                let sender = match pooled {
                    Some(sender) => Ok(sender),
                    None => self.connect(endpoint).await,
                };
                let mut sender = match sender {
                    Ok(sender) => sender,
                    Err(why) => {
                        port.state.connect_failures.fetch_add(1, Relaxed);
                        failure = why;
                        break;
                    }
                };
                if reused {
                    self.worker.metrics.reused.0.fetch_add(1, Relaxed);
                }
                match self.try_send(&mut sender, request).await {
                    Ok(response) => return Ok((response, endpoint, sender)),
                    Err((why, unsent)) => {
                        failure = why;
                        let again = unsent.or_else(|| {
                            let safe = why == Failure::Bad;
                            spare.as_ref().filter(|_| safe).map(copy)
                        });
                        request = match again {
                            Some(request) => request,
                            None => return Err(failure),
                        };
                        if !reused {
                            break;
                        }
                    }
                }
            }
        }
        Err(failure)
    }

    /// Sends over one connection and waits for the response's head.
    async fn try_send(
        &self,
        sender: &mut Sender,
        request: Request<RequestBody>,
    ) -> Result<Response<Incoming>, (Failure, Option<Request<RequestBody>>)> {
        let mut sent = pin!(sender.try_send_request(request));
        let watch = &self.watch;
        let answered = std::future::poll_fn(|cx| {
            use std::future::Future;
            let polled = sent.as_mut().poll(cx);
            if polled.is_pending() && watch.poll_expired(cx).is_ready() {
                return std::task::Poll::Ready(None);
            }
            polled.map(Some)
        });
        match answered.await {
            None => Err((Failure::TimedOut, None)),
            Some(Ok(response)) => Ok(response),
            Some(Err(mut error)) => {
                let unsent = error.take_message();
                let error = error.into_error();
                debug!(%error, "no response");
                let failure = if is_too_long(&error) { Failure::TooLong } else { Failure::Bad };
                Err((failure, unsent))
            }
        }
    }

    async fn connect(&self, endpoint: SocketAddr) -> Result<Sender, Failure> {
        let stream = match tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(endpoint)).await
        {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                debug!(%endpoint, %error, "dial failed");
                return Err(Failure::Bad);
            }
            Err(_) => return Err(Failure::TimedOut),
        };
        let _ = stream.set_nodelay(true);
        let handshake = http1::Builder::new()
            .max_buf_size(MAX_RESPONSE_BUFFER_BYTES)
            .handshake(TokioIo::new(stream));
        let Ok((sender, connection)) = handshake.await else { return Err(Failure::Bad) };
        self.worker.metrics.opened.0.fetch_add(1, Relaxed);
        // Belongs to no tracker: an idle connection must not hold up a drain, and a busy one lives
        // as long as the exchange that holds its sender.
        tokio::task::spawn_local(async move {
            if let Err(error) = connection.with_upgrades().await {
                debug!(%endpoint, %error, "connection to endpoint ended");
            }
        });
        Ok(sender)
    }

    /// Makes a backend's response the client's.
    fn pass(
        &self,
        mut response: Response<Incoming>,
        lease: Lease,
        client: Option<OnUpgrade>,
    ) -> Response<ResponseBody> {
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            let Some(client) = client else {
                // Nobody asked for it (`http-proxy 1.25`).
                self.watch.enter(Phase::Idle);
                return respond::answer(StatusCode::BAD_GATEWAY, true);
            };
            let backend = hyper::upgrade::on(&mut response);
            self.watch.enter(Phase::Tunnel);
            let watch = Arc::clone(&self.watch);
            let permit = Rc::clone(&self.permit);
            self.worker.connections.spawn_local(async move {
                upgrade::tunnel(client, backend, &watch).await;
                drop(permit);
            });
            let (mut parts, _) = response.into_parts();
            forward::to_downstream(&mut parts.headers, true);
            return Response::from_parts(parts, ResponseBody::Own(None));
        }
        self.watch.enter(Phase::Busy);
        let (mut parts, incoming) = response.into_parts();
        forward::to_downstream(&mut parts.headers, false);
        parts.headers.remove(TRANSFER_ENCODING);
        parts.version = Version::HTTP_11;
        let body = ResponseBody::new(incoming, Some(lease), Arc::clone(&self.watch));
        Response::from_parts(parts, body)
    }
}

/// A request without its body, for a second try.
fn copy(request: &Request<RequestBody>) -> Request<RequestBody> {
    let mut copy = Request::new(RequestBody::Empty);
    copy.method_mut().clone_from(request.method());
    copy.uri_mut().clone_from(request.uri());
    copy.headers_mut().clone_from(request.headers());
    copy
}

/// `http-proxy 5`: what may be repeated after it may have reached a backend.
fn is_idempotent(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS | Method::PUT | Method::DELETE)
}

fn is_too_long(error: &hyper::Error) -> bool {
    let source = std::error::Error::source(error);
    source
        .and_then(|source| source.downcast_ref::<super::body::BodyError>())
        .is_some_and(|error| matches!(error, super::body::BodyError::TooLong))
}

/// Endpoints asked for one request (`http-proxy 5.10`).
const MAX_TRIES: usize = 3;
/// For each endpoint (`reliability 4`).
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Own instance in `Via` as often as this: the request goes round (`http-proxy 1.5`).
const MAX_PASSES: usize = 3;
/// A longer head of a response gets 502.
const MAX_RESPONSE_BUFFER_BYTES: usize = 64 * 1024;
