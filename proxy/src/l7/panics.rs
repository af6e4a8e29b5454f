//! What a panic ends: one request, or where there is none, one connection (`http-proxy 8.9`).
//!
//! ```text
//! poll ─panic─▶ caught ─▶ counted, logged once ─▶ nothing sent yet: 500, then the end │ cut
//! ```
//!
//! A panic is a fault of portico's own, which no input is known to reach. Whoever serves a request
//! polls it through [`caught`]; what the panic left half done is dropped with the request, and its
//! connection carries no other one. A panic outside of any request ends its connection's task, which
//! the runtime catches; its place among those that are open notices. The worker goes on in either case.

use std::any::Any;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Poll;

use super::fields::{Fields, Name};
use super::forward::is_request_id;

/// Polls what serves a request; an error says what a panic said, and nothing is polled again then.
pub(super) fn caught<T>(poll: impl FnOnce() -> Poll<T>) -> Poll<Result<T, Box<str>>> {
    match catch_unwind(AssertUnwindSafe(poll)) {
        Ok(polled) => polled.map(Ok),
        Err(said) => Poll::Ready(Err(words(&*said))),
    }
}

/// What a panic said, where it said it in words.
fn words(said: &(dyn Any + Send)) -> Box<str> {
    let fixed = said.downcast_ref::<&str>().copied();
    let text = fixed.or_else(|| said.downcast_ref::<String>().map(|text| &**text));
    text.unwrap_or("no words").into()
}

/// What of a request must be known though a panic took the rest: how its client is answered, and
/// what it is called. It lives where the request does, and leaves a copy where a panic drops it.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    /// Whether it is a HEAD, of HTTP/1.0, and a call of gRPC.
    pub(super) shape: (bool, bool, bool),
    id: [u8; ID_BYTES],
    id_bytes: usize,
}

impl Default for Kept {
    fn default() -> Self {
        Self { shape: <_>::default(), id: [0; ID_BYTES], id_bytes: 0 }
    }
}

impl Kept {
    /// Of a request of these fields, which may bring its own id (`http-proxy 3.6`).
    #[inline]
    pub(super) fn of(fields: Fields<'_>, shape: (bool, bool, bool)) -> Self {
        let mut kept = Self { shape, ..Self::default() };
        if fields.has(Name::XRequestId) {
            let ids = fields.all(Name::XRequestId);
            if let Some(id) = ids.filter(|id| is_request_id(id)).last() {
                kept.call(id);
            }
        }
        kept
    }

    /// Notes the id that it was given, where it has none.
    #[inline]
    pub(super) fn name(&mut self, id: &[u8; 32]) {
        if self.id_bytes == 0 {
            self.call(id);
        }
    }

    /// What the last panic of this thread took, where it was a request.
    pub(super) fn lost() -> Option<Self> {
        LOST.take()
    }

    /// What it is called, as far as there was room; empty: the panic came before that.
    pub(super) fn id(&self) -> &str {
        let id = self.id.get(..self.id_bytes).unwrap_or_default();
        std::str::from_utf8(id).unwrap_or_default()
    }

    fn call(&mut self, id: &[u8]) {
        let id = id.get(..ID_BYTES).unwrap_or(id);
        if let Some(place) = self.id.get_mut(..id.len()) {
            place.copy_from_slice(id);
            self.id_bytes = id.len();
        }
    }
}

impl Drop for Kept {
    #[inline]
    fn drop(&mut self) {
        if std::thread::panicking() {
            LOST.set(Some(self.clone()));
        }
    }
}

thread_local! {
    static LOST: RefCell<Option<Kept>> = const { RefCell::new(None) };
}

/// Of a request's id; longer ones are cut.
const ID_BYTES: usize = 64;

#[cfg(test)]
pub(super) mod provoked;
#[cfg(test)]
mod tests;
