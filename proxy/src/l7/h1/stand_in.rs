//! An answer in the place of an error of ours: what a page's own backend says of it, passed on like any
//! other (`ingress 2.5`: custom-http-errors).
//!
//! The page is asked as one request more, without the client's body; nobody stands in for who stands
//! in. Which errors have a page, and what it is told of them, is `pages`' to say.

use std::rc::Rc;
use std::time::Instant;

use http::StatusCode;

use super::Facts;
use super::framing::Length;
use super::persistence::After;
use super::repeat::Repeats;
use super::server::Connection;
use super::upload::Upload;
use crate::l7::edits::Edits;
use crate::l7::io::Downstream;
use crate::l7::pages::Page;
use crate::l7::watch::Phase;
use crate::upstream::Caller;

/// The status of an answer that another backend's takes the place of, and whether what the client
/// sends on is not read.
pub(super) type Instead = (StatusCode, bool);

impl<S: Downstream> Connection<S> {
    /// Passes on the answer that another backend gives in the place of one of `facts`' own.
    pub(super) async fn ask_instead(&mut self, (status, close): Instead, facts: &Facts) -> After {
        let edits = facts.edits().cloned().unwrap_or_default();
        // Whether it is replaced was asked before.
        match facts.page(status, false) {
            Some(page) => {
                let page = Rc::clone(page);
                self.stand_in(&page, (status, close), edits, facts).await
            }
            None => self.own(status, close, facts).await,
        }
    }

    /// Passes on what a page says in the place of an answer with this status; `close`: what the client
    /// sends on is not read.
    pub(super) async fn stand_in(
        &mut self,
        page: &Page,
        (status, close): Instead,
        edits: Edits,
        facts: &Facts,
    ) -> After {
        self.watch.renew(Phase::Waiting);
        let other = Facts {
            to_head: facts.to_head,
            old: facts.old,
            keep: facts.keep && !close,
            idempotent: true,
            terms: Some(page.terms(edits)),
            client: facts.client,
            ..Facts::default()
        };
        let client = facts.client.unwrap_or(self.from.client);
        let mut caller = Caller { client, now: Instant::now() };
        let repeats = Repeats::new(&other, caller.now);
        let mut upload = Upload::new(page.request(status), Length::Absent, false, 0);
        let answered = self
            .ask((&page.port, &mut upload), (&mut caller, &repeats), &other)
            .await;
        match (answered, close) {
            // Nobody stands in for who stands in.
            (Err(_), _) => After::Cut,
            (Ok(After::Close), true) => After::Linger,
            (Ok(after), _) => after,
        }
    }
}
