//! Where copies of requests go (`ingress 2.5`: `mirror-target`).
//!
//! Typed and complete; copying is `proxy::l7`'s work. Invariant: where a copy goes is up to the
//! configuration, and only what it asks for there is up to the request.

use super::external_auth::AuthPlace;
use super::template::Template;

/// Where the copy of a request goes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Mirror {
    /// Where that is: a Service, a host of an Ingress, or one outside.
    pub place: AuthPlace,
    /// Whether its URL begins with `https`.
    pub tls: bool,
    /// Whether settings list its host: then it may be of this machine's surroundings.
    pub listed: bool,
    /// Host and port of its URL.
    pub authority: Box<str>,
    /// What the copy has as Host: `mirror-host`, or else that.
    pub host: Box<str>,
    /// Path and query.
    pub target: Template,
    /// `mirror-request-body`: whether the copy has the request's body.
    pub with_body: bool,
}
