//! Services over TCP: addresses, ports, balancing, half-close.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use crate::harness::PATIENCE;
use crate::harness::pod::Pod;
use crate::harness::portico::Portico;

/// A Service whose endpoints are these pods, by the short form.
pub(crate) fn service(name: &str, kind: &str, port: u16, pods: &[&Pod]) -> String {
    let endpoints: Vec<_> = pods.iter().map(|pod| pod.address.to_string()).collect();
    format!(
        "apiVersion: v1\nkind: Service\nmetadata:\n  name: {name}\n  annotations:\n    \
         portico.dev/endpoints: \"{}\"\nspec:\n  type: {kind}\n  ports:\n  - port: {port}\n",
        endpoints.join(",")
    )
}

/// Connects and reads the name that a [`Pod::tcp`] says first.
pub(crate) fn who(address: SocketAddr) -> std::io::Result<String> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut name = String::new();
    BufReader::new(stream).read_line(&mut name)?;
    if name.is_empty() {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    Ok(name.trim_end().to_owned())
}

#[test]
fn round_robin_is_exact_over_all_workers() {
    let (a, b, c) = (Pod::tcp("a"), Pod::tcp("b"), Pod::tcp("c"));
    let portico = Portico::with(&[("s.yaml", &service("db", "ClusterIP", 3307, &[&a, &b, &c]))])
        .workers(2)
        .start();
    let front = portico.cluster_ip("default/db", 3307);
    let mut counts = std::collections::BTreeMap::new();
    for _ in 0..30 {
        *counts.entry(who(front).unwrap()).or_insert(0) += 1;
    }
    let want = [("a", 10), ("b", 10), ("c", 10)].map(|(name, count)| (name.to_owned(), count));
    assert_eq!(counts, want.into());
}

#[test]
fn a_node_port_leads_to_the_same_pods_as_the_cluster_ip() {
    let pod = Pod::tcp("only");
    let portico = Portico::with(&[("s.yaml", &service("db", "NodePort", 3307, &[&pod]))]).start();
    assert_eq!(who(portico.cluster_ip("default/db", 3307)).unwrap(), "only");
    assert_eq!(who(portico.node_port("default/db", 3307)).unwrap(), "only");
}

#[test]
fn a_client_that_closed_its_half_still_gets_the_answer() {
    let pod = Pod::tcp("echo");
    let portico =
        Portico::with(&[("s.yaml", &service("echo", "ClusterIP", 7000, &[&pod]))]).start();
    let mut stream = TcpStream::connect(portico.cluster_ip("default/echo", 7000)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let sent: Vec<u8> = (0..1_000_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    let mut reader = stream.try_clone().unwrap();
    let received = std::thread::spawn(move || {
        let mut received = Vec::new();
        reader.read_to_end(&mut received).map(|_| received)
    });
    stream.write_all(&sent).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let received = received.join().unwrap().unwrap();
    assert_eq!(&received[..5], b"echo\n");
    assert!(received[5..] == sent[..], "every byte came back");
}

#[test]
fn a_dead_endpoint_costs_its_clients_nothing() {
    let (alive, dead) = (Pod::tcp("alive"), Pod::tcp("dead"));
    let text = service("db", "ClusterIP", 3307, &[&alive, &dead]);
    let portico = Portico::with(&[("s.yaml", &text)]).start();
    drop(dead);
    let front = portico.cluster_ip("default/db", 3307);
    for _ in 0..10 {
        assert_eq!(who(front).unwrap(), "alive");
    }
}

#[test]
fn a_service_without_endpoints_refuses_or_resets_at_once() {
    let text = "apiVersion: v1\nkind: Service\nmetadata: {name: empty}\n\
                spec: {selector: {app: none}, ports: [{port: 4000}]}\n";
    let portico = Portico::with(&[("s.yaml", text)]).start();
    let error = who(portico.cluster_ip("default/empty", 4000)).unwrap_err();
    let kinds = [std::io::ErrorKind::ConnectionReset, std::io::ErrorKind::ConnectionRefused];
    assert!(kinds.contains(&error.kind()), "{error}");
}

#[test]
fn only_ready_pods_of_the_selector_get_traffic() {
    let (ready, unready, other) = (Pod::tcp("ready"), Pod::tcp("unready"), Pod::tcp("other"));
    let pod = |name: &str, app: &str, condition: &str, pod: &Pod| {
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, labels: {{app: {app}}}}}\n\
             spec: {{containers: [{{name: c, ports: [{{name: sql, containerPort: {}}}]}}]}}\n\
             status: {{podIP: {}, conditions: [{condition}]}}\n",
            pod.address.port(),
            pod.address.ip()
        )
    };
    let manifests = [
        pod("one", "db", "{type: Ready, status: \"True\"}", &ready),
        pod("two", "db", "{type: Ready, status: \"False\"}", &unready),
        pod("three", "web", "", &other),
        "apiVersion: v1\nkind: Service\nmetadata: {name: db}\n\
         spec: {selector: {app: db}, ports: [{port: 3307, targetPort: sql}]}\n"
            .to_owned(),
    ]
    .join("---\n");
    let portico = Portico::with(&[("all.yaml", &manifests)]).start();
    for _ in 0..4 {
        assert_eq!(who(portico.cluster_ip("default/db", 3307)).unwrap(), "ready");
    }
    assert_eq!(unready.connections() + other.connections(), 0);
}

#[test]
fn a_front_that_is_taken_is_degraded_with_a_remedy_and_heals() {
    let (pod, neighbour) = (Pod::tcp("pod"), Pod::tcp("neighbour"));
    let portico = Portico::with(&[]).start();
    let (port, taken) = portico.take_node_port();
    let text = service("db", "NodePort", 3307, &[&pod])
        .replace("- port: 3307", &format!("- port: 3307\n    nodePort: {port}"));
    portico.edit("db.yaml", &text);
    portico.edit("n.yaml", &service("near", "ClusterIP", 3308, &[&neighbour]));
    let readyz = portico.readyz();
    assert!(readyz.contains(&port.to_string()) && readyz.contains("taken"), "{readyz}");
    assert_eq!(who(portico.cluster_ip("default/near", 3308)).unwrap(), "neighbour");
    let front = SocketAddr::new(portico.node_address(), port);
    drop(taken);
    let name = crate::harness::eventually("the front heals", || who(front).ok());
    assert_eq!(name, "pod");
}

/// A Service without a selector, and a slice of pods, each with its node, zone hint and state.
fn sliced(name: &str, spec: &str, pods: &[(&Pod, &str, &str)]) -> String {
    let mut text = format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {{ports: [{{port: 3307}}], \
         {spec}}}\n"
    );
    // A slice has one port number, and each pod its own.
    for (number, (pod, node, more)) in pods.iter().enumerate() {
        let (ip, port) = (pod.address.ip(), pod.address.port());
        text += &format!(
            "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {{name: {name}-{number}, \
             labels: {{kubernetes.io/service-name: {name}}}}}\naddressType: IPv4\nports: [{{port: \
             {port}}}]\nendpoints: [{{addresses: [{ip}], nodeName: {node}, {more}}}]\n"
        );
    }
    text
}

/// Who answers, over as many connections as there are pods, sorted.
fn all(front: SocketAddr, count: usize) -> Vec<String> {
    let mut names: Vec<_> = (0..count)
        .map(|_| who(front).unwrap_or_else(|_| "nobody".into()))
        .collect();
    names.sort();
    names.dedup();
    names
}

#[test]
fn traffic_policies_choose_the_pods_of_this_node() {
    let (here, there) = (Pod::tcp("here"), Pod::tcp("there"));
    let both = [(&here, "n1", ""), (&there, "n2", "")];
    let elsewhere = [(&there, "n2", "")];
    for (case, spec, pods, want) in [
        ("4.1 cluster", "type: NodePort", &both[..], [&["here", "there"][..], &["here", "there"]]),
        (
            "4.1 internal",
            "type: NodePort, internalTrafficPolicy: Local",
            &both,
            [&["here"], &["here", "there"]],
        ),
        (
            "4.2 internal, none here",
            "type: NodePort, internalTrafficPolicy: Local",
            &elsewhere,
            [&["nobody"], &["there"]],
        ),
        // Every client of this test is on the node, which goes past the policy.
        (
            "4.3 external",
            "type: NodePort, externalTrafficPolicy: Local",
            &elsewhere,
            [&["there"], &["there"]],
        ),
    ] {
        let portico = Portico::with(&[("s.yaml", &sliced("db", spec, pods))])
            .adjust(|settings| settings.node_name = Some("n1".into()))
            .start();
        let fronts =
            [portico.cluster_ip("default/db", 3307), portico.node_port("default/db", 3307)];
        for (front, want) in fronts.into_iter().zip(want) {
            assert_eq!(all(front, 4), want, "services {case}: {front}");
        }
    }
}

#[test]
fn hints_choose_the_pods_of_this_zone_and_follow_the_node() {
    let (near, far) = (Pod::tcp("near"), Pod::tcp("far"));
    let hint = |zone: &str| format!("hints: {{forZones: [{{name: {zone}}}]}}");
    let pods = [(&near, "n1", &*hint("z1")), (&far, "n2", &*hint("z2"))];
    let node = |zone: &str| {
        format!(
            "apiVersion: v1\nkind: Node\nmetadata: {{name: n1, labels: \
             {{topology.kubernetes.io/zone: {zone}}}}}\n"
        )
    };
    let files = [("s.yaml", &*sliced("db", "type: ClusterIP", &pods)), ("n.yaml", &node("z1"))];
    let portico = Portico::with(&files)
        .adjust(|settings| settings.node_name = Some("n1".into()))
        .start();
    let front = portico.cluster_ip("default/db", 3307);
    assert_eq!(all(front, 4), ["near"], "services 4.1.3");
    portico.edit("n.yaml", &node("z2"));
    assert_eq!(all(front, 4), ["far"], "services 4.1.3");
    portico.edit("n.yaml", &node("z3"));
    assert_eq!(all(front, 4), ["far", "near"], "services 4.1.3");
}

#[test]
fn a_load_balancer_s_address_is_served_to_its_source_ranges_alone() {
    let pod = Pod::tcp("pod");
    let portico = Portico::with(&[])
        .adjust(|settings| settings.cluster_ips = portico_config::model::ClusterIps::Keep)
        .start();
    let address = portico.service_cidr().replace(".0.0/16", ".200.7");
    let text = |ranges: &str| {
        let spec = format!("type: LoadBalancer, loadBalancerSourceRanges: [{ranges}]");
        let status = format!("status: {{loadBalancer: {{ingress: [{{ip: {address}}}]}}}}\n---\n");
        sliced("db", &spec, &[(&pod, "n1", "")]).replacen("---\n", &status, 1)
    };
    let front = SocketAddr::new(address.parse().unwrap(), 3307);
    for (ranges, want) in
        [("127.0.0.0/8", "pod"), ("198.51.100.0/24", "nobody"), ("\"2001:db8::/32\"", "pod")]
    {
        portico.edit("lb.yaml", &text(ranges));
        assert_eq!(all(front, 2), [want], "services 4.4: {ranges}");
        assert_eq!(who(portico.node_port("default/db", 3307)).unwrap(), "pod", "{ranges}");
    }
    let metrics = crate::harness::http::get(portico.admin(), "localhost", "/metrics");
    let dropped = "portico_l4_dropped_total{port=\"\",protocol=\"tcp\",service=\"default/db\"} 2";
    assert!(metrics.text().contains(dropped), "{}", metrics.text());
}
