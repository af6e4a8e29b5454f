//! The list of objects: of each Ingress where it is written, whose class it has, in which mode its hosts are, where it
//! is reached, what becomes of its annotations, and which of its paths are not open, with the reason (`ingress 3`).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use portico_config::model::ObjectName;
use portico_config::snapshot::{Claim, Snapshot};

use super::super::fold::many;
use super::super::verdict::Verdict;
use super::{Ground, Ingresses, MAX_PLACES, by_verdict, wrapped};

/// Those first that are closed, then those of which most is refused; `most` of them.
pub(super) fn lines(ingresses: &Ingresses<'_>, ground: &Ground<'_>, most: usize) -> Vec<String> {
    let reach = reach(ground.snapshot);
    let mut all: Vec<_> = ingresses
        .iter()
        .map(|(object, rows)| {
            let namespace = object.namespace.as_deref().unwrap_or("default");
            let name = ObjectName::new(namespace, &*object.name);
            // A ConfigMap may be called like an Ingress.
            let reach = reach.get(&name).filter(|_| &*object.kind == "Ingress");
            let names = by_verdict(rows);
            let count = |verdict| names.get(&verdict).map_or(0, BTreeSet::len);
            let closed = reach.map_or(0, |reach| reach.closed());
            let weight = (closed, count(Verdict::Refused), count(Verdict::Differs));
            (std::cmp::Reverse(weight), *object, (name, reach), names)
        })
        .collect();
    all.sort_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
    let mut lines = Vec::new();
    for (_, object, (name, reach), names) in all.iter().take(most) {
        let place = ground
            .places
            .get(name)
            .filter(|_| &*object.kind == "Ingress");
        let place = place.map(|(file, line)| format!(" ({}:{line})", file.display()));
        let reached = reach.map(Reach::sentence).unwrap_or_default();
        lines.push(format!("{object}{}{reached}", place.unwrap_or_default()));
        for (verdict, names) in names {
            let begin = format!("  {:9} ", verdict.label());
            lines.extend(wrapped(&begin, names.iter().map(ToString::to_string)));
        }
        lines.extend(reach.iter().flat_map(|reach| reach.not_open()));
    }
    if all.len() > most {
        lines.push(format!("{} more objects; --all shows them", all.len() - most));
    }
    lines.push(String::new());
    lines
}

/// Where an Ingress is reached.
#[derive(Default)]
struct Reach<'a> {
    claim: Option<&'a Claim>,
    hosts: BTreeSet<String>,
    is_nginx: bool,
    paths: usize,
    /// Those that are closed, by the reason.
    closed_for: BTreeMap<&'a str, Vec<&'a str>>,
}

impl<'a> Reach<'a> {
    fn closed(&self) -> usize {
        self.closed_for.values().map(Vec::len).sum()
    }

    /// `, class nginx, spec mode: web.test and 2 more; 3 paths, 1 of them closed`.
    fn sentence(&self) -> String {
        let class = self.claim.and_then(|claim| claim.class.as_deref());
        let class = class.map_or_else(|| "no class".to_owned(), |class| format!("class {class}"));
        let mode = if self.is_nginx { "nginx" } else { "spec" };
        let hosts = few(self.hosts.iter().map(String::as_str));
        let closed = match self.closed() {
            0 => String::new(),
            all if all == self.paths => ", closed".to_owned(),
            some => format!(", {some} closed"),
        };
        format!(", {class}, {mode} mode: {hosts}; {}{closed}", many(self.paths, "path"))
    }

    /// A line for each reason why paths are closed, and for each Ingress that serves some of them.
    fn not_open(&self) -> Vec<String> {
        let closed = self.closed_for.iter().map(|(reason, paths)| {
            format!("  {:9} {}: {reason}", "closed", few(paths.iter().copied()))
        });
        let mut by: BTreeMap<&ObjectName, Vec<&str>> = BTreeMap::new();
        for lost in self.claim.iter().flat_map(|claim| &claim.shadowed) {
            by.entry(&lost.by).or_default().push(&lost.path);
        }
        let shadowed = by.iter().map(|(name, paths)| {
            format!("  {:9} {}: served by {name}", "shadowed", few(paths.iter().copied()))
        });
        let most = |lines: Vec<String>| lines.into_iter().take(MAX_PLACES);
        most(closed.collect())
            .chain(most(shadowed.collect()))
            .collect()
    }
}

/// A few words, and how many more there are.
fn few<'a>(words: impl ExactSizeIterator<Item = &'a str>) -> String {
    let more = match words.len().saturating_sub(MAX_PLACES) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let words: Vec<&str> = words.take(MAX_PLACES).collect();
    format!("{}{more}", words.join(", "))
}

fn reach(snapshot: &Snapshot) -> HashMap<&ObjectName, Reach<'_>> {
    let mut reach: HashMap<&ObjectName, Reach<'_>> = HashMap::new();
    for claim in snapshot
        .routes
        .claims
        .iter()
        .filter(|claim| claim.is_ours())
    {
        reach.entry(&claim.ingress).or_default().claim = Some(claim);
    }
    let mut seen = BTreeSet::new();
    for host in snapshot.routes.hosts() {
        if !seen.insert(Arc::as_ptr(host)) {
            continue;
        }
        for location in &host.locations {
            let of = reach.entry(&location.ingress).or_default();
            of.hosts.insert(host.pattern.to_string());
            of.is_nginx |= host.is_nginx;
            of.paths += 1;
            if let Some(reason) = location.policy.closed.as_deref() {
                of.closed_for
                    .entry(reason)
                    .or_default()
                    .push(&location.path);
            }
        }
    }
    reach
}
