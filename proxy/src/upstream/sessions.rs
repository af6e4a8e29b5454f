//! Sessions of Ingress: clients that return to their endpoint by what a cookie holds (`ingress 2.4`:
//! `affinity`).
//!
//! ```text
//! balanced     random number, mark of the port      number ─rendezvous─▶ endpoint
//! persistent   mark of port and endpoint            mark ─look up─▶ endpoint
//! ```
//!
//! Nothing is kept of a session: its cookie says all. Marks are made with a key that nobody else has
//! and that outlives restarts, so a cookie names no address, is of no use for another port, and is
//! good as long as its endpoint is there. Invariants: marks are made at a port's first session, once
//! for each view; a value that is none of ours leads nowhere.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use aws_lc_rs::hmac;
use portico_config::model::AffinityMode;

use super::choice::{Members, Upstream};
use super::port::Port;
use super::select::Lead;

/// What marks are made with.
#[derive(Clone)]
pub struct SessionKey(Arc<hmac::Key>);

impl SessionKey {
    /// With this secret; whoever has the same knows each other's cookies.
    pub fn new(secret: &[u8; 32]) -> Self {
        Self(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, secret)))
    }

    /// The mark of something; `kind` keeps marks apart that are for different things.
    fn mark(&self, kind: u8, texts: &[&[u8]]) -> u128 {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(&[kind]);
        for text in texts {
            context.update(text);
            context.update(&[0]);
        }
        let mut mark = [0; 16];
        for (to, from) in mark.iter_mut().zip(context.sign().as_ref()) {
            *to = *from;
        }
        u128::from_be_bytes(mark)
    }
}

impl Default for SessionKey {
    /// A key that nobody has: its cookies are good until the process ends.
    fn default() -> Self {
        let mut secret = [0; 32];
        // Without randomness there would be no TLS either; cookies are then as good as guessed.
        let _ = aws_lc_rs::rand::fill(&mut secret);
        Self::new(&secret)
    }
}

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionKey")
    }
}

/// What a port knows of its sessions.
#[derive(Debug)]
pub(super) struct Sessions {
    key: SessionKey,
    marks: OnceLock<Marks>,
}

#[derive(Debug)]
struct Marks {
    /// Of the port.
    port: u64,
    /// Of its endpoints, each with its place; sorted.
    endpoints: Box<[(u128, usize)]>,
}

impl Sessions {
    pub(super) fn new(key: &SessionKey) -> Self {
        Self { key: key.clone(), marks: OnceLock::new() }
    }
}

impl Port {
    /// Where the session leads that a cookie's value is of; none: it is of no session here.
    pub(crate) fn session(&self, mode: AffinityMode, value: &[u8]) -> Option<Lead> {
        let value = number(value)?;
        let marks = self.marks();
        match mode {
            AffinityMode::Balanced => {
                let (session, port) = halves(value);
                (port == marks.port).then_some(Lead::Number(session))
            }
            AffinityMode::Persistent => {
                let found = marks
                    .endpoints
                    .binary_search_by(|(mark, _)| mark.cmp(&value));
                let (_, at) = marks.endpoints.get(found.ok()?)?;
                Some(Lead::Place(*at))
            }
        }
    }

    /// The value of a session that leads where a number does.
    pub(crate) fn balanced_session(&self, session: u64) -> String {
        format!("{session:016x}{:016x}", self.marks().port)
    }

    /// The value of a session that leads to an endpoint.
    pub(crate) fn persistent_session(&self, upstream: &Upstream) -> String {
        format!("{:032x}", self.mark_of(upstream))
    }

    /// A number that leads to an endpoint, where one of a few that are drawn does.
    pub(crate) fn number_of(
        &self,
        upstream: &Upstream,
        now: Instant,
        mut random: impl FnMut() -> u64,
    ) -> Option<u64> {
        let members = self.session_members();
        let mut drawn = (0..MAX_DRAWS).map(|_| random());
        drawn.find(|number| {
            let place = members.place(*number, 0, now);
            place
                .and_then(|at| members.all.get(at))
                .is_some_and(|it| it.address == upstream.address)
        })
    }

    fn session_members(&self) -> &Members {
        &self.preferred().cluster
    }

    fn marks(&self) -> &Marks {
        self.sessions.marks.get_or_init(|| {
            let all = self.session_members().all.iter().enumerate();
            let mut endpoints: Vec<_> = all.map(|(at, it)| (self.mark_of(it), at)).collect();
            endpoints.sort_unstable();
            let (port, _) = halves(self.sessions.key.mark(PORT, &self.named()));
            Marks { port, endpoints: endpoints.into() }
        })
    }

    fn mark_of(&self, upstream: &Upstream) -> u128 {
        let [namespace, name, port] = self.named();
        let address = upstream.address.to_string();
        let texts = [namespace, name, port, address.as_bytes()];
        self.sessions.key.mark(ENDPOINT, &texts)
    }

    fn named(&self) -> [&[u8]; 3] {
        let id = &self.service_port.id;
        [id.service.namespace.as_bytes(), id.service.name.as_bytes(), id.name.as_bytes()]
    }
}

/// What 32 hex digits say, as we write them.
fn number(value: &[u8]) -> Option<u128> {
    let is_ours = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if value.len() != DIGITS || !value.iter().all(is_ours) {
        return None;
    }
    u128::from_str_radix(std::str::from_utf8(value).ok()?, 16).ok()
}

fn halves(value: u128) -> (u64, u64) {
    let low = u64::try_from(value & u128::from(u64::MAX)).unwrap_or(0);
    (u64::try_from(value >> 64).unwrap_or(0), low)
}

const PORT: u8 = b'p';
const ENDPOINT: u8 = b'e';
const DIGITS: usize = 32;
/// Of numbers that may lead to an endpoint.
const MAX_DRAWS: usize = 64;

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use portico_config::snapshot::Traffic;

    use super::super::port::tests::{caller, here, port};
    use super::super::registry::Registry;
    use super::*;

    const THREE: [(&str, &str); 3] =
        [("10.0.0.1:80", "n1"), ("10.0.0.2:80", "n1"), ("10.0.0.3:80", "n1")];

    /// The same endpoints as another process, or the next view, sees them.
    fn seen_by(key: &SessionKey, endpoints: &[(&str, &str)]) -> Port {
        let service_port = &port(Traffic::default(), endpoints).service_port;
        let mut registry = Registry::new(false, key.clone());
        Port::new(service_port, &here(), &mut registry, None)
    }

    fn first(port: &Port, lead: Lead) -> String {
        let first = port.choose(caller(), lead).next().unwrap();
        first.address.to_string()
    }

    #[test]
    fn a_persistent_session_is_good_while_its_endpoint_is_there() {
        let key = SessionKey::new(&[7; 32]);
        let old = seen_by(&key, &THREE);
        let more = [("10.0.0.0:80", "n1"), THREE[0], THREE[1], THREE[2]];
        let (grown, shrunk) = (seen_by(&key, &more), seen_by(&key, &THREE[..2]));
        let other = seen_by(&SessionKey::new(&[8; 32]), &THREE);
        for upstream in old.upstreams() {
            let address = upstream.address.to_string();
            let value = old.persistent_session(upstream);
            let led = |port: &Port| port.session(AffinityMode::Persistent, value.as_bytes());
            assert_eq!(first(&grown, led(&grown).unwrap()), address, "ingress 2.4: persistent");
            assert_eq!(led(&shrunk).is_some(), !address.starts_with("10.0.0.3"), "{address}");
            assert_eq!(led(&other), None, "another key");
            assert!(!value.contains(&address), "it names no address");
        }
    }

    #[test]
    fn a_balanced_session_is_good_for_its_port_and_moves_little() {
        let key = SessionKey::new(&[7; 32]);
        let (old, grown) = (seen_by(&key, &THREE[..2]), seen_by(&key, &THREE));
        let other = seen_by(&SessionKey::new(&[8; 32]), &THREE);
        let mut moved = 0;
        for session in 0..1_000_u64 {
            let value = old.balanced_session(session);
            let led = |port: &Port| port.session(AffinityMode::Balanced, value.as_bytes());
            let (before, after) =
                (first(&old, led(&old).unwrap()), first(&grown, led(&grown).unwrap()));
            assert!(before == after || after.starts_with("10.0.0.3"), "{before} {after}");
            moved += usize::from(before != after);
            assert_eq!(led(&other), None, "another key");
        }
        assert!((250..420).contains(&moved), "ingress 2.4: balanced: {moved}");
    }

    #[test]
    fn what_is_no_value_of_ours_leads_nowhere() {
        let port = seen_by(&SessionKey::new(&[7; 32]), &THREE);
        let good = port.balanced_session(5);
        let upper = good.to_ascii_uppercase();
        for value in ["", "5", "10.0.0.1:80", &good[1..], &format!("{good}0"), "+5", &upper] {
            for mode in [AffinityMode::Balanced, AffinityMode::Persistent] {
                let of_mode = value == upper && upper == good;
                assert!(of_mode || port.session(mode, value.as_bytes()).is_none(), "{value}");
            }
        }
        assert!(
            port.session(AffinityMode::Persistent, good.as_bytes())
                .is_none()
        );
    }

    #[test]
    fn a_number_is_found_for_every_endpoint() {
        let port = seen_by(&SessionKey::new(&[7; 32]), &THREE);
        let next = Cell::new(0);
        let random = || next.replace(next.get() + 1);
        for upstream in port.upstreams() {
            let number = port.number_of(upstream, caller().now, random).unwrap();
            assert_eq!(first(&port, Lead::Number(number)), upstream.address.to_string());
        }
    }
}
