//! What a client's TLS handshake came to, in the words that nginx has for it: for the log.
//!
//! Made once per connection, and only where there is a log of requests.

use rustls::{CipherSuite, HandshakeKind, ProtocolVersion, ServerConnection};

/// What both sides agreed on.
#[derive(Debug)]
pub(crate) struct Agreed {
    /// `TLSv1.3`.
    pub(crate) protocol: &'static str,
    /// By OpenSSL's name.
    pub(crate) cipher: &'static str,
    /// The name that the client asked for, as it did; empty: none.
    pub(crate) server_name: Box<str>,
    /// Whether it went on with a session of before.
    pub(crate) is_resumed: bool,
}

impl Agreed {
    /// Of a connection whose handshake is over.
    pub(crate) fn of(session: &ServerConnection) -> Self {
        let suite = session.negotiated_cipher_suite().map(|it| it.suite());
        Self {
            protocol: match session.protocol_version() {
                Some(ProtocolVersion::TLSv1_3) => "TLSv1.3",
                Some(ProtocolVersion::TLSv1_2) => "TLSv1.2",
                _ => "",
            },
            cipher: suite.map(cipher).unwrap_or_default(),
            server_name: session.server_name().unwrap_or_default().into(),
            is_resumed: session.handshake_kind() == Some(HandshakeKind::Resumed),
        }
    }

    /// Of a handshake that somebody else makes, which asks for this name.
    pub(crate) fn unseen(server_name: &str) -> Self {
        Self { protocol: "", cipher: "", server_name: server_name.into(), is_resumed: false }
    }
}

fn cipher(suite: CipherSuite) -> &'static str {
    match suite {
        CipherSuite::TLS13_AES_128_GCM_SHA256 => "TLS_AES_128_GCM_SHA256",
        CipherSuite::TLS13_AES_256_GCM_SHA384 => "TLS_AES_256_GCM_SHA384",
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 => "TLS_CHACHA20_POLY1305_SHA256",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 => "ECDHE-ECDSA-AES128-GCM-SHA256",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 => "ECDHE-ECDSA-AES256-GCM-SHA384",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256 => {
            "ECDHE-ECDSA-CHACHA20-POLY1305"
        }
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 => "ECDHE-RSA-AES128-GCM-SHA256",
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 => "ECDHE-RSA-AES256-GCM-SHA384",
        CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 => "ECDHE-RSA-CHACHA20-POLY1305",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_suite_that_is_offered_has_its_name() {
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        for suite in provider.cipher_suites {
            assert_ne!(cipher(suite.suite()), "", "http-proxy 9.1: {suite:?}");
        }
    }
}
