//! `Upgrade: h2c`: a request of HTTP/1.1 that is answered by HTTP/2 (RFC 7540 3.2; `ingress 4`).
//!
//! ```text
//! 101 ─▶ the client's preface and SETTINGS ─▶ its request, as HEADERS of stream 1 ─▶ whatever it sends
//! ```
//!
//! RFC 9113 has taken this away, and portico itself neither takes nor sends it; echo-basic does. A server of HTTP/2
//! waits for every request as a frame, so the one that asked is written as such, in literals that no table keeps, and
//! put where its client would have sent it. Its settings are put before the first ones that it sends, so that there
//! is one frame to acknowledge.

use std::io::{Cursor, Error};
use std::rc::Rc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::{BufMut, Bytes};
use http::header::{CONNECTION, HOST, HeaderMap, HeaderName, HeaderValue, UPGRADE};
use http::request::Parts;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::Notify;
use tracing::debug;

use super::http::{Peer, serve};
use super::io::ForTokio;

/// Agrees to go on by HTTP/2; none: the request does not ask for that, or not as it has to.
pub(super) async fn agree(
    mut request: Request<Incoming>,
    peer: &Rc<Peer>,
) -> Option<Response<Full<Bytes>>> {
    let settings = settings(request.headers())?;
    // What follows the request is HTTP/2 only once its body is over.
    while let Some(Ok(_)) = request.body_mut().frame().await {}
    let upgrade = hyper::upgrade::on(&mut request);
    let (parts, _) = request.into_parts();
    let shared = Rc::clone(&peer.shared);
    let address = peer.address;
    peer.shared.tasks.spawn_local(async move {
        let Ok(upgraded) = upgrade.await else { return };
        let (mut reader, writer) = tokio::io::split(ForTokio(upgraded));
        let begin = tokio::time::timeout(PATIENCE, begin(&mut reader, &settings)).await;
        let mut begin = match begin {
            Ok(Ok(begin)) => begin,
            failed => return debug!(%address, ?failed, "no HTTP/2 came after its upgrade"),
        };
        put_headers(&mut begin, &block(&parts));
        let stream = tokio::io::join(Cursor::new(begin).chain(reader), writer);
        let peer = Peer { shared, address, tls: None, h2c_alone: true, reset: Notify::new() };
        serve(stream, Rc::new(peer), true).await;
    });
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("h2c"));
    Some(response)
}

/// The settings of a request that asks for HTTP/2: of `HTTP2-Settings`, which is there once.
fn settings(headers: &HeaderMap) -> Option<Vec<u8>> {
    let asks = |name, token: &str| tokens(headers, name).any(|it| it.eq_ignore_ascii_case(token));
    if !(asks(UPGRADE, "h2c") && asks(CONNECTION, "upgrade") && asks(CONNECTION, SETTINGS_FIELD)) {
        return None;
    }
    let mut values = headers.get_all(SETTINGS_FIELD).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let text = value.to_str().ok()?.trim_end_matches('=');
    let settings = URL_SAFE_NO_PAD.decode(text).ok()?;
    (settings.len() % SETTING_BYTES == 0 && settings.len() <= MAX_SETTINGS_BYTES)
        .then_some(settings)
}

fn tokens(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    let values = headers.get_all(name).into_iter();
    let values = values.filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',').map(str::trim))
}

/// Reads what HTTP/2 begins with, and gives it with `settings` before the client's first ones.
async fn begin(reader: &mut (impl AsyncRead + Unpin), settings: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut preface = [0; PREFACE.len()];
    reader.read_exact(&mut preface).await?;
    let mut head = [0; HEAD_BYTES];
    reader.read_exact(&mut head).await?;
    let [high, middle, low, kind, flags, stream @ ..] = head;
    let length = u32::from_be_bytes([0, high, middle, low]) as usize;
    let is_settings = kind == SETTINGS && flags == 0 && stream == [0; 4];
    if preface != *PREFACE || !is_settings || length > MAX_SETTINGS_BYTES {
        return Err(Error::other("it begins otherwise"));
    }
    let mut own = vec![0; length];
    reader.read_exact(&mut own).await?;
    let mut begin = preface.to_vec();
    put_frame(&mut begin, (SETTINGS, 0, 0), &[settings, &own].concat());
    Ok(begin)
}

/// The fields of a request as literals of HPACK (RFC 7541 6.2.2).
fn block(parts: &Parts) -> Vec<u8> {
    let headers = &parts.headers;
    let target = parts.uri.path_and_query();
    let host = headers.get(HOST).map(HeaderValue::as_bytes);
    let authority = parts.uri.authority().map(|it| it.as_str().as_bytes());
    let mut block = Vec::new();
    let pseudo: [(&str, &[u8]); 4] = [
        (":method", parts.method.as_str().as_bytes()),
        (":scheme", b"http"),
        (":authority", authority.or(host).unwrap_or_default()),
        (":path", target.map_or("/", |target| target.as_str()).as_bytes()),
    ];
    for (name, value) in pseudo {
        put_field(&mut block, name, value);
    }
    let of_connection: Vec<&str> = tokens(headers, CONNECTION).collect();
    for (name, value) in headers {
        let is_of_connection = || {
            let mut named = of_connection.iter();
            named.any(|it| it.eq_ignore_ascii_case(name.as_str()))
        };
        let stays = match name.as_str() {
            "te" => value == "trailers",
            name => !LEFT_OUT.contains(&name) && !is_of_connection(),
        };
        if stays {
            put_field(&mut block, name.as_str(), value.as_bytes());
        }
    }
    block
}

/// A field that no table is to keep.
fn put_field(block: &mut Vec<u8>, name: &str, value: &[u8]) {
    block.push(0);
    for text in [name.as_bytes(), value] {
        put_length(block, text.len());
        block.extend_from_slice(text);
    }
}

/// A number with a prefix of seven bits (RFC 7541 5.1).
fn put_length(block: &mut Vec<u8>, length: usize) {
    const MOST: usize = 0x7f;
    let low = |number: usize| u8::try_from(number & MOST).unwrap_or_default();
    if length < MOST {
        return block.push(low(length));
    }
    block.push(0x7f);
    let mut rest = length - MOST;
    while rest > MOST {
        block.push(low(rest) | 0x80);
        rest >>= 7;
    }
    block.push(low(rest));
}

/// Stream 1, whose request is whole: HEADERS, and as many CONTINUATIONs as it takes.
fn put_headers(bytes: &mut Vec<u8>, block: &[u8]) {
    let count = block.chunks(MAX_FRAME_BYTES).count();
    for (at, part) in block.chunks(MAX_FRAME_BYTES).enumerate() {
        let (kind, begins) = if at == 0 { (HEADERS, END_STREAM) } else { (CONTINUATION, 0) };
        let ends = if at + 1 == count { END_HEADERS } else { 0 };
        put_frame(bytes, (kind, begins | ends, 1), part);
    }
}

fn put_frame(bytes: &mut Vec<u8>, (kind, flags, stream): (u8, u8, u32), payload: &[u8]) {
    bytes.put_uint(payload.len() as u64, 3);
    bytes.put_slice(&[kind, flags]);
    bytes.put_u32(stream);
    bytes.put_slice(payload);
}

const SETTINGS_FIELD: &str = "http2-settings";
/// Fields of a connection, named by `Connection` or not, and those that say how long a body is, which is over, or
/// which host is meant, which `:authority` says.
const LEFT_OUT: [&str; 8] = [
    "connection",
    "content-length",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-connection",
    "transfer-encoding",
    "upgrade",
];
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEAD_BYTES: usize = 9;
const SETTING_BYTES: usize = 6;
/// Half of a frame: there are two lists in one.
const MAX_SETTINGS_BYTES: usize = MAX_FRAME_BYTES / 2;
/// What every end takes (RFC 9113 4.2).
const MAX_FRAME_BYTES: usize = 16_384;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
/// For what HTTP/2 begins with.
const PATIENCE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_as_it_has_to_is_agreed_with() {
        for (fields, want) in [
            (
                &[
                    ("upgrade", "h2c"),
                    ("connection", "Upgrade, HTTP2-Settings"),
                    ("http2-settings", "AAMAAABk"),
                ][..],
                true,
            ),
            (
                &[
                    ("upgrade", "h2c"),
                    ("connection", "Upgrade, HTTP2-Settings"),
                    ("http2-settings", ""),
                ],
                true,
            ),
            (
                &[("upgrade", "h2c"), ("connection", "Upgrade"), ("http2-settings", "AAMAAABk")],
                false,
            ),
            (&[("upgrade", "h2c"), ("connection", "Upgrade, HTTP2-Settings")], false),
            (
                &[
                    ("upgrade", "h2"),
                    ("connection", "Upgrade, HTTP2-Settings"),
                    ("http2-settings", "AAMAAABk"),
                ],
                false,
            ),
            (
                &[
                    ("upgrade", "h2c"),
                    ("connection", "Upgrade, HTTP2-Settings"),
                    ("http2-settings", "AAMA"),
                ],
                false,
            ),
            (
                &[
                    ("upgrade", "h2c"),
                    ("connection", "Upgrade, HTTP2-Settings"),
                    ("http2-settings", "!"),
                ],
                false,
            ),
            (
                &[
                    ("upgrade", "h2c"),
                    ("connection", "Upgrade, HTTP2-Settings"),
                    ("http2-settings", "AAMAAABk"),
                    ("http2-settings", "AAMAAABk"),
                ],
                false,
            ),
        ] {
            let mut headers = HeaderMap::new();
            for (name, value) in fields {
                headers.append(*name, HeaderValue::from_static(value));
            }
            assert_eq!(settings(&headers).is_some(), want, "ingress 4: {fields:?}");
        }
    }

    #[test]
    fn lengths_are_those_of_hpack() {
        for (length, want) in [
            (0, &[0][..]),
            (126, &[126]),
            (127, &[127, 0]),
            (128, &[127, 1]),
            (254, &[127, 127]),
            (255, &[127, 128, 1]),
            (1_337, &[127, 186, 9]),
        ] {
            let mut block = Vec::new();
            put_length(&mut block, length);
            assert_eq!(block, want, "{length}");
        }
    }

    #[test]
    fn a_request_is_one_list_of_fields_in_as_many_frames_as_it_takes() {
        let long = "x".repeat(MAX_FRAME_BYTES);
        let request = Request::post("/a?b=c")
            .header("host", "a.test")
            .header("connection", "Upgrade, HTTP2-Settings, X-Own")
            .header("upgrade", "h2c")
            .header("x-own", "1")
            .header("content-length", "3")
            .header("x-long", &long);
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let block = block(&parts);
        let text = String::from_utf8_lossy(&block);
        for want in ["POST", "a.test", "/a?b=c", "x-long"] {
            assert!(text.contains(want), "{want}");
        }
        for gone in ["x-own", "connection", "upgrade", "content-length", "host\u{6}"] {
            assert!(!text.contains(gone), "RFC 9113 8.2.2: {gone}");
        }
        let mut bytes = Vec::new();
        put_headers(&mut bytes, &block);
        assert_eq!(bytes[..9], [0, 64, 0, HEADERS, END_STREAM, 0, 0, 0, 1]);
        let second = &bytes[HEAD_BYTES + MAX_FRAME_BYTES..];
        assert_eq!(second[3..9], [CONTINUATION, END_HEADERS, 0, 0, 0, 1]);
        assert_eq!(second.len() - HEAD_BYTES, block.len() - MAX_FRAME_BYTES);
    }
}
