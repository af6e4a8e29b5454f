//! `networking.k8s.io/v1`: Ingress and IngressClass.

use serde::Deserialize;

use super::core_v1::LoadBalancerStatus;
use super::{meta::ObjectMeta, nullable};

/// `Ingress`; of its status the addresses are read, which names may lead to.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Ingress {
    pub(crate) metadata: ObjectMeta,
    #[serde(deserialize_with = "nullable")]
    pub(crate) spec: IngressSpec,
    #[serde(deserialize_with = "nullable")]
    pub(crate) status: IngressStatus,
}

/// `IngressStatus`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct IngressStatus {
    #[serde(deserialize_with = "nullable")]
    pub(crate) load_balancer: LoadBalancerStatus,
}

/// `IngressSpec`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct IngressSpec {
    pub(crate) ingress_class_name: Option<String>,
    pub(crate) default_backend: Option<IngressBackend>,
    #[serde(deserialize_with = "nullable")]
    pub(crate) tls: Vec<IngressTls>,
    #[serde(deserialize_with = "nullable")]
    pub(crate) rules: Vec<IngressRule>,
}

/// `IngressTLS`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct IngressTls {
    #[serde(deserialize_with = "nullable")]
    pub(crate) hosts: Vec<String>,
    pub(crate) secret_name: Option<String>,
}

/// `IngressRule`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct IngressRule {
    pub(crate) host: Option<String>,
    pub(crate) http: Option<HttpIngressRuleValue>,
}

/// `HTTPIngressRuleValue`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct HttpIngressRuleValue {
    #[serde(deserialize_with = "nullable")]
    pub(crate) paths: Vec<HttpIngressPath>,
}

/// `HTTPIngressPath`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct HttpIngressPath {
    pub(crate) path: Option<String>,
    pub(crate) path_type: Option<String>,
    pub(crate) backend: IngressBackend,
}

/// `IngressBackend`: exactly one of its fields.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct IngressBackend {
    pub(crate) service: Option<IngressServiceBackend>,
    pub(crate) resource: Option<TypedLocalObjectReference>,
}

/// `IngressServiceBackend`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct IngressServiceBackend {
    #[serde(deserialize_with = "nullable")]
    pub(crate) name: String,
    pub(crate) port: Option<ServiceBackendPort>,
}

/// `ServiceBackendPort`: exactly one of its fields.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct ServiceBackendPort {
    pub(crate) name: Option<String>,
    pub(crate) number: Option<i64>,
}

/// `TypedLocalObjectReference`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct TypedLocalObjectReference {
    pub(crate) api_group: Option<String>,
    pub(crate) kind: Option<String>,
    pub(crate) name: Option<String>,
}

/// `IngressClass`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct IngressClass {
    pub(crate) metadata: ObjectMeta,
    #[serde(deserialize_with = "nullable")]
    pub(crate) spec: IngressClassSpec,
}

/// `IngressClassSpec`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct IngressClassSpec {
    pub(crate) controller: Option<String>,
    pub(crate) parameters: Option<IngressClassParameters>,
}

/// `IngressClassParametersReference`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct IngressClassParameters {
    pub(crate) api_group: Option<String>,
    pub(crate) kind: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) scope: Option<String>,
    pub(crate) namespace: Option<String>,
}
