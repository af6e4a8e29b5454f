//! `services 4.2`: forward, reject, drop, or not ours; and which rule says so.

use super::world::endpoint;
use super::{Aspect, Row, World};

/// A Service of every kind of front: ClusterIP 10.96.0.10, NodePort 30500, externalIP 192.0.2.100,
/// load balancer 203.0.113.7, all with port 80.
fn every_front(policy: &str, endpoints: &str) -> World {
    let text = format!(
        "kind: Service\nmetadata: {{name: web}}\nspec: {{type: LoadBalancer, clusterIP: 10.96.0.10, \
         externalIPs: [192.0.2.100], ports: [{{port: 80, nodePort: 30500}}], {policy}}}\n\
         status: {{loadBalancer: {{ingress: [{{ip: 203.0.113.7}}]}}}}"
    );
    World::new().object(&text).slice("web", endpoints)
}

const FRONTS: [&str; 4] = ["10.96.0.10:80", "192.0.2.1:30500", "192.0.2.100:80", "203.0.113.7:80"];

pub(crate) fn rows() -> Vec<Row> {
    let tables = [fronts_and_policies(), over_udp(), no_such_front(), source_ranges()];
    tables.into_iter().flatten().collect()
}

/// Endpoints, policy and front make the verdict.
fn fronts_and_policies() -> Vec<Row> {
    const CLUSTER: &str = "";
    const INTERNAL: &str = "internalTrafficPolicy: Local";
    const EXTERNAL: &str = "externalTrafficPolicy: Local";
    // What the ClusterIP, the NodePort, the externalIP and the load balancer answer.
    [
        ("*endpoints", CLUSTER, "1@n2", ["Forward Cluster", "Forward Cluster"]),
        ("*none at all", CLUSTER, "", ["Reject NoEndpoints", "Reject NoEndpoints"]),
        ("*none is ready", CLUSTER, "1!n@n1", ["Reject NoEndpoints", "Reject NoEndpoints"]),
        ("*none serves any more", CLUSTER, "1!g@n1", ["Reject NoEndpoints", "Reject NoEndpoints"]),
        ("*the last resort", CLUSTER, "1!t@n2", ["Forward Cluster", "Forward Cluster"]),
        ("*internal, here", INTERNAL, "1@n1", ["Forward Local", "Forward Cluster"]),
        ("*internal, elsewhere", INTERNAL, "1@n2", ["Drop NoLocalEndpoints", "Forward Cluster"]),
        (
            "*internal, ending elsewhere",
            INTERNAL,
            "1!t@n2",
            ["Drop NoLocalEndpoints", "Forward Cluster"],
        ),
        ("*internal, nowhere", INTERNAL, "", ["Reject NoEndpoints", "Reject NoEndpoints"]),
        ("*external, here", EXTERNAL, "1@n1", ["Forward Cluster", "Forward Local"]),
        ("*external, ending here", EXTERNAL, "1!t@n1 2@n2", ["Forward Cluster", "Forward Local"]),
        ("*external, elsewhere", EXTERNAL, "1@n2", ["Forward Cluster", "Drop NoLocalEndpoints"]),
        (
            "*external, unready here",
            EXTERNAL,
            "1!n@n1 2@n2",
            ["Forward Cluster", "Drop NoLocalEndpoints"],
        ),
        ("*external, nowhere", EXTERNAL, "1!n@n1", ["Reject NoEndpoints", "Reject NoEndpoints"]),
    ]
    .into_iter()
    .map(|(case, policy, written, [internal, external])| {
        let wants = [internal, external, external, external];
        let row = Row::new("4.2", case, every_front(policy, written));
        FRONTS.iter().zip(wants).fold(row, |row, (front, want)| {
            row.expect(Aspect::Verdict, format!("{front} 198.51.100.1"), want)
        })
    })
    .collect()
}

/// The same over UDP.
fn over_udp() -> Vec<Row> {
    let all = |texts: &str| {
        let all: Vec<_> = texts.split_whitespace().map(endpoint).collect();
        all.join(", ")
    };
    [
        ("*endpoints", "", "1@n1 2@n2", ["Forward Cluster", "Forward Cluster"]),
        ("*none", "", "1!n@n1", ["Reject NoEndpoints", "Reject NoEndpoints"]),
        (
            "*external, elsewhere",
            "externalTrafficPolicy: Local",
            "1@n2",
            ["Forward Cluster", "Drop NoLocalEndpoints"],
        ),
        (
            "*internal, elsewhere",
            "internalTrafficPolicy: Local",
            "1@n2",
            ["Drop NoLocalEndpoints", "Forward Cluster"],
        ),
    ]
    .into_iter()
    .map(|(case, policy, written, wants)| {
        let service = format!(
            "kind: Service\nmetadata: {{name: web}}\nspec: {{type: NodePort, clusterIP: 10.96.0.10, \
             ports: [{{port: 53, protocol: UDP, nodePort: 30500}}], {policy}}}"
        );
        let world = World::new().object(&service).document(&format!(
            "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {{name: web, labels: \
             {{kubernetes.io/service-name: web}}}}\naddressType: IPv4\nports: [{{port: 8080, protocol: \
             UDP}}]\nendpoints: [{}]",
            all(written)
        ));
        let fronts = ["udp 10.96.0.10:53", "udp 192.0.2.1:30500"];
        let row = Row::new("4.2", &case.replacen('*', "*over UDP, ", 1), world);
        fronts.iter().zip(wants).fold(row, |row, (front, want)| {
            row.expect(Aspect::Verdict, format!("{front} 198.51.100.1"), want)
        })
    })
    .collect()
}

/// An address without that port is answered by what it is.
fn no_such_front() -> Vec<Row> {
    [
        ("*a ClusterIP in use", "10.96.0.10:81 10.244.1.9", "Reject NoSuchPort"),
        ("*its other protocol", "udp 10.96.0.10:80 10.244.1.9", "Reject NoSuchPort"),
        ("inside the service CIDR, nobody's", "10.96.0.99:80 10.244.1.9", "Drop Unallocated"),
        ("inside the other family's", "[fd00:96::9]:80 fd01::1", "Drop Unallocated"),
        ("*a load balancer's address", "203.0.113.7:81 10.244.1.9", "NotHandled NotOurs"),
        ("an externalIP", "192.0.2.100:81 10.244.1.9", "NotHandled NotOurs"),
        ("this node, no NodePort", "192.0.2.1:22 198.51.100.1", "NotHandled NotOurs"),
        ("*this node, the Service's own port", "192.0.2.1:80 198.51.100.1", "NotHandled NotOurs"),
        ("another node's NodePort", "192.0.2.2:30500 198.51.100.1", "NotHandled NotOurs"),
        ("somewhere else", "198.51.100.9:80 10.244.1.9", "NotHandled NotOurs"),
        ("a NodePort over UDP", "udp 192.0.2.1:30500 198.51.100.1", "NotHandled NotOurs"),
    ]
    .into_iter()
    .map(|(case, flow, want)| {
        Row::new("4.2", case, every_front("", "1@n1"))
            .expect(Aspect::Verdict, flow, want)
            .expect(Aspect::Endpoints, flow, "")
    })
    .collect()
}

/// Source ranges come before everything, and for the load balancer alone.
fn source_ranges() -> Vec<Row> {
    let ranges = |list: &str| format!("loadBalancerSourceRanges: [{list}]");
    [
        ("*inside", "198.51.100.0/24", "1", 3, "198.51.100.1", "Forward Cluster"),
        ("*outside", "198.51.100.0/24", "1", 3, "203.0.113.1", "Drop SourceRanges"),
        ("*outside, before REJECT", "198.51.100.0/24", "", 3, "203.0.113.1", "Drop SourceRanges"),
        ("*inside, no endpoints", "198.51.100.0/24", "", 3, "198.51.100.1", "Reject NoEndpoints"),
        ("*Pods too", "198.51.100.0/24", "1", 3, "10.244.1.9", "Drop SourceRanges"),
        ("*the node too", "198.51.100.0/24", "1", 3, "192.0.2.1", "Drop SourceRanges"),
        (
            "one of several",
            "198.51.100.0/24, 10.244.0.0/16",
            "1",
            3,
            "10.244.1.9",
            "Forward Cluster",
        ),
        (
            "*another family's count nothing",
            "\"2001:db8::/32\"",
            "1",
            3,
            "203.0.113.1",
            "Forward Cluster",
        ),
        ("*everybody", "198.51.100.0/24, 0.0.0.0/0", "1", 3, "203.0.113.1", "Forward Cluster"),
        (
            "*a node to its own copy of the address",
            "192.0.2.0/24",
            "1",
            3,
            "203.0.113.7",
            "Forward Cluster",
        ),
        (
            "that address, the node outside",
            "198.51.100.0/24",
            "1",
            3,
            "203.0.113.7",
            "Drop SourceRanges",
        ),
        ("*not the ClusterIP", "198.51.100.0/24", "1", 0, "203.0.113.1", "Forward Cluster"),
        ("*not the NodePort", "198.51.100.0/24", "1", 1, "203.0.113.1", "Forward Cluster"),
        ("not the externalIP", "198.51.100.0/24", "1", 2, "203.0.113.1", "Forward Cluster"),
        ("blanks around them", "\" 198.51.100.0/24 \"", "1", 3, "203.0.113.1", "Drop SourceRanges"),
    ]
    .into_iter()
    .map(|(case, list, endpoints, front, source, want)| {
        Row::new("4.4", case, every_front(&ranges(list), endpoints)).expect(
            Aspect::Verdict,
            format!("{} {source}", FRONTS[front]),
            want,
        )
    })
    .collect()
}
