//! Certificates that clients show: what they are worth and whom they name.
//!
//! A handshake takes any certificate whose key the client has, so that who is not let in can be told
//! why in HTTP; what it is worth is found out here, for each connection anew, so that a session that
//! is resumed counts for no more than the certificate that it began with counts now.

use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DistinguishedName, Error, RootCertStore};
use webpki::{
    CertRevocationList, EndEntityCert, ExpirationPolicy, KeyUsage, RevocationCheckDepth,
    RevocationOptionsBuilder, UnknownStatusPolicy,
};
use x509_parser::prelude::{FromDer, X509Certificate, X509Name};

use crate::signatures::verify_signatures;

/// Asks for a certificate, and takes any or none.
#[derive(Debug)]
pub(crate) struct AnyClient {
    hints: Vec<DistinguishedName>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl AnyClient {
    /// One that tells clients whose certificates are wanted; none: anybody's.
    pub(crate) fn new(
        roots: Option<&RootCertStore>,
        algorithms: WebPkiSupportedAlgorithms,
    ) -> Self {
        let hints = roots.map_or_else(Vec::new, RootCertStore::subjects);
        Self { hints, algorithms }
    }
}

impl ClientCertVerifier for AnyClient {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    verify_signatures!();
}

/// Whether one of the authorities has signed a client's certificate, with no more than `depth`
/// others between, and none of them was taken back; fails with a few words.
///
/// Where there are lists of what was, each certificate of the chain must be one that a list is about,
/// and the list must be of its time (as with nginx's `ssl_crl`).
pub fn verify(
    chain: &[CertificateDer<'_>],
    (roots, revoked): (&RootCertStore, &[CertRevocationList<'_>]),
    depth: u8,
    now: UnixTime,
) -> Result<(), &'static str> {
    let (leaf, intermediates) = chain.split_first().ok_or("no certificate")?;
    let algorithms =
        rustls::crypto::aws_lc_rs::default_provider().signature_verification_algorithms;
    let depth = usize::from(depth);
    let lists: Vec<&CertRevocationList<'_>> = revoked.iter().collect();
    // Without a list nothing is asked.
    let revocation = RevocationOptionsBuilder::new(&lists).ok().map(|builder| {
        builder
            .with_depth(RevocationCheckDepth::Chain)
            .with_status_policy(UnknownStatusPolicy::Deny)
            .with_expiration_policy(ExpirationPolicy::Enforce)
            .build()
    });
    let verified = EndEntityCert::try_from(leaf).and_then(|leaf| {
        let path = leaf.verify_for_usage(
            algorithms.all,
            &roots.roots,
            intermediates,
            now,
            KeyUsage::client_auth(),
            revocation,
            Some(&|path| match path.intermediate_certificates().count() <= depth {
                true => Ok(()),
                false => Err(webpki::Error::UnknownIssuer),
            }),
        );
        path.map(|_| ())
    });
    verified.map_err(|error| match error {
        webpki::Error::CertExpired { .. } => "certificate has expired",
        webpki::Error::CertNotValidYet { .. } => "certificate is not yet valid",
        webpki::Error::CertRevoked => "certificate revoked",
        webpki::Error::UnknownRevocationStatus => "unable to get certificate CRL",
        webpki::Error::CrlExpired { .. } => "CRL has expired",
        webpki::Error::BadDer => "certificate cannot be read",
        webpki::Error::RequiredEkuNotFoundContext(_) => "unsuitable certificate purpose",
        _ => "unable to verify the certificate",
    })
}

/// Subject and issuer of a certificate in the form of RFC 2253; empty where it cannot be read.
pub fn names(certificate: &CertificateDer<'_>) -> (String, String) {
    match X509Certificate::from_der(certificate) {
        Ok((_, read)) => (text(read.subject()), text(read.issuer())),
        Err(_) => <(String, String)>::default(),
    }
}

/// The last part first; what is not visible ASCII as `\` and its hex digits.
fn text(name: &X509Name<'_>) -> String {
    let mut parts: Vec<String> = name
        .iter()
        .map(|part| {
            let pairs = part.iter().map(|attribute| {
                let kind = attribute.attr_type().to_id_string();
                let known = KINDS.iter().find(|(id, _)| *id == kind);
                let kind = known.map_or(&*kind, |(_, name)| name);
                format!("{kind}={}", escaped(attribute.as_slice()))
            });
            pairs.collect::<Vec<_>>().join("+")
        })
        .collect();
    parts.reverse();
    parts.join(",")
}

fn escaped(value: &[u8]) -> String {
    let mut out = String::with_capacity(value.len());
    for (at, &byte) in value.iter().enumerate() {
        let ends = at == 0 || at + 1 == value.len();
        match byte {
            b',' | b'+' | b'"' | b'\\' | b'<' | b'>' | b';' => {
                out.push('\\');
                out.push(char::from(byte));
            }
            b'#' if at == 0 => out.push_str("\\#"),
            b' ' if ends => out.push_str("\\ "),
            b' '..=b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("\\{byte:02X}")),
        }
    }
    out
}

/// The short names of RFC 2253 and what else is usual.
const KINDS: [(&str, &str); 11] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.5", "serialNumber"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.9", "street"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("1.2.840.113549.1.9.1", "emailAddress"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("0.9.2342.19200300.100.1.1", "UID"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_cannot_be_taken_for_more_than_one() {
        for (value, want) in [
            (&b"app"[..], "app"),
            (b"a,CN=admin", "a\\,CN=admin"),
            (b"#a ", "\\#a\\ "),
            (b" a b", "\\ a b"),
            (b"a\r\nb", "a\\0D\\0Ab"),
            ("ä".as_bytes(), "\\C3\\A4"),
            (b"", ""),
        ] {
            assert_eq!(escaped(value), want, "RFC 2253 2.4");
        }
    }
}
