//! The one form of a path that is matched, authorised and forwarded (`http-proxy 4`, `ingress 1.2`).
//!
//! Pure. `normalize(normalize(x)) = normalize(x)`; a path that is normal already is returned as it
//! came, without an allocation. The query is never changed. Paths of manifests are brought into the same
//! form: a guard over `/~a` is one over `/%7ea`, however either is written.

use std::borrow::Cow;

/// Why a path is refused: the answer is 400.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PathFault {
    /// Does not begin with `/`.
    NotAbsolute,
    /// A `%` without two hex digits, or `%00`.
    Escape,
    /// A byte that a path may not hold.
    Byte,
    /// `..` above the root.
    Climbs,
    /// A segment that a backend could read as `.` or `..`.
    Ambiguous,
}

/// The normal form of the path before a `?`, as a client sends it.
#[inline]
pub fn normalize(path: &str) -> Result<Cow<'_, str>, PathFault> {
    if !path.starts_with('/') {
        return Err(PathFault::NotAbsolute);
    }
    if is_plain(path) {
        return Ok(Cow::Borrowed(path));
    }
    let decoded = decode(path)?;
    let mut segments: Vec<&str> = Vec::new();
    let last = decoded.rsplit('/').next().unwrap_or_default();
    for segment in decoded.split('/').filter(|segment| !segment.is_empty()) {
        match segment {
            "." => {}
            ".." => drop(segments.pop().ok_or(PathFault::Climbs)?),
            _ if is_ambiguous(segment) => return Err(PathFault::Ambiguous),
            _ => segments.push(segment),
        }
    }
    let mut normal = String::with_capacity(decoded.len());
    for segment in &segments {
        normal.push('/');
        normal.push_str(segment);
    }
    // A path that ended in a slash or a dot segment names a folder.
    if segments.is_empty() || matches!(last, "" | "." | "..") {
        normal.push('/');
    }
    Ok(if normal == path { Cow::Borrowed(path) } else { Cow::Owned(normal) })
}

/// The same of a path as somebody writes it in a manifest, with letters that no request has as they
/// are. An error: no request has such a path.
pub fn normalize_written(path: &str) -> Result<Cow<'_, str>, PathFault> {
    let stays = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#' | b'\\');
    if path.bytes().all(stays) {
        return normalize(path);
    }
    let mut escaped = String::with_capacity(path.len() + 16);
    for byte in path.bytes() {
        match stays(byte) {
            true => escaped.push(char::from(byte)),
            false => escape(&mut escaped, byte),
        }
    }
    normalize(&escaped).map(|path| Cow::Owned(path.into_owned()))
}

/// Whether nothing in the path can need a change: no escape, no empty or dotted segment.
#[inline]
fn is_plain(path: &str) -> bool {
    let mut before = 0;
    path.bytes().all(|byte| {
        let plain = match byte {
            b'/' => before != b'/',
            b'.' => before != b'/',
            b'%' | b'\\' | b';' | b'#' | b'?' => false,
            byte => byte.is_ascii_graphic() && !is_escaped(byte),
        };
        before = byte;
        plain
    })
}

/// Decodes what needs no escape, escapes what needs one, writes escapes in upper case.
fn decode(path: &str) -> Result<String, PathFault> {
    let mut decoded = String::with_capacity(path.len());
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            if !byte.is_ascii_graphic() || matches!(byte, b'\\' | b'#' | b'?') {
                return Err(PathFault::Byte);
            }
            match is_escaped(byte) {
                true => escape(&mut decoded, byte),
                false => decoded.push(char::from(byte)),
            }
            continue;
        }
        let mut digit = || {
            bytes
                .next()
                .and_then(|digit| char::from(digit).to_digit(16))
        };
        let (Some(high), Some(low)) = (digit(), digit()) else { return Err(PathFault::Escape) };
        let value = u8::try_from(high * 16 + low).map_err(|_| PathFault::Escape)?;
        if value == 0 {
            return Err(PathFault::Escape);
        }
        if value.is_ascii_alphanumeric() || matches!(value, b'-' | b'.' | b'_' | b'~') {
            decoded.push(char::from(value));
        } else {
            escape(&mut decoded, value);
        }
    }
    Ok(decoded)
}

/// What a path may not hold as it is, though clients send it so (RFC 3986 3.3): the same path has one
/// form, whoever escapes it.
const fn is_escaped(byte: u8) -> bool {
    matches!(byte, b'"' | b'<' | b'>' | b'^' | b'`' | b'{' | b'|' | b'}')
}

fn escape(text: &mut String, byte: u8) {
    text.push('%');
    for digit in [byte >> 4, byte & 15] {
        let digit = char::from_digit(u32::from(digit), 16);
        text.extend(digit.map(|digit| digit.to_ascii_uppercase()));
    }
}

/// `http-proxy 4.4`: `..%2f`, `%5C..`, `..;`: a backend that splits there would climb.
fn is_ambiguous(segment: &str) -> bool {
    let dots = |part: &str| matches!(part, "." | "..");
    let parts = segment.replace("%2F", "/").replace("%5C", "/");
    let odd = parts.contains('/') || segment.contains(';');
    odd && parts
        .split('/')
        .any(|part| dots(part.split(';').next().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_have_one_form() {
        use PathFault::{Ambiguous, Byte, Climbs, Escape, NotAbsolute};
        for (path, want) in [
            ("/", Ok("/")),
            ("/a/b", Ok("/a/b")),
            ("/a//b", Ok("/a/b")),
            ("//a", Ok("/a")),
            ("/a/./b/", Ok("/a/b/")),
            ("/a/../b", Ok("/b")),
            ("/a/..", Ok("/")),
            ("/a/b/..", Ok("/a/")),
            ("/a/.", Ok("/a/")),
            ("/.well-known/x", Ok("/.well-known/x")),
            ("/%61", Ok("/a")),
            ("/%2e%2e/a", Err(Climbs)),
            ("/a/%2E%2e/b", Ok("/b")),
            ("/a%2fb", Ok("/a%2Fb")),
            ("/a%3fb%5cc", Ok("/a%3Fb%5Cc")),
            ("/%c3%a4", Ok("/%C3%A4")),
            ("/a;v=1", Ok("/a;v=1")),
            ("/a{b}|\"<c>^`", Ok("/a%7Bb%7D%7C%22%3Cc%3E%5E%60")),
            ("/a%7bb%7d", Ok("/a%7Bb%7D")),
            ("/a:b@c,d+e=f&g!h$i'j(k)*", Ok("/a:b@c,d+e=f&g!h$i'j(k)*")),
            ("/..", Err(Climbs)),
            ("/a/../../b", Err(Climbs)),
            ("/%zz", Err(Escape)),
            ("/%0", Err(Escape)),
            ("/%00", Err(Escape)),
            ("/a\\b", Err(Byte)),
            ("/a b", Err(Byte)),
            ("/ä", Err(Byte)),
            ("/..%2fa", Err(Ambiguous)),
            ("/a/..;/b", Err(Ambiguous)),
            ("/%2e%2e%5ca", Err(Ambiguous)),
            ("a", Err(NotAbsolute)),
            ("", Err(NotAbsolute)),
        ] {
            assert_eq!(
                normalize(path).as_deref(),
                want.as_ref().copied(),
                "http-proxy 4.2–4.4: {path}"
            );
        }
    }

    #[test]
    fn written_paths_have_the_form_of_requests() {
        for (written, want) in [
            ("/a", Ok("/a")),
            ("/%7euser", Ok("/~user")),
            ("/\u{fc}ber", Ok("/%C3%BCber")),
            ("/a b", Ok("/a%20b")),
            ("/a%20b", Ok("/a%20b")),
            ("//a/./b", Ok("/a/b")),
            ("/a{b}", Ok("/a%7Bb%7D")),
            ("/a?b\\c", Ok("/a%3Fb%5Cc")),
            ("/%zz", Err(PathFault::Escape)),
            ("/\u{fc}/..;x", Err(PathFault::Ambiguous)),
        ] {
            let got = normalize_written(written);
            assert_eq!(got.as_deref(), want.as_ref().copied(), "ingress 1.2: {written}");
        }
    }

    proptest::proptest! {
        /// `http-proxy 4.5`.
        #[test]
        fn normal_paths_are_normal(path in "/[a-z/.%2eEfF5cC;{|]{0,40}") {
            if let Ok(once) = normalize(&path) {
                proptest::prop_assert_eq!(normalize(&once), Ok(Cow::Borrowed(&*once)));
                proptest::prop_assert!(once.split('/').all(|s| s != "." && s != ".."));
            }
        }
    }
}
