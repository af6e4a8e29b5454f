//! `meta/v1`: what every object carries.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::nullable;

/// `ObjectMeta`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct ObjectMeta {
    /// Name, unique within kind and namespace.
    #[serde(deserialize_with = "nullable")]
    pub(crate) name: String,
    /// Prefix of a name that an API server would make up; portico asks for a name.
    pub(crate) generate_name: Option<String>,
    /// Namespace; empty or absent: `default`.
    pub(crate) namespace: Option<String>,
    /// Tells an object from others that had its name.
    pub(crate) uid: Option<String>,
    /// Labels.
    #[serde(deserialize_with = "nullable")]
    pub(crate) labels: BTreeMap<String, String>,
    /// Annotations.
    #[serde(deserialize_with = "nullable")]
    pub(crate) annotations: BTreeMap<String, String>,
    /// Counts changes of the specification.
    pub(crate) generation: Option<i64>,
    /// Counts changes of anything; a number in every API server that there is.
    pub(crate) resource_version: Option<String>,
    /// RFC 3339; orders objects that claim the same thing.
    pub(crate) creation_timestamp: Option<String>,
    /// Set while the object is being deleted.
    pub(crate) deletion_timestamp: Option<String>,
}

impl ObjectMeta {
    /// The namespace, `default` where the manifest is silent.
    pub(crate) fn namespace_or_default(&self) -> &str {
        self.namespace
            .as_deref()
            .filter(|namespace| !namespace.is_empty())
            .unwrap_or("default")
    }
}
