//! Which location a request belongs to (`ingress 1.3`).
//!
//! Pure. The host comes first and is final; within it the first location that matches, since
//! `compile` has put them in the order of precedence.

use std::sync::Arc;

use portico_config::model::{PathKind, Pattern, Policy};

use crate::view::{Canary, Host, Location, Routes, Rule, Slot, Target};

/// Where a request goes, what is asked of it before, where it may go instead, and by which rule.
pub(crate) type Way<'a> =
    (&'a Target<Slot>, Option<&'a Arc<Policy>>, Option<&'a Canary>, Option<&'a Arc<Rule>>);

/// Where a request for `host` (lower case, no port, no trailing dot) and a normal `path` goes.
#[cfg(any(test, feature = "bench"))]
pub(crate) fn route<'a>(routes: &'a Routes, host: &str, path: &str) -> Option<Way<'a>> {
    within(find_host(routes, host)?, path)
}

/// The same where the host is known.
pub(crate) fn within<'a>(host: &'a Host, path: &str) -> Option<Way<'a>> {
    let location = host
        .locations
        .iter()
        .find(|location| matches(location, path));
    match location {
        Some(location) => {
            let (policy, canary) = (location.policy.as_ref(), location.canary.as_deref());
            Some((&location.target, policy, canary, Some(&location.rule)))
        }
        None => {
            let (target, policy) = (host.default_target.as_ref()?, host.default_policy.as_ref());
            Some((target, policy, None, host.default_rule.as_ref()))
        }
    }
}

/// Whether the rules name a host, by itself or by a wildcard.
pub(crate) fn has_host(routes: &Routes, host: &str) -> bool {
    find_named(routes, host).is_some()
}

/// The host that a name belongs to.
pub(crate) fn find_host<'a>(routes: &'a Routes, host: &str) -> Option<&'a Host> {
    find_named(routes, host).or(routes.any.as_deref())
}

fn find_named<'a>(routes: &'a Routes, host: &str) -> Option<&'a Host> {
    if let Some(exact) = routes.exact.get(host) {
        return Some(exact);
    }
    let wildcard = host.split_once('.').filter(|(label, _)| !label.is_empty());
    let found = wildcard.and_then(|(_, suffix)| routes.wildcard.get(suffix));
    found.map(|host| &**host)
}

fn matches(location: &Location, path: &str) -> bool {
    let pattern = location
        .policy
        .as_ref()
        .and_then(|policy| policy.pattern.as_ref());
    is_at((location.kind, &location.path, pattern), path)
}

/// Whether a path belongs to a location that is written so.
pub(crate) fn is_at(
    (kind, written, pattern): (PathKind, &str, Option<&Pattern>),
    path: &str,
) -> bool {
    match pattern {
        Some(pattern) => pattern.matches(path),
        None => kind.holds(written, path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_is_text_and_prefix_is_elements() {
        use PathKind::{Exact, Prefix, Text};
        for (kind, pattern, path, want) in [
            (Exact, "/foo", "/foo", true),
            (Exact, "/foo", "/foo/", false),
            (Exact, "/foo", "/FOO", false),
            (Prefix, "/", "/anything", true),
            (Prefix, "/foo", "/foo", true),
            (Prefix, "/foo", "/foo/", true),
            (Prefix, "/foo/", "/foo", true),
            (Prefix, "/foo/", "/foo/bar", true),
            (Prefix, "/foo", "/foobar", false),
            (Prefix, "/aaa/bb", "/aaa/bbb", false),
            (Prefix, "/aaa/bbb", "/aaa/bbb/ccc", true),
            (Text, "/foo", "/foobar", true),
            (Text, "/foo/", "/foo", false),
        ] {
            let target = Target::Missing;
            let location = Location {
                kind,
                path: pattern.into(),
                target,
                policy: None,
                canary: None,
                rule: Arc::default(),
            };
            assert_eq!(matches(&location, path), want, "http-proxy 4.8: {kind:?} {pattern} {path}");
        }
    }

    #[test]
    fn the_choice_of_a_host_is_final() {
        let host = |path: &str| {
            let location = Location {
                kind: PathKind::Prefix,
                path: path.into(),
                target: Target::Resource,
                policy: None,
                canary: None,
                rule: Arc::default(),
            };
            Arc::new(Host {
                locations: [location].into(),
                default_target: None,
                default_policy: None,
                clients: None,
                suites: None,
                passed_to: None,
                default_rule: None,
            })
        };
        let mut routes = Routes { any: Some(host("/")), ..Routes::default() };
        routes.exact.insert("a.test".into(), host("/only"));
        routes.wildcard.insert("test".into(), host("/wild"));
        for (name, path, want) in [
            ("a.test", "/only", true),
            ("a.test", "/wild", false),
            ("b.test", "/wild", true),
            ("b.test", "/x", false),
            ("c.b.test", "/x", true),
            ("test", "/x", true),
            (".test", "/x", true),
        ] {
            assert_eq!(route(&routes, name, path).is_some(), want, "ingress 1.3: {name}{path}");
        }
    }
}
