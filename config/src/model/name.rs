//! How objects are named: `namespace/name`, and with their kind where kinds mix.

use std::fmt;
use std::sync::Arc;

/// A namespaced object's name: `namespace/name`, unique within one kind.
///
/// Ordered by namespace, then name: the order in which ties between objects are broken.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ObjectName {
    /// `metadata.namespace`, `default` where the manifest is silent.
    pub namespace: Arc<str>,
    /// `metadata.name`.
    pub name: Arc<str>,
}

impl ObjectName {
    /// Joins the two parts; neither is checked here, `validate` does that.
    pub fn new(namespace: impl Into<Arc<str>>, name: impl Into<Arc<str>>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// An object of any kind, as diagnostics name it: `Service default/web`, `Node node1`.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ObjectRef {
    /// `apiVersion`, such as `v1` or `networking.k8s.io/v1`.
    pub api_version: Arc<str>,
    /// `kind`, such as `Service`.
    pub kind: Arc<str>,
    /// `metadata.namespace`; none for cluster-scoped kinds.
    pub namespace: Option<Arc<str>>,
    /// `metadata.name`.
    pub name: Arc<str>,
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{} {namespace}/{}", self.kind, self.name),
            None => write!(f, "{} {}", self.kind, self.name),
        }
    }
}
