//! `core/v1`: Service, Endpoints, Pod, Node, Namespace, Secret, ConfigMap.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{IntOrString, Quantity, meta::ObjectMeta, nullable};
use crate::model::Sealed;

/// `Service`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Service {
    pub(crate) metadata: ObjectMeta,
    #[serde(deserialize_with = "nullable")]
    pub(crate) spec: ServiceSpec,
    #[serde(deserialize_with = "nullable")]
    pub(crate) status: ServiceStatus,
}

/// `ServiceSpec`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct ServiceSpec {
    #[serde(rename = "type")]
    pub(crate) type_: Option<String>,
    #[serde(rename = "clusterIP")]
    pub(crate) cluster_ip: Option<String>,
    #[serde(rename = "clusterIPs", deserialize_with = "nullable")]
    pub(crate) cluster_ips: Vec<String>,
    #[serde(deserialize_with = "nullable")]
    pub(crate) ip_families: Vec<String>,
    pub(crate) ip_family_policy: Option<String>,
    #[serde(deserialize_with = "nullable")]
    pub(crate) ports: Vec<ServicePort>,
    #[serde(deserialize_with = "nullable")]
    pub(crate) selector: BTreeMap<String, String>,
    pub(crate) session_affinity: Option<String>,
    pub(crate) session_affinity_config: Option<SessionAffinityConfig>,
    #[serde(rename = "externalIPs", deserialize_with = "nullable")]
    pub(crate) external_ips: Vec<String>,
    pub(crate) external_name: Option<String>,
    pub(crate) external_traffic_policy: Option<String>,
    pub(crate) internal_traffic_policy: Option<String>,
    #[serde(deserialize_with = "nullable")]
    pub(crate) publish_not_ready_addresses: bool,
    pub(crate) health_check_node_port: Option<i64>,
    #[serde(rename = "loadBalancerIP")]
    pub(crate) load_balancer_ip: Option<String>,
    pub(crate) load_balancer_class: Option<String>,
    #[serde(deserialize_with = "nullable")]
    pub(crate) load_balancer_source_ranges: Vec<String>,
    pub(crate) allocate_load_balancer_node_ports: Option<bool>,
    pub(crate) traffic_distribution: Option<String>,
}

/// `SessionAffinityConfig`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct SessionAffinityConfig {
    #[serde(rename = "clientIP")]
    pub(crate) client_ip: Option<ClientIpConfig>,
}

/// `ClientIPConfig`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct ClientIpConfig {
    pub(crate) timeout_seconds: Option<i64>,
}

/// `ServiceStatus`, as an API server's dump has it.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct ServiceStatus {
    #[serde(deserialize_with = "nullable")]
    pub(crate) load_balancer: LoadBalancerStatus,
}

/// `LoadBalancerStatus`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct LoadBalancerStatus {
    #[serde(deserialize_with = "nullable")]
    pub(crate) ingress: Vec<LoadBalancerIngress>,
}

/// `LoadBalancerIngress`; its `ports` tell of errors alone and are not read.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct LoadBalancerIngress {
    pub(crate) ip: Option<String>,
    pub(crate) ip_mode: Option<String>,
    pub(crate) hostname: Option<String>,
}

/// `ServicePort`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct ServicePort {
    pub(crate) name: Option<String>,
    pub(crate) protocol: Option<String>,
    pub(crate) port: Option<i64>,
    pub(crate) target_port: Option<IntOrString>,
    pub(crate) node_port: Option<i64>,
    pub(crate) app_protocol: Option<String>,
}

/// `Endpoints`, deprecated in Kubernetes 1.33 and still written by hand.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Endpoints {
    pub(crate) metadata: ObjectMeta,
    #[serde(deserialize_with = "nullable")]
    pub(crate) subsets: Vec<EndpointSubset>,
}

/// `EndpointSubset`: addresses × ports.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct EndpointSubset {
    #[serde(deserialize_with = "nullable")]
    pub(crate) addresses: Vec<EndpointAddress>,
    #[serde(deserialize_with = "nullable")]
    pub(crate) not_ready_addresses: Vec<EndpointAddress>,
    #[serde(deserialize_with = "nullable")]
    pub(crate) ports: Vec<EndpointPort>,
}

/// `EndpointAddress`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct EndpointAddress {
    #[serde(deserialize_with = "nullable")]
    pub(crate) ip: String,
    pub(crate) hostname: Option<String>,
    pub(crate) node_name: Option<String>,
    pub(crate) target_ref: Option<TargetRef>,
}

/// `ObjectReference` of an endpoint: which Pod it is.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct TargetRef {
    pub(crate) kind: Option<String>,
    pub(crate) name: Option<String>,
}

/// `EndpointPort`, of Endpoints and of EndpointSlices.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct EndpointPort {
    pub(crate) name: Option<String>,
    pub(crate) port: Option<i64>,
    pub(crate) protocol: Option<String>,
    pub(crate) app_protocol: Option<String>,
}

/// `Pod`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Pod {
    pub(crate) metadata: ObjectMeta,
    #[serde(deserialize_with = "nullable")]
    pub(crate) spec: PodSpec,
    #[serde(deserialize_with = "nullable")]
    pub(crate) status: PodStatus,
}

/// `PodSpec`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct PodSpec {
    #[serde(deserialize_with = "nullable")]
    pub(crate) containers: Vec<Container>,
    #[serde(deserialize_with = "nullable")]
    pub(crate) init_containers: Vec<Container>,
    pub(crate) node_name: Option<String>,
    pub(crate) hostname: Option<String>,
    pub(crate) subdomain: Option<String>,
    #[serde(deserialize_with = "nullable")]
    pub(crate) host_network: bool,
    #[serde(deserialize_with = "nullable")]
    pub(crate) readiness_gates: Vec<PodReadinessGate>,
}

/// `PodReadinessGate`: a condition that has to be true before a Pod is ready.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct PodReadinessGate {
    #[serde(deserialize_with = "nullable")]
    pub(crate) condition_type: String,
}

/// `Container`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Container {
    #[serde(deserialize_with = "nullable")]
    pub(crate) name: String,
    #[serde(deserialize_with = "nullable")]
    pub(crate) ports: Vec<ContainerPort>,
    pub(crate) restart_policy: Option<String>,
    pub(crate) liveness_probe: Option<Box<Probe>>,
    pub(crate) readiness_probe: Option<Box<Probe>>,
    pub(crate) startup_probe: Option<Box<Probe>>,
}

/// `Probe`: one way to ask, and how often.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Probe {
    pub(crate) exec: Option<ExecAction>,
    pub(crate) http_get: Option<HttpGetAction>,
    pub(crate) tcp_socket: Option<TcpSocketAction>,
    pub(crate) grpc: Option<GrpcAction>,
    pub(crate) initial_delay_seconds: Option<i64>,
    pub(crate) timeout_seconds: Option<i64>,
    pub(crate) period_seconds: Option<i64>,
    pub(crate) success_threshold: Option<i64>,
    pub(crate) failure_threshold: Option<i64>,
    pub(crate) termination_grace_period_seconds: Option<i64>,
}

/// `ExecAction`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct ExecAction {
    #[serde(deserialize_with = "nullable")]
    pub(crate) command: Vec<String>,
}

/// `HTTPGetAction`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct HttpGetAction {
    pub(crate) path: Option<String>,
    pub(crate) port: Option<IntOrString>,
    pub(crate) host: Option<String>,
    pub(crate) scheme: Option<String>,
    #[serde(deserialize_with = "nullable")]
    pub(crate) http_headers: Vec<HttpHeader>,
}

/// `HTTPHeader`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct HttpHeader {
    #[serde(deserialize_with = "nullable")]
    pub(crate) name: String,
    #[serde(deserialize_with = "nullable")]
    pub(crate) value: String,
}

/// `TCPSocketAction`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct TcpSocketAction {
    pub(crate) port: Option<IntOrString>,
    pub(crate) host: Option<String>,
}

/// `GRPCAction`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct GrpcAction {
    pub(crate) port: Option<i64>,
    pub(crate) service: Option<String>,
}

/// `ContainerPort`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct ContainerPort {
    pub(crate) name: Option<String>,
    pub(crate) container_port: Option<i64>,
    pub(crate) host_port: Option<i64>,
    pub(crate) protocol: Option<String>,
}

/// `PodStatus`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct PodStatus {
    pub(crate) phase: Option<String>,
    #[serde(rename = "podIP")]
    pub(crate) pod_ip: Option<String>,
    #[serde(rename = "podIPs", deserialize_with = "nullable")]
    pub(crate) pod_ips: Vec<PodIp>,
    #[serde(rename = "hostIP")]
    pub(crate) host_ip: Option<String>,
    #[serde(deserialize_with = "nullable")]
    pub(crate) conditions: Vec<Condition>,
}

/// `PodIP`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
pub(crate) struct PodIp {
    #[serde(deserialize_with = "nullable")]
    pub(crate) ip: String,
}

/// `PodCondition`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Condition {
    #[serde(rename = "type", deserialize_with = "nullable")]
    pub(crate) type_: String,
    #[serde(deserialize_with = "nullable")]
    pub(crate) status: String,
}

/// `Node`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Node {
    pub(crate) metadata: ObjectMeta,
    #[serde(deserialize_with = "nullable")]
    pub(crate) spec: NodeSpec,
    #[serde(deserialize_with = "nullable")]
    pub(crate) status: NodeStatus,
}

/// `NodeSpec`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct NodeSpec {
    #[serde(rename = "podCIDR")]
    pub(crate) pod_cidr: Option<String>,
    #[serde(rename = "podCIDRs", deserialize_with = "nullable")]
    pub(crate) pod_cidrs: Vec<String>,
    #[serde(deserialize_with = "nullable")]
    pub(crate) taints: Vec<Taint>,
}

/// `Taint`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Taint {
    #[serde(deserialize_with = "nullable")]
    pub(crate) key: String,
    pub(crate) value: Option<String>,
    pub(crate) effect: Option<String>,
}

/// `NodeStatus`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct NodeStatus {
    #[serde(deserialize_with = "nullable")]
    pub(crate) addresses: Vec<NodeAddress>,
    #[serde(deserialize_with = "nullable")]
    pub(crate) allocatable: BTreeMap<String, Quantity>,
    #[serde(deserialize_with = "nullable")]
    pub(crate) conditions: Vec<Condition>,
}

/// `NodeAddress`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct NodeAddress {
    #[serde(rename = "type", deserialize_with = "nullable")]
    pub(crate) type_: String,
    #[serde(deserialize_with = "nullable")]
    pub(crate) address: String,
}

/// `Namespace`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Namespace {
    pub(crate) metadata: ObjectMeta,
}

/// `Secret`; its values never reach a log, a diagnostic or `Debug` output.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Secret {
    pub(crate) metadata: SecretMeta,
    #[serde(rename = "type")]
    pub(crate) type_: Option<String>,
    #[serde(deserialize_with = "nullable")]
    pub(crate) data: BTreeMap<String, Sealed<String>>,
    #[serde(deserialize_with = "nullable")]
    pub(crate) string_data: BTreeMap<String, Sealed<String>>,
}

/// The metadata of a Secret: what `kubectl` applied last stands in an annotation, all that the Secret holds.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(transparent)]
pub(crate) struct SecretMeta(pub(crate) ObjectMeta);

impl std::ops::Deref for SecretMeta {
    type Target = ObjectMeta;

    fn deref(&self) -> &ObjectMeta {
        &self.0
    }
}

impl Drop for SecretMeta {
    fn drop(&mut self) {
        let annotations = self.0.annotations.values_mut();
        annotations.for_each(zeroize::Zeroize::zeroize);
    }
}

/// `ConfigMap`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct ConfigMap {
    pub(crate) metadata: ObjectMeta,
    #[serde(deserialize_with = "nullable")]
    pub(crate) data: BTreeMap<String, String>,
}
