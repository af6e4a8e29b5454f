//! Where one request goes, and what is said if it goes nowhere; the same for every codec.
//!
//! ```text
//! check ─▶ a question for the resolver? ─▶ loops ─▶ locate ─▶ obey ─▶ head for the backend ─▶ Order
//! ```
//!
//! Decided before a byte is sent on, and without waiting: who must be waited for is in `Pending`. No
//! socket is looked at, so [`explain`](super::explain) goes the same way.

use std::borrow::Cow;
use std::rc::Rc;
use std::sync::Arc;

use http::StatusCode;
use portico_config::model::Policy;

use super::Worker;
use super::asks::Asks;
use super::clients;
use super::edits::Edits;
use super::forward::{self, Added, Announced};
use super::locate::Routed;
use super::obey::Wanted;
use super::order::{Decided, Incoming, Noted, Order, Terms};
use super::pages::{self, Page};
#[cfg(test)]
use super::panics::provoked;
use super::policy::{self, Declined};
use super::request::{Checked, Refused, check, refuse};
use super::session::Session;
use super::trust::Seen;
use crate::upstream::Port;
use crate::view::Target;

impl Worker {
    /// What becomes of a request; the same for every codec.
    pub(crate) fn decide(
        &self,
        incoming: &Incoming<'_>,
        noted: &mut Noted,
    ) -> Result<Decided, Declined> {
        let checked = check(&incoming.asked)?;
        match self.queries.of(incoming, &checked) {
            Some(query) => {
                let told = self.told(incoming);
                let client = Seen::new(incoming.from, told.as_ref()).client;
                query.map(|query| Decided::Query(query, client))
            }
            None => self.routed(incoming, checked, noted),
        }
    }

    /// Where a request goes, and with which head.
    fn routed(
        &self,
        incoming: &Incoming<'_>,
        checked: Checked<'_>,
        noted: &mut Noted,
    ) -> Result<Decided, Declined> {
        let Incoming { asked, .. } = incoming;
        if forward::names_too_much(asked.fields) {
            return Err(refuse(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE).into());
        }
        if self.via.seen(asked.fields) >= MAX_PASSES {
            return Err(refuse(StatusCode::LOOP_DETECTED).into());
        }
        let mut routed = self.locate(&checked, asked.fields, incoming.from)?;
        noted.rule = routed.rule.take();
        if let Some(id) = noted.entry.as_ref().and_then(|entry| entry.own_id()) {
            routed.request_id = id;
        }
        noted.id = routed.request_id;
        #[cfg(test)]
        provoked::reach(provoked::Point::Deciding);
        let unproven = routed.unproven.take();
        let (mut edits, mut asks) = <(Edits, Asks)>::default();
        let page = self.page(incoming, &checked, &routed);
        let to = (routed, page.as_ref());
        let mut ordered = self.order(incoming, checked, to, (&mut edits, &mut asks));
        // Who has come without TLS is sent there, or nowhere.
        if let Some(auth) = unproven
            && ordered.is_ok()
        {
            ordered = Err(clients::unproven(&auth));
        }
        if asks.is_empty() {
            return ordered
                .map(Decided::Order)
                .map_err(|declined| declined.with(edits).or_page(page.as_ref()));
        }
        let then = ordered.map_err(|declined| declined.with(edits.clone()).or_page(page.as_ref()));
        Ok(Decided::Pending(Box::new(asks.hold((edits, page), then))))
    }

    /// The order for a request whose location is known; `edits` are done to the answer, whoever
    /// gives it, and `asks` come before it is given.
    fn order(
        &self,
        incoming: &Incoming<'_>,
        checked: Checked<'_>,
        (routed, page): (Routed, Option<&Rc<Page>>),
        (edits, asks): (&mut Edits, &mut Asks),
    ) -> Result<Order, Declined> {
        let Incoming { asked, from, .. } = incoming;
        let told = self.told(incoming);
        let told = told.as_ref();
        let seen = Seen::new(from, told);
        let request_id = routed.request_id;
        let policy = routed.policy.as_ref().map(Arc::clone);
        let balancing = routed.balancing();
        let asking = (incoming, seen, &request_id[..]);
        let Wanted { host, prefix, path, lines, permit, secured, coding, mirrored, lead } =
            match &policy {
                Some(policy) => self.obey((policy, balancing), asking, &checked, (edits, asks))?,
                None => Wanted::default(),
            };
        self.fits(incoming, policy.as_deref())?;
        let affinity = balancing.filter(|it| !it.by_service);
        let affinity = affinity.and_then(|it| it.affinity.as_ref().map(Arc::clone));
        let (port, stands_in) = place(routed.target, page)?;
        let path = path.map_or(checked.path, Cow::Owned);
        let checked = Checked { path, ..checked };
        let added = Added {
            incoming,
            via: &self.via,
            told,
            request_id,
            host: host.as_deref(),
            prefix: prefix.as_deref(),
            lines: &lines,
            closes: policy.as_ref().is_some_and(|policy| policy.backend_closes),
            withheld: match &stands_in {
                Some((page, _)) => page.withheld(),
                None => policy.as_ref().map_or(&[], |policy| &policy.withheld),
            },
            http2: stands_in.is_none() && policy.as_ref().is_some_and(|it| it.backend_http2),
        };
        let mut head = self.scratch.take();
        forward::to_upstream(&mut head, &checked, &added);
        if let Some((page, target)) = &stands_in {
            pages::tell(&mut head, (page, target), incoming);
        }
        let edits = if asks.is_empty() { std::mem::take(edits) } else { edits.clone() };
        let session = affinity.map(|affinity| {
            let came = (asked.fields, seen.tls);
            Session::of(&affinity, &port, came, || self.next_random())
        });
        let lead = session.as_ref().map_or(lead, Session::lead);
        let copy = mirrored.and_then(|path| {
            let mirror = policy.as_ref()?.mirror.as_ref()?;
            self.copied((mirror, path), checked.authority, &added)
        });
        let terms = policy.map(|policy| match stands_in {
            Some(_) => Terms { permit, copy, ..Terms::aside(&policy, edits) },
            None => {
                let (page, is_aside) = (page.map(Rc::clone), false);
                Terms {
                    policy,
                    edits,
                    permit,
                    secured,
                    session,
                    coding,
                    lead,
                    copy,
                    page,
                    is_aside,
                }
            }
        });
        Ok(Order { port, head, client: seen.client, terms: terms.map(Box::new) })
    }

    /// Whether a body of the length that a request announces may come.
    fn fits(&self, incoming: &Incoming<'_>, policy: Option<&Policy>) -> Result<(), Declined> {
        let most = policy::max_body_bytes(policy, self.door.max_body_bytes);
        match incoming.body {
            Announced::Length(bytes) if bytes > most => {
                Err(refuse(StatusCode::PAYLOAD_TOO_LARGE).into())
            }
            _ => Ok(()),
        }
    }
}

/// Whose endpoints are asked: those of `target`, or of who stands in where it has none.
fn place(
    target: Target<Arc<Port>>,
    page: Option<&Rc<Page>>,
) -> Result<(Arc<Port>, StandsIn<'_>), Declined> {
    let kept = |status| Declined::from(Refused { status, close: false });
    match (target, page.filter(|page| page.stands_in())) {
        (Target::Resource, _) => Err(kept(StatusCode::NOT_FOUND)),
        (Target::Missing, None) => Err(kept(StatusCode::SERVICE_UNAVAILABLE)),
        (Target::Port(port), None) => Ok((port, None)),
        (Target::Port(port), Some(_)) if !port.upstreams().is_empty() => Ok((port, None)),
        (target, Some(page)) => Ok((Arc::clone(&page.port), Some((page, target)))),
    }
}

/// Who stands in for whom.
type StandsIn<'a> = Option<(&'a Rc<Page>, Target<Arc<Port>>)>;

/// Own instance in `Via` as often as this: the request goes round (`http-proxy 1.5`).
const MAX_PASSES: usize = 3;
