//! Names beside those that rules write: `server-alias`, served like its host, and the name with or
//! without `www.` that is redirected to it (`ingress 2.4`).
//!
//! They count for a whole host. Invariants: no such name takes the place of one that a rule writes;
//! of two claims of one name, and of two lists for one host, the first in object order counts.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::finding;
use super::ingress::Owned;
use crate::diagnostic::{Code, Diagnostic};
use crate::location::FieldPath;
use crate::model::annotation::PREFIX;
use crate::model::{HostPattern, Policy};
use crate::snapshot::{Backend, Host, RouteTable};
use crate::validate::Ingress;

/// What a name beside the written ones leads to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Leads {
    /// It is served as its host.
    There,
    /// It is redirected to it.
    Away,
}

/// Which names there are beside the written ones, and of which host each is.
type Others = BTreeMap<HostPattern, (HostPattern, Leads)>;

/// All of them that one Ingress asks for, whether it gets them or not.
pub(super) fn asked(ingress: &Ingress) -> Vec<HostPattern> {
    let annotations = &ingress.annotations;
    if annotations.canary.is_some() {
        return Vec::new();
    }
    let www = ingress.rules.iter().filter(|_| annotations.www);
    let www = www.filter_map(|rule| with_or_without_www(&rule.host));
    annotations.aliases.iter().cloned().chain(www).collect()
}

/// Puts them in the table, which has all written names.
pub(super) fn place(
    owned: &[Owned<'_>],
    table: &mut RouteTable,
    written: impl Fn(&HostPattern) -> bool,
    diagnostics: &mut Vec<Diagnostic>,
) {
    for (name, (of, leads)) in others(owned, written, diagnostics) {
        let host = match leads {
            Leads::There => match &of {
                HostPattern::Exact(host) => table.exact.get(host).map(Arc::clone),
                HostPattern::Wildcard(suffix) => table.wildcard.get(suffix).map(Arc::clone),
                HostPattern::Any => None,
            },
            Leads::Away => Some(Arc::new(moved(&name, &of))),
        };
        let Some(host) = host else { continue };
        match name {
            HostPattern::Exact(name) => drop(table.exact.insert(name, host)),
            HostPattern::Wildcard(suffix) => drop(table.wildcard.insert(suffix, host)),
            HostPattern::Any => {}
        }
    }
}

fn others(
    owned: &[Owned<'_>],
    written: impl Fn(&HostPattern) -> bool,
    diagnostics: &mut Vec<Diagnostic>,
) -> Others {
    let mut others = Others::new();
    let mut lists: BTreeMap<&HostPattern, Owned<'_>> = BTreeMap::new();
    let routing = owned
        .iter()
        .filter(|(_, it)| it.annotations.canary.is_none());
    for &(object, ingress) in routing.clone() {
        if ingress.annotations.aliases.is_empty() {
            continue;
        }
        let mut hosts = ingress.rules.iter().map(|rule| &rule.host);
        let told = |text: String| {
            let key = format!("{PREFIX}server-alias");
            let field = FieldPath::from("metadata.annotations").key(&key);
            finding(Code::HostWideTaken, object, field, text)
        };
        // Of several hosts the first has the names.
        let Some(host) = hosts.find(|host| **host != HostPattern::Any) else { continue };
        let (owner, first) = *lists.entry(host).or_insert((object, ingress));
        if first.annotations.aliases != ingress.annotations.aliases {
            let text =
                format!("the aliases of {host} are those of {}, which comes first", owner.object);
            diagnostics.push(told(text));
            continue;
        }
        for alias in &ingress.annotations.aliases {
            if written(alias) {
                diagnostics.push(told(format!("{alias} is the host of a rule: it is no alias")));
            } else if let Some((other, _)) = others.get(alias).filter(|(other, _)| other != host) {
                diagnostics.push(told(format!("{alias} is an alias of {other} already")));
            } else {
                others.insert(alias.clone(), (host.clone(), Leads::There));
            }
        }
    }
    for (_, ingress) in routing.filter(|(_, it)| it.annotations.www) {
        for rule in &ingress.rules {
            let other = with_or_without_www(&rule.host).filter(|other| !written(other));
            let Some(other) = other else { continue };
            others
                .entry(other)
                .or_insert_with(|| (rule.host.clone(), Leads::Away));
        }
    }
    others
}

/// `www.a.test` for `a.test`, and the other way round.
fn with_or_without_www(host: &HostPattern) -> Option<HostPattern> {
    let HostPattern::Exact(name) = host else { return None };
    Some(match name.strip_prefix("www.") {
        Some(bare) => HostPattern::Exact(bare.into()),
        None => HostPattern::Exact(format!("www.{name}").into()),
    })
}

/// A host whose every request is redirected to another.
fn moved(name: &HostPattern, to: &HostPattern) -> Host {
    let moved_to = match to {
        HostPattern::Exact(host) => Some(Arc::clone(host)),
        HostPattern::Wildcard(_) | HostPattern::Any => None,
    };
    Host {
        pattern: name.clone(),
        locations: Vec::new(),
        default_backend: Some(Backend::Missing("its requests are redirected".into())),
        default_policy: Arc::new(Policy { moved_to, ..Policy::default() }),
        clients: None,
        suites: None,
        passed_to: None,
        default_ingress: None,
        is_nginx: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn www_is_put_before_or_taken_off() {
        for (host, want) in [
            ("a.test", Some("www.a.test")),
            ("www.a.test", Some("a.test")),
            ("wwwx.test", Some("www.wwwx.test")),
            ("*.a.test", None),
            ("", None),
        ] {
            let got = with_or_without_www(&HostPattern::parse(host));
            assert_eq!(got, want.map(HostPattern::parse), "ingress 2.4: {host}");
        }
    }
}
