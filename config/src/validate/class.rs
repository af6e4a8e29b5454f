//! IngressClass (`ingress 1.1`, `ingress 1.7`).

use std::sync::Arc;

use super::{Check, names};
use crate::api::networking_v1::{self, IngressClassParameters};
use crate::diagnostic::Code;
use crate::location::FieldPath;

/// An IngressClass that is right by itself.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Class {
    /// `spec.controller`.
    pub(crate) controller: Arc<str>,
    /// Annotation `ingressclass.kubernetes.io/is-default-class`.
    pub(crate) is_default: bool,
}

pub(super) fn class(class: &networking_v1::IngressClass, check: &mut Check<'_>) -> Class {
    let controller = class.spec.controller.as_deref().unwrap_or_default();
    let field = FieldPath::from("spec.controller");
    if controller.is_empty() {
        check.required(&field);
    } else if controller.len() > MAX_CONTROLLER_BYTES {
        check.too_long(&field, MAX_CONTROLLER_BYTES);
    } else if !is_domain_prefixed_path(controller) {
        let fault = "must be a domain-prefixed path (such as \"acme.io/foo\")";
        check.invalid(Code::InvalidController, &field, controller, fault);
    }
    if let Some(parameters) = &class.spec.parameters {
        self::parameters(parameters, check);
    }
    let default = "ingressclass.kubernetes.io/is-default-class";
    let is_default = class.metadata.annotations.get(default);
    Class {
        controller: controller.into(),
        is_default: is_default.is_some_and(|value| value == "true"),
    }
}

/// No kind of parameters is known here: their form is checked, and they have no effect.
fn parameters(parameters: &IngressClassParameters, check: &mut Check<'_>) {
    let field = FieldPath::from("spec.parameters");
    let text = |text: &'_ Option<String>| text.clone().filter(|text| !text.is_empty());
    for (key, value) in [("kind", &parameters.kind), ("name", &parameters.name)] {
        if text(value).is_none() {
            check.required(&field.key(key));
        }
    }
    let namespace = text(&parameters.namespace);
    let scope_field = field.key("scope");
    let scopes = [("Cluster", false), ("Namespace", true)];
    // An absent scope is `Cluster`.
    let scope = text(&parameters.scope).unwrap_or_else(|| "Cluster".to_owned());
    match check.choice(&scope_field, Some(&scope), &scopes) {
        Some(true) if namespace.is_none() => {
            let text = "`parameters.scope` is set to 'Namespace'";
            check.report(Code::Required, &field.key("namespace"), text);
        }
        Some(false) if namespace.is_some() => {
            let text = "`parameters.scope` is set to 'Cluster'";
            check.report(Code::ParametersNamespace, &field.key("namespace"), text);
        }
        _ => check.name(
            &field.key("namespace"),
            namespace.as_deref().unwrap_or_default(),
            names::label,
        ),
    }
    let text = "parameters have no effect: portico knows no kind of them";
    check.report(Code::ParametersUnused, &field, text);
}

/// `example.com/name`: a domain, a slash, and a path of an URL.
fn is_domain_prefixed_path(text: &str) -> bool {
    let known = |b: u8| b.is_ascii_alphanumeric() || b"/-._~%!$&'()*+,;=:".contains(&b);
    text.split_once('/').is_some_and(|(domain, path)| {
        names::subdomain(domain).is_ok() && !path.is_empty() && path.bytes().all(known)
    })
}

const MAX_CONTROLLER_BYTES: usize = 250;
