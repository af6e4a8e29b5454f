//! Names of Pods: an address that its name spells, `10-0-0-1.<namespace>.pod.<zone>` (`dns 1.9`).
//!
//! There is no entry for any of them: a miss whose zone has `pod` in front of it comes here.
//! Invariants: no allocation; a spelling of an address that is not the shortest one counts too.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use portico_config::model::PodsMode;
use portico_config::snapshot::{PodNames, Snapshot};

use crate::names::Names;

/// Which Pods have names.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pods {
    mode: PodsMode,
    verified: Arc<PodNames>,
}

impl Pods {
    /// Those of a snapshot.
    pub(crate) fn of(snapshot: &Snapshot) -> Self {
        Self { mode: snapshot.zones.pods, verified: Arc::clone(&snapshot.pods) }
    }

    /// The address that `key`, a lower-case wire name in a zone of `zone` octets which has no entry
    /// in `names`, spells and that its namespace has.
    pub(crate) fn find(&self, key: &[u8], zone: usize, names: &Names) -> Option<IpAddr> {
        let at = key.len().checked_sub(zone + POD.len())?;
        let (below, pod) = key.split_at_checked(at)?;
        if !pod.starts_with(POD) || self.mode == PodsMode::Disabled {
            return None;
        }
        let (label, rest) = first_label(below)?;
        let (namespace, rest) = first_label(rest)?;
        // Reverse zones have names as well, but none of Pods: `<namespace>.pod` tells them apart.
        if !rest.is_empty() || names.find(key.get(1 + label.len()..)?).is_none() {
            return None;
        }
        let address = spelt(label)?;
        let namespace = std::str::from_utf8(namespace).ok()?;
        let is_there = self.mode == PodsMode::Insecure || self.verified.has(namespace, address);
        is_there.then_some(address)
    }
}

/// The first label without its length, and what is behind it.
fn first_label(name: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&length, rest) = name.split_first()?;
    rest.split_at_checked(usize::from(length))
}

/// Three dashes and no two in a row spell IPv4, anything else IPv6.
fn spelt(label: &[u8]) -> Option<IpAddr> {
    let dashes = label.iter().filter(|octet| **octet == b'-').count();
    let is_v4 = dashes == 3 && !label.windows(2).any(|pair| pair == b"--");
    let mut buffer = [0; 63];
    let text = buffer.get_mut(..label.len())?;
    for (to, from) in text.iter_mut().zip(label) {
        *to = match *from {
            b'-' if is_v4 => b'.',
            b'-' => b':',
            octet => octet,
        };
    }
    let text = std::str::from_utf8(text).ok()?;
    if is_v4 {
        text.parse::<Ipv4Addr>().ok().map(IpAddr::V4)
    } else {
        text.parse::<Ipv6Addr>().ok().map(IpAddr::V6)
    }
}

const POD: &[u8] = b"\x03pod";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_spell_addresses() {
        for (label, want) in [
            ("10-0-0-1", Some("10.0.0.1")),
            ("2001-db8--1", Some("2001:db8::1")),
            ("2001-db8-0-0-0-0-0-1", Some("2001:db8::1")),
            ("--1", Some("::1")),
            ("10-0-0-256", None),
            ("10-0-0", None),
            ("10-0-0-1-2", None),
            ("10--0-1", Some("10::1")),
            ("web", None),
            ("-", None),
            ("010-0-0-1", None),
        ] {
            let want = want.map(|address| address.parse::<IpAddr>().unwrap());
            assert_eq!(spelt(label.as_bytes()), want, "{label}");
        }
    }
}
