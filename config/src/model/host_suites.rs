//! Which cipher suites a host speaks with its clients, and whose order counts (`ingress 2.5`: ssl-ciphers,
//! ssl-prefer-server-ciphers).
//!
//! Words alone: `net::tls_accept` obeys. A handshake's server name says whose they are, as in nginx.

/// What handshakes with a host agree on.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct HostSuites {
    /// The only suites of their versions of TLS, by IANA number, the preferred one first; a version
    /// without one here has all of its own.
    pub suites: Box<[u16]>,
    /// Whether this order counts, and not the client's.
    pub own_order: bool,
}
