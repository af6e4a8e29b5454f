//! Where a request of portico's own goes, for a guard or as a copy: to a Service, by the rules of an
//! Ingress, or to a host outside (`ingress 6.7`).
//!
//! Invariants: an address that may not be dialed is not; a request that goes by own rules is held to
//! all that they ask, and each round is seen in `Via`, so rounds end.

use std::net::IpAddr;
use std::rc::Rc;

use portico_config::model::AuthPlace;

use super::Worker;
use super::fields::Fields;
use super::forward::{Announced, Peer};
use super::h1::head;
use super::h1::inquiry::{Inquiry, Reply};
use super::order::{Decided, Incoming, Noted};
use super::policy::Declined;
use super::request::Asked;
use super::secured::Secured;

/// A request and where it goes.
pub(crate) struct Errand<'a> {
    /// The whole request.
    pub(crate) request: &'a [u8],
    pub(crate) place: &'a AuthPlace,
    /// Whether TLS is spoken outside.
    pub(crate) tls: bool,
    /// Whether settings list its host.
    pub(crate) listed: bool,
    /// Whether a certificate outside is verified.
    pub(crate) verifies: bool,
    /// The host of its URL, without port.
    pub(crate) host: &'a str,
    /// Lines that our own rules take away, which it has all the same.
    pub(crate) original: &'a [u8],
    pub(crate) client: IpAddr,
    /// Which of our addresses the client came to.
    pub(crate) local: IpAddr,
    /// Whether its method is HEAD.
    pub(crate) to_head: bool,
    /// Whether it may arrive twice.
    pub(crate) idempotent: bool,
    /// Fields of the answer that are kept.
    pub(crate) wanted: &'a [Box<str>],
}

impl<'a> Errand<'a> {
    fn inquiry<'b>(&'b self, head: &'b [u8], secured: Option<Rc<Secured>>) -> Inquiry<'b> {
        let Self { to_head, idempotent, wanted, .. } = *self;
        Inquiry { head, secured, http2: false, to_head, idempotent, wanted }
    }
}

impl Worker {
    /// Runs an errand; none: there is no answer.
    pub(super) async fn run(&self, errand: &Errand<'_>) -> Option<Reply> {
        let own = |host: &str| self.has_host(host);
        match errand.place {
            AuthPlace::Service(address) => {
                let port = self.service(address)?;
                let secured = self.secured_to(errand).await?;
                let inquiry = errand.inquiry(errand.request, secured);
                self.inquire(&port, errand.client, &inquiry).await
            }
            AuthPlace::Host(host, _) if own(host) => self.by_own_rules(errand).await,
            AuthPlace::Host(host, port) => {
                let addresses = self.outside.addresses((host, *port), errand.listed);
                let addresses = addresses.await?;
                let forbidden = self.metrics.forbidden.get();
                if forbidden.is_some_and(|it| addresses.iter().any(|address| it.has(*address))) {
                    return None;
                }
                let secured = self.secured_to(errand).await?;
                let inquiry = errand.inquiry(errand.request, secured);
                self.inquire_any(&addresses, &inquiry).await
            }
            AuthPlace::OwnHost if own(errand.host) => self.by_own_rules(errand).await,
            // A client's word must not say who is asked about it.
            AuthPlace::OwnHost => None,
        }
    }

    /// Asks whom the rules of an Ingress say, with all that they ask in turn.
    async fn by_own_rules(&self, errand: &Errand<'_>) -> Option<Reply> {
        let (decided, body) = self.decide_on(errand)?;
        let granted = match decided {
            Ok(Decided::Order(order)) => Ok(order),
            // Each round is seen in Via, so they end.
            Ok(Decided::Pending(pending)) => Box::pin(self.grant(*pending)).await,
            Ok(Decided::Query(..)) => return None,
            Err(declined) => Err(declined),
        };
        let mut order = match granted {
            Ok(order) => order,
            Err(declined) => return Some(Reply::of(&declined)),
        };
        insert(&mut order.head, errand.original);
        order.head.extend_from_slice(body);
        let secured = order.terms.as_ref().and_then(|it| it.secured.clone());
        let mut inquiry = errand.inquiry(&order.head, secured);
        inquiry.http2 = order
            .terms
            .as_ref()
            .is_some_and(|it| it.policy.backend_http2);
        self.inquire(&order.port, errand.client, &inquiry).await
    }

    /// What becomes of a request like others, and its body.
    fn decide_on<'a>(&self, errand: &Errand<'a>) -> Option<(Result<Decided, Declined>, &'a [u8])> {
        let mut lines = Vec::new();
        let head = head::request(errand.request, &mut lines).ok()??;
        let (fields, body) = errand.request.split_at_checked(head.end)?;
        let fields = Fields::new(fields, &lines);
        let asked = Asked { method: head.method, target: head.target, old: false, fields };
        let from = Peer::new(errand.client, (errand.local, 0).into(), errand.tls);
        let announced = match body.len() as u64 {
            0 => Announced::Nothing,
            bytes => Announced::Length(bytes),
        };
        let incoming =
            Incoming { asked, from: &from, body: announced, expects: false, websocket: false };
        Some((self.decide(&incoming, &mut Noted::default()), body))
    }

    /// How a connection must be made; none: it cannot be.
    async fn secured_to(&self, errand: &Errand<'_>) -> Option<Option<Rc<Secured>>> {
        if !errand.tls {
            return Some(None);
        }
        let tls = self.outside.tls(errand.verifies).await?;
        let name = errand.host.parse::<IpAddr>().is_err();
        Some(Some(Rc::new(Secured::new(tls, name.then(|| errand.host.into())))))
    }
}

/// Puts lines before the end of a head.
pub(super) fn insert(head: &mut Vec<u8>, lines: &[u8]) {
    if !lines.is_empty() && head.ends_with(b"\r\n\r\n") {
        head.truncate(head.len() - 2);
        head.extend_from_slice(lines);
        head.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_put_before_the_end_of_a_head() {
        let mut head = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec();
        insert(&mut head, b"X-User: ann\r\n");
        assert_eq!(head, b"GET / HTTP/1.1\r\nHost: a\r\nX-User: ann\r\n\r\n");
        insert(&mut head, b"");
        assert!(head.ends_with(b"ann\r\n\r\n"));
    }
}
