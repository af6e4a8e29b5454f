//! Certificates, parsed and paired with their keys.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use rustls::sign::CertifiedKey;

use crate::model::ObjectName;

/// Which certificate a TLS handshake gets (`ingress 1.6`): exact name, one-label wildcard, default.
#[derive(Clone, Debug, Default)]
pub struct CertificateTable {
    /// By lower-case host name.
    pub exact: HashMap<Arc<str>, Arc<Certificate>, foldhash::fast::RandomState>,
    /// By lower-case suffix of `*.suffix`.
    pub wildcard: HashMap<Arc<str>, Arc<Certificate>, foldhash::fast::RandomState>,
    /// For no SNI and for names without a certificate; none only before the first snapshot.
    pub default: Option<Arc<Certificate>>,
}

impl CertificateTable {
    /// The certificate for a server name, already lower case and without a trailing dot.
    pub fn find(&self, server_name: Option<&str>) -> Option<&Arc<Certificate>> {
        let named = server_name.and_then(|name| {
            let suffix = name.split_once('.').map(|(_, suffix)| suffix);
            self.exact.get(name).or_else(|| self.wildcard.get(suffix?))
        });
        named.or(self.default.as_ref())
    }
}

/// A chain and the key that fits it.
#[derive(Clone)]
pub struct Certificate {
    /// The Secret it came from; none for portico's own self-signed default.
    pub secret: Option<ObjectName>,
    /// Chain and signing key; never printed.
    pub key: Arc<CertifiedKey>,
    /// End of validity of the leaf, in seconds since 1970.
    pub not_after_seconds: i64,
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate")
            .field("secret", &self.secret)
            .field("not_after_seconds", &self.not_after_seconds)
            .finish_non_exhaustive()
    }
}
