//! A certificate authority for development: certificates for the hosts of Ingresses that have none,
//! by an authority that a person can tell a browser to trust (`--dev-tls`).
//!
//! Its key and certificate stay in a folder, the key for its owner's eyes alone; certificates are made
//! when a client asks for a name, in about the time of a signature, and kept in memory. Invariants: at
//! most [`MAX_KEPT`] are kept; which names may be asked for is the caller's to say.

use std::collections::HashMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;

/// The authority.
pub struct DevCa {
    params: CertificateParams,
    key: KeyPair,
    /// In PEM.
    certificate: String,
    made: Mutex<HashMap<String, (Arc<CertifiedKey>, SystemTime)>>,
}

impl std::fmt::Debug for DevCa {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DevCa").finish_non_exhaustive()
    }
}

impl DevCa {
    /// The one in `folder`, made if there is none; fails where it cannot be read or kept.
    pub fn open(folder: &Path) -> io::Result<Self> {
        let (key_file, certificate_file) = (folder.join(KEY_FILE), folder.join(CERTIFICATE_FILE));
        let key = match fs::read_to_string(&key_file) {
            Ok(text) => KeyPair::from_pem(&text).map_err(odd)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let key = KeyPair::generate().map_err(odd)?;
                keep(&key_file, key.serialize_pem().as_bytes(), 0o600)?;
                // One of another key would be believed by those who trust it, and fit nothing.
                let _ = fs::remove_file(&certificate_file);
                key
            }
            Err(error) => return Err(error),
        };
        let params = params(&key);
        let certificate = match fs::read_to_string(&certificate_file) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let text = params.self_signed(&key).map_err(odd)?.pem();
                keep(&certificate_file, text.as_bytes(), 0o644)?;
                text
            }
            Err(error) => return Err(error),
        };
        Ok(Self { params, key, certificate, made: Mutex::default() })
    }

    /// Its certificate, in PEM.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// A certificate for a name in lower case; none where it is no name.
    pub fn issue(&self, name: &str) -> Option<Arc<CertifiedKey>> {
        let now = SystemTime::now();
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((found, since)) = made.get(name)
            && now
                .duration_since(*since)
                .is_ok_and(|age| age < RENEWED_AFTER)
        {
            return Some(Arc::clone(found));
        }
        let new = Arc::new(self.sign(name).ok()?);
        if made.len() >= MAX_KEPT {
            made.clear();
        }
        made.insert(name.to_owned(), (Arc::clone(&new), now));
        Some(new)
    }

    fn sign(&self, name: &str) -> Result<CertifiedKey, rcgen::Error> {
        let mut params = CertificateParams::new([name.to_owned()])?;
        params.distinguished_name = named(name);
        let now = SystemTime::now();
        params.not_before = (now - BACKDATED).into();
        params.not_after = (now + VALID).into();
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate()?;
        let signed = params.signed_by(&key, &Issuer::from_params(&self.params, &self.key))?;
        let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let signing =
            any_supported_type(&private).map_err(|_| rcgen::Error::CouldNotParseKeyPair)?;
        Ok(CertifiedKey::new(vec![signed.der().clone()], signing))
    }
}

/// The same for one key at any time, so that what is issued fits the certificate that was kept.
fn params(key: &KeyPair) -> CertificateParams {
    let mut params = CertificateParams::default();
    let id = params.key_identifier(key);
    let id: String = id
        .iter()
        .take(4)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    params.distinguished_name = named(&format!("portico development CA {id}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let now = SystemTime::now();
    params.not_before = (now - BACKDATED).into();
    params.not_after = (now + CA_VALID).into();
    params
}

fn named(name: &str) -> DistinguishedName {
    let mut names = DistinguishedName::new();
    names.push(DnType::CommonName, name);
    names
}

/// Writes a file aside and puts it in its place.
fn keep(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let aside = path.with_extension("new");
    // One that was left behind may be open to others.
    let _ = fs::remove_file(&aside);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&aside)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&aside, path)
}

fn odd(error: rcgen::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

/// Of the authority, in its folder.
pub const CERTIFICATE_FILE: &str = "dev-ca.crt";
const KEY_FILE: &str = "dev-ca.key";
/// Names with a certificate; beyond, all are made anew.
const MAX_KEPT: usize = 1_024;
const DAY: Duration = Duration::from_secs(86_400);
/// Clocks differ.
const BACKDATED: Duration = DAY;
const VALID: Duration = Duration::from_secs(90 * 86_400);
const RENEWED_AFTER: Duration = Duration::from_secs(30 * 86_400);
const CA_VALID: Duration = Duration::from_secs(10 * 365 * 86_400);

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use rustls::RootCertStore;
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
    use webpki::{EndEntityCert, KeyUsage};

    use super::*;

    /// Whether who trusts `ca` believes that a certificate is for a name.
    fn believes(ca: &str, shown: &CertifiedKey, name: &str) -> bool {
        let mut roots = RootCertStore::empty();
        let root = CertificateDer::from_pem_slice(ca.as_bytes()).unwrap();
        roots.add(root).unwrap();
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let leaf = EndEntityCert::try_from(&shown.cert[0]).unwrap();
        let signed = leaf.verify_for_usage(
            provider.signature_verification_algorithms.all,
            &roots.roots,
            &[],
            UnixTime::now(),
            KeyUsage::server_auth(),
            None,
            None,
        );
        let name = ServerName::try_from(name).unwrap();
        signed.is_ok() && leaf.verify_is_valid_for_subject_name(&name).is_ok()
    }

    #[test]
    fn what_was_trusted_once_is_trusted_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let first = DevCa::open(folder.path()).unwrap();
        let issued = first.issue("a.test").unwrap();
        assert!(believes(first.certificate(), &issued, "a.test"));
        assert!(!believes(first.certificate(), &issued, "b.test"));
        assert!(Arc::ptr_eq(&issued, &first.issue("a.test").unwrap()), "kept");
        let second = DevCa::open(folder.path()).unwrap();
        assert_eq!(first.certificate(), second.certificate());
        assert!(believes(first.certificate(), &second.issue("*.b.test").unwrap(), "x.b.test"));
        let other = tempfile::tempdir().unwrap();
        let other = DevCa::open(other.path()).unwrap();
        assert!(!believes(other.certificate(), &issued, "a.test"), "each has its own");
        let key = fs::metadata(folder.path().join(KEY_FILE)).unwrap();
        assert_eq!(key.permissions().mode() & 0o777, 0o600, "for its owner alone");
    }

    #[test]
    fn names_have_a_limit_and_a_broken_key_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let ca = DevCa::open(folder.path()).unwrap();
        for at in 0..MAX_KEPT + 3 {
            assert!(ca.issue(&format!("a{at}.test")).is_some());
        }
        assert!(ca.made.lock().unwrap().len() <= MAX_KEPT);
        fs::write(folder.path().join(KEY_FILE), "nonsense").unwrap();
        assert!(DevCa::open(folder.path()).is_err());
    }
}
