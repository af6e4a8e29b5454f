//! Ingress (`ingress 1.1`).

use std::net::IpAddr;
use std::sync::Arc;

use super::{Check, names, unsupported};
use crate::api::networking_v1::{self, IngressBackend};
use crate::diagnostic::Code;
use crate::location::FieldPath;
use crate::model::{HostPattern, PathKind};

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
    let old_class = object
        .metadata
        .annotations
        .get("kubernetes.io/ingress.class");
    let class = object.spec.ingress_class_name.as_ref().or(old_class);
    let rules = object.spec.rules.iter().enumerate().map(|(index, rule)| {
        let field = spec.key("rules").index(index);
        let host = host(rule.host.as_deref().unwrap_or_default(), &field.key("host"), check);
        let paths = rule.http.as_ref().map(|http| {
            let field = field.key("http").key("paths");
            if http.paths.is_empty() {
                check.report(Code::Required, &field, "required value");
            }
            let paths = http.paths.iter().enumerate();
            paths
                .map(|(index, path)| self::path(path, &field.index(index), check))
                .collect()
        });
        Rule { host, paths }
    });
    let rules = rules.collect();
    let tls = object.spec.tls.iter().enumerate().map(|(index, entry)| {
        let field = spec.key("tls").index(index);
        let hosts = entry.hosts.iter().enumerate();
        TlsEntry {
            hosts: hosts
                .map(|(index, text)| host(text, &field.key("hosts").index(index), check))
                .collect(),
            secret: entry
                .secret_name
                .as_deref()
                .filter(|name| !name.is_empty())
                .map(Into::into),
        }
    });
    let tls = tls.collect();
    let default_backend = object.spec.default_backend.as_ref();
    let default_backend = default_backend.map(|b| backend(b, &spec.key("defaultBackend"), check));
    Ingress { class: class.map(|name| name.as_str().into()), rules, default_backend, tls }
}

fn host(text: &str, field: &FieldPath, check: &mut Check<'_>) -> HostPattern {
    let name = text.strip_prefix("*.").unwrap_or(text);
    if text.parse::<IpAddr>().is_ok() {
        check.report(
            Code::InvalidHost,
            field,
            format!("{text:?} must be a DNS name, not an IP address"),
        );
    } else if !text.is_empty()
        && let Err(fault) = names::subdomain(&name.to_ascii_lowercase())
    {
        let port = text
            .rsplit_once(':')
            .filter(|(_, port)| port.parse::<u16>().is_ok());
        match port {
            Some(_) => {
                check.report(Code::InvalidHost, field, format!("{text:?} must not hold a port"))
            }
            None => check.report(Code::InvalidHost, field, fault),
        }
    }
    HostPattern::parse(text)
}

fn path(
    path: &networking_v1::HttpIngressPath,
    field: &FieldPath,
    check: &mut Check<'_>,
) -> PathRule {
    let text = path.path.as_deref().unwrap_or_default();
    let type_field = field.key("pathType");
    let supported = ["Exact", "ImplementationSpecific", "Prefix"];
    let (kind, strict) = match path.path_type.as_deref() {
        Some("Exact") => (PathKind::Exact, true),
        Some("Prefix") => (PathKind::Prefix, true),
        Some("ImplementationSpecific") => (PathKind::Prefix, false),
        Some(other) => {
            check.report(Code::Unsupported, &type_field, unsupported(other, &supported));
            (PathKind::Prefix, false)
        }
        None => {
            check.report(Code::Required, &type_field, "pathType must be specified");
            (PathKind::Prefix, false)
        }
    };
    let field_path = field.key("path");
    if !text.starts_with('/') && (strict || !text.is_empty()) {
        check.report(Code::InvalidPath, &field_path, format!("{text:?} must be an absolute path"));
    }
    if strict {
        for bad in ["//", "/./", "/../", "%2f", "%2F"] {
            if text.contains(bad) {
                check.report(
                    Code::InvalidPath,
                    &field_path,
                    format!("{text:?} must not contain {bad:?}"),
                );
            }
        }
        for bad in ["/.", "/.."] {
            if text.ends_with(bad) {
                check.report(
                    Code::InvalidPath,
                    &field_path,
                    format!("{text:?} cannot end with {bad:?}"),
                );
            }
        }
    }
    let text = if text.is_empty() { "/" } else { text };
    let backend = backend(&path.backend, &field.key("backend"), check);
    PathRule { kind, path: text.into(), backend }
}

fn backend(backend: &IngressBackend, field: &FieldPath, check: &mut Check<'_>) -> BackendRef {
    let Some(service) = &backend.service else {
        if backend.resource.is_none() {
            check.report(Code::InvalidBackend, field, "must specify a `service` or a `resource`");
        }
        return BackendRef::Resource;
    };
    if backend.resource.is_some() {
        check.report(Code::InvalidBackend, field, "cannot set both `service` and `resource`");
    }
    let field = field.key("service");
    if let Err(fault) = names::label(&service.name) {
        check.report(Code::InvalidName, &field.key("name"), fault);
    }
    let field = field.key("port");
    let port = service.port.as_ref();
    let name = port
        .and_then(|port| port.name.as_deref())
        .filter(|name| !name.is_empty());
    let number = port
        .and_then(|port| port.number)
        .filter(|&number| number != 0);
    let port = match (name, number) {
        (Some(name), None) => BackendPort::Name(name.into()),
        (None, Some(number)) => BackendPort::Number(check.port(&field.key("number"), number)),
        (None, None) => {
            check.report(Code::Required, &field, "port name or number is required");
            BackendPort::Number(0)
        }
        (Some(_), Some(number)) => {
            check.report(Code::InvalidBackend, &field, "cannot set both port name and port number");
            BackendPort::Number(check.port(&field.key("number"), number))
        }
    };
    BackendRef::Service { name: service.name.as_str().into(), port }
}
