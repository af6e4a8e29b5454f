//! The pair of `tls.crt` and `tls.key`: a chain, leaf first, and the one key that fits the leaf
//! (`ingress 1.6`, `reliability 2.6.5`).
//!
//! Whether the leaf is valid *now* is `compile`'s to say, which knows the time.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::sign::{CertifiedKey, SigningKey};
use rustls::{InconsistentKeys, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use super::{Secret, Users, Value};
use crate::diagnostic::Code;
use crate::model::{Certificate, HostPattern, ObjectName, Sealed};
use crate::validate::check::Check;

pub(super) fn certificate(
    name: &ObjectName,
    crt: &Value,
    key: &Value,
    check: &mut Check<'_>,
) -> Option<Secret> {
    let certificate_in = |value: &Value| holds(&value.bytes, "BEGIN CERTIFICATE-----");
    let key_in = |value: &Value| holds(&value.bytes, "PRIVATE KEY-----");
    if certificate_in(key) && key_in(crt) && !certificate_in(crt) && !key_in(key) {
        check.report(Code::Swapped, &crt.field, "holds the key, and tls.key the certificate");
        return None;
    }
    let chain = chain(crt, check);
    let signing = signing_key(key, check);
    let (chain, signing) = (chain?, signing?);
    let parsed: Option<Vec<_>> = chain
        .iter()
        .map(|der| Some(X509Certificate::from_der(der).ok()?.1))
        .collect();
    let Some(parsed) = parsed.filter(|parsed| !parsed.is_empty()) else {
        check.report(Code::NoCertificate, &crt.field, "holds a certificate that cannot be read");
        return None;
    };
    fits(&chain, &signing, crt, key, check).then_some(())?;
    links(&parsed, crt, check);
    let leaf = &parsed[0];
    let names = names(leaf, crt, check);
    let validity = leaf.validity();
    let (not_before_seconds, not_after_seconds) =
        (validity.not_before.timestamp(), validity.not_after.timestamp());
    let fingerprint = fingerprint(&chain, &key.bytes);
    let certified = Arc::new(CertifiedKey::new(chain.clone(), signing));
    let secret = Some(name.clone());
    let certificate =
        Certificate { secret, key: certified, names, not_before_seconds, not_after_seconds };
    Some(Secret {
        certificate: Some(Arc::new(certificate)),
        authorities: None,
        revoked: super::Revoked::Nothing,
        users: Users::default(),
        fingerprint,
    })
}

/// Every certificate of the PEM text; what stands between them is passed over.
fn chain(crt: &Value, check: &mut Check<'_>) -> Option<Vec<CertificateDer<'static>>> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&crt.bytes).collect();
    match chain {
        Ok(chain) if chain.len() > MAX_CHAIN => {
            check.too_many(&crt.field, chain.len(), MAX_CHAIN);
            None
        }
        Ok(chain) if !chain.is_empty() => Some(chain),
        Ok(_) => {
            let text = "holds no certificate in PEM form";
            let help = "it begins with -----BEGIN CERTIFICATE-----";
            check.advise(Code::NoCertificate, &crt.field, text, help);
            None
        }
        Err(_) => {
            let text = "holds PEM that is cut off or damaged";
            check.report(Code::NoCertificate, &crt.field, text);
            None
        }
    }
}

/// The key, if there is exactly one and TLS can sign with it.
fn signing_key(key: &Value, check: &mut Check<'_>) -> Option<Arc<dyn SigningKey>> {
    if holds(&key.bytes, "ENCRYPTED") {
        let help = "`openssl pkey -in tls.key -out plain.key` takes the password away";
        check.advise(
            Code::KeyEncrypted,
            &key.field,
            "is encrypted: a Secret holds the key in the clear",
            help,
        );
        return None;
    }
    let mut keys = PrivateKeyDer::pem_slice_iter(&key.bytes);
    let mut next = || keys.next().map(|key| key.map(Sealed::new));
    let Some(Ok(private)) = next() else {
        check.report(Code::NoKey, &key.field, "holds no private key in PEM form");
        return None;
    };
    if next().is_some() {
        check.report(Code::SeveralKeys, &key.field, "holds more than one private key");
        return None;
    }
    let signing = any_supported_type(&private).ok();
    if signing.is_none() {
        let text = "is a key of a kind that TLS does not use here";
        let help = "RSA from 2048 bits, ECDSA P-256, P-384 and P-521, and Ed25519 are used";
        check.advise(Code::KeyNotSupported, &key.field, text, help);
    }
    signing
}

/// Whether the key is the leaf's; a leaf at the wrong end of the chain is said to be there.
fn fits(
    chain: &[CertificateDer<'static>],
    signing: &Arc<dyn SigningKey>,
    crt: &Value,
    key: &Value,
    check: &mut Check<'_>,
) -> bool {
    let compare = |der: &CertificateDer<'static>| {
        CertifiedKey::new(vec![der.clone()], Arc::clone(signing)).keys_match()
    };
    match compare(&chain[0]) {
        Ok(()) => true,
        Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => {
            let text = "cannot be compared with the certificate";
            check.report(Code::KeyNotCompared, &key.field, text);
            true
        }
        Err(_) => {
            match chain.iter().position(|der| compare(der).is_ok()) {
                Some(at) => {
                    let text = format!(
                        "begins with another certificate than that of the key, which is number {}",
                        at + 1
                    );
                    let help = "the leaf comes first, then who signed it";
                    check.advise(Code::ChainReversed, &crt.field, text, help);
                }
                None => {
                    let text = "does not fit the certificate in tls.crt";
                    check.report(Code::KeyDoesNotFit, &key.field, text);
                }
            }
            false
        }
    }
}

/// Each certificate is signed by the next one: else clients may not find the way to their root.
fn links(chain: &[X509Certificate<'_>], crt: &Value, check: &mut Check<'_>) {
    let broken = chain
        .windows(2)
        .position(|pair| pair[0].issuer().as_raw() != pair[1].subject().as_raw());
    if let Some(at) = broken {
        let text = format!("certificate {} was not signed by the one that follows it", at + 1);
        let help = "the leaf comes first, then who signed it, and so on";
        check.advise(Code::ChainBroken, &crt.field, text, help);
    }
}

/// The DNS names of the leaf; its common name where it has no alternative names.
fn names(leaf: &X509Certificate<'_>, crt: &Value, check: &mut Check<'_>) -> Vec<HostPattern> {
    let alternative = leaf.subject_alternative_name().ok().flatten();
    let names = alternative.map(|names| &names.value.general_names);
    let has_any = names.is_some_and(|names| {
        let usable = |name: &GeneralName<'_>| {
            matches!(name, GeneralName::DNSName(_) | GeneralName::IPAddress(_))
        };
        names.iter().any(usable)
    });
    if !has_any {
        let text = "has no subjectAltName: clients do not look at the common name";
        check.report(Code::NoAlternativeName, &crt.field, text);
    }
    match names {
        Some(names) => {
            let names = names.iter().filter_map(|name| match name {
                GeneralName::DNSName(name) => Some(HostPattern::parse(name)),
                _ => None,
            });
            names.collect()
        }
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

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}

/// The authorities in a PEM text: all of its certificates, or none where one cannot be read.
pub(super) fn authorities(pem: &[u8]) -> Option<Arc<RootCertStore>> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        roots.add(certificate.ok()?).ok()?;
    }
    (!roots.is_empty() && roots.len() <= MAX_AUTHORITIES).then(|| Arc::new(roots))
}

fn fingerprint(chain: &[CertificateDer<'_>], key: &[u8]) -> u64 {
    let chain: Vec<&[u8]> = chain.iter().map(AsRef::as_ref).collect();
    fingerprint_of(&(chain, key))
}

pub(super) fn fingerprint_of(content: &impl Hash) -> u64 {
    let mut hasher = std::collections::hash_map::DefaultHasher::new();
    content.hash(&mut hasher);
    hasher.finish()
}

/// Certificates of one chain (`reliability 4`).
const MAX_CHAIN: usize = 10;
/// Authorities of one `ca.crt`: more than a bundle for the whole web has.
const MAX_AUTHORITIES: usize = 500;
