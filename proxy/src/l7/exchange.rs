//! Where one request goes, and what is said if it goes nowhere; the same for every codec.
//!
//! Decided before a byte is sent on: checks, loops, host and path. Connections to endpoints are dialed
//! here too; what is said over them is a codec's work.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use http::StatusCode;
use portico_config::model::Template;
use tokio::net::TcpStream;
use tracing::debug;

use super::Worker;
use super::forward::{self, ForwardedFor};
use super::policy::{self, Declined, Visit};
use super::pool::Backend;
use super::request::{Asked, Checked, Refused, check, refuse};
use crate::upstream::Port;
use crate::view::Target;

/// Why no endpoint answered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Failure {
    /// There is none to ask.
    NoEndpoint,
    /// It refused, broke off, or answered with something that is no response.
    Bad,
    /// It did not answer in time.
    TimedOut,
}

impl Failure {
    /// `http-proxy 0.4`.
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::NoEndpoint => StatusCode::SERVICE_UNAVAILABLE,
            Self::Bad => StatusCode::BAD_GATEWAY,
            Self::TimedOut => StatusCode::GATEWAY_TIMEOUT,
        }
    }
}

/// A request that goes to a backend.
pub(crate) struct Admitted<'a> {
    pub(crate) checked: Checked<'a>,
    /// Whose endpoints are asked.
    pub(crate) port: Arc<Port>,
    /// What they get as Host; none: what the client sent.
    pub(crate) host: Option<String>,
    /// What they get as `X-Forwarded-Prefix`.
    pub(crate) prefix: Option<String>,
    /// The longest body that it may have.
    pub(crate) max_body_bytes: u64,
}

impl Worker {
    /// Which port a request is for; `body_bytes` is what its body has at least.
    pub(crate) fn decide<'a>(
        &self,
        asked: &Asked<'a>,
        from: &ForwardedFor,
        body_bytes: u64,
    ) -> Result<Admitted<'a>, Declined> {
        let checked = check(asked)?;
        if forward::names_too_much(asked.fields) {
            return Err(refuse(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE).into());
        }
        if self.via.seen(asked.fields) >= MAX_PASSES {
            return Err(refuse(StatusCode::LOOP_DETECTED).into());
        }
        let kept = |status| Declined::from(Refused { status, close: false });
        let (target, policy) = self
            .target(&checked.host, &checked.path)
            .ok_or_else(|| kept(StatusCode::NOT_FOUND))?;
        let (mut host, mut prefix, mut path) = (None, None, None);
        if let Some(policy) = &policy {
            let visit = Visit::new((from.client, from.tls), &checked, policy);
            policy::judge(policy, &visit)?;
            path = policy::rewrite(policy, &visit)?;
            let render = |template: &Template| policy::render(template, &visit);
            host = policy.upstream_host.as_ref().map(render);
            prefix = policy.forwarded_prefix.as_ref().map(render);
        }
        let max_body_bytes = policy::max_body_bytes(policy.as_deref());
        if body_bytes > max_body_bytes {
            return Err(refuse(StatusCode::PAYLOAD_TOO_LARGE).into());
        }
        match target {
            Target::Port(port) => {
                let path = path.map_or(checked.path, Cow::Owned);
                let checked = Checked { path, ..checked };
                Ok(Admitted { checked, port, host, prefix, max_body_bytes })
            }
            Target::Missing => Err(kept(StatusCode::SERVICE_UNAVAILABLE)),
            Target::Resource => Err(kept(StatusCode::NOT_FOUND)),
        }
    }

    /// Opens a connection to an endpoint.
    pub(crate) async fn dial(&self, endpoint: SocketAddr) -> Result<Backend, Failure> {
        let dialed = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(endpoint));
        match dialed.await {
            Ok(Ok(stream)) => {
                let _ = stream.set_nodelay(true);
                self.metrics.opened.0.fetch_add(1, Relaxed);
                Ok(Backend { stream, endpoint, served: 0 })
            }
            Ok(Err(error)) => {
                debug!(%endpoint, %error, "dial failed");
                Err(Failure::Bad)
            }
            Err(_) => Err(Failure::TimedOut),
        }
    }
}

/// Endpoints asked for one request (`http-proxy 5.10`).
pub(crate) const MAX_TRIES: usize = 3;
/// For each endpoint (`reliability 4`).
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Own instance in `Via` as often as this: the request goes round (`http-proxy 1.5`).
const MAX_PASSES: usize = 3;
