//! Whom to ask whether a request may pass, and what is taken from the answer (`ingress 2.4`:
//! `auth-url`).
//!
//! Typed and complete; asking is `proxy::l7`'s work. Invariants: names of fields are letters, digits
//! and `-`, and none that frames a message or that portico writes itself; values are visible ASCII,
//! blanks and tabs.

use super::name::ObjectName;
use super::template::Template;

/// A service that is asked before a request goes on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ExternalAuth {
    /// Where it is.
    pub place: AuthPlace,
    /// Whether its URL begins with `https`.
    pub tls: bool,
    /// Whether settings list its host: then it may be of this machine's surroundings.
    pub listed: bool,
    /// Whether its certificate is verified; only for TLS outside.
    pub verifies: bool,
    /// Host and port of its URL.
    pub authority: Template,
    /// Path and query of its URL.
    pub target: Template,
    /// `auth-method`; none: GET, and less is said of the request.
    pub method: Option<Box<str>>,
    /// `auth-proxy-set-headers`: fields of the question, in place of the client's.
    pub fields: Box<[(Box<str>, Box<str>)]>,
    /// `auth-request-redirect`: the value of `X-Auth-Request-Redirect`; none: path and query.
    pub redirect: Option<Template>,
    /// `auth-response-headers`: fields of the answer that take the place of the client's.
    pub response_fields: Box<[Box<str>]>,
    /// `auth-always-set-cookie`: its cookies go to the client whatever the status.
    pub always_sets_cookies: bool,
    /// Where who is not known is sent; none: 401.
    pub sign_in: Option<SignIn>,
}

/// Where the service is that is asked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum AuthPlace {
    /// A port of a Service.
    Service(ServiceAddress),
    /// A host of an Ingress, or this host and port outside.
    Host(Box<str>, u16),
    /// A host of an Ingress alone: which one is up to the request.
    OwnHost,
}

/// A port of a Service by its number.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct ServiceAddress {
    /// The Service.
    pub service: ObjectName,
    /// `ServicePort.port`.
    pub port: u16,
}

/// `auth-signin`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SignIn {
    /// The URL, without what follows.
    pub url: Template,
    /// The parameter that says where to return; none: the URL has it already.
    pub parameter: Option<Box<str>>,
}
