//! The search path of a Pod, walked for it (`dns 1.12`): one question where it would ask four.
//!
//! ```text
//! www.example.org.shop.svc.cluster.local, asked by a Pod of `shop`: no such name
//!   ─▶ www.example.org.svc.cluster.local ─▶ www.example.org.cluster.local ─▶ www.example.org
//! ```
//!
//! The first that exists is answered behind a CNAME of the name that was asked. Who asks is known by
//! its address: that of a Pod, and of Pods of one namespace alone, so that nobody is told of names by
//! the address of a node. Invariants: pure; comes after the client list; costs nothing where it is off.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use foldhash::fast::RandomState;
use portico_config::snapshot::{PodNames, Snapshot};

use crate::question::NXDOMAIN;
use crate::reply::Reply;
use crate::special::is_special;
use crate::table::{AnswerTable, Found};
use crate::wire::{A, AAAA, below};

/// Whose search path is walked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Autopath {
    /// What `namespaces` is made of; none where it is off.
    pods: Option<Arc<PodNames>>,
    /// `<namespace>.svc`, without an end, by the address of a Pod; none where Pods of several have it.
    namespaces: Arc<Paths>,
}

/// By the address of a Pod; none where Pods of several namespaces have it.
type Paths = HashMap<IpAddr, Option<Box<[u8]>>, RandomState>;

impl Autopath {
    /// That of a snapshot, with what `before` has of it.
    pub(crate) fn of(snapshot: &Snapshot, before: &Self) -> Self {
        if !snapshot.zones.autopath {
            return Self::default();
        }
        let pods = &snapshot.pods;
        if before
            .pods
            .as_ref()
            .is_some_and(|known| Arc::ptr_eq(known, pods))
        {
            return before.clone();
        }
        let mut namespaces = Paths::default();
        for (namespace, address) in pods.iter() {
            let path = below(&[namespace, "svc"], &[], LONGEST_PATH).map(Into::into);
            namespaces
                .entry(address)
                .and_modify(|known| *known = None)
                .or_insert(path);
        }
        Self { pods: Some(Arc::clone(pods)), namespaces: Arc::new(namespaces) }
    }

    /// What stands in front of the zone in the first entry of a client's search path.
    fn path(&self, client: IpAddr) -> Option<&[u8]> {
        self.namespaces.get(&client.to_canonical())?.as_deref()
    }
}

impl Reply<'_> {
    /// Walks the search path of `client` for `key`, which a zone of `zone` octets has not; whether
    /// something was found.
    pub(crate) fn autopath(
        &mut self,
        key: &[u8],
        zone: usize,
        kind: u16,
        client: IpAddr,
        table: &AnswerTable,
    ) -> bool {
        let Some(path) = table
            .autopath
            .path(client)
            .filter(|_| matches!(kind, A | AAAA))
        else {
            return false;
        };
        let (before, apex) = key
            .split_at_checked(key.len().saturating_sub(zone))
            .unwrap_or_default();
        if !table.names.is_forward(apex) {
            return false;
        }
        let Some(base) = before.strip_suffix(path).filter(|base| is_whole(base)) else {
            return false;
        };
        let ttl_seconds = table.ttl_seconds;
        for rest in [[SVC, apex].concat(), apex.to_vec()] {
            let name = [base, &rest].concat();
            if !matches!(table.find(&name), Found::Missing(_) | Found::Outside) {
                self.chain(kind, table, (ttl_seconds, &name));
                return true;
            }
        }
        let name = [base, &[0]].concat();
        match table.find(&name) {
            Found::Missing(_) => return false,
            Found::Outside if is_special(&name) => return false,
            Found::Outside | Found::Node(..) | Found::Pod(_) => {}
        }
        let start = self.out.len();
        self.chain(kind, table, (ttl_seconds, &name));
        if self.is_elsewhere {
            // What is said where nobody is asked about it.
            self.rcode = NXDOMAIN;
            self.negative(key, table, Some(zone));
            self.is_elsewhere = self.fit(start);
        }
        true
    }
}

/// Whether the octets are one or more whole labels.
fn is_whole(mut labels: &[u8]) -> bool {
    let is_some = !labels.is_empty();
    while let Some((&length, rest)) = labels.split_first() {
        let Some(rest) = rest.get(usize::from(length)..) else { return false };
        labels = rest;
    }
    is_some
}

const SVC: &[u8] = b"\x03svc";
const LONGEST_PATH: usize = 80;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_begins_where_a_label_does() {
        for (labels, want) in
            [(&b"\x01a\x02bc"[..], true), (b"", false), (b"\x02a", false), (b"\x01a\x05bc", false)]
        {
            assert_eq!(is_whole(labels), want, "{labels:?}");
        }
    }
}
