//! A certificate paired with its key; printed nowhere.

use std::fmt;
use std::sync::Arc;

use rustls::sign::CertifiedKey;

use super::{HostPattern, ObjectName};

/// A chain and the key that fits it.
#[derive(Clone)]
pub struct Certificate {
    /// The Secret it came from; none for portico's own self-signed default.
    pub secret: Option<ObjectName>,
    /// Chain and signing key; never printed.
    pub key: Arc<CertifiedKey>,
    /// The names that the leaf is for; empty: it does not say.
    pub names: Vec<HostPattern>,
    /// Beginning of validity of the leaf, in seconds since 1970.
    pub not_before_seconds: i64,
    /// End of validity of the leaf, in seconds since 1970.
    pub not_after_seconds: i64,
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate")
            .field("secret", &self.secret)
            .field("not_before_seconds", &self.not_before_seconds)
            .field("not_after_seconds", &self.not_after_seconds)
            .finish_non_exhaustive()
    }
}
