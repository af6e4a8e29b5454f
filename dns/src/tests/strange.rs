//! Messages that nobody would send (`dns 3.1`), and replies that no upstream would (`dns 4.1`): whatever they
//! are, what leaves decodes and keeps to its limit. The seeds are those of the fuzz targets.

use proptest::prelude::*;

use super::*;
use crate::hold;

/// The seeds of a fuzz target, by name.
fn seeds(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
    let mut seeds: Vec<_> = std::fs::read_dir(folder.join(target))
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|it| {
            (it.file_name().to_string_lossy().into_owned(), std::fs::read(it.path()).unwrap())
        })
        .collect();
    seeds.sort();
    seeds
}

#[test]
fn every_seed_of_the_fuzz_targets_holds() {
    let (queries, replies) = (seeds("dns_query"), seeds("dns_reply"));
    assert!(queries.len() >= 30 && replies.len() >= 20, "{} {}", queries.len(), replies.len());
    queries.iter().for_each(|(_, seed)| hold::query(seed));
    replies.iter().for_each(|(_, seed)| hold::reply(seed));
}

/// One seed with octets changed, cut, and the end of another behind it.
fn changed(target: &'static str, changes: usize) -> impl Strategy<Value = Vec<u8>> {
    let seeds: Vec<Vec<u8>> = seeds(target).into_iter().map(|(_, seed)| seed).collect();
    let interesting = prop_oneof![
        any::<u8>(),
        prop::sample::select(vec![0, 1, 12, 41, 63, 64, 0x7f, 0x80, 0xc0, 0xff])
    ];
    let seed = prop::sample::select(seeds);
    let changes = prop::collection::vec((any::<prop::sample::Index>(), interesting), 0..changes);
    let cut = prop::option::weighted(0.3, any::<prop::sample::Index>());
    let behind = prop::option::weighted(0.2, seed.clone());
    (seed, changes, cut, behind).prop_map(|(mut seed, changes, cut, behind)| {
        if let Some(cut) = cut {
            seed.truncate(cut.index(seed.len() + 1));
        }
        seed.extend(behind.into_iter().flatten().skip(12));
        for (at, octet) in changes {
            if !seed.is_empty() {
                let at = at.index(seed.len());
                seed[at] = octet;
            }
        }
        seed
    })
}

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

    #[test]
    fn changed_seeds_of_questions_hold(message in changed("dns_query", 5)) {
        hold::query(&message);
    }

    #[test]
    fn changed_seeds_of_replies_hold(input in changed("dns_reply", 5)) {
        hold::reply(&input);
    }
}
