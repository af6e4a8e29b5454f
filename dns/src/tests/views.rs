//! Records for networks: who asks decides what is answered (`dns 4.7`).

use portico_config::model::StaticRecord;

use super::*;

const RECORDS: [&str; 7] = [
    "db.corp.test A 192.0.2.1",
    "db.corp.test TXT \"everybody's\"",
    "@10.0.0.0/8 db.corp.test A 10.0.0.1",
    "@10.1.0.0/16 db.corp.test A 10.1.0.1",
    "@10.0.0.0/8 only.portico.test A 10.0.0.2",
    "@10.1.0.0/16 web.default.svc.cluster.local A 10.1.0.3",
    "@fd00::/8 db.corp.test AAAA fd00::1",
];

fn table_with(records: &[&str]) -> Arc<AnswerTable> {
    let records: Vec<StaticRecord> = records.iter().map(|it| it.parse().unwrap()).collect();
    let mut snapshot = snapshot();
    let zones = Zones { records: records.into(), ..(*snapshot.zones).clone() };
    snapshot.zones = Arc::new(zones);
    build::Tables::default().next(&Arc::new(snapshot), &[])
}

#[test]
fn the_narrowest_network_of_a_client_says_what_it_sees() {
    let table = table_with(&RECORDS);
    for (client, name, kind, want) in [
        ("192.0.2.9", "db.corp.test", A, &["A 192.0.2.1"][..]),
        ("192.0.2.9", "db.corp.test", 16, &["TXT everybody's"]),
        ("10.2.0.1", "db.corp.test", A, &["A 10.0.0.1"]),
        ("10.2.0.1", "db.corp.test", 16, &[]),
        ("10.1.2.3", "db.corp.test", A, &["A 10.1.0.1"]),
        ("::ffff:10.1.2.3", "db.corp.test", A, &["A 10.1.0.1"]),
        ("fd00::7", "db.corp.test", AAAA, &["AAAA fd00::1"]),
        ("10.1.2.3", "only.portico.test", A, &["A 10.0.0.2"]),
        ("192.0.2.9", "only.portico.test", A, &[]),
        ("10.1.2.3", "web.default.svc.cluster.local", A, &["A 10.1.0.3"]),
        ("10.2.0.1", "web.default.svc.cluster.local", A, &["A 127.96.0.1"]),
        ("10.1.2.3", "bare.default.svc.cluster.local", A, &["A 127.96.0.2"]),
        ("10.1.2.3", "2.0.0.10.in-addr.arpa", PTR, &["PTR only.portico.test."]),
    ] {
        let view = table.seen_by(client.parse().unwrap());
        let (_, answers, _) = told(view, name, kind);
        assert_eq!(answers, want.map_strings(), "dns 4.7: {client}: {name}");
    }
}

#[test]
fn without_such_records_there_are_no_views() {
    let table = table_with(&RECORDS[..2]);
    assert!(std::ptr::eq(table.seen_by([10, 1, 2, 3].into()), &*table));
}
