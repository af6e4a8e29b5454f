//! Whole zones: what is in a transfer is what questions are answered with (`dns 1.10`).

use std::collections::{BTreeMap, BTreeSet};

use arc_swap::ArcSwap;
use portico_config::model::{QueryLog, StaticRecord};

use super::*;
use crate::names::Level;
use crate::serve::Ends;
use crate::transfer::{Transfers, is_asked};
use crate::wire::{is_within, parent};
use crate::zones::dotted;

const AXFR: u16 = 252;

/// Names of all kinds: Services, hosts, wildcards, records, a zone within another.
fn everything() -> Arc<AnswerTable> {
    let mut snapshot = snapshot();
    let record = |text: &str| text.parse::<StaticRecord>().unwrap();
    let records = [
        record("db.default.svc.cluster.local A 192.0.2.1"),
        record("mail.portico.test MX 10 mx.example.org"),
        record("portico.test TXT \"of ours\""),
        record("*.any.portico.test A 192.0.2.2"),
        record("alias.portico.test CNAME www.example.org"),
    ];
    let mut zones = (*snapshot.zones).clone();
    zones.records = records.into();
    zones.host_suffixes = vec!["apps.portico.test".into(), "shop.test".into()];
    for (host, address) in [
        ("one.apps.portico.test", "192.0.2.3"),
        ("*.apps.portico.test", "192.0.2.4"),
        ("here.portico.test", "0.0.0.0"),
    ] {
        zones.hosts.push(HostRecord {
            host: HostPattern::parse(host),
            addresses: vec![address.parse().unwrap()],
            alias: None,
            ttl_seconds: Some(60),
            owner: HostOwner::Ingress(ObjectName::new("default", "web")),
        });
    }
    snapshot.zones = Arc::new(zones);
    build::Tables::default().next(&Arc::new(snapshot), &[SocketAddr::from(([127, 0, 0, 1], 53))])
}

fn ends(transport: Transport) -> Ends {
    let peer = SocketAddr::from(([192, 0, 2, 53], 40_000));
    Ends { peer, local: LOCAL, transport, idle: std::time::Duration::ZERO }
}

/// The messages of a transfer to a client in `to`; the code where there is none.
fn transfer(table: &Arc<AnswerTable>, message: &[u8], to: &str) -> Result<Vec<Vec<u8>>, u8> {
    let transfers = Transfers::new(&[to.parse().unwrap()]);
    let mut reply = ask(table, message, Transport::Tcp).unwrap();
    let refused = {
        let mut out = Vec::new();
        let Ends { peer, local, transport, .. } = ends(Transport::Tcp);
        answer(message, peer, local, transport, table, &mut out)
    };
    assert!(is_asked(refused), "{refused:?}");
    let current = ArcSwap::new(Arc::clone(table));
    let begun = transfers.begin(message, ends(Transport::Tcp), &current, refused, &mut reply);
    let Ok(mut transfer) = begun else { return Err(reply[3] & 15) };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(transfer.prepare());
    let (mut messages, mut message) = (Vec::new(), Vec::new());
    while transfer.next(&mut message) {
        messages.push(message.clone());
    }
    Ok(messages)
}

/// `TTL TYPE data` by owner and type, of all messages in turn.
fn records(messages: &[Vec<u8>]) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for message in messages {
        let decoded = Message::from_vec(message).unwrap();
        assert!(decoded.metadata.authoritative && message.len() < 65_000, "dns 1.10");
        for record in &decoded.answers {
            let owner = record.name.to_string();
            all.push((owner, format!("{} {} {}", record.ttl, record.record_type(), record.data)));
        }
    }
    all
}

/// What questions for every type say of `name` itself.
fn asked(table: &AnswerTable, name: &str) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for kind in [A, AAAA, SRV, PTR, CNAME, 2, 15, 16] {
        let reply = ask(table, &query(name, kind), Transport::Tcp).unwrap();
        let decoded = Message::from_vec(&reply).unwrap();
        let own = decoded
            .answers
            .iter()
            .filter(|it| it.name.to_string() == format!("{name}."));
        all.extend(own.map(|it| format!("{} {} {}", it.ttl, it.record_type(), it.data)));
    }
    all
}

#[test]
fn a_transfer_holds_what_questions_are_answered_with() {
    let table = everything();
    for zone in ["cluster.local", "portico.test", "apps.portico.test", "shop.test"] {
        let messages = transfer(&table, &query(zone, AXFR), "192.0.2.0/24").unwrap();
        let mut told = records(&messages);
        let soa = told.pop().unwrap();
        assert!(told.remove(0) == soa && soa.1.contains(" SOA "), "framed by the SOA: {zone}");
        assert!(told[0].1.contains(" NS ") && told[0].0 == format!("{zone}."), "{zone}");
        let mut by_name: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let count = told.len();
        for (owner, record) in told {
            by_name.entry(owner).or_default().insert(record);
        }
        assert_eq!(by_name.values().map(BTreeSet::len).sum::<usize>(), count, "none twice: {zone}");
        for (owner, records) in &by_name {
            let name = owner.trim_end_matches('.').replace('*', "x");
            let said = asked(&table, &name);
            assert_eq!(records, &said, "{zone}: {owner}");
        }
        // And nothing is missing that has an answer.
        let key = wire(zone);
        for entry in table.names.iter() {
            let name = [entry.node().name(), table.names.suffix(entry.suffix)].concat();
            let is_here = table.zone_of(&name) == Some(key.len()) && is_within(&name, &key);
            if is_here && !asked(&table, dotted(&name).trim_end_matches('.')).is_empty() {
                assert!(by_name.contains_key(&dotted(&name)), "{zone}: {}", dotted(&name));
            }
            assert!(!is_here || entry.level != Level::Static || parent(&name).is_some());
        }
    }
    let messages = transfer(&table, &query("portico.test", AXFR), "192.0.2.0/24").unwrap();
    let told = records(&messages);
    let has = |owner: &str, record: &str| {
        told.iter()
            .any(|(of, it)| of == owner && it.ends_with(record))
    };
    for (owner, record) in [
        ("portico.test.", "TXT of ours"),
        ("mail.portico.test.", "MX 10 mx.example.org."),
        ("*.any.portico.test.", "A 192.0.2.2"),
        ("alias.portico.test.", "CNAME www.example.org."),
        ("here.portico.test.", "A 127.0.0.9"),
        ("apps.portico.test.", "NS ns.dns.apps.portico.test."),
        ("ns.dns.apps.portico.test.", "A 127.0.0.1"),
        ("db.default.svc.portico.test.", "A 10.0.0.1"),
    ] {
        assert!(has(owner, record), "{owner} {record}: {told:#?}");
    }
    assert!(
        !told
            .iter()
            .any(|(owner, _)| owner == "one.apps.portico.test."),
        "in a zone below"
    );
    let of_primary = transfer(&table, &query("cluster.local", AXFR), "192.0.2.0/24").unwrap();
    let db = "db.default.svc.cluster.local.".to_owned();
    let of_db: Vec<_> = records(&of_primary)
        .into_iter()
        .filter(|it| it.0 == db)
        .collect();
    assert_eq!(of_db, [(db, "5 A 192.0.2.1".to_owned())], "a record of settings comes first");
}

#[test]
fn long_zones_come_in_several_messages() {
    let labels: Vec<(String, String)> = (0..4000)
        .map(|n| (format!("pod-{n}"), format!("10.9.{}.{}", n / 250, n % 250)))
        .collect();
    let labels: Vec<_> = labels.iter().map(|(label, ip)| (&**label, &**ip)).collect();
    let big = service("big", Reach::Headless, &[("p", 1)], &labels);
    let mut snapshot = snapshot();
    snapshot.services.insert(big.name.clone(), big);
    let table = build::Tables::default().next(&Arc::new(snapshot), &[]);
    let opt = with_opt(query("cluster.local", AXFR), 1232, 0, &[]);
    let messages = transfer(&table, &opt, "192.0.2.53/32").unwrap();
    assert!(messages.len() > 3, "{}", messages.len());
    for (index, message) in messages.iter().enumerate() {
        assert!(message.len() <= 63_000 + 11, "{}", message.len());
        let decoded = Message::from_vec(message).unwrap();
        assert_eq!(decoded.queries[0].name().to_string(), "cluster.local.", "dns 1.10");
        assert_eq!(decoded.edns.is_some(), index == 0, "RFC 5936 2.2.5");
    }
    let all = records(&messages);
    let addresses = all
        .iter()
        .filter(|(owner, it)| owner == "big.default.svc.cluster.local." && it.contains(" A "));
    assert_eq!(addresses.count(), 4000);
}

#[test]
fn who_is_not_allowed_and_what_is_no_zone_is_refused() {
    let table = everything();
    for (name, kind, to, want) in [
        ("cluster.local", AXFR, "198.51.100.0/24", 5),
        ("svc.cluster.local", AXFR, "192.0.2.0/24", 5),
        ("example.org", AXFR, "192.0.2.0/24", 5),
        ("96.127.in-addr.arpa", AXFR, "192.0.2.0/24", 5),
        ("mi-web", AXFR, "192.0.2.0/24", 5),
    ] {
        let refused = transfer(&table, &query(name, kind), to);
        assert_eq!(refused, Err(want), "dns 1.10: {name}");
    }
    let loading = Arc::new(AnswerTable::default());
    assert_eq!(transfer(&loading, &query("cluster.local", AXFR), "192.0.2.0/24"), Err(2));
    let reply = ask(&table, &query("cluster.local", AXFR), Transport::Udp).unwrap();
    assert_eq!(reply[3] & 15, 5, "dns 1.10: never in a datagram");
    assert_eq!(QueryLog::default().rules, [], "off by default");
}

#[test]
fn a_serial_that_is_ours_needs_no_zone() {
    let table = everything();
    let ixfr = |serial: u32| {
        let mut message = query("cluster.local", 251);
        message[9] = 1;
        message.extend(b"\xc0\x0c\0\x06\0\x01\0\0\0\0\0\x18\xc0\x0c\xc0\x0c");
        message.extend(serial.to_be_bytes());
        message.extend([0; 16]);
        message
    };
    let told = |serial| records(&transfer(&table, &ixfr(serial), "192.0.2.0/24").unwrap());
    let [only] = &told(7)[..] else { panic!("RFC 1995: one SOA") };
    assert!(only.1.contains(" SOA "));
    assert!(told(6).len() > 20 && told(8).len() > 20, "all of it for another");
}

#[test]
fn so_many_run_at_once_and_no_more() {
    let table = ArcSwap::new(everything());
    let transfers = Transfers::new(&["192.0.2.0/24".parse().unwrap()]);
    let message = query("cluster.local", AXFR);
    let heard = crate::answer::Heard::dropped(AXFR, None);
    let refused = Outcome::Reply { rcode: 5, heard };
    let mut reply = Vec::new();
    let mut begin = || transfers.begin(&message, ends(Transport::Tcp), &table, refused, &mut reply);
    let mut running: Vec<_> = (0..8).map(|_| begin().unwrap()).collect();
    let Err(Outcome::Reply { rcode, .. }) = begin() else { panic!("dns 1.10: a ninth") };
    assert_eq!(rcode, 2);
    running.pop();
    assert!(begin().is_ok());
}
