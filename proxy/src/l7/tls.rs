//! Which certificate a handshake gets: by SNI, from the view of the moment (`ingress 1.6`).

use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::view::View;

/// Certificates of whatever view serves when the handshake comes.
struct Certificates {
    view: Arc<ArcSwap<View>>,
}

impl std::fmt::Debug for Certificates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificates").finish_non_exhaustive()
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        // rustls gives names as DNS names only, but in the client's letters.
        let name = hello
            .server_name()
            .map(|name| name.trim_end_matches('.').to_ascii_lowercase());
        let view = self.view.load();
        view.certificates
            .find(name.as_deref())
            .map(|found| Arc::clone(&found.key))
    }
}

/// The one configuration of all workers: a ticket of one is good at the other.
pub(crate) fn config(view: &Arc<ArcSwap<View>>) -> Result<Arc<ServerConfig>, rustls::Error> {
    let certificates = Arc::new(Certificates { view: Arc::clone(view) });
    portico_net::tls_accept::server_config(certificates, &[b"h2", b"http/1.1"])
}
