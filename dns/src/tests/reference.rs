//! A second resolver, slow and plain: every name with its records in a map, straight from the rules
//! (`dns 1.1` to `dns 1.8`, `dns 2.1`, `dns 2.2`). The table says the same.
//!
//! It shares nothing with what builds tables but the snapshot. Left aside is what a target says behind
//! a CNAME, and addresses that several ClusterIPs are.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use portico_config::snapshot::{Reach, Service, Snapshot};
use proptest::prelude::*;

use super::changes::{apply, edits_of_services, lay_out};
use super::*;

/// Records as `TYPE data`, by name without a final dot.
type Names = BTreeMap<String, BTreeSet<String>>;

struct Reference {
    names: Names,
    /// Addresses of which it is not said here what they are called.
    unclear: BTreeSet<IpAddr>,
}

fn reference(snapshot: &Snapshot) -> Reference {
    let zones = &snapshot.zones;
    let mut it = Reference { names: Names::new(), unclear: BTreeSet::new() };
    for zone in zones.cluster_domains.iter().chain(&zones.alias_zones) {
        it.add(zone, &format!("dns-version.{zone}"), Some("TXT 1.1.0".to_owned()));
        it.add(zone, &format!("ns.dns.{zone}"), Some("A 127.0.0.1".to_owned()));
        for parent in ["svc", "pod"] {
            it.add(zone, &format!("{parent}.{zone}"), None);
            for namespace in &zones.namespaces {
                it.add(zone, &format!("{namespace}.{parent}.{zone}"), None);
            }
        }
        for service in snapshot.services.values() {
            it.service(zone, service);
        }
    }
    it.pointers(snapshot, &zones.cluster_domains[0]);
    it
}

/// The name of a Service.
fn home(service: &Service, zone: &str) -> String {
    format!("{}.{}.svc.{zone}", service.name.name, service.name.namespace)
}

/// `dns 1.4`, `dns 1.7`: whether there is such a name.
fn exists(service: &Service) -> bool {
    match &service.reach {
        Reach::ClusterIp(_) => true,
        Reach::Headless => !service.addresses.is_empty(),
        Reach::ExternalName(target) => target.trim_end_matches('.').parse::<IpAddr>().is_err(),
    }
}

fn address(ip: IpAddr) -> String {
    let kind = if ip.is_ipv4() { "A" } else { "AAAA" };
    format!("{kind} {ip}")
}

impl Reference {
    /// A record of a name in `zone`, and the names between both (RFC 8020).
    fn add(&mut self, zone: &str, name: &str, record: Option<String>) {
        self.names
            .entry(name.to_owned())
            .or_default()
            .extend(record);
        let mut above = name;
        while above != zone {
            (_, above) = above.split_once('.').unwrap();
            self.names.entry(above.to_owned()).or_default();
        }
    }

    fn services(&mut self, zone: &str, name: &str, pairs: &[(String, u16)]) {
        self.add(zone, name, None);
        for (target, port) in pairs {
            let weight = (100 / pairs.len()).max(1);
            self.add(zone, name, Some(format!("SRV 0 {weight} {port} {target}.")));
        }
    }

    fn service(&mut self, zone: &str, service: &Service) {
        if !exists(service) {
            return;
        }
        let home = home(service, zone);
        self.add(zone, &home, None);
        if let Reach::ExternalName(target) = &service.reach {
            let target = target.trim_end_matches('.');
            let record = (target != home).then(|| format!("CNAME {target}."));
            return self.add(zone, &home, record);
        }
        let ready: Vec<Vec<(String, u16)>> = service
            .ports
            .iter()
            .map(|port| {
                let ready = port.endpoints.iter().filter(|endpoint| endpoint.ready);
                ready
                    .map(|it| (format!("{}.{home}", it.label), it.address.port()))
                    .collect()
            })
            .collect();
        let (own, by_port): (Vec<IpAddr>, Vec<Vec<(String, u16)>>) = match &service.reach {
            Reach::ClusterIp(addresses) => {
                let of = |port: u16| vec![(home.clone(), port); addresses.len()];
                (addresses.clone(), service.ports.iter().map(|it| of(it.port)).collect())
            }
            _ => (service.addresses.iter().map(|it| it.address).collect(), ready.clone()),
        };
        for ip in own {
            self.add(zone, &home, Some(address(ip)));
        }
        self.services(zone, &home, &by_port.concat());
        let mut named = BTreeSet::new();
        for (port, pairs) in service.ports.iter().zip(&by_port) {
            let has = matches!(service.reach, Reach::ClusterIp(_)) || !pairs.is_empty();
            let name = format!("_{}._{}.{home}", port.id.name, port.id.protocol.label());
            // Of two ports with one name, which no Service has, the first counts.
            if has && !port.id.name.is_empty() && named.insert(name.clone()) {
                self.services(zone, &name, pairs);
            }
        }
        let ready = ready.concat();
        for known in &service.addresses {
            let name = format!("{}.{home}", known.label);
            self.add(zone, &name, Some(address(known.address)));
        }
        let labels: BTreeSet<&String> = ready.iter().map(|(name, _)| name).collect();
        for name in labels {
            let of_it: Vec<_> = ready.iter().filter(|(it, _)| it == name).cloned().collect();
            self.services(zone, name, &of_it);
        }
    }

    /// `dns 1.6`.
    fn pointers(&mut self, snapshot: &Snapshot, primary: &str) {
        let all = || snapshot.services.values().filter(|it| exists(it));
        let (mut cluster, mut pods) = (BTreeMap::new(), BTreeMap::new());
        for service in all() {
            let home = home(service, primary);
            if let Reach::ClusterIp(addresses) = &service.reach {
                for ip in addresses {
                    let names: &mut BTreeSet<_> = cluster.entry(*ip).or_default();
                    names.insert(home.clone());
                }
            }
            for known in &service.addresses {
                let names: &mut BTreeSet<_> = pods.entry(known.address).or_default();
                names.insert(format!("{}.{home}", known.label));
            }
        }
        self.unclear.extend(
            cluster
                .iter()
                .filter(|(_, it)| it.len() > 1)
                .map(|(ip, _)| *ip),
        );
        // A ClusterIP comes before endpoints.
        pods.extend(cluster);
        for (ip, names) in pods {
            if !self.unclear.contains(&ip) {
                let records = names.iter().map(|name| format!("PTR {name}."));
                self.names.entry(reverse(ip)).or_default().extend(records);
            }
        }
    }
}

fn reverse(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, c, d] = ip.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(ip) => {
            let digits: Vec<_> = ip.octets().iter().map(|it| format!("{it:02x}")).collect();
            let digits: Vec<_> = digits.concat().chars().rev().map(String::from).collect();
            format!("{}.ip6.arpa", digits.join("."))
        }
    }
}

/// Names that there may be or not.
fn guesses() -> impl Iterator<Item = String> {
    let before =
        ["", "db-0.", "www.", "_http._tcp.", "_tcp.", "_pg._udp.", "x.", "*.", "_tcp.db-0."];
    let homes = ["a.default", "b.dns", "c.default", "d.default", "a.other"];
    let zones = ["svc.cluster.local", "svc.portico.test"];
    before.into_iter().flat_map(move |before| {
        homes.into_iter().flat_map(move |home| {
            zones
                .into_iter()
                .map(move |zone| format!("{before}{home}.{zone}"))
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn the_table_says_what_a_plain_map_of_the_rules_says(
        steps in prop::collection::vec(edits_of_services(), 1..12),
    ) {
        let mut zones = Zones { ttl_seconds: 5, serial: 7, ..Zones::default() };
        lay_out(&mut zones, 0);
        let empty = Snapshot { zones: Arc::new(zones), ..Snapshot::default() };
        let snapshot = apply(&empty, &steps);
        let table = build::build(&snapshot, &[SocketAddr::from(([127, 0, 0, 1], 53))]);
        let reference = reference(&snapshot);
        let known = reference.names.keys().cloned();
        for name in known.chain(guesses()) {
            let records = reference.names.get(&name);
            let is_alias = records.is_some_and(|it| it.iter().any(|it| it.starts_with("CNAME ")));
            for (kind, label) in [
                (A, "A "), (AAAA, "AAAA "), (SRV, "SRV "), (PTR, "PTR "), (CNAME, "CNAME "), (16, "TXT "),
                (65, "HTTPS "),
            ] {
                if is_alias && matches!(kind, A | AAAA) {
                    continue;
                }
                let (rcode, answers, message) = told(&table, &name, kind);
                let of_kind = |it: &&String| it.starts_with(label);
                let want: BTreeSet<_> = records.into_iter().flatten().filter(of_kind).collect();
                let found: BTreeSet<_> = answers.iter().collect();
                prop_assert_eq!(&found, &want, "{} {}", name, label);
                prop_assert_eq!(answers.len(), found.len(), "{}: no record twice", name);
                prop_assert_eq!(rcode, if records.is_some() { 0 } else { 3 }, "{} {}", name, label);
                prop_assert_eq!(message.authorities.len(), usize::from(found.is_empty()), "{}", name);
            }
        }
    }
}
