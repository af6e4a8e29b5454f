//! Secret and ConfigMap (`ingress 1.6`, `services 3`): their keys, and the pair of certificate and
//! key that a Secret may hold.
//!
//! A message names the key of a Secret, never a value of it.

mod certificate;
mod users;

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine;
use rustls::RootCertStore;

use super::{Check, names};
use crate::api::core_v1;
use crate::diagnostic::Code;
use crate::location::FieldPath;
use crate::model::{Certificate, Revocations};

pub(crate) use self::users::Users;

/// A Secret that is right by itself.
#[derive(Clone, Debug)]
pub(crate) struct Secret {
    /// The pair of `tls.crt` and `tls.key`; none for Secrets of other content.
    pub(crate) certificate: Option<Arc<Certificate>>,
    /// What `ca.crt` holds; none where that is no certificate.
    pub(crate) authorities: Option<Arc<RootCertStore>>,
    /// What `ca.crl` says was taken back.
    pub(crate) revoked: Revoked,
    /// Names and passwords that it may hold.
    pub(crate) users: Users,
    /// The raw PEM that all was made from: equality without looking into keys.
    fingerprint: u64,
}

/// What `ca.crl` holds.
#[derive(Clone, Debug, Default)]
pub(crate) enum Revoked {
    /// There is none.
    #[default]
    Nothing,
    Lists(Arc<Revocations>),
    /// No list of certificates.
    Unreadable,
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.fingerprint == other.fingerprint && self.users == other.users
    }
}

/// A ConfigMap that is right by itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct ConfigMap {
    /// What each key holds.
    pub(crate) data: BTreeMap<String, String>,
}

/// The bytes of one key, and where they are written.
struct Value {
    field: FieldPath,
    bytes: Vec<u8>,
}

pub(super) fn secret(secret: &core_v1::Secret, check: &mut Check<'_>) -> Secret {
    let mut values = values(secret, check);
    let users = users::users(secret, &values);
    let authority = values.remove("ca.crt").map(|value| value.bytes);
    let read = Secret { users, ..pair(secret, &mut values, check) };
    let Some(authority) = authority else { return read };
    let lists = values.remove("ca.crl").map(|value| value.bytes);
    let fingerprint = certificate::fingerprint_of(&(read.fingerprint, &authority, &lists));
    let revoked = match lists.as_deref().map(Revocations::parse) {
        None => Revoked::Nothing,
        Some(Some(lists)) => Revoked::Lists(Arc::new(lists)),
        Some(None) => Revoked::Unreadable,
    };
    Secret { authorities: certificate::authorities(&authority), revoked, fingerprint, ..read }
}

/// The pair of certificate and key.
fn pair(
    secret: &core_v1::Secret,
    values: &mut BTreeMap<&str, Value>,
    check: &mut Check<'_>,
) -> Secret {
    let none = || Secret {
        certificate: None,
        authorities: None,
        revoked: Revoked::Nothing,
        users: Users::default(),
        fingerprint: 0,
    };
    required_keys(secret, check);
    let is_tls = secret.type_.as_deref() == Some("kubernetes.io/tls");
    let pair = (values.remove("tls.crt"), values.remove("tls.key"));
    let (Some(chain), Some(key)) = pair else { return none() };
    // Outside its own type a pair is one only where both are: an empty value is none.
    if !is_tls && (chain.bytes.is_empty() || key.bytes.is_empty()) {
        return none();
    }
    certificate::certificate(secret, &chain, &key, check).unwrap_or_else(none)
}

/// What each key holds, base64 undone; `stringData` stands over `data`.
fn values<'a>(secret: &'a core_v1::Secret, check: &mut Check<'_>) -> BTreeMap<&'a str, Value> {
    let mut values = BTreeMap::new();
    let root = FieldPath::from("data");
    for (key, text) in &secret.data {
        let field = root.key(key);
        data_key(&field, key, check);
        let text: String = text.split_ascii_whitespace().collect();
        match base64::engine::general_purpose::STANDARD.decode(text) {
            Ok(value) => drop(values.insert(&**key, Value { field, bytes: value })),
            Err(_) => {
                let help = "stringData takes plain text";
                check.advise(Code::NotBase64, &field, "is not base64", help);
            }
        }
    }
    let root = FieldPath::from("stringData");
    for (key, text) in &secret.string_data {
        let field = root.key(key);
        data_key(&field, key, check);
        values.insert(key, Value { field, bytes: text.clone().into_bytes() });
    }
    let bytes = values
        .values()
        .map(|value| value.bytes.len())
        .sum::<usize>();
    if bytes > MAX_DATA_BYTES {
        check.too_long(&FieldPath::from("data"), MAX_DATA_BYTES);
    }
    values
}

/// Keys that the type promises.
fn required_keys(secret: &core_v1::Secret, check: &mut Check<'_>) {
    let has = |key: &str| secret.data.contains_key(key) || secret.string_data.contains_key(key);
    let keys: &[&str] = match secret.type_.as_deref().unwrap_or_default() {
        "kubernetes.io/tls" => &["tls.crt", "tls.key"],
        "kubernetes.io/dockercfg" => &[".dockercfg"],
        "kubernetes.io/dockerconfigjson" => &[".dockerconfigjson"],
        "kubernetes.io/ssh-auth" => &["ssh-privatekey"],
        // One of the two is enough.
        "kubernetes.io/basic-auth" if !has("username") && !has("password") => {
            &["username", "password"]
        }
        _ => &[],
    };
    for key in keys.iter().filter(|key| !has(key)) {
        check.required(&FieldPath::from("data").key(key));
    }
}

pub(super) fn config_map(map: &core_v1::ConfigMap, check: &mut Check<'_>) -> ConfigMap {
    let field = FieldPath::from("data");
    for key in map.data.keys() {
        data_key(&field.key(key), key, check);
    }
    if map.data.values().map(String::len).sum::<usize>() > MAX_DATA_BYTES {
        check.too_long(&field, MAX_DATA_BYTES);
    }
    ConfigMap { data: map.data.clone() }
}

fn data_key(field: &FieldPath, key: &str, check: &mut Check<'_>) {
    if let Err(fault) = names::data_key(key) {
        check.invalid(Code::InvalidDataKey, field, key, fault);
    }
}

/// All values of a Secret or ConfigMap together; `reliability 4` has the same for one PEM.
const MAX_DATA_BYTES: usize = 1 << 20;
