//! A client's connection over TLS, up to its first request: what the host that it names asks
//! (`ingress 2.4`: auth-tls-*, ssl-passthrough).
//!
//! ```text
//! ClientHello ─▶ host ─▶ passed on as it came │ handshake, with a certificate asked for or without ─▶ HTTP
//! ```
//!
//! Invariants: where no host asks anything, nothing is read before the handshake; what a connection
//! was made for is what its name says and nothing else.

use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

use portico_config::model::{ClientAuth, HostSuites};
use portico_net::tls_accept::{accept_by, deadline, hello};
use rustls::pki_types::UnixTime;
use tokio::net::TcpStream;
use tracing::debug;

use super::Worker;
use super::agreed::Agreed;
use super::clients::Shown;
use super::connection::Shaking;
use super::forward::Peer;
use super::h1::server::Connection;
use super::h2;
use super::metrics::Refusal;
use super::passed::Passed;
use super::preface::Begun;
use super::route;
use super::tls::Tls;

/// A connection that is being served.
pub(super) type Served = Pin<Box<dyn Future<Output = ()>>>;

/// What a host asks of TLS.
#[derive(Default)]
struct Asked {
    clients: Option<Arc<ClientAuth>>,
    suites: Option<Arc<HostSuites>>,
    passed_to: Option<Passed>,
}

impl Worker {
    /// Makes the handshake of a connection over TLS, `handshake` being its places among those that go
    /// on; what serves it from there on, where anything does.
    pub(super) async fn secured(
        self: Rc<Self>,
        mut stream: TcpStream,
        tls: Arc<Tls>,
        mut from: Peer,
        handshake: Option<Shaking>,
    ) -> Option<Served> {
        let (by, mut begin, mut name) = (deadline(), Vec::new(), None);
        let mut asked = Asked::default();
        let looks = self.asks_of_tls();
        if looks {
            let Ok(hello) = hello(&mut stream, by).await else { return self.failed() };
            (begin, name) = (hello.bytes, hello.name);
            asked = self.asked(name.as_deref());
        }
        let Asked { clients, suites, passed_to } = asked;
        if let Some(passed) = passed_to {
            return Some(Box::pin(self.pass_on(stream, (begin, name), passed, from)));
        }
        let Ok(config) = tls.particular(clients.as_deref(), suites.as_ref()) else {
            return self.failed();
        };
        drop(suites);
        let stream = match accept_by(Begun::new(begin, stream), &config, by).await {
            Ok(stream) => stream,
            Err(error) => {
                debug!(peer = %from.client, %error, "TLS handshake failed");
                return self.failed();
            }
        };
        drop(handshake);
        let session = stream.get_ref().1;
        self.metrics.agreed(session);
        let named = session.server_name();
        let named = named.map(|name| name.trim_end_matches('.').to_ascii_lowercase());
        // One reader of the name must not see another one than the other.
        if looks && named != name {
            return self.failed();
        }
        if let Some(auth) = clients {
            from.shown = Some(Shown::of(auth, session.peer_certificates(), UnixTime::now()));
        }
        from.insists = tls.is_of_secret(named.as_deref());
        if self.access.is_some() {
            from.agreed = Some(Box::new(Agreed::of(session)));
        }
        let from = Rc::new(from);
        if session.alpn_protocol() == Some(b"h2") {
            return Some(h2::connection::serve(stream, self, from));
        }
        let mut connection = Connection::new(stream, &self, from);
        Some(Box::pin(async move { connection.run().await }))
    }

    /// Whether any host asks something before the handshake.
    fn asks_of_tls(&self) -> bool {
        self.view.borrow_mut().load().routes.asks_of_tls
    }

    fn asked(&self, name: Option<&str>) -> Asked {
        let mut view = self.view.borrow_mut();
        let view = view.load();
        let Some(host) = route::find_host(&view.routes, name.unwrap_or_default()) else {
            return Asked::default();
        };
        Asked {
            clients: host.clients.clone(),
            suites: host.suites.clone(),
            passed_to: host.passed_to.as_ref().map(|target| Passed {
                target: view.resolve(target),
                rule: route::within(host, "/").and_then(|way| way.3.map(Arc::clone)),
            }),
        }
    }

    /// Counts a handshake that came to nothing, which nothing serves.
    fn failed(&self) -> Option<Served> {
        self.metrics.refuse(true, Refusal::Tls);
        None
    }
}
