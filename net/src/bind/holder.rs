//! Who holds a port, from the kernel's socket tables and `/proc`.
//!
//! For messages alone: what cannot be read is left out. Each table and the list of processes are
//! read at the first question and kept, so that ten thousand taken fronts cost one look.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

/// What was read so far; as old as its first question.
#[derive(Debug, Default)]
pub(super) struct Holders {
    /// Inodes of listening sockets by local address, as the tables write it.
    tables: HashMap<&'static str, HashMap<String, u64>>,
    /// Process by inode of a socket.
    processes: Option<HashMap<u64, u32>>,
}

impl Holders {
    /// Who holds `address`: `nginx (pid 812), which listens on every address`.
    pub(super) fn of(&mut self, address: SocketAddr, protocol: &'static str) -> Option<String> {
        let port = address.port();
        let (v4, v6) = match protocol {
            "tcp" => ("/proc/net/tcp", "/proc/net/tcp6"),
            _ => ("/proc/net/udp", "/proc/net/udp6"),
        };
        let own = if address.is_ipv4() { v4 } else { v6 };
        let zeros = if address.is_ipv4() { 8 } else { 32 };
        let exact = format!("{}:{port:04X}", hex(address.ip()));
        let candidates = [
            (own, format!("{:0zeros$}:{port:04X}", 0), "every address"),
            (own, exact, "this address"),
            // A wildcard of IPv6 may hold the port of both families.
            (v6, format!("{:032}:{port:04X}", 0), "every address"),
        ];
        let (inode, where_) = candidates
            .iter()
            .find_map(|(table, local, where_)| Some((self.inode(table, local)?, where_)))?;
        Some(match self.process(inode) {
            Some(process) => format!("{process}, which listens on {where_}"),
            None => format!("a program of another user, which listens on {where_}"),
        })
    }

    fn inode(&mut self, table: &'static str, local: &str) -> Option<u64> {
        let rows = self.tables.entry(table).or_insert_with(|| {
            let text = std::fs::read_to_string(table).unwrap_or_default();
            let all_count = table.contains("udp");
            text.lines()
                .skip(1)
                .filter_map(|row| listening(row, all_count))
                .collect()
        });
        rows.get(local).copied()
    }

    /// `nginx (pid 812)`, as far as `/proc` lets this user see.
    fn process(&mut self, inode: u64) -> Option<String> {
        let pid = *self.processes.get_or_insert_with(processes).get(&inode)?;
        let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
        Some(format!("{} (pid {pid})", name.trim()))
    }
}

/// Local address and inode of a row, if it is of a socket that takes what comes.
fn listening(row: &str, all_count: bool) -> Option<(String, u64)> {
    let mut columns = row.split_whitespace();
    let local = columns.nth(1)?;
    let state = columns.nth(1)?;
    let inode = columns.nth(5)?.parse().ok()?;
    (all_count || state == LISTEN).then(|| (local.to_owned(), inode))
}

/// An address as the tables write it: words of the host's byte order.
fn hex(address: IpAddr) -> String {
    let octets = match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    let words = octets.chunks_exact(4);
    words
        .map(|word| format!("{:08X}", u32::from_ne_bytes([word[0], word[1], word[2], word[3]])))
        .collect()
}

/// Every socket of every process that this user may look into.
fn processes() -> HashMap<u64, u32> {
    let mut found = HashMap::new();
    let Ok(processes) = std::fs::read_dir("/proc") else { return found };
    for process in processes.flatten() {
        let Ok(pid) = process.file_name().to_string_lossy().parse::<u32>() else { continue };
        let Ok(descriptors) = std::fs::read_dir(process.path().join("fd")) else { continue };
        for descriptor in descriptors.flatten() {
            let Ok(target) = std::fs::read_link(descriptor.path()) else { continue };
            let inode = target
                .to_str()
                .and_then(|it| it.strip_prefix("socket:[")?.strip_suffix(']'));
            if let Some(inode) = inode.and_then(|inode| inode.parse().ok()) {
                found.insert(inode, pid);
            }
        }
    }
    found
}

/// `TCP_LISTEN` in the tables.
const LISTEN: &str = "0A";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_written_as_the_kernel_writes_them() {
        let little = cfg!(target_endian = "little");
        for (address, want) in [
            ("127.0.0.1", if little { "0100007F" } else { "7F000001" }),
            (
                "::1",
                if little {
                    "00000000000000000000000001000000"
                } else {
                    "00000000000000000000000000000001"
                },
            ),
        ] {
            assert_eq!(hex(address.parse().unwrap()), want, "{address}");
        }
    }
}
