//! The hints that the annotation topology-mode asks for with `Auto` (`services 2.5`).
//!
//! ```text
//! Nodes ─▶ each zone's share of CPU ─▶ endpoints wanted by zone ─▶ own zone, or one that lacks some
//! ```
//!
//! All or nothing: where a zone could not get its share with at most [`OVERLOAD`] too much traffic for
//! any endpoint, no endpoint has hints. Invariants: pure; where the original leaves the choice to the order of
//! a map, zones go by name and endpoints by address. Deprecated in Kubernetes, in favour of
//! `trafficDistribution`, which needs no Nodes.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use crate::snapshot::endpoint::Hints;
use crate::validate::Node;

/// A zone.
type Zone = Arc<str>;

/// Why there are no hints.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum NoHints {
    /// A ready Node lacks its zone or its CPU, or there is no ready Node.
    Nodes,
    /// All Nodes are in one zone.
    OneZone,
    /// There are fewer endpoints than zones.
    Few,
    /// Endpoints cannot be shared out fairly enough.
    Overload,
    /// An endpoint's Node has no zone.
    Zoneless,
}

impl NoHints {
    /// In words.
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::Nodes => "allocatable CPU or zone is not known of one or more ready Nodes",
            Self::OneZone => "Nodes are only ready in one zone",
            Self::Few => "there are fewer ready endpoints than zones",
            Self::Overload => {
                "a zone cannot get its share without overloading its endpoints by more than 20 %"
            }
            Self::Zoneless => "an endpoint is in no zone",
        }
    }
}

/// Each zone's part of the CPU of all Nodes that count: ready ones, not of the control plane.
pub(super) fn shares<'a>(
    nodes: impl Iterator<Item = &'a Node>,
) -> Result<BTreeMap<Zone, f64>, NoHints> {
    let mut by_zone: BTreeMap<Zone, u64> = BTreeMap::new();
    for node in nodes.filter(|node| node.ready && !node.control_plane) {
        let (Some(zone), 1..) = (&node.zone, node.cpu_millis) else { return Err(NoHints::Nodes) };
        let sum = by_zone.entry(Arc::clone(zone)).or_default();
        *sum = sum.saturating_add(node.cpu_millis);
    }
    match by_zone.len() {
        0 => return Err(NoHints::Nodes),
        1 => return Err(NoHints::OneZone),
        _ => {}
    }
    let total: f64 = by_zone.values().map(|cpu| float(*cpu)).sum();
    let share = |(zone, cpu)| (zone, float(cpu) / total);
    Ok(by_zone.into_iter().map(share).collect())
}

/// The hints of ready endpoints, which are sorted and each given with its zone.
pub(super) fn assign(
    endpoints: &[(IpAddr, Option<Zone>)],
    shares: &BTreeMap<Zone, f64>,
) -> Result<HashMap<IpAddr, Arc<Hints>>, NoHints> {
    let wanted = wanted(endpoints.len(), shares)?;
    let mut zones = Vec::with_capacity(endpoints.len());
    let mut counts: BTreeMap<&Zone, u64> = BTreeMap::new();
    for (_, zone) in endpoints {
        let zone = zone.as_ref().ok_or(NoHints::Zoneless)?;
        *counts.entry(zone).or_default() += 1;
        zones.push(zone);
    }
    let (mut gives, mut takes) = exchange(&wanted, &counts);
    for zone in &mut zones {
        let Some(left) = gives.get_mut(*zone).filter(|left| **left > 0) else { continue };
        let taker = takes.iter_mut().find(|(_, lacks)| **lacks > 0);
        let Some((taker, lacks)) = taker else { break };
        *left -= 1;
        *lacks -= 1;
        *zone = taker;
    }
    let mut made: HashMap<&Zone, Arc<Hints>> = HashMap::new();
    let hints = endpoints.iter().zip(zones).map(|((address, _), zone)| {
        let hints = made.entry(zone).or_insert_with(|| {
            Arc::new(Hints { zones: [Arc::clone(zone)].into(), nodes: [].into() })
        });
        (*address, Arc::clone(hints))
    });
    Ok(hints.collect())
}

/// How many endpoints each zone should have, where so many can be had.
fn wanted(endpoints: usize, shares: &BTreeMap<Zone, f64>) -> Result<BTreeMap<&Zone, f64>, NoHints> {
    if shares.len() > endpoints {
        return Err(NoHints::Few);
    }
    let endpoints = float(u64::try_from(endpoints).unwrap_or(u64::MAX));
    let mut left = endpoints;
    let mut wanted = BTreeMap::new();
    for (zone, share) in shares {
        let fair = share * endpoints;
        let least = (fair / (1.0 + OVERLOAD)).ceil();
        left -= least;
        if left < 0.0 {
            return Err(NoHints::Overload);
        }
        wanted.insert(zone, fair.max(least));
    }
    Ok(wanted)
}

/// How many endpoints zones give to others and take from them. Own zones are preferred: what is less
/// than half an endpoint moves none.
fn exchange<'a>(
    wanted: &BTreeMap<&'a Zone, f64>,
    counts: &BTreeMap<&Zone, u64>,
) -> (BTreeMap<&'a Zone, u64>, BTreeMap<&'a Zone, u64>) {
    let over = |(zone, wanted): (&&'a Zone, &f64)| {
        (*zone, float(counts.get(*zone).copied().unwrap_or(0)) - wanted)
    };
    let mut over: BTreeMap<&Zone, f64> = wanted.iter().map(over).collect();
    let (mut gives, mut takes) = (BTreeMap::new(), BTreeMap::new());
    loop {
        let most = over
            .iter()
            .reduce(|most, it| if it.1 > most.1 { it } else { most });
        let least = over
            .iter()
            .reduce(|least, it| if it.1 < least.1 { it } else { least });
        let (Some((giver, give)), Some((taker, take))) = (most, least) else { break };
        let (giver, give, taker, take) = (*giver, *give, *taker, -*take);
        if give.min(take) < 0.5 || give.max(take) < 1.0 {
            break;
        }
        *gives.entry(giver).or_default() += 1;
        *takes.entry(taker).or_default() += 1;
        over.insert(giver, give - 1.0);
        over.insert(taker, 1.0 - take);
    }
    (gives, takes)
}

#[expect(clippy::cast_precision_loss, reason = "counts and CPU far below 2^52")]
fn float(number: u64) -> f64 {
    number as f64
}

/// How much more than its part of the traffic an endpoint may get.
const OVERLOAD: f64 = 0.2;

#[cfg(test)]
mod tests {
    use super::*;

    fn node(zone: &str, cpu_millis: u64) -> Node {
        let zone = (!zone.is_empty()).then(|| zone.into());
        Node { zone, cpu_millis, ready: true, ..Node::default() }
    }

    #[test]
    fn zones_have_the_share_of_their_cpu() {
        let control = Node { control_plane: true, ..node("", 0) };
        let away = Node { ready: false, ..node("", 0) };
        for (nodes, want) in [
            (vec![node("a", 1_000), node("b", 3_000), control, away], Ok(vec![0.25, 0.75])),
            (vec![node("a", 1_000), node("", 1_000)], Err(NoHints::Nodes)),
            (vec![node("a", 1_000), node("b", 0)], Err(NoHints::Nodes)),
            (vec![node("a", 1_000), node("a", 1_000)], Err(NoHints::OneZone)),
            (vec![], Err(NoHints::Nodes)),
        ] {
            let found = shares(nodes.iter()).map(|shares| shares.into_values().collect());
            assert_eq!(found, want, "services 2.5: {nodes:?}");
        }
    }

    /// `cpus` by zone a, b, …; one letter an endpoint: where it is, and where it is hinted to.
    #[test]
    fn endpoints_are_shared_out_by_the_shares_of_zones() {
        for (cpus, endpoints, want) in [
            (&[1, 1][..], "aabb", Ok("aabb")),
            // Own zones first: half an endpoint too many moves nobody.
            (&[1, 1], "aaaabbb", Ok("aaaabbb")),
            // Three for each zone at least would be six.
            (&[1, 1], "aaabb", Err(NoHints::Overload)),
            (&[1, 1], "aaaabb", Ok("baaabb")),
            (&[1, 1], "aaaa", Ok("bbaa")),
            (&[1, 3], "aabb", Ok("babb")),
            (&[2, 1, 1], "aabbccab", Ok("aaabccab")),
            (&[1, 1, 1], "ab", Err(NoHints::Few)),
            (&[1, 1], "a", Err(NoHints::Few)),
            // Each zone needs one at least, and that is more than there are.
            (&[10, 10, 1], "aab", Err(NoHints::Overload)),
            (&[1, 1], "aa-b", Err(NoHints::Zoneless)),
            // A zone without Nodes that count keeps what it has.
            (&[1, 1], "aaabbbz", Ok("aaabbbz")),
        ] {
            let zone = |letter: char| (letter != '-').then(|| letter.to_string().into());
            let nodes: Vec<Node> = cpus
                .iter()
                .zip('a'..)
                .map(|(cpu, zone)| node(&zone.to_string(), cpu * 1_000))
                .collect();
            let listed: Vec<(IpAddr, Option<Zone>)> = endpoints
                .chars()
                .zip(1_u8..)
                .map(|(letter, last)| (IpAddr::from([10, 0, 0, last]), zone(letter)))
                .collect();
            let hints = assign(&listed, &shares(nodes.iter()).unwrap());
            let found = hints.map(|hints| {
                listed
                    .iter()
                    .map(|(address, _)| hints[address].zones[0].to_string())
                    .collect::<String>()
            });
            assert_eq!(found, want.map(str::to_owned), "services 2.5: {cpus:?} {endpoints}");
        }
    }
}
