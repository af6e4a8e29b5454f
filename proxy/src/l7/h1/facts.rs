//! What of a request's head counts for its exchange, once the head itself is gone.
//!
//! Read off the fields when the head is read; what annotations ask comes with the order. All parts of
//! the exchange ask here, and none of them looks at a policy itself.

use std::net::IpAddr;
use std::rc::Rc;
use std::time::Instant;

use http::StatusCode;
use portico_config::model::{Compression, Timeouts};

use super::framing::Length;
use super::head;
use super::pace::Pace;
use crate::l7::calls;
use crate::l7::edits::Edits;
use crate::l7::fields::Name;
use crate::l7::forward;
use crate::l7::order::Terms;
use crate::l7::pages::Page;
use crate::l7::request::{Asked, is_idempotent, is_of_connection, is_websocket};
use crate::l7::secured::Secured;
use crate::l7::session::Session;
use crate::upstream::Lead;

/// What of a request's head counts for its response.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// HEAD: the response has no body.
    pub(super) to_head: bool,
    /// HTTP/1.0: it knows neither chunks nor 1xx.
    pub(super) old: bool,
    /// Whether the client wants to go on.
    pub(super) keep: bool,
    /// Whether the client waits to be told to send its body.
    pub(super) expects: bool,
    /// Whether it asks for a WebSocket.
    pub(super) websocket: bool,
    /// Whether it may be sent again though it may have arrived.
    pub(super) idempotent: bool,
    /// Whether its credentials are good for the connection that they come over.
    pub(super) binds: bool,
    /// For whom it is, where that is known.
    pub(super) client: Option<IpAddr>,
    /// What annotations ask, where any are about it.
    pub(super) terms: Option<Box<Terms>>,
    /// Whether it is a call of gRPC, which looks for its status in trailers (`http-proxy 6.8`).
    pub(super) is_call: bool,
    /// Until when the client waits for all of it (`http-proxy 6.9`).
    pub(super) deadline: Option<Instant>,
}

impl Facts {
    /// Those of a request whose body is framed as `length` says; what annotations ask is not known yet.
    #[inline]
    pub(super) fn of(asked: &Asked<'_>, length: Length) -> Self {
        let Asked { method, old, fields, .. } = *asked;
        let has_body = !matches!(length, Length::Absent | Length::Exact(0));
        let is_call = calls::is_call(method, fields);
        let websocket = is_websocket(asked);
        let timeout = is_call.then(|| calls::timeout(fields)).flatten();
        Self {
            to_head: method == "HEAD",
            old,
            keep: match old {
                true => fields.lists(Name::Connection, "keep-alive"),
                // What follows may be of the tunnel that there is not (`http-proxy 1.28`).
                false => !websocket && !fields.lists(Name::Connection, "close"),
            },
            expects: has_body && !old && fields.has(Name::Expect),
            websocket,
            idempotent: is_idempotent(method),
            binds: fields.has(Name::Protected)
                && fields.every("authorization").any(is_of_connection),
            client: None,
            terms: None,
            is_call,
            deadline: timeout.and_then(|it| Instant::now().checked_add(it)),
        }
    }

    /// What is done to the response's fields.
    pub(super) fn edits(&self) -> Option<&Edits> {
        self.terms.as_ref().map(|terms| &terms.edits)
    }

    /// What the backend's connection must have been made with.
    pub(super) fn secured(&self) -> Option<&Rc<Secured>> {
        self.terms.as_ref()?.secured.as_ref()
    }

    /// The client's session, where it has one.
    pub(super) fn session(&self) -> Option<&Session> {
        self.terms.as_ref()?.session.as_ref()
    }

    /// Which endpoint is asked first.
    pub(super) fn lead(&self) -> Lead {
        self.terms
            .as_ref()
            .map(|terms| terms.lead)
            .unwrap_or_default()
    }

    /// Whether another backend than the location's is asked.
    pub(super) fn is_aside(&self) -> bool {
        self.terms.as_ref().is_some_and(|terms| terms.is_aside)
    }

    /// Whether its backend is spoken to by HTTP/2.
    pub(super) fn speaks_http2(&self) -> bool {
        self.terms
            .as_ref()
            .is_some_and(|terms| terms.policy.backend_http2 && !terms.is_aside)
    }

    /// Who answers in the place of an answer with this status; `of_backend`: a backend gave it.
    pub(super) fn page(&self, status: StatusCode, of_backend: bool) -> Option<&Rc<Page>> {
        let page = self.terms.as_ref()?.page.as_ref()?;
        page.replaces(status, of_backend).then_some(page)
    }

    /// Whether the client waits no more.
    pub(super) fn is_late(&self, now: Instant) -> bool {
        self.deadline.is_some_and(|deadline| now >= deadline)
    }

    /// How long a backend may take, where an annotation says that.
    pub(super) fn timeouts(&self) -> Option<Timeouts> {
        self.terms.as_ref().map(|terms| terms.policy.timeouts)
    }

    /// What the response's head may have.
    pub(super) fn head_limits(&self) -> head::Limits {
        let bytes = self.terms.as_ref().and_then(|it| it.policy.max_head_bytes);
        bytes.map_or(head::Limits::USUAL, head::Limits::of_bytes)
    }

    /// How fast the response may go, where an annotation says that.
    pub(super) fn pace(&self) -> Option<Box<Pace>> {
        let rate = self.terms.as_ref()?.policy.download_rate?;
        Some(Box::new(Pace::new(rate, Instant::now())))
    }

    /// Which responses may be had in another coding, where any may. gRPC has codings of its own.
    pub(super) fn compression(&self) -> Option<&Compression> {
        let terms = self.terms.as_ref()?;
        let compression = terms.policy.compression.as_ref()?;
        (!terms.is_aside && !self.is_call && !self.websocket).then_some(compression)
    }

    /// Whether the backend's connection ends with the response.
    pub(super) fn closes_backend(&self) -> bool {
        self.terms
            .as_ref()
            .is_some_and(|terms| terms.policy.backend_closes)
    }

    /// What a response's head says of the connection.
    pub(super) fn connection(&self, close: bool) -> forward::Connection {
        match (close, self.old) {
            (true, _) => forward::Connection::Close,
            (false, true) => forward::Connection::KeepAlive,
            (false, false) => forward::Connection::Persists,
        }
    }
}
