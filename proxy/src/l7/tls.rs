//! How a client's handshake is made: which certificate it gets, by SNI, from the view of the moment
//! (`ingress 1.6`), and whether it is asked for one of its own.
//!
//! Invariant: tickets of one host's way to ask for certificates are good for no other
//! (`http-proxy 7.4`): each has a configuration of its own, for as long as its authorities are in use.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use arc_swap::ArcSwap;
use portico_config::model::{Certificate, ClientAuth, Wants};
use portico_config::snapshot::CertificateTable;
use portico_net::dev_ca::DevCa;
use portico_net::tls_accept::{asking_config, server_config};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig};

use super::route;
use crate::view::View;

/// Certificates of whatever view serves when the handshake comes.
struct Certificates {
    view: Arc<ArcSwap<View>>,
    /// Who signs for hosts of Ingresses that have none (`--dev-tls`).
    ca: Option<Arc<DevCa>>,
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
        let table = &view.certificates;
        let found = table.find(name.as_deref());
        let is_default = is_default(table, found);
        // Names that a client made up get nothing that costs a signature.
        if let (Some(ca), Some(name)) = (&self.ca, &name)
            && is_default
            && route::has_host(&view.routes, name)
            && let Some(issued) = ca.issue(name)
        {
            return Some(issued);
        }
        found.map(|found| Arc::clone(&found.key))
    }
}

/// The configurations of all workers: a ticket of one is good at the other.
#[derive(Debug)]
pub(crate) struct Tls {
    certificates: Arc<Certificates>,
    /// For hosts that ask for no certificate.
    pub(crate) plain: Arc<ServerConfig>,
    /// For the others; locked for each of their handshakes, and no other.
    asking: Mutex<HashMap<Key, Asking>>,
}

/// What hosts must have in common to share tickets: their authorities, and whether others will do.
type Key = (usize, bool);
/// Whose they are, and the configuration.
type Asking = (Weak<RootCertStore>, Arc<ServerConfig>);

/// Whether what was found for a name is what all names without a certificate have.
fn is_default(table: &CertificateTable, found: Option<&Arc<Certificate>>) -> bool {
    match (found, &table.default) {
        (Some(found), Some(default)) => Arc::ptr_eq(found, default),
        (found, _) => found.is_none(),
    }
}

impl Tls {
    /// Over the views in `view`; `ca` signs for hosts without a certificate.
    pub(crate) fn new(
        view: &Arc<ArcSwap<View>>,
        ca: Option<&Arc<DevCa>>,
    ) -> Result<Self, rustls::Error> {
        let ca = ca.map(Arc::clone);
        let certificates = Arc::new(Certificates { view: Arc::clone(view), ca });
        let plain = server_config(Arc::clone(&certificates) as _, PROTOCOLS)?;
        Ok(Self { certificates, plain, asking: Mutex::default() })
    }

    /// Whether the certificate for a name, in lower case, is one that somebody put into a Secret, and
    /// none of portico's own making: those are gone one day (decision 10).
    pub(crate) fn is_of_secret(&self, name: Option<&str>) -> bool {
        let view = self.certificates.view.load();
        let found = view.certificates.find(name);
        let is_default = is_default(&view.certificates, found);
        let is_made = is_default && self.certificates.ca.is_some();
        found.is_some_and(|found| found.secret.is_some()) && !is_made
    }

    /// For a host that asks so. One whose authorities are missing asks for nothing: it lets nobody in.
    pub(crate) fn asking(&self, auth: &ClientAuth) -> Result<Arc<ServerConfig>, rustls::Error> {
        let Some(authorities) = &auth.authorities else { return Ok(Arc::clone(&self.plain)) };
        let is_any = auth.wants == Wants::Unverified;
        let key = (Arc::as_ptr(&authorities.0) as usize, is_any);
        let mut all = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        // An address may be another's by now.
        if let Some((of, config)) = all.get(&key)
            && of
                .upgrade()
                .is_some_and(|of| Arc::ptr_eq(&of, &authorities.0))
        {
            return Ok(Arc::clone(config));
        }
        all.retain(|_, (of, _)| of.strong_count() > 0);
        let hints = (!is_any).then_some(&*authorities.0);
        let config = asking_config(Arc::clone(&self.certificates) as _, PROTOCOLS, hints)?;
        all.insert(key, (Arc::downgrade(&authorities.0), Arc::clone(&config)));
        Ok(config)
    }
}

/// Offered by ALPN.
const PROTOCOLS: &[&[u8]] = &[b"h2", b"http/1.1"];
