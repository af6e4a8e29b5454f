//! What the rules that serve now say of one request: its location, or the alternative of that, and
//! what else is looked up in the view.
//!
//! Each look is one atomic load, and what is kept of the view are the `Arc`s of one request, so that a
//! reload touches nothing that goes on. What a handshake needs of the view, before there is a request,
//! `server_name` and `tls` look up. Which location matches is `route`'s, who gets a canary
//! `policy::canary`'s.

use std::net::IpAddr;
use std::sync::Arc;

use http::StatusCode;
use portico_config::model::{Balancing, ClientAuth, Policy, ServiceAddress};
use portico_config::snapshot::Canary;

use super::fields::Fields;
use super::forward::Peer;
use super::policy::{self, Declined};
use super::request::{Checked, Refused};
use super::{Worker, clients, route, session};
use crate::limiter::Limiter;
use crate::upstream::Port;
use crate::view::{Rule, Target};

/// Where a request goes, and what is asked of it before.
pub(super) struct Routed {
    pub(super) target: Target<Arc<Port>>,
    pub(super) policy: Option<Arc<Policy>>,
    /// Whether that is the alternative of its location.
    pub(super) canary: Option<Arc<Canary>>,
    /// What its host asks of clients' certificates, where it came without TLS.
    pub(super) unproven: Option<Arc<ClientAuth>>,
    /// What it is called where the client calls it nothing.
    pub(super) request_id: [u8; 32],
    /// The rule that was found for it.
    pub(super) rule: Option<Arc<Rule>>,
}

impl Routed {
    /// How its endpoint is chosen.
    pub(super) fn balancing(&self) -> Option<&Balancing> {
        let of_canary = self.canary.as_ref().map(|canary| &canary.balancing);
        of_canary.or_else(|| self.policy.as_ref().map(|policy| &policy.balancing))
    }
}

impl Worker {
    /// Where a request goes now, and what is asked of it before.
    pub(super) fn locate(
        &self,
        checked: &Checked<'_>,
        fields: Fields<'_>,
        from: &Peer,
    ) -> Result<Routed, Declined> {
        let none = || Refused { status: StatusCode::NOT_FOUND, close: false };
        let mut view = self.view.borrow_mut();
        let view = view.load();
        let host = route::find_host(&view.routes, &checked.host).ok_or_else(none)?;
        let unproven = clients::admit(host, from)?;
        let (target, policy, canary, rule) = route::within(host, &checked.path).ok_or_else(none)?;
        let (policy, rule) = (policy.map(Arc::clone), rule.map(Arc::clone));
        let target = view.resolve(target);
        let request_id = self.request_id();
        if let Some(canary) = canary
            && let Target::Port(port) = view.resolve(&canary.target)
            && !port.upstreams().is_empty()
            && self.takes(&canary.of, (policy.as_deref(), &target), &port, fields)
        {
            let rule = Some(Arc::clone(&canary.rule));
            let canary = Some(Arc::clone(&canary.of));
            return Ok(Routed {
                target: Target::Port(port),
                policy,
                canary,
                unproven,
                request_id,
                rule,
            });
        }
        Ok(Routed { target, policy, canary: None, unproven, request_id, rule })
    }

    /// Whether a request is for the alternative of its location, whose port is `port`: who was served
    /// by one of both stays there.
    fn takes(
        &self,
        canary: &Canary,
        main: (Option<&Policy>, &Target<Arc<Port>>),
        port: &Port,
        fields: Fields<'_>,
    ) -> bool {
        stays(canary, main, port, fields)
            .unwrap_or_else(|| policy::takes_canary(&canary.rule, fields, || self.draw()))
    }

    /// Whether the rules name a host.
    pub(super) fn has_host(&self, host: &str) -> bool {
        let mut view = self.view.borrow_mut();
        route::has_host(&view.load().routes, host)
    }

    /// The port of a Service that a policy names.
    pub(super) fn service(&self, address: &ServiceAddress) -> Option<Arc<Port>> {
        let mut view = self.view.borrow_mut();
        view.load().service(address).map(Arc::clone)
    }

    /// What clients asked of the Ingress of a policy with limits.
    pub(super) fn limiter(&self, policy: &Policy) -> Option<Arc<Limiter>> {
        let limits = policy.limits.as_ref()?;
        let mut view = self.view.borrow_mut();
        view.load().limiter(&limits.ingress).map(Arc::clone)
    }

    /// Whether a peer is a trusted proxy now.
    pub(super) fn trusts(&self, peer: IpAddr) -> bool {
        self.view.borrow_mut().load().trusts(peer)
    }

    /// Takes the view that serves now and lets the one before go.
    pub(crate) fn renew_view(&self) {
        self.view.borrow_mut().load();
    }
}

/// Whether who was served before by the alternative of a location, or by its main backend, stays there;
/// none: nobody knows of that.
pub(super) fn stays(
    canary: &Canary,
    (policy, target): (Option<&Policy>, &Target<Arc<Port>>),
    port: &Port,
    fields: Fields<'_>,
) -> Option<bool> {
    let affinity = policy.and_then(|policy| policy.balancing.affinity.as_ref());
    let affinity = affinity.filter(|_| !canary.rule.forgets);
    let main = match target {
        Target::Port(main) => Some(&**main),
        Target::Missing | Target::Resource => None,
    };
    affinity.and_then(|affinity| session::stays(affinity, fields, (main, port)))
}
