//! `services 4.3`: who a source is, where that leads, and what the endpoint sees of it.

use super::{World, decided, endpoints};

fn world(policy: &str) -> World {
    let text = format!(
        "kind: Service\nmetadata: {{name: web}}\nspec: {{type: LoadBalancer, clusterIP: 10.96.0.10, \
         ports: [{{port: 80, nodePort: 30500}}], {policy}}}\n\
         status: {{loadBalancer: {{ingress: [{{ip: 203.0.113.7}}]}}}}"
    );
    World::new().object(&text)
}

const POD: &str = "10.244.1.9";
const POD_ELSEWHERE: &str = "10.244.2.9";
const NODE: &str = "192.0.2.1";
const LOOPBACK: &str = "127.0.0.1";
const OUTSIDE: &str = "198.51.100.1";

fn source(decision: &portico_config::snapshot::Decision<'_>) -> &'static str {
    if decision.masqueraded { "masqueraded" } else { "kept" }
}

#[test]
fn policies_treat_pods_the_node_and_others_each_in_their_way() {
    const CLUSTER_IP: &str = "10.96.0.10:80";
    const NODE_PORT: &str = "192.0.2.1:30500";
    const BALANCER: &str = "203.0.113.7:80";
    const LOCAL: &str = "externalTrafficPolicy: Local";
    for (case, policy, front, from, want) in [
        ("cluster: outside", "", NODE_PORT, OUTSIDE, "Cluster masqueraded"),
        ("cluster: a Pod", "", NODE_PORT, POD, "Cluster masqueraded"),
        ("cluster: the node", "", BALANCER, NODE, "Cluster masqueraded"),
        ("local: outside", LOCAL, NODE_PORT, OUTSIDE, "NoLocalEndpoints kept"),
        ("local: outside, by the balancer", LOCAL, BALANCER, OUTSIDE, "NoLocalEndpoints kept"),
        ("local: a Pod goes past it", LOCAL, NODE_PORT, POD, "FromPod kept"),
        ("local: a Pod of another node too", LOCAL, BALANCER, POD_ELSEWHERE, "FromPod kept"),
        ("local: the node goes past it", LOCAL, BALANCER, NODE, "FromNode masqueraded"),
        ("local: so does loopback", LOCAL, NODE_PORT, LOOPBACK, "FromNode masqueraded"),
        ("local: another node does not", LOCAL, BALANCER, "192.0.2.2", "NoLocalEndpoints kept"),
        ("ClusterIP: a Pod", "", CLUSTER_IP, POD, "Cluster kept"),
        ("ClusterIP: the node", "", CLUSTER_IP, NODE, "Cluster masqueraded"),
        ("ClusterIP: outside", "", CLUSTER_IP, OUTSIDE, "Cluster masqueraded"),
        (
            "ClusterIP: external policy means nothing",
            LOCAL,
            CLUSTER_IP,
            OUTSIDE,
            "Cluster masqueraded",
        ),
        (
            "internal local: nobody goes past it",
            "internalTrafficPolicy: Local",
            CLUSTER_IP,
            POD,
            "NoLocalEndpoints kept",
        ),
        (
            "internal local: nor the node",
            "internalTrafficPolicy: Local",
            CLUSTER_IP,
            NODE,
            "NoLocalEndpoints masqueraded",
        ),
    ] {
        let snapshot = world(policy).slice("web", "1@n2").snapshot();
        let decision = decided(&snapshot, "n1", &format!("{front} {from}"));
        assert_eq!(format!("{:?} {}", decision.rule, source(&decision)), want, "4.3 {case}");
    }
}

#[test]
fn a_pod_that_comes_to_itself_is_masqueraded() {
    for (case, written, from, want) in [
        ("only itself", "1@n1", "10.244.9.1", "masqueraded"),
        ("others too", "1@n1 2@n1", "10.244.9.1", "kept"),
        ("only another", "2@n1", "10.244.9.1", "kept"),
    ] {
        let world =
            world("").settings(|it| it.cluster_cidrs = vec!["10.244.0.0/16".parse().unwrap()]);
        let snapshot = world.slice("web", written).snapshot();
        let decision = decided(&snapshot, "n1", &format!("10.96.0.10:80 {from}"));
        assert_eq!(source(&decision), want, "4.3 {case}");
    }
}

#[test]
fn pods_are_told_by_networks_else_by_their_addresses_else_not_at_all() {
    let pod = "kind: Pod\nmetadata: {name: p}\nspec: {}\nstatus: {podIP: 10.0.0.7}";
    let host =
        "kind: Pod\nmetadata: {name: p}\nspec: {hostNetwork: true}\nstatus: {podIP: 10.0.0.7}";
    let service = "kind: Service\nmetadata: {name: web}\nspec: {type: NodePort, externalTrafficPolicy: \
                   Local, clusterIP: 10.96.0.10, ports: [{port: 80, nodePort: 30500}]}";
    for (case, objects, cidr, from, want) in [
        ("nothing known", &[][..], None, "10.0.0.7", ["kept", "NoLocalEndpoints"]),
        ("a Pod's address", &[pod], None, "10.0.0.7", ["kept", "FromPod"]),
        ("another address", &[pod], None, "10.0.0.8", ["masqueraded", "NoLocalEndpoints"]),
        ("a Pod on its host's network", &[host], None, "10.0.0.7", ["kept", "NoLocalEndpoints"]),
        ("the cluster's network", &[], Some("10.0.0.0/8"), "10.0.0.7", ["kept", "FromPod"]),
        (
            "outside of it",
            &[pod],
            Some("10.1.0.0/16"),
            "10.0.0.7",
            ["masqueraded", "NoLocalEndpoints"],
        ),
        ("the node, nothing known", &[], None, "127.0.0.1", ["kept", "FromNode"]),
        ("the node, Pods known", &[pod], None, "127.0.0.1", ["masqueraded", "FromNode"]),
    ] {
        let mut world = World::new().settings(|it| {
            it.cluster_cidrs = cidr.iter().map(|it| it.parse().unwrap()).collect();
        });
        world.manifests.clear();
        let mut world = world.object(service).slice("web", "1@n2");
        for object in objects {
            world = world.object(object);
        }
        let snapshot = world.snapshot();
        let internal = decided(&snapshot, "n1", &format!("10.96.0.10:80 {from}"));
        let external = decided(&snapshot, "n1", &format!("127.0.0.1:30500 {from}"));
        assert_eq!([source(&internal), &format!("{:?}", external.rule)], want, "4.3 {case}");
    }
}

#[test]
fn short_circuits_use_the_cluster_set_with_its_hints() {
    let snapshot = world("externalTrafficPolicy: Local")
        .slice("web", "1@n2>z1 2@n2>z2")
        .snapshot();
    for (from, want) in
        [(POD, "1 | 2:ZoneHints"), (NODE, "1 | 2:ZoneHints"), (OUTSIDE, "| 1:NotLocal 2:NotLocal")]
    {
        let decision = decided(&snapshot, "n1", &format!("203.0.113.7:80 {from}"));
        assert_eq!(endpoints(&decision), want, "4.3 {from}");
    }
}
