//! Hosts whose paths are compared as ingress-nginx compares them (`ingress 2.2`: nginx mode).
//!
//! What ingress-nginx does is host-wide by nature: one Ingress can turn the paths of all others into
//! patterns. Invariants: nothing here happens unless an Ingress or the setting asks for it; one Ingress
//! that refuses keeps its hosts to the specification, and that is told where another asked.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::ingress::Owned;
use super::{Objects, finding};
use crate::diagnostic::{Code, Diagnostic};
use crate::location::FieldPath;
use crate::model::{HostPattern, ObjectName, Part, PathKind, Pattern};
use crate::validate::{
    BackendPort, BackendRef, InUse, Ingress, Kind, PathRule, QUIRKS, TargetPort,
};

/// How the paths of one host are compared.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Mode {
    /// As the specification says.
    #[default]
    Spec,
    /// As ingress-nginx does where no path of the host is a pattern.
    Texts,
    /// As it does where one is: then all are.
    Patterns,
}

/// The hosts that are not compared as the specification says.
#[derive(Debug, Default)]
pub(super) struct Quirks<'a> {
    hosts: BTreeMap<&'a HostPattern, Mode>,
    /// What the setting says.
    usual: bool,
}

/// How ingress-nginx compares the paths of each host.
#[derive(Debug)]
pub(super) struct InNginx<'a> {
    /// What portico does.
    here: Quirks<'a>,
    /// Hosts of which all paths are patterns there.
    with_patterns: BTreeSet<&'a HostPattern>,
}

impl<'a> InNginx<'a> {
    /// Asks all Ingresses; `usual` is what the setting says of nginx mode.
    pub(super) fn new(owned: &[Owned<'a>], usual: bool) -> Self {
        let rules = routing(owned).flat_map(|&(_, ingress)| {
            let rules = ingress.rules.iter();
            rules.filter(move |rule| {
                let mut paths = rule.paths.iter().flatten();
                paths.any(|path| makes_patterns(ingress, path))
            })
        });
        let with_patterns = rules.map(|rule| &rule.host).collect();
        Self { here: Quirks::new(owned, usual, &mut Vec::new()), with_patterns }
    }

    /// How the paths of a host are compared there; none: portico compares them so too.
    pub(super) fn of(&self, host: &HostPattern) -> Option<Mode> {
        let there = match self.with_patterns.contains(host) {
            true => Mode::Patterns,
            false => Mode::Texts,
        };
        (self.here.of(host) == Mode::Spec).then_some(there)
    }
}

/// Those that make hosts and paths of their own.
fn routing<'b, 'a>(owned: &'b [Owned<'a>]) -> impl Iterator<Item = &'b Owned<'a>> {
    owned
        .iter()
        .filter(|(_, it)| it.annotations.canary.is_none())
}

/// What the Ingresses of one host say.
#[derive(Default)]
struct Votes<'a> {
    asks: bool,
    /// Who asks by an annotation of its own.
    first: Option<&'a InUse>,
    refuses: Option<&'a InUse>,
    /// Whether any path is a pattern to ingress-nginx.
    patterns: bool,
}

impl<'a> Quirks<'a> {
    /// Asks all Ingresses; `usual` is what the setting says.
    pub(super) fn new(owned: &[Owned<'a>], usual: bool, diagnostics: &mut Vec<Diagnostic>) -> Self {
        let mut votes: BTreeMap<&HostPattern, Votes<'_>> = BTreeMap::new();
        for &(object, ingress) in routing(owned) {
            for rule in &ingress.rules {
                let votes = votes.entry(&rule.host).or_default();
                match ingress.annotations.quirks {
                    Some(true) => {
                        votes.asks = true;
                        votes.first.get_or_insert(object);
                    }
                    Some(false) => drop(votes.refuses.get_or_insert(object)),
                    None => votes.asks |= usual,
                }
                let mut paths = rule.paths.iter().flatten();
                votes.patterns |= paths.any(|path| makes_patterns(ingress, path));
            }
        }
        let mut hosts = BTreeMap::new();
        for (host, Votes { asks, first, refuses, patterns }) in votes {
            match (asks, refuses) {
                (true, None) if patterns => drop(hosts.insert(host, Mode::Patterns)),
                (true, None) => drop(hosts.insert(host, Mode::Texts)),
                (true, Some(refuses)) => {
                    if let Some(object) = first {
                        let field = FieldPath::from("metadata.annotations").key(QUIRKS);
                        let text = format!(
                            "{} wants none of nginx's quirks for {host}: there are none",
                            refuses.object
                        );
                        diagnostics.push(finding(Code::HostWideTaken, object, field, text));
                    }
                }
                (false, _) => {}
            }
        }
        Self { hosts, usual }
    }

    /// How the paths of a host are compared.
    pub(super) fn of(&self, host: &HostPattern) -> Mode {
        self.hosts.get(host).copied().unwrap_or_default()
    }

    /// How the default backend of an Ingress is read: in nginx mode where it asks for that and all its
    /// hosts are in it.
    pub(super) fn of_default(&self, ingress: &Ingress) -> Mode {
        let asks = ingress.annotations.quirks.unwrap_or(self.usual);
        let is_nginx = |host: &HostPattern| self.of(host) != Mode::Spec;
        match asks && ingress.rules.iter().all(|rule| is_nginx(&rule.host)) {
            true => Mode::Texts,
            false => Mode::Spec,
        }
    }
}

impl Mode {
    /// Whether a path of an Ingress is a pattern.
    pub(super) fn is_pattern(self, ingress: &Ingress, path: &PathRule) -> bool {
        match self {
            Self::Spec => ingress.annotations.patterns && path.specific,
            Self::Texts => false,
            // The root matches everything, whichever way it is compared.
            Self::Patterns => *path.path != *"/",
        }
    }

    /// Its pattern; fails with the reason in a few words.
    pub(super) fn pattern(self, text: &str) -> Result<Pattern, String> {
        match self {
            Self::Spec | Self::Texts => Pattern::new(text),
            Self::Patterns => Pattern::open(text),
        }
    }

    /// How it is compared where it is none.
    pub(super) fn kind(self, path: &PathRule) -> PathKind {
        let ends = path.path.ends_with('/') && *path.path != *"/";
        match self {
            Self::Texts if path.kind == PathKind::Prefix && (path.specific || ends) => {
                PathKind::Text
            }
            _ => path.kind,
        }
    }

    /// The backend that is meant by one that names a target port of its Service and none of its ports:
    /// ingress-nginx takes that for the port (`ingress 1.1`).
    pub(super) fn meant(
        self,
        backend: &BackendRef,
        namespace: &Arc<str>,
        objects: &Objects,
    ) -> Option<BackendRef> {
        let BackendRef::Service { name, port } = backend else { return None };
        if self == Self::Spec {
            return None;
        }
        let key = ObjectName { namespace: Arc::clone(namespace), name: Arc::clone(name) };
        let Kind::Service(service) = &objects.services.get(&key)?.valid.kind else { return None };
        let is_named = service.ports.iter().any(|it| match port {
            BackendPort::Number(number) => it.port == *number,
            BackendPort::Name(name) => it.name == *name,
        });
        let mut ports = service.ports.iter().filter(|_| !is_named);
        let found = ports.find(|it| match (&it.target, port) {
            (TargetPort::Number(target), BackendPort::Number(number)) => target == number,
            (TargetPort::Name(target), BackendPort::Name(name)) => target == name,
            _ => false,
        })?;
        Some(BackendRef::Service { name: Arc::clone(name), port: BackendPort::Number(found.port) })
    }

    /// Whether ingress-nginx makes two locations of a path: one for it, and one for what is below.
    pub(super) fn is_twofold(self, ingress: &Ingress, path: &PathRule) -> bool {
        let is_prefix = path.kind == PathKind::Prefix && !path.specific;
        self == Self::Patterns
            && is_prefix
            && !path.path.ends_with('/')
            && !makes_patterns(ingress, path)
    }
}

/// Whether a path makes all paths of its host patterns: by `use-regex`, or by a rewrite to something
/// other than the path itself.
pub(super) fn makes_patterns(ingress: &Ingress, path: &PathRule) -> bool {
    let annotations = &ingress.annotations;
    annotations.use_regex || (annotations.rewrites && !rewrites_to_itself(ingress, path))
}

/// Whether a path would be rewritten to the path itself, which nothing is done for (`ingress 2.4`:
/// rewrite-target).
pub(super) fn rewrites_to_itself(ingress: &Ingress, path: &PathRule) -> bool {
    let is_path = |part: &Part| matches!(part, Part::Text(text) if **text == *path.path);
    let target = ingress.annotations.policy.rewrite.as_ref();
    target.is_some_and(|it| matches!(it.parts(), [part] if is_path(part)))
}
