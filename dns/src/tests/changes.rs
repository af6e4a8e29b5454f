//! A table made from the one before says what a table made from nothing says.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use portico_config::model::{
    HostFacts, HostPattern, ObjectName, PodsMode, Protocol, Settings, StaticRecord,
};
use portico_config::pipeline::Pipeline;
use portico_config::snapshot::endpoint::NamedAddress;
use portico_config::snapshot::{
    Assignments, Endpoint, HostOwner, HostRecord, PodNames, PortId, Reach, Service, ServicePort,
    Snapshot, Zones,
};
use portico_config::source::Changes;
use proptest::prelude::*;
use proptest::sample::select;

use super::{Outcome, Transport, answer, query};
use crate::build::Tables;
use crate::table::AnswerTable;

/// One edit of the objects.
#[derive(Clone, Debug)]
pub(super) enum Edit {
    Service(ObjectName, Option<Arc<Service>>),
    Namespaces(Vec<&'static str>),
    /// Names with an address, or with the name that they lead to.
    Hosts(Vec<(&'static str, &'static str)>),
    Zones(usize, u32),
    Records(Vec<&'static str>),
    /// Which of [`pods`], how they have names, and whether their search path is walked.
    Pods(usize, PodsMode, bool),
    Suffixes(Vec<&'static str>),
    Fallthrough(Vec<&'static str>),
    Exposed(Vec<&'static str>),
    IgnoreEmpty(bool),
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("the pool holds addresses")
}

fn services() -> impl Strategy<Value = Edit> {
    let name = select(vec!["a", "b", "c"]);
    let namespace = select(vec!["default", "dns"]);
    (namespace, name, prop::option::weighted(0.8, service())).prop_map(|(namespace, name, made)| {
        let object = ObjectName::new(namespace, name);
        let named = made.map(|mut made: Service| {
            made.name = object.clone();
            Arc::new(made)
        });
        Edit::Service(object, named)
    })
}

/// A Service of any reach; addresses and labels come from few, so that Services share them.
fn service() -> impl Strategy<Value = Service> {
    let cluster = vec!["127.96.0.1", "127.96.0.2", "fd00:96::1", "10.0.0.1"];
    let target = select(vec![
        "a.default.svc.cluster.local",
        "b.default.svc.cluster.local",
        "c.dns.svc.portico.test",
        "a.dns.svc.cluster.local.",
        "c.default.svc.cluster.local",
        "lost.default.svc.cluster.local",
        "shop.portico.test",
        "one.wild.portico.test",
        "any.example",
        "www.example.org",
        "192.0.2.7",
    ]);
    let reach = prop_oneof![
        2 => prop::sample::subsequence(cluster, 0..3)
            .prop_map(|texts| Reach::ClusterIp(texts.into_iter().map(ip).collect())),
        2 => Just(Reach::Headless),
        1 => target.prop_map(|name| Reach::ExternalName(name.into())),
    ];
    let label = select(vec!["db-0", "db-1", "10-0-0-1", "www"]);
    let address = select(vec!["10.0.0.1", "10.0.0.2", "127.96.0.2", "fd00::1"]).prop_map(ip);
    let endpoints = prop::collection::vec((label, address, any::<bool>()), 0..5);
    let protocol = select(vec![Protocol::Tcp, Protocol::Udp]);
    let ports = prop::collection::vec((select(vec!["", "http", "pg"]), 1_u16..4, protocol), 0..3);
    (reach, endpoints, ports).prop_map(|(reach, endpoints, ports)| {
        let endpoints = match reach {
            Reach::ExternalName(_) => Vec::new(),
            _ => endpoints,
        };
        let port = |(name, number, protocol): (&str, u16, Protocol)| {
            let object = ObjectName::new("default", "a");
            let id = Arc::new(PortId { service: object, name: name.into(), protocol });
            let endpoint = |(label, address, ready): &(&str, IpAddr, bool)| Endpoint {
                ready: *ready,
                label: (*label).into(),
                ..Endpoint::at(SocketAddr::new(*address, number))
            };
            let endpoints = endpoints.iter().map(endpoint).collect();
            Arc::new(ServicePort {
                id,
                port: number,
                node_port: None,
                endpoints,
                traffic: Arc::default(),
            })
        };
        let ready: BTreeSet<_> = endpoints
            .iter()
            .filter(|(.., ready)| *ready)
            .map(|(label, address, _)| NamedAddress { label: (*label).into(), address: *address })
            .collect();
        Service {
            name: ObjectName::new("default", "a"),
            reach,
            has_selector: false,
            is_nameless: false,
            ports: ports.into_iter().map(port).collect(),
            addresses: ready.into_iter().collect(),
            traffic: Arc::default(),
        }
    })
}

/// Edits of Services and namespaces alone.
pub(super) fn edits_of_services() -> impl Strategy<Value = Edit> {
    let namespaces = vec!["default", "kube-system", "other"];
    let namespaces = prop::sample::subsequence(namespaces, 0..=3);
    prop_oneof![6 => services(), 1 => namespaces.prop_map(Edit::Namespaces)]
}

fn edits() -> impl Strategy<Value = Edit> {
    let namespaces = vec!["default", "kube-system", "other"];
    let host = select(vec![
        "a.default.svc.portico.test",
        "_tcp.a.default.svc.portico.test",
        "default.svc.portico.test",
        "*.default.svc.portico.test",
        "*.wild.portico.test",
        "shop.portico.test",
        "deep.in.shop.portico.test",
        "mi-web",
        "any.example",
        "1.0.0.10.in-addr.arpa",
        "dns.cluster.local",
        "own.apps.example",
        "*.apps.example",
    ]);
    let address = select(vec![
        "127.0.0.1",
        "0.0.0.0",
        "::1",
        "shop.portico.test",
        "a.default.svc.cluster.local",
        "www.example.org",
    ]);
    let records = vec![
        "a.default.svc.cluster.local TXT instead",
        "deep.below.cluster.local A 192.0.2.1",
        "cluster.local A 192.0.2.2",
        "*.wild.portico.test A 192.0.2.3",
        "*.default.svc.portico.test 60 AAAA 2001:db8::1",
        "shop.portico.test CNAME any.example",
        "db.corp.example A 10.0.0.1",
        "corp.example MX 10 db.corp.example",
        "_sql._tcp.corp.example SRV 0 1 5432 db.corp.example",
        "lost.default.svc.cluster.local A 192.0.2.4",
    ];
    let suffixes = vec!["portico.test", "apps.example", "in.apps.example", "cluster.local"];
    let falls = vec!["portico.test", "default.svc.cluster.local", "in-addr.arpa", "apps.example"];
    let mode = select(vec![PodsMode::Verified, PodsMode::Insecure, PodsMode::Disabled]);
    prop_oneof![
        12 => services(),
        1 => prop::sample::subsequence(namespaces, 0..=3).prop_map(Edit::Namespaces),
        2 => prop::collection::vec((host, address), 0..5).prop_map(Edit::Hosts),
        1 => (0..LAYOUTS, 4_u32..6).prop_map(|(layout, ttl)| Edit::Zones(layout, ttl)),
        3 => prop::sample::subsequence(records, 0..5).prop_map(Edit::Records),
        2 => (0..POD_SETS, mode, any::<bool>())
            .prop_map(|(set, mode, walks)| Edit::Pods(set, mode, walks)),
        1 => prop::sample::subsequence(suffixes, 0..3).prop_map(Edit::Suffixes),
        1 => prop::sample::subsequence(falls, 0..3).prop_map(Edit::Fallthrough),
        1 => prop::sample::subsequence(vec!["default", "dns"], 0..2).prop_map(Edit::Exposed),
        1 => any::<bool>().prop_map(Edit::IgnoreEmpty),
    ]
}

/// Addresses of Pods by namespace: of nobody, of some, of Pods of two namespaces.
fn pods(set: usize) -> Arc<PodNames> {
    static SETS: OnceLock<Vec<Arc<PodNames>>> = OnceLock::new();
    let make = |pods: &[(&str, &str)]| {
        let pod = |(namespace, address): &(&str, &str)| {
            format!(
                "apiVersion: v1\nkind: Pod\nmetadata: {{name: p-{}, namespace: {namespace}}}\nstatus: \
                 {{podIP: {address}, phase: Running}}\n",
                address.replace('.', "-")
            )
        };
        let manifests: Vec<_> = pods.iter().map(pod).collect();
        let settings = Arc::new(Settings::default());
        let mut pipeline = Pipeline::new(settings, HostFacts::default(), Assignments::default());
        let file = Arc::new(PathBuf::from("pods.yaml"));
        let written = vec![(file, manifests.join("---\n").into_bytes().into())];
        let update = pipeline.apply(Changes { written, ..Changes::default() }, 1);
        Arc::clone(&update.snapshot.pods)
    };
    let sets = SETS.get_or_init(|| {
        vec![
            Arc::default(),
            make(&[("default", CLIENT), ("default", "10.0.0.1")]),
            make(&[("default", CLIENT), ("dns", CLIENT), ("dns", "10.0.0.2")]),
        ]
    });
    Arc::clone(&sets[set])
}

const POD_SETS: usize = 3;
/// Who asks: a Pod in some of them.
const CLIENT: &str = "127.0.0.1";

/// How zones lie to each other.
const LAYOUTS: usize = 5;

pub(super) fn lay_out(zones: &mut Zones, layout: usize) {
    let long = [&"l".repeat(63), "m", &"n".repeat(63), &"o".repeat(63), "p.test"].join(".");
    let (clusters, aliases, reverse): (&[&str], &[&str], &[&str]) = match layout {
        0 => (&["cluster.local"], &["portico.test"], &["127.96.0.0/16"]),
        // Every address is an apex, and one network lies in the other.
        1 => {
            (&["cluster.local"], &["portico.test"], &["127.96.0.0/30", "10.0.0.0/8", "10.0.0.0/24"])
        }
        // Only some names have room.
        2 => (&["cluster.local"], &[&long, "portico.test"], &["127.96.0.0/16"]),
        // A zone in the other's names.
        3 => (&["portico.test"], &["svc.portico.test", "cluster.local"], &["fd00::/124"]),
        _ => (&[&long], &["portico.test", "cluster.local"], &[]),
    };
    zones.cluster_domains = texts(clusters);
    zones.alias_zones = texts(aliases);
    zones.reverse = reverse
        .iter()
        .map(|network| network.parse().expect("layouts hold networks"))
        .collect();
}

fn texts(all: &[&str]) -> Vec<Arc<str>> {
    all.iter().map(|text| (*text).into()).collect()
}

pub(super) fn apply(snapshot: &Snapshot, edits: &[Edit]) -> Snapshot {
    let mut next = snapshot.clone();
    let mut zones = (*next.zones).clone();
    zones.serial += 1;
    for edit in edits {
        match edit {
            Edit::Service(name, Some(service)) => {
                next.services.insert(name.clone(), Arc::clone(service));
            }
            Edit::Service(name, None) => {
                next.services.remove(name);
            }
            Edit::Namespaces(namespaces) => {
                zones.namespaces = namespaces.iter().map(|name| (*name).into()).collect();
            }
            Edit::Hosts(hosts) => {
                let hosts: BTreeMap<_, _> = hosts.iter().copied().collect();
                let record = |(host, leads): (&str, &str)| {
                    let address = leads.parse().ok();
                    HostRecord {
                        host: HostPattern::parse(host),
                        addresses: address.into_iter().collect(),
                        alias: address.is_none().then(|| leads.into()),
                        ttl_seconds: leads.ends_with(".local").then_some(60),
                        owner: HostOwner::Ingress(ObjectName::new("default", "web")),
                    }
                };
                zones.hosts = hosts.into_iter().map(record).collect();
            }
            Edit::Records(lines) => {
                let record = |line: &&str| line.parse::<StaticRecord>().expect("a record");
                zones.records = lines.iter().map(record).collect();
            }
            Edit::Pods(set, mode, walks) => {
                next.pods = pods(*set);
                (zones.pods, zones.autopath) = (*mode, *walks);
            }
            Edit::Suffixes(names) => zones.host_suffixes = texts(names),
            Edit::Fallthrough(names) => zones.fallthrough = texts(names),
            Edit::Exposed(names) => {
                let names = (!names.is_empty()).then(|| texts(names).into_iter().collect());
                zones.exposed = names;
            }
            Edit::IgnoreEmpty(ignore) => zones.ignore_empty_service = *ignore,
            Edit::Zones(layout, ttl_seconds) => {
                lay_out(&mut zones, *layout);
                zones.ttl_seconds = *ttl_seconds;
            }
        }
    }
    next.zones = Arc::new(zones);
    next
}

/// Names that have no entry of their own, or none at all.
const OTHERS: [&str; 8] = [
    "10-0-0-1.default.pod.cluster.local",
    "10-0-0-2.dns.pod.portico.test",
    "b.dns.default.svc.cluster.local",
    "www.example.org.default.svc.portico.test",
    "nobody.default.svc.cluster.local",
    "x.y.wild.portico.test",
    "99.0.0.10.in-addr.arpa",
    "a.localhost",
];

/// Every name of a table, and what it is told for each type, and whether others are asked.
fn told(table: &AnswerTable) -> BTreeMap<Vec<u8>, Vec<Vec<u8>>> {
    let entries = table
        .names
        .iter()
        .map(|entry| [entry.node().name(), table.names.suffix(entry.suffix)].concat());
    let below = table
        .wildcards
        .keys()
        .chain(table.deep_wildcards.keys())
        .map(|suffix| [b"\x03any", &**suffix].concat());
    let others = OTHERS.iter().map(|name| super::wire(name));
    let ask = |key: Vec<u8>| {
        let replies = [1, 2, 5, 6, 12, 15, 16, 28, 33, 65, 255].map(|kind| {
            let mut message = query("", kind);
            message.splice(12..13, key.iter().copied());
            let mut reply = Vec::new();
            let peer = SocketAddr::new(ip(CLIENT), 40_000);
            let outcome = answer(&message, peer, super::LOCAL, Transport::Tcp, table, &mut reply);
            reply.push(u8::from(matches!(outcome, Outcome::Elsewhere { .. })));
            reply
        });
        (key, replies.to_vec())
    };
    entries.chain(below).chain(others).map(ask).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn a_table_made_from_the_one_before_says_what_one_made_from_nothing_says(
        layout in 0..LAYOUTS,
        steps in prop::collection::vec(prop::collection::vec(edits(), 1..6), 1..10),
    ) {
        let mut zones = Zones { ttl_seconds: 5, serial: 7, ..Zones::default() };
        lay_out(&mut zones, layout);
        // The second is an endpoint of some Services.
        let listen = ["127.0.0.1:53", "10.0.0.1:1"].map(|it| it.parse().unwrap());
        let mut snapshot = Snapshot { zones: Arc::new(zones), ..Snapshot::default() };
        let mut tables = Tables::default();
        let mut before: Option<(Arc<AnswerTable>, _)> = None;
        for edits in &steps {
            snapshot = apply(&snapshot, edits);
            let table = tables.next(&Arc::new(snapshot.clone()), &listen);
            let full = Tables::default().next(&Arc::new(snapshot.clone()), &listen);
            let found = told(&table);
            prop_assert_eq!(table.names.len(), full.names.len());
            prop_assert_eq!(&found, &told(&full));
            if let Some((table, was)) = before.replace((table, found)) {
                prop_assert_eq!(told(&table), was, "a table of before never changes");
            }
        }
    }
}

#[test]
fn an_address_that_is_a_zone_has_the_records_of_both() {
    let mut zones = Zones { ttl_seconds: 5, serial: 7, ..Zones::default() };
    lay_out(&mut zones, 1);
    let name = ObjectName::new("default", "a");
    let service = Arc::new(Service {
        name: name.clone(),
        reach: Reach::ClusterIp(vec![ip("127.96.0.2")]),
        has_selector: false,
        is_nameless: false,
        ports: Vec::new(),
        addresses: Vec::new(),
        traffic: Arc::default(),
    });
    let empty = Snapshot { zones: Arc::new(zones), ..Snapshot::default() };
    let mut tables = Tables::default();
    for (step, edit, ptr) in [("none", None, 0), ("one", Some(service), 1), ("gone", None, 0)] {
        let snapshot = apply(&empty, &[Edit::Service(name.clone(), edit)]);
        let table = tables.next(&Arc::new(snapshot), &["127.0.0.1:53".parse().unwrap()]);
        for (kind, want) in [(super::PTR, ptr), (2, 1), (6, 1)] {
            let answers = super::told(&table, "2.0.96.127.in-addr.arpa", kind).1;
            assert_eq!(answers.len(), want, "dns 1.6: {step}: {kind}");
        }
    }
}
