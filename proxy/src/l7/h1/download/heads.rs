//! A backend's heads, read and written anew for the client: those of interim answers, of an agreement to
//! a tunnel, and of the response itself.

use std::time::Instant;

use http::StatusCode;

use super::{Download, Ended, State};
use crate::l7::calls::Told;
use crate::l7::coding;
use crate::l7::edits::Edits;
use crate::l7::failure::Failure;
use crate::l7::fields::{Fields, Name};
use crate::l7::forward::{self, Announced};
use crate::l7::h1::Facts;
use crate::l7::h1::body::Body;
use crate::l7::h1::framing::{self, Length};
use crate::l7::h1::head::{self, Scan, StatusLine};
use crate::l7::h1::server::Connection;
use crate::l7::h1::upload::Upload;
use crate::l7::io::Downstream;
use crate::l7::request::is_of_connection;
use crate::l7::watch::Phase;

impl Download {
    /// Reads heads from what came, and what of the body came with the last one.
    pub(super) fn heads<S: Downstream>(
        &mut self,
        connection: &mut Connection<S>,
        upload: &mut Upload,
        facts: &Facts,
        bytes: &mut [u8],
    ) -> Result<(), Ended> {
        if self.inbox.is_empty() {
            return self.read(connection, upload, facts, bytes);
        }
        self.inbox.extend_from_slice(bytes);
        match self.scan.has_end(&self.inbox, false) {
            Err(_) => Err(MALFORMED),
            Ok(false) => Ok(()),
            Ok(true) => {
                let mut inbox = std::mem::take(&mut self.inbox);
                self.scan = Scan::within(self.scan.limits());
                self.read(connection, upload, facts, &mut inbox)
            }
        }
    }

    fn read<S: Downstream>(
        &mut self,
        connection: &mut Connection<S>,
        upload: &mut Upload,
        facts: &Facts,
        bytes: &mut [u8],
    ) -> Result<(), Ended> {
        let worker = std::rc::Rc::clone(&connection.worker);
        let mut lines = worker.scratch.lines.borrow_mut();
        let mut at = 0;
        while self.state == State::Head {
            let rest = &bytes[at..];
            let limits = self.scan.limits();
            let read = head::response_within(rest, &mut lines, limits);
            let Some(line) = read.map_err(|_| MALFORMED)? else {
                if self.scan.has_end(rest, false) != Ok(false) {
                    return Err(MALFORMED);
                }
                self.inbox.extend_from_slice(rest);
                return Ok(());
            };
            let fields = Fields::new(&rest[..line.end], &lines);
            at += line.end;
            if line.status.is_informational() {
                self.interim(&line, fields, (connection, upload), facts)?;
            } else {
                self.answer(&line, fields, (connection, upload), facts)?;
            }
        }
        let rest = &mut bytes[at..];
        if self.state == State::Tunnel {
            self.out.extend_from_slice(rest);
            return Ok(());
        }
        let decoded = self.body.take(rest).map_err(|_| self.cut(connection))?;
        let done = self.took(decoded.taken == rest.len());
        self.put(connection, &rest[decoded.data], done)
    }

    /// Begins to bring a response into another coding, where that may be and its client wants it; what
    /// is done to its fields then.
    fn recode<S: Downstream>(
        &mut self,
        connection: &Connection<S>,
        facts: &Facts,
        (status, fields): (StatusCode, Fields<'_>),
        length: Length,
    ) -> Option<(Edits, bool)> {
        let compression = facts.compression()?;
        let terms = facts.terms.as_ref()?;
        let bytes = match length {
            Length::Exact(bytes) => Some(bytes),
            Length::Absent => framing::said(fields),
            Length::Chunked | Length::UntilClose => None,
        };
        if !coding::concerns(compression, (status, fields, &terms.edits), bytes) {
            return None;
        }
        let worker = &connection.worker;
        // HTTP/1.0 knows no chunks.
        let mut coding = terms.coding.filter(|_| !facts.old);
        if let Some(wanted) = coding.filter(|_| length != Length::Absent) {
            self.coder = worker.coders.begin(wanted);
            worker.metrics.coded(self.coder.as_ref().map(|_| wanted));
            coding = coding.filter(|_| self.coder.is_some());
        }
        let mut edits = terms.edits.clone();
        coding::edit(&mut edits, (status, fields), coding);
        Some((edits, coding.is_some()))
    }

    /// A 1xx: 100 opens an upload that waits, 101 a tunnel that was asked for; others are the client's
    /// (`http-proxy 1.25`).
    fn interim<S: Downstream>(
        &mut self,
        line: &StatusLine<'_>,
        fields: Fields<'_>,
        (connection, upload): (&Connection<S>, &mut Upload),
        facts: &Facts,
    ) -> Result<(), Ended> {
        self.interims += 1;
        if self.interims > MAX_INTERIMS {
            return Err(MALFORMED);
        }
        match line.status {
            StatusCode::SWITCHING_PROTOCOLS if !facts.websocket => return Err(MALFORMED),
            StatusCode::SWITCHING_PROTOCOLS if !agrees(connection, line, fields) => {
                return Err(MALFORMED);
            }
            StatusCode::SWITCHING_PROTOCOLS => {
                let how = (Announced::Nothing, forward::Connection::Upgrade);
                let date = connection.worker.date.get();
                forward::to_downstream(
                    &mut self.out,
                    (line.status, line.reason),
                    (fields, None, self.cookie.as_ref()),
                    how,
                    connection.ours(&date),
                );
                self.status = line.status;
                self.answered_at = Some(Instant::now());
                self.head_bytes = self.written + self.out.len() as u64;
                self.state = State::Tunnel;
            }
            StatusCode::CONTINUE if upload.held => {
                upload.held = false;
                self.invite();
            }
            // Nobody asked for it, or the client was told already.
            StatusCode::CONTINUE => {}
            _ if facts.old => {}
            _ => {
                let fields = (fields, facts.edits());
                forward::interim(&mut self.out, (line.status, line.reason), fields);
            }
        }
        Ok(())
    }

    /// The response itself.
    fn answer<S: Downstream>(
        &mut self,
        line: &StatusLine<'_>,
        fields: Fields<'_>,
        (connection, upload): (&Connection<S>, &Upload),
        facts: &Facts,
    ) -> Result<(), Ended> {
        let rejects = self
            .rejects
            .filter(|it| upload.is_whole() && it.has(line.status));
        self.unrepeated = rejects.is_some_and(|it| it.is_spent());
        if rejects.is_some() && !self.unrepeated {
            return Err(Ended::Rejected(line.status));
        }
        if facts.page(line.status, true).is_some() {
            return Err(Ended::Replaced(line.status));
        }
        if facts.websocket && !agrees(connection, line, fields) {
            return Err(MALFORMED);
        }
        let length = framing::of_response(fields, line.minor, line.status, facts.to_head)
            .map_err(|_| MALFORMED)?;
        let endless = matches!(length, Length::Chunked | Length::UntilClose);
        let announced = match length {
            Length::Exact(bytes) => Announced::Length(bytes),
            Length::Absent if line.status == StatusCode::NO_CONTENT => Announced::Nothing,
            Length::Absent => framing::said(fields).map_or(Announced::Nothing, Announced::Length),
            Length::Chunked | Length::UntilClose if facts.old => Announced::Nothing,
            Length::Chunked | Length::UntilClose => Announced::Chunked,
        };
        self.close = connection.is_last(facts)
            || !upload.is_read()
            || facts.websocket
            || (endless && facts.old);
        let keeps = match line.minor {
            0 => fields.lists(Name::Connection, "keep-alive"),
            _ => !fields.lists(Name::Connection, "close"),
        };
        let recoded = self.recode(connection, facts, (line.status, fields), length);
        let announced = match &recoded {
            Some((_, true)) if length == Length::Absent => Announced::Nothing,
            Some((_, true)) => Announced::Chunked,
            _ => announced,
        };
        let edits = recoded.as_ref().map(|(edits, _)| edits);
        self.reusable = keeps && length != Length::UntilClose && !facts.closes_backend();
        self.binds = line.status == StatusCode::UNAUTHORIZED
            && fields.every("www-authenticate").any(is_of_connection);
        self.told = Told::ahead(facts.is_call, fields, length);
        self.pace = facts.pace();
        self.body = Body::new(length);
        self.chunked = announced == Announced::Chunked;
        self.status = line.status;
        self.answered_at = Some(Instant::now());
        self.state = State::Body;
        let how = (announced, facts.connection(self.close));
        let date = connection.worker.date.get();
        let fields = (fields, edits.or_else(|| facts.edits()), self.cookie.as_ref());
        forward::to_downstream(
            &mut self.out,
            (line.status, line.reason),
            fields,
            how,
            connection.ours(&date),
        );
        self.head_bytes = self.written + self.out.len() as u64;
        connection.watch.enter(Phase::Busy);
        Ok(())
    }
}

/// Whether what a backend says to a handshake can be said to the client (`http-proxy 1.29`).
fn agrees<S: Downstream>(
    connection: &Connection<S>,
    line: &StatusLine<'_>,
    fields: Fields<'_>,
) -> bool {
    let accept = fields.first("sec-websocket-accept");
    connection.stream.agrees(line.status, accept)
}

const MALFORMED: Ended = Ended::Failed { failure: Failure::Bad, silent: false };

/// More before one response get 502 (`http-proxy 1.25`).
const MAX_INTERIMS: u8 = 16;
