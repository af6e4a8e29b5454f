//! The resolver as a server: its log of questions, whole zones for secondaries, and floods of connections.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RecordType};

use crate::harness::dns::{Reply, ask, ask_tcp};
use crate::harness::portico::Portico;
use crate::harness::{PATIENCE, eventually};

const MANIFESTS: &str = "\
apiVersion: v1
kind: Service
metadata: {name: db}
spec:
  ports:
  - {name: sql, port: 3307}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: site}
spec:
  rules:
  - host: shop.portico.test
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: db, port: {number: 3307}}}}]}
";

const LOCAL: &str = "db.default.svc.cluster.local.";

#[test]
fn questions_are_logged_by_zone_and_class_as_coredns_does() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("questions.log");
    let file = path.clone();
    let portico = Portico::with(&[("names.yaml", MANIFESTS)])
        .adjust(move |settings| {
            let rules = ["cluster.local=denial", "portico.test=all", "error"];
            settings.dns_log.rules = rules.map(|rule| rule.parse().unwrap()).into();
            settings.dns_log.file = Some(file);
        })
        .start();
    let dns = portico.dns();
    ask(dns, LOCAL, RecordType::A);
    ask(dns, "nobody.default.svc.cluster.local.", RecordType::A);
    ask_tcp(dns, LOCAL, RecordType::TXT);
    ask(dns, "Shop.Portico.Test.", RecordType::A);
    ask(dns, "www.example.org.", RecordType::A);
    let lines = || std::fs::read_to_string(&path).unwrap_or_default();
    let text = eventually("four lines are written", || {
        Some(lines()).filter(|text| text.lines().count() == 4)
    });
    for want in [
        "- 4711 \"A IN nobody.default.svc.cluster.local. udp 50 false 512\" NXDOMAIN qr,aa ",
        "- 4711 \"TXT IN db.default.svc.cluster.local. tcp 46 false 512\" NOERROR qr,aa ",
        "- 4711 \"A IN shop.portico.test. udp 35 false 512\" NOERROR qr,aa ",
        "- 4711 \"A IN www.example.org. udp 33 false 512\" REFUSED qr ",
    ] {
        let is_it = |line: &str| line.starts_with("[INFO] 127.0.0.1:") && line.contains(want);
        assert!(text.lines().any(is_it), "dns 3.8: {want}: {text}");
    }
    eventually("they are counted", || {
        (portico.metric("portico_dns_log_lines_total") == 4).then_some(())
    });
    assert_eq!(portico.metric("portico_dns_log_dropped_total"), 0);
}

fn framed(name: &str, kind: RecordType) -> Vec<u8> {
    let mut message = Message::new(99, MessageType::Query, OpCode::Query);
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
    let octets = message.to_vec().unwrap();
    let length = u16::try_from(octets.len()).unwrap().to_be_bytes();
    [&length[..], &octets].concat()
}

fn connect(to: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn read(stream: &mut TcpStream) -> Message {
    let mut length = [0; 2];
    stream.read_exact(&mut length).unwrap();
    let mut reply = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut reply).unwrap();
    Message::from_vec(&reply).unwrap()
}

/// `owner TYPE data` of a whole zone; the code where it is refused.
fn transfer(server: SocketAddr, zone: &str) -> Result<Vec<String>, ResponseCode> {
    let mut stream = connect(server);
    let mut query = framed(zone, RecordType::AXFR);
    // What is asked behind it is answered behind it.
    query.extend(framed(LOCAL, RecordType::A));
    stream.write_all(&query).unwrap();
    let mut all = Vec::new();
    while all
        .iter()
        .filter(|line: &&String| line.contains(" SOA "))
        .count()
        < 2
    {
        let message = read(&mut stream);
        match message.metadata.response_code {
            ResponseCode::NoError => {}
            code => return Err(code),
        }
        let line = |it: &hickory_proto::rr::Record| {
            format!("{} {} {}", it.name, it.record_type(), it.data)
        };
        all.extend(message.answers.iter().map(line));
    }
    assert_eq!(read(&mut stream).answers.len(), 1, "RFC 7766: the connection goes on");
    Ok(all)
}

#[test]
fn a_secondary_gets_whole_zones_if_it_may() {
    let closed = Portico::with(&[("names.yaml", MANIFESTS)]).start();
    assert_eq!(transfer(closed.dns(), "cluster.local."), Err(ResponseCode::Refused), "dns 1.10");
    let portico = Portico::with(&[("names.yaml", MANIFESTS)])
        .adjust(|settings| settings.dns_transfer_to = vec!["127.0.0.0/8".parse().unwrap()])
        .start();
    let db = portico.cluster_ip("default/db", 3307).ip();
    let told = transfer(portico.dns(), "cluster.local.").unwrap();
    for want in [
        format!("{LOCAL} A {db}"),
        format!("_sql._tcp.{LOCAL} SRV 0 100 3307 {LOCAL}"),
        "dns-version.cluster.local. TXT 1.1.0".to_owned(),
        "cluster.local. NS ns.dns.cluster.local.".to_owned(),
    ] {
        assert!(told.contains(&want), "dns 1.10: {want}: {told:#?}");
    }
    let of_alias = transfer(portico.dns(), "portico.test.").unwrap();
    assert!(
        of_alias
            .iter()
            .any(|line| line == "shop.portico.test. A 127.0.0.1"),
        "{of_alias:#?}"
    );

    portico.edit("more.yaml", &MANIFESTS.replace("name: db", "name: more"));
    let later = transfer(portico.dns(), "cluster.local.").unwrap();
    assert!(
        later
            .iter()
            .any(|line| line.starts_with("more.default.svc.")),
        "{later:#?}"
    );
    assert_ne!(told[0], later[0], "another serial");
    assert_eq!(portico.metric("portico_dns_transfers_total"), 3);
    let over_udp = ask(portico.dns(), "cluster.local.", RecordType::AXFR);
    assert_eq!(over_udp.code, ResponseCode::Refused, "dns 1.10: never in a datagram");
}

#[test]
fn secondaries_that_do_not_read_hold_up_nobody_and_are_given_up() {
    // More than the kernel takes for a client that reads nothing.
    let text = "x".repeat(250);
    let record = move |number: usize| {
        let line = format!("n{number}.portico.test TXT {0} {0} {0} {0}", &*text);
        line.parse().expect("a record")
    };
    let portico = Portico::with(&[("names.yaml", MANIFESTS)])
        .workers(1)
        .adjust(move |settings| {
            settings.dns_transfer_to = vec!["127.0.0.0/8".parse().unwrap()];
            settings.names.records = (0..RECORDS).map(record).collect();
        })
        .start();
    let dns = portico.dns();
    let begin = || {
        let mut stream = connect(dns);
        stream
            .write_all(&framed("portico.test.", RecordType::AXFR))
            .unwrap();
        stream
    };
    let running = || portico.metric("portico_dns_transfers_running");
    let silent: Vec<_> = (0..8).map(|_| begin()).collect();
    eventually("dns 1.10: eight run", || (running() == 8).then_some(()));
    assert_eq!(ask(dns, LOCAL, RecordType::A).answers.len(), 1, "dns 1.10: others are served");
    assert_eq!(ask_tcp(dns, LOCAL, RecordType::A).answers.len(), 1, "dns 1.10: others are served");
    let mut ninth = begin();
    assert_eq!(read(&mut ninth).metadata.response_code, ResponseCode::ServFail, "dns 1.10");
    assert_eq!(portico.metric("portico_dns_transfers_rejected_total"), 1);
    eventually("dns 1.10: each has 10 s for a message", || (running() == 0).then_some(()));
    drop(silent);
    // Who reads gets it whole.
    let told = transfer(dns, "portico.test.").unwrap();
    let texts = told.iter().filter(|line| line.contains(" TXT x")).count();
    assert_eq!(texts, RECORDS);
}

/// Of a kilobyte each.
const RECORDS: usize = 8000;

#[test]
fn a_flood_of_connections_leaves_room_for_who_asks() {
    let portico = Portico::with(&[("names.yaml", MANIFESTS)])
        .workers(1)
        .adjust(|settings| {
            settings.dns_connections = 16;
            settings.dns_connections_per_client = 1000;
        })
        .start();
    let dns = portico.dns();
    let want = Reply { answers: ask(dns, LOCAL, RecordType::A).answers, ..Reply::of(&[]) };
    let mut used = connect(dns);
    let mut silent = Vec::new();
    for number in 0..100 {
        silent.push(connect(dns));
        if number % 5 == 0 {
            assert_eq!(ask_tcp(dns, LOCAL, RecordType::A), want, "dns 3.4: one more asks");
            // Who asks now and then is never the one that has idled longest.
            used.write_all(&framed(LOCAL, RecordType::A)).unwrap();
            assert_eq!(read(&mut used).answers.len(), 1, "dns 3.4");
        }
    }
    let open = portico.metric("portico_dns_tcp_connections");
    assert!(open <= 16, "dns 3.4: {open} are open");
    let given_up = portico.metric("portico_dns_tcp_given_up_total{limit=\"listener\"}");
    assert!(given_up >= 84, "{given_up}");
    let mut first = silent.swap_remove(0);
    assert_eq!(first.read(&mut [0]).unwrap_or(0), 0, "dns 3.4: the oldest was closed");
}

#[test]
fn one_client_gives_up_its_own_connections_first() {
    let portico = Portico::with(&[("names.yaml", MANIFESTS)])
        .workers(1)
        .adjust(|settings| settings.dns_connections_per_client = 4)
        .start();
    let all: Vec<_> = (0..10).map(|_| connect(portico.dns())).collect();
    let series = "portico_dns_tcp_given_up_total{limit=\"client\"}";
    eventually("dns 3.4: six made room", || (portico.metric(series) == 6).then_some(()));
    assert_eq!(portico.metric("portico_dns_tcp_connections"), 4);
    drop(all);
    eventually("all are gone", || {
        (portico.metric("portico_dns_tcp_connections") == 0).then_some(())
    });
}
