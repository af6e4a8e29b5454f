//! A request's fields on their way to a backend, and a response's on their way back
//! (`http-proxy 1.1` to `1.5`, `http-proxy 3`, `ingress 1.9`).
//!
//! Pure. One pass over what came writes what goes: hop-by-hop fields and those that `Connection`
//! names stay behind, and ours take the place of whatever a client claimed. Nothing is sent on that
//! was not read; no head is sent on as it came.

mod peer;
mod via;
mod named;
mod request;
mod response;

pub(super) use self::named::Named;
pub(crate) use self::named::names_too_much;
pub(crate) use self::peer::Peer;
pub(crate) use self::request::{Added, is_request_id, to_upstream};
pub(super) use self::response::SERVER;
pub(crate) use self::response::{Ours, interim, to_downstream};
pub(crate) use self::via::Via;

/// How a body is announced.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Announced {
    /// Not at all.
    Nothing,
    /// `Content-Length`.
    Length(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
}

/// What the head of a response says of the connection to the client.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Connection {
    /// It goes on, as is usual.
    Persists,
    /// It goes on with a client of HTTP/1.0.
    KeepAlive,
    /// This is the last response.
    Close,
    /// It becomes a WebSocket.
    Upgrade,
}

impl Connection {
    pub(super) fn line(self) -> &'static str {
        match self {
            Self::Persists => "",
            Self::KeepAlive => "Connection: keep-alive\r\n",
            Self::Close => "Connection: close\r\n",
            Self::Upgrade => UPGRADE,
        }
    }
}

pub(super) fn announce(out: &mut Vec<u8>, body: Announced) {
    match body {
        Announced::Nothing => {}
        Announced::Length(bytes) => {
            put(out, &["Content-Length: "]);
            number(out, bytes);
            put(out, &["\r\n"]);
        }
        Announced::Chunked => put(out, &["Transfer-Encoding: chunked\r\n"]),
    }
}

fn number(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b"0123456789"[usize::try_from(number % 10).unwrap_or(0)];
        number /= 10;
        if number == 0 {
            return out.extend_from_slice(&digits[at..]);
        }
    }
}

pub(super) fn put(out: &mut Vec<u8>, texts: &[&str]) {
    for text in texts {
        out.extend_from_slice(text.as_bytes());
    }
}

pub(super) fn line(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

pub(super) fn port_of(authority: &str) -> Option<&str> {
    let (_, port) = authority.rsplit_once(':')?;
    (!port.is_empty() && !port.ends_with(']')).then_some(port)
}

const UPGRADE: &str = "Connection: upgrade\r\nUpgrade: websocket\r\n";
/// What is added to a head, about.
const RESERVE_BYTES: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_written_in_one_way() {
        for length in [0, 9, 10, 4096, u64::MAX] {
            let mut out = Vec::new();
            announce(&mut out, Announced::Length(length));
            assert_eq!(out, format!("Content-Length: {length}\r\n").as_bytes());
        }
    }
}
