//! What this host has, found once at start: its addresses, and where its programs look for names.
//!
//! Addresses are read from `/proc`; where that is missing the list is empty and only loopback counts,
//! which is what a developer's machine needs. The answer is data for the pure compiler.

use std::net::{IpAddr, Ipv6Addr, TcpListener};
use std::sync::Arc;

use portico_config::model::HostFacts;

/// The facts that the compiler wants.
pub(crate) fn facts() -> HostFacts {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let mut addresses = ipv4(&read("/proc/net/fib_trie"));
    addresses.extend(ipv6(&read("/proc/net/if_inet6")));
    addresses.sort();
    addresses.dedup();
    let search = search(&read("/etc/resolv.conf"));
    HostFacts { addresses, search, ..HostFacts::default() }
}

/// The last `search` or `domain` line of `resolv.conf` counts, and of it as many as resolvers take.
fn search(text: &str) -> Vec<Arc<str>> {
    let domains = text.lines().rev().find_map(|line| {
        let line = line.trim_start();
        line.strip_prefix("search")
            .or_else(|| line.strip_prefix("domain"))
    });
    let words = domains.into_iter().flat_map(str::split_whitespace);
    let names = words.map(|word| word.trim_end_matches('.').to_ascii_lowercase());
    let names = names.filter(|name| !name.is_empty());
    names.take(MOST_DOMAINS).map(Into::into).collect()
}

/// Whether `::1` can be listened on.
pub(crate) fn has_ipv6_loopback() -> bool {
    TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok()
}

/// Local addresses in the kernel's routing trie: a leaf `|-- 10.0.0.5`, then `/32 host LOCAL`.
fn ipv4(trie: &str) -> Vec<IpAddr> {
    let mut leaf: Option<IpAddr> = None;
    let mut addresses = Vec::new();
    for line in trie.lines() {
        let line = line.trim();
        if let Some(address) = line.strip_prefix("|-- ") {
            leaf = address.parse().ok();
        } else if line == "/32 host LOCAL" {
            addresses.extend(leaf);
        }
    }
    addresses
}

/// Interface addresses: 32 hexadecimal digits at the start of each line.
fn ipv6(table: &str) -> Vec<IpAddr> {
    table
        .lines()
        .filter_map(|line| u128::from_str_radix(line.split_whitespace().next()?, 16).ok())
        .map(|bits| Ipv6Addr::from(bits).into())
        .collect()
}

/// That a C library asks (`resolv.conf(5)`).
const MOST_DOMAINS: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_local_leaves_of_the_trie_are_addresses() {
        let trie = "Local:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 10.0.0.0\n        /24 link UNICAST\n     \
                    |-- 10.0.0.5\n        /32 host LOCAL\n     |-- 10.0.0.255\n        /32 link BROADCAST\n";
        assert_eq!(ipv4(trie), ["10.0.0.5".parse::<IpAddr>().unwrap()]);
    }

    #[test]
    fn the_inet6_table_is_read_by_its_first_column() {
        let table = "00000000000000000000000000000001 01 80 10 80       lo\nnonsense\n";
        assert_eq!(ipv6(table), [IpAddr::from(Ipv6Addr::LOCALHOST)]);
    }

    #[test]
    fn the_last_search_line_says_where_names_are_looked_for() {
        for (text, want) in [
            ("nameserver 127.0.0.1\nsearch Corp.Example. lan\n", &["corp.example", "lan"][..]),
            ("search a.test\ndomain b.test\n", &["b.test"]),
            ("search .\n", &[]),
            ("", &[]),
        ] {
            let found = search(text);
            let found: Vec<&str> = found.iter().map(|name| &**name).collect();
            assert_eq!(found, want, "{text}");
        }
    }
}
