//! Service (`services 2.1`, `services 3`): everything that its manifest says, typed and defaulted.
//!
//! What the cluster as a whole decides (which families there are, which numbers are free) is asked
//! for here and answered by `compile`.

mod balance;
mod connections;
mod exposure;
mod families;
mod hosts;
mod load_balancer;
mod ports;
mod short_form;
mod traffic;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use super::{Check, Labels, labels, metadata, names};
use crate::api::core_v1;
use crate::diagnostic::Code;
use crate::location::FieldPath;

pub(crate) use balance::{Balancing, Weight};
pub(crate) use connections::Connections;
pub(crate) use exposure::Exposure;
pub(crate) use families::{Families, FamilyPolicy};
pub(crate) use hosts::{Hosts, Target};
pub(crate) use load_balancer::{Ingress as LoadBalancerIngress, LoadBalancer};
pub(crate) use ports::{Port, TargetPort};
pub(crate) use short_form::{ShortEndpoint, ShortPort};
pub(crate) use traffic::{Distribution, Traffic};

/// A Service that is right by itself.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Service {
    /// `spec.type`, ClusterIP where the manifest is silent.
    pub(crate) type_: ServiceType,
    /// How it is reached.
    pub(crate) exposure: Exposure,
    /// Which IP families it asks for.
    pub(crate) families: Families,
    /// Whether ports without a NodePort get one: type NodePort, and LoadBalancer unless
    /// `allocateLoadBalancerNodePorts` is false.
    pub(crate) node_ports: bool,
    /// Its ports in the manifest's order.
    pub(crate) ports: Vec<Port>,
    /// Its own labels.
    pub(crate) labels: Box<Labels>,
    /// Labels that its Pods carry; empty: it selects none.
    pub(crate) selector: BTreeMap<Arc<str>, Arc<str>>,
    /// Whether endpoints count as ready whatever their Pods say.
    pub(crate) publish_not_ready: bool,
    /// `spec.externalIPs`.
    pub(crate) external_ips: Vec<IpAddr>,
    /// How flows are spread.
    pub(crate) traffic: Traffic,
    /// How they are spread over the endpoints of a set; most Services do not say.
    pub(crate) balancing: Box<Balancing>,
    /// How many connections there may be, and what is said in front of them.
    pub(crate) connections: Connections,
    /// What a load balancer does in front of it; of type LoadBalancer alone.
    pub(crate) load_balancer: Option<LoadBalancer>,
    /// Names outside of the cluster that it asks for; of type LoadBalancer alone.
    pub(crate) hosts: Option<Box<Hosts>>,
    /// Label `service.kubernetes.io/service-proxy-name`: another proxy serves it.
    pub(crate) other_proxy: Option<Arc<str>>,
    /// `portico.dev/endpoints`: replaces the selector.
    pub(crate) short_form: Option<Vec<ShortEndpoint>>,
}

/// `ServiceSpec.type`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum ServiceType {
    /// An address inside.
    ClusterIp,
    /// An alias.
    ExternalName,
    /// An address outside, and all that NodePort has.
    LoadBalancer,
    /// A port on every node, and all that ClusterIP has.
    NodePort,
}

impl ServiceType {
    const ALL: [(&'static str, Self); 4] = [
        ("ClusterIP", Self::ClusterIp),
        ("ExternalName", Self::ExternalName),
        ("LoadBalancer", Self::LoadBalancer),
        ("NodePort", Self::NodePort),
    ];

    /// As manifests write it.
    fn name(self) -> &'static str {
        let same = |(_, type_): &&(&str, Self)| *type_ == self;
        Self::ALL.iter().find(same).map_or("", |(name, _)| name)
    }
}

/// The Service under check: what its rules ask about most.
struct Draft<'a> {
    object: &'a core_v1::Service,
    spec: &'a core_v1::ServiceSpec,
    /// None where `type` is a word that does not exist: rules that depend on it stay silent.
    type_: Option<ServiceType>,
    headless: bool,
    /// `spec`.
    root: FieldPath,
}

impl Draft<'_> {
    fn is(&self, type_: ServiceType) -> bool {
        self.type_ == Some(type_)
    }

    /// Whether a type is known and is not this one.
    fn is_not(&self, type_: ServiceType) -> bool {
        self.type_.is_some_and(|this| this != type_)
    }

    /// NodePort, LoadBalancer, or ClusterIP with external addresses.
    fn is_externally_accessible(&self) -> bool {
        match self.type_ {
            Some(ServiceType::NodePort | ServiceType::LoadBalancer) => true,
            Some(ServiceType::ClusterIp) => !self.spec.external_ips.is_empty(),
            Some(ServiceType::ExternalName) | None => false,
        }
    }
}

pub(super) fn service(object: &core_v1::Service, check: &mut Check<'_>) -> Service {
    let spec = &object.spec;
    let root = FieldPath::from("spec");
    let type_ = match text(&spec.type_) {
        None => Some(ServiceType::ClusterIp),
        type_ => check.choice(&root.key("type"), type_, &ServiceType::ALL),
    };
    let headless = spec.cluster_ip.as_deref() == Some("None")
        || spec.cluster_ips.first().is_some_and(|ip| ip == "None");
    let draft = Draft { object, spec, type_, headless, root };
    let exposure = exposure::exposure(&draft, check);
    let families = families::families(&draft, &exposure, check);
    let ports = ports::ports(&draft, check);
    for (key, value) in &spec.selector {
        let field = draft.root.key("selector").key(key);
        metadata::label(Code::InvalidSelector, &field, (key, value), check);
    }
    let proxy = object.metadata.labels.get(PROXY_NAME_LABEL);
    let pairs = spec.selector.iter();
    Service {
        type_: type_.unwrap_or(ServiceType::ClusterIp),
        exposure,
        families,
        node_ports: match type_ {
            Some(ServiceType::NodePort) => true,
            Some(ServiceType::LoadBalancer) => {
                spec.allocate_load_balancer_node_ports.unwrap_or(true)
            }
            _ => false,
        },
        ports,
        labels: Box::new(labels(&object.metadata)),
        selector: pairs
            .map(|(key, value)| (key.as_str().into(), value.as_str().into()))
            .collect(),
        publish_not_ready: spec.publish_not_ready_addresses,
        external_ips: exposure::external_ips(&draft, check),
        traffic: traffic::traffic(&draft, check),
        balancing: Box::new(balance::balancing(&object.metadata, check)),
        connections: connections::connections(&draft, check),
        load_balancer: load_balancer::load_balancer(&draft, check),
        hosts: hosts::hosts(&draft, check),
        other_proxy: proxy.map(|name| name.as_str().into()),
        short_form: short_form::short_form(object, check),
    }
}

pub(super) use balance::pod_weight;

/// An optional text; empty is absent (`services 1.8`).
fn text(text: &Option<String>) -> Option<&str> {
    text.as_deref().filter(|text| !text.is_empty())
}

const PROXY_NAME_LABEL: &str = "service.kubernetes.io/service-proxy-name";
