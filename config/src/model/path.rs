//! How an Ingress path is compared.

/// `networking/v1 HTTPIngressPath.pathType`; ImplementationSpecific without a regex is Prefix.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum PathKind {
    /// Equal text, case-sensitive.
    Exact,
    /// Equal elements split by `/`, case-sensitive.
    Prefix,
    /// The begin of the text, case-sensitive: of hosts in nginx mode alone (`ingress 2.2`).
    Text,
}

impl PathKind {
    /// Whether a path in its normal form belongs to one that is `written` so and is no pattern
    /// (`ingress 1.3`).
    #[inline]
    pub fn holds(self, written: &str, path: &str) -> bool {
        match self {
            Self::Exact => *written == *path,
            Self::Text => path.starts_with(written),
            Self::Prefix => {
                let prefix = written.strip_suffix('/').unwrap_or(written);
                path.strip_prefix(prefix)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            }
        }
    }
}
