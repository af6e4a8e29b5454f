//! A response as the state machine writes it, taken apart again.
//!
//! Pure. Reads only what this proxy wrote itself, in pieces of any size; what it would never write is
//! a [`Fault`], on which the stream is reset.

use http::header::HeaderMap;
use http::{HeaderName, HeaderValue, StatusCode};

use crate::l7::fields::{Fields, Line, Name};
use crate::l7::h1::framing::{self, Length};
use crate::l7::h1::head;

/// What is written is no response.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Fault;

/// The head of a response.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) status: StatusCode,
    pub(super) fields: HeaderMap,
    pub(super) length: Length,
}

/// Takes of `bytes` what belongs to the head that `inbox` holds the begin of; true: it is whole.
pub(super) fn collect(inbox: &mut Vec<u8>, bytes: &[u8]) -> (usize, bool) {
    let before = inbox.len();
    inbox.extend_from_slice(bytes);
    let from = before.saturating_sub(END.len() - 1);
    let found = memchr::memmem::find(&inbox[from..], END);
    match found {
        Some(at) => {
            inbox.truncate(from + at + END.len());
            (inbox.len() - before, true)
        }
        None => (bytes.len(), false),
    }
}

/// Reads a whole head.
pub(super) fn read(bytes: &[u8], lines: &mut Vec<Line>, to_head: bool) -> Result<Head, Fault> {
    let line = head::response(bytes, lines).ok().flatten().ok_or(Fault)?;
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

fn put(map: &mut HeaderMap, name: &[u8], value: &[u8]) -> Result<(), Fault> {
    let name = HeaderName::from_bytes(name).map_err(|_| Fault)?;
    let value = HeaderValue::from_bytes(value).map_err(|_| Fault)?;
    map.try_append(name, value).map_err(|_| Fault)?;
    Ok(())
}

/// A chunked body that is being taken apart.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    state: State,
    /// A line that has not come whole.
    line: Vec<u8>,
    trailers: HeaderMap,
}

#[derive(Clone, Copy, Debug, Default)]
enum State {
    #[default]
    Size,
    Data(u64),
    DataEnd,
    Trailer,
}

/// What some bytes are.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Step {
    /// So many bytes only frame.
    Frame(usize),
    /// So many bytes are data; whoever sends some of them says so with [`Chunks::sent`].
    Data(usize),
    /// So many bytes end the body, which these trailers follow.
    End(usize, HeaderMap),
}

impl Chunks {
    /// What `bytes`, which are not empty, begin with.
    pub(super) fn step(&mut self, bytes: &[u8]) -> Result<Step, Fault> {
        if let State::Data(left) = self.state {
            let data = usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
            return Ok(Step::Data(data));
        }
        let end = memchr::memchr(b'\n', bytes).map(|at| at + 1);
        let taken = end.unwrap_or(bytes.len());
        if self.line.len() + taken > MAX_LINE_BYTES {
            return Err(Fault);
        }
        self.line.extend_from_slice(&bytes[..taken]);
        if end.is_none() {
            return Ok(Step::Frame(taken));
        }
        let whole = std::mem::take(&mut self.line);
        let line = whole.strip_suffix(b"\r\n").ok_or(Fault)?;
        self.state = match (self.state, line) {
            (State::Size, size) => match size_of(size)? {
                0 => State::Trailer,
                left => State::Data(left),
            },
            (State::DataEnd, []) => State::Size,
            (State::Trailer, []) => {
                return Ok(Step::End(taken, std::mem::take(&mut self.trailers)));
            }
            (State::Trailer, trailer) => {
                let colon = memchr::memchr(b':', trailer).ok_or(Fault)?;
                put(&mut self.trailers, &trailer[..colon], trailer[colon + 1..].trim_ascii())?;
                State::Trailer
            }
            (State::DataEnd | State::Data(_), _) => return Err(Fault),
        };
        Ok(Step::Frame(taken))
    }

    /// So many bytes of the data were sent.
    pub(super) fn sent(&mut self, count: usize) {
        if let State::Data(left) = self.state {
            self.state = match left.saturating_sub(count as u64) {
                0 => State::DataEnd,
                left => State::Data(left),
            };
        }
    }
}

fn size_of(digits: &[u8]) -> Result<u64, Fault> {
    let text = std::str::from_utf8(digits).map_err(|_| Fault)?;
    u64::from_str_radix(text, 16).map_err(|_| Fault)
}

const END: &[u8] = b"\r\n\r\n";
/// A line of a chunked body: a size, or a trailer.
const MAX_LINE_BYTES: usize = 16 * 1024 + 2;

#[cfg(test)]
mod tests {
    use super::*;

    /// The data and the trailers of a body that comes in pieces of `size` bytes.
    fn decoded(body: &[u8], size: usize) -> Result<(Vec<u8>, Option<HeaderMap>), Fault> {
        let (mut chunks, mut data) = (Chunks::default(), Vec::new());
        for mut piece in body.chunks(size) {
            while !piece.is_empty() {
                let taken = match chunks.step(piece)? {
                    Step::Frame(taken) => taken,
                    Step::Data(taken) => {
                        data.extend_from_slice(&piece[..taken]);
                        chunks.sent(taken);
                        taken
                    }
                    Step::End(taken, trailers) => {
                        assert_eq!(taken, piece.len(), "nothing follows");
                        return Ok((data, Some(trailers)));
                    }
                };
                piece = &piece[taken..];
            }
        }
        Ok((data, None))
    }

    #[test]
    fn chunks_are_taken_apart_however_they_are_cut() {
        let body = b"5\r\nhello\r\n1\r\n \r\n5\r\nworld\r\n0\r\ngrpc-status: 0\r\n\r\n";
        for size in 1..=body.len() {
            let (data, trailers) = decoded(body, size).unwrap();
            assert_eq!(data, b"hello world", "in pieces of {size}");
            assert_eq!(trailers.unwrap()["grpc-status"], "0", "in pieces of {size}");
        }
        assert_eq!(decoded(b"5\r\nhel", 2), Ok((b"hel".to_vec(), None)), "not ended");
        for odd in [&b"x\r\n"[..], b"1\r\naXX", b"1\n", b"0\r\nno colon\r\n\r\n"] {
            assert_eq!(
                decoded(odd, 64).err(),
                if odd.ends_with(b"XX") { None } else { Some(Fault) }
            );
        }
        assert_eq!(decoded(b"1\r\naXX\r\n", 64).err(), Some(Fault), "data that does not end");
    }

    #[test]
    fn a_head_is_collected_however_it_is_cut() {
        let bytes = b"HTTP/1.1 200 OK\r\nServer: portico\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok";
        for size in 1..=bytes.len() {
            let (mut inbox, mut taken, mut whole) = (Vec::new(), 0, false);
            for piece in bytes.chunks(size) {
                if !whole {
                    let (count, ended) = collect(&mut inbox, piece);
                    (taken, whole) = (taken + count, ended);
                }
            }
            assert_eq!(taken, bytes.len() - 2, "in pieces of {size}");
            let head = read(&inbox, &mut Vec::new(), false).unwrap();
            assert_eq!((head.status, head.length), (StatusCode::OK, Length::Exact(2)));
            let names: Vec<_> = head.fields.keys().map(HeaderName::as_str).collect();
            assert_eq!(names, ["server", "content-length"], "no field of one hop");
        }
        let to_head = read(bytes, &mut Vec::new(), true).unwrap();
        assert_eq!(to_head.length, Length::Absent);
    }
}
