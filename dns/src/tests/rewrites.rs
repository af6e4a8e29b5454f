//! Names that are asked as others, and what their replies look like (`dns 4.6`).

use proptest::prelude::*;

use super::strange::known_names;
use super::*;
use crate::rewrite::Rewrites;
use crate::serve::Ends;

const RULES: [&str; 5] = [
    "exact shop.corp.test web.default.svc.cluster.local",
    "prefix old- new-",
    "regex ^(.*)\\.(eu|us)\\.test\\.$ {2}-{1}.default.svc.cluster.local",
    "substring .nowhere. .default.",
    "suffix .corp.test .default.svc.cluster.local",
];

/// The reply to a message that the rules may be about.
fn say(table: &AnswerTable, message: &[u8], transport: Transport) -> Option<Vec<u8>> {
    let rewrites = Rewrites(RULES.map(|rule| rule.parse().unwrap()).into());
    let peer = SocketAddr::from(([127, 0, 0, 1], 40_000));
    let ends = Ends { peer, local: LOCAL, transport, idle: std::time::Duration::ZERO };
    match rewrites.apply(message, ends, 1232) {
        None => ask(table, message, transport),
        Some((other, restore)) => {
            let mut reply = ask(table, &other, Transport::Tcp)?;
            restore.restore(&mut reply);
            Some(reply)
        }
    }
}

#[test]
fn a_reply_is_under_the_name_that_was_asked() {
    let table = table();
    let reply = |name: &str, kind| {
        Message::from_vec(&say(&table, &query(name, kind), Transport::Udp).unwrap()).unwrap()
    };
    for (name, kind, want) in [
        ("Shop.Corp.Test", A, &["Shop.Corp.Test. A 127.96.0.1"][..]),
        ("web.corp.test", AAAA, &["web.corp.test. AAAA fd00:96::1"]),
        ("web.nowhere.svc.cluster.local", A, &["web.nowhere.svc.cluster.local. A 127.96.0.1"]),
        ("out.corp.test", A, &["out.corp.test. CNAME www.example.org."]),
        ("in.corp.test", A, &["in.corp.test. CNAME web.corp.test.", "web.corp.test. A 127.96.0.1"]),
        (
            "_http._tcp.web.corp.test",
            SRV,
            &["_http._tcp.web.corp.test. SRV 0 50 80 web.corp.test."],
        ),
        ("web.default.svc.cluster.local", A, &["web.default.svc.cluster.local. A 127.96.0.1"]),
    ] {
        let reply = reply(name, kind);
        assert_eq!(reply.queries[0].name().to_string(), format!("{name}."), "dns 4.6");
        let line = |it: &hickory_proto::rr::Record| {
            format!("{} {} {}", it.name, it.record_type(), it.data)
        };
        let told: Vec<_> = reply.answers.iter().map(line).collect();
        assert_eq!(told, want, "dns 4.6: {name}");
        assert_eq!(reply.metadata.response_code, hickory_proto::op::ResponseCode::NoError);
    }
    let beside = reply("_http._tcp.web.corp.test", SRV).additionals;
    assert!(
        !beside.is_empty()
            && beside
                .iter()
                .all(|it| it.name.to_string() == "web.corp.test.")
    );
    let gone = reply("nobody.corp.test", A);
    assert_eq!(gone.metadata.response_code, hickory_proto::op::ResponseCode::NXDomain);
    assert_eq!(gone.authorities[0].name.to_string(), "cluster.local.", "the zone's own SOA");
    assert_eq!(reply("web.eu.test", A).metadata.response_code.low(), 3, "asked as eu-web");
    assert_eq!(reply("old-web.example", A).metadata.response_code.low(), 5, "nobody's either way");
}

#[test]
fn a_long_reply_is_cut_for_the_client_and_keeps_its_opt() {
    let table = table();
    for (kind, least) in [(A, 20), (SRV, 0)] {
        let message = with_opt(query("many.corp.test", kind), 600, 0, &[]);
        let reply = say(&table, &message, Transport::Udp).unwrap();
        let decoded = Message::from_vec(&reply).unwrap();
        assert!(reply.len() <= 600 && decoded.metadata.truncation, "dns 3.3: {}", reply.len());
        assert!(decoded.answers.len() >= least && decoded.edns.is_some());
        let reply = say(&table, &message, Transport::Tcp).unwrap();
        let decoded = Message::from_vec(&reply).unwrap();
        assert!(!decoded.metadata.truncation && decoded.edns.is_some());
        assert_eq!(decoded.answers.len(), 120);
    }
}

proptest! {
    #[test]
    fn every_restored_reply_decodes(
        name in known_names(), end in 0_usize..4, kind in 0_u16..300, size: u16, tcp: bool,
    ) {
        let end = ["corp.test", "eu.test", "nowhere.svc.cluster.local", "shop.corp.test"][end];
        let message = with_opt(query(&format!("{name}.{end}"), kind), size, 0, &[]);
        let transport = if tcp { Transport::Tcp } else { Transport::Udp };
        let reply = say(&table(), &message, transport).unwrap();
        let decoded = Message::from_vec(&reply);
        prop_assert!(decoded.is_ok(), "{name} {kind}: {decoded:?}");
        prop_assert!(tcp || reply.len() <= usize::from(size.clamp(512, 1232)));
    }

    #[test]
    fn no_message_is_too_strange_for_rules(
        bytes in prop::collection::vec(any::<u8>(), 0..60), length in 0_usize..100,
    ) {
        let message = [&query("web.corp.test", A)[..], &bytes].concat();
        say(&table(), message.get(..length).unwrap_or(&message), Transport::Udp);
    }
}
