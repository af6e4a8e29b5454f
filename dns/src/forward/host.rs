//! The resolvers of this host, from `resolv.conf` (`dns 4.1`).
//!
//! systemd-resolved writes its own stub there, and its upstreams into a file beside: asking the stub
//! would lead through it back to portico wherever it was told of portico. Invariants: a file that is
//! missing, unreadable or too long names nobody.

use std::fs::File;
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV6};
use std::path::{Path, PathBuf};

/// Where a host's resolvers are written down.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    /// What programs read.
    pub(crate) main: PathBuf,
    /// What systemd-resolved asks.
    pub(crate) behind_stub: PathBuf,
}

impl Default for Files {
    fn default() -> Self {
        Self {
            main: "/etc/resolv.conf".into(),
            behind_stub: "/run/systemd/resolve/resolv.conf".into(),
        }
    }
}

impl Files {
    /// The resolvers, in their order.
    pub(crate) fn resolvers(&self) -> Vec<SocketAddr> {
        let found = parse(&content(&self.main));
        if found.iter().any(|address| STUBS.contains(&address.ip())) {
            return parse(&content(&self.behind_stub));
        }
        found
    }
}

fn content(path: &Path) -> String {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(MAX_BYTES).read_to_string(&mut text));
    read.map(|_| text).unwrap_or_default()
}

/// The `nameserver` lines of `resolv.conf`.
fn parse(text: &str) -> Vec<SocketAddr> {
    let server = |line: &str| {
        let mut words = line.split_whitespace();
        (words.next() == Some("nameserver")).then_some(())?;
        let word = words.next()?;
        let (address, zone) = word.split_once('%').unwrap_or((word, "0"));
        match address.parse().ok()? {
            IpAddr::V4(v4) => Some(SocketAddr::new(v4.into(), PORT)),
            // A link-local address means nothing without its interface, of which we know no names.
            IpAddr::V6(v6) => Some(SocketAddrV6::new(v6, PORT, 0, zone.parse().ok()?).into()),
        }
    };
    let mut servers: Vec<SocketAddr> = text.lines().filter_map(server).collect();
    servers.truncate(MOST_SERVERS);
    servers
}

/// Where systemd-resolved listens.
const STUBS: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(127, 0, 0, 53)), IpAddr::V4(Ipv4Addr::new(127, 0, 0, 54))];
const PORT: u16 = 53;
const MAX_BYTES: u64 = 64 << 10;
const MOST_SERVERS: usize = 15;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nameserver_lines_are_read_and_nothing_else() {
        for (text, want) in [
            ("nameserver 192.0.2.1\n", &["192.0.2.1:53"][..]),
            ("# nameserver 192.0.2.9\nsearch a.b\nnameserver\t192.0.2.1 # x\n", &["192.0.2.1:53"]),
            ("nameserver 2001:db8::1\nnameserver 192.0.2.2", &["[2001:db8::1]:53", "192.0.2.2:53"]),
            ("nameserver fe80::1%3", &["[fe80::1%3]:53"]),
            ("nameserver fe80::1%eth0\nnameserver x\nnameserver\nnameservers 1.2.3.4", &[]),
            ("", &[]),
        ] {
            let found: Vec<_> = parse(text).iter().map(ToString::to_string).collect();
            assert_eq!(found, want, "{text}");
        }
    }

    #[test]
    fn the_stub_of_systemd_is_stepped_around() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let files = Files { main: path("main"), behind_stub: path("behind") };
        assert_eq!(files.resolvers(), [], "no file");
        std::fs::write(&files.main, "nameserver 127.0.0.53\n").unwrap();
        assert_eq!(files.resolvers(), [], "a stub and nothing behind it");
        std::fs::write(&files.behind_stub, "nameserver 192.0.2.7\n").unwrap();
        assert_eq!(files.resolvers(), ["192.0.2.7:53".parse().unwrap()]);
        std::fs::write(&files.main, "nameserver 192.0.2.1\n").unwrap();
        assert_eq!(files.resolvers(), ["192.0.2.1:53".parse().unwrap()]);
    }
}
