//! A name and a password (`ingress 2.4`: `auth-type`, `auth-secret`, `auth-realm`).
//!
//! Guards: whatever is wrong here closes. Whether the Secret is there is seen by `compile`.

use super::reader::Reader;
use crate::model::ObjectName;

/// What `auth-type: basic` asks, before its Secret is looked at.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct BasicAsk {
    /// Who may come in.
    pub(crate) secret: ObjectName,
    /// Whether each key of it is a user (`auth-map`), or its key `auth` has lines.
    pub(crate) by_key: bool,
    /// `auth-realm`.
    pub(crate) realm: Box<str>,
}

impl Reader<'_> {
    /// What the Ingress `name` asks of names and passwords.
    pub(super) fn basic(&mut self, name: &ObjectName) -> Option<BasicAsk> {
        let realm = self.value("auth-realm", realm);
        let by_key = self.value("auth-secret-type", |text| match text {
            "auth-file" => Ok(false),
            "auth-map" => Ok(true),
            _ => Err("is neither `auth-file` nor `auth-map`"),
        });
        let secret = self.value("auth-secret", |text| own(text, name));
        let asked = self.value("auth-type", |text| match text.eq_ignore_ascii_case("basic") {
            true => Ok(()),
            false => Err("is not `basic`: nothing else is spoken"),
        });
        match (asked, secret) {
            (Some(()), Some(secret)) => Some(BasicAsk {
                secret,
                by_key: by_key.unwrap_or(false),
                realm: realm.unwrap_or_default(),
            }),
            (Some(()), None) if self.first(&["auth-secret"]).is_none() => {
                self.close("auth-type", "needs `auth-secret`");
                None
            }
            (None, Some(_)) if self.first(&["auth-type"]).is_none() => {
                self.close("auth-secret", "needs `auth-type`");
                None
            }
            _ => None,
        }
    }
}

/// An object of the Ingress's own namespace: `name`, or `namespace/name`.
pub(super) fn own(text: &str, ingress: &ObjectName) -> Result<ObjectName, &'static str> {
    let (namespace, name) = text.split_once('/').unwrap_or((&*ingress.namespace, text));
    if *namespace != *ingress.namespace {
        return Err("is in another namespace");
    }
    match crate::validate::names::subdomain(name) {
        Ok(()) => Ok(ObjectName::new(namespace, name)),
        Err(_) => Err("is no name of an object"),
    }
}

/// A text that may stand between quotes.
fn realm(text: &str) -> Result<Box<str>, &'static str> {
    let known = |byte: u8| (byte == b' ' || byte.is_ascii_graphic()) && !b"\"\\".contains(&byte);
    match text.bytes().all(known) {
        true => Ok(text.into()),
        false => Err("holds a quote or a character that may not stand there"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::of;
    use super::*;

    #[test]
    fn users_stand_in_a_secret_of_the_own_namespace() {
        let ask = |pairs: &[(&str, &str)]| of(&[&[("auth-type", "basic")], pairs].concat()).basic;
        let users = |by_key, realm: &str| {
            let secret = ObjectName::new("default", "users");
            Some(BasicAsk { secret, by_key, realm: realm.into() })
        };
        for (case, pairs, want) in [
            ("a name", &[("auth-secret", "users")][..], users(false, "")),
            ("with its namespace", &[("auth-secret", "default/users")], users(false, "")),
            (
                "each key a user",
                &[("auth-secret", "users"), ("auth-secret-type", "auth-map")],
                users(true, ""),
            ),
            (
                "a realm",
                &[("auth-secret", "users"), ("auth-realm", "the staff")],
                users(false, "the staff"),
            ),
            ("of others", &[("auth-secret", "other/users")], None),
            ("a path", &[("auth-secret", "../../etc/passwd")], None),
            ("no name", &[("auth-secret", "default/..")], None),
            ("none", &[], None),
        ] {
            assert_eq!(ask(pairs), want, "ingress 2.4: auth-secret: {case}");
        }
        for (realm, fits) in [
            ("the staff", true),
            ("a\"; auth_basic off; #", false),
            ("a\\", false),
            ("a\r\nX-Evil: 1", false),
            ("ä", false),
        ] {
            let pairs = [("auth-type", "Basic"), ("auth-secret", "users"), ("auth-realm", realm)];
            let is_open = of(&pairs).policy.closed.is_none();
            assert_eq!(is_open, fits, "ingress 2.4: auth-realm: {realm:?}");
        }
    }
}
