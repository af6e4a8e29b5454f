//! Paths that ingress-nginx serves otherwise (`ingress 2.2`, `ingress 3`).
//!
//! There one Ingress with patterns turns every path of its hosts into a pattern, patterns are open at their
//! end, and elements count for little. Each path has one row at most: the difference that reaches furthest. A path with
//! `//` has one in nginx mode too.

use super::super::finding;
use super::super::ingress::Owned;
use super::super::quirks::Mode;
use crate::diagnostic::{Code, Diagnostic};
use crate::location::FieldPath;
use crate::model::{HostPattern, PathKind};
use crate::validate::PathRule;

/// A row for each path that shows a difference; `mode_of`: how ingress-nginx compares the paths of a host, none
/// where portico does so too.
pub(super) fn rows(
    owned: &[Owned<'_>],
    mode_of: impl Fn(&HostPattern) -> Option<Mode>,
) -> Vec<Diagnostic> {
    let mut rows = Vec::new();
    for (object, ingress) in owned {
        for (index, rule) in ingress.rules.iter().enumerate() {
            let mode = mode_of(&rule.host);
            let field = FieldPath::from("spec.rules")
                .index(index)
                .key("http")
                .key("paths");
            for (index, path) in rule.paths.iter().flatten().enumerate() {
                let is_pattern = Mode::Spec.is_pattern(ingress, path);
                let seen = mode.and_then(|mode| differs(path, is_pattern, mode == Mode::Patterns));
                let (text, help) = match (path.path.contains("//"), seen) {
                    (true, _) => (TWO_SLASHES, ONE_SLASH),
                    (false, Some(text)) => (text, INSTEAD),
                    (false, None) => continue,
                };
                let field = field.index(index).key("path");
                let row = finding(Code::AnnotationDiffers, object, field, text);
                rows.push(row.help(help));
            }
        }
    }
    rows
}

/// What can be seen of one path; `among_patterns`: its host has patterns.
fn differs(path: &PathRule, is_pattern: bool, among_patterns: bool) -> Option<&'static str> {
    let text = &*path.path;
    match (is_pattern, among_patterns) {
        (true, _) => (!is_closed(text)).then_some(
            "the pattern ends with an element here; in ingress-nginx it also serves what goes on from there",
        ),
        // It serves everything, as a pattern too.
        (false, _) if text == "/" && path.kind == PathKind::Prefix => None,
        (false, true) => Some(
            "is compared letter by letter; in ingress-nginx it is a pattern, without case and open at its \
             end, since an Ingress of its host has patterns",
        ),
        (false, false) if path.kind == PathKind::Exact => None,
        (false, false) if text.ends_with('/') => {
            Some("is served without its last `/` too, which ingress-nginx redirects to it")
        }
        (false, false) if path.specific => Some(
            "ends with an element here; in ingress-nginx it also serves what goes on from there",
        ),
        (false, false) => None,
    }
}

/// Whether a pattern says itself how it ends.
fn is_closed(pattern: &str) -> bool {
    ["$", ".*", "(.*)", ".*)$", ".+", "(.+)", "/"]
        .iter()
        .any(|end| pattern.ends_with(end))
}

pub(super) const INSTEAD: &str =
    "instead, where it matters: `portico.dev/nginx-quirks`, which compares as there";
/// `ingress 1.2`.
const TWO_SLASHES: &str =
    "no request has `//` in its path: runs of `/` become one before paths are compared";
const ONE_SLASH: &str = "instead: one `/`";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::validate::BackendRef;

    #[test]
    fn a_path_shows_what_ingress_nginx_does_otherwise() {
        use PathKind::{Exact, Prefix};
        for (kind, specific, text, is_pattern, among, want) in [
            (Prefix, true, "/u[a-z]", true, true, Some("the pattern ends with an element")),
            (Prefix, true, "/api", true, true, Some("the pattern ends with an element")),
            (Prefix, true, "/api(/|$)(.*)", true, true, None),
            (Prefix, true, "/a/.*", true, true, None),
            (Prefix, true, "/a$", true, true, None),
            (Prefix, false, "/img", false, true, Some("is compared letter by letter")),
            (Exact, false, "/img", false, true, Some("is compared letter by letter")),
            (Exact, false, "/", false, true, Some("is compared letter by letter")),
            (Prefix, false, "/", false, true, None),
            (Prefix, false, "/", false, false, None),
            (Prefix, false, "/img", false, false, None),
            (Exact, false, "/img/", false, false, None),
            (Prefix, false, "/img/", false, false, Some("is served without its last `/`")),
            (Prefix, true, "/img/", false, false, Some("is served without its last `/`")),
            (Prefix, true, "/img", false, false, Some("ends with an element here")),
            (Prefix, true, "/", false, false, None),
        ] {
            let path =
                PathRule { kind, specific, path: text.into(), backend: BackendRef::Resource };
            let got = differs(&path, is_pattern, among);
            let same = match (got, want) {
                (Some(got), Some(want)) => got.starts_with(want),
                (got, want) => got == want,
            };
            assert!(same, "ingress 2.2: {kind:?} {text} {is_pattern} {among}: {got:?}");
        }
    }
}
