//! The resolver against its rules: every reply is read by hickory-proto, an independent decoder.

mod changes;
mod packets;
mod reference;
mod rewrites;
mod scripts;
mod sockets;
mod strange;
mod tls;
mod transfers;
mod views;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use hickory_proto::op::Message;
use portico_config::model::{HostPattern, ObjectName, Protocol};
use portico_config::snapshot::endpoint::NamedAddress;
use portico_config::snapshot::{
    Endpoint, HostOwner, HostRecord, PortId, Reach, Service, ServicePort, Snapshot, Zones,
};

use crate::answer::{Outcome, Transport, answer};
use crate::build;
use crate::table::AnswerTable;
use crate::zones::Zone;

const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 9));

fn service(
    name: &str,
    reach: Reach,
    ports: &[(&str, u16)],
    endpoints: &[(&str, &str)],
) -> Arc<Service> {
    let object = ObjectName::new("default", name);
    let port = |(port_name, number): &(&str, u16)| {
        let endpoint = |(label, ip): &(&str, &str)| Endpoint {
            label: (*label).into(),
            ..Endpoint::at(SocketAddr::new(ip.parse().unwrap(), number + 8000))
        };
        Arc::new(ServicePort {
            id: Arc::new(PortId {
                service: object.clone(),
                name: (*port_name).into(),
                protocol: Protocol::Tcp,
            }),
            port: *number,
            node_port: None,
            endpoints: endpoints.iter().map(endpoint).collect(),
            traffic: Arc::default(),
        })
    };
    let address = |(label, ip): &(&str, &str)| NamedAddress {
        label: (*label).into(),
        address: ip.parse().unwrap(),
    };
    Arc::new(Service {
        name: object.clone(),
        reach,
        has_selector: false,
        is_nameless: false,
        ports: ports.iter().map(port).collect(),
        addresses: endpoints.iter().map(address).collect(),
        traffic: Arc::default(),
    })
}

pub(crate) fn snapshot() -> Snapshot {
    let ip = |text: &str| text.parse::<IpAddr>().unwrap();
    let external = |target: &str| Reach::ExternalName(target.into());
    let pods = [("db-0", "10.0.0.1"), ("db-1", "10.0.0.2"), ("db-1", "fd00::2")];
    let many: Vec<(String, String)> = (0..120)
        .map(|n| (format!("pod-{n}"), format!("10.9.0.{n}")))
        .collect();
    let many: Vec<_> = many
        .iter()
        .map(|(label, ip)| (label.as_str(), ip.as_str()))
        .collect();
    let services = [
        service(
            "web",
            Reach::ClusterIp(vec![ip("127.96.0.1"), ip("fd00:96::1")]),
            &[("http", 80)],
            &[("10-1-0-1", "10.1.0.1")],
        ),
        service("bare", Reach::ClusterIp(vec![ip("127.96.0.2")]), &[("", 5432)], &[]),
        service("pending", Reach::ClusterIp(Vec::new()), &[("http", 80)], &[]),
        service("db", Reach::Headless, &[("pg", 5432)], &pods),
        service("empty", Reach::Headless, &[("pg", 5432)], &[]),
        service("many", Reach::Headless, &[("p", 1)], &many),
        service("out", external("www.example.org"), &[("x", 1)], &[]),
        service("in", external("web.default.svc.cluster.local."), &[], &[]),
        service("gone", external("nobody.default.svc.cluster.local"), &[], &[]),
        service("self", external("self.default.svc.cluster.local"), &[], &[]),
        service("ping", external("pong.default.svc.cluster.local"), &[], &[]),
        service("pong", external("ping.default.svc.cluster.local"), &[], &[]),
        service("number", external("192.0.2.7"), &[], &[]),
    ];
    let host = |host: &str, address: &str| HostRecord {
        host: HostPattern::parse(host),
        addresses: vec![ip(address)],
        alias: None,
        ttl_seconds: None,
        owner: HostOwner::Ingress(ObjectName::new("default", "web")),
    };
    let zones = Zones {
        cluster_domains: vec!["cluster.local".into()],
        alias_zones: vec!["portico.test".into()],
        reverse: vec!["127.96.0.0/15".parse().unwrap()],
        hosts: vec![
            host("*.wild.example", "127.0.0.1"),
            host("a.shop.portico.test", "127.0.0.1"),
            host("any.example", "0.0.0.0"),
            host("exact.wild.example", "127.0.0.2"),
            host("mi-web", "127.0.0.1"),
            host("shop.portico.test", "127.0.0.1"),
            host("web.default.svc.portico.test", "127.0.0.66"),
        ],
        namespaces: ["default".into(), "kube-system".into()].into(),
        ttl_seconds: 5,
        serial: 7,
        ..Zones::default()
    };
    let services = services.into_iter().map(|s| (s.name.clone(), s)).collect();
    Snapshot { generation: 1, services, zones: Arc::new(zones), ..Snapshot::default() }
}

fn table() -> AnswerTable {
    build::build(&snapshot(), &[SocketAddr::from(([127, 0, 0, 1], 53))])
}

fn wire(name: &str) -> Vec<u8> {
    let labels = name.split('.').filter(|label| !label.is_empty());
    let mut bytes: Vec<u8> = labels
        .flat_map(|label| [&[u8::try_from(label.len()).unwrap()], label.as_bytes()].concat())
        .collect();
    bytes.push(0);
    bytes
}

/// ID 0, RD set.
fn query(name: &str, kind: u16) -> Vec<u8> {
    let head = [0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    [&head[..], &wire(name), &kind.to_be_bytes(), &[0, 1]].concat()
}

fn with_opt(mut message: Vec<u8>, size: u16, version: u8, options: &[u8]) -> Vec<u8> {
    message[11] += 1;
    message.extend([0, 0, 41]);
    message.extend(size.to_be_bytes());
    message.extend([0, version, 0x80, 0]);
    message.extend(u16::try_from(options.len()).unwrap().to_be_bytes());
    message.extend_from_slice(options);
    message
}

fn ask(table: &AnswerTable, message: &[u8], transport: Transport) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let peer = SocketAddr::from(([127, 0, 0, 1], 40_000));
    match answer(message, peer, LOCAL, transport, table, &mut out) {
        Outcome::Ignored(_) => None,
        Outcome::Reply { .. } | Outcome::Elsewhere { .. } => Some(out),
    }
}

/// `RCODE` of the header, then the answers as `TYPE data`, sorted.
fn told(table: &AnswerTable, name: &str, kind: u16) -> (u8, Vec<String>, Message) {
    let reply = ask(table, &query(name, kind), Transport::Tcp).unwrap();
    let message = Message::from_vec(&reply).unwrap();
    let mut answers: Vec<_> = message
        .answers
        .iter()
        .map(|r| format!("{} {}", r.record_type(), r.data))
        .collect();
    answers.sort();
    (reply[3] & 15, answers, message)
}

const A: u16 = 1;
const AAAA: u16 = 28;
const SRV: u16 = 33;
const PTR: u16 = 12;
const CNAME: u16 = 5;

#[test]
fn names_of_the_cluster_zone_are_answered() {
    let table = table();
    let n = "default.svc.cluster.local";
    let cases: &[(&str, String, u16, &[&str])] = &[
        ("1.1", "dns-version.cluster.local".into(), 16, &["TXT 1.1.0"]),
        ("1.1", format!("web.{n}"), A, &["A 127.96.0.1"]),
        ("1.1", format!("WEB.{n}"), AAAA, &["AAAA fd00:96::1"]),
        (
            "1.5",
            format!("_http._tcp.web.{n}"),
            SRV,
            &["SRV 0 50 80 web.default.svc.cluster.local."],
        ),
        ("1.5", format!("web.{n}"), SRV, &["SRV 0 50 80 web.default.svc.cluster.local."]),
        ("1.5", format!("bare.{n}"), SRV, &["SRV 0 100 5432 bare.default.svc.cluster.local."]),
        ("1.3.4", format!("10-1-0-1.web.{n}"), A, &["A 10.1.0.1"]),
        ("1.1", format!("db.{n}"), A, &["A 10.0.0.1", "A 10.0.0.2"]),
        ("1.1", format!("db-1.db.{n}"), A, &["A 10.0.0.2"]),
        ("1.1", format!("db-1.db.{n}"), AAAA, &["AAAA fd00::2"]),
        (
            "1.5",
            format!("_pg._tcp.db.{n}"),
            SRV,
            &[
                "SRV 0 33 13432 db-0.db.default.svc.cluster.local.",
                "SRV 0 33 13432 db-1.db.default.svc.cluster.local.",
            ],
        ),
        ("1.6", "1.0.96.127.in-addr.arpa".into(), PTR, &["PTR web.default.svc.cluster.local."]),
        ("1.6", "1.0.0.10.in-addr.arpa".into(), PTR, &["PTR db-0.db.default.svc.cluster.local."]),
        ("1.7", format!("out.{n}"), A, &["CNAME www.example.org."]),
        ("1.7", format!("out.{n}"), CNAME, &["CNAME www.example.org."]),
        ("1.7", format!("in.{n}"), A, &["A 127.96.0.1", "CNAME web.default.svc.cluster.local."]),
        ("1.7", format!("in.{n}"), CNAME, &["CNAME web.default.svc.cluster.local."]),
        ("1.8", "cluster.local".into(), 2, &["NS ns.dns.cluster.local."]),
        ("1.8", "ns.dns.cluster.local".into(), A, &["A 127.0.0.1"]),
        ("2", "web.default.svc.portico.test".into(), A, &["A 127.96.0.1"]),
        (
            "2",
            "_http._tcp.web.default.svc.portico.test".into(),
            SRV,
            &["SRV 0 50 80 web.default.svc.portico.test."],
        ),
        ("2", "mi-web".into(), A, &["A 127.0.0.1"]),
        ("2", "mi-web.portico.test".into(), A, &["A 127.0.0.1"]),
        ("2", "one.wild.example".into(), A, &["A 127.0.0.1"]),
        ("2", "exact.wild.example".into(), A, &["A 127.0.0.2"]),
        ("2", "any.example".into(), A, &["A 127.0.0.9"]),
        ("2", "a.shop.portico.test".into(), A, &["A 127.0.0.1"]),
        ("2", "shop.portico.test".into(), A, &["A 127.0.0.1"]),
    ];
    for (rule, name, kind, want) in cases {
        let (rcode, answers, message) = told(&table, name, *kind);
        assert_eq!((rcode, answers.as_slice()), (0, &want.map_strings()[..]), "dns {rule}: {name}");
        assert!(message.metadata.authoritative && message.metadata.recursion_desired);
        assert!(!message.metadata.recursion_available && message.authorities.is_empty(), "{name}");
        let ttl = if *kind == 16 { 28_800 } else { 5 };
        assert!(message.answers.iter().all(|record| record.ttl == ttl), "dns 1.4: {name}");
    }
}

trait Strings {
    fn map_strings(&self) -> Vec<String>;
}

impl Strings for &[&str] {
    fn map_strings(&self) -> Vec<String> {
        self.iter().map(ToString::to_string).collect()
    }
}

#[test]
fn what_has_no_record_exists_or_does_not() {
    let table = table();
    let n = "default.svc.cluster.local";
    // Name, type, response code, owner of the SOA.
    let cases: &[(&str, String, u16, u8, &str)] = &[
        ("1.4", format!("bare.{n}"), AAAA, 0, "cluster.local."),
        ("1.4", format!("web.{n}"), 65, 0, "cluster.local."),
        ("1.4", format!("web.{n}"), 999, 0, "cluster.local."),
        ("1.2", format!("pending.{n}"), A, 0, "cluster.local."),
        ("1.2", format!("pending.{n}"), SRV, 0, "cluster.local."),
        ("1.4", format!("_http._tcp.web.{n}"), A, 0, "cluster.local."),
        ("2", format!("_tcp.web.{n}"), SRV, 0, "cluster.local."),
        ("2", "dns.cluster.local".into(), A, 0, "cluster.local."),
        ("1.3.2", "svc.cluster.local".into(), A, 0, "cluster.local."),
        ("1.3.2", "pod.cluster.local".into(), A, 0, "cluster.local."),
        ("1.3.2", n.into(), A, 0, "cluster.local."),
        ("1.3.2", "kube-system.svc.cluster.local".into(), A, 0, "cluster.local."),
        ("1.3.2", "other.svc.cluster.local".into(), A, 3, "cluster.local."),
        ("1.3.1", "nothing.cluster.local".into(), A, 3, "cluster.local."),
        ("1.3.3", format!("_udp._udp.web.{n}"), SRV, 3, "cluster.local."),
        ("1.3.3", format!("http.tcp.web.{n}"), SRV, 3, "cluster.local."),
        ("1.3.3", format!("_._tcp.web.{n}"), SRV, 3, "cluster.local."),
        ("1.3.3", format!("a._http._tcp.web.{n}"), SRV, 3, "cluster.local."),
        ("1.3.5", "*.svc.cluster.local".into(), A, 3, "cluster.local."),
        ("1.4", format!("empty.{n}"), A, 3, "cluster.local."),
        ("1.4", format!("_pg._tcp.empty.{n}"), SRV, 3, "cluster.local."),
        ("1.7", format!("out.{n}"), 65, 0, "cluster.local."),
        ("1.7", format!("out.{n}"), SRV, 0, "cluster.local."),
        ("1.7", format!("_x._tcp.out.{n}"), SRV, 3, "cluster.local."),
        ("1.7", format!("self.{n}"), A, 0, "cluster.local."),
        ("1.7", format!("number.{n}"), A, 3, "cluster.local."),
        ("1.8", "cluster.local".into(), A, 0, "cluster.local."),
        ("1.8", format!("web.{n}"), 6, 0, "cluster.local."),
        ("1.8", format!("web.{n}"), 43, 0, "cluster.local."),
        ("1.9", "10-0-0-1.default.pod.cluster.local".into(), A, 3, "cluster.local."),
        ("1.6", "9.9.96.127.in-addr.arpa".into(), PTR, 3, "96.127.in-addr.arpa."),
        ("1.6", "9.9.97.127.in-addr.arpa".into(), PTR, 3, "97.127.in-addr.arpa."),
        ("1.6", "0.96.127.in-addr.arpa".into(), PTR, 0, "96.127.in-addr.arpa."),
        ("2", "nothing.portico.test".into(), A, 3, "portico.test."),
        ("2", "mi-web".into(), AAAA, 0, "mi-web."),
        ("2", "any.example".into(), AAAA, 0, "any.example."),
        ("2", "one.wild.example".into(), 16, 0, "one.wild.example."),
        ("2", "web.default.svc.portico.test".into(), 16, 0, "portico.test."),
    ];
    for (rule, name, kind, want, owner) in cases {
        let (rcode, answers, message) = told(&table, name, *kind);
        assert_eq!((rcode, answers.len()), (*want, 0), "dns {rule}: {name} {kind}");
        assert!(message.metadata.authoritative, "{name}");
        let [soa] = message.authorities.as_slice() else { panic!("dns 1.8: {name}: {message:?}") };
        assert_eq!(soa.name.to_string(), *owner, "dns 1.8: {name}");
        let data = format!("ns.dns.{owner} hostmaster.{owner} 7 7200 1800 86400 5");
        assert_eq!(soa.data.to_string(), data, "dns 1.8: {name}");
    }
}

#[test]
fn names_outside_are_refused_and_say_why() {
    let table = table();
    for name in
        ["example.org", "wild.example", "a.b.wild.example", "x.mi-web", "9.9.9.9.in-addr.arpa", ""]
    {
        let plain = ask(&table, &query(name, A), Transport::Udp).unwrap();
        assert_eq!((plain[3] & 15, plain[2] & 4), (5, 0), "dns 3.1: {name}");
        let reply = ask(&table, &with_opt(query(name, A), 1232, 0, &[]), Transport::Udp).unwrap();
        Message::from_vec(&reply).unwrap();
        assert!(reply.ends_with(&[0, 6, 0, 15, 0, 2, 0, 20]), "dns 3.1: {name}");
    }
}

#[test]
fn an_alias_takes_the_code_of_the_last_name() {
    let table = table();
    let (rcode, answers, message) = told(&table, "gone.default.svc.cluster.local", A);
    assert_eq!((rcode, answers.len(), message.authorities.len()), (3, 1, 1), "dns 1.7");
    let (rcode, answers, _) = told(&table, "ping.default.svc.cluster.local", A);
    assert_eq!((rcode, answers.len()), (0, 10), "dns 1.7: a loop ends");
    let (_, _, message) = told(&table, "in.default.svc.cluster.local", A);
    assert_eq!(message.answers[0].record_type().to_string(), "CNAME", "dns 1.4: CNAME first");
    assert_eq!(message.answers[1].name.to_string(), "web.default.svc.cluster.local.");
}

#[test]
fn srv_brings_the_addresses_of_its_targets() {
    let (_, _, message) = told(&table(), "_pg._tcp.db.default.svc.cluster.local", SRV);
    let mut found: Vec<_> = message
        .additionals
        .iter()
        .map(|r| format!("{} {}", r.name, r.data))
        .collect();
    found.sort();
    let n = "db.default.svc.cluster.local.";
    let want =
        [format!("db-0.{n} 10.0.0.1"), format!("db-1.{n} 10.0.0.2"), format!("db-1.{n} fd00::2")];
    assert_eq!(found, want, "dns 1.5");
}

#[test]
fn the_spelling_of_the_question_survives_and_rows_turn() {
    let table = table();
    let name = "wEb.DeFault.svc.CLUSTER.local";
    let mut message = query(name, A);
    let reply = ask(&table, &message, Transport::Udp).unwrap();
    assert_eq!(reply[12..12 + wire(name).len()], wire(name), "dns 1.11");
    let mut firsts = std::collections::BTreeSet::new();
    message = query("db.default.svc.cluster.local", A);
    for id in 0..2 {
        message[1] = id;
        let reply = ask(&table, &message, Transport::Udp).unwrap();
        firsts.insert(
            Message::from_vec(&reply).unwrap().answers[0]
                .data
                .to_string(),
        );
    }
    assert_eq!(firsts.len(), 2, "dns 1.4");
}

#[test]
fn replies_keep_to_their_size() {
    let table = table();
    let addresses = query("many.default.svc.cluster.local", A);
    let ports = query("many.default.svc.cluster.local", SRV);
    let cases = [
        (addresses.clone(), 512),
        (with_opt(addresses.clone(), 100, 0, &[]), 512),
        (with_opt(addresses.clone(), 1000, 0, &[]), 1000),
        (with_opt(addresses.clone(), 65_535, 0, &[]), 1232),
    ];
    for (message, limit) in cases {
        let reply = ask(&table, &message, Transport::Udp).unwrap();
        assert!(reply.len() <= limit && reply.len() + 16 > limit, "{} {limit}", reply.len());
        assert!(Message::from_vec(&reply).unwrap().metadata.truncation, "dns 3.3");
    }
    let reply = ask(&table, &ports, Transport::Udp).unwrap();
    let decoded = Message::from_vec(&reply).unwrap();
    assert!(decoded.metadata.truncation && decoded.answers.is_empty(), "dns 3.3: SRV whole or not");
    for message in [addresses, ports] {
        let reply = ask(&table, &message, Transport::Tcp).unwrap();
        let decoded = Message::from_vec(&reply).unwrap();
        assert!(!decoded.metadata.truncation && decoded.answers.len() == 120);
    }
}

#[test]
fn any_is_answered_with_one_small_record() {
    let table = table();
    let (rcode, answers, message) = told(&table, "web.default.svc.cluster.local", 255);
    assert_eq!((rcode, answers.len(), message.answers[0].ttl), (0, 1, 8482), "dns 3.6");
    assert!(answers[0].starts_with("HINFO") && answers[0].contains("RFC 8482"), "{answers:?}");
    assert_eq!(told(&table, "no.default.svc.cluster.local", 255).0, 3, "dns 3.6");
}

#[test]
fn an_unknown_edns_version_is_told_ours() {
    let reply = ask(
        &table(),
        &with_opt(query("web.default.svc.cluster.local", A), 1232, 1, &[]),
        Transport::Udp,
    )
    .unwrap();
    assert_eq!(reply[reply.len() - 6..], [1, 0, 0x80, 0, 0, 0], "dns 3.2: BADVERS, version 0, DO");
    assert_eq!(reply[7], 0, "dns 3.2: BADVERS without an answer");
}

#[test]
fn ports_that_answer_anything_are_not_answered() {
    let mut out = Vec::new();
    for port in [0, 7, 13, 17, 19, 37] {
        let peer = SocketAddr::from(([127, 0, 0, 1], port));
        let message = query("web.default.svc.cluster.local", A);
        let outcome = answer(&message, peer, LOCAL, Transport::Udp, &table(), &mut out);
        assert_eq!((outcome, out.len()), (Outcome::Ignored(Zone::DROPPED), 0), "dns 3.1: {port}");
    }
}

#[test]
fn hosts_may_be_as_long_as_names_can_be() {
    let label = "a".repeat(63);
    let longest = format!("{label}.{label}.{label}.{}", "b".repeat(61));
    let mut snapshot = snapshot();
    let hosts = vec![HostRecord {
        host: HostPattern::parse(&longest),
        addresses: vec![LOCAL],
        alias: None,
        ttl_seconds: None,
        owner: HostOwner::Ingress(ObjectName::new("default", "web")),
    }];
    snapshot.zones = Arc::new(Zones { hosts, ..(*snapshot.zones).clone() });
    let table = build::build(&snapshot, &[]);
    assert_eq!(told(&table, &longest, A).1, ["A 127.0.0.9"]);
    assert_eq!(told(&table, &longest, AAAA).2.authorities.len(), 1);
}
