//! Views built one from the other against views built from nothing.

use std::collections::BTreeMap;

use portico_config::model::{HostPattern, ObjectName};
use portico_config::snapshot::cluster::NodePlace;
use portico_config::snapshot::endpoint::Hints;
use portico_config::snapshot::{self, Backend, Endpoint, Front, FrontKind, PortId, Reach};
use portico_config::snapshot::{RouteTable, Service, ServicePort, Snapshot};
use proptest::prelude::*;

use super::*;

/// Endpoints of a ServicePort, by number; ports by name.
type Ports = BTreeMap<u8, Vec<u8>>;

/// What a snapshot is made from.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct World {
    services: BTreeMap<u8, Ports>,
    /// Front to Service and port, which may not exist.
    fronts: BTreeMap<u8, (u8, u8)>,
    /// Host to the Services and ports of its locations; the host 0 has no name, 1 is a wildcard.
    hosts: BTreeMap<u8, Vec<(u8, u8)>>,
    certificates: u8,
}

/// One edit of the world.
#[derive(Clone, Debug)]
enum Edit {
    Service(u8, Option<Ports>),
    Front(u8, Option<(u8, u8)>),
    Host(u8, Option<Vec<(u8, u8)>>),
    Certificates(u8),
}

impl World {
    fn edit(&mut self, edit: Edit) {
        fn put<V>(map: &mut BTreeMap<u8, V>, key: u8, value: Option<V>) {
            match value {
                Some(value) => drop(map.insert(key, value)),
                None => drop(map.remove(&key)),
            }
        }
        match edit {
            Edit::Service(name, ports) => put(&mut self.services, name, ports),
            Edit::Front(name, port) => put(&mut self.fronts, name, port),
            Edit::Host(name, locations) => put(&mut self.hosts, name, locations),
            Edit::Certificates(version) => self.certificates = version,
        }
    }

    /// The snapshot, with every part of `before` that stays, as `compile` shares it.
    fn snapshot(&self, before: &Snapshot) -> Snapshot {
        let services = self.services.iter().map(|(name, ports)| {
            let name = ObjectName::new("default", format!("s{name}"));
            let old = before.services.get(&name);
            let ports = ports
                .iter()
                .map(|(port, endpoints)| {
                    let new = service_port(&name, *port, endpoints);
                    let mut kept = old.iter().flat_map(|old| &old.ports);
                    kept.find(|old| ***old == new)
                        .map_or_else(|| Arc::new(new), Arc::clone)
                })
                .collect();
            let reach = Reach::Headless;
            let service = Service {
                name: name.clone(),
                reach,
                has_selector: false,
                is_nameless: false,
                ports,
                addresses: Vec::new(),
                traffic: Arc::default(),
            };
            let kept = old.filter(|old| ***old == service).map(Arc::clone);
            (name, kept.unwrap_or_else(|| Arc::new(service)))
        });
        let mut next = Snapshot { services: services.collect(), ..Snapshot::default() };
        let fronts: Vec<Front> = self.fronts.iter().map(front).collect();
        next.fronts = share(fronts, &before.fronts);
        next.routes = share(self.routes(&next, &before.routes), &before.routes);
        next.certificates = match self.certificates {
            0 => Arc::clone(&before.certificates),
            _ => Arc::default(),
        };
        next
    }

    fn routes(&self, next: &Snapshot, before: &RouteTable) -> RouteTable {
        let mut table = RouteTable::default();
        for (name, locations) in &self.hosts {
            let backend = |&(service, port): &(u8, u8)| {
                let id = port_id(service, port);
                let found = next.services.get(&id.service)?;
                let found = found.ports.iter().find(|port| port.id == id)?;
                Some(Backend::Service(Arc::clone(&found.id)))
            };
            let location = |(position, to): (usize, &(u8, u8))| snapshot::Location {
                kind: PathKind::Prefix,
                path: format!("/{position}").into(),
                backend: backend(to).unwrap_or_else(|| Backend::Missing("no such port".into())),
                ingress: ObjectName::new("default", "web"),
                policy: Arc::default(),
                canary: None,
            };
            let host = snapshot::Host {
                pattern: HostPattern::Any,
                default_backend: locations.first().and_then(backend),
                default_policy: Arc::default(),
                default_ingress: None,
                locations: locations.iter().enumerate().map(location).collect(),
                clients: None,
                suites: None,
                passed_to: None,
                is_nginx: false,
            };
            let key: Arc<str> = format!("h{name}").into();
            match name {
                0 => table.any = Some(Arc::new(host)),
                1 => drop(table.wildcard.insert(key, Arc::new(host))),
                _ => {
                    let kept = before.exact.get(&key).filter(|old| ***old == host);
                    let host = kept.map_or_else(|| Arc::new(host), Arc::clone);
                    table.exact.insert(key, host);
                }
            }
        }
        table
    }
}

fn share<T: PartialEq>(new: T, old: &Arc<T>) -> Arc<T> {
    if new == **old { Arc::clone(old) } else { Arc::new(new) }
}

fn port_id(service: u8, port: u8) -> Arc<PortId> {
    let service = ObjectName::new("default", format!("s{service}"));
    Arc::new(PortId { service, name: format!("p{port}").into(), protocol: Protocol::Tcp })
}

fn service_port(service: &ObjectName, port: u8, endpoints: &[u8]) -> ServicePort {
    let name = format!("p{port}").into();
    let endpoint = |number: &u8| Endpoint::at(([10, 0, 0, *number], 80).into());
    ServicePort {
        id: Arc::new(PortId { service: service.clone(), name, protocol: Protocol::Tcp }),
        port: 80,
        node_port: None,
        endpoints: endpoints.iter().map(endpoint).collect(),
        traffic: Arc::default(),
    }
}

fn front((number, (service, port)): (&u8, &(u8, u8))) -> Front {
    Front {
        address: ([127, 0, 0, *number], 80).into(),
        protocol: Protocol::Tcp,
        kind: FrontKind::ClusterIp,
        port: port_id(*service, *port),
    }
}

/// A port as clients see it: whose it is and where it leads.
fn port(port: &Port) -> String {
    let addresses: Vec<_> = port
        .upstreams()
        .iter()
        .map(|it| it.address.to_string())
        .collect();
    format!("{} to {}", port.state.id, addresses.join(" "))
}

/// Everything that a worker could see of a view, slots resolved.
fn seen(view: &View) -> Vec<String> {
    let target = |target: &Target<Slot>| match view.resolve(target) {
        Target::Port(found) => port(&found),
        other => format!("{other:?}"),
    };
    let host = |(name, host): (&str, &Arc<Host>)| {
        let locations = host
            .locations
            .iter()
            .map(|it| format!("{:?} {} {}", it.kind, it.path, target(&it.target)));
        let default = host.default_target.as_ref().map(target);
        format!("{name}: {:?} else {default:?}", locations.collect::<Vec<_>>())
    };
    let routes = &view.routes;
    let any = routes.any.iter().map(|it| ("any", it));
    let exact = routes.exact.iter().map(|(name, it)| (&**name, it));
    let hosts = exact.chain(routes.wildcard.iter().map(|(name, it)| (&**name, it)));
    let mut all: Vec<String> = hosts.chain(any).map(host).collect();
    all.extend(view.ports().map(|it| port(it)));
    all.extend(view.fronts.keys().map(|(address, protocol)| {
        let found = view.front(*address, *protocol).map(|(it, _)| port(it));
        format!("{address}: {found:?}")
    }));
    all.push(format!("{:p}", Arc::as_ptr(&view.certificates)));
    all.sort();
    all
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let ports = prop::collection::btree_map(0..3_u8, prop::collection::vec(1..5_u8, 0..3), 0..3);
    let to = (0..5_u8, 0..3_u8);
    let edit = prop_oneof![
        4 => (0..5_u8, prop::option::weighted(0.8, ports)).prop_map(|(s, p)| Edit::Service(s, p)),
        2 => (0..6_u8, prop::option::weighted(0.8, to.clone())).prop_map(|(f, p)| Edit::Front(f, p)),
        2 => (0..5_u8, prop::option::weighted(0.8, prop::collection::vec(to, 0..4)))
            .prop_map(|(host, locations)| Edit::Host(host, locations)),
        1 => (0..2_u8).prop_map(Edit::Certificates),
    ];
    prop::collection::vec(edit, 1..30)
}

proptest! {
    #[test]
    fn a_view_from_the_one_before_equals_one_from_nothing(edits in edits()) {
        let (mut world, mut builder) = (World::default(), Builder::default());
        let mut before = Arc::new(Snapshot::default());
        for edit in edits {
            world.edit(edit);
            let snapshot = Arc::new(world.snapshot(&before));
            let view = builder.next(&snapshot);
            prop_assert_eq!(seen(&view), seen(&Builder::default().next(&snapshot)));
            before = snapshot;
        }
    }
}

/// Ten Services with a front each, the first behind a host.
fn ten() -> World {
    let ports = |_| Ports::from([(0, vec![1, 2])]);
    World {
        services: (0..10).map(|name| (name, ports(name))).collect(),
        fronts: (0..10).map(|name| (name, (name, 0))).collect(),
        hosts: BTreeMap::from([(2, vec![(0, 0)])]),
        certificates: 0,
    }
}

/// How many of the ports of `before` are in `after`, as the very same `Arc`.
fn kept(before: &View, after: &View) -> usize {
    let ports = before.ports();
    ports
        .filter(|port| after.ports().any(|other| Arc::ptr_eq(port, other)))
        .count()
}

#[test]
fn ports_that_do_not_change_keep_their_arc_and_all_keep_their_state() {
    let (mut world, mut builder) = (ten(), Builder::default());
    let mut snapshot = Arc::new(world.snapshot(&Snapshot::default()));
    let mut before = builder.next(&snapshot);
    let with = |endpoints: Vec<u8>| Some(Ports::from([(0, endpoints)]));
    for (case, edit, want, same_fronts) in [
        ("nothing", Edit::Certificates(1), 10, true),
        ("endpoints", Edit::Service(3, with(vec![7])), 9, true),
        ("endpoints behind a host", Edit::Service(0, with(vec![8])), 9, true),
        (
            "a port more",
            Edit::Service(4, Some(Ports::from([(0, vec![1, 2]), (1, vec![])]))),
            10,
            false,
        ),
        ("one leaves", Edit::Service(5, None), 10, false),
        ("one comes", Edit::Service(11, with(vec![9])), 10, false),
    ] {
        world.edit(edit);
        snapshot = Arc::new(world.snapshot(&snapshot));
        let after = builder.next(&snapshot);
        assert_eq!(kept(&before, &after), want, "{case}");
        assert_eq!(Arc::ptr_eq(&before.fronts, &after.fronts), same_fronts, "{case}");
        for port in before.ports() {
            let mut same = after
                .ports()
                .filter(|other| other.state.id == port.state.id);
            assert!(same.all(|other| Arc::ptr_eq(&other.state, &port.state)), "{case}");
        }
        before = after;
    }
    let target = &before.routes.exact["h2"].locations[0].target;
    let Target::Port(found) = before.resolve(target) else { panic!("the host lost its port") };
    assert_eq!(found.upstreams()[0].address.to_string(), "10.0.0.8:80");
}

#[test]
fn the_state_of_a_service_leaves_with_it() {
    let (mut world, mut builder) = (ten(), Builder::default());
    let first = Arc::new(world.snapshot(&Snapshot::default()));
    let view = builder.next(&first);
    for port in view.ports() {
        assert_eq!(port.state.next_turn(0), 0);
    }
    world.edit(Edit::Service(3, None));
    let second = Arc::new(world.snapshot(&first));
    builder.next(&second);
    let third = builder.next(&first);
    let mut turns: Vec<u64> = third.ports().map(|port| port.state.next_turn(0)).collect();
    turns.sort_unstable();
    assert_eq!(turns, [0, 1, 1, 1, 1, 1, 1, 1, 1, 1]);
}

#[test]
fn a_view_is_freed_only_once_nobody_else_holds_it() {
    let mut retired = Retired::default();
    let view = Arc::new(View::default());
    let (worker, watch) = (Arc::clone(&view), Arc::downgrade(&view));
    retired.push(view);
    retired.sweep();
    assert_eq!(retired.len(), 1);
    drop(worker);
    assert!(watch.upgrade().is_some(), "a worker that lets go frees nothing");
    retired.sweep();
    assert!(watch.upgrade().is_none());
    assert_eq!(retired.len(), 0);
}

#[test]
fn another_zone_makes_every_port_anew_and_keeps_its_state() {
    let cluster = |zone: &str| {
        let place = NodePlace { zone: Some(zone.into()), ..NodePlace::default() };
        let nodes = Arc::new([("n1".into(), place)].into());
        Arc::new(Cluster { node: Some("n1".into()), nodes, ..Cluster::default() })
    };
    let mut snapshot = ten().snapshot(&Snapshot::default());
    for service in snapshot.services.values_mut() {
        let service = Arc::make_mut(service);
        let port = Arc::make_mut(&mut service.ports[0]);
        for (endpoint, zone) in port.endpoints.iter_mut().zip(["z1", "z2"]) {
            let zones = vec![zone.into()];
            endpoint.hints = Some(Arc::new(Hints { zones, nodes: Vec::new() }));
        }
    }
    let mut builder = Builder::default();
    let mut before: Option<Arc<View>> = None;
    for (zone, want, kept_ports) in
        [("z1", "10.0.0.1:80", 0), ("z2", "10.0.0.2:80", 0), ("z2", "10.0.0.2:80", 10)]
    {
        snapshot.cluster = cluster(zone);
        let view = builder.next(&Arc::new(snapshot.clone()));
        for port in view.ports() {
            let upstreams: Vec<_> = port.upstreams().iter().map(|it| it.address).collect();
            assert_eq!(upstreams, [want.parse().unwrap()], "{zone}");
        }
        if let Some(before) = &before {
            assert_eq!(kept(before, &view), kept_ports, "{zone}");
            let mut states = before.ports().zip(view.ports());
            assert!(states.all(|(old, new)| Arc::ptr_eq(&old.state, &new.state)));
        }
        before = Some(view);
    }
}
