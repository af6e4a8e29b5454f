//! `services 4.4`: which front an address and port are, and whose.

use portico_config::model::ClusterIps;

use super::{World, decided};

fn service(name: &str, metadata: &str, spec: &str, status: &str) -> String {
    format!(
        "kind: Service\nmetadata: {{name: {name}, {metadata}}}\nspec: {{{spec}}}\nstatus: {{{status}}}"
    )
}

/// `Kind service:port`, `-` where no front is, or the rule without one.
fn found(world: World, flow: &str) -> String {
    let snapshot = world.snapshot();
    let decision = decided(&snapshot, "n1", flow);
    match (decision.front, decision.port) {
        (Some(kind), Some(port)) => {
            format!("{} {}:{}", kind.label(), port.id.service.name, port.id.name)
        }
        _ => format!("{:?}", decision.rule),
    }
}

#[test]
fn each_address_of_a_service_is_a_front_with_its_own_port() {
    let ports = "ports: [{name: a, port: 80, nodePort: 30500}, {name: u, port: 80, protocol: UDP, nodePort: 30500}]";
    let ingress = "loadBalancer: {ingress: [{ip: 203.0.113.7}, {ip: 203.0.113.8, ipMode: Proxy}, {hostname: lb.test}]}";
    for (case, flow, want) in [
        ("ClusterIP", "10.96.0.10:80 127.0.0.1", "ClusterIP web:a"),
        ("its other protocol", "udp 10.96.0.10:80 127.0.0.1", "ClusterIP web:u"),
        ("NodePort here", "192.0.2.1:30500 127.0.0.1", "NodePort web:a"),
        ("NodePort on --node-address", "127.0.0.1:30500 127.0.0.1", "NodePort web:a"),
        ("NodePort on IPv6", "[::1]:30500 127.0.0.1", "NodePort web:a"),
        ("NodePort over UDP", "udp 192.0.2.1:30500 127.0.0.1", "NodePort web:u"),
        ("NodePort on the ClusterIP is none", "10.96.0.10:30500 127.0.0.1", "NoSuchPort"),
        ("externalIP", "192.0.2.100:80 127.0.0.1", "ExternalIP web:a"),
        ("load balancer", "203.0.113.7:80 127.0.0.1", "LoadBalancer web:a"),
        ("ipMode Proxy is not claimed", "203.0.113.8:80 127.0.0.1", "NotOurs"),
    ] {
        let spec = format!(
            "type: LoadBalancer, clusterIP: 10.96.0.10, externalIPs: [192.0.2.100], {ports}"
        );
        let world = World::new().object(&service("web", "", &spec, ingress));
        assert_eq!(found(world, flow), want, "4.4 {case}");
    }
}

#[test]
fn addresses_are_known_as_written_and_as_mapped() {
    let spec =
        "type: LoadBalancer, clusterIP: 10.9.0.10, externalIPs: [192.0.2.100], ports: [{port: 80}]";
    let status = "loadBalancer: {ingress: [{ip: 203.0.113.7}]}";
    for (case, flow, want) in [
        ("as written", "10.9.0.10:80 127.0.0.1", "ClusterIP web:"),
        ("another port of it", "10.9.0.10:81 127.0.0.1", "NoSuchPort"),
        ("an externalIP counts", "192.0.2.100:80 127.0.0.1", "ExternalIP web:"),
        ("a status does not", "203.0.113.7:80 127.0.0.1", "NotOurs"),
    ] {
        let world = World::new()
            .object(&service("web", "", spec, status))
            .settings(|it| it.cluster_ips = ClusterIps::Map);
        assert_eq!(found(world, flow), want, "4.4 {case}");
    }
    let world = World::new()
        .object(&service("web", "", spec, status))
        .settings(|it| it.cluster_ips = ClusterIps::Map);
    let snapshot = world.snapshot();
    let portico_config::snapshot::Reach::ClusterIp(mapped) =
        &snapshot.services.values().next().unwrap().reach
    else {
        panic!("it has an address")
    };
    let decision = decided(&snapshot, "n1", &format!("{}:80 127.0.0.1", mapped[0]));
    assert_eq!(decision.port.unwrap().id.service.name.as_ref(), "web");
}

#[test]
fn of_two_claims_the_older_service_has_the_front_and_the_smaller_name_else() {
    let spec = "externalIPs: [192.0.2.100], ports: [{port: 80}]";
    for (case, a, b, want) in [
        ("no date", "", "", "ExternalIP a:"),
        (
            "the older",
            "creationTimestamp: \"2026-02-01T00:00:00Z\"",
            "creationTimestamp: \"2026-01-01T00:00:00Z\"",
            "ExternalIP b:",
        ),
        ("a date before none", "", "creationTimestamp: \"2026-01-01T00:00:00Z\"", "ExternalIP b:"),
        (
            "one date",
            "creationTimestamp: \"2026-01-01T00:00:00Z\"",
            "creationTimestamp: \"2026-01-01T00:00:00Z\"",
            "ExternalIP a:",
        ),
    ] {
        for order in [["a", "b"], ["b", "a"]] {
            let mut world = World::new();
            for name in order {
                let metadata = if name == "a" { a } else { b };
                world = world.object(&service(name, metadata, spec, ""));
            }
            assert_eq!(found(world, "192.0.2.100:80 127.0.0.1"), want, "4.4 {case}, {order:?}");
        }
    }
}

#[test]
fn services_that_are_not_ours_have_no_front() {
    for (case, metadata, spec, flow, want) in [
        (
            "1.2 another proxy's ClusterIP",
            "labels: {service.kubernetes.io/service-proxy-name: mesh}",
            "clusterIP: 10.96.0.10, ports: [{port: 80}]",
            "10.96.0.10:80 127.0.0.1",
            "OtherProxy",
        ),
        (
            "1.2 another proxy's NodePort",
            "labels: {service.kubernetes.io/service-proxy-name: \"\"}",
            "type: NodePort, clusterIP: 10.96.0.10, ports: [{port: 80, nodePort: 30500}]",
            "127.0.0.1:30500 127.0.0.1",
            "NotOurs",
        ),
        (
            "1.2 headless",
            "",
            "clusterIP: None, ports: [{port: 80}]",
            "10.96.0.10:80 127.0.0.1",
            "Unallocated",
        ),
        (
            "1.2 an alias",
            "",
            "type: ExternalName, externalName: a.test, externalIPs: [192.0.2.100], ports: [{port: 80}]",
            "192.0.2.100:80 127.0.0.1",
            "NotOurs",
        ),
        (
            "4.4 SCTP is known and not carried",
            "",
            "clusterIP: 10.96.0.10, ports: [{port: 80, protocol: SCTP}]",
            "sctp 10.96.0.10:80 127.0.0.1",
            "ClusterIP web:",
        ),
    ] {
        let world = World::new().object(&service("web", metadata, spec, ""));
        assert_eq!(found(world, flow), want, "{case}");
    }
}

#[test]
fn without_a_node_name_any_nodes_address_has_node_ports() {
    let spec = "type: NodePort, clusterIP: 10.96.0.10, ports: [{port: 80, nodePort: 30500}]";
    let snapshot = World::new()
        .object(&service("web", "", spec, ""))
        .snapshot();
    for (node, address, want) in
        [("n1", "192.0.2.2", false), ("n2", "192.0.2.2", true), ("", "192.0.2.2", true)]
    {
        let decision = decided(&snapshot, node, &format!("{address}:30500 198.51.100.1"));
        assert_eq!(decision.front.is_some(), want, "{node:?}");
    }
}
