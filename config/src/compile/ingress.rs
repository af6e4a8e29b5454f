//! Ingress rules merged per host and put in the order of precedence (`ingress 1.3` to `1.7`).

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::canaries;
use super::captures::unfilled;
use super::fallback::{self, Fallback, at_root};
use super::host_tls::HostTls;
use super::other_names;
use super::outside::{Nowhere, Outside};
use super::places::Place;
use super::policies::Policies;
use super::precedence::{self, NO_PATTERN};
use super::quirks::{Mode, Quirks, rewrites_to_itself};
use super::services::Services;
use super::{Inputs, Objects, finding, suggestion};
use crate::diagnostic::{Code, Diagnostic};
use crate::location::FieldPath;
use crate::model::annotation::PREFIX;
use crate::model::{
    Balancing, HostPattern, ObjectName, PathKind, Policy, Settings, literal, normalize_written,
};
use crate::snapshot::{Backend, Host, Location, Reach, RouteTable};
use crate::validate::{BackendPort, BackendProtocol, BackendRef, InUse, Ingress, PathRule};

/// An Ingress that is portico's to serve.
pub(super) type Owned<'a> = (&'a InUse, &'a Ingress);

/// What serves each path already.
pub(super) type Claimed<'a> = HashMap<(HostPattern, PathKind, Arc<str>), Claim<'a>>;

/// Who serves a path.
pub(super) struct Claim<'a> {
    pub(super) object: &'a InUse,
    /// Where that is written.
    pub(super) field: FieldPath,
    /// Its place among the locations of its host.
    pub(super) location: usize,
}

/// A host on its way.
#[derive(Default)]
pub(super) struct Draft {
    pub(super) locations: Vec<Location>,
    /// Of which of them ingress-nginx makes two.
    twofold: Vec<usize>,
    /// How many of them are patterns.
    patterns: usize,
    pub(super) fallback: Option<Fallback>,
}

impl Draft {
    /// Adds a location; `is_twofold`: of which ingress-nginx makes two.
    fn add(&mut self, location: Location, is_twofold: bool) {
        let at = self.locations.len();
        self.twofold.extend(is_twofold.then_some(at));
        self.locations.push(location);
    }

    /// Counts a path; whether it is a pattern too many.
    fn has_too_many(&mut self, is_pattern: bool) -> bool {
        self.patterns += usize::from(is_pattern);
        is_pattern && self.patterns > MAX_PATTERNS
    }
}

/// What serves where no rule does, and which hosts are in nginx mode.
type Rest<'a> = (Option<&'a Fallback>, &'a Quirks<'a>);

/// The route table of all owned Ingresses.
pub(super) fn compile(
    owned: &[Owned<'_>],
    objects: &Objects,
    services: &Services,
    inputs: &Inputs<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) -> RouteTable {
    let policies = Policies::new(owned, objects, inputs.settings, diagnostics);
    let quirks = Quirks::new(owned, inputs.settings.front_door.nginx_quirks, diagnostics);
    let outside = Outside::new(services, inputs);
    let mut resolver = Resolver { objects, services, outside, diagnostics };
    let mut hosts: BTreeMap<HostPattern, Draft> = BTreeMap::new();
    // The default backend of the first Ingress without rules (`ingress 1.5`).
    let mut catch_all: Option<Fallback> = None;
    let mut claimed = Claimed::new();
    for (object, ingress) in owned {
        if ingress.annotations.canary.is_some() {
            continue;
        }
        let default = resolver.rest_of((object, ingress), &quirks);
        if ingress.rules.is_empty()
            && let Some(backend) = &default
            && catch_all.is_none()
        {
            catch_all = Some(Fallback::of_any_host((object, ingress), backend, &policies));
        }
        for (index, rule) in ingress.rules.iter().enumerate() {
            let field = FieldPath::from("spec.rules").index(index);
            let mode = quirks.of(&rule.host);
            let host = hosts.entry(rule.host.clone()).or_default();
            // One for each protocol that Services ask for.
            let mut made: BTreeMap<BackendProtocol, Arc<Policy>> = BTreeMap::new();
            let mut policy_of = |backend: &Backend| {
                let said = policies.said((object, ingress), backend);
                let policy = || Arc::new(policies.of((object, ingress), &rule.host, said));
                Arc::clone(made.entry(said).or_insert_with(policy))
            };
            if let Some(backend) = &default
                && host.fallback.is_none()
            {
                let written = ingress.default_backend.as_ref();
                let policy = at_root(placed((object, ingress), written, policy_of(backend)));
                let ingress = Some(object.valid.name.clone());
                host.fallback = Some(Fallback { backend: backend.clone(), policy, ingress });
            }
            for (index, path) in rule.paths.iter().flatten().enumerate() {
                let field = field.key("http").key("paths").index(index);
                let backend =
                    resolver.backend_in(mode, object, &path.backend, &field.key("backend"));
                let key = (rule.host.clone(), path.kind, Arc::clone(&path.path));
                if let Some(claim) = claimed.get(&key) {
                    let taken = taken(object, &field, (&rule.host, &path.path), claim);
                    resolver.diagnostics.push(taken);
                    continue;
                }
                let policy = placed((object, ingress), Some(&path.backend), policy_of(&backend));
                let asked = (path, mode, host.has_too_many(mode.is_pattern(ingress, path)));
                let (policy, path_text) =
                    resolver.path_policy((object, ingress), asked, &policy, &field);
                claimed.insert(key, Claim { object, field, location: host.locations.len() });
                let location = Location {
                    kind: mode.kind(path),
                    path: path_text,
                    backend,
                    ingress: object.valid.name.clone(),
                    policy,
                    canary: None,
                };
                host.add(location, mode.is_twofold(ingress, path));
            }
        }
    }
    canaries::place(owned, (&claimed, &quirks), &mut hosts, &mut resolver);
    let catch_all = catch_all.or_else(|| resolver.default_backend(inputs.settings));
    let rest = (catch_all.as_ref(), &quirks);
    let Resolver { outside, diagnostics, .. } = resolver;
    let table = whole(owned, (hosts, rest), objects, inputs.settings, diagnostics);
    RouteTable { outside: outside.into_ports(), ..table }
}

/// The table of all hosts, with what counts for each as a whole.
fn whole(
    owned: &[Owned<'_>],
    (mut hosts, rest): (BTreeMap<HostPattern, Draft>, Rest<'_>),
    objects: &Objects,
    settings: &Settings,
    diagnostics: &mut Vec<Diagnostic>,
) -> RouteTable {
    let asked = HostTls::new(owned, objects, diagnostics);
    if let Some(catch_all) = rest.0 {
        fallback::keep_out(owned, (&mut hosts, catch_all), &asked, diagnostics);
    }
    if rest.0.is_some() || asked.clients(&HostPattern::Any).is_some() {
        hosts.entry(HostPattern::Any).or_default();
    }
    let written: BTreeSet<HostPattern> = hosts.keys().cloned().collect();
    let mut table = table(hosts, &written, rest, (&asked, diagnostics), settings);
    other_names::place(owned, &mut table, |name| written.contains(name), diagnostics);
    table
}

/// A path of a host that another Ingress serves, with both places.
fn taken(
    object: &InUse,
    field: &FieldPath,
    (host, path): (&HostPattern, &str),
    claim: &Claim<'_>,
) -> Diagnostic {
    let (owner, place) = (claim.object, &claim.field);
    let text =
        format!("{host} {path} is already served by {}, which comes first", at(owner, place));
    let found = finding(Code::PathTaken, object, field.key("path"), text);
    found.related(&owner.origin, &place.key("path"), "it is served here")
}

/// `Ingress default/web (web.yaml:12)`: looked up only where something is said of it.
fn at(object: &InUse, field: &FieldPath) -> String {
    let place = object.origin.position(field).unwrap_or_default();
    format!("{} ({}:{})", object.object, object.origin.file.display(), place.line)
}

/// Puts locations in order, passes the catch-all default on, and adds the alias names.
fn table(
    mut hosts: BTreeMap<HostPattern, Draft>,
    written: &BTreeSet<HostPattern>,
    (catch_all, quirks): Rest<'_>,
    (tls, diagnostics): (&HostTls<'_>, &mut Vec<Diagnostic>),
    settings: &Settings,
) -> RouteTable {
    let mut table = RouteTable::default();
    for (pattern, draft) in &mut hosts {
        let mode = quirks.of(pattern);
        precedence::arrange(mode, &mut draft.locations, &draft.twofold);
        let fallback = draft.fallback.take().or_else(|| catch_all.cloned());
        let (default_backend, default_policy, default_ingress) = fallback
            .map(|it| (Some(it.backend), it.policy, it.ingress))
            .unwrap_or_default();
        let passed_to = tls.passed(pattern, &draft.locations, diagnostics);
        let host = Arc::new(Host {
            pattern: pattern.clone(),
            locations: std::mem::take(&mut draft.locations),
            default_backend,
            default_policy,
            clients: tls.clients(pattern),
            suites: tls.suites(pattern),
            passed_to,
            default_ingress,
            is_nginx: mode != Mode::Spec,
        });
        match pattern {
            HostPattern::Any => table.any = Some(host),
            HostPattern::Wildcard(suffix) => drop(table.wildcard.insert(Arc::clone(suffix), host)),
            HostPattern::Exact(name) => {
                for alias in aliases(name, settings) {
                    if !written.contains(&alias)
                        && let HostPattern::Exact(alias) = alias
                    {
                        table.exact.insert(alias, Arc::clone(&host));
                    }
                }
                table.exact.insert(Arc::clone(name), host);
            }
        }
    }
    table
}

/// A single-label host is also served below each alias zone: `mi-web.portico.test`.
pub(super) fn aliases(name: &str, settings: &Settings) -> Vec<HostPattern> {
    if name.contains('.') {
        return Vec::new();
    }
    let zones = settings.alias_zones.iter();
    zones
        .map(|zone| HostPattern::Exact(format!("{name}.{zone}").into()))
        .collect()
}

/// How the endpoints of one location are chosen; a pattern is no path that browsers could compare.
pub(super) fn balancing_at(balancing: &Balancing, (path, is_pattern): (&str, bool)) -> Balancing {
    balancing.at(if is_pattern { "/" } else { path })
}

/// A path in the form that paths of requests have (`ingress 1.2`); one that no request can have stays.
fn normal(path: &Arc<str>) -> Arc<str> {
    match normalize_written(path) {
        Ok(Cow::Owned(normal)) => normal.into(),
        Ok(Cow::Borrowed(_)) | Err(_) => Arc::clone(path),
    }
}

/// The same policy where its Ingress names no place of its own; else filled in with that.
pub(super) fn placed(
    (object, ingress): Owned<'_>,
    backend: Option<&BackendRef>,
    policy: Arc<Policy>,
) -> Arc<Policy> {
    match backend.filter(|_| ingress.annotations.names_place) {
        Some(backend) => Place { ingress: &object.valid.name, backend }.fill(&policy),
        None => policy,
    }
}

/// Challenges of certificate authorities are asked over plain HTTP, by nobody with a password
/// (`ingress 1.10`).
const ACME: &str = "/.well-known/acme-challenge";
/// Of one host (`ingress 6.2`).
const MAX_PATTERNS: usize = 1_000;

/// Finds the ServicePort that a backend names.
pub(super) struct Resolver<'a> {
    objects: &'a Objects,
    services: &'a Services,
    outside: Outside<'a>,
    pub(super) diagnostics: &'a mut Vec<Diagnostic>,
}

impl Resolver<'_> {
    /// What is asked of requests for one path, its pattern where it is one; and the path. One that
    /// cannot be compiled, or is one too many of its host, closes all below its literal part: what it
    /// would have matched is unknown.
    fn path_policy(
        &mut self,
        (object, ingress): Owned<'_>,
        (path, mode, too_many): (&PathRule, Mode, bool),
        policy: &Arc<Policy>,
        field: &FieldPath,
    ) -> (Arc<Policy>, Arc<str>) {
        let is_pattern = mode.is_pattern(ingress, path);
        let is_challenge = path.path.starts_with(ACME);
        // What is rewritten to itself stays as it is, and so does all below it.
        let stays = policy.rewrite.is_some() && rewrites_to_itself(ingress, path);
        if !is_pattern && !stays {
            let told = unfilled(object, policy, (&path.path, None), field);
            self.diagnostics.extend(told);
        }
        let mut balancing = balancing_at(&policy.balancing, (&path.path, is_pattern));
        balancing.by_service &= self.has_cluster_ip(object, &path.backend);
        if !is_pattern && !is_challenge && !stays && balancing == policy.balancing {
            return (Arc::clone(policy), normal(&path.path));
        }
        let mut text = if is_pattern { Arc::clone(&path.path) } else { normal(&path.path) };
        if is_pattern && balancing.affinity != policy.balancing.affinity {
            let told =
                "the cookie of `affinity` is for all paths of the host: this one is a pattern";
            let mut told = finding(Code::AnnotationWithoutEffect, object, field.key("path"), told);
            told.help = Some(format!("say which with `{PREFIX}session-cookie-path`"));
            self.diagnostics.push(told);
        }
        let mut policy = Policy { balancing, ..Policy::clone(policy) };
        if stays {
            (policy.rewrite, policy.forwarded_prefix) = (None, None);
        }
        if is_challenge {
            policy.to_https = None;
            policy.ask_nothing();
        }
        if is_pattern {
            let compiled = match too_many {
                true => Err(format!("its host has {MAX_PATTERNS} of them already")),
                false => mode.pattern(&path.path),
            };
            match compiled {
                Ok(pattern) => {
                    let groups = Some(pattern.groups());
                    let told = unfilled(object, &policy, (&path.path, groups), field);
                    self.diagnostics.extend(told);
                    policy.pattern = Some(pattern);
                }
                Err(reason) => {
                    let literal = literal(&path.path);
                    let folder = literal.rfind('/').map_or("/", |last| &literal[..=last]);
                    let told = format!(
                        "cannot be a pattern: {reason}; every request below {folder} gets 503"
                    );
                    let field = field.key("path");
                    self.diagnostics
                        .push(finding(Code::AnnotationCloses, object, field, told));
                    policy.closed = Some(NO_PATTERN.into());
                    text = normal(&folder.into());
                }
            }
        }
        (Arc::new(policy), text)
    }

    /// Whether a backend has an address of its own (`ingress 2.4`: service-upstream).
    fn has_cluster_ip(&self, object: &InUse, backend: &BackendRef) -> bool {
        let BackendRef::Service { name, .. } = backend else { return false };
        let namespace = Arc::clone(&object.valid.name.namespace);
        let service = self
            .services
            .get(&ObjectName { namespace, name: Arc::clone(name) });
        service.is_some_and(|service| matches!(service.reach, Reach::ClusterIp(_)))
    }

    /// What the settings name for what no Ingress has a rule for (`ingress 1.5`).
    fn default_backend(&mut self, settings: &Settings) -> Option<Fallback> {
        let target = settings.front_door.default_backend.as_ref()?;
        let service = self.services.get(&target.service);
        let proxied = service.filter(|it| !matches!(it.reach, Reach::ExternalName(_)));
        let mut ports = proxied.iter().flat_map(|service| &service.ports);
        let backend = match ports.find(|port| target.is_port(port.port, &port.id.name)) {
            Some(port) => Backend::Service(Arc::clone(&port.id)),
            None => {
                let text = format!(
                    "the setting ingress.defaultBackend names {target}: there is no such port"
                );
                let code = match service {
                    Some(_) => Code::MissingServicePort,
                    None => Code::MissingService,
                };
                self.diagnostics.push(Diagnostic::new(code, text.clone()));
                Backend::Missing(text.into())
            }
        };
        Some(Fallback { backend, policy: Arc::default(), ingress: None })
    }

    /// What serves the rest of an Ingress's hosts.
    fn rest_of(&mut self, (object, ingress): Owned<'_>, quirks: &Quirks<'_>) -> Option<Backend> {
        let backend = ingress.default_backend.as_ref()?;
        let field = FieldPath::from("spec.defaultBackend");
        Some(self.backend_in(quirks.of_default(ingress), object, backend, &field))
    }

    /// The port of a Service, which in nginx mode may be named by its target port (`ingress 1.1`).
    pub(super) fn backend_in(
        &mut self,
        mode: Mode,
        object: &InUse,
        backend: &BackendRef,
        field: &FieldPath,
    ) -> Backend {
        let meant = mode.meant(backend, &object.valid.name.namespace, self.objects);
        self.backend(object, meant.as_ref().unwrap_or(backend), field)
    }

    fn backend(&mut self, object: &InUse, backend: &BackendRef, field: &FieldPath) -> Backend {
        let BackendRef::Service { name, port } = backend else {
            let text = "portico serves no resource backend: requests get 404";
            let field = field.key("resource");
            self.diagnostics
                .push(finding(Code::ResourceBackend, object, field, text));
            return Backend::Resource;
        };
        let field = field.key("service");
        let namespace = &object.valid.name.namespace;
        // In spec mode a target port is no port, and whoever wrote it meant this one.
        let meant = Mode::Texts.meant(backend, namespace, self.objects);
        let key = ObjectName { namespace: Arc::clone(namespace), name: Arc::clone(name) };
        let Some(service) = self.services.get(&key) else {
            let names = self.objects.services.keys();
            let names = names
                .filter(|other| other.namespace == *namespace)
                .map(|n| &*n.name);
            let help = suggestion(name, names);
            let text = format!("no Service `{name}` in namespace {namespace}");
            return self.missing(Code::MissingService, object, field.key("name"), text, help);
        };
        if let Reach::ExternalName(host) = &service.reach {
            let found =
                self.outside
                    .backend((object, &field), (service, host), port, self.diagnostics);
            return found.unwrap_or_else(|Nowhere { code, field: key, text, help }| {
                self.missing(code, object, field.key(key), text, help)
            });
        }
        let found = service.ports.iter().find(|candidate| match port {
            BackendPort::Number(number) => candidate.port == *number,
            BackendPort::Name(name) => candidate.id.name == *name,
        });
        match found {
            Some(port) => Backend::Service(Arc::clone(&port.id)),
            None => {
                let wanted = match port {
                    BackendPort::Number(number) => number.to_string(),
                    BackendPort::Name(name) => format!("`{name}`"),
                };
                let has: Vec<_> = service
                    .ports
                    .iter()
                    .map(|port| port.port.to_string())
                    .collect();
                let text = format!("Service `{name}` has no port {wanted}");
                let help = match meant {
                    Some(BackendRef::Service { port: BackendPort::Number(port), .. }) => {
                        format!("write {port}, whose targetPort that is")
                    }
                    _ => format!("it has {}", has.join(", ")),
                };
                self.missing(Code::MissingServicePort, object, field.key("port"), text, Some(help))
            }
        }
    }

    fn missing(
        &mut self,
        code: Code,
        object: &InUse,
        field: FieldPath,
        text: String,
        help: Option<String>,
    ) -> Backend {
        let mut found = finding(code, object, field, text.clone());
        found.help = help;
        self.diagnostics.push(found);
        Backend::Missing(text.into())
    }
}
