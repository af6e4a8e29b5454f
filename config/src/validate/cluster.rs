//! Node and IngressClass.

use std::sync::Arc;

use super::Check;
use crate::api::{core_v1, networking_v1};
use crate::diagnostic::Code;
use crate::location::FieldPath;

/// A Node, as far as endpoints take their zone from it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    /// Label `topology.kubernetes.io/zone`.
    pub(crate) zone: Option<Arc<str>>,
}

/// An IngressClass.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Class {
    /// `spec.controller`.
    pub(crate) controller: Arc<str>,
    /// Annotation `ingressclass.kubernetes.io/is-default-class`.
    pub(crate) is_default: bool,
}

pub(super) fn node(node: &core_v1::Node) -> Node {
    let zone = node.metadata.labels.get("topology.kubernetes.io/zone");
    Node {
        zone: zone
            .filter(|zone| !zone.is_empty())
            .map(|zone| zone.as_str().into()),
    }
}

pub(super) fn class(class: &networking_v1::IngressClass, check: &mut Check<'_>) -> Class {
    let controller = class.spec.controller.as_deref().unwrap_or_default();
    let field = FieldPath::from("spec.controller");
    if controller.is_empty() {
        check.report(Code::Required, &field, "required value");
    } else if controller.len() > 250 || !controller.contains('/') {
        let text = format!("{controller:?} must be a domain-prefixed path of at most 250 bytes");
        check.report(Code::InvalidController, &field, text);
    }
    let default = class
        .metadata
        .annotations
        .get("ingressclass.kubernetes.io/is-default-class");
    Class {
        controller: controller.into(),
        is_default: default.is_some_and(|value| value == "true"),
    }
}
