//! Guards that must wait for an answer before a request goes on: for the hash of a password, or for
//! what another service says.
//!
//! ```text
//! decide ─▶ Order │ Declined                     nothing to wait for
//!       └─▶ Pending { asks, then } ── grant ──▶ then │ Declined
//! ```
//!
//! Asked after the head was read and before an endpoint is chosen (`ingress 1.10`, step 8); what
//! becomes of the request otherwise is known by then, and told to nobody who may not come in.

use std::rc::Rc;

use http::StatusCode;
use portico_config::model::Policy;

use super::Worker;
use super::edits::Edits;
use super::external::{Asking, Granted, ServiceAsk};
use super::order::Order;
use super::pages::Page;
use super::passwords::PasswordAsk;
use super::policy::Declined;
use super::request::refuse;

impl Pending {
    /// Who must be asked, and what becomes of the request else.
    pub(crate) fn into_parts(self) -> (Vec<Ask>, Result<Order, Declined>) {
        (self.asks.asks, self.then)
    }
}

/// What must be known before a request goes on.
pub(crate) enum Ask {
    /// Whether a password is the stored one.
    Password(PasswordAsk),
    /// What another service says.
    Service(Box<ServiceAsk>),
}

/// What is to be asked about one request.
#[derive(Default)]
pub(crate) struct Asks {
    asks: Vec<Ask>,
    /// Whether one answer is enough (`satisfy: any`).
    any: bool,
    /// Who refused already; counts where nobody else grants.
    refused: Option<Declined>,
}

/// A request that goes on once it is granted.
pub(crate) struct Pending {
    asks: Asks,
    /// What is done to the answer of who is not let in.
    edits: Edits,
    /// Whose answer that is, if it is another's.
    page: Option<Rc<Page>>,
    /// What becomes of it else.
    then: Result<Order, Declined>,
}

impl Asks {
    /// Whether nothing is asked: the request goes its way at once.
    pub(crate) fn is_empty(&self) -> bool {
        self.asks.is_empty()
    }

    /// Holds back what would become of the request.
    pub(crate) fn hold(
        self,
        (edits, page): (Edits, Option<Rc<Page>>),
        then: Result<Order, Declined>,
    ) -> Pending {
        Pending { asks: self, edits, page, then }
    }

    /// Notes who refused: 401 says more than 403 (`ingress 2.5`: satisfy).
    fn refuse(&mut self, declined: Declined) {
        let said = self.refused.as_ref().map(|it| it.refused.status);
        if said != Some(StatusCode::UNAUTHORIZED) {
            self.refused = Some(declined);
        }
    }
}

impl Worker {
    /// What must be asked about a request before it goes on; an error: it does not. `outside` is what
    /// the lists say of its client, where credentials may outweigh them.
    pub(crate) fn asks(
        &self,
        policy: &Policy,
        asking: Asking<'_>,
        outside: Option<Declined>,
    ) -> Result<Asks, Declined> {
        let any = policy.any_suffices;
        let listed = outside.is_none() && !policy.allow.is_empty();
        if !policy.asks_credentials() || (any && listed) {
            return Ok(Asks::default());
        }
        // Who is asked and who serves might look at another one of them each.
        if asking.asked.fields.every("authorization").nth(1).is_some() {
            return Err(refuse(StatusCode::BAD_REQUEST).into());
        }
        let mut asks = Asks { any, refused: outside, ..Asks::default() };
        if let Some(basic) = &policy.basic {
            match self.credentials(basic, asking.asked) {
                Ok(None) if any => return Ok(Asks::default()),
                Ok(None) => {}
                Ok(Some(ask)) => asks.asks.push(Ask::Password(ask)),
                Err(declined) if any => asks.refuse(declined),
                Err(declined) => return Err(declined),
            }
        }
        if let Some(external) = &policy.external {
            let ask = ServiceAsk::new(external, self.via.line(), asking);
            asks.asks.push(Ask::Service(Box::new(ask)));
        }
        match asks.refused.take_if(|_| asks.asks.is_empty()) {
            Some(declined) => Err(declined),
            None => Ok(asks),
        }
    }

    /// Waits for what is asked; an error is the answer.
    pub(crate) async fn grant(&self, mut pending: Pending) -> Result<Order, Declined> {
        let page = pending.page.take();
        let granted = self.granted(pending).await;
        granted.map_err(|declined| declined.or_page(page.as_ref()))
    }

    async fn granted(&self, pending: Pending) -> Result<Order, Declined> {
        let Pending { mut asks, edits, mut then, .. } = pending;
        for ask in std::mem::take(&mut asks.asks) {
            let answer = match ask {
                Ask::Password(ask) => self.prove(ask).await.map(|()| Granted::default()),
                Ask::Service(ask) => self.refer(&ask).await,
            };
            match (answer, asks.any) {
                (Ok(granted), any) => {
                    granted.apply(&mut then);
                    if any {
                        return then;
                    }
                }
                (Err(declined), true) if is_refusal(&declined) => asks.refuse(declined),
                (Err(declined), _) => return Err(declined.with(edits)),
            }
        }
        match asks.refused {
            Some(declined) => Err(declined.with(edits)),
            None => then,
        }
    }
}

/// Whether somebody was told to stay outside, and not that nobody can say.
fn is_refusal(declined: &Declined) -> bool {
    [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN].contains(&declined.refused.status)
}
