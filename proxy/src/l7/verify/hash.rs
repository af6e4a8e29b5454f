//! How each kind of stored password is made from the real one (`ingress 2.4`: `auth-secret`).
//!
//! Pure. What cannot be read is no password's hash.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::Md5;
use portico_config::model::{PasswordHash, Scheme};
use sha1::{Digest, Sha1};
use subtle::ConstantTimeEq;

/// Whether a stored password was made from this one.
pub(super) fn is_from(hash: &PasswordHash, password: &[u8]) -> bool {
    let text = &*hash.text;
    match hash.scheme {
        Scheme::Bcrypt => bcrypt::verify(password, text).unwrap_or(false),
        Scheme::Apr1 => is_md5_crypt("$apr1$", text, password),
        Scheme::Md5Crypt => is_md5_crypt("$1$", text, password),
        Scheme::Sha256Crypt | Scheme::Sha512Crypt => is_sha_crypt(text, password),
        Scheme::Sha1 => is_sha1(text.get("{SHA}".len()..).unwrap_or_default(), password),
        Scheme::SaltedSha1 => is_sha1(text.get("{SSHA}".len()..).unwrap_or_default(), password),
        Scheme::Plain => is_plain(text.get("{PLAIN}".len()..).unwrap_or_default(), password),
    }
}

fn is_sha_crypt(text: &str, password: &[u8]) -> bool {
    use sha_crypt::{PasswordVerifier, ShaCrypt};
    ShaCrypt::default().verify_password(password, text).is_ok()
}

/// 20 bytes of SHA-1, and the salt behind them if there is any.
fn is_sha1(text: &str, password: &[u8]) -> bool {
    let Ok(bytes) = STANDARD.decode(text) else { return false };
    let Some((stored, salt)) = bytes.split_at_checked(SHA1_BYTES) else { return false };
    let made = Sha1::new()
        .chain_update(password)
        .chain_update(salt)
        .finalize();
    made.as_slice().ct_eq(stored).into()
}

/// By way of a hash, so that the time does not tell how long the stored one is.
fn is_plain(stored: &str, password: &[u8]) -> bool {
    let (stored, given) = (Sha1::digest(stored), Sha1::digest(password));
    stored.as_slice().ct_eq(given.as_slice()).into()
}

/// `$1$salt$digest`, and Apache's of the same.
fn is_md5_crypt(magic: &str, text: &str, password: &[u8]) -> bool {
    let parts = text
        .strip_prefix(magic)
        .and_then(|rest| rest.split_once('$'));
    let Some((salt, stored)) = parts else { return false };
    let salt = &salt.as_bytes()[..salt.len().min(8)];
    let made = md5_crypt(magic.as_bytes(), salt, password);
    made.as_slice().ct_eq(stored.as_bytes()).into()
}

/// Poul-Henning Kamp's algorithm of 1994, of FreeBSD's `crypt`.
fn md5_crypt(magic: &[u8], salt: &[u8], password: &[u8]) -> [u8; 22] {
    let digest = |parts: &[&[u8]]| -> [u8; 16] {
        let all = parts
            .iter()
            .fold(Md5::new(), |md5, part| md5.chain_update(part));
        all.finalize().into()
    };
    let alternate = digest(&[password, salt, password]);
    let mut first = Md5::new()
        .chain_update(password)
        .chain_update(magic)
        .chain_update(salt);
    for chunk in password.chunks(alternate.len()) {
        first.update(&alternate[..chunk.len()]);
    }
    let mut bits = password.len();
    while bits > 0 {
        let begin = password.first().copied().unwrap_or_default();
        first.update([if bits & 1 == 1 { 0 } else { begin }]);
        bits >>= 1;
    }
    let mut last: [u8; 16] = first.finalize().into();
    for round in 0..1_000 {
        let odd = round % 2 == 1;
        let salt = if round % 3 == 0 { &[][..] } else { salt };
        let again = if round % 7 == 0 { &[][..] } else { password };
        let before = last;
        last = match odd {
            true => digest(&[password, salt, again, &before]),
            false => digest(&[&before, salt, again, password]),
        };
    }
    encode(&last)
}

/// Six bits a letter, three bytes at a time in an order of its own.
fn encode(digest: &[u8; 16]) -> [u8; 22] {
    let mut text = [0; 22];
    let mut put = |at: usize, mut bits: u32, count: usize| {
        for place in &mut text[at..at + count] {
            *place = LETTERS[usize::try_from(bits & 63).unwrap_or(0)];
            bits >>= 6;
        }
    };
    for (at, [a, b, c]) in [[0, 6, 12], [1, 7, 13], [2, 8, 14], [3, 9, 15], [4, 10, 5]]
        .into_iter()
        .enumerate()
    {
        let bits = [digest[a], digest[b], digest[c]].map(u32::from);
        put(at * 4, bits[0] << 16 | bits[1] << 8 | bits[2], 4);
    }
    put(20, digest[11].into(), 2);
    text
}

const LETTERS: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const SHA1_BYTES: usize = 20;

#[cfg(test)]
mod tests {
    use portico_config::model::Passwords;

    use super::*;

    #[test]
    fn every_kind_of_hash_is_that_of_its_password() {
        let long = "a password longer than sixteen bytes";
        for (password, text) in [
            ("secret", "$1$saltsalt$9xy1btjgzLYfb7hivXtC//"),
            (long, "$1$ab$bbCjtt8PZJDpVrzXMe5aF1"),
            ("secret", "$apr1$saltsalt$LrttParrLPdxvgutaSXWJ0"),
            (long, "$apr1$ab$lNZSQDgq3Yae/2GHoz79e."),
            ("secret", "$5$saltsalt$0IyaXrmV7.sGNS6tirgqHLqX/G.FBvgkYA.lpPdS5sA"),
            (
                "secret",
                "$6$saltsalt$TVLlQcbpFVof5W3Yz4DTP6gRstiNuHwwTt6GLc1E5n0U0aDehy0S5knV8wiOQSpT0Y77v\
                 wPZN.Pq.H91p5hVO1",
            ),
            ("secret", "$2b$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a"),
            ("secret", "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ="),
            ("secret", "{SSHA}gVK8WC9YyFT1gMsQHTGCgT3sSv5zYWx0"),
            ("secret", "{PLAIN}secret"),
        ] {
            let (users, _) = Passwords::from_file(&format!("ann:{text}"));
            let hash = users.find("ann").unwrap();
            assert!(is_from(hash, password.as_bytes()), "ingress 2.4: auth-secret: {text}");
            for other in ["", "Secret", "secret ", "secre"] {
                assert!(!is_from(hash, other.as_bytes()), "ingress 6.10: {text}: {other:?}");
            }
        }
        let odd = ["$1$", "$1$x", "$5$x", "$6$", "{SHA}", "{SHA}x", "{SSHA}eA==", "$2b$05$x"];
        for text in odd {
            let (users, _) = Passwords::from_file(&format!("ann:{text}"));
            let hash = users.find("ann");
            assert!(hash.is_none_or(|hash| !is_from(hash, b"")), "ingress 2.4: {text}");
        }
    }
}
