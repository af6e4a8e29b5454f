//! `services 4.3`: who a source is, where that leads, and what the endpoint sees of it.

use super::{Aspect, Row, World};

fn world(policy: &str) -> World {
    let text = format!(
        "kind: Service\nmetadata: {{name: web}}\nspec: {{type: LoadBalancer, clusterIP: 10.96.0.10, \
         ports: [{{port: 80, nodePort: 30500}}], {policy}}}\n\
         status: {{loadBalancer: {{ingress: [{{ip: 203.0.113.7}}]}}}}"
    );
    World::new().object(&text)
}

pub(crate) fn rows() -> Vec<Row> {
    let tables = [policies(), hairpins(), pods(), short_circuits()];
    tables.into_iter().flatten().collect()
}

const POD: &str = "10.244.1.9";
const POD_ELSEWHERE: &str = "10.244.2.9";
const NODE: &str = "192.0.2.1";
const LOOPBACK: &str = "127.0.0.1";
const OUTSIDE: &str = "198.51.100.1";

/// Policies treat Pods, the node and others each in their way.
fn policies() -> Vec<Row> {
    const CLUSTER_IP: &str = "10.96.0.10:80";
    const NODE_PORT: &str = "192.0.2.1:30500";
    const BALANCER: &str = "203.0.113.7:80";
    const LOCAL: &str = "externalTrafficPolicy: Local";
    [
        ("*cluster: outside", "", NODE_PORT, OUTSIDE, "Cluster masqueraded"),
        ("*cluster: a Pod", "", NODE_PORT, POD, "Cluster masqueraded"),
        ("cluster: the node", "", BALANCER, NODE, "Cluster masqueraded"),
        ("*local: outside", LOCAL, NODE_PORT, OUTSIDE, "NoLocalEndpoints kept"),
        ("local: outside, by the balancer", LOCAL, BALANCER, OUTSIDE, "NoLocalEndpoints kept"),
        ("*local: a Pod goes past it", LOCAL, NODE_PORT, POD, "FromPod kept"),
        ("local: a Pod of another node too", LOCAL, BALANCER, POD_ELSEWHERE, "FromPod kept"),
        ("*local: the node goes past it", LOCAL, BALANCER, NODE, "FromNode masqueraded"),
        ("*local: so does loopback", LOCAL, NODE_PORT, LOOPBACK, "FromNode masqueraded"),
        ("*local: another node does not", LOCAL, BALANCER, "192.0.2.2", "NoLocalEndpoints kept"),
        ("*ClusterIP: a Pod", "", CLUSTER_IP, POD, "Cluster kept"),
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
            "*internal local: nobody goes past it",
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
    ]
    .into_iter()
    .map(|(case, policy, front, from, want)| {
        Row::new("4.3", case, world(policy).slice("web", "1@n2")).expect(
            Aspect::Policy,
            format!("{front} {from}"),
            want,
        )
    })
    .collect()
}

/// A Pod that comes to itself is masqueraded.
fn hairpins() -> Vec<Row> {
    [
        ("only itself", "1@n1", "10.244.9.1", "masqueraded"),
        ("others too", "1@n1 2@n1", "10.244.9.1", "kept"),
        ("only another", "2@n1", "10.244.9.1", "kept"),
    ]
    .into_iter()
    .map(|(case, written, from, want)| {
        let cidr = "10.244.0.0/16".parse().expect("a network");
        let world = world("").settings(|it| it.cluster_cidrs = vec![cidr]);
        Row::new("4.3", case, world.slice("web", written)).expect(
            Aspect::Source,
            format!("10.96.0.10:80 {from}"),
            want,
        )
    })
    .collect()
}

/// Pods are told by networks, else by their addresses, else not at all.
fn pods() -> Vec<Row> {
    let pod = "kind: Pod\nmetadata: {name: p}\nspec: {}\nstatus: {podIP: 10.0.0.7}";
    let host =
        "kind: Pod\nmetadata: {name: p}\nspec: {hostNetwork: true}\nstatus: {podIP: 10.0.0.7}";
    let service = "kind: Service\nmetadata: {name: web}\nspec: {type: NodePort, externalTrafficPolicy: \
                   Local, clusterIP: 10.96.0.10, ports: [{port: 80, nodePort: 30500}]}";
    [
        ("nothing known", &[][..], None, "10.0.0.7", ["kept", "Drop NoLocalEndpoints"]),
        ("*a Pod's address", &[pod], None, "10.0.0.7", ["kept", "Forward FromPod"]),
        ("*another address", &[pod], None, "10.0.0.8", ["masqueraded", "Drop NoLocalEndpoints"]),
        (
            "a Pod on its host's network",
            &[host],
            None,
            "10.0.0.7",
            ["kept", "Drop NoLocalEndpoints"],
        ),
        ("the cluster's network", &[], Some("10.0.0.0/8"), "10.0.0.7", ["kept", "Forward FromPod"]),
        (
            "outside of it",
            &[pod],
            Some("10.1.0.0/16"),
            "10.0.0.7",
            ["masqueraded", "Drop NoLocalEndpoints"],
        ),
        ("the node, nothing known", &[], None, "127.0.0.1", ["kept", "Forward FromNode"]),
        ("the node, Pods known", &[pod], None, "127.0.0.1", ["masqueraded", "Forward FromNode"]),
    ]
    .into_iter()
    .map(|(case, objects, cidr, from, [internal, external])| {
        let world = World::empty().settings(|it| {
            let cidrs = cidr.iter().map(|it| it.parse().expect("a network"));
            it.cluster_cidrs = cidrs.collect();
        });
        let world = world.object(service).slice("web", "1@n2");
        let world = objects
            .iter()
            .fold(world, |world, object| world.object(object));
        Row::new("4.3", case, world)
            .expect(Aspect::Source, format!("10.96.0.10:80 {from}"), internal)
            .expect(Aspect::Verdict, format!("127.0.0.1:30500 {from}"), external)
    })
    .collect()
}

/// Short circuits use the cluster set with its hints.
fn short_circuits() -> Vec<Row> {
    [
        ("*a Pod, by hints", POD, "1 | 2:ZoneHints"),
        ("*the node, by hints", NODE, "1 | 2:ZoneHints"),
        ("*others, by this node", OUTSIDE, "| 1:NotLocal 2:NotLocal"),
    ]
    .into_iter()
    .map(|(case, from, want)| {
        let world = world("externalTrafficPolicy: Local").slice("web", "1@n2>z1 2@n2>z2");
        Row::new("4.3", case, world).expect(
            Aspect::Endpoints,
            format!("203.0.113.7:80 {from}"),
            want,
        )
    })
    .collect()
}
