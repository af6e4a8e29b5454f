//! Whether a request that got no answer, or not the one that was hoped for, is sent to another
//! endpoint (`http-proxy 5.9`, `ingress 2.4`: proxy-next-upstream).
//!
//! Pure: time is an argument. What may have been done already is done once, unless an annotation says
//! that it may be done twice; what the client has part of is never begun anew, which is the caller's
//! to see to.

use std::time::{Duration, Instant};

use portico_config::model::{Conditions, Retries};

use super::Facts;
use super::upload::Upload;
use crate::l7::failure::Failure;
use crate::l7::h2::backend::Unprocessed;
use crate::l7::pool::Stream;
use crate::upstream::Lead;

/// When one request is repeated.
#[derive(Clone, Copy, Debug)]
pub(super) struct Repeats {
    /// What an annotation says of it.
    after: Option<Conditions>,
    tries: usize,
    /// No repeat from then on.
    until: Option<Instant>,
    /// Whether it may be done twice.
    repeatable: bool,
}

/// What came of a request instead of an answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lost {
    failure: Failure,
    /// Whether the endpoint said nothing at all.
    silent: bool,
    /// Whether its connection had died at rest.
    stale: bool,
    /// Whether it was told nothing, or did nothing with what it was told.
    unsent: bool,
    /// Whether the endpoint was leaving its connection.
    left: bool,
    /// Whether it is no fault of the endpoint.
    pub(super) blameless: bool,
    /// Whether all that it was told is here.
    whole: bool,
}

impl Lost {
    /// `silent`: the endpoint said nothing; `reused`: the connection had been at rest;
    /// `stream` knows whether the endpoint did nothing with the request.
    pub(super) fn new(
        upload: &Upload,
        failure: Failure,
        (silent, reused): (bool, bool),
        stream: &mut Stream,
    ) -> Self {
        let unprocessed = stream.http2().and_then(|stream| stream.unprocessed());
        let untouched = unprocessed.is_some() && silent && upload.is_kept();
        let left = unprocessed == Some(Unprocessed::Left) && silent;
        let stale = left || (reused && silent && unprocessed.is_none());
        Self {
            failure,
            silent,
            stale,
            unsent: upload.is_unsent() || untouched,
            // How long a client waits is no measure of a backend.
            blameless: stale || unprocessed.is_some() || failure == Failure::Deadline,
            left,
            whole: upload.is_whole(),
        }
    }

    /// Whether the next endpoint is asked. A connection that had died at rest says nothing of its
    /// own: the same is asked again, as often as there are others for it in the pool, or a few times
    /// where it leaves them; `stale` counts that.
    pub(super) fn leads_on(self, stale: &mut usize) -> bool {
        *stale += usize::from(self.stale);
        !self.stale || (self.left && *stale > MAX_TRIES)
    }

    /// Whether a repeat costs no backend anything.
    pub(super) fn is_free(self) -> bool {
        self.stale || self.unsent
    }
}

/// The answers that are not passed on while another endpoint can be asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rejects {
    statuses: Conditions,
    until: Option<Instant>,
    /// Whether the budget has no room for a repeat.
    is_spent: bool,
}

impl Repeats {
    /// Of a request that came at `now`.
    pub(super) fn new(facts: &Facts, now: Instant) -> Self {
        let retries = facts.terms.as_ref().map(|terms| terms.policy.retries);
        let Retries { after, tries, timeout, .. } = retries.unwrap_or_default();
        let seconds = timeout.filter(|&seconds| seconds > 0);
        let until = seconds.and_then(|it| now.checked_add(Duration::from_secs(it.into())));
        let twice = after.is_some_and(|after| after.has(Conditions::NON_IDEMPOTENT));
        let is_front = facts.lead() == Lead::Front;
        let tries = if is_front { 1 } else { tries.map_or(MAX_TRIES, usize::from) };
        Self { after, tries, until, repeatable: facts.idempotent || twice }
    }

    /// How many endpoints are asked.
    pub(super) fn tries(&self) -> usize {
        self.tries
    }

    /// How many bytes of a body are kept to be sent again.
    pub(super) fn keeps(&self, facts: &Facts) -> usize {
        let streams = facts
            .terms
            .as_ref()
            .is_some_and(|terms| terms.policy.retries.streams);
        // Who speaks HTTP/2 may refuse a request of any kind and have done nothing with it.
        let again = self.repeatable || facts.speaks_http2();
        if again && !streams { MAX_KEPT_BYTES } else { 0 }
    }

    /// Whether another endpoint is asked where no connection could be made.
    pub(super) fn after_dial(&self, failure: Failure, now: Instant) -> bool {
        let condition = match failure {
            Failure::TimedOut => Conditions::TIMEOUT,
            Failure::Bad | Failure::NoEndpoint | Failure::Full => Conditions::ERROR,
            Failure::Deadline => return false,
        };
        self.is_in_time(now) && self.after.is_none_or(|after| after.has(condition))
    }

    /// Whether another one is asked where a connection was made and gave nothing.
    pub(super) fn after(&self, lost: Lost, now: Instant) -> bool {
        let said = |condition| self.after.is_some_and(|after| after.has(condition));
        let again = self.repeatable && lost.whole;
        let asks = match lost {
            Lost { failure: Failure::Deadline, .. } => return false,
            // Nobody had it: this is no repeat (`http-proxy 5.9`).
            Lost { stale: true, unsent, .. } => return unsent || again,
            Lost { failure: Failure::TimedOut, .. } => again && said(Conditions::TIMEOUT),
            Lost { unsent: true, .. } => self.after.is_none() || said(Conditions::ERROR),
            Lost { silent: true, .. } => again && (self.after.is_none() || said(Conditions::ERROR)),
            _ => again && said(Conditions::INVALID_HEADER),
        };
        asks && self.is_in_time(now)
    }

    /// Which answers are not passed on.
    pub(super) fn rejects(&self) -> Option<Rejects> {
        let statuses = self
            .after
            .filter(|after| after.has_statuses() && self.repeatable)?;
        Some(Rejects { statuses, until: self.until, is_spent: false })
    }

    fn is_in_time(&self, now: Instant) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

impl Rejects {
    /// The same, where the budget has room for a repeat or not.
    pub(super) fn within(self, has_room: bool) -> Self {
        Self { is_spent: !has_room, ..self }
    }

    /// Whether what it has is passed on for want of room.
    pub(super) fn is_spent(&self) -> bool {
        self.is_spent
    }

    /// Whether an answer with this status is one of them.
    pub(super) fn has(&self, status: http::StatusCode) -> bool {
        self.statuses.has_status(status.as_u16())
            && self.until.is_none_or(|until| Instant::now() < until)
    }
}

/// Of one request's body (`ingress 2.4`: proxy-request-buffering); up to a read more.
const MAX_KEPT_BYTES: usize = 64 << 10;
/// Endpoints asked for one request (`http-proxy 5.10`).
pub(super) const MAX_TRIES: usize = 3;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use portico_config::model::Policy;

    use super::*;
    use crate::l7::edits::Edits;
    use crate::l7::order::Terms;

    fn repeats(idempotent: bool, after: Option<&str>, timeout: Option<u32>) -> Repeats {
        let after = after.map(|text| Conditions::parse(text).unwrap());
        let retries = Retries { after, timeout, ..Retries::default() };
        let policy = Arc::new(Policy { retries, ..Policy::default() });
        let terms = Some(Box::new(Terms {
            policy,
            edits: Edits::default(),
            permit: None,
            secured: None,
            session: None,
            coding: None,
            copy: None,
            lead: Lead::Turn,
            page: None,
            is_aside: false,
        }));
        Repeats::new(&Facts { idempotent, terms, ..Facts::default() }, Instant::now())
    }

    #[test]
    fn what_is_lost_is_repeated_where_that_is_safe_or_asked_for() {
        let lost = |failure, silent, unsent, whole| {
            let (stale, left, blameless) = (false, false, false);
            Lost { failure, silent, stale, unsent, left, blameless, whole }
        };
        let stale = Lost { stale: true, ..lost(Failure::Bad, true, false, true) };
        let unsent = lost(Failure::Bad, true, true, true);
        let silent = lost(Failure::Bad, true, false, true);
        let partly = lost(Failure::Bad, true, false, false);
        let garbled = lost(Failure::Bad, false, false, true);
        let late = lost(Failure::TimedOut, false, false, true);
        let twice = "error timeout non_idempotent";
        for (case, idempotent, after, lost, want) in [
            ("nothing was sent", false, None, unsent, true),
            ("nothing was sent, off", false, Some("off"), unsent, false),
            ("no byte came back", true, None, silent, true),
            ("no byte came back, off", true, Some("off"), silent, false),
            ("a connection that rested, off", true, Some("off"), stale, true),
            ("a connection that rested, POST", false, None, stale, false),
            ("no byte came back, POST", false, None, silent, false),
            ("no byte came back, POST, asked for", false, Some(twice), silent, true),
            ("the body is gone", true, Some(twice), partly, false),
            ("no answer in time", true, None, late, false),
            ("no answer in time, asked for", true, Some("timeout"), late, true),
            ("no answer in time, POST", false, Some("timeout"), late, false),
            ("no HTTP", true, Some("error"), garbled, false),
            ("no HTTP, asked for", true, Some("invalid_header"), garbled, true),
        ] {
            let got = repeats(idempotent, after, None).after(lost, Instant::now());
            assert_eq!(got, want, "http-proxy 5.9, 5.10: {case}");
        }
    }

    #[test]
    fn dials_are_repeated_whatever_the_method_until_time_is_up() {
        let now = Instant::now();
        for (after, failure, want) in [
            (None, Failure::Bad, true),
            (None, Failure::TimedOut, true),
            (Some("error"), Failure::Bad, true),
            (Some("error"), Failure::TimedOut, false),
            (Some("timeout"), Failure::Bad, false),
            (Some("off"), Failure::Bad, false),
        ] {
            let got = repeats(false, after, None).after_dial(failure, now);
            assert_eq!(got, want, "ingress 2.4: {after:?} {failure:?}");
        }
        let short = repeats(true, None, Some(5));
        assert!(short.after_dial(Failure::Bad, now));
        assert!(!short.after_dial(Failure::Bad, now + Duration::from_secs(6)));
        assert!(repeats(true, None, Some(0)).after_dial(Failure::Bad, now), "0: any time");
    }

    #[test]
    fn answers_are_rejected_that_an_annotation_names() {
        let rejects = repeats(true, Some("http_503"), None).rejects().unwrap();
        assert!(rejects.has(http::StatusCode::SERVICE_UNAVAILABLE));
        assert!(!rejects.has(http::StatusCode::BAD_GATEWAY));
        for (idempotent, after) in [(true, None), (true, Some("error")), (false, Some("http_503"))]
        {
            assert!(repeats(idempotent, after, None).rejects().is_none(), "{after:?}");
        }
    }
}
