//! A name and a password as a client sends them (RFC 7617, `ingress 2.4`: `auth-type`).
//!
//! Pure. Whether they are those of somebody is asked elsewhere, since it takes long: `passwords`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, StatusCode};

use super::{Declined, keep};
use crate::l7::edits::Edits;

/// The name and the password in a value of `Authorization`.
pub(crate) fn credentials(value: &[u8]) -> Option<(String, Box<[u8]>)> {
    let (scheme, text) = value.split_at_checked("Basic ".len())?;
    if !scheme.eq_ignore_ascii_case(b"Basic ") || text.len() > MAX_BYTES {
        return None;
    }
    let both = STANDARD.decode(text.trim_ascii()).ok()?;
    let colon = both.iter().position(|byte| *byte == b':')?;
    let user = std::str::from_utf8(&both[..colon]).ok()?;
    let password = &both[colon + 1..];
    (password.len() <= MAX_PASSWORD_BYTES).then(|| (user.to_owned(), password.into()))
}

/// 401, whatever was wrong (`ingress 6.10`).
pub(crate) fn unauthorized(realm: &str) -> Declined {
    let mut edits = Edits::default();
    if let Ok(value) = HeaderValue::try_from(format!("Basic realm=\"{realm}\"")) {
        edits.set("WWW-Authenticate", value);
    }
    Declined { refused: keep(StatusCode::UNAUTHORIZED), edits: Some(Box::new(edits)), page: None }
}

/// Of name and password together, encoded; nobody has longer ones.
const MAX_BYTES: usize = 2_048;
/// SHA-crypt goes through all of it in each of its rounds, of which there may be many.
const MAX_PASSWORD_BYTES: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_ends_at_the_first_colon() {
        for (value, want) in [
            ("Basic YW5uOnNlY3JldA==", Some(("ann", "secret"))),
            ("basic YW5uOnNlY3JldA==", Some(("ann", "secret"))),
            ("Basic  YW5uOnNlY3JldA==", Some(("ann", "secret"))),
            ("Basic YTpiOmM=", Some(("a", "b:c"))),
            ("Basic Og==", Some(("", ""))),
            ("Basic YW5u", None),
            ("Basic !", None),
            ("Basic", None),
            ("Bearer YW5uOnNlY3JldA==", None),
        ] {
            let got = credentials(value.as_bytes());
            let want = want.map(|(user, password)| (user.to_owned(), password.as_bytes().into()));
            assert_eq!(got, want, "RFC 7617: {value}");
        }
        let long = format!("Basic {}", "YWFh".repeat(1_000));
        assert_eq!(credentials(long.as_bytes()), None);
        for (bytes, is_one) in [(MAX_PASSWORD_BYTES, true), (MAX_PASSWORD_BYTES + 1, false)] {
            let both = STANDARD.encode(format!("ann:{}", "x".repeat(bytes)));
            let got = credentials(format!("Basic {both}").as_bytes());
            assert_eq!(got.is_some(), is_one, "ingress 6.9: {bytes}");
        }
    }
}
