//! Ingresses that are alternatives: each finds the location of a main Ingress that it belongs to
//! (`ingress 2.4`: canary).
//!
//! Invariants: a canary makes no host, no location and no default backend; a location has one, the
//! first in object order; one that belongs nowhere has no effect, and that is told.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::finding;
use super::ingress::{Claimed, Draft, Owned, Resolver, balancing_at};
use super::quirks::Quirks;
use crate::diagnostic::Code;
use crate::location::FieldPath;
use crate::model::HostPattern;
use crate::snapshot::Canary;

/// Puts all alternatives where they belong.
pub(super) fn place(
    owned: &[Owned<'_>],
    (claimed, quirks): (&Claimed<'_>, &Quirks<'_>),
    hosts: &mut BTreeMap<HostPattern, Draft>,
    resolver: &mut Resolver<'_>,
) {
    for (object, ingress) in owned {
        let Some(rule) = &ingress.annotations.canary else { continue };
        for (at, written) in ingress.rules.iter().enumerate() {
            let paths = FieldPath::from("spec.rules")
                .index(at)
                .key("http")
                .key("paths");
            for (at, path) in written.paths.iter().flatten().enumerate() {
                let field = paths.index(at);
                let mode = quirks.of(&written.host);
                let backend =
                    resolver.backend_in(mode, object, &path.backend, &field.key("backend"));
                let key = (written.host.clone(), path.kind, Arc::clone(&path.path));
                let main = claimed.get(&key);
                let location = main.and_then(|main| {
                    let host = hosts.get_mut(&written.host)?;
                    host.locations.get_mut(main.location)
                });
                let fault = match location {
                    None => "no other Ingress has this host, type and path",
                    Some(location) if location.canary.is_some() => "another canary comes first",
                    Some(location) if location.backend == backend => {
                        "its Service is that of the main Ingress"
                    }
                    Some(location) => {
                        let own = &ingress.annotations.policy.balancing;
                        let is_pattern = location.policy.pattern.is_some();
                        let mut balancing = balancing_at(own, (&path.path, is_pattern));
                        // Who returns to the one or the other does so by one cookie.
                        if !rule.forgets {
                            balancing
                                .affinity
                                .clone_from(&location.policy.balancing.affinity);
                        }
                        let ingress = object.valid.name.clone();
                        let canary = Canary { rule: rule.clone(), backend, ingress, balancing };
                        location.canary = Some(Arc::new(canary));
                        continue;
                    }
                };
                let text = format!("{} {} gets no canary: {fault}", written.host, path.path);
                let mut told =
                    finding(Code::AnnotationWithoutEffect, object, field.key("path"), text);
                if let Some(main) = main {
                    let place = main.field.key("path");
                    told = told.related(&main.object.origin, &place, "it is served here");
                }
                resolver.diagnostics.push(told);
            }
        }
    }
}
