//! Who answers in the place of errors: the Service that an Ingress names (`ingress 2.4`).
//!
//! Tuning: where the Service is not there, answers are as they are, and that is told.

use std::sync::Arc;

use super::ingress::Owned;
use super::{Objects, finding};
use crate::diagnostic::{Code, Diagnostic};
use crate::location::FieldPath;
use crate::model::annotation::PREFIX;
use crate::model::{ErrorPages, ObjectName, Policy, Protocol, ServiceAddress};
use crate::validate::Kind;

/// What an Ingress asks of answers that are errors, its Service looked up.
pub(super) fn find(
    (object, ingress): Owned<'_>,
    objects: &Objects,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<ErrorPages> {
    let ask = ingress.annotations.errors.as_ref()?;
    let namespace = &object.valid.name.namespace;
    let service = ObjectName { namespace: Arc::clone(namespace), name: Arc::clone(&ask.service) };
    let found = objects.services.get(&service).map(|it| &it.valid.kind);
    let port = match found {
        Some(Kind::Service(service)) => {
            let mut ports = service.ports.iter();
            ports
                .find(|port| port.protocol == Protocol::Tcp)
                .map(|port| port.port)
        }
        _ => None,
    };
    let Some(port) = port else {
        let field =
            FieldPath::from("metadata.annotations").key(&format!("{PREFIX}default-backend"));
        let what = if found.is_some() { "has no port of TCP" } else { "does not exist" };
        let text = format!("Service `{}` {what}: errors are answered as usual", ask.service);
        diagnostics.push(finding(Code::MissingService, object, field, text));
        return None;
    };
    Some(ErrorPages {
        ingress: object.valid.name.clone(),
        backend: ServiceAddress { service, port },
        statuses: ask.statuses.clone(),
        own_alone: ask.own_alone,
        withheld: Box::default(),
    })
}

/// Writes it into a policy of the Ingress whose guards are known.
pub(super) fn apply(pages: &ErrorPages, policy: &mut Policy) {
    let guarded = policy.withheld.iter().map(|name| &**name);
    let withheld = guarded.chain(ErrorPages::SAID).map(Into::into).collect();
    policy.error_pages = Some(Arc::new(ErrorPages { withheld, ..pages.clone() }));
}
