//! A WebSocket that a stream of HTTP/2 asks for, as the handshake of HTTP/1.1 that its backend gets
//! (RFC 8441, `http-proxy 1.29`).
//!
//! Pure. Extended CONNECT has no key, since the stream itself says who speaks. HTTP/1.1 has one, so it
//! is made here, and a backend that does not answer it has agreed to nothing.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use h2::ext::Protocol;
use http::header::CONTENT_LENGTH;
use http::request::Parts;
use sha1::{Digest, Sha1};

/// The key of one handshake, as `Sec-WebSocket-Key` has it.
#[derive(Debug)]
pub(super) struct Key([u8; KEY_BYTES]);

impl Key {
    /// That of a request, where it asks for a WebSocket; any other CONNECT stays one, and is refused.
    pub(super) fn of(parts: &Parts, random: impl Fn() -> u64) -> Option<Self> {
        let protocol = parts.extensions.get::<Protocol>()?;
        // A length would make content of what goes through the tunnel (`http-proxy 1.26`).
        let is_asked = protocol.as_str() == "websocket";
        (is_asked && !parts.headers.contains_key(CONTENT_LENGTH)).then(|| Self::new(random))
    }

    fn new(random: impl Fn() -> u64) -> Self {
        let mut bytes = [0; 16];
        for half in bytes.chunks_mut(8) {
            half.copy_from_slice(&random().to_ne_bytes());
        }
        let mut key = [0; KEY_BYTES];
        STANDARD
            .encode_slice(bytes, &mut key)
            .expect("16 bytes are 24 letters");
        Self(key)
    }

    /// As it stands in the field.
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether this is what `Sec-WebSocket-Accept` must say (RFC 6455 4.2.2).
    pub(super) fn is_accepted_by(&self, accept: &[u8]) -> bool {
        let made = Sha1::new().chain_update(self.0).chain_update(GUID);
        STANDARD.encode(made.finalize()).as_bytes() == accept
    }
}

/// 16 bytes in base 64.
const KEY_BYTES: usize = 24;
/// RFC 6455 1.3.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    #[test]
    fn only_extended_connect_for_a_web_socket_asks_for_one() {
        for (case, protocol, length, want) in [
            ("asked for", Some("websocket"), None, true),
            ("plain CONNECT", None, None, false),
            ("other protocol", Some("connect-udp"), None, false),
            ("other case: names are compared as they are", Some("WebSocket"), None, false),
            ("content", Some("websocket"), Some("0"), false),
        ] {
            let mut request = Request::builder().method("CONNECT").uri("https://a.test/x");
            if let Some(protocol) = protocol {
                request = request.extension(Protocol::from(protocol));
            }
            if let Some(length) = length {
                request = request.header("content-length", length);
            }
            let (parts, ()) = request.body(()).unwrap().into_parts();
            assert_eq!(Key::of(&parts, || 7).is_some(), want, "http-proxy 1.29: {case}");
        }
    }

    #[test]
    fn a_key_has_one_answer() {
        // The example of RFC 6455 1.3.
        let key = Key(*b"dGhlIHNhbXBsZSBub25jZQ==");
        assert!(key.is_accepted_by(b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
        for other in [&b"s3pPLMBiTxaQ9kYGzzhZRbK+xOO="[..], b"", b"dGhlIHNhbXBsZSBub25jZQ=="] {
            assert!(!key.is_accepted_by(other), "http-proxy 1.29");
        }
        let made = Key::new(|| u64::MAX);
        assert_eq!(made.as_bytes(), b"/////////////////////w==");
    }
}
