//! What annotations say of their own place: `$namespace`, `$ingress_name`, `$service_name` and
//! `$service_port` (`ingress 2.3`).
//!
//! Pure. They are the same for every request to a path, so that they become text here and cost a request
//! nothing.

use std::sync::Arc;

use crate::model::{ObjectName, Policy, Template, Variable};
use crate::validate::{BackendPort, BackendRef};

/// A path of an Ingress.
pub(super) struct Place<'a> {
    /// Whose it is.
    pub(super) ingress: &'a ObjectName,
    /// What stands behind it.
    pub(super) backend: &'a BackendRef,
}

impl Place<'_> {
    fn text(&self, variable: &Variable) -> Option<Box<str>> {
        let (service, port) = match self.backend {
            BackendRef::Service { name, port: BackendPort::Name(port) } => {
                (&**name, port.to_string())
            }
            BackendRef::Service { name, port: BackendPort::Number(port) } => {
                (&**name, port.to_string())
            }
            BackendRef::Resource => ("", String::new()),
        };
        Some(match variable {
            Variable::Namespace => (*self.ingress.namespace).into(),
            Variable::IngressName => (*self.ingress.name).into(),
            Variable::ServiceName => service.into(),
            Variable::ServicePort => port.into(),
            _ => return None,
        })
    }

    /// What is asked of requests for this place.
    pub(super) fn fill(&self, policy: &Policy) -> Arc<Policy> {
        let mut policy = policy.clone();
        let filled = |template: &mut Template| *template = template.with(|it| self.text(it));
        let alone = [
            &mut policy.app_root,
            &mut policy.rewrite,
            &mut policy.forwarded_prefix,
            &mut policy.upstream_host,
            &mut policy.backend_name,
        ];
        alone.into_iter().flatten().for_each(filled);
        if let Some(redirect) = &mut policy.redirect {
            filled(&mut redirect.location);
        }
        for fields in [&mut policy.request_fields, &mut policy.response_fields] {
            fields.set.iter_mut().for_each(|(_, value)| filled(value));
        }
        if let Some(hash) = &mut policy.balancing.hash {
            filled(&mut Arc::make_mut(hash).by);
        }
        if let Some(external) = &mut policy.external {
            let external = Arc::make_mut(external);
            filled(&mut external.target);
            external.redirect.iter_mut().for_each(filled);
            external
                .sign_in
                .iter_mut()
                .for_each(|sign_in| filled(&mut sign_in.url));
        }
        Arc::new(policy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::FieldEdits;

    #[test]
    fn what_is_the_same_for_every_request_is_text() {
        let ingress = ObjectName::new("shop", "web");
        let service = |port| BackendRef::Service { name: "cart".into(), port };
        let text = "$namespace/$ingress_name $service_name:$service_port $host";
        let set: Box<[_]> = Box::new([("x-place".into(), Template::phrase(text).unwrap())]);
        let response_fields = FieldEdits { removed: Box::default(), set };
        let policy = Policy { response_fields, ..Policy::default() };
        for (backend, want) in [
            (service(BackendPort::Number(80)), "shop/web cart:80 ${host}"),
            (service(BackendPort::Name("http".into())), "shop/web cart:http ${host}"),
            (BackendRef::Resource, "shop/web : ${host}"),
        ] {
            let filled = Place { ingress: &ingress, backend: &backend }.fill(&policy);
            let (_, value) = &filled.response_fields.set[0];
            assert_eq!(value.to_string(), want, "ingress 2.3");
        }
    }
}
