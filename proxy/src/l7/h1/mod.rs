//! HTTP/1, both sides of the proxy, on one task per client connection.
//!
//! ```text
//! server: read head ─▶ decide ─▶ own answer │ exchange ─▶ next head │ close │ linger │ tunnel
//! exchange:  client ── upload ──▶ backend ── download ──▶ client      both at once, one poll
//! ```
//!
//! [`head`], [`framing`] and [`chunked`] are pure; the rest moves bytes. Nothing is spawned and nothing
//! is sent through a channel for a request: two reads and two writes are all that a small one costs.
//! A connection at rest holds no buffer: reads go to the worker's [`Scratch`](super::io::Scratch),
//! and only what cannot be used yet is kept.

pub(crate) mod head;
pub(crate) mod framing;
pub(crate) mod chunked;
mod body;
mod upload;
pub(crate) mod coder;
mod pace;
pub(crate) mod floor;
mod download;
mod place;
mod exchange;
pub(crate) mod inquiry;
mod query;
mod repeat;
mod linger;
pub(crate) mod server;
#[cfg(any(test, feature = "bench"))]
pub(crate) mod one_form;

use std::net::IpAddr;
use std::rc::Rc;
use std::time::Instant;

use http::StatusCode;
use portico_config::model::{Compression, Timeouts};

use self::pace::Pace;
use super::edits::Edits;
use super::exchange::Terms;
use super::forward;
use super::pages::Page;
use super::secured::Secured;
use super::session::Session;
use crate::upstream::Lead;

/// What of a request's head counts for its response.
#[derive(Debug, Default)]
struct Facts {
    /// HEAD: the response has no body.
    to_head: bool,
    /// HTTP/1.0: it knows neither chunks nor 1xx.
    old: bool,
    /// Whether the client wants to go on.
    keep: bool,
    /// Whether the client waits to be told to send its body.
    expects: bool,
    websocket: bool,
    /// Whether it may be sent again though it may have arrived.
    idempotent: bool,
    /// Whether its credentials are good for the connection that they come over.
    binds: bool,
    /// For whom it is, where that is known.
    client: Option<IpAddr>,
    /// What annotations ask, where any are about it.
    terms: Option<Box<Terms>>,
    /// Whether it is a call of gRPC, which looks for its status in trailers (`http-proxy 6.8`).
    is_call: bool,
    /// Until when the client waits for all of it (`http-proxy 6.9`).
    deadline: Option<Instant>,
}

impl Facts {
    /// What is done to the response's fields.
    fn edits(&self) -> Option<&Edits> {
        self.terms.as_ref().map(|terms| &terms.edits)
    }

    /// What the backend's connection must have been made with.
    fn secured(&self) -> Option<&Rc<Secured>> {
        self.terms.as_ref()?.secured.as_ref()
    }

    /// The client's session, where it has one.
    fn session(&self) -> Option<&Session> {
        self.terms.as_ref()?.session.as_ref()
    }

    /// Which endpoint is asked first.
    fn lead(&self) -> Lead {
        self.terms
            .as_ref()
            .map(|terms| terms.lead)
            .unwrap_or_default()
    }

    /// Whether another backend than the location's is asked.
    fn is_aside(&self) -> bool {
        self.terms.as_ref().is_some_and(|terms| terms.is_aside)
    }

    /// Whether its backend is spoken to by HTTP/2.
    fn speaks_http2(&self) -> bool {
        self.terms
            .as_ref()
            .is_some_and(|terms| terms.policy.backend_http2 && !terms.is_aside)
    }

    /// Who answers in the place of an answer with this status; `of_backend`: a backend gave it.
    fn page(&self, status: StatusCode, of_backend: bool) -> Option<&Rc<Page>> {
        let page = self.terms.as_ref()?.page.as_ref()?;
        page.replaces(status, of_backend).then_some(page)
    }

    /// Whether the client waits no more.
    fn is_late(&self, now: Instant) -> bool {
        self.deadline.is_some_and(|deadline| now >= deadline)
    }

    /// How long a backend may take, where an annotation says that.
    fn timeouts(&self) -> Option<Timeouts> {
        self.terms.as_ref().map(|terms| terms.policy.timeouts)
    }

    /// What the response's head may have.
    fn head_limits(&self) -> head::Limits {
        let bytes = self.terms.as_ref().and_then(|it| it.policy.max_head_bytes);
        bytes.map_or(head::Limits::USUAL, head::Limits::of_bytes)
    }

    /// How fast the response may go, where an annotation says that.
    fn pace(&self) -> Option<Box<Pace>> {
        let rate = self.terms.as_ref()?.policy.download_rate?;
        Some(Box::new(Pace::new(rate, Instant::now())))
    }

    /// Which responses may be had in another coding, where any may. gRPC has codings of its own.
    fn compression(&self) -> Option<&Compression> {
        let terms = self.terms.as_ref()?;
        let compression = terms.policy.compression.as_ref()?;
        (!terms.is_aside && !self.is_call && !self.websocket).then_some(compression)
    }

    /// Whether the backend's connection ends with the response.
    fn closes_backend(&self) -> bool {
        self.terms
            .as_ref()
            .is_some_and(|terms| terms.policy.backend_closes)
    }

    /// What a response's head says of the connection.
    fn connection(&self, close: bool) -> forward::Connection {
        match (close, self.old) {
            (true, _) => forward::Connection::Close,
            (false, true) => forward::Connection::KeepAlive,
            (false, false) => forward::Connection::Persists,
        }
    }
}
