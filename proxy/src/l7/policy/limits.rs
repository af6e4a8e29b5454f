//! Who asks too much (`ingress 2.4`: `limit-rps`, `limit-rpm`, `limit-connections`).
//!
//! What each client asked so far is kept by the Ingress's `limiter`, for all workers; here it is asked,
//! and the answer put into words.

use std::time::Instant;

use http::StatusCode;
use portico_config::model::Policy;

use super::{Declined, Visit, keep};
use crate::limiter::Permit;

/// Counts a request of a client that the limits are about; 429, or what settings say instead, where it
/// is over one.
pub(super) fn admit(
    policy: &Policy,
    visit: &Visit<'_>,
    now: Instant,
) -> Result<Option<Permit>, Declined> {
    let Some(limits) = &policy.limits else { return Ok(None) };
    if !limits.concern(visit.client) {
        return Ok(None);
    }
    let status = StatusCode::from_u16(limits.status).unwrap_or(StatusCode::TOO_MANY_REQUESTS);
    let refused = || keep(status).into();
    // A view has a limiter for each Ingress with limits: without one nobody is counted or let in.
    let limiter = visit.limiter.ok_or_else(refused)?;
    let permit = limiter.admit(limits, visit.client, now);
    permit.map(Some).ok_or_else(refused)
}
