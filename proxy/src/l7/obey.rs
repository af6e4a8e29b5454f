//! What annotations ask of one request, step after step in the order of `ingress 1.10`.
//!
//! ```text
//! judge: let in, redirect ─▶ asks: who must be asked ─▶ rewrite ─▶ head, TLS, endpoint, coding, copy
//! ```
//!
//! A location without annotations never comes here. What each step does is `policy`'s; here they are
//! taken, and what comes of them is kept for the order.

use std::rc::Rc;

use portico_config::model::{Balancing, Coding, Policy, Template};

use super::Worker;
use super::asks::Asks;
use super::coding;
use super::edits::Edits;
use super::external::Asking;
use super::order::Incoming;
use super::policy::{self, Declined, Visit};
use super::request::Checked;
use super::secured::Secured;
use super::trust::Seen;
use crate::limiter::Permit;
use crate::upstream::Lead;

/// What annotations ask of the head that goes to a backend, and of the way there.
#[derive(Default)]
pub(super) struct Wanted {
    /// Its Host.
    pub(super) host: Option<String>,
    /// Its `X-Forwarded-Prefix`.
    pub(super) prefix: Option<String>,
    /// Its path.
    pub(super) path: Option<String>,
    /// Lines beside the client's.
    pub(super) lines: Vec<u8>,
    /// Its place among those that its client may have in progress.
    pub(super) permit: Option<Permit>,
    /// What its backend's connection must be made with; none: in the clear.
    pub(super) secured: Option<Rc<Secured>>,
    /// In which coding its client has the response best.
    pub(super) coding: Option<Coding>,
    /// Path and query of its copy.
    pub(super) mirrored: Option<String>,
    /// Which endpoint is asked first, where no session says that.
    pub(super) lead: Lead,
}

impl Worker {
    /// Takes the steps that annotations ask for; an error is the answer.
    pub(super) fn obey(
        &self,
        (policy, balancing): (&Policy, Option<&Balancing>),
        (incoming, seen, request_id): (&Incoming<'_>, Seen<'_>, &[u8]),
        checked: &Checked<'_>,
        (edits, asks): (&mut Edits, &mut Asks),
    ) -> Result<Wanted, Declined> {
        let Incoming { asked, from, .. } = incoming;
        let client = (seen.client, seen.tls);
        let limiter = self.limiter(policy);
        let outside = seen.authority.and_then(|it| checked.seen_as(it));
        let outside = Visit {
            method: asked.method,
            fields: Some(asked.fields),
            request_id,
            server_port: from.listener.port(),
            origin: policy
                .cors
                .as_ref()
                .and_then(|_| asked.fields.first("origin")),
            limiter: limiter.as_ref(),
            ..Visit::new(client, outside.as_ref().unwrap_or(checked), policy)
        };
        *edits = policy::edits(policy, &outside);
        let permit = policy::judge(policy, &outside)?;
        if policy.asks_credentials() {
            let asking = Asking { asked, from, visit: &outside, request_id };
            *asks = self.asks(policy, asking, policy::outside(policy, &outside))?;
            policy::moved(policy, &outside)?;
        }
        let visit = Visit {
            method: asked.method,
            fields: Some(asked.fields),
            request_id,
            server_port: from.listener.port(),
            ..Visit::new(client, checked, policy)
        };
        let path = policy::rewrite(policy, &visit)?;
        let render = |template: &Template| policy::render(template, &visit);
        let host = policy.upstream_host.as_ref().map(render);
        let prefix = policy.forwarded_prefix.as_ref().map(render);
        let secured = Secured::of(policy, seen.tls, || {
            let asked = || {
                host.clone()
                    .or_else(|| checked.authority.map(str::to_owned))
            };
            policy.backend_name.as_ref().map(render).or_else(asked)
        });
        let lead = balancing.map_or(Lead::Turn, |balancing| policy::lead(balancing, &visit));
        let lines = policy::request_lines(policy, &visit);
        let coding = policy.compression.as_ref();
        let coding = coding.and_then(|it| coding::wanted(it, asked.fields));
        let mirrored = policy.mirror.as_ref().map(|mirror| render(&mirror.target));
        Ok(Wanted { host, prefix, path, lines, permit, secured, coding, mirrored, lead })
    }
}
