//! Answers of another backend in the place of errors (`ingress 2.4`: `default-backend`,
//! `custom-http-errors`).
//!
//! ```text
//! no endpoint ──▶ the request itself, with X-Code 503
//! error answer ─▶ GET / with X-Code, X-Original-URI …: its answer, with its own status
//! ```
//!
//! Invariants: whatever is asked here has an answer of its own, which nothing replaces; a request that
//! was kept out stays out, and only what its client is told is another's (`ingress 1.10`, step 13).

use std::rc::Rc;
use std::sync::Arc;

use http::StatusCode;
use portico_config::model::{ErrorPages, Policy};

use super::Worker;
use super::calls::is_call;
use super::edits::Edits;
use super::forward::{self, Added, Announced, line};
use super::locate::Routed;
use super::order::{Incoming, Terms};
use super::request::{Asked, Checked};
use crate::upstream::{Lead, Port};
use crate::view::Target;

/// What is asked where an answer is an error.
#[derive(Debug)]
pub(crate) struct Page {
    policy: Arc<Policy>,
    pages: Arc<ErrorPages>,
    /// Who is asked.
    pub(crate) port: Arc<Port>,
    /// The head without what the error says.
    head: Vec<u8>,
}

impl PartialEq for Page {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.port, &other.port) && self.head == other.head
    }
}

impl Eq for Page {}

impl Page {
    /// Whether an answer is replaced; `of_backend`: a backend gave it.
    pub(crate) fn replaces(&self, status: StatusCode, of_backend: bool) -> bool {
        self.pages.replace(status.as_u16(), of_backend)
    }

    /// Whether it gets the requests for which there is no endpoint.
    pub(crate) fn stands_in(&self) -> bool {
        self.pages.stands_in
    }

    /// Fields of the client that it does not get.
    pub(crate) fn withheld(&self) -> &[Box<str>] {
        &self.pages.withheld
    }

    /// The request that is sent in the place of an answer with this status.
    pub(crate) fn request(&self, status: StatusCode) -> Vec<u8> {
        let mut head = self.head.clone();
        add(&mut head, &[("X-Code", status.as_str().as_bytes())]);
        head
    }

    /// The terms of that request, with `edits` done to its answer.
    pub(crate) fn terms(&self, edits: Edits) -> Box<Terms> {
        Box::new(Terms::aside(&self.policy, edits))
    }
}

impl Worker {
    /// Who is asked where a request comes to an error, if somebody is.
    pub(super) fn page(
        &self,
        incoming: &Incoming<'_>,
        checked: &Checked<'_>,
        routed: &Routed,
    ) -> Option<Rc<Page>> {
        let policy = routed.policy.as_ref()?;
        let pages = policy.error_pages.as_ref()?;
        let Incoming { asked, from, .. } = incoming;
        // A client of gRPC reads no page.
        if is_call(asked.method, asked.fields) {
            return None;
        }
        let port = self.service(&pages.backend)?;
        if port.upstreams().is_empty() {
            return None;
        }
        let method = if asked.method == "HEAD" { "HEAD" } else { "GET" };
        let asked = Asked { method, ..*asked };
        let incoming =
            Incoming { asked, from, body: Announced::Nothing, expects: false, websocket: false };
        let root = Checked {
            host: "".into(),
            authority: checked.authority,
            path: "/".into(),
            query: None,
        };
        let told = self.told(&incoming);
        let added = Added {
            incoming: &incoming,
            via: &self.via,
            told: told.as_ref(),
            lines: &[],
            closes: false,
            request_id: routed.request_id,
            host: None,
            prefix: None,
            withheld: &pages.withheld,
            http2: false,
        };
        let mut head = Vec::new();
        forward::to_upstream(&mut head, &root, &added);
        let uri = match checked.query {
            Some(query) => format!("{}?{query}", checked.path),
            None => checked.path.to_string(),
        };
        add(&mut head, &[("X-Original-URI", uri.as_bytes())]);
        said(&mut head, (pages, &routed.target), &incoming);
        let (policy, pages) = (Arc::clone(policy), Arc::clone(pages));
        Some(Rc::new(Page { policy, pages, port, head }))
    }
}

/// Tells a backend for whom it stands in, since that has no endpoint; `head` is the request's own.
pub(crate) fn tell(
    head: &mut Vec<u8>,
    (page, target): (&Page, &Target<Arc<Port>>),
    incoming: &Incoming<'_>,
) {
    add(head, &[("X-Code", b"503")]);
    said(head, (&page.pages, target), incoming);
}

/// Adds what both kinds of request say.
fn said(
    head: &mut Vec<u8>,
    (pages, target): (&ErrorPages, &Target<Arc<Port>>),
    incoming: &Incoming<'_>,
) {
    if let Some(format) = incoming.asked.fields.first("accept") {
        add(head, &[("X-Format", format)]);
    }
    let ingress = &pages.ingress;
    add(
        head,
        &[
            ("X-Namespace", ingress.namespace.as_bytes()),
            ("X-Ingress-Name", ingress.name.as_bytes()),
        ],
    );
    if let Target::Port(port) = target {
        let number = port.number().to_string();
        let service = port.state.id.service.name.as_bytes();
        add(head, &[("X-Service-Name", service), ("X-Service-Port", number.as_bytes())]);
    }
}

/// Adds fields at the end of a head.
fn add(head: &mut Vec<u8>, fields: &[(&str, &[u8])]) {
    head.truncate(head.len().saturating_sub(END.len()));
    for (name, value) in fields {
        line(head, name.as_bytes(), value);
    }
    head.extend_from_slice(END);
}

impl Terms {
    /// Those of a request to another backend than the location's: in the clear, and replaced by
    /// nobody.
    pub(crate) fn aside(policy: &Arc<Policy>, edits: Edits) -> Self {
        Self {
            policy: Arc::clone(policy),
            edits,
            permit: None,
            secured: None,
            session: None,
            coding: None,
            copy: None,
            lead: Lead::Turn,
            page: None,
            is_aside: true,
        }
    }
}

/// The end of a head.
const END: &[u8] = b"\r\n";
