//! The answer table at the size of a large cluster: look-ups, a full build, one changed Service.
//!
//! `cargo bench -p portico-dns --features bench`. Every Service has ten endpoints and two ports;
//! every second one is headless; two forward zones and the reverse zone of the service CIDR.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use divan::{Bencher, black_box};
use portico_config::model::{ObjectName, Protocol};
use portico_config::snapshot::endpoint::NamedAddress;
use portico_config::snapshot::{Endpoint, PortId, Reach, Service, ServicePort, Snapshot, Zones};
use portico_dns::bench::{Table, Tables};

fn main() {
    divan::main();
}

#[divan::bench(args = [1_000, 10_000], sample_count = 20, sample_size = 1)]
fn full_build(bencher: Bencher<'_, '_>, services: usize) {
    let snapshot = Arc::new(snapshot(services));
    // Freed outside the measured time, as a table that serves is.
    bencher.bench_local(|| {
        let mut tables = Tables::default();
        (tables.next(&snapshot), tables)
    });
}

#[divan::bench(sample_count = 200, sample_size = 1)]
fn one_changed_service_of_10_000(bencher: Bencher<'_, '_>) {
    let mut tables = Tables::default();
    let mut snapshot = snapshot(10_000);
    let mut held = tables.next(&Arc::new(snapshot.clone()));
    let mut round = 0;
    bencher
        .with_inputs(|| {
            round += 1;
            let changed = service(round * 37 % 10_000, round);
            snapshot.services.insert(changed.name.clone(), changed);
            let zones = Arc::make_mut(&mut snapshot.zones);
            zones.serial += 1;
            Arc::new(snapshot.clone())
        })
        // The table of before is freed in here: it is the control side that does so.
        .bench_local_values(|snapshot| held = tables.next(&snapshot));
}

#[divan::bench(args = ["hit", "srv", "nxdomain", "outside"], sample_count = 100, sample_size = 10_000)]
fn look_up(bencher: Bencher<'_, '_>, name: &str) {
    let (table, keys) = table_and_keys(name);
    let mut at = 0;
    bencher.bench_local(|| {
        at = (at + 1) % keys.len();
        table.holds(black_box(&keys[at]))
    });
}

#[divan::bench(args = ["hit", "srv", "nxdomain", "outside"], sample_count = 100, sample_size = 10_000)]
fn answer(bencher: Bencher<'_, '_>, name: &str) {
    let (table, keys) = table_and_keys(name);
    let kind: u8 = if name == "srv" { 33 } else { 1 };
    let messages: Vec<Vec<u8>> = keys
        .iter()
        .map(|key| [&[7, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0], &key[..], &[0, kind, 0, 1]].concat())
        .collect();
    let mut reply = Vec::new();
    let mut at = 0;
    bencher.bench_local(|| {
        at = (at + 1) % messages.len();
        table.answer(black_box(&messages[at]), &mut reply);
        reply.len()
    });
}

/// A large table, and names of one kind all over it.
fn table_and_keys(kind: &str) -> (Table, Vec<Vec<u8>>) {
    let table = Tables::default().next(&Arc::new(snapshot(10_000)));
    let name = |number: usize| match kind {
        "hit" => format!("service-{number}.namespace-{}.svc.cluster.local", number % 50),
        "srv" => format!("_http._tcp.service-{number}.namespace-{}.svc.portico.test", number % 50),
        "nxdomain" => format!("service-{number}.namespace-50.svc.cluster.local"),
        _ => format!("service-{number}.example.org"),
    };
    let keys = (0..1_000).map(|index| wire(&name(index * 7))).collect();
    (table, keys)
}

fn wire(name: &str) -> Vec<u8> {
    let label = |label: &str| {
        [&[u8::try_from(label.len()).expect("a short label")], label.as_bytes()].concat()
    };
    name.split('.').chain([""]).flat_map(label).collect()
}

fn snapshot(services: usize) -> Snapshot {
    let zones = Zones {
        cluster_domains: vec!["cluster.local".into()],
        alias_zones: vec!["portico.test".into()],
        reverse: vec!["127.96.0.0/16".parse().expect("a network")],
        namespaces: (0..50).map(|n| format!("namespace-{n}").into()).collect(),
        ttl_seconds: 5,
        serial: 1,
        ..Zones::default()
    };
    let services = (0..services)
        .map(|number| service(number, 0))
        .map(|service| (service.name.clone(), service))
        .collect();
    Snapshot { services, zones: Arc::new(zones), ..Snapshot::default() }
}

/// Service `number`; its addresses differ from round to round.
fn service(number: usize, round: usize) -> Arc<Service> {
    let name = ObjectName::new(format!("namespace-{}", number % 50), format!("service-{number}"));
    let [.., high, low] = number.to_be_bytes();
    let pod = |index: usize| {
        let [.., a, b, c] = (number * 16 + index + round % 2 * 8_000_000).to_be_bytes();
        Ipv4Addr::new(10, a, b, c)
    };
    let label = |index| pod(index).to_string().replace('.', "-").into();
    let endpoint = |index| Endpoint {
        address: SocketAddr::new(pod(index).into(), 8080),
        ready: true,
        serving: true,
        terminating: false,
        node: None,
        zone: None,
        label: label(index),
        pod: None,
        hints: None,
        weight: 1,
    };
    let port = |(port_name, port): (&str, u16)| {
        Arc::new(ServicePort {
            id: Arc::new(PortId {
                service: name.clone(),
                name: port_name.into(),
                protocol: Protocol::Tcp,
            }),
            port,
            node_port: None,
            endpoints: (0..10).map(endpoint).collect(),
            traffic: Arc::default(),
        })
    };
    let cluster_ip = IpAddr::from([127, 96, high, low]);
    let named = |index| NamedAddress { label: label(index), address: pod(index).into() };
    let reach =
        if number.is_multiple_of(2) { Reach::Headless } else { Reach::ClusterIp(vec![cluster_ip]) };
    let ports = [("http", 80), ("metrics", 9090)].map(port).to_vec();
    Arc::new(Service {
        name: name.clone(),
        reach,
        has_selector: false,
        is_nameless: false,
        ports,
        addresses: (0..10).map(named).collect(),
        traffic: Arc::default(),
    })
}
