//! What answers say to scripts of other origins, and the question that browsers ask before
//! (`ingress 2.4`: `enable-cors`).

use http::{HeaderValue, StatusCode};
use portico_config::model::{Cors, Grant, Policy};

use super::{Declined, Visit, keep};
use crate::l7::edits::Edits;

/// Answers OPTIONS of an origin that may ask; another's goes to the backend.
pub(super) fn preflight(policy: &Policy, visit: &Visit<'_>) -> Result<(), Declined> {
    let Some(cors) = &policy.cors else { return Ok(()) };
    match visit.method == "OPTIONS" && cors.grant(visit.origin).is_some() {
        true => Err(keep(StatusCode::NO_CONTENT).into()),
        false => Ok(()),
    }
}

/// The fields of every answer to an origin that may read it, in place of the backend's own.
pub(super) fn answer(cors: &Cors, origin: Option<&[u8]>, edits: &mut Edits) {
    let grant = cors.grant(origin);
    // Which answer this is depends on who asked, also where nothing is granted.
    if grant != Some(Grant::ToAny) {
        edits.add("Vary", HeaderValue::from_static("Origin"));
    }
    let Some(grant) = grant else { return };
    let allowed = match (grant, origin) {
        (Grant::ToOne, Some(origin)) => HeaderValue::from_bytes(origin).ok(),
        _ => Some(HeaderValue::from_static("*")),
    };
    let Some(allowed) = allowed else { return };
    edits.set("Access-Control-Allow-Origin", allowed);
    if cors.credentials {
        edits.set("Access-Control-Allow-Credentials", HeaderValue::from_static("true"));
    }
    let texts = [
        ("Access-Control-Allow-Methods", Some(&cors.methods)),
        ("Access-Control-Allow-Headers", Some(&cors.headers)),
        ("Access-Control-Expose-Headers", cors.exposed.as_ref()),
    ];
    for (name, text) in texts {
        if let Some(Ok(value)) = text.map(|text| HeaderValue::from_str(text)) {
            edits.set(name, value);
        }
    }
    edits.set("Access-Control-Max-Age", cors.max_age_seconds.into());
}
