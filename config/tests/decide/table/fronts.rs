//! `services 4.4`: which front an address and port are, and whose.

use portico_config::model::ClusterIps;

use super::{Aspect, Row, World};

fn service(name: &str, metadata: &str, spec: &str, status: &str) -> String {
    format!(
        "kind: Service\nmetadata: {{name: {name}, {metadata}}}\nspec: {{{spec}}}\nstatus: {{{status}}}"
    )
}

pub(crate) fn rows() -> Vec<Row> {
    let tables = [addresses(), mapped(), claims(), others(), any_node(), written()];
    tables.into_iter().flatten().collect()
}

/// Each address of a Service is a front with its own port.
fn addresses() -> Vec<Row> {
    let ports = "ports: [{name: a, port: 80, nodePort: 30500}, {name: u, port: 80, protocol: UDP, nodePort: 30500}]";
    let ingress = "loadBalancer: {ingress: [{ip: 203.0.113.7}, {ip: 203.0.113.8, ipMode: Proxy}, {hostname: lb.test}]}";
    [
        ("*ClusterIP", "10.96.0.10:80 127.0.0.1", "ClusterIP web:a"),
        ("*its other protocol", "udp 10.96.0.10:80 127.0.0.1", "ClusterIP web:u"),
        ("*NodePort here", "192.0.2.1:30500 127.0.0.1", "NodePort web:a"),
        ("NodePort on --node-address", "127.0.0.1:30500 127.0.0.1", "NodePort web:a"),
        ("NodePort on IPv6", "[::1]:30500 127.0.0.1", "NodePort web:a"),
        ("*NodePort over UDP", "udp 192.0.2.1:30500 127.0.0.1", "NodePort web:u"),
        ("NodePort on the ClusterIP is none", "10.96.0.10:30500 127.0.0.1", "NoSuchPort"),
        ("*externalIP", "192.0.2.100:80 127.0.0.1", "ExternalIP web:a"),
        ("load balancer", "203.0.113.7:80 127.0.0.1", "LoadBalancer web:a"),
        ("ipMode Proxy is not claimed", "203.0.113.8:80 127.0.0.1", "NotOurs"),
    ]
    .into_iter()
    .map(|(case, flow, want)| {
        let spec = format!(
            "type: LoadBalancer, clusterIP: 10.96.0.10, externalIPs: [192.0.2.100], {ports}"
        );
        let world = World::new().object(&service("web", "", &spec, ingress));
        Row::new("4.4", case, world).expect(Aspect::Front, flow, want)
    })
    .collect()
}

/// Addresses are known as written, also where they are mapped.
fn mapped() -> Vec<Row> {
    let spec =
        "type: LoadBalancer, clusterIP: 10.9.0.10, externalIPs: [192.0.2.100], ports: [{port: 80}]";
    let status = "loadBalancer: {ingress: [{ip: 203.0.113.7}]}";
    [
        ("as written", "10.9.0.10:80 127.0.0.1", "ClusterIP web:"),
        ("another port of it", "10.9.0.10:81 127.0.0.1", "NoSuchPort"),
        ("an externalIP counts", "192.0.2.100:80 127.0.0.1", "ExternalIP web:"),
        ("a status does not", "203.0.113.7:80 127.0.0.1", "NotOurs"),
    ]
    .into_iter()
    .map(|(case, flow, want)| {
        let world = World::new()
            .object(&service("web", "", spec, status))
            .settings(|it| it.cluster_ips = ClusterIps::Map);
        Row::new("4.4", case, world).expect(Aspect::Front, flow, want)
    })
    .collect()
}

/// Of two claims the older Service has the front, and the smaller name else.
fn claims() -> Vec<Row> {
    let spec = "externalIPs: [192.0.2.100], ports: [{port: 80}]";
    [
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
    ]
    .into_iter()
    .map(|(case, a, b, want)| {
        let world = |order: [(&str, &str); 2]| {
            order.iter().fold(World::new(), |world, (name, metadata)| {
                world.object(&service(name, metadata, spec, ""))
            })
        };
        Row::new("4.4", case, world([("a", a), ("b", b)]))
            .and_in(world([("b", b), ("a", a)]))
            .expect(Aspect::Front, "192.0.2.100:80 127.0.0.1", want)
    })
    .collect()
}

/// Services that are not ours have no front.
fn others() -> Vec<Row> {
    [
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
    ]
    .into_iter()
    .map(|(case, metadata, spec, flow, want)| {
        let world = World::new().object(&service("web", metadata, spec, ""));
        let (rule, case) = case.split_once(' ').expect("a rule and a case");
        Row::new(rule, case, world).expect(Aspect::Front, flow, want)
    })
    .collect()
}

/// Without a node name any node's address has NodePorts.
fn any_node() -> Vec<Row> {
    let spec = "type: NodePort, clusterIP: 10.96.0.10, ports: [{port: 80, nodePort: 30500}]";
    [
        ("another node's address has none", "n1", "NotOurs"),
        ("the node's own has one", "n2", "NodePort web:"),
        ("any has where no node is known", "", "NodePort web:"),
    ]
    .into_iter()
    .map(|(case, node, want)| {
        Row::new("4.4", case, World::new().object(&service("web", "", spec, "")))
            .at(node)
            .expect(Aspect::Front, "192.0.2.2:30500 198.51.100.1", want)
    })
    .collect()
}

/// What is written loosely is read as Kubernetes reads what it has stored.
fn written() -> Vec<Row> {
    let external = |address: &str| format!("externalIPs: [{address}], ports: [{{port: 80}}]");
    let shared = "type: NodePort, clusterIP: 10.96.0.10, ports: [{name: a, port: 53, nodePort: 30500}, \
                  {name: u, port: 53, protocol: UDP}]";
    [
        (
            "1.6",
            "leading zeros are decimal",
            external("\"192.000.002.0100\""),
            "192.0.2.100:80 127.0.0.1",
            "ExternalIP web:",
        ),
        (
            "1.6",
            "IPv4 inside IPv6 is IPv4",
            external("\"::ffff:192.0.2.100\""),
            "192.0.2.100:80 127.0.0.1",
            "ExternalIP web:",
        ),
        (
            "1.5",
            "an address of another family is not claimed",
            format!("ipFamilies: [IPv4], {}", external("\"2001:db8::1\", 192.0.2.100")),
            "[2001:db8::1]:80 ::1",
            "NotOurs",
        ),
        (
            "5",
            "one number of two protocols has one NodePort",
            shared.to_owned(),
            "udp 127.0.0.1:30500 127.0.0.1",
            "NodePort web:u",
        ),
    ]
    .into_iter()
    .map(|(rule, case, spec, flow, want)| {
        let world = World::new().object(&service("web", "", &spec, ""));
        Row::new(rule, case, world).expect(Aspect::Front, flow, want)
    })
    .collect()
}
