//! What is listened on, in the form that users see: readiness, the API, the start-up lines.

use std::net::SocketAddr;

/// One listener of any plane.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ListenerStatus {
    /// What it is for: `http`, `https`, `dns`, `admin`, `ClusterIP`, `NodePort`.
    pub role: &'static str,
    /// Where.
    pub address: SocketAddr,
    /// `tcp` or `udp`.
    pub protocol: &'static str,
    /// What it serves, where that has a name: `default/web:http/TCP`.
    pub serves: Option<String>,
    /// How it is.
    pub state: ListenerState,
}

/// A listener's life: `Serving ─drain─▶ Draining`, or `Degraded` until a retry succeeds.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ListenerState {
    /// Accepting.
    Serving,
    /// Not bound; tried again. Reason and remedy in words.
    Degraded(String),
    /// Accepts nothing new, what is open goes on.
    Draining,
}
