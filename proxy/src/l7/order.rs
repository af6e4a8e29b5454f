//! A request as a codec read it, and what was decided about it: the words between codecs and `decide`.
//!
//! ```text
//! Incoming ─decide─▶ Order │ Pending ─granted─▶ Order │ Query        beside it: Noted
//! ```
//!
//! An [`Order`] is all that a codec needs: whom to ask, with which head, and under which [`Terms`],
//! which a location without annotations does not have.

use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use portico_config::model::{Coding, Policy};

use super::access::Entry;
use super::asks::Pending;
use super::edits::Edits;
use super::forward::{Announced, Peer};
use super::mirror::Copied;
use super::pages::Page;
use super::policy;
use super::queries::Query;
use super::request::Asked;
use super::secured::Secured;
use super::session::Session;
use crate::ledger::Verb;
use crate::limiter::Permit;
use crate::upstream::{Lead, Port};
use crate::view::Rule;

/// A request as a codec read it.
pub(crate) struct Incoming<'a> {
    pub(crate) asked: Asked<'a>,
    /// The connection that it came over.
    pub(crate) from: &'a Peer,
    /// How its body is announced.
    pub(crate) body: Announced,
    /// Whether the client waits to be told to send its body.
    pub(crate) expects: bool,
    pub(crate) websocket: bool,
}

/// What is known of a request whatever becomes of it.
#[derive(Default)]
pub(crate) struct Noted {
    /// What the log says of it, where there is one.
    pub(crate) entry: Option<Box<Entry>>,
    /// The rule that was found for it.
    pub(crate) rule: Option<Arc<Rule>>,
    /// Its method, as far as methods are told apart.
    pub(crate) verb: Verb,
    /// What it is called where the client calls it nothing; zeros: nobody asked for a name yet.
    pub(crate) id: [u8; 32],
}

/// What becomes of a request that is not declined.
pub(crate) enum Decided {
    /// It goes to a backend.
    Order(Order),
    /// It goes there, or is declined, once somebody has been asked about it.
    Pending(Box<Pending>),
    /// It asks for a name, for this client.
    Query(Query, IpAddr),
}

/// A request that goes to a backend.
pub(crate) struct Order {
    /// Whose endpoints are asked.
    pub(crate) port: Arc<Port>,
    /// What they are sent before the body.
    pub(crate) head: Vec<u8>,
    /// For whom it is: the peer, or whom a trusted proxy names.
    pub(crate) client: IpAddr,
    /// What else is asked of the exchange; none where no annotation is about the location.
    pub(crate) terms: Option<Box<Terms>>,
}

impl Order {
    /// The longest body that it may have, where `usual` is what settings say.
    pub(crate) fn max_body_bytes(&self, usual: u64) -> u64 {
        policy::max_body_bytes(self.terms.as_ref().map(|terms| &*terms.policy), usual)
    }
}

/// What the annotations of a location ask of one exchange.
#[derive(Debug)]
pub(crate) struct Terms {
    /// All that is asked.
    pub(crate) policy: Arc<Policy>,
    /// What is done to its response.
    pub(crate) edits: Edits,
    /// Its place among those that its client may have in progress.
    pub(crate) permit: Option<Permit>,
    /// What its backend's connection must have been made with; none: in the clear.
    pub(crate) secured: Option<Rc<Secured>>,
    /// The client's session, where it has one.
    pub(crate) session: Option<Session>,
    /// In which coding its client has the response best, where it may be had in several.
    pub(crate) coding: Option<Coding>,
    /// Which endpoint is asked first.
    pub(crate) lead: Lead,
    /// What of it goes to another place too.
    pub(crate) copy: Option<Box<Copied>>,
    /// Who answers in the place of an error, if anybody does.
    pub(crate) page: Option<Rc<Page>>,
    /// Whether another backend than the location's is asked.
    pub(crate) is_aside: bool,
}
