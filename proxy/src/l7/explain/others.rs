//! Rules that could have been thought responsible for a request, and why they are not.
//!
//! Pure. Those that match and come later, those whose path is near, those of hosts that match less
//! exactly, and paths that another Ingress has; a few of each.

use std::cmp::Reverse;
use std::sync::Arc;

use portico_config::model::{HostPattern, ObjectName, PathKind};
use portico_config::snapshot::{Host, Location, RouteTable};

use crate::l7::request::Checked;
use crate::l7::route;

/// A rule that is not responsible.
#[derive(Debug, Eq, PartialEq)]
pub struct Other {
    /// Whose it is.
    pub ingress: ObjectName,
    /// Of which host.
    pub host: HostPattern,
    /// How it compares.
    pub kind: PathKind,
    /// Its path as written.
    pub path: Arc<str>,
    /// As [`Found::pattern`](super::Found).
    pub pattern: (bool, bool),
    /// Why not.
    pub why: String,
}

impl Other {
    fn of(host: &Host, location: &Location, why: String) -> Self {
        Self {
            ingress: location.ingress.clone(),
            host: host.pattern.clone(),
            kind: location.kind,
            path: Arc::clone(&location.path),
            pattern: pattern(host, location),
            why,
        }
    }
}

/// The host of the rules that a name belongs to.
pub(super) fn host<'a>(table: &'a RouteTable, name: &str) -> Option<&'a Host> {
    let suffix = name
        .split_once('.')
        .filter(|(label, _)| !label.is_empty())
        .map(|(_, suffix)| suffix);
    let exact = table.exact.get(name);
    let found = exact.or_else(|| table.wildcard.get(suffix?));
    found.or(table.any.as_ref()).map(|host| &**host)
}

/// The location that a path belongs to.
pub(super) fn matching<'a>(host: &'a Host, path: &str) -> Option<&'a Location> {
    host.locations
        .iter()
        .find(|location| matches(location, path))
}

/// The others; `host`: the one that is responsible.
pub(super) fn others(table: &RouteTable, host: Option<&Host>, checked: &Checked<'_>) -> Vec<Other> {
    let path = &*checked.path;
    let mut others = Vec::new();
    if let Some(host) = host {
        let found = matching(host, path);
        if let Some(found) = found {
            others.extend(later(host, found, path));
            others.extend(shadowed(table, host, found));
        }
        others.extend(near(host, path));
    }
    others.extend(elsewhere(table, host, checked));
    others
}

/// Whether its path is a pattern; and whether its pathType is ImplementationSpecific: in nginx mode those
/// of other types are patterns, too.
pub(super) fn pattern(host: &Host, location: &Location) -> (bool, bool) {
    let is_pattern = location.policy.pattern.is_some();
    (is_pattern, is_pattern && !host.is_nginx)
}

/// Those that match, too.
fn later<'a>(
    host: &'a Host,
    found: &'a Location,
    path: &'a str,
) -> impl Iterator<Item = Other> + 'a {
    let all = host
        .locations
        .iter()
        .filter(move |location| matches(location, path));
    let others = all.filter(move |location| !std::ptr::eq(*location, found));
    others.take(MOST).map(move |location| {
        let length = |location: &Location| location.path.trim_end_matches('/').len();
        if host.is_nginx {
            let why = "matches too, but comes later in the order of nginx".to_owned();
            return Other::of(host, location, why);
        }
        let why = match (length(location) == length(found), location.kind == found.kind) {
            (false, _) => "a longer path is asked before it",
            (true, false) => "Exact is asked before Prefix",
            (true, true) => "a longer text is asked before it",
        };
        Other::of(host, location, format!("matches too, but {why}"))
    })
}

/// The same path in another Ingress.
fn shadowed<'a>(
    table: &'a RouteTable,
    host: &'a Host,
    found: &'a Location,
) -> impl Iterator<Item = Other> + 'a {
    let claims = table.claims.iter().filter(|claim| claim.is_ours());
    let all = claims.flat_map(|claim| claim.shadowed.iter().map(move |it| (claim, it)));
    let same = all.filter(move |(_, it)| {
        (&it.host, it.kind, &it.path) == (&host.pattern, found.kind, &found.path)
    });
    same.take(MOST).map(move |(claim, it)| {
        let why = format!("has the same path, and {} comes first", it.by);
        let other = Other::of(host, found, why);
        Other { ingress: claim.ingress.clone(), ..other }
    })
}

/// Those whose path begins like the request's, the most alike first.
fn near(host: &Host, path: &str) -> Vec<Other> {
    let common = |location: &Location| {
        let pairs = location.path.bytes().zip(path.bytes());
        pairs.take_while(|(a, b)| a == b).count()
    };
    let all = host.locations.iter();
    let mut near: Vec<_> = all
        .filter(|location| common(location) > "/".len() && !matches(location, path))
        .collect();
    near.sort_by_key(|location| Reverse(common(location)));
    let near = near.into_iter().take(MOST);
    near.map(|location| Other::of(host, location, unlike(location, path)))
        .collect()
}

fn unlike(location: &Location, path: &str) -> String {
    let written = &*location.path;
    if location.policy.pattern.is_some() {
        return format!("its pattern does not match {path}");
    }
    match location.kind {
        PathKind::Exact => format!("is Exact, and {path} is another text"),
        PathKind::Text => format!("is no beginning of {path}"),
        PathKind::Prefix if path.starts_with(written.trim_end_matches('/')) => {
            format!("compares whole elements, and {path} has others")
        }
        PathKind::Prefix => format!("is no beginning of {path}"),
    }
}

/// Those of hosts that match less exactly, or nearly.
fn elsewhere(table: &RouteTable, host: Option<&Host>, checked: &Checked<'_>) -> Vec<Other> {
    let name = &*checked.host;
    let mut others = Vec::new();
    let mut add = |other: &Host, why: String| {
        let first = matching(other, &checked.path).or_else(|| other.locations.first());
        others.extend(first.map(|location| Other::of(other, location, why)));
    };
    let is_final = match host.map(|host| &host.pattern) {
        Some(HostPattern::Exact(_)) => "which is named itself",
        Some(HostPattern::Wildcard(_)) => "for which there is a wildcard",
        Some(HostPattern::Any) | None => "",
    };
    let suffix = name.split_once('.').map_or("", |(_, suffix)| suffix);
    let wildcard = table.wildcard.get(suffix);
    let is_exact = matches!(host.map(|host| &host.pattern), Some(HostPattern::Exact(_)));
    if let (true, Some(wildcard)) = (is_exact, wildcard) {
        add(wildcard, format!("is not asked about {name}, {is_final}"));
    }
    if let (false, Some(any)) = (is_final.is_empty(), &table.any) {
        add(any, format!("is not asked about {name}, {is_final}"));
    }
    let mut rest = suffix;
    while let Some((_, deeper)) = rest.split_once('.') {
        if let Some(wildcard) = table.wildcard.get(deeper) {
            add(wildcard, format!("stands for one label, and {name} has more"));
        }
        rest = deeper;
    }
    others.truncate(MOST);
    others
}

fn matches(location: &Location, path: &str) -> bool {
    route::is_at((location.kind, &location.path, location.policy.pattern.as_ref()), path)
}

/// Of one kind.
const MOST: usize = 3;
