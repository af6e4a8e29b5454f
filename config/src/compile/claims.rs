//! Whose each Ingress is, and which of its paths another one serves (`ingress 1.8`).
//!
//! For whoever shows the status of Ingresses; no plane looks at it.

use std::collections::BTreeSet;

use super::Objects;
use super::ingress::Owned;
use crate::model::{ObjectName, PathKind};
use crate::snapshot::{Claim, RouteTable, Shadowed};
use crate::validate::Kind;

/// The table with a claim of every Ingress, in object order; `owned` are portico's.
pub(super) fn noted(table: RouteTable, objects: &Objects, owned: &[Owned<'_>]) -> RouteTable {
    RouteTable { claims: claims(&table, objects, owned), ..table }
}

fn claims(table: &RouteTable, objects: &Objects, owned: &[Owned<'_>]) -> Vec<Claim> {
    let ours: BTreeSet<&ObjectName> = owned.iter().map(|(object, _)| &object.valid.name).collect();
    let hosts = table.hosts();
    let all = objects.ingresses.values().filter_map(|object| {
        let Kind::Ingress(ingress) = &object.valid.kind else { return None };
        let name = &object.valid.name;
        let is_ours = ours.contains(name);
        let is_canary = ingress.annotations.canary.is_some();
        let rules = ingress.rules.iter().filter(|_| is_ours && !is_canary);
        let paths = rules.flat_map(|rule| {
            let paths = rule.paths.iter().flatten();
            paths.map(move |path| (&rule.host, path))
        });
        let shadowed = paths.filter_map(|(pattern, path)| {
            let host = hosts.iter().find(|host| host.pattern == *pattern)?;
            let is_it = |kind, text: &str| {
                let exact = [kind, path.kind].map(|kind| kind == PathKind::Exact);
                exact[0] == exact[1] && *text == *path.path
            };
            let mut served = host.locations.iter();
            let served = served.find(|location| is_it(location.kind, &location.path))?;
            (served.ingress != *name).then(|| Shadowed {
                host: pattern.clone(),
                kind: path.kind,
                path: served.path.clone(),
                by: served.ingress.clone(),
            })
        });
        Some(Claim {
            ingress: name.clone(),
            class: ingress.class.clone(),
            is_ours,
            shadowed: shadowed.collect(),
        })
    });
    all.collect()
}
