//! The certificate of hosts that have none: self-signed, made at start, never written anywhere.

use std::sync::Arc;

use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::sign::CertifiedKey;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::model::Certificate;

/// Makes it.
pub(super) fn make() -> Arc<Certificate> {
    let names = vec!["portico.invalid".to_owned()];
    let made =
        rcgen::generate_simple_self_signed(names).expect("a constant name makes a certificate");
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let signing = any_supported_type(&key).expect("rcgen makes keys of a supported kind");
    Arc::new(Certificate {
        secret: None,
        names: Vec::new(),
        key: Arc::new(CertifiedKey::new(vec![made.cert.der().clone()], signing)),
        not_before_seconds: 0,
        not_after_seconds: i64::MAX,
    })
}
