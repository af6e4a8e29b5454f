//! TLS to backends: whom portico believes, what it shows, and how it speaks (`ingress 2.4`,
//! `http-proxy 7.9`).
//!
//! Two values are equal where a connection made for one may serve the other: authorities and
//! certificates are compared by identity, and a Secret whose content stays keeps its own.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use rustls::RootCertStore;

use super::Certificate;

/// How a handshake with a backend is made.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct BackendTls {
    /// Who must have signed the backend's certificate; none: any certificate is taken.
    pub authorities: Option<Same<RootCertStore>>,
    /// How many certificates may stand between the backend's and an authority, `0..=6`.
    pub depth: u8,
    /// What is shown to a backend that asks.
    pub identity: Option<Same<Certificate>>,
    /// Whether the name is sent (SNI).
    pub sends_name: bool,
    /// Which versions are offered; at least one.
    pub versions: TlsVersions,
    /// The only cipher suites of their versions, by IANA number; a version without one here has all
    /// of its own.
    pub suites: Box<[u16]>,
    /// Whether HTTP/2 is agreed on, rather than HTTP/1.1 (ALPN).
    pub http2: bool,
}

/// A certificate of whomever, no name, TLS 1.2 and 1.3.
impl Default for BackendTls {
    fn default() -> Self {
        Self {
            authorities: None,
            depth: 1,
            identity: None,
            sends_name: false,
            versions: TlsVersions::default(),
            suites: Box::default(),
            http2: false,
        }
    }
}

impl BackendTls {
    /// Whether the name that was asked for matters to the handshake.
    pub fn needs_name(&self) -> bool {
        self.sends_name || self.authorities.is_some()
    }
}

/// Which versions are offered.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct TlsVersions {
    /// TLS 1.2.
    pub v1_2: bool,
    /// TLS 1.3.
    pub v1_3: bool,
}

impl Default for TlsVersions {
    fn default() -> Self {
        Self { v1_2: true, v1_3: true }
    }
}

/// Something that equals nothing but itself.
#[derive(Debug)]
pub struct Same<T>(pub Arc<T>);

impl<T> Clone for Same<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> PartialEq for Same<T> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl<T> Eq for Same<T> {}

impl<T> Hash for Same<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.0).hash(state);
    }
}
