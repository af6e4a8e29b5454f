//! Who may log in, and by which password (`ingress 2.4`: `auth-type`, `auth-secret`).
//!
//! Data only: computing a hash is `proxy`'s work. Invariants: nothing here is ever printed but how
//! many users there are; hashes are written over when they are let go; none takes longer than about a
//! second to compute.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::Sealed;

/// What `auth-type: basic` asks.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Basic {
    /// What the password is for, as `WWW-Authenticate` says it.
    pub realm: Box<str>,
    /// Who may come in.
    pub users: Arc<Passwords>,
}

/// Users by name.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct Passwords(BTreeMap<Box<str>, PasswordHash>);

/// A password as it is stored.
#[derive(Clone, Eq, PartialEq)]
pub struct PasswordHash {
    /// How it was made.
    pub scheme: Scheme,
    /// The whole text.
    pub text: Sealed<Box<str>>,
}

/// How a stored password was made from the real one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Scheme {
    /// `$2a$`, `$2b$`, `$2x$`, `$2y$`.
    Bcrypt,
    /// `$apr1$`, of Apache's `htpasswd`.
    Apr1,
    /// `$1$`.
    Md5Crypt,
    /// `$5$`.
    Sha256Crypt,
    /// `$6$`.
    Sha512Crypt,
    /// `{SHA}`.
    Sha1,
    /// `{SSHA}`: with salt.
    SaltedSha1,
    /// `{PLAIN}`.
    Plain,
}

/// What was wrong with lines of a file of passwords.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Skipped {
    /// Lines that name nobody, or a hash that is not known or takes too long.
    pub lines: usize,
}

impl Passwords {
    /// Reads lines `user:hash`; blank lines and comments are none.
    pub fn from_file(text: &str) -> (Self, Skipped) {
        let lines = text.lines().map(str::trim);
        let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
        Self::of(lines.map(|line| line.split_once(':').unwrap_or((line, ""))))
    }

    /// Takes pairs of user and hash.
    pub fn of<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> (Self, Skipped) {
        let (mut users, mut skipped) = (BTreeMap::new(), Skipped::default());
        for (place, (user, text)) in pairs.enumerate() {
            // Some files have more after a second colon.
            let text = text.split(':').next().unwrap_or_default().trim();
            match scheme(text) {
                Some(scheme) if !user.is_empty() && place < MAX_USERS => {
                    // The first line of a user counts, as in nginx.
                    let hash = || PasswordHash { scheme, text: Sealed::new(text.into()) };
                    users.entry(user.into()).or_insert_with(hash);
                }
                _ => skipped.lines += 1,
            }
        }
        (Self(users), skipped)
    }

    /// How many users there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The hash of a user.
    pub fn find(&self, user: &str) -> Option<&PasswordHash> {
        self.0.get(user)
    }

    /// The hash of anybody: the same for the same `number`; none: there are no users.
    pub fn any(&self, number: u64) -> Option<&PasswordHash> {
        let count = u64::try_from(self.0.len())
            .ok()
            .filter(|count| *count > 0)?;
        self.0
            .values()
            .nth(usize::try_from(number % count).unwrap_or(0))
    }
}

impl fmt::Debug for Passwords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Passwords({} users)", self.0.len())
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PasswordHash({:?})", self.scheme)
    }
}

/// How a text was made; none: it is not known, or takes too long to compute.
fn scheme(text: &str) -> Option<Scheme> {
    if text.len() > MAX_HASH_BYTES {
        return None;
    }
    let (prefix, rest) = match text.as_bytes().first()? {
        b'$' => text.split_at(text.get(1..)?.find('$')? + 2),
        b'{' => text.split_at(text.find('}')? + 1),
        _ => return None,
    };
    let rounds = |scheme| match rest.strip_prefix("rounds=") {
        Some(rounds) => {
            let rounds = rounds.split('$').next()?.parse::<u32>().ok()?;
            (rounds <= MAX_ROUNDS).then_some(scheme)
        }
        None => Some(scheme),
    };
    match prefix {
        "$2a$" | "$2b$" | "$2x$" | "$2y$" => {
            let cost = rest.split('$').next()?.parse::<u32>().ok()?;
            (cost <= MAX_COST).then_some(Scheme::Bcrypt)
        }
        "$apr1$" => Some(Scheme::Apr1),
        "$1$" => Some(Scheme::Md5Crypt),
        "$5$" => rounds(Scheme::Sha256Crypt),
        "$6$" => rounds(Scheme::Sha512Crypt),
        "{SHA}" => Some(Scheme::Sha1),
        "{SSHA}" => Some(Scheme::SaltedSha1),
        "{PLAIN}" => Some(Scheme::Plain),
        _ => None,
    }
}

/// `ingress 6.9`.
const MAX_USERS: usize = 10_000;
const MAX_HASH_BYTES: usize = 512;
/// Of bcrypt; each one more doubles the time, which is about a second here.
const MAX_COST: u32 = 14;
/// Of SHA-crypt; about a second.
const MAX_ROUNDS: u32 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_a_user_and_a_known_hash() {
        for (line, want) in [
            ("ann:$2y$05$abc", Some(Scheme::Bcrypt)),
            ("ann:$2y$31$abc", None),
            ("ann:$apr1$x$y", Some(Scheme::Apr1)),
            ("ann:$1$x$y", Some(Scheme::Md5Crypt)),
            ("ann:$5$x$y", Some(Scheme::Sha256Crypt)),
            ("ann:$6$rounds=5000$x$y", Some(Scheme::Sha512Crypt)),
            ("ann:$6$rounds=999999999$x$y", None),
            ("ann:{SHA}x=", Some(Scheme::Sha1)),
            ("ann:{SSHA}x=", Some(Scheme::SaltedSha1)),
            ("ann:{PLAIN}secret", Some(Scheme::Plain)),
            ("ann:secret", None),
            ("ann:$9$x", None),
            ("ann:$", None),
            ("ann:", None),
            ("ann", None),
            ("# ann:{PLAIN}secret", None),
        ] {
            let (users, _) = Passwords::from_file(line);
            let got = users.find("ann").map(|hash| hash.scheme);
            assert_eq!(got, want, "ingress 2.4: auth-secret: {line}");
        }
        let (users, skipped) = Passwords::from_file("a:{PLAIN}x\n\nb:odd\na:{PLAIN}y\n");
        assert_eq!(skipped.lines, 1);
        assert_eq!(&**users.find("a").unwrap().text, "{PLAIN}x", "the first line counts");
        assert_eq!(users.any(7), users.find("a"));
    }

    #[test]
    fn a_file_has_so_many_users_and_no_more() {
        let lines: String = (0..=MAX_USERS)
            .map(|number| format!("u{number}:{{PLAIN}}x\n"))
            .collect();
        let (users, skipped) = Passwords::from_file(&lines);
        let (last, beyond) = (format!("u{}", MAX_USERS - 1), format!("u{MAX_USERS}"));
        let got = (users.find(&last).is_some(), users.find(&beyond).is_some(), skipped.lines);
        assert_eq!(got, (true, false, 1), "ingress 6.9: one line too many");
    }

    #[test]
    fn nothing_of_a_secret_is_printed() {
        let (users, _) = Passwords::from_file("ann:{PLAIN}hush");
        let printed = format!("{users:?} {:?}", users.find("ann"));
        assert!(!printed.contains("hush") && !printed.contains("ann"), "ingress 6.3: {printed}");
    }
}
