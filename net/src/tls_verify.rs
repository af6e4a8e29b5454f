//! Which certificates of a server are taken: those of given authorities, or any.
//!
//! Signatures of the handshake itself are verified always, by `signatures`: whoever shows a certificate has its key.

use std::sync::Arc;

use rustls::client::danger::{ServerCertVerified, ServerCertVerifier};
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, Error, RootCertStore};
use webpki::{EndEntityCert, KeyUsage};

use crate::signatures::verify_signatures;

/// Certificates for the name that was asked for, signed by one of the authorities, with no more than
/// so many others between.
#[derive(Debug)]
pub(crate) struct SignedBy {
    roots: Arc<RootCertStore>,
    depth: u8,
    algorithms: WebPkiSupportedAlgorithms,
}

impl SignedBy {
    pub(crate) fn new(
        roots: Arc<RootCertStore>,
        depth: u8,
        algorithms: WebPkiSupportedAlgorithms,
    ) -> Self {
        Self { roots, depth, algorithms }
    }

    fn verify(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), webpki::Error> {
        let leaf = EndEntityCert::try_from(leaf)?;
        let depth = usize::from(self.depth);
        leaf.verify_for_usage(
            self.algorithms.all,
            &self.roots.roots,
            intermediates,
            now,
            KeyUsage::server_auth(),
            None,
            Some(&|path| match path.intermediate_certificates().count() <= depth {
                true => Ok(()),
                false => Err(webpki::Error::UnknownIssuer),
            }),
        )?;
        leaf.verify_is_valid_for_subject_name(name)
    }
}

impl ServerCertVerifier for SignedBy {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match self.verify(end_entity, intermediates, server_name, now) {
            Ok(()) => Ok(ServerCertVerified::assertion()),
            Err(fault) => Err(Error::InvalidCertificate(cause(fault))),
        }
    }

    verify_signatures!();
}

/// Any certificate, whoever signed it and whatever it is for: the connection is private, but nobody
/// knows with whom (`proxy-ssl-verify: off`, and HTTPS probes, as the kubelet's).
#[derive(Debug)]
pub struct Anybody {
    algorithms: WebPkiSupportedAlgorithms,
}

impl Anybody {
    /// One that verifies signatures of the handshake by these algorithms.
    pub fn new(algorithms: WebPkiSupportedAlgorithms) -> Self {
        Self { algorithms }
    }
}

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    verify_signatures!();
}

/// What a log says of it; whatever has no word of its own was not signed by whom it should be.
fn cause(fault: webpki::Error) -> CertificateError {
    match fault {
        webpki::Error::CertExpired { .. } => CertificateError::Expired,
        webpki::Error::CertNotValidYet { .. } => CertificateError::NotValidYet,
        webpki::Error::CertNotValidForName(_) => CertificateError::NotValidForName,
        webpki::Error::BadDer => CertificateError::BadEncoding,
        _ => CertificateError::UnknownIssuer,
    }
}
