//! Which certificate DNS over TLS shows (RFC 7858): that of the Secret which settings name, else by
//! the client's server name like Ingress, from the snapshot of the moment.

use std::sync::Arc;

use arc_swap::ArcSwap;
use portico_config::snapshot::CertificateTable;
use portico_net::tls_accept::server_config;
use rustls::ServerConfig;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// The certificates that serve when a handshake comes.
struct Certificates(Arc<ArcSwap<CertificateTable>>);

impl std::fmt::Debug for Certificates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificates").finish_non_exhaustive()
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let table = self.0.load();
        // rustls gives names as DNS names only, but in the client's letters.
        let name = hello
            .server_name()
            .map(|name| name.trim_end_matches('.').to_ascii_lowercase());
        let found = table.dns.as_ref().or_else(|| table.find(name.as_deref()))?;
        Some(Arc::clone(&found.key))
    }
}

/// How a worker makes handshakes: ALPN `dot` is accepted and not asked for.
pub(crate) fn config(certificates: &Arc<ArcSwap<CertificateTable>>) -> Arc<ServerConfig> {
    let certificates = Arc::new(Certificates(Arc::clone(certificates)));
    server_config(certificates, &[b"dot"]).expect("the provider has its own defaults")
}
