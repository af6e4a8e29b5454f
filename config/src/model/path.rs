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
