//! The search path of a Pod, walked for it (`dns 1.12`): one question where it would ask four.
//!
//! ```text
//! www.example.org.shop.svc.cluster.local, asked by a Pod of `shop`: no such name
//!   ─▶ www.example.org.svc.cluster.local ─▶ www.example.org.cluster.local
//!   ─▶ www.example.org.corp.example, a domain of the host ─▶ www.example.org
//! ```
//!
//! The first that exists is answered behind a CNAME of the name that was asked. Who asks is known by
//! its address: that of a Pod, and of Pods of one namespace alone, so that nobody is told of names by
//! the address of a node; or one of a network that settings give to a namespace. Invariants: pure; comes after the client list; costs nothing where it is off.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use foldhash::fast::RandomState;
use ipnet::IpNet;
use portico_config::model::AutopathFrom;
use portico_config::snapshot::{PodNames, Snapshot};

use crate::question::NXDOMAIN;
use crate::reply::Reply;
use crate::special::is_special;
use crate::table::{AnswerTable, Found};
use crate::wire::{A, AAAA, LONGEST_NAME, below, wire};

/// Whose search path is walked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Autopath {
    /// What `namespaces` is made of; none where it is off.
    pods: Option<Arc<PodNames>>,
    /// `<namespace>.svc`, without an end, by the address of a Pod; none where Pods of several have it.
    namespaces: Arc<Paths>,
    /// The same by network, those of narrower ones first.
    networks: Arc<[(IpNet, Box<[u8]>)]>,
    /// The host's own domains, on the wire.
    search: Arc<[Box<[u8]>]>,
}

/// By the address of a Pod; none where Pods of several namespaces have it.
type Paths = HashMap<IpAddr, Option<Box<[u8]>>, RandomState>;

impl Autopath {
    /// That of a snapshot, with what `before` has of it.
    pub(crate) fn of(snapshot: &Snapshot, before: &Self) -> Self {
        if !snapshot.zones.autopath {
            return Self::default();
        }
        let networks = networks(&snapshot.zones.autopath_from);
        let search = snapshot.zones.autopath_search.iter();
        let search = search
            .filter_map(|domain| wire(domain))
            .map(Into::into)
            .collect();
        let pods = &snapshot.pods;
        if before
            .pods
            .as_ref()
            .is_some_and(|known| Arc::ptr_eq(known, pods))
        {
            return Self { networks, search, ..before.clone() };
        }
        let mut namespaces = Paths::default();
        for (namespace, address) in pods.iter() {
            let path = path(namespace);
            namespaces
                .entry(address)
                .and_modify(|known| *known = None)
                .or_insert(path);
        }
        Self { pods: Some(Arc::clone(pods)), namespaces: Arc::new(namespaces), networks, search }
    }

    /// What stands in front of the zone in the first entry of a client's search path.
    fn path(&self, client: IpAddr) -> Option<&[u8]> {
        if self.namespaces.is_empty() && self.networks.is_empty() {
            return None;
        }
        let client = client.to_canonical();
        if let Some(Some(path)) = self.namespaces.get(&client) {
            return Some(path);
        }
        let mut networks = self.networks.iter();
        let found = networks.find(|(network, _)| network.contains(&client));
        found.map(|(_, path)| &**path)
    }
}

fn path(namespace: &str) -> Option<Box<[u8]>> {
    below(&[namespace, "svc"], &[], LONGEST_PATH).map(Into::into)
}

fn networks(from: &[AutopathFrom]) -> Arc<[(IpNet, Box<[u8]>)]> {
    let known = from
        .iter()
        .filter_map(|it| Some((it.network, path(&it.namespace)?)));
    let mut networks: Vec<_> = known.collect();
    networks.sort_by_key(|(network, _)| std::cmp::Reverse(network.prefix_len()));
    networks.into()
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
        self.beyond(base, (key, zone, kind), table)
    }

    /// Goes on behind the zone: in the host's own domains, and with the name as it is.
    fn beyond(
        &mut self,
        base: &[u8],
        (key, zone, kind): (&[u8], usize, u16),
        table: &AnswerTable,
    ) -> bool {
        let mut denied = self.denied;
        let domains = table.autopath.search.iter().map(|domain| &**domain);
        for domain in domains.chain([ROOT]) {
            let name = [base, domain].concat();
            let is_last = domain == ROOT;
            match table.find(&name) {
                _ if name.len() > LONGEST_NAME => {}
                Found::Missing(_) => {}
                Found::Outside if is_special(&name) => {}
                Found::Outside if denied > 0 => denied -= 1,
                Found::Node(..) | Found::Pod(_) => {
                    self.chain(kind, table, (table.ttl_seconds, &name));
                    return true;
                }
                Found::Outside => {
                    let start = self.out.len();
                    self.chain(kind, table, (table.ttl_seconds, &name));
                    // What is said where nobody is asked about it.
                    self.rcode = NXDOMAIN;
                    self.negative(key, table, Some(zone));
                    self.is_elsewhere = self.fit(start);
                    self.goes_on = !is_last;
                    return true;
                }
            }
        }
        false
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

const ROOT: &[u8] = &[0];
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
