//! The names and passwords that a Secret may hold (`ingress 2.4`: `auth-secret`).
//!
//! Both forms are read, since the Secret does not say which it has: an Ingress does.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Value;
use crate::api::core_v1;
use crate::model::{Passwords, Skipped};

/// Users by both forms; equal where all names and hashes are.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Users {
    /// The lines of key `auth`; none without that key.
    pub(crate) by_line: Option<(Arc<Passwords>, Skipped)>,
    /// Each key a user; none without keys.
    pub(crate) by_key: Option<(Arc<Passwords>, Skipped)>,
}

/// Reads both forms; a Secret of a type of its own is no list of users.
pub(super) fn users(secret: &core_v1::Secret, values: &BTreeMap<&str, Value>) -> Users {
    if !matches!(secret.type_.as_deref(), None | Some("" | "Opaque")) {
        return Users::default();
    }
    let text = |value: &'_ Value| String::from_utf8(value.bytes.clone()).ok();
    let shared = |(users, skipped)| (Arc::new(users), skipped);
    let lines = values.get("auth").and_then(text);
    let by_line = lines.map(|lines| shared(Passwords::from_file(&lines)));
    let pairs: Vec<_> = values
        .iter()
        .map(|(user, value)| (*user, text(value).unwrap_or_default()))
        .collect();
    let pairs = pairs.iter().map(|(user, hash)| (*user, hash.as_str()));
    let by_key = (!values.is_empty()).then(|| shared(Passwords::of(pairs)));
    Users { by_line, by_key }
}
