//! Secret: certificates and the keys that fit them (`ingress 1.6`).
//!
//! A message names the key of the Secret, never a value of it.

use std::sync::Arc;

use base64::Engine;
use rustls::InconsistentKeys;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use super::Check;
use crate::api::core_v1;
use crate::diagnostic::Code;
use crate::location::FieldPath;
use crate::model::{Certificate, HostPattern, ObjectName};

/// A Secret that is right by itself.
#[derive(Clone, Debug)]
pub(crate) struct Secret {
    /// The pair of `tls.crt` and `tls.key`; none for Secrets of other content.
    pub(crate) certificate: Option<Arc<Certificate>>,
    /// The names that the certificate is for.
    pub(crate) hosts: Vec<HostPattern>,
    /// The raw PEM that `certificate` was made from: equality without looking into keys.
    fingerprint: u64,
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.fingerprint == other.fingerprint && self.hosts == other.hosts
    }
}

pub(super) fn secret(secret: &core_v1::Secret, check: &mut Check<'_>) -> Secret {
    let none = Secret { certificate: None, hosts: Vec::new(), fingerprint: 0 };
    let is_tls = secret.type_.as_deref() == Some("kubernetes.io/tls");
    let has = |key| secret.data.contains_key(key) || secret.string_data.contains_key(key);
    let has_pair = has("tls.crt") && has("tls.key");
    if !is_tls && !has_pair {
        return none;
    }
    let certificate = value(secret, "tls.crt", check);
    let key = value(secret, "tls.key", check);
    let (Some((field, certificate)), Some((key_field, key))) = (certificate, key) else {
        return none;
    };
    if certificate.len().max(key.len()) > MAX_PEM_BYTES {
        check.report(Code::LimitExceeded, &field, "is longer than 1 MiB");
        return none;
    }
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&certificate).collect();
    let Some(chain) = chain
        .into_iter()
        .collect::<Result<Vec<_>, _>>()
        .ok()
        .filter(|c| !c.is_empty())
    else {
        check.report(Code::NoCertificate, &field, "holds no certificate in PEM form");
        return none;
    };
    let Some(signing) = signing_key(&key, &key_field, check) else { return none };
    let Ok((_, leaf)) = X509Certificate::from_der(&chain[0]) else {
        check.report(Code::NoCertificate, &field, "holds a certificate that cannot be read");
        return none;
    };
    let hosts = names(&leaf);
    let not_after_seconds = leaf.validity().not_after.timestamp();
    let certified = CertifiedKey::new(chain.clone(), signing);
    match certified.keys_match() {
        Ok(()) => {}
        Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => {
            check.report(
                Code::KeyNotCompared,
                &key_field,
                "cannot be compared with the certificate",
            );
        }
        Err(_) => {
            check.report(
                Code::KeyDoesNotFit,
                &key_field,
                "does not fit the certificate in tls.crt",
            );
            return none;
        }
    }
    let name =
        ObjectName::new(secret.metadata.namespace_or_default(), secret.metadata.name.as_str());
    let certificate =
        Certificate { secret: Some(name), key: Arc::new(certified), not_after_seconds };
    let fingerprint = fingerprint(&[&*chain_bytes(&chain), &key]);
    Secret { certificate: Some(Arc::new(certificate)), hosts, fingerprint }
}

/// The key, if TLS can sign with it.
fn signing_key(
    pem: &[u8],
    field: &FieldPath,
    check: &mut Check<'_>,
) -> Option<Arc<dyn rustls::sign::SigningKey>> {
    let Ok(private) = PrivateKeyDer::from_pem_slice(pem) else {
        let encrypted = pem.windows(9).any(|window| window == b"ENCRYPTED");
        let text = if encrypted {
            "is encrypted: store the key in the clear"
        } else {
            "holds no private key in PEM form"
        };
        check.report(Code::NoKey, field, text);
        return None;
    };
    let signing = any_supported_type(&private).ok();
    if signing.is_none() {
        check.report(Code::NoKey, field, "is a key of a kind that TLS does not use here");
    }
    signing
}

/// A value of `stringData`, or of `data` with base64 undone, and its field.
fn value(
    secret: &core_v1::Secret,
    key: &str,
    check: &mut Check<'_>,
) -> Option<(FieldPath, Vec<u8>)> {
    if let Some(text) = secret.string_data.get(key) {
        return Some((FieldPath::from("stringData").key(key), text.clone().into_bytes()));
    }
    let field = FieldPath::from("data").key(key);
    let Some(text) = secret.data.get(key) else {
        check.report(Code::Required, &FieldPath::from("data"), format!("has no {key}"));
        return None;
    };
    let text: String = text.split_ascii_whitespace().collect();
    match base64::engine::general_purpose::STANDARD.decode(text) {
        Ok(bytes) => Some((field, bytes)),
        Err(_) => {
            check.report(Code::NotBase64, &field, "is not base64: use stringData for plain text");
            None
        }
    }
}

/// The DNS names of the leaf; its common name where it has no alternative names.
fn names(leaf: &X509Certificate<'_>) -> Vec<HostPattern> {
    let alternative = leaf.subject_alternative_name().ok().flatten();
    let alternative = alternative.map(|names| {
        let names = names.value.general_names.iter();
        names.filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(HostPattern::parse(name)),
            _ => None,
        })
    });
    match alternative {
        Some(names) => names.collect(),
        None => {
            let common = leaf.subject().iter_common_name().next();
            common
                .and_then(|name| name.as_str().ok())
                .map(HostPattern::parse)
                .into_iter()
                .collect()
        }
    }
}

fn chain_bytes(chain: &[CertificateDer<'_>]) -> Vec<u8> {
    chain
        .iter()
        .flat_map(|certificate| certificate.iter().copied())
        .collect()
}

fn fingerprint(parts: &[&[u8]]) -> u64 {
    use std::hash::{Hash, Hasher};
    let mut hasher = std::collections::hash_map::DefaultHasher::new();
    parts.hash(&mut hasher);
    hasher.finish()
}

const MAX_PEM_BYTES: usize = 1 << 20;
