//! What is listened on, in the form that users see: readiness, the API, the start-up lines.

use std::fmt;
use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::Arc;

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

/// `ClusterIP 127.96.0.7:3307/tcp default/mi-bbdd-wp:/TCP`.
impl fmt::Display for ListenerStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.role, self.address, self.protocol)?;
        match &self.serves {
            Some(serves) => write!(f, " {serves}"),
            None => Ok(()),
        }
    }
}

/// The listeners of a plane at one moment: passed on without a copy, and told from another
/// without a look inside.
#[derive(Clone, Debug, Default)]
pub struct ListenerList(Arc<Vec<Arc<ListenerStatus>>>);

impl ListenerList {
    /// A new list.
    pub fn new(all: Vec<Arc<ListenerStatus>>) -> Self {
        Self(Arc::new(all))
    }

    /// Whether nothing changed between the two.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Deref for ListenerList {
    type Target = [Arc<ListenerStatus>];

    fn deref(&self) -> &Self::Target {
        &self.0
    }
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
