//! The one form of a path that is matched, authorised and forwarded (`http-proxy 4`).
//!
//! Pure. `normalize(normalize(x)) = normalize(x)`; a path that is normal already is returned as it
//! came, without an allocation. The query is never changed.

use std::borrow::Cow;

/// Why a path is refused: the answer is 400.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum PathFault {
    /// Does not begin with `/`.
    #[error("path does not begin with a slash")]
    NotAbsolute,
    /// A `%` without two hex digits, or `%00`.
    #[error("bad percent escape")]
    Escape,
    /// A byte that a path may not hold.
    #[error("byte that a path may not hold")]
    Byte,
    /// `..` above the root.
    #[error("path climbs above the root")]
    Climbs,
    /// A segment that a backend could read as `.` or `..`.
    #[error("segment that could be read as a dot segment")]
    Ambiguous,
}

/// The normal form of the path before a `?`.
pub(crate) fn normalize(path: &str) -> Result<Cow<'_, str>, PathFault> {
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

/// Whether nothing in the path can need a change: no escape, no empty or dotted segment.
fn is_plain(path: &str) -> bool {
    let mut before = 0;
    path.bytes().all(|byte| {
        let plain = match byte {
            b'/' => before != b'/',
            b'.' => before != b'/',
            b'%' | b'\\' | b';' | b'#' | b'?' => false,
            byte => byte.is_ascii_graphic(),
        };
        before = byte;
        plain
    })
}

/// Decodes what needs no escape, writes the other escapes in upper case.
fn decode(path: &str) -> Result<String, PathFault> {
    let mut decoded = String::with_capacity(path.len());
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            if !byte.is_ascii_graphic() || matches!(byte, b'\\' | b'#' | b'?') {
                return Err(PathFault::Byte);
            }
            decoded.push(char::from(byte));
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
            decoded.push('%');
            for digit in [high, low] {
                decoded.extend(char::from_digit(digit, 16).map(|digit| digit.to_ascii_uppercase()));
            }
        }
    }
    Ok(decoded)
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

    proptest::proptest! {
        /// `http-proxy 4.5`.
        #[test]
        fn normal_paths_are_normal(path in "/[a-z/.%2eEfF5cC;]{0,40}") {
            if let Ok(once) = normalize(&path) {
                proptest::prop_assert_eq!(normalize(&once), Ok(Cow::Borrowed(&*once)));
                proptest::prop_assert!(once.split('/').all(|s| s != "." && s != ".."));
            }
        }
    }
}
