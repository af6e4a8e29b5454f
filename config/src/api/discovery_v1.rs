//! `discovery.k8s.io/v1`: EndpointSlice.

use serde::Deserialize;

use super::core_v1::{EndpointPort, TargetRef};
use super::{meta::ObjectMeta, nullable};

/// `EndpointSlice`; joins its Service by the label `kubernetes.io/service-name` alone.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct EndpointSlice {
    pub(crate) metadata: ObjectMeta,
    pub(crate) address_type: Option<String>,
    #[serde(deserialize_with = "nullable")]
    pub(crate) endpoints: Vec<Endpoint>,
    #[serde(deserialize_with = "nullable")]
    pub(crate) ports: Vec<EndpointPort>,
}

/// `Endpoint`; only the first address is used.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Endpoint {
    #[serde(deserialize_with = "nullable")]
    pub(crate) addresses: Vec<String>,
    #[serde(deserialize_with = "nullable")]
    pub(crate) conditions: EndpointConditions,
    pub(crate) hostname: Option<String>,
    pub(crate) node_name: Option<String>,
    pub(crate) zone: Option<String>,
    pub(crate) target_ref: Option<TargetRef>,
    pub(crate) hints: Option<EndpointHints>,
}

/// `EndpointHints`: for whom an endpoint is meant.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct EndpointHints {
    #[serde(deserialize_with = "nullable")]
    pub(crate) for_zones: Vec<NamedHint>,
    #[serde(deserialize_with = "nullable")]
    pub(crate) for_nodes: Vec<NamedHint>,
}

/// `ForZone` or `ForNode`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
pub(crate) struct NamedHint {
    #[serde(deserialize_with = "nullable")]
    pub(crate) name: String,
}

/// `EndpointConditions`; each absent value has its own default: true, true, false.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct EndpointConditions {
    pub(crate) ready: Option<bool>,
    pub(crate) serving: Option<bool>,
    pub(crate) terminating: Option<bool>,
}
