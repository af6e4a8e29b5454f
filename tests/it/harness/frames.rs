//! Frames of HTTP/2 as nobody should send them, and what becomes of who does.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread::JoinHandle;

use super::PATIENCE;

/// A connection on which anything can be said.
pub(crate) struct Raw(pub(crate) TcpStream);

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PUSH_PROMISE: u8 = 5;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

/// Of DATA and HEADERS: nothing follows on the stream.
pub(crate) const END_STREAM: u8 = 1;
/// Of HEADERS and CONTINUATION: the list of fields is whole.
pub(crate) const END_HEADERS: u8 = 4;
/// Of DATA and HEADERS: there is padding.
pub(crate) const PADDED: u8 = 8;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What becomes of a stream, or of the connection before that.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fate {
    /// Answered; 0 is a status that has no number of its own in HPACK.
    Status(u16),
    /// Reset, for this reason.
    Reset(u32),
    /// The connection ends, for this reason.
    Goaway(u32),
    /// It ended without a word.
    Closed,
}

impl Raw {
    /// Says the preface and that there is nothing to set.
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let mut raw = Self::silent(address);
        raw.0.write_all(PREFACE).expect("nobody refuses a preface");
        assert!(raw.send(SETTINGS, 0, 0, &[]));
        raw
    }

    /// Says nothing yet.
    pub(crate) fn silent(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("the listener accepts");
        stream
            .set_read_timeout(Some(PATIENCE))
            .expect("a valid timeout");
        stream
            .set_write_timeout(Some(PATIENCE))
            .expect("a valid timeout");
        stream.set_nodelay(true).expect("a TCP socket");
        Self(stream)
    }

    /// Sends a frame; false: nobody takes it.
    pub(crate) fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> bool {
        self.0
            .write_all(&frame(kind, flags, stream, payload))
            .is_ok()
    }

    /// A request with these fields, pseudo-header fields among them, in their order.
    pub(crate) fn request(&mut self, stream: u32, flags: u8, fields: &[(&str, &str)]) -> bool {
        self.send(HEADERS, flags | END_HEADERS, stream, &block(fields))
    }

    /// A GET of `/` for `host`, whole.
    pub(crate) fn get(&mut self, stream: u32, host: &str) -> bool {
        self.request(stream, END_STREAM, &get(host, "/"))
    }

    /// The next frame: kind, flags, stream, payload.
    pub(crate) fn next(&mut self) -> Option<(u8, u8, u32, Vec<u8>)> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head).ok()?;
        let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        self.0.read_exact(&mut payload).ok()?;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        Some((head[3], head[4], stream, payload))
    }

    /// Reads until a stream has its answer or its end, or the connection has.
    pub(crate) fn fate(&mut self, stream: u32) -> Fate {
        while let Some((kind, _, of, payload)) = self.next() {
            match kind {
                HEADERS if of == stream => return Fate::Status(status(&payload)),
                RST_STREAM if of == stream => return Fate::Reset(number(&payload)),
                GOAWAY => return Fate::Goaway(number(&payload[4..])),
                _ => {}
            }
        }
        Fate::Closed
    }

    /// Whether the connection still answers, which it does only once it has read all before.
    pub(crate) fn lives(&mut self) -> bool {
        let token = *b"are you?";
        let asked = self.send(PING, 0, 0, &token);
        while let Some((kind, flags, _, payload)) = self.next() {
            match kind {
                PING if flags == 1 && payload == token => return asked,
                GOAWAY => return false,
                _ => {}
            }
        }
        false
    }

    /// Reads to the end on a thread of its own: the last reason that was given.
    pub(crate) fn listen(&self) -> JoinHandle<Option<u32>> {
        let mut other = Self(self.0.try_clone().expect("another handle"));
        std::thread::spawn(move || {
            let mut reason = None;
            while let Some((kind, _, _, payload)) = other.next() {
                if kind == GOAWAY {
                    reason = Some(number(&payload[4..]));
                }
            }
            reason
        })
    }
}

/// The bytes of a frame.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a frame").to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// The fields of a GET.
pub(crate) fn get<'a>(host: &'a str, path: &'a str) -> [(&'a str, &'a str); 4] {
    [(":method", "GET"), (":scheme", "http"), (":path", path), (":authority", host)]
}

/// A list of fields in HPACK, each as it is written: no table, no Huffman.
pub(crate) fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            length(&mut block, text.len());
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}

/// A length of seven bits, and what does not fit behind it (RFC 7541 5.1).
fn length(out: &mut Vec<u8>, length: usize) {
    let Some(mut rest) = length.checked_sub(127) else {
        return out.push(u8::try_from(length).expect("seven bits"));
    };
    out.push(127);
    while rest >= 128 {
        out.push(u8::try_from(rest % 128).expect("seven bits") | 128);
        rest /= 128;
    }
    out.push(u8::try_from(rest).expect("seven bits"));
}

/// The status at the begin of a list of fields, where the static table has it.
fn status(block: &[u8]) -> u16 {
    let known = [200, 204, 206, 304, 400, 404, 500];
    let mut bytes = block.iter().skip_while(|byte| **byte & 0xe0 == 0x20);
    let index = bytes.next().and_then(|byte| byte.checked_sub(0x88));
    index
        .and_then(|at| known.get(usize::from(at)).copied())
        .unwrap_or(0)
}

fn number(bytes: &[u8]) -> u32 {
    let four = bytes.first_chunk().expect("four bytes");
    u32::from_be_bytes(*four)
}
