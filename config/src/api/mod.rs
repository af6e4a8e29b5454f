//! Kubernetes types, only the fields that portico uses, by API group.
//!
//! They say what a manifest says, no more: nothing here is checked, defaulted or resolved, and no
//! type knows where it stood. Absent and `null` are the same, as `kubectl` reads them. Unknown
//! fields are found by `decode`, not here.

pub(crate) mod meta;
pub(crate) mod core_v1;
pub(crate) mod discovery_v1;
pub(crate) mod networking_v1;

use std::sync::Arc;

use serde::{Deserialize, Deserializer};

use crate::model::{ObjectName, ObjectRef};

/// One decoded object.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Object {
    /// `v1 Service`.
    Service(Box<core_v1::Service>),
    /// `v1 Endpoints`.
    Endpoints(core_v1::Endpoints),
    /// `v1 Pod`.
    Pod(core_v1::Pod),
    /// `v1 Node`.
    Node(core_v1::Node),
    /// `v1 Namespace`.
    Namespace(core_v1::Namespace),
    /// `v1 Secret`.
    Secret(core_v1::Secret),
    /// `v1 ConfigMap`.
    ConfigMap(core_v1::ConfigMap),
    /// `discovery.k8s.io/v1 EndpointSlice`.
    EndpointSlice(discovery_v1::EndpointSlice),
    /// `networking.k8s.io/v1 Ingress`.
    Ingress(networking_v1::Ingress),
    /// `networking.k8s.io/v1 IngressClass`.
    IngressClass(networking_v1::IngressClass),
}

impl Object {
    /// The metadata of any kind.
    pub(crate) fn metadata(&self) -> &meta::ObjectMeta {
        match self {
            Self::Service(o) => &o.metadata,
            Self::Endpoints(o) => &o.metadata,
            Self::Pod(o) => &o.metadata,
            Self::Node(o) => &o.metadata,
            Self::Namespace(o) => &o.metadata,
            Self::Secret(o) => &o.metadata,
            Self::ConfigMap(o) => &o.metadata,
            Self::EndpointSlice(o) => &o.metadata,
            Self::Ingress(o) => &o.metadata,
            Self::IngressClass(o) => &o.metadata,
        }
    }

    /// `apiVersion` and `kind`.
    pub(crate) fn type_name(&self) -> (&'static str, &'static str) {
        match self {
            Self::Service(_) => ("v1", "Service"),
            Self::Endpoints(_) => ("v1", "Endpoints"),
            Self::Pod(_) => ("v1", "Pod"),
            Self::Node(_) => ("v1", "Node"),
            Self::Namespace(_) => ("v1", "Namespace"),
            Self::Secret(_) => ("v1", "Secret"),
            Self::ConfigMap(_) => ("v1", "ConfigMap"),
            Self::EndpointSlice(_) => ("discovery.k8s.io/v1", "EndpointSlice"),
            Self::Ingress(_) => ("networking.k8s.io/v1", "Ingress"),
            Self::IngressClass(_) => ("networking.k8s.io/v1", "IngressClass"),
        }
    }

    /// Whether objects of this kind live outside namespaces.
    pub(crate) fn is_cluster_scoped(&self) -> bool {
        matches!(self, Self::Node(_) | Self::Namespace(_) | Self::IngressClass(_))
    }

    /// Namespace (`default` where the manifest is silent) and name.
    pub(crate) fn name(&self) -> ObjectName {
        let metadata = self.metadata();
        let namespace = if self.is_cluster_scoped() { "" } else { metadata.namespace_or_default() };
        ObjectName::new(namespace, metadata.name.as_str())
    }

    /// The object as diagnostics name it.
    pub(crate) fn reference(&self) -> ObjectRef {
        let (api_version, kind) = self.type_name();
        let name = self.name();
        ObjectRef {
            api_version: api_version.into(),
            kind: kind.into(),
            namespace: (!self.is_cluster_scoped()).then_some(name.namespace),
            name: name.name,
        }
    }
}

/// Reads `null` as the type's default: `ports: null` is no ports.
pub(crate) fn nullable<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// An amount as it was written, as a number or as text: `4`, `3.5`, `3920m`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Quantity(pub(crate) String);

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Quantity;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a quantity")
            }
            fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Quantity, E> {
                Ok(Quantity(value.to_owned()))
            }
        }
        deserializer.deserialize_newtype_struct("Quantity", Visitor)
    }
}

/// A number or a name, as `targetPort` and backend ports are written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum IntOrString {
    /// A number as written; its range is checked by `validate`.
    Int(i64),
    /// A name; digits in quotes are a name too, as the API server reads them.
    String(Arc<str>),
}

impl<'de> Deserialize<'de> for IntOrString {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = IntOrString;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an integer or a string")
            }
            fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<IntOrString, E> {
                Ok(IntOrString::Int(value))
            }
            fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<IntOrString, E> {
                i64::try_from(value)
                    .map(IntOrString::Int)
                    .map_err(|_| E::custom("integer is too large"))
            }
            fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<IntOrString, E> {
                Ok(IntOrString::String(value.into()))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}
