//! The locations of one host in the order in which they are looked at: the first that matches serves
//! (`ingress 1.3`, `ingress 2.2`).
//!
//! Invariants: the order depends on what stands in rules and on nothing else but the order of objects,
//! which decides between equals; in nginx mode the locations are there that nginx makes by itself, at
//! places that no rule names.

use std::cmp::Reverse;
use std::sync::Arc;

use super::quirks::Mode;
use crate::model::{PathKind, Pattern, Policy};
use crate::snapshot::Location;

/// Why a location is closed whose path was to be a pattern and is none.
pub(super) const NO_PATTERN: &str = "its path cannot be compiled";

/// Puts locations in order; of those at `twofold` ingress-nginx makes two.
pub(super) fn arrange(mode: Mode, locations: &mut Vec<Location>, twofold: &[usize]) {
    match mode {
        Mode::Spec => locations.sort_by_key(by_specification),
        Mode::Texts => {
            let redirects = redirects(locations);
            locations.extend(redirects);
            locations.sort_by_key(by_text);
        }
        Mode::Patterns => {
            let below = twofold.iter().filter_map(|&at| below(locations.get(at)?));
            let below: Vec<Location> = below.collect();
            locations.extend(below);
            // All are patterns: by text alone, the longest first, of equal ones the last in bytes.
            locations.sort_by(|a, b| (b.path.len(), &b.path).cmp(&(a.path.len(), &a.path)));
        }
    }
}

/// Longer path first, then Exact before Prefix before patterns, then the longer text.
fn by_specification(location: &Location) -> impl Ord + use<> {
    let pattern = location.policy.pattern.as_ref();
    let literal = pattern.map_or(location.path.len(), Pattern::literal_bytes);
    let trimmed = location.path[..literal].trim_end_matches('/').len();
    let class = match (pattern, location.kind) {
        // It stands for what it would have matched, and takes no path that is another's.
        _ if location.policy.closed.as_deref() == Some(NO_PATTERN) => 3,
        (None, PathKind::Exact) => 0,
        (None, PathKind::Prefix | PathKind::Text) => 1,
        (Some(_), _) => 2,
    };
    (Reverse(trimmed), class, Reverse(location.path.len()))
}

/// The longest text first; of equal ones Exact, which takes that path alone.
fn by_text(location: &Location) -> impl Ord + use<> {
    let class = match location.kind {
        PathKind::Exact => 0,
        PathKind::Prefix => 1,
        PathKind::Text => 2,
    };
    (Reverse(location.path.len()), class)
}

/// `/foo` leads to `/foo/` where a rule has that and none has `/foo`.
fn redirects(locations: &[Location]) -> Vec<Location> {
    let is_free = |path: &str| !locations.iter().any(|other| *other.path == *path);
    let texts = locations.iter().filter(|it| it.kind == PathKind::Text);
    let missing = texts.filter_map(|location| {
        let path = location.path.strip_suffix('/')?;
        is_free(path).then(|| Location {
            kind: PathKind::Exact,
            path: path.into(),
            policy: Arc::new(Policy { adds_slash: true, ..Policy::clone(&location.policy) }),
            canary: None,
            ..location.clone()
        })
    });
    missing.collect()
}

/// What is below a path, as a location of its own; none where the path itself is closed.
fn below(location: &Location) -> Option<Location> {
    let path = format!("{}/", location.path);
    let pattern = Pattern::open(&path).ok()?;
    let is_closed = location.policy.closed.as_deref() == Some(NO_PATTERN);
    (!is_closed).then(|| Location {
        path: path.into(),
        policy: Arc::new(Policy { pattern: Some(pattern), ..Policy::clone(&location.policy) }),
        ..location.clone()
    })
}
