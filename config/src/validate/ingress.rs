//! Ingress (`ingress 1.1`).

mod annotations;
mod snippet;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

pub(crate) use self::annotations::{
    Annotations, BackendAsk, BackendProtocol, BasicAsk, ClientAsk, ExternalAsk,
};
pub(crate) use self::annotations::{QUIRKS, is_field_name, is_field_value};
pub(crate) use self::snippet::lines as snippet_lines;
use super::check::invalid;
use super::{Check, address, names};
use crate::api::networking_v1::{self, IngressBackend};
use crate::diagnostic::Code;
use crate::location::FieldPath;
use crate::model::{HostPattern, ObjectName, PathKind};

/// An Ingress that is right by itself.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ingress {
    /// `spec.ingressClassName`, else the old annotation.
    pub(crate) class: Option<Arc<str>>,
    /// Its rules in the manifest's order.
    pub(crate) rules: Vec<Rule>,
    /// `spec.defaultBackend`.
    pub(crate) default_backend: Option<BackendRef>,
    /// `spec.tls`.
    pub(crate) tls: Vec<TlsEntry>,
    /// Whether its hosts have no names here.
    pub(crate) is_nameless: bool,
    /// `status.loadBalancer.ingress`: the addresses in it.
    pub(crate) status: Vec<IpAddr>,
    /// What its annotations ask.
    pub(crate) annotations: Annotations,
}

/// One rule.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Rule {
    /// Which hosts.
    pub(crate) host: HostPattern,
    /// Its paths; none: everything goes to the host's default backend.
    pub(crate) paths: Option<Vec<PathRule>>,
}

/// One path of a rule.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PathRule {
    /// How it is compared.
    pub(crate) kind: PathKind,
    /// Whether its type is ImplementationSpecific: it may be a pattern.
    pub(crate) specific: bool,
    /// The path, `/` where the manifest is silent.
    pub(crate) path: Arc<str>,
    /// Where it goes.
    pub(crate) backend: BackendRef,
}

/// A backend by name.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum BackendRef {
    /// A port of a Service of the same namespace.
    Service {
        /// The Service's name.
        name: Arc<str>,
        /// Its port.
        port: BackendPort,
    },
    /// A resource of another kind.
    Resource,
}

/// The *Service's* port, by name or by number.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum BackendPort {
    /// By number.
    Number(u16),
    /// By name.
    Name(Arc<str>),
}

/// One entry of `spec.tls`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TlsEntry {
    /// Hosts; empty: the certificate's own names.
    pub(crate) hosts: Vec<HostPattern>,
    /// Secret of the same namespace; none: the default certificate.
    pub(crate) secret: Option<Arc<str>>,
}

pub(super) fn ingress(object: &networking_v1::Ingress, check: &mut Check<'_>) -> Ingress {
    let spec = FieldPath::from("spec");
    if object.spec.rules.is_empty() && object.spec.default_backend.is_none() {
        check.report(Code::NoRules, &spec, "either `defaultBackend` or `rules` must be specified");
    }
    let class = class(object, check);
    let rules = object.spec.rules.iter().enumerate().map(|(index, rule)| {
        let field = spec.key("rules").index(index);
        let host = host(rule.host.as_deref().unwrap_or_default(), &field.key("host"), check);
        let paths = rule.http.as_ref().map(|http| {
            let field = field.key("http").key("paths");
            if http.paths.is_empty() {
                check.required(&field);
            }
            let paths = http.paths.iter().enumerate();
            paths
                .map(|(index, path)| self::path(path, &field.index(index), check))
                .collect()
        });
        Rule { host, paths }
    });
    let rules = rules.collect();
    let default_backend = object.spec.default_backend.as_ref();
    let default_backend = default_backend.map(|b| backend(b, &spec.key("defaultBackend"), check));
    let metadata = &object.metadata;
    let namespace = metadata.namespace.as_deref().unwrap_or("default");
    let name = ObjectName::new(namespace, &*metadata.name);
    let annotations = annotations::read(&metadata.annotations, &name);
    let is_nameless = super::names_are_ignored(&object.metadata);
    let tls = tls(object, check);
    let status = status(object, check);
    Ingress { class, rules, default_backend, tls, is_nameless, status, annotations }
}

fn status(object: &networking_v1::Ingress, check: &mut Check<'_>) -> Vec<IpAddr> {
    let field = FieldPath::from("status.loadBalancer.ingress");
    let entries = object.status.load_balancer.ingress.iter().enumerate();
    let entries = entries.filter_map(|(index, entry)| {
        let text = entry.ip.as_deref().filter(|text| !text.is_empty())?;
        check.address(&field.index(index).key("ip"), text)
    });
    entries.collect()
}

/// `ingress 1.7.1`: the field, else the old annotation; where both differ the field wins.
fn class(object: &networking_v1::Ingress, check: &mut Check<'_>) -> Option<Arc<str>> {
    let annotation = object.metadata.annotations.get(CLASS_ANNOTATION);
    let field = FieldPath::from("spec.ingressClassName");
    let Some(class) = &object.spec.ingress_class_name else {
        return annotation.map(|name| name.as_str().into());
    };
    if let Err(fault) = names::subdomain(class) {
        check.invalid(Code::InvalidName, &field, class, fault);
    }
    if let Some(other) = annotation.filter(|other| *other != class) {
        let field = FieldPath::from("metadata.annotations").key(CLASS_ANNOTATION);
        let text = invalid(other, "must match `ingressClassName` when both are specified");
        let help = format!("`{class}` is used: delete the annotation");
        check.advise(Code::ClassesDisagree, &field, text, help);
    }
    Some(class.as_str().into())
}

fn tls(object: &networking_v1::Ingress, check: &mut Check<'_>) -> Vec<TlsEntry> {
    let mut seen: HashMap<HostPattern, usize> = HashMap::new();
    let mut entries = Vec::new();
    for (at, entry) in object.spec.tls.iter().enumerate() {
        let field = FieldPath::from("spec.tls").index(at);
        let mut hosts = Vec::new();
        for (index, text) in entry.hosts.iter().enumerate() {
            let field = field.key("hosts").index(index);
            if text.is_empty() {
                check.required(&field);
                continue;
            }
            let host = host(text, &field, check);
            let first = *seen.entry(host.clone()).or_insert(at);
            if first != at && object.spec.tls[first].secret_name != entry.secret_name {
                let text =
                    format!("{text:?} stands in spec.tls[{first}] too, whose Secret is used");
                check.report(Code::TlsHostTwice, &field, text);
            }
            hosts.push(host);
        }
        let secret = entry.secret_name.as_deref().unwrap_or_default();
        check.name(&field.key("secretName"), secret, names::subdomain);
        let secret = (!secret.is_empty()).then(|| secret.into());
        entries.push(TlsEntry { hosts, secret });
    }
    entries
}

/// A DNS name or `*.` and one (`ingress 1.1`); empty is every host.
fn host(text: &str, field: &FieldPath, check: &mut Check<'_>) -> HostPattern {
    let wildcard = text.contains('*');
    let grammar = if wildcard { names::wildcard } else { names::domain };
    let bare = text.trim_start_matches('[').split(']').next();
    let bare = bare.unwrap_or(text);
    if address::parse(bare).is_some() {
        let text = invalid(text, "must be a DNS name, not an IP address");
        check.advise(Code::InvalidHost, field, text, "leave `host` out to serve every name");
    } else if let Err(fault) = grammar(text)
        && !text.is_empty()
    {
        match proposal(text, grammar) {
            Some(help) => check.advise(Code::InvalidHost, field, invalid(text, fault), help),
            None => check.invalid(Code::InvalidHost, field, text, fault),
        }
    }
    HostPattern::parse(text)
}

/// The host that was probably meant: without scheme, port, path, trailing dot and capitals.
fn proposal(text: &str, grammar: fn(&str) -> Result<(), &'static str>) -> Option<String> {
    if text == "*" {
        return Some("leave `host` out to serve every name".to_owned());
    }
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    let rest = rest.split(['/', ':']).next().unwrap_or(rest);
    let host = rest.trim_end_matches('.').to_ascii_lowercase();
    grammar(&host)
        .is_ok()
        .then(|| format!("write {host}: a host has neither capitals, scheme, port nor path"))
}

fn path(
    path: &networking_v1::HttpIngressPath,
    field: &FieldPath,
    check: &mut Check<'_>,
) -> PathRule {
    let text = path.path.as_deref().unwrap_or_default();
    let type_field = field.key("pathType");
    let types = [
        ("Exact", (PathKind::Exact, true)),
        ("ImplementationSpecific", (PathKind::Prefix, false)),
        ("Prefix", (PathKind::Prefix, true)),
    ];
    let written = path.path_type.as_deref();
    let found = check.choice(&type_field, written, &types);
    if written.is_none_or(str::is_empty) {
        let message = "pathType must be specified";
        check.advise(Code::Required, &type_field, message, "Prefix is what most paths mean");
    }
    let (kind, strict) = found.unwrap_or((PathKind::Prefix, false));
    if found.is_some() {
        path_text(text, strict, &field.key("path"), check);
    }
    let text = if text.is_empty() { "/" } else { text };
    let backend = backend(&path.backend, &field.key("backend"), check);
    let specific = found.is_some() && !strict;
    PathRule { kind, specific, path: text.into(), backend }
}

/// `ingress 1.1`: what a path may hold, by its type.
fn path_text(text: &str, strict: bool, field: &FieldPath, check: &mut Check<'_>) {
    if !text.starts_with('/') && (strict || !text.is_empty()) {
        let message = invalid(text, "must be an absolute path");
        check.advise(Code::InvalidPath, field, message, format!("write /{text}"));
    }
    if !strict {
        return;
    }
    for bad in ["//", "/./", "/../", "%2f", "%2F"] {
        if text.contains(bad) {
            check.invalid(Code::InvalidPath, field, text, format!("must not contain '{bad}'"));
        }
    }
    for bad in ["/..", "/."] {
        if text.ends_with(bad) {
            check.invalid(Code::InvalidPath, field, text, format!("cannot end with '{bad}'"));
        }
    }
    if text.contains(['*', '^', '$', '|', '\\', '(', ')', '[', ']', '{', '}', '?', '#']) {
        let help = "a Prefix needs no star; a regex needs pathType ImplementationSpecific";
        let text = format!("{text:?} is compared letter by letter: it is no pattern");
        check.advise(Code::PatternInPath, field, text, help);
    }
}

fn backend(backend: &IngressBackend, field: &FieldPath, check: &mut Check<'_>) -> BackendRef {
    let Some(service) = &backend.service else {
        match &backend.resource {
            Some(resource) => self::resource(resource, &field.key("resource"), check),
            None => {
                let text = "resource or service backend is required";
                check.report(Code::InvalidBackend, field, text);
            }
        }
        return BackendRef::Resource;
    };
    if backend.resource.is_some() {
        let text = "cannot set both resource and service backends";
        check.report(Code::InvalidBackend, field, text);
    }
    let name_field = field.key("service").key("name");
    if service.name.is_empty() {
        check.required(&name_field);
    }
    // `services 3`: since Kubernetes 1.36 a Service name may begin with a digit.
    check.name(&name_field, &service.name, names::label);
    let port = port(service.port.as_ref(), field, check);
    BackendRef::Service { name: service.name.as_str().into(), port }
}

/// Exactly one of name and number; `field` is the backend, which the API server blames.
fn port(
    port: Option<&networking_v1::ServiceBackendPort>,
    field: &FieldPath,
    check: &mut Check<'_>,
) -> BackendPort {
    let written = field.key("service").key("port");
    let name = port
        .and_then(|port| port.name.as_deref())
        .filter(|name| !name.is_empty());
    let number = port
        .and_then(|port| port.number)
        .filter(|&number| number != 0);
    match (name, number) {
        (Some(name), None) => {
            check.name(&written.key("name"), name, names::port_name);
            BackendPort::Name(name.into())
        }
        (None, Some(number)) => BackendPort::Number(check.port(&written.key("number"), number)),
        (None, None) => {
            let text = "port name or number is required";
            check.report_as(Code::Required, field, &written, text);
            BackendPort::Number(0)
        }
        (Some(_), Some(_)) => {
            let text = "cannot set both port name & port number";
            check.report_as(Code::InvalidBackend, field, &written, text);
            BackendPort::Number(0)
        }
    }
}

/// A reference that portico does not follow, but that must be one.
fn resource(
    resource: &networking_v1::TypedLocalObjectReference,
    field: &FieldPath,
    check: &mut Check<'_>,
) {
    for (key, value) in [("kind", &resource.kind), ("name", &resource.name)] {
        if value.as_deref().is_none_or(str::is_empty) {
            check.required(&field.key(key));
        }
    }
    let group = resource.api_group.as_deref().unwrap_or_default();
    check.name(&field.key("apiGroup"), group, names::subdomain);
}

const CLASS_ANNOTATION: &str = "kubernetes.io/ingress.class";
