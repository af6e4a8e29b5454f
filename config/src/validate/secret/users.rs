//! The names and passwords that a Secret may hold (`ingress 2.4`: `auth-secret`).
//!
//! Both forms are read, since the Secret does not say which it has: an Ingress does.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Value;
use crate::model::{Passwords, Skipped};

/// Users by both forms; equal where all names and hashes are.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Users {
    /// The lines of key `auth`; none without that key.
    pub(crate) by_line: Option<(Arc<Passwords>, Skipped)>,
    /// Each key a user; none without keys.
    pub(crate) by_key: Option<(Arc<Passwords>, Skipped)>,
}

/// Reads both forms.
pub(super) fn users(values: &BTreeMap<&str, Value>) -> Users {
    let shared = |(users, skipped)| (Arc::new(users), skipped);
    let lines = values.get("auth").and_then(Value::text);
    let by_line = lines.map(|lines| shared(Passwords::from_file(lines)));
    let pairs = values
        .iter()
        .map(|(user, value)| (*user, value.text().unwrap_or_default()));
    let by_key = (!values.is_empty()).then(|| shared(Passwords::of(pairs)));
    Users { by_line, by_key }
}
