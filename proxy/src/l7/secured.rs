//! TLS to endpoints: which requests may share a connection, and the handshakes of one worker
//! (`http-proxy 5.1`, `7.9`).
//!
//! A name counts only where it is sent or verified, so that requests for many hosts share a
//! connection where nobody looks at it. A change of a Secret is another [`Secured`]: connections made
//! before are never taken again, and age out.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use portico_config::model::{BackendTls, Policy};
use portico_net::tls_dial::{self, ClientStream, ClientTls, Manner};
use rustls::SupportedProtocolVersion;
use rustls::version::{TLS12, TLS13};
use tokio::net::TcpStream;

use super::watch::Ticker;

/// What a connection must have been made with to carry a request.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Secured {
    tls: Arc<BackendTls>,
    /// Whom the endpoint must be; none: nobody looks.
    name: Option<Box<str>>,
}

impl Secured {
    /// As `tls` says, with a server of this name, or that nobody looks at.
    pub(crate) fn new(tls: Arc<BackendTls>, name: Option<Box<str>>) -> Self {
        Self { tls, name }
    }

    /// What `policy` asks for a request; `host`: what the backend gets as Host.
    pub(crate) fn of(
        policy: &Policy,
        came_by_tls: bool,
        host: impl FnOnce() -> Option<String>,
    ) -> Option<Rc<Self>> {
        let tls = policy.backend_tls.as_ref()?;
        if policy.backend_as_client && !came_by_tls {
            return None;
        }
        let name = if tls.needs_name() { host() } else { None };
        let name = name.map(|host| bare(&host).to_ascii_lowercase().into());
        Some(Rc::new(Self { tls: Arc::clone(tls), name }))
    }

    /// Whether a handshake may have failed for what the client calls its host.
    pub(crate) fn depends_on_name(&self) -> bool {
        self.name.is_some()
    }
}

/// A host without its port, brackets and final dot.
pub(super) fn bare(host: &str) -> &str {
    if let Some((address, _)) = host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return address;
    }
    let name = host.split_once(':').map_or(host, |(name, _)| name);
    name.strip_suffix('.').unwrap_or(name)
}

/// How handshakes are made: one for each way that backends are spoken to, so that sessions are
/// resumed.
#[derive(Default)]
pub(crate) struct Handshakes {
    made: RefCell<HashMap<Arc<BackendTls>, (ClientTls, u32), foldhash::fast::RandomState>>,
}

impl Handshakes {
    /// Makes the handshake over a connection to `endpoint`. The caller brings the time it may take.
    pub(crate) async fn dial(
        &self,
        stream: TcpStream,
        endpoint: SocketAddr,
        secured: &Secured,
        ticker: &Ticker,
    ) -> io::Result<ClientStream> {
        let tls = self.find(&secured.tls, ticker.now())?;
        tls_dial::dial(stream, &tls, secured.name.as_deref(), endpoint.ip()).await
    }

    fn find(&self, tls: &Arc<BackendTls>, now: u32) -> io::Result<ClientTls> {
        let mut made = self.made.borrow_mut();
        if let Some((found, used)) = made.get_mut(tls) {
            *used = now;
            return Ok(found.clone());
        }
        let manner = Manner {
            trust: tls
                .authorities
                .as_ref()
                .map(|authorities| (&authorities.0, tls.depth)),
            identity: tls.identity.as_ref().map(|identity| &identity.0.key),
            sends_name: tls.sends_name,
            versions: versions(tls),
            suites: &tls.suites,
            protocols: if tls.http2 { &[b"h2"] } else { &[b"http/1.1"] },
        };
        let new = ClientTls::with(&manner).map_err(io::Error::other)?;
        if made.len() < MAX_KEPT {
            made.insert(Arc::clone(tls), (new.clone(), now));
        }
        Ok(new)
    }

    /// Forgets those that nobody used for long; called at each tick.
    pub(crate) fn sweep(&self, now: u32) {
        let mut made = self.made.borrow_mut();
        made.retain(|_, (_, used)| now.wrapping_sub(*used) <= MAX_UNUSED_TICKS);
    }
}

fn versions(tls: &BackendTls) -> &'static [&'static SupportedProtocolVersion] {
    match (tls.versions.v1_2, tls.versions.v1_3) {
        (true, false) => &OLD,
        (false, true) => &NEW,
        _ => &BOTH,
    }
}

static OLD: [&SupportedProtocolVersion; 1] = [&TLS12];
static NEW: [&SupportedProtocolVersion; 1] = [&TLS13];
static BOTH: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];
/// More ways than these are made anew for each connection.
const MAX_KEPT: usize = 1_024;
/// Ten minutes.
const MAX_UNUSED_TICKS: u32 = 600;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_host_without_what_is_not_of_it() {
        for (host, want) in [
            ("a.test", "a.test"),
            ("a.test:8443", "a.test"),
            ("a.test.", "a.test"),
            ("127.0.0.1:443", "127.0.0.1"),
            ("[::1]:443", "::1"),
            ("[::1]", "::1"),
        ] {
            assert_eq!(bare(host), want, "{host}");
        }
    }

    #[test]
    fn only_names_that_count_part_connections() {
        let of = |tls: &Arc<BackendTls>, host: &str| {
            let policy = Policy { backend_tls: Some(Arc::clone(tls)), ..Policy::default() };
            Secured::of(&policy, true, || Some(host.to_owned())).unwrap()
        };
        let silent = Arc::default();
        assert_eq!(of(&silent, "a.test"), of(&silent, "b.test"), "http-proxy 5.1");
        let sends = Arc::new(BackendTls { sends_name: true, ..BackendTls::default() });
        assert_ne!(of(&sends, "a.test"), of(&sends, "b.test"), "http-proxy 5.1");
        assert_eq!(of(&sends, "A.test:443"), of(&sends, "a.test"));
        assert_ne!(of(&sends, "a.test"), of(&silent, "a.test"));
    }

    #[test]
    fn auto_http_is_as_the_client_came() {
        let policy = Policy {
            backend_tls: Some(Arc::default()),
            backend_as_client: true,
            ..Policy::default()
        };
        assert!(Secured::of(&policy, true, || None).is_some(), "ingress 2.4");
        assert!(Secured::of(&policy, false, || None).is_none(), "ingress 2.4");
        assert!(Secured::of(&Policy::default(), true, || None).is_none());
    }
}
