//! What is done to the fields of one response, whether a backend gave it or we did.
//!
//! Invariants: a value cannot end its line, since it is a [`HeaderValue`]; names are tokens, from
//! the configuration's checks or from this source, and never those that frame a message or are about
//! one connection.

use std::borrow::Cow;
use std::sync::Arc;

use http::{HeaderValue, StatusCode};
use portico_config::model::Rewrites;

/// Fields to take out of a response, and fields to put in.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Edits {
    removed: Vec<Cow<'static, str>>,
    added: Vec<(Cow<'static, str>, HeaderValue, On)>,
    /// What is put for values of the backend.
    rewrites: Option<Arc<Rewrites>>,
}

/// On which answers something is put in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum On {
    /// On all.
    Any,
    /// On those that bring what was asked for, or say where it is (nginx's `add_header`).
    Taken,
}

impl Edits {
    /// Puts other values for those of the backend.
    pub(crate) fn rewrite(&mut self, rewrites: &Option<Arc<Rewrites>>) {
        self.rewrites.clone_from(rewrites);
    }

    /// The value of a backend's field as clients get it; none: as it came.
    pub(crate) fn rewritten(&self, name: &[u8], value: &[u8]) -> Option<Vec<u8>> {
        self.rewrites.as_ref()?.of(name, value)
    }

    /// Takes out all fields of a name, those included that were put in before.
    pub(crate) fn remove(&mut self, name: impl Into<Cow<'static, str>>) {
        let name = name.into();
        self.added
            .retain(|(added, ..)| !added.eq_ignore_ascii_case(&name));
        self.removed.push(name);
    }

    /// Puts a field in the place of all of its name.
    pub(crate) fn set(&mut self, name: impl Into<Cow<'static, str>>, value: HeaderValue) {
        let name = name.into();
        self.remove(name.clone());
        self.add(name, value);
    }

    /// Puts a field beside those of its name.
    pub(crate) fn add(&mut self, name: impl Into<Cow<'static, str>>, value: HeaderValue) {
        self.add_on(On::Any, name, value);
    }

    /// The same, on some answers.
    pub(crate) fn add_on(
        &mut self,
        on: On,
        name: impl Into<Cow<'static, str>>,
        value: HeaderValue,
    ) {
        self.added.push((name.into(), value, on));
    }

    /// Does what `other` does, after what these do.
    pub(crate) fn append(&mut self, mut other: Self) {
        other.follow(std::mem::take(self));
        *self = other;
    }

    /// Does what `other` does, and then what these do.
    pub(crate) fn follow(&mut self, mut other: Self) {
        for name in self.removed.drain(..) {
            other.remove(name);
        }
        other.added.append(&mut self.added);
        *self = other;
    }

    /// Whether nothing is done.
    pub(crate) fn is_empty(&self) -> bool {
        self.removed.is_empty() && self.added.is_empty()
    }

    /// Whether fields of this name do not pass.
    pub(crate) fn removes(&self, name: &[u8]) -> bool {
        let is_it = |removed: &Cow<'_, str>| removed.as_bytes().eq_ignore_ascii_case(name);
        self.removed.iter().any(is_it)
    }

    /// What is put into an answer with this status.
    pub(crate) fn added(&self, status: StatusCode) -> impl Iterator<Item = (&[u8], &[u8])> {
        let lines = self.added.iter();
        lines
            .filter(move |(_, _, on)| *on == On::Any || TAKEN.contains(&status.as_u16()))
            .map(|(name, value, _)| (name.as_bytes(), value.as_bytes()))
    }
}

const TAKEN: [u16; 10] = [200, 201, 204, 206, 301, 302, 303, 304, 307, 308];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_on_a_name_counts() {
        let value = HeaderValue::from_static;
        let mut edits = Edits::default();
        edits.add("Vary", value("Origin"));
        edits.set("X-Frame", value("a"));
        edits.set("x-frame", value("b"));
        edits.add("Set-Cookie", value("c=1"));
        edits.add("Set-Cookie", value("d=2"));
        edits.remove("Server");
        edits.add_on(On::Taken, "Set-Cookie", value("e=3"));
        let lines: Vec<_> = edits.added(StatusCode::NOT_FOUND).collect();
        let want: [(&[u8], &[u8]); 4] = [
            (b"Vary", b"Origin"),
            (b"x-frame", b"b"),
            (b"Set-Cookie", b"c=1"),
            (b"Set-Cookie", b"d=2"),
        ];
        assert_eq!(lines, want);
        assert_eq!(edits.added(StatusCode::FOUND).count(), 5, "ingress 2.4: auth-url");
        let mut other = Edits::default();
        other.set("vary", value("*"));
        edits.append(other);
        let last = edits.added(StatusCode::NOT_FOUND).last();
        assert_eq!(last, Some((&b"vary"[..], &b"*"[..])), "it takes the place of what was there");
        for (name, removed) in [("SERVER", true), ("X-FRAME", true), ("vary", true)] {
            assert_eq!(edits.removes(name.as_bytes()), removed, "{name}");
        }
    }
}
