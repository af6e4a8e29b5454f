//! Fields that owners of an Ingress set themselves (`ingress 2.1`: `portico.dev/request-headers`,
//! `portico.dev/response-headers`; `ingress 2.4`: `custom-headers`).

use http::HeaderValue;
use portico_config::model::Policy;

use super::{Visit, render};
use crate::l7::edits::Edits;
use crate::l7::forward::line;

/// The lines that a backend gets beside the client's.
pub(crate) fn request_lines(policy: &Policy, visit: &Visit<'_>) -> Vec<u8> {
    let mut lines = Vec::new();
    for (name, value) in &policy.request_fields.set {
        line(&mut lines, name.as_bytes(), render(value, visit).as_bytes());
    }
    lines
}

/// What is done to every answer.
pub(super) fn answer(policy: &Policy, visit: &Visit<'_>, edits: &mut Edits) {
    for (name, value) in &*policy.custom_fields {
        if let Ok(value) = HeaderValue::from_str(value) {
            edits.set(name.to_string(), value);
        }
    }
    for name in &policy.response_fields.removed {
        edits.remove(name.to_string());
    }
    for (name, value) in &policy.response_fields.set {
        if let Ok(value) = HeaderValue::try_from(render(value, visit)) {
            edits.set(name.to_string(), value);
        }
    }
}
