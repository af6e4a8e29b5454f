//! Signatures of a TLS handshake: whoever shows a certificate has its key.
//!
//! rustls asks verifiers of servers and of clients for the same three methods; they stand here once. Whom a
//! certificate must be from and for is left to each verifier: to `tls_verify` for those of
//! servers, to `client_cert` for those of clients.
//! Invariant: no verifier of ours takes a handshake whose signature is wrong, whatever else it lets pass.

/// The methods of a verifier about signatures, by the algorithms that its field `algorithms` has.
macro_rules! verify_signatures {
    () => {
        fn verify_tls12_signature(
            &self,
            message: &[u8],
            cert: &::rustls::pki_types::CertificateDer<'_>,
            dss: &::rustls::DigitallySignedStruct,
        ) -> Result<::rustls::client::danger::HandshakeSignatureValid, ::rustls::Error> {
            ::rustls::crypto::verify_tls12_signature(message, cert, dss, &self.algorithms)
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            cert: &::rustls::pki_types::CertificateDer<'_>,
            dss: &::rustls::DigitallySignedStruct,
        ) -> Result<::rustls::client::danger::HandshakeSignatureValid, ::rustls::Error> {
            ::rustls::crypto::verify_tls13_signature(message, cert, dss, &self.algorithms)
        }

        fn supported_verify_schemes(&self) -> Vec<::rustls::SignatureScheme> {
            self.algorithms.supported_schemes()
        }
    };
}

pub(crate) use verify_signatures;
