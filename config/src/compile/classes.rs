//! Whose each Ingress is (`ingress 1.7`): by the IngressClass that it names, by the name alone where there is
//! no such object, by the default class where it names none, and by the settings.
//!
//! Invariant: of what is left to another controller nothing is said but that, and why.

use std::sync::Arc;

use super::ingress::Owned;
use super::{Objects, finding};
use crate::diagnostic::{Code, Diagnostic};
use crate::location::FieldPath;
use crate::model::Settings;
use crate::snapshot::Left;
use crate::validate::{InUse, Ingress, Kind};

/// The Ingresses that portico serves, in object order.
pub(super) fn owned<'a>(
    objects: &'a Objects,
    settings: &Settings,
    diagnostics: &mut Vec<Diagnostic>,
) -> Vec<Owned<'a>> {
    let classes = Classes::new(objects, settings);
    if let [_, second, ..] = classes.defaults[..] {
        let text = "more than one IngressClass is the default: none is used";
        diagnostics.push(finding(Code::DefaultClasses, second, "metadata.annotations", text));
    }
    let mut owned = Vec::new();
    for object in objects.ingresses.values() {
        let Kind::Ingress(ingress) = &object.valid.kind else { continue };
        if classes.left(ingress).is_none() {
            owned.push((&**object, &**ingress));
        } else {
            let class = ingress.class.as_deref().unwrap_or("none");
            let text = format!("is left to another controller: its class is {class}");
            let field = FieldPath::from("spec.ingressClassName");
            diagnostics.push(finding(Code::NotOurClass, object, field, text));
        }
    }
    owned
}

/// What decides.
pub(super) struct Classes<'a> {
    objects: &'a Objects,
    settings: &'a Settings,
    /// Classes that call themselves the default.
    defaults: Vec<&'a InUse>,
}

impl<'a> Classes<'a> {
    pub(super) fn new(objects: &'a Objects, settings: &'a Settings) -> Self {
        let is_default = |object: &&'a Arc<InUse>| matches!(&object.valid.kind, Kind::Class(class) if class.is_default);
        let defaults = objects.classes.values().filter(is_default);
        Self { objects, settings, defaults: defaults.map(|object| &**object).collect() }
    }

    /// To whom an Ingress is left; none: it is portico's.
    pub(super) fn left(&self, ingress: &Ingress) -> Option<Left> {
        let nobody = |why: String| Some(Left { to: None, why: why.into() });
        match &ingress.class {
            Some(name) => match self.objects.classes.get(&**name) {
                Some(class) => self.by_controller(class),
                None if self.settings.class_names.contains(name) => None,
                None => nobody(format!(
                    "there is no IngressClass {name}, and ingress.classNames does not list it"
                )),
            },
            None => match self.defaults[..] {
                [class] => self.by_controller(class),
                _ if self.settings.serve_classless => None,
                _ => nobody("it has no class, and ingress.serveClassless is false".to_owned()),
            },
        }
    }

    fn by_controller(&self, object: &InUse) -> Option<Left> {
        let Kind::Class(class) = &object.valid.kind else { return None };
        let controller = &class.controller;
        if self.settings.controllers.contains(controller) {
            return None;
        }
        let which = if class.is_default { "the default IngressClass" } else { "IngressClass" };
        let name = &object.valid.name.name;
        let why =
            format!("{which} {name} is for {controller}, which ingress.controllers does not list");
        Some(Left { to: Some(Arc::clone(controller)), why: why.into() })
    }
}
