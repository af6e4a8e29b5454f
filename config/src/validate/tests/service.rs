//! Service (`services 2.1`, `services 3`): rules by subject below, defaults and types here.

mod addresses;
mod ports;
mod traffic;

use std::time::Duration;

use super::{Kind, good};
use crate::validate::service::{Exposure, Service};

fn service(body: &str) -> Service {
    match good("v1", "Service", body) {
        Kind::Service(service) => service,
        other => panic!("{other:?}"),
    }
}

#[test]
fn defaults_are_those_of_the_api_server() {
    let plain = service("spec: {ports: [{port: 80}]}");
    assert_eq!(plain.traffic.affinity_timeout, None);
    assert_eq!(format!("{:?}", plain.type_), "ClusterIp");
    assert_eq!(format!("{:?}", plain.traffic.external), "Cluster");
    assert_eq!(format!("{:?}", plain.families), "Families { policy: Single, requested: [] }");
    assert!(!plain.node_ports && plain.load_balancer.is_none() && plain.other_proxy.is_none());
    let sticky = service("spec: {sessionAffinity: ClientIP, ports: [{port: 80}]}");
    assert_eq!(sticky.traffic.affinity_timeout, Some(Duration::from_secs(10_800)));
    let headless = service("spec: {clusterIP: None}");
    assert_eq!(format!("{:?}", headless.families.policy), "RequireDual");
    let selecting = service("spec: {clusterIP: None, selector: {app: a}}");
    assert_eq!(format!("{:?}", selecting.families.policy), "Single");
    let inferred = service("spec: {clusterIP: \"2001:db8::1\", ports: [{port: 80}]}");
    assert_eq!(format!("{:?}", inferred.families.requested), "[V6]");
    for (body, want) in [
        ("spec: {type: LoadBalancer, ports: [{port: 80}]}", true),
        ("spec: {type: NodePort, ports: [{port: 80}]}", true),
        (
            "spec: {type: LoadBalancer, allocateLoadBalancerNodePorts: false, ports: [{port: 80}]}",
            false,
        ),
    ] {
        assert_eq!(service(body).node_ports, want, "{body}");
    }
}

#[test]
fn what_l4_needs_is_typed() {
    let all = service(
        "metadata: {name: a, labels: {service.kubernetes.io/service-proxy-name: other}, \
         annotations: {service.kubernetes.io/topology-mode: auto}}\nspec: {type: LoadBalancer, \
         clusterIP: 10.0.0.1, externalIPs: [10.1.1.1, 10.1.1.1], publishNotReadyAddresses: true, \
         internalTrafficPolicy: Local, externalTrafficPolicy: Local, trafficDistribution: \
         PreferSameNode, loadBalancerSourceRanges: [10.0.0.0/8], loadBalancerClass: x, \
         healthCheckNodePort: 30600, ports: [{port: 80, targetPort: http, nodePort: 30601, \
         appProtocol: kubernetes.io/ws}]}\nstatus: {loadBalancer: {ingress: [{ip: 10.9.9.9}, {ip: \
         10.9.9.8, ipMode: Proxy}, {hostname: lb.test}]}}",
    );
    assert_eq!(all.other_proxy.as_deref(), Some("other"));
    assert_eq!(all.external_ips.len(), 1);
    assert!(all.publish_not_ready && all.traffic.topology_auto.is_some());
    assert!(matches!(&all.exposure, Exposure::ClusterIp(addresses) if addresses.len() == 1));
    assert_eq!(format!("{:?} {:?}", all.traffic.internal, all.traffic.external), "Local Local");
    assert_eq!(format!("{:?}", all.traffic.distribution), "Some(SameNode)");
    let balancer = all.load_balancer.unwrap();
    assert_eq!(balancer.class.as_deref(), Some("x"));
    assert_eq!(balancer.health_check_node_port, Some(30_600));
    assert_eq!(balancer.source_ranges.len(), 1);
    assert_eq!(
        format!("{:?}", balancer.ingress),
        "[Ip { address: 10.9.9.9, vip: true }, Ip { address: 10.9.9.8, vip: false }, \
         Hostname(\"lb.test\")]"
    );
    let port = &all.ports[0];
    assert_eq!((port.port, port.node_port), (80, Some(30_601)));
    assert_eq!(port.app_protocol.as_deref(), Some("kubernetes.io/ws"));
}
