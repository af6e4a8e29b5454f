//! How a client's handshake is made: which certificate it gets, by SNI, from the view of the moment
//! (`ingress 1.6`), whether it is asked for one of its own, and which cipher suites there are for it.
//!
//! Invariant: tickets of one host's way to ask for certificates are good for no other
//! (`http-proxy 7.4`), and neither are those of other suites: each has a configuration of its own, for as long as
//! what it was made for is in use.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use arc_swap::ArcSwap;
use portico_config::model::{Certificate, ClientAuth, HostSuites, Wants};
use portico_config::snapshot::CertificateTable;
use portico_net::dev_ca::DevCa;
use portico_net::tls_accept::{Particulars, particular_config, server_config};
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
    /// For hosts that ask for nothing.
    plain: Arc<ServerConfig>,
    /// For the others; locked for each of their handshakes, and no other.
    particular: Mutex<HashMap<Key, Particular>>,
}

/// What hosts must have in common to share tickets.
#[derive(Debug, Eq, Hash, PartialEq)]
struct Key {
    /// Where their authorities are, and whether others will do.
    clients: Option<(usize, bool)>,
    suites: Option<HostSuites>,
}

/// A configuration, and what it is for.
#[derive(Debug)]
struct Particular {
    authorities: Option<Weak<RootCertStore>>,
    suites: Option<Weak<HostSuites>>,
    config: Arc<ServerConfig>,
}

impl Particular {
    fn is_in_use(&self) -> bool {
        let has_authorities = self
            .authorities
            .as_ref()
            .is_none_or(|it| it.strong_count() > 0);
        has_authorities && self.suites.as_ref().is_none_or(|it| it.strong_count() > 0)
    }
}

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
        Ok(Self { certificates, plain, particular: Mutex::default() })
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

    /// For a host that asks so. One whose authorities are missing asks for no certificate: it lets nobody in.
    pub(crate) fn particular(
        &self,
        auth: Option<&ClientAuth>,
        suites: Option<&Arc<HostSuites>>,
    ) -> Result<Arc<ServerConfig>, rustls::Error> {
        let is_any = auth.is_some_and(|auth| auth.wants == Wants::Unverified);
        let authorities = auth
            .and_then(|auth| auth.authorities.as_ref())
            .map(|it| &it.0);
        if authorities.is_none() && suites.is_none() {
            return Ok(Arc::clone(&self.plain));
        }
        let clients = authorities.map(|it| (Arc::as_ptr(it) as usize, is_any));
        let key = Key { clients, suites: suites.map(|it| HostSuites::clone(it)) };
        let mut all = self
            .particular
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let (held, suites_held) = (authorities.map(Arc::downgrade), suites.map(Arc::downgrade));
        if let Some(known) = all.get_mut(&key) {
            let before = known.authorities.as_ref().map(Weak::upgrade);
            // An address may be another's by now.
            let is_same = match (before, authorities) {
                (Some(before), Some(now)) => before.is_some_and(|it| Arc::ptr_eq(&it, now)),
                (before, now) => before.is_none() && now.is_none(),
            };
            if is_same {
                // An edit may have made the same anew.
                known.suites = suites_held;
                return Ok(Arc::clone(&known.config));
            }
        }
        all.retain(|_, particular| particular.is_in_use());
        let particulars = Particulars {
            clients: authorities.map(|it| (!is_any).then_some(&**it)),
            suites: suites.map_or(&[], |it| &it.suites),
            own_order: suites.is_some_and(|it| it.own_order),
        };
        let certificates = Arc::clone(&self.certificates);
        let config = particular_config(certificates as _, PROTOCOLS, &particulars)?;
        let (authorities, suites, made) = (held, suites_held, Arc::clone(&config));
        all.insert(key, Particular { authorities, suites, config: made });
        Ok(config)
    }
}

/// Offered by ALPN.
const PROTOCOLS: &[&[u8]] = &[b"h2", b"http/1.1"];
