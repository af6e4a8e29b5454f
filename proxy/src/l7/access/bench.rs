//! Lines of the log, one after the other, for measuring: from a head that was read to its line in the
//! batch, which goes the way of all batches. Behind the feature `bench`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use portico_config::model::LogFormat;
use portico_net::line_log::{Counts, LineLog, Reopen};

use super::{Access, AccessLog, Tried};
use crate::l7::account::Account;
use crate::l7::fields::{Fields, Line};
use crate::l7::forward::{Announced, Peer};
use crate::l7::h1::head;
use crate::l7::order::Incoming;
use crate::l7::request::Asked;

/// A log whose lines go nowhere, and the request that they are about.
pub(crate) struct Logger {
    log: AccessLog,
    from: Peer,
    head: Vec<u8>,
    places: Vec<Line>,
    // Dropped last: it ends once nobody adds lines.
    _thread: LineLog,
}

impl Logger {
    /// For lines of `format` about the request in `head`; none where that is no head.
    pub(crate) fn new(format: LogFormat, head: &[u8]) -> Option<Self> {
        let mut places = Vec::new();
        head::request(head, &mut places).ok()??;
        let nowhere = Some(PathBuf::from("/dev/null"));
        let thread = LineLog::start(nowhere, Counts::default(), &Reopen::default()).ok()?;
        let access = Access { format: Arc::new(format), lines: thread.lines() };
        let from = Peer::new([192, 0, 2, 7].into(), ([127, 0, 0, 1], 8080).into(), false);
        let log = AccessLog::new(access);
        Some(Self { log, from, head: head.to_vec(), places, _thread: thread })
    }

    /// One line.
    pub(crate) fn line(&self, target: &str) {
        let fields = Fields::new(&self.head, &self.places);
        let asked = Asked { method: "GET", target, old: false, fields };
        let body = Announced::Nothing;
        let incoming = Incoming { asked, from: &self.from, body, expects: false, websocket: false };
        let mut entry = self.log.begin(&incoming, "HTTP/1.1", || [b'7'; 32]);
        let now = Instant::now();
        entry.tries(([10, 0, 0, 1], 8080).into(), now);
        entry.connected(true);
        let answered_at = Some(now);
        entry.tried(&Tried { status: Some(200), answered_at, at_once: true, body_bytes: 200 });
        let account =
            Account { status: 200, head_in: 90, sent: 300, head_out: 100, ..Account::default() };
        self.log.end(entry, account, &self.from);
    }
}
