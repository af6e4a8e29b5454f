//! Whose each Ingress is, and which of its paths another one serves (`ingress 1.8`).
//!
//! For whoever shows the status of Ingresses; no plane looks at it.

use super::Objects;
use super::classes::Classes;
use crate::model::{PathKind, Settings};
use crate::snapshot::{Claim, RouteTable, Shadowed};
use crate::validate::Kind;

/// The table with a claim of every Ingress, in object order.
pub(super) fn noted(table: RouteTable, objects: &Objects, settings: &Settings) -> RouteTable {
    RouteTable { claims: claims(&table, objects, &Classes::new(objects, settings)), ..table }
}

fn claims(table: &RouteTable, objects: &Objects, classes: &Classes<'_>) -> Vec<Claim> {
    let hosts = table.hosts();
    let all = objects.ingresses.values().filter_map(|object| {
        let Kind::Ingress(ingress) = &object.valid.kind else { return None };
        let name = &object.valid.name;
        let left = classes.left(ingress);
        let is_ours = left.is_none();
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
            left,
            shadowed: shadowed.collect(),
        })
    });
    all.collect()
}
