//! Secret and ConfigMap (`ingress 1.6`, `ingress 6.3`, `services 3`): their keys, and what a Secret may hold.
//!
//! What stands in a Secret is not looked at before somebody whom portico serves names it: by itself it is
//! judged by the names of its keys and by how much it holds, as an API server does. [`UnreadSecret::read`]
//! is asked by `compile`. A message names the key of a Secret, never a value of it.

mod certificate;
mod users;

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::RootCertStore;

use super::{Check, InUse, names};
use crate::api::core_v1;
use crate::diagnostic::{Code, Diagnostic};
use crate::location::FieldPath;
use crate::model::{Certificate, ObjectName, Revocations, Sealed};

pub(crate) use self::users::Users;

/// A Secret as it is written; its values are as they stand in the file.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct UnreadSecret {
    form: Form,
    /// In base64.
    data: BTreeMap<String, Sealed<String>>,
    /// In the clear; it stands over `data`.
    string_data: BTreeMap<String, Sealed<String>>,
}

/// What a Secret's type says of its keys.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Form {
    /// `Opaque`, or no type: any.
    Opaque,
    /// `kubernetes.io/tls`.
    Tls,
    Other,
}

/// What a Secret holds.
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
    bytes: Sealed<Vec<u8>>,
}

impl Value {
    /// As a text; none where it is none.
    fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.bytes).ok()
    }
}

/// Judges a Secret without a look at its values.
pub(super) fn unread(secret: &core_v1::Secret, check: &mut Check<'_>) -> UnreadSecret {
    let core_v1::Secret { data, string_data, .. } = secret;
    for (root, keys) in [("data", data.keys()), ("stringData", string_data.keys())] {
        let root = FieldPath::from(root);
        keys.for_each(|key| data_key(&root.key(key), key, check));
    }
    required_keys(secret, check);
    let coded = data
        .iter()
        .filter(|(key, _)| !string_data.contains_key(*key));
    let coded: usize = coded.map(|(_, text)| decoded_bytes(text)).sum();
    let plain: usize = string_data.values().map(|text| text.len()).sum();
    if coded + plain > MAX_DATA_BYTES {
        check.too_long(&FieldPath::from("data"), MAX_DATA_BYTES);
    }
    let form = match secret.type_.as_deref() {
        None | Some("" | "Opaque") => Form::Opaque,
        Some("kubernetes.io/tls") => Form::Tls,
        Some(_) => Form::Other,
    };
    UnreadSecret { form, data: data.clone(), string_data: string_data.clone() }
}

impl UnreadSecret {
    /// What it holds, unless an error refuses it, and everything found; `object` is this Secret.
    pub(crate) fn read(&self, object: &InUse) -> (Option<Secret>, Vec<Diagnostic>) {
        let mut check = Check::new(object.object.clone(), &object.origin);
        let secret = self.content(&object.valid.name, &mut check);
        let (good, found) = check.finish();
        (good.then_some(secret), found)
    }

    fn content(&self, name: &ObjectName, check: &mut Check<'_>) -> Secret {
        let mut values = self.values(check);
        let users = match self.form {
            Form::Opaque => users::users(&values),
            // A Secret of a type of its own is no list of users.
            Form::Tls | Form::Other => Users::default(),
        };
        let authority = values.remove("ca.crt").map(|value| value.bytes);
        let read = Secret { users, ..self.pair(name, &mut values, check) };
        let Some(authority) = authority else { return read };
        let lists = values.remove("ca.crl").map(|value| value.bytes);
        let hashed = (read.fingerprint, &**authority, lists.as_deref());
        let fingerprint = certificate::fingerprint_of(&hashed);
        let revoked = match lists.as_ref().map(|lists| Revocations::parse(lists)) {
            None => Revoked::Nothing,
            Some(Some(lists)) => Revoked::Lists(Arc::new(lists)),
            Some(None) => Revoked::Unreadable,
        };
        Secret { authorities: certificate::authorities(&authority), revoked, fingerprint, ..read }
    }

    /// The pair of certificate and key.
    fn pair(
        &self,
        name: &ObjectName,
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
        let pair = (values.remove("tls.crt"), values.remove("tls.key"));
        let (Some(chain), Some(key)) = pair else { return none() };
        // Outside its own type a pair is one only where both are: an empty value is none.
        if self.form != Form::Tls && (chain.bytes.is_empty() || key.bytes.is_empty()) {
            return none();
        }
        certificate::certificate(name, &chain, &key, check).unwrap_or_else(none)
    }

    /// What each key holds, base64 undone; `stringData` stands over `data`.
    fn values(&self, check: &mut Check<'_>) -> BTreeMap<&str, Value> {
        let mut values = BTreeMap::new();
        let root = FieldPath::from("data");
        for (key, text) in &self.data {
            let field = root.key(key);
            match decoded(text) {
                Some(bytes) => drop(values.insert(&**key, Value { field, bytes })),
                None => {
                    let help = "stringData takes plain text";
                    check.advise(Code::NotBase64, &field, "is not base64", help);
                }
            }
        }
        let root = FieldPath::from("stringData");
        for (key, text) in &self.string_data {
            let (field, bytes) = (root.key(key), Sealed::new(text.as_bytes().to_vec()));
            values.insert(key, Value { field, bytes });
        }
        values
    }
}

/// Undoes base64, in which blanks and line ends count for nothing.
fn decoded(text: &str) -> Option<Sealed<Vec<u8>>> {
    let mut dense = Sealed::new(String::with_capacity(text.len()));
    text.split_ascii_whitespace()
        .for_each(|part| dense.push_str(part));
    let room = base64::decoded_len_estimate(dense.len());
    let mut bytes = Sealed::new(Vec::with_capacity(room));
    STANDARD.decode_vec(dense.as_bytes(), &mut bytes).ok()?;
    Some(bytes)
}

/// How many bytes a text in base64 stands for.
fn decoded_bytes(text: &str) -> usize {
    let digits = text.bytes().filter(|byte| !byte.is_ascii_whitespace());
    let (digits, filling) = digits.fold((0_usize, 0_usize), |(digits, filling), byte| {
        (digits + 1, filling + usize::from(byte == b'='))
    });
    (digits / 4 * 3).saturating_sub(filling)
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
