//! The names of the DNS scenarios: as zone data for each peer, and as questions, in dnsperf's form.
//!
//! They are the names that portico makes of the Services that `generate` writes. Peers get the
//! same number of records for each, with other addresses: which one an answer holds costs nothing.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::generate::{is_headless, namespace};

/// Writes what the peers serve, for `services` Services: `cluster.local.zone` (Knot, NSD), `hosts`
/// (dnsmasq) and `unbound.data`.
pub(crate) fn write_zones(folder: &Path, services: u32) -> Result<()> {
    let mut zone = String::from(
        "$ORIGIN cluster.local.\n$TTL 5\n\
         @ SOA ns.dns hostmaster 1 7200 1800 86400 5\n@ NS ns.dns\nns.dns A 127.0.0.1\n",
    );
    let mut hosts = String::new();
    let mut data = String::from("local-zone: \"cluster.local.\" static\n");
    data.push_str(
        "local-data: \"cluster.local. 5 IN SOA ns.dns.cluster.local. hostmaster.cluster.local. 1 \
         7200 1800 86400 5\"\n",
    );
    for n in (0..services).filter(|n| !is_headless(*n)) {
        let name = name(n);
        let [_, a, b, c] = (n + 1).to_be_bytes();
        let address = Ipv4Addr::new(10, a, b, c);
        writeln!(zone, "{name}. A {address}").expect(ANY_TEXT);
        writeln!(hosts, "{address} {name}").expect(ANY_TEXT);
        writeln!(data, "local-data: \"{name}. 5 IN A {address}\"").expect(ANY_TEXT);
    }
    for (file, text) in [("cluster.local.zone", zone), ("hosts", hosts), ("unbound.data", data)] {
        put(&folder.join(file), &text)?;
    }
    Ok(())
}

/// Writes the questions, one a line, in an order that no cache likes: for names that exist, or for
/// ones beside them.
pub(crate) fn write_questions(file: &Path, services: u32, exist: bool) -> Result<()> {
    let mut questions = String::new();
    for n in (0..services).map(|n| scattered(n, services)) {
        if !is_headless(n) {
            let prefix = if exist { "" } else { "no-" };
            writeln!(questions, "{prefix}{} A", name(n)).expect(ANY_TEXT);
        }
    }
    put(file, &questions)
}

/// A name that every server has.
pub(crate) fn probe_name() -> String {
    name(0)
}

/// The first address that a server answers for `name`, over UDP; None where it has none.
///
/// For answers whose last record is an address: nothing stands behind it without EDNS.
pub(crate) fn resolve(
    server: SocketAddr,
    name: &str,
    patience: Duration,
) -> io::Result<Option<Ipv4Addr>> {
    let mut query = vec![0x70, 0x63, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    query.extend(question(name));
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.set_read_timeout(Some(patience))?;
    socket.connect(server)?;
    socket.send(&query)?;
    let mut answer = [0; 512];
    let length = socket.recv(&mut answer)?;
    let data = answer.get(length.saturating_sub(4)..length);
    let has_answer = answer[6..8] == [0, 1];
    let address = data.and_then(|data| <[u8; 4]>::try_from(data).ok());
    Ok(address.filter(|_| has_answer).map(Ipv4Addr::from))
}

/// The question for the addresses of `name`, as it stands in a message.
pub(crate) fn question(name: &str) -> Vec<u8> {
    let mut question = Vec::with_capacity(name.len() + 6);
    for label in name.split('.') {
        question.push(u8::try_from(label.len()).unwrap_or(0));
        question.extend_from_slice(label.as_bytes());
    }
    // The root, A, IN.
    question.extend([0, 0, 1, 0, 1]);
    question
}

/// The name of a Service that `generate` writes.
fn name(n: u32) -> String {
    format!("app-{n:05}.{}.svc.cluster.local", namespace(n))
}

/// Each number below `count` once, far from the one before.
fn scattered(n: u32, count: u32) -> u32 {
    let stride = if count.is_multiple_of(PRIME) { 1 } else { PRIME };
    let place = u64::from(n) * u64::from(stride) % u64::from(count);
    u32::try_from(place).unwrap_or(n)
}

fn put(file: &Path, text: &str) -> Result<()> {
    fs::write(file, text).with_context(|| format!("writing {}", file.display()))
}

const PRIME: u32 = 7_919;
const ANY_TEXT: &str = "a String takes any text";

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_place_is_asked_for_once() {
        for count in [1, 10, 1_000, PRIME, 10_000] {
            let all: BTreeSet<u32> = (0..count).map(|n| scattered(n, count)).collect();
            assert_eq!(all.len(), count as usize, "{count}");
        }
    }

    #[test]
    fn what_is_asked_for_is_in_every_zone_or_in_none() {
        let folder = tempfile::tempdir().unwrap();
        let read = |file: &str| fs::read_to_string(folder.path().join(file)).unwrap();
        write_zones(folder.path(), 30).unwrap();
        for (exist, zone_has) in [(true, true), (false, false)] {
            write_questions(&folder.path().join("questions"), 30, exist).unwrap();
            let questions = read("questions");
            assert_eq!(questions.lines().count(), 27, "one in ten is headless");
            for name in questions
                .lines()
                .map(|line| line.strip_suffix(" A").unwrap())
            {
                assert_eq!(read("cluster.local.zone").contains(&format!("\n{name}. A ")), zone_has);
                assert_eq!(read("hosts").contains(&format!(" {name}\n")), zone_has);
                assert_eq!(read("unbound.data").contains(&format!("\"{name}. 5")), zone_has);
            }
        }
    }
}
