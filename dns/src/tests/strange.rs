//! Messages that nobody would send: whatever they are, a reply decodes and keeps to its limit.

use proptest::prelude::*;

use super::*;

pub(super) fn known_names() -> impl Strategy<Value = String> {
    let label = prop::sample::select(vec![
        "web", "db", "db-1", "many", "in", "gone", "ping", "_http", "_tcp", "_pg", "default",
        "svc", "pod", "cluster", "local", "portico", "test", "mi-web", "wild", "example", "any",
        "arpa", "in-addr", "127", "96", "0", "1", "ns", "dns",
    ]);
    let end =
        prop::sample::select(vec!["", "default.svc.cluster.local", "default.svc.portico.test"]);
    (prop::collection::vec(label, 0..5), end)
        .prop_map(|(labels, end)| format!("{}.{end}", labels.join(".")))
}

proptest! {
    #[test]
    fn no_message_is_too_strange(bytes in prop::collection::vec(any::<u8>(), 0..600), tcp: bool) {
        let transport = if tcp { Transport::Tcp } else { Transport::Udp };
        if let Some(reply) = ask(&table(), &bytes, transport) {
            prop_assert!(reply.len() >= 12 && (tcp || reply.len() <= 1232));
        }
    }

    #[test]
    fn a_changed_query_is_answered_within_its_limit(
        name in known_names(), kind in 0_u16..300, at in 0_usize..80, byte: u8,
    ) {
        let mut message = with_opt(query(&name, kind), 4096, 0, &[]);
        if let Some(changed) = message.get_mut(at) {
            *changed = byte;
        }
        if let Some(reply) = ask(&table(), &message, Transport::Udp) {
            prop_assert!(reply.len() <= 1232);
        }
    }

    #[test]
    fn every_reply_decodes(name in known_names(), kind in 0_u16..300, size: u16, id: u16, tcp: bool) {
        let mut message = with_opt(query(&name, kind), size, 0, &[]);
        message[..2].copy_from_slice(&id.to_be_bytes());
        let transport = if tcp { Transport::Tcp } else { Transport::Udp };
        let reply = ask(&table(), &message, transport).unwrap();
        let decoded = Message::from_vec(&reply);
        prop_assert!(decoded.is_ok(), "{name} {kind}: {decoded:?}");
        prop_assert!(tcp || reply.len() <= usize::from(size.clamp(512, 1232)));
    }
}
