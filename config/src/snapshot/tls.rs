//! Which certificate serves which host name.

use std::collections::HashMap;
use std::sync::Arc;

use crate::model::Certificate;

/// Which certificate a TLS handshake gets (`ingress 1.6`): exact name, one-label wildcard, default.
#[derive(Clone, Debug, Default)]
pub struct CertificateTable {
    /// By lower-case host name.
    pub exact: HashMap<Arc<str>, Arc<Certificate>, foldhash::fast::RandomState>,
    /// By lower-case suffix of `*.suffix`.
    pub wildcard: HashMap<Arc<str>, Arc<Certificate>, foldhash::fast::RandomState>,
    /// Of DNS over TLS, where settings name a Secret for it.
    pub dns: Option<Arc<Certificate>>,
    /// For no SNI and for names without a certificate; none only before the first snapshot.
    pub default: Option<Arc<Certificate>>,
}

impl CertificateTable {
    /// Whether a name has a certificate other than the default one.
    pub(crate) fn is_for(&self, name: &str) -> bool {
        let suffix = name.split_once('.').map_or("", |(_, suffix)| suffix);
        self.exact.contains_key(name) || self.wildcard.contains_key(suffix)
    }

    /// The certificate for a server name, already lower case and without a trailing dot.
    pub fn find(&self, server_name: Option<&str>) -> Option<&Arc<Certificate>> {
        let named = server_name.and_then(|name| {
            let suffix = name.split_once('.').map(|(_, suffix)| suffix);
            self.exact.get(name).or_else(|| self.wildcard.get(suffix?))
        });
        named.or(self.default.as_ref())
    }
}
