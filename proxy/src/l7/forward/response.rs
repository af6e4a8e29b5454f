//! A response's fields on their way to a client.
//!
//! Pure. What is about the backend's hop is left out; what annotations remove, rewrite or set is
//! `edits`'; `Date` and `Server` are added where the backend says neither. How the body is framed is
//! the codec's to decide.

use http::{HeaderValue, StatusCode};

use super::named::Named;
use super::{Announced, Connection, RESERVE_BYTES, announce, line, put};
use crate::l7::edits::Edits;
use crate::l7::fields::{Field, Fields, Name};

/// What every answer to a client says, each a whole line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ours<'a> {
    /// `Date`, where a backend said none.
    pub(crate) date: &'a [u8],
    /// `Strict-Transport-Security`, in place of a backend's; none: nothing is said or taken away.
    pub(crate) hsts: Option<&'a [u8]>,
}

impl<'a> Ours<'a> {
    /// The line of `hsts`, unless `edits` have a word on it.
    pub(in crate::l7) fn hsts(self, edits: Option<&Edits>) -> Option<&'a [u8]> {
        let is_edited = |edits: &Edits| edits.removes(b"strict-transport-security");
        self.hsts.filter(|_| !edits.is_some_and(is_edited))
    }
}

/// Writes the head of a backend's response to the client, with `edits` done to its fields and a
/// cookie of ours.
pub(crate) fn to_downstream(
    out: &mut Vec<u8>,
    (status, reason): (StatusCode, &[u8]),
    (fields, edits, cookie): (Fields<'_>, Option<&Edits>, Option<&HeaderValue>),
    (body, connection): (Announced, Connection),
    ours: Ours<'_>,
) {
    out.reserve(fields.byte_count() + RESERVE_BYTES);
    status_line(out, (status, reason));
    let hsts = ours.hsts(edits);
    passed_on(out, fields, edits, hsts.is_some());
    for (name, value) in edits.iter().flat_map(|edits| edits.added(status)) {
        line(out, name, value);
    }
    if let Some(cookie) = cookie {
        line(out, b"Set-Cookie", cookie.as_bytes());
    }
    let edited = |name: &[u8]| edits.is_some_and(|edits| edits.removes(name));
    if !fields.has(Name::Server) && !edited(b"server") {
        put(out, &[SERVER]);
    }
    if !fields.has(Name::Date) && !edited(b"date") {
        out.extend_from_slice(ours.date);
    }
    out.extend_from_slice(hsts.unwrap_or_default());
    announce(out, body);
    put(out, &[connection.line(), "\r\n"]);
}

/// Writes an interim answer of a backend to the client: it frames nothing and says nothing of a
/// connection (`http-proxy 1.25`), and has nothing that `edits` take out of what follows it.
pub(crate) fn interim(
    out: &mut Vec<u8>,
    status: (StatusCode, &[u8]),
    (fields, edits): (Fields<'_>, Option<&Edits>),
) {
    status_line(out, status);
    passed_on(out, fields, edits, false);
    put(out, &["\r\n"]);
}

fn status_line(out: &mut Vec<u8>, (status, reason): (StatusCode, &[u8])) {
    put(out, &["HTTP/1.1 ", status.as_str(), " "]);
    out.extend_from_slice(reason);
    put(out, &["\r\n"]);
}

/// The fields of a response that are not about one hop; `insists`: what it says of later visits is
/// said in other words.
fn passed_on(out: &mut Vec<u8>, fields: Fields<'_>, edits: Option<&Edits>, insists: bool) {
    let named = Named::of(fields);
    for Field { name, text, value } in fields.iter() {
        match name {
            Name::Other if named.has(text) => {}
            Name::Connection
            | Name::ContentLength
            | Name::TransferEncoding
            | Name::Upgrade
            | Name::HopByHop => {}
            Name::Hsts if insists => {}
            _ if edits.is_some_and(|edits| edits.removes(text)) => {}
            _ => match edits.and_then(|edits| edits.rewritten(text, value)) {
                Some(value) => line(out, text, &value),
                None => line(out, text, value),
            },
        }
    }
}

/// What `Server` says where the backend says nothing.
pub(in crate::l7) const SERVER: &str = "Server: portico\r\n";
