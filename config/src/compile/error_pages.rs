//! Who answers in the place of errors: the Service that an Ingress names, else that of settings (`ingress 2.4`).
//!
//! Tuning: where the Service is not there, answers are as they are, and that is told.

use std::sync::Arc;

use super::ingress::Owned;
use super::{Objects, finding};
use crate::diagnostic::{Code, Diagnostic};
use crate::location::FieldPath;
use crate::model::annotation::PREFIX;
use crate::model::{ErrorPages, ObjectName, Policy, Protocol, ServiceAddress, Settings};
use crate::validate::Kind;

/// What an Ingress asks of answers that are errors, its Service looked up, or that of settings.
pub(super) fn find(
    (object, ingress): Owned<'_>,
    objects: &Objects,
    settings: &Settings,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<ErrorPages> {
    let ask = ingress.annotations.errors.as_ref()?;
    let usual = settings.front_door.default_backend.as_ref();
    let (name, by_settings) = match (&ask.service, usual) {
        (Some(name), _) => {
            let namespace = Arc::clone(&object.valid.name.namespace);
            (ObjectName { namespace, name: Arc::clone(name) }, None)
        }
        (None, Some(usual)) => (usual.service.clone(), Some(usual)),
        (None, None) => {
            let text =
                "has no effect without `default-backend`, or the setting `ingress.defaultBackend`";
            let field = field("custom-http-errors");
            diagnostics.push(finding(Code::AnnotationWithoutEffect, object, field, text));
            return None;
        }
    };
    let found = objects.services.get(&name).map(|it| &it.valid.kind);
    let is_it = |number, name: &str| by_settings.is_none_or(|usual| usual.is_port(number, name));
    let port = match found {
        Some(Kind::Service(service)) => {
            let mut ports = service
                .ports
                .iter()
                .filter(|port| port.protocol == Protocol::Tcp);
            ports
                .find(|port| is_it(port.port, &port.name))
                .map(|port| port.port)
        }
        _ => None,
    };
    match (port, by_settings) {
        (Some(port), _) => Some(ErrorPages {
            ingress: object.valid.name.clone(),
            backend: ServiceAddress { service: name, port },
            stands_in: by_settings.is_none(),
            statuses: ask.statuses.clone(),
            own_alone: ask.own_alone,
            withheld: Box::default(),
        }),
        // What is wrong with it is told of the setting.
        (None, Some(_)) => None,
        (None, None) => {
            let what = if found.is_some() { "has no port of TCP" } else { "does not exist" };
            let text = format!("Service `{}` {what}: errors are answered as usual", name.name);
            let field = field("default-backend");
            diagnostics.push(finding(Code::MissingService, object, field, text));
            None
        }
    }
}

fn field(annotation: &str) -> FieldPath {
    FieldPath::from("metadata.annotations").key(&format!("{PREFIX}{annotation}"))
}

/// Writes it into a policy of the Ingress whose guards are known.
pub(super) fn apply(pages: &ErrorPages, policy: &mut Policy) {
    let guarded = policy.withheld.iter().map(|name| &**name);
    let withheld = guarded.chain(ErrorPages::SAID).map(Into::into).collect();
    policy.error_pages = Some(Arc::new(ErrorPages { withheld, ..pages.clone() }));
}
