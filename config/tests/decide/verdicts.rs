//! `services 4.2`: forward, reject, drop, or not ours; and which rule says so.

use super::{World, decided};

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

#[test]
fn endpoints_policy_and_front_make_the_verdict() {
    const CLUSTER: &str = "";
    const INTERNAL: &str = "internalTrafficPolicy: Local";
    const EXTERNAL: &str = "externalTrafficPolicy: Local";
    // What the ClusterIP, the NodePort, the externalIP and the load balancer answer.
    for (case, policy, written, [internal, external]) in [
        ("endpoints", CLUSTER, "1@n2", ["Forward Cluster", "Forward Cluster"]),
        ("none at all", CLUSTER, "", ["Reject NoEndpoints", "Reject NoEndpoints"]),
        ("none is ready", CLUSTER, "1!n@n1", ["Reject NoEndpoints", "Reject NoEndpoints"]),
        ("none serves any more", CLUSTER, "1!g@n1", ["Reject NoEndpoints", "Reject NoEndpoints"]),
        ("the last resort", CLUSTER, "1!t@n2", ["Forward Cluster", "Forward Cluster"]),
        ("internal, here", INTERNAL, "1@n1", ["Forward Local", "Forward Cluster"]),
        ("internal, elsewhere", INTERNAL, "1@n2", ["Drop NoLocalEndpoints", "Forward Cluster"]),
        (
            "internal, ending elsewhere",
            INTERNAL,
            "1!t@n2",
            ["Drop NoLocalEndpoints", "Forward Cluster"],
        ),
        ("internal, nowhere", INTERNAL, "", ["Reject NoEndpoints", "Reject NoEndpoints"]),
        ("external, here", EXTERNAL, "1@n1", ["Forward Cluster", "Forward Local"]),
        ("external, ending here", EXTERNAL, "1!t@n1 2@n2", ["Forward Cluster", "Forward Local"]),
        ("external, elsewhere", EXTERNAL, "1@n2", ["Forward Cluster", "Drop NoLocalEndpoints"]),
        (
            "external, unready here",
            EXTERNAL,
            "1!n@n1 2@n2",
            ["Forward Cluster", "Drop NoLocalEndpoints"],
        ),
        ("external, nowhere", EXTERNAL, "1!n@n1", ["Reject NoEndpoints", "Reject NoEndpoints"]),
    ] {
        let snapshot = every_front(policy, written).snapshot();
        for (at, front) in FRONTS.iter().enumerate() {
            let decision = decided(&snapshot, "n1", &format!("{front} 198.51.100.1"));
            let want = if at == 0 { internal } else { external };
            let got = format!("{:?} {:?}", decision.verdict, decision.rule);
            assert_eq!(got, want, "4.2 {case}: {front}");
        }
    }
}

#[test]
fn an_address_without_that_port_is_answered_by_what_it_is() {
    for (case, flow, want) in [
        ("a ClusterIP in use", "10.96.0.10:81 10.244.1.9", "Reject NoSuchPort"),
        ("its other protocol", "udp 10.96.0.10:80 10.244.1.9", "Reject NoSuchPort"),
        ("inside the service CIDR, nobody's", "10.96.0.99:80 10.244.1.9", "Drop Unallocated"),
        ("inside the other family's", "[fd00:96::9]:80 fd01::1", "Drop Unallocated"),
        ("a load balancer's address", "203.0.113.7:81 10.244.1.9", "NotHandled NotOurs"),
        ("an externalIP", "192.0.2.100:81 10.244.1.9", "NotHandled NotOurs"),
        ("this node, no NodePort", "192.0.2.1:22 198.51.100.1", "NotHandled NotOurs"),
        ("this node, the Service's own port", "192.0.2.1:80 198.51.100.1", "NotHandled NotOurs"),
        ("another node's NodePort", "192.0.2.2:30500 198.51.100.1", "NotHandled NotOurs"),
        ("somewhere else", "198.51.100.9:80 10.244.1.9", "NotHandled NotOurs"),
        ("a NodePort over UDP", "udp 192.0.2.1:30500 198.51.100.1", "NotHandled NotOurs"),
    ] {
        let snapshot = every_front("", "1@n1").snapshot();
        let decision = decided(&snapshot, "n1", flow);
        assert_eq!(format!("{:?} {:?}", decision.verdict, decision.rule), want, "4.2 {case}");
        assert!(decision.endpoints().is_empty(), "{case}");
    }
}

#[test]
fn source_ranges_come_before_everything_and_for_the_load_balancer_alone() {
    let ranges = |list: &str| format!("loadBalancerSourceRanges: [{list}]");
    for (case, list, endpoints, front, source, want) in [
        ("inside", "198.51.100.0/24", "1", 3, "198.51.100.1", "Forward Cluster"),
        ("outside", "198.51.100.0/24", "1", 3, "203.0.113.1", "Drop SourceRanges"),
        ("outside, before REJECT", "198.51.100.0/24", "", 3, "203.0.113.1", "Drop SourceRanges"),
        ("inside, no endpoints", "198.51.100.0/24", "", 3, "198.51.100.1", "Reject NoEndpoints"),
        ("Pods too", "198.51.100.0/24", "1", 3, "10.244.1.9", "Drop SourceRanges"),
        ("the node too", "198.51.100.0/24", "1", 3, "192.0.2.1", "Drop SourceRanges"),
        (
            "one of several",
            "198.51.100.0/24, 10.244.0.0/16",
            "1",
            3,
            "10.244.1.9",
            "Forward Cluster",
        ),
        (
            "another family's count nothing",
            "\"2001:db8::/32\"",
            "1",
            3,
            "203.0.113.1",
            "Forward Cluster",
        ),
        ("everybody", "198.51.100.0/24, 0.0.0.0/0", "1", 3, "203.0.113.1", "Forward Cluster"),
        (
            "a node to its own copy of the address",
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
        ("not the ClusterIP", "198.51.100.0/24", "1", 0, "203.0.113.1", "Forward Cluster"),
        ("not the NodePort", "198.51.100.0/24", "1", 1, "203.0.113.1", "Forward Cluster"),
        ("not the externalIP", "198.51.100.0/24", "1", 2, "203.0.113.1", "Forward Cluster"),
    ] {
        let snapshot = every_front(&ranges(list), endpoints).snapshot();
        let decision = decided(&snapshot, "n1", &format!("{} {source}", FRONTS[front]));
        assert_eq!(format!("{:?} {:?}", decision.verdict, decision.rule), want, "4.4 {case}");
    }
}
