//! The log of requests (`http-proxy 9.1` to `9.3`): one line for each request, tunnel or refused head.
//!
//! ```text
//! head ─begin─▶ Entry ─tries, status─▶ Entry ─end─▶ batch of the worker ─▶ queue ─▶ thread ─▶ file
//! ```
//!
//! What a head holds is noted while it is there, the line is written when all is over. Invariants: a
//! worker shares nothing with another for a line; lines are handed on in batches, after a second at the
//! latest, and never waited for; where there is no log, its absence is all that is looked at.

#[cfg(feature = "bench")]
pub(crate) mod bench;
mod entry;
mod escape;
mod figures;
mod line;
mod time;

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use portico_config::model::LogFormat;
use portico_net::line_log::Lines;

use super::account::Account;
use super::forward::Peer;
use super::order::Incoming;

pub(crate) use self::entry::{Entry, Flag, Tried};

/// Where lines of all workers go, and what they say.
#[derive(Clone, Debug)]
pub(crate) struct Access {
    /// What a line says.
    pub(crate) format: Arc<LogFormat>,
    /// Where it goes.
    pub(crate) lines: Lines,
}

/// The log as one worker writes it.
pub(crate) struct AccessLog {
    access: Access,
    /// The fields of requests that lines quote.
    fields: Vec<Box<str>>,
    clock: RefCell<time::Clock>,
    /// Lines that are not handed on yet.
    batch: RefCell<Vec<u8>>,
    count: Cell<u64>,
    /// Entries that nobody uses.
    #[expect(clippy::vec_box, reason = "an entry moves to its connection and back as one word")]
    spare: RefCell<Vec<Box<Entry>>>,
}

impl AccessLog {
    /// For one worker.
    pub(crate) fn new(access: Access) -> Self {
        let fields = access.format.fields();
        let fields = fields.into_iter().map(Into::into).collect();
        Self {
            access,
            fields,
            clock: RefCell::default(),
            batch: RefCell::default(),
            count: Cell::new(0),
            spare: RefCell::default(),
        }
    }

    /// Notes a request; `new_id` is for one that brings no id.
    pub(crate) fn begin(
        &self,
        incoming: &Incoming<'_>,
        protocol: &'static str,
        new_id: impl FnOnce() -> [u8; 32],
    ) -> Box<Entry> {
        let mut entry = self.blank();
        entry.read(incoming, &self.fields, new_id);
        entry.protocol = protocol;
        entry
    }

    /// Notes what is no request, as far as the first line of `bytes` says what it would be.
    pub(crate) fn begin_refused(&self, bytes: &[u8], is_http2: bool) -> Box<Entry> {
        let mut entry = self.begin_bare(Flag::Refused);
        entry.read_line(bytes);
        if is_http2 && !entry.method().is_empty() {
            entry.protocol = "HTTP/2.0";
        }
        entry
    }

    /// Notes a connection whose TLS is passed on, by the name that it asks for.
    pub(crate) fn begin_passed(&self, name: &str) -> Box<Entry> {
        let mut entry = self.blank();
        entry.call(name);
        entry.protocol = "TLS";
        entry
    }

    /// Notes what is no request, or of which no more is known than what happened.
    pub(crate) fn begin_bare(&self, flag: Flag) -> Box<Entry> {
        let mut entry = self.blank();
        entry.flag(flag);
        entry
    }

    fn blank(&self) -> Box<Entry> {
        let mut entry = self.spare.borrow_mut().pop().unwrap_or_default();
        entry.clear();
        entry
    }

    /// Writes the line of a request that is over.
    pub(crate) fn end(&self, mut entry: Box<Entry>, account: Account, from: &Peer) {
        entry.account = account;
        if entry.is_logged() {
            let mut batch = self.batch.borrow_mut();
            let mut clock = self.clock.borrow_mut();
            clock.look();
            line::put(&mut batch, &self.access.format, &entry, (from, &clock), &self.fields);
            self.count.set(self.count.get() + 1);
            if batch.len() >= BATCH_BYTES {
                self.hand_on(&mut batch);
            }
        }
        let mut spare = self.spare.borrow_mut();
        if spare.len() < MAX_SPARE {
            spare.push(entry);
        }
    }

    /// Hands on what waits.
    pub(crate) fn flush(&self) {
        if self.count.get() > 0 {
            self.hand_on(&mut self.batch.borrow_mut());
        }
    }

    fn hand_on(&self, batch: &mut Vec<u8>) {
        let next = Vec::with_capacity(BATCH_BYTES + line::MAX_BYTES);
        let full = std::mem::replace(batch, next);
        self.access.lines.add(full, self.count.take());
    }
}

impl Drop for AccessLog {
    fn drop(&mut self) {
        self.flush();
    }
}

/// Bytes of lines that are handed on together.
const BATCH_BYTES: usize = 16 << 10;
/// Entries of a worker that wait for their next use.
const MAX_SPARE: usize = 256;
