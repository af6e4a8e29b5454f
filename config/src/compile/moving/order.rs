//! Requests that ingress-nginx gives to another path of their host (`ingress 2.2`, `ingress 3`).
//!
//! ```text
//! paths of a host ─▶ requests around each ─▶ who serves them here, and who would there
//! ```
//!
//! Pure. Nothing is said that does not happen: whoever reads it is shown a request, which was tried. Here is what was
//! compiled to serve; there are the same paths in the order of nginx mode. One row for a host, which names a few pairs
//! of paths. A path that serves more or less than there, and takes nothing from another, is told by [`super::paths`].

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use super::super::finding;
use super::super::ingress::Owned;
use super::super::precedence::{self, NO_PATTERN};
use super::super::quirks::Mode;
use super::requests;
use crate::diagnostic::{Code, Diagnostic};
use crate::location::FieldPath;
use crate::model::{HostPattern, PathKind, Policy};
use crate::snapshot::{Backend, Host, Location, RouteTable};
use crate::validate::{InUse, Ingress, PathRule};

/// A row for each host of which a request goes elsewhere; `mode_of`: how ingress-nginx compares the paths of a
/// host, none where portico does so too.
pub(super) fn rows(
    owned: &[Owned<'_>],
    table: &RouteTable,
    mode_of: impl Fn(&HostPattern) -> Option<Mode>,
) -> Vec<Diagnostic> {
    let mut hosts: BTreeMap<&HostPattern, Vec<Written<'_>>> = BTreeMap::new();
    let mut taken = HashSet::new();
    let routing = owned
        .iter()
        .filter(|(_, it)| it.annotations.canary.is_none());
    for &(object, ingress) in routing {
        for (at, rule) in ingress.rules.iter().enumerate() {
            let paths = rule.paths.iter().flatten().enumerate();
            let first = paths.filter(|(_, path)| taken.insert((&rule.host, path.kind, &path.path)));
            let written = first.map(|(index, path)| Written { object, ingress, path, at, index });
            hosts.entry(&rule.host).or_default().extend(written);
        }
    }
    let rows = hosts.iter().filter_map(|(host, written)| {
        let mode = mode_of(host)?;
        row(host, written, served(table, host)?, mode)
    });
    rows.collect()
}

/// A path as an Ingress has it.
struct Written<'a> {
    object: &'a InUse,
    ingress: &'a Ingress,
    path: &'a PathRule,
    /// Its rule, and its place in that.
    at: usize,
    index: usize,
}

impl Written<'_> {
    fn field(&self) -> FieldPath {
        let rule = FieldPath::from("spec.rules").index(self.at);
        rule.key("http").key("paths").index(self.index).key("path")
    }

    /// `/foo of shop/web`.
    fn name(&self) -> String {
        let kind = if self.path.kind == PathKind::Exact { "Exact " } else { "" };
        format!("{kind}{} of {}", self.path.path, self.object.valid.name)
    }

    /// Whether it makes no difference which of both serves.
    fn is_as(&self, other: &Self) -> bool {
        self.object.valid.name == other.object.valid.name
            && self.path.backend == other.path.backend
            && !self.ingress.annotations.rewrites
    }
}

/// A request, who serves it here, and who would there: places among those that are written.
struct Elsewhere {
    request: String,
    here: usize,
    there: usize,
}

fn row(
    host: &HostPattern,
    written: &[Written<'_>],
    served: &Host,
    mode: Mode,
) -> Option<Diagnostic> {
    let first = written.first()?;
    let is_plain = |it: &Written<'_>| {
        *it.path.path == *"/" || !(it.path.specific || it.path.path.ends_with('/'))
    };
    let is_same = mode == Mode::Texts && written.iter().all(is_plain);
    let is_broken = |it: &Location| it.policy.closed.as_deref() == Some(NO_PATTERN);
    if written.len() < 2 || is_same || served.locations.iter().any(is_broken) {
        return None;
    }
    if written.len() > MAX_PATHS {
        let text = format!(
            "{host} has over {MAX_PATHS} paths: whether ingress-nginx gives requests to others of them was not tried"
        );
        return Some(finding(Code::AnnotationDiffers, first.object, first.field(), text));
    }
    let found = elsewhere(written, served, mode);
    let (here, there) = found
        .first()
        .map(|it| (&written[it.here], &written[it.there]))?;
    let shown = found.iter().take(MAX_SHOWN).map(|it| {
        let (here, there) = (&written[it.here], &written[it.there]);
        format!("{} is for {} here, for {} there", it.request, here.name(), there.name())
    });
    let mut text = format!(
        "ingress-nginx gives requests for {host} to other paths: {}",
        shown.collect::<Vec<_>>().join("; ")
    );
    match found.len().saturating_sub(MAX_SHOWN) {
        0 => {}
        1 => text += "; and so does one more pair of paths",
        more => text += &format!("; and so do {more} more pairs of paths"),
    }
    let mut row = finding(Code::AnnotationDiffers, here.object, here.field(), text);
    row.help = Some(super::paths::INSTEAD.to_owned());
    Some(row.related(&there.object.origin, &there.field(), "ingress-nginx takes this one"))
}

/// For each pair of paths of which one serves here and the other there, the first request that shows it.
fn elsewhere(written: &[Written<'_>], served: &Host, mode: Mode) -> Vec<Elsewhere> {
    let there = in_nginx(written, mode);
    let place = |locations: &[Location], request: &str| {
        let found = locations.iter().find(|it| serves(it, request))?;
        origin(found, written)
    };
    let (mut asked, mut pairs, mut found) = (HashSet::new(), BTreeSet::new(), Vec::new());
    for it in written {
        let is_pattern = mode == Mode::Patterns || Mode::Spec.is_pattern(it.ingress, it.path);
        for request in requests::around(&it.path.path, is_pattern) {
            if asked.len() >= MAX_REQUESTS || !asked.insert(request.clone()) {
                continue;
            }
            let both = (place(&served.locations, &request), place(&there, &request));
            if let (Some(here), Some(there)) = both
                && here != there
                && !written[here].is_as(&written[there])
                && pairs.insert((here, there))
            {
                found.push(Elsewhere { request, here, there });
            }
        }
    }
    found
}

/// The paths as ingress-nginx looks at them; one that is no pattern there is left out.
fn in_nginx(written: &[Written<'_>], mode: Mode) -> Vec<Location> {
    let mut locations = Vec::new();
    let mut twofold = Vec::new();
    for it in written {
        let is_pattern = mode.is_pattern(it.ingress, it.path);
        let Ok(pattern) = is_pattern.then(|| mode.pattern(&it.path.path)).transpose() else {
            continue;
        };
        twofold.extend(
            mode.is_twofold(it.ingress, it.path)
                .then_some(locations.len()),
        );
        locations.push(Location {
            kind: mode.kind(it.path),
            path: Arc::clone(&it.path.path),
            backend: Backend::Resource,
            ingress: it.object.valid.name.clone(),
            policy: Arc::new(Policy { pattern, ..Policy::default() }),
            canary: None,
        });
    }
    precedence::arrange(mode, &mut locations, &twofold);
    locations
}

/// The path that a location comes from: itself, or the one that nginx makes two of.
fn origin(location: &Location, written: &[Written<'_>]) -> Option<usize> {
    let is_of = |it: &Written<'_>| it.object.valid.name == location.ingress;
    let is_exact = |kind| kind == PathKind::Exact;
    let itself = written.iter().position(|it| {
        is_of(it)
            && is_exact(it.path.kind) == is_exact(location.kind)
            && it.path.path == location.path
    });
    let derived = |it: &Written<'_>| {
        let (path, own) = (&*location.path, &*it.path.path);
        match location.policy.adds_slash {
            true => own.strip_suffix('/') == Some(path),
            false => path.strip_suffix('/') == Some(own),
        }
    };
    itself.or_else(|| written.iter().position(|it| is_of(it) && derived(it)))
}

fn serves(location: &Location, request: &str) -> bool {
    match &location.policy.pattern {
        Some(pattern) => pattern.matches(request),
        None => location.kind.holds(&location.path, request),
    }
}

/// What serves a host as it is written.
fn served<'a>(table: &'a RouteTable, host: &HostPattern) -> Option<&'a Host> {
    let found = match host {
        HostPattern::Any => table.any.as_ref(),
        HostPattern::Wildcard(suffix) => table.wildcard.get(suffix),
        HostPattern::Exact(name) => table.exact.get(name),
    };
    found.map(|host| &**host)
}

/// Pairs of paths that are named.
const MAX_SHOWN: usize = 3;
/// Of a host that is looked into.
const MAX_PATHS: usize = 1_000;
/// That are tried of a host.
const MAX_REQUESTS: usize = 4_000;
