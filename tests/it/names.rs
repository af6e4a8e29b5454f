//! Names over UDP and TCP, decoded by a second library.

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use portico_config::model::Settings;

use crate::harness::dns::{Reply, ask, ask_tcp};
use crate::harness::pod::Pod;
use crate::harness::portico::Portico;
use crate::services::service;

const MANIFESTS: &str = "\
apiVersion: v1
kind: Service
metadata: {name: db}
spec:
  ports:
  - {name: sql, port: 3307}
  - {name: admin, port: 8080}
---
apiVersion: v1
kind: Service
metadata: {name: peers}
spec: {clusterIP: None, ports: [{name: sql, port: 3306}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: peers-1, labels: {kubernetes.io/service-name: peers}}
addressType: IPv4
endpoints:
- {addresses: [127.4.0.1], hostname: peer-0}
- {addresses: [127.4.0.2], conditions: {ready: false}}
- {addresses: [127.4.0.3]}
ports: [{name: sql, port: 3306}]
---
apiVersion: v1
kind: Service
metadata: {name: outside}
spec: {type: ExternalName, externalName: db.example.com}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: site}
spec:
  rules:
  - host: shop.portico.test
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: db, port: {number: 8080}}}}]}
  - host: solo
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: db, port: {number: 8080}}}}]}
";

#[test]
fn every_kind_of_name_is_answered_in_every_zone() {
    let portico = Portico::with(&[("names.yaml", MANIFESTS)]).start();
    let db = portico.cluster_ip("default/db", 3307).ip();
    let a = format!("A {db}");
    for zone in ["cluster.local", "portico.test"] {
        let ask =
            |name: &str, kind| ask(portico.dns(), &format!("{name}.default.svc.{zone}."), kind);
        assert_eq!(ask("db", RecordType::A), Reply::of(&[&a]), "dns 1.1 ClusterIP");
        assert_eq!(ask("DB", RecordType::A), Reply::of(&[&a]), "dns 1.11 case");
        assert_eq!(ask("db", RecordType::AAAA), Reply::of(&[]), "dns 1.4 NODATA");
        assert_eq!(ask("peers", RecordType::A), Reply::of(&["A 127.4.0.1", "A 127.4.0.3"]));
        assert_eq!(ask("peer-0.peers", RecordType::A), Reply::of(&["A 127.4.0.1"]));
        assert_eq!(ask("127-4-0-3.peers", RecordType::A), Reply::of(&["A 127.4.0.3"]));
        assert_eq!(
            ask("_sql._tcp.db", RecordType::SRV),
            Reply::of(&[&format!("SRV 0 100 3307 db.default.svc.{zone}.")])
        );
        assert_eq!(ask("_nope._tcp.db", RecordType::SRV), Reply::nxdomain());
        let cname = ask("outside", RecordType::CNAME);
        assert_eq!(cname, Reply::of(&["CNAME db.example.com."]), "dns 1.7");
        assert_eq!(ask("none", RecordType::A), Reply::nxdomain());
    }
}

#[test]
fn reverse_names_lead_to_the_primary_zone() {
    let portico = Portico::with(&[("names.yaml", MANIFESTS)]).start();
    let std::net::IpAddr::V4(db) = portico.cluster_ip("default/db", 3307).ip() else {
        panic!("an IPv4 ClusterIP")
    };
    let [a, b, c, d] = db.octets();
    let name = format!("{d}.{c}.{b}.{a}.in-addr.arpa.");
    let want = Reply::of(&["PTR db.default.svc.cluster.local."]);
    assert_eq!(ask(portico.dns(), &name, RecordType::PTR), want);
    let peer = ask(portico.dns(), "1.0.4.127.in-addr.arpa.", RecordType::PTR);
    assert_eq!(peer, Reply::of(&["PTR peer-0.peers.default.svc.cluster.local."]));
}

#[test]
fn ingress_hosts_answer_with_the_front_door() {
    let portico = Portico::with(&[("names.yaml", MANIFESTS)]).start();
    let door = Reply::of(&[&format!("A {}", portico.http().ip())]);
    for host in ["shop.portico.test.", "solo.", "solo.portico.test."] {
        assert_eq!(ask(portico.dns(), host, RecordType::A), door, "{host}");
        assert_eq!(ask(portico.dns(), host, RecordType::AAAA), Reply::of(&[]), "{host}");
    }
    let outside = ask(portico.dns(), "example.com.", RecordType::A);
    assert_eq!(outside.code, ResponseCode::Refused, "forwarding is off");
}

#[test]
fn tcp_gives_the_same_answers_as_udp() {
    let pod = Pod::tcp("pod");
    let portico = Portico::with(&[("s.yaml", &service("web", "ClusterIP", 80, &[&pod]))]).start();
    let name = "web.default.svc.cluster.local.";
    let udp = ask(portico.dns(), name, RecordType::A);
    assert_eq!(udp.answers.len(), 1);
    assert_eq!(ask_tcp(portico.dns(), name, RecordType::A), udp);
}

#[test]
fn only_clients_of_networks_that_are_named_are_answered() {
    let none = |settings: &mut Settings| settings.dns_allow = vec!["192.0.2.0/24".parse().unwrap()];
    let portico = Portico::with(&[("names.yaml", MANIFESTS)])
        .adjust(none)
        .start();
    let name = "db.default.svc.cluster.local.";
    for reply in
        [ask(portico.dns(), name, RecordType::A), ask_tcp(portico.dns(), name, RecordType::A)]
    {
        assert_eq!((reply.code, reply.answers.len()), (ResponseCode::Refused, 0), "dns 3.1");
    }
}

#[test]
fn some_clients_see_records_of_their_own() {
    let records = |network: &str| {
        let seen = format!("@{network} office.corp.test A 192.0.2.2");
        ["office.corp.test A 192.0.2.1", &seen]
            .map(|record| record.parse().unwrap())
            .to_vec()
    };
    for (network, want) in [("127.0.0.0/8", "A 192.0.2.2"), ("10.0.0.0/8", "A 192.0.2.1")] {
        let records = records(network);
        let portico = Portico::with(&[("names.yaml", MANIFESTS)])
            .adjust(move |settings| settings.names.records = records)
            .start();
        for ask in [ask, ask_tcp] {
            let reply = ask(portico.dns(), "office.corp.test.", RecordType::A);
            assert_eq!(reply, Reply::of(&[want]), "dns 4.7: {network}");
        }
        let db = portico.cluster_ip("default/db", 3307).ip();
        let reply = ask(portico.dns(), "db.default.svc.cluster.local.", RecordType::A);
        assert_eq!(reply, Reply::of(&[&format!("A {db}")]), "dns 4.7: all else is as for others");
    }
}
