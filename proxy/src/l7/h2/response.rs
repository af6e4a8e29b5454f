//! The head of a response as the state machine writes it, taken apart again.
//!
//! Pure. Reads only what this proxy wrote itself, in pieces of any size; what it would never write is
//! a [`Fault`], on which the stream is reset.

use http::header::HeaderMap;
use http::{HeaderName, HeaderValue, StatusCode};

use super::Fault;
use crate::l7::fields::{Fields, Line, Name};
use crate::l7::h1::framing::{self, Length};
use crate::l7::h1::head::{self, Limits};

/// The head of a response.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) status: StatusCode,
    pub(super) fields: HeaderMap,
    pub(super) length: Length,
}

/// Takes of `bytes` what belongs to the head that `inbox` holds the begin of; and the head, once it is
/// whole.
pub(super) fn collect<'a>(inbox: &'a mut Vec<u8>, bytes: &'a [u8]) -> (usize, Option<&'a [u8]>) {
    let find = |bytes: &[u8]| memchr::memmem::find(bytes, END).map(|at| at + END.len());
    // Most come in one piece.
    if inbox.is_empty()
        && let Some(end) = find(bytes)
    {
        return (end, Some(&bytes[..end]));
    }
    let before = inbox.len();
    inbox.extend_from_slice(bytes);
    let from = before.saturating_sub(END.len() - 1);
    match find(&inbox[from..]) {
        Some(end) => (from + end - before, Some(&inbox[..from + end])),
        None => (bytes.len(), None),
    }
}

/// Reads a whole head.
pub(super) fn read(bytes: &[u8], lines: &mut Vec<Line>, to_head: bool) -> Result<Head, Fault> {
    let line = head::response_within(bytes, lines, Limits::OWN);
    let line = line.ok().flatten().ok_or(Fault)?;
    let fields = Fields::new(bytes, lines);
    let length =
        framing::of_response(fields, line.minor, line.status, to_head).map_err(|_| Fault)?;
    let mut map = HeaderMap::with_capacity(lines.len());
    for field in fields.iter() {
        match field.name {
            Name::Connection | Name::TransferEncoding | Name::Upgrade | Name::HopByHop => {}
            _ => put(&mut map, field.text, field.value)?,
        }
    }
    Ok(Head { status: line.status, fields: map, length })
}

pub(super) fn put(map: &mut HeaderMap, name: &[u8], value: &[u8]) -> Result<(), Fault> {
    let is_it = |ours: &&HeaderName| ours.as_str().as_bytes().eq_ignore_ascii_case(name);
    // Those that this proxy adds to each request would be copied each time: the crate knows them not.
    let name = match OURS.iter().find(is_it) {
        Some(ours) => ours.clone(),
        None => HeaderName::from_bytes(name).map_err(|_| Fault)?,
    };
    let value = HeaderValue::from_bytes(value).map_err(|_| Fault)?;
    map.try_append(name, value).map_err(|_| Fault)?;
    Ok(())
}

static OURS: [HeaderName; 8] = [
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-real-ip"),
    HeaderName::from_static("x-forwarded-proto"),
    HeaderName::from_static("x-forwarded-scheme"),
    HeaderName::from_static("x-scheme"),
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-forwarded-port"),
    HeaderName::from_static("x-request-id"),
];
const END: &[u8] = b"\r\n\r\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_collected_however_it_is_cut() {
        let bytes = b"HTTP/1.1 200 OK\r\nServer: portico\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok";
        for size in 1..=bytes.len() {
            let (mut inbox, mut taken, mut whole) = (Vec::new(), 0, None);
            for piece in bytes.chunks(size) {
                if whole.is_none() {
                    let (count, head) = collect(&mut inbox, piece);
                    (taken, whole) = (taken + count, head.map(<[u8]>::to_vec));
                }
            }
            assert_eq!(taken, bytes.len() - 2, "in pieces of {size}");
            let head = read(&whole.unwrap(), &mut Vec::new(), false).unwrap();
            assert_eq!((head.status, head.length), (StatusCode::OK, Length::Exact(2)));
            let names: Vec<_> = head.fields.keys().map(HeaderName::as_str).collect();
            assert_eq!(names, ["server", "content-length"], "no field of one hop");
        }
        let to_head = read(bytes, &mut Vec::new(), true).unwrap();
        assert_eq!(to_head.length, Length::Absent);
    }
}
